// The values of an image and the two limits between which they are shown; the limits are dragged.
const SVG = "http://www.w3.org/2000/svg";
const NEAR = 12; // px
const ENDINGS = ["pointerup", "pointercancel"];

const make = (name, parent, attributes = {}) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.appendChild(node);
  return node;
};
const written = (value) => String(Number(value.toPrecision(4)));

export default {
  render({ model, el }) {
    const width = model.get("width");
    const height = model.get("height");
    const svg = make("svg", el, { width, height: height + 16, class: "dmlink-histogram" });
    svg.setAttribute("aria-label", "Histogram; drag the two lines to set the contrast, double-click to undo that");
    const outside = make("rect", svg, { class: "dmlink-histogram-back", width, height });
    const between = make("rect", svg, { class: "dmlink-histogram-between", height });
    const curve = make("path", svg, { class: "dmlink-histogram-curve" });
    const lines = [0, 1].map(() => make("line", svg, { class: "dmlink-histogram-limit", y1: 0, y2: height }));
    const labels = [0, 1].map(() => make("text", svg, { y: height + 12 }));
    let hand = null; // the limits in the user's hand

    const draw = () => {
      const counts = model.get("counts");
      const [first, last] = model.get("range");
      const tallest = Math.log1p(Math.max(1, ...counts));
      const x = (i) => (i / counts.length) * width;
      const y = (count) => height - (Math.log1p(count) / tallest) * (height - 2);
      const steps = counts.map((count, i) => `V${y(count)}H${x(i + 1)}`);
      curve.setAttribute("d", `M0 ${height}${steps.join("")}V${height}Z`);
      const limits = hand || model.get("limits");
      const places = limits.map((v) => Math.min(Math.max(((v - first) / (last - first)) * width, 1), width - 1));
      between.setAttribute("x", places[0]);
      between.setAttribute("width", Math.max(0, places[1] - places[0]));
      places.forEach((place, i) => {
        lines[i].setAttribute("x1", place);
        lines[i].setAttribute("x2", place);
        labels[i].textContent = written(limits[i]);
        labels[i].setAttribute("text-anchor", i ? "end" : "start");
        labels[i].setAttribute("x", i ? Math.max(place, 80) : Math.min(place, width - 80));
      });
      const close = places[1] - places[0] < 90; // the two numbers would run into each other
      labels[0].setAttribute("x", close ? 1 : Math.min(places[0], width - 80));
      labels[1].setAttribute("x", close ? width - 1 : Math.max(places[1], 80));
    };

    svg.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      const box = svg.getBoundingClientRect();
      const at = (event) => {
        const [first, last] = model.get("range");
        const part = Math.min(Math.max((event.clientX - box.left) / width, 0), 1);
        return first + part * (last - first);
      };
      const px = lines.map((line) => Math.abs(Number(line.getAttribute("x1")) - (down.clientX - box.left)));
      const i = px[0] <= px[1] ? 0 : 1;
      if (px[i] > NEAR) return;
      down.preventDefault();
      hand = [...model.get("limits")];
      const move = (event) => {
        const value = at(event);
        if (i ? value <= hand[0] : value >= hand[1]) return;
        hand[i] = value;
        model.set("chosen", [...hand]);
        model.save_changes();
        draw();
      };
      const end = () => {
        hand = null;
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
    const changes = "change:counts change:limits change:range";
    model.on(changes, draw);
    draw();
    return () => model.off(changes, draw);
  },
};
