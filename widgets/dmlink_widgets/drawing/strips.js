// Paints the strips and marks of a timeline, and reports where the user points. Times are fractions of the visible
// span, from 0 to 1.
const SVG = "http://www.w3.org/2000/svg";
const BANDS = { "no link": "dmlink-strips-lost", "no frames": "dmlink-strips-gap", clip: "dmlink-strips-clip" };
const CLIP = { above: 7, height: 5 }; // px of a clip's band, in the margin above the strips
const STEP = 0.005; // fraction of the visible span for each press of an arrow key

export default {
  render({ model, el }) {
    el.tabIndex = 0;
    el.setAttribute("role", "slider");
    el.setAttribute("aria-label", "Timeline: drag or use the arrows to look back, Escape for live, wheel zooms");
    const svg = el.appendChild(document.createElementNS(SVG, "svg"));
    svg.classList.add("dmlink-drawn");
    const cursor = document.createElementNS(SVG, "line");
    cursor.setAttribute("class", "dmlink-strips-cursor");

    const area = () => {
      const [top, left, height] = model.get("area");
      const width = Math.max(1, el.clientWidth - left - model.get("right"));
      return { top, left, height, width };
    };
    const made = (name, attributes, text) => {
      const node = svg.appendChild(document.createElementNS(SVG, name));
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      if (text !== undefined) node.textContent = text;
      return node;
    };
    let painted = []; // what was painted last
    const paint = () => {
      const { top, left, height, width } = area();
      const wanted = [width, ...["area", "points", "rows", "bands", "marks"].map((name) => model.get(name))];
      if (wanted.every((part, i) => part === painted[i])) return point(); // only the cursor has moved
      painted = wanted;
      svg.setAttribute("width", el.clientWidth);
      svg.setAttribute("height", top + height);
      svg.replaceChildren();
      for (const [kind, begin, end, text] of model.get("bands")) {
        const place = kind === "clip" ? { y: top - CLIP.above, height: CLIP.height } : { y: top, height };
        const long = { x: left + begin * width, width: Math.max(2, (end - begin) * width) };
        const band = made("rect", { class: BANDS[kind], ...place, ...long });
        band.appendChild(document.createElementNS(SVG, "title")).textContent = text;
      }
      for (const [at, colour, text] of model.get("marks")) {
        const x = left + at * width;
        const line = made("line", { class: "dmlink-strips-mark", stroke: colour, x1: x, x2: x, y1: top, y2: top + height });
        line.appendChild(document.createElementNS(SVG, "title")).textContent = text;
      }
      const rows = model.get("rows");
      const tall = rows.length ? height / rows.length : height;
      const bytes = model.get("points");
      const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      let i = 0;
      rows.forEach(([name, low, high, colour, length], k) => {
        const base = top + (k + 1) * tall;
        made("line", { class: "dmlink-strips-row", x1: left, x2: left + width, y1: base, y2: base });
        let d = "";
        let pen = "M";
        for (const last = i + 2 * length; i < last; i += 2) {
          const x = left + numbers[i] * width;
          const y = base - 3 - numbers[i + 1] * (tall - 20);
          const gap = Number.isNaN(x + y);
          if (!gap) d += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
          pen = gap ? "M" : "L";
        }
        made("path", { d, stroke: colour });
        made("text", { x: left + 4, y: base - tall + 12 }, name);
        if (high !== low) made("text", { class: "dmlink-strips-limit", x: left - 4, y: base - tall + 22 }, high);
        made("text", { class: "dmlink-strips-limit", x: left - 4, y: base - 3 }, low);
      });
      svg.appendChild(cursor);
      point();
    };
    const point = () => {
      const { top, left, height, width } = area();
      const at = model.get("cursor");
      cursor.style.display = at >= 0 && at <= 1 ? "" : "none";
      const x = left + at * width;
      for (const [key, value] of Object.entries({ x1: x, x2: x, y1: top, y2: top + height })) cursor.setAttribute(key, value);
      el.setAttribute("aria-valuetext", model.get("said"));
    };
    svg.paint = paint; // called by the fence, which paints a round as a whole

    const fraction = (event) => {
      const { left, width } = area();
      return Math.min(1, Math.max(0, (event.clientX - el.getBoundingClientRect().left - left) / width));
    };
    let waiting = null; // the newest position that was not sent yet
    const send = (at) => {
      if (waiting === null) {
        requestAnimationFrame(() => {
          model.send({ at: waiting });
          waiting = null;
        });
      }
      waiting = at;
      model.set("cursor", at); // immediately; the kernel then sends the data for this span
    };
    el.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      el.setPointerCapture(event.pointerId);
      el.focus({ preventScroll: true });
      send(fraction(event));
    });
    el.addEventListener("pointermove", (event) => {
      if (el.hasPointerCapture(event.pointerId)) send(fraction(event));
    });
    el.addEventListener("dblclick", () => model.send({ all: true }));
    el.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) model.send({ pan: Math.sign(event.deltaX) * 0.05 });
        else model.send({ zoom: event.deltaY < 0 ? 0.8 : 1.25, around: fraction(event) });
      },
      { passive: false },
    );
    // On the window, so that it is called before the notebook, which uses the arrow keys itself.
    const pressed = (event) => {
      if (event.target !== el || event.ctrlKey || event.metaKey || event.altKey) return;
      const now = model.get("cursor");
      const from = now >= 0 ? now : 1;
      const to = { ArrowLeft: from - STEP, ArrowRight: from + STEP, Home: 0, End: 1 }[event.key];
      if (to !== undefined) send(Math.min(1, Math.max(0, to)));
      else if (event.key === "Escape") model.send({ live: true });
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    window.addEventListener("keydown", pressed, true);
    const sizes = new ResizeObserver(paint);
    sizes.observe(el);
    model.on("change:cursor change:said", point);
    return () => {
      window.removeEventListener("keydown", pressed, true);
      sizes.disconnect();
      model.off("change:cursor change:said", point);
    };
  },
};
