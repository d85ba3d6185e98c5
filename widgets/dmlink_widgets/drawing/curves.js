// Paints curves over the axes of a figure.
const SVG = "http://www.w3.org/2000/svg";

export default {
  render({ model, el }) {
    const svg = el.appendChild(document.createElementNS(SVG, "svg"));
    const paint = () => {
      const bytes = model.get("points");
      const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      const lengths = model.get("lengths");
      while (svg.children.length < lengths.length) svg.appendChild(document.createElementNS(SVG, "path"));
      let i = 0;
      [...svg.children].forEach((path, k) => {
        let d = "";
        let pen = "M";
        for (const end = i + 2 * (lengths[k] ?? 0); i < end; i += 2) {
          const [x, y] = [numbers[i], numbers[i + 1]];
          const gap = Number.isNaN(x + y);
          if (!gap) d += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
          pen = gap ? "M" : "L";
        }
        path.setAttribute("class", "dmlink-curve");
        path.setAttribute("fill", "none");
        path.setAttribute("d", d);
        path.setAttribute("stroke", model.get("colours")[k] ?? "none");
      });
    };
    const place = () => {
      const [top, left, height, width] = model.get("area");
      const right = model.get("right");
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`); // scaled to fit if the column is narrower
      svg.setAttribute("preserveAspectRatio", "none");
      const across = `calc(100% - ${left + right}px)`;
      Object.assign(svg.style, { position: "absolute", overflow: "hidden", top: `${top}px`, left: `${left}px` });
      Object.assign(svg.style, { height: `${height}px`, width: across });
    };
    svg.classList.add("dmlink-drawn");
    svg.paint = paint; // called by the fence, which paints a round as a whole
    place();
    paint(); // no round follows for curves that existed before this view
  },
};
