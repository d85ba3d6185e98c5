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
        let line = "";
        let pen = "M";
        for (const end = i + 2 * (lengths[k] ?? 0); i < end; i += 2) {
          const [x, y] = [numbers[i], numbers[i + 1]];
          const gap = Number.isNaN(x + y);
          if (!gap) line += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
          pen = gap ? "M" : "L";
        }
        path.setAttribute("class", "line");
        path.setAttribute("d", line);
        path.setAttribute("stroke", model.get("colours")[k] ?? "none");
      });
    };
    const place = () => {
      const [top, left, height, width] = model.get("area");
      Object.assign(svg.style, { top: `${top}px`, left: `${left}px`, height: `${height}px`, width: `${width}px` });
    };
    svg.classList.add("dmlink-drawn");
    svg.paint = paint; // for the fence: what is drawn together is painted together
    place();
    paint(); // no mark comes for what was there before this view
  },
};
