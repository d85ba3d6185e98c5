// The histogram of an image, with the two draggable limits of its contrast.
const SVG = "http://www.w3.org/2000/svg";
const BAR = 12; // px, height of the colour bar
const NEAR = 12; // px from a limit within which it can be dragged
const ENDINGS = ["pointerup", "pointercancel"];

const make = (name, parent, attributes = {}) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.appendChild(node);
  return node;
};
const formatted = (value) => String(Number(value.toPrecision(4)));

export default {
  render({ model, el }) {
    const width = model.get("width");
    const height = model.get("height");
    const svg = make("svg", el, { viewBox: `0 0 ${width} ${height + 16 + BAR}`, class: "dmlink-histogram" });
    svg.style.maxWidth = `${width}px`;
    svg.setAttribute("aria-label", "Histogram: drag the two lines to set the contrast, double-click to reset it");
    const outside = make("rect", svg, { class: "dmlink-histogram-back", width, height });
    const between = make("rect", svg, { class: "dmlink-histogram-between", height });
    const curve = make("path", svg, { class: "dmlink-histogram-curve" });
    const lines = [0, 1].map(() => make("line", svg, { class: "dmlink-histogram-limit", y1: 0, y2: height }));
    const labels = [0, 1].map(() => make("text", svg, { y: height + 12 }));
    // the colour bar below the histogram, from one limit to the other
    const gradient = make("linearGradient", make("defs", svg), { id: `dmlink-${Math.random().toString(36).slice(2)}` });
    const outer = [0, 1].map(() => make("rect", svg, { y: height + 16, height: BAR }));
    const bar = make("rect", svg, { class: "dmlink-colour-bar", y: height + 16, height: BAR, fill: `url(#${gradient.id})` });
    const drawBar = ([low, high]) => {
      const colours = model.get("colours");
      if (!colours.length) return;
      gradient.replaceChildren();
      colours.forEach((colour, i) => {
        make("stop", gradient, { offset: i / (colours.length - 1), "stop-color": colour });
      });
      const set = (node, x, end, fill) => {
        node.setAttribute("x", x);
        node.setAttribute("width", Math.max(0, end - x));
        if (fill) node.setAttribute("fill", fill);
      };
      set(bar, low, high);
      set(outer[0], 0, low, colours[0]);
      set(outer[1], high, width, colours.at(-1));
    };
    let dragged = null; // the limits while the user drags one

    const draw = () => {
      const counts = model.get("counts");
      const [first, last] = model.get("range");
      const tallest = Math.log1p(Math.max(1, ...counts));
      const x = (i) => (i / counts.length) * width;
      const y = (count) => height - (Math.log1p(count) / tallest) * (height - 2);
      const steps = counts.map((count, i) => `V${y(count)}H${x(i + 1)}`);
      curve.setAttribute("d", `M0 ${height}${steps.join("")}V${height}Z`);
      const limits = dragged || model.get("limits");
      const places = limits.map((v) => Math.min(Math.max(((v - first) / (last - first)) * width, 1), width - 1));
      drawBar(places);
      between.setAttribute("x", places[0]);
      between.setAttribute("width", Math.max(0, places[1] - places[0]));
      places.forEach((place, i) => {
        lines[i].setAttribute("x1", place);
        lines[i].setAttribute("x2", place);
        labels[i].textContent = `${formatted(limits[i])} ${i ? model.get("unit") : ""}`.trim();
        labels[i].setAttribute("text-anchor", i ? "end" : "start");
        labels[i].setAttribute("x", i ? Math.max(place, 80) : Math.min(place, width - 80));
      });
      const close = places[1] - places[0] < 90; // the two numbers would overlap
      labels[0].setAttribute("x", close ? 1 : Math.min(places[0], width - 80));
      labels[1].setAttribute("x", close ? width - 1 : Math.max(places[1], 80));
    };

    svg.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      const box = svg.getBoundingClientRect();
      const at = (event) => {
        const [first, last] = model.get("range");
        const part = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
        return first + part * (last - first);
      };
      const place = ((down.clientX - box.left) / box.width) * width;
      const px = lines.map((line) => Math.abs(Number(line.getAttribute("x1")) - place));
      const i = px[0] <= px[1] ? 0 : 1;
      if (px[i] > NEAR) return;
      down.preventDefault();
      dragged = [...model.get("limits")];
      const move = (event) => {
        const value = at(event);
        if (i ? value <= dragged[0] : value >= dragged[1]) return;
        dragged[i] = value;
        model.set("chosen", [...dragged]);
        model.save_changes();
        draw();
      };
      const end = () => {
        dragged = null;
        window.removeEventListener("pointermove", move);
        for (const ending of ENDINGS) window.removeEventListener(ending, end);
      };
      window.addEventListener("pointermove", move);
      for (const ending of ENDINGS) window.addEventListener(ending, end);
    });
    svg.addEventListener("dblclick", () => {
      model.set("chosen", []);
      model.save_changes();
    });
    const changes = "change:counts change:limits change:range change:colours change:unit";
    model.on(changes, draw);
    draw();
    return () => model.off(changes, draw);
  },
};
