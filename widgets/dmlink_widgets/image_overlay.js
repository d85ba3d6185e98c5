// What lies over an image: ROIs, markers, the scale bar; zoom, pan and the value under the pointer.
// Everything is in image pixels; `window` is the part of the image that can be seen.
const SVG = "http://www.w3.org/2000/svg";
const HANDLE = 9; // px
const SMALLEST = 4; // image pixels a side of an ROI
const CLOSEST = 8; // image pixels a side that zoom shows at least
const HOVER_MS = 50; // between two questions for the value under the pointer
const LABEL_ROOM = 64 * 64; // px² for each label of a mark: with less they run into each other
const LABEL_REACH = 24; // px from the pointer
const HELD_MS = 1000; // how long an ROI that was let go waits for DigitalMicrograph to follow
const LENGTHS = ["pm", "nm", "µm", "mm", "m"];

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

const make = (name, parent, attributes = {}, text = "") => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  parent.appendChild(node);
  return node;
};

// What moves when the user takes an ROI at a side or corner: "body", or letters of n, s, w, e.
const taken = (grip, [top, left, bottom, right], dy, dx, height, width) => {
  if (grip === "body") {
    const y = clamp(dy, -top, height - bottom);
    const x = clamp(dx, -left, width - right);
    return [top + y, left + x, bottom + y, right + x];
  }
  return [
    grip.includes("n") ? clamp(top + dy, 0, bottom - SMALLEST) : top,
    grip.includes("w") ? clamp(left + dx, 0, right - SMALLEST) : left,
    grip.includes("s") ? clamp(bottom + dy, Math.min(top + SMALLEST, height), height) : bottom,
    grip.includes("e") ? clamp(right + dx, Math.min(left + SMALLEST, width), width) : right,
  ];
};

// A length of 1, 2 or 5 times a power of ten, at most `longest`, with its unit.
const rounded = (longest, unit) => {
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((n) => n * power).find((n) => n <= longest * 1.0001);
  let shown = length;
  let named = unit === "um" ? "µm" : unit || "px";
  while (shown >= 1000 && LENGTHS.includes(named) && named !== "m") {
    shown /= 1000;
    named = LENGTHS[LENGTHS.indexOf(named) + 1];
  }
  return { length, text: `${Number(shown.toPrecision(2))} ${named}` };
};

export default {
  render({ model, el }) {
    el.tabIndex = 0;
    el.setAttribute("role", "application");
    const describe = () => el.setAttribute("aria-label", model.get("description"));
    describe();
    const svg = make("svg", el);
    const background = make("rect", svg, { class: "dmlink-background", width: "100%", height: "100%" });
    svg.classList.add("dmlink-drawn");
    const layers = {};
    for (const name of ["marks", "line", "bar", "rois", "new"]) layers[name] = make("g", svg);
    const reading = document.createElement("div");
    reading.className = "dmlink-reading";
    el.appendChild(reading);
    const ages = document.createElement("div");
    ages.className = "dmlink-ages";
    el.appendChild(ages);
    let held = null; // {name, roi, gone}: the ROI in the user's hand, or just let go
    let theirs = model.get("rois"); // as DigitalMicrograph has them
    let pointer = null; // [y, x] in image pixels
    const crowded = new Set(); // names of marks whose labels have no room

    // Geometry

    const seen = () => {
      const [height, width] = model.get("shape");
      const window_ = model.get("window");
      const [top, left, bottom, right] = window_.length ? window_ : [0, 0, height, width];
      const [, , h, w] = model.get("area");
      return { top, left, bottom, right, height, width, y: h / (bottom - top || 1), x: w / (right - left || 1) };
    };
    const pixelAt = (event) => {
      const box = svg.getBoundingClientRect();
      const s = seen();
      return [s.top + (event.clientY - box.top) / s.y, s.left + (event.clientX - box.left) / s.x];
    };
    const onAxis = ([origin, scale], pixel) => origin + scale * pixel;

    const show = (top, left, bottom, right) => {
      const s = seen();
      const h = Math.min(bottom - top, s.height);
      const w = Math.min(right - left, s.width);
      const t = clamp(top, 0, s.height - h);
      const l = clamp(left, 0, s.width - w);
      const all = h >= s.height && w >= s.width;
      model.set("window", all ? [] : [t, l, t + h, l + w]);
      model.save_changes();
    };
    const zoom = (factor, [y, x]) => {
      const s = seen();
      const longer = Math.max(s.bottom - s.top, s.right - s.left);
      const f = Math.max(factor, CLOSEST / longer);
      show(y - (y - s.top) * f, x - (x - s.left) * f, y + (s.bottom - y) * f, x + (s.right - x) * f);
    };

    // The ends of the axes, which the figure's scales follow inside the page.
    const placeAxes = () => {
      const s = seen();
      const ends = { y: [s.top, s.bottom], x: [s.left, s.right] };
      for (const name of ["y", "x"]) {
        const values = ends[name].map((pixel) => onAxis(model.get(name), pixel));
        model.set(`${name}_low`, Math.min(...values));
        model.set(`${name}_high`, Math.max(...values));
      }
      model.save_changes();
    };

    // Drawing

    const drawAll = () => {
      const [top, left, height, width] = model.get("area");
      Object.assign(svg.style, { top: `${top}px`, left: `${left}px` });
      reading.style.left = `${left}px`;
      Object.assign(ages.style, { top: `${top}px`, left: `${left}px` });
      svg.setAttribute("width", width);
      svg.setAttribute("height", height);
      const zoomed = model.get("window").length > 0;
      svg.classList.toggle("dmlink-zoomed", zoomed);
      drawMarks();
      drawLine();
      drawBar();
      drawRois();
      read();
    };

    const box = ([top, left, bottom, right]) => {
      const s = seen();
      return {
        x: (left - s.left) * s.x,
        y: (top - s.top) * s.y,
        width: Math.max(0, (right - left) * s.x),
        height: Math.max(0, (bottom - top) * s.y),
      };
    };

    // One path for all of a cell, and a dark one below it: seen on any grey, and quick for hundreds.
    let drawnMarks = null;
    const drawMarks = () => {
      drawnMarks = model.get("marks");
      layers.marks.replaceChildren();
      const s = seen();
      const at = ([y, x]) => [(x - s.left) * s.x, (y - s.top) * s.y];
      for (const mark of model.get("marks")) {
        const group = make("g", layers.marks, { class: "dmlink-mark", stroke: mark.colour, fill: mark.colour });
        const places = (mark.points || mark.boxes).length;
        group.setAttribute("role", "img");
        group.setAttribute("aria-label", `${mark.name}: ${places} ${places === 1 ? "marker" : "markers"}`);
        const tails = (mark.tails || []).map((tail) => `M${tail.map((p) => at(p).join()).join("L")}`);
        const circles = (mark.points || []).map(at).map(([x, y]) => `M${x - 5},${y}a5,5 0 1 0 10,0a5,5 0 1 0 -10,0`);
        const frames = (mark.boxes || []).map(box).map((b) => `M${b.x},${b.y}h${b.width}v${b.height}h${-b.width}z`);
        for (const kind of ["dmlink-halo", "dmlink-shape"]) {
          make("path", group, { class: kind, d: [...circles, ...frames].join("") });
          if (tails.length) make("path", group, { class: `${kind} dmlink-tail`, d: tails.join("") });
        }
        drawLabels(group, mark, (mark.points || mark.boxes).map(at));
      }
      drawAges();
    };

    // For the fence: marks are painted with the picture that they were drawn with.
    svg.paint = () => model.get("marks") !== drawnMarks && drawMarks();

    // Where there is no room for all labels only that under the pointer is shown. They need more room to come back
    // than they had when they went: what comes and goes with the frames is not calm.
    const drawLabels = (group, mark, corners) => {
      if (!mark.labels) return;
      const [, , h, w] = model.get("area");
      const inside = corners.filter(([x, y]) => x >= 0 && x <= w && y >= 0 && y <= h).length;
      const room = (h * w) / inside;
      if (room < LABEL_ROOM) crowded.add(mark.name);
      else if (room > 1.5 * LABEL_ROOM) crowded.delete(mark.name);
      let shown = corners.map((_, i) => i);
      if (crowded.has(mark.name)) {
        const s = seen();
        const [py, px] = pointer ? [(pointer[0] - s.top) * s.y, (pointer[1] - s.left) * s.x] : [NaN, NaN];
        const far = corners.map(([x, y]) => Math.hypot(x - px, y - py));
        const nearest = far.indexOf(Math.min(...far));
        shown = far[nearest] < LABEL_REACH ? [nearest] : [];
      }
      for (const i of shown) {
        const [x, y] = corners[i];
        make("text", group, mark.points ? { x: x + 8, y: y + 4 } : { x: x + 2, y: y - 4 }, mark.labels[i]);
      }
    };

    // Marks can be of another frame than the picture: a slow cell's are of one before it.
    const drawAges = () => {
      const known = new Map(model.get("marks").filter((m) => "behind" in m).map((m) => [m.name, m]));
      const lines = [...known.values()].map(({ name, colour, behind }) => {
        const line = document.createElement("div");
        const frames = Math.abs(behind) === 1 ? "frame" : "frames";
        line.textContent = behind ? `${name} \u00b7 ${Math.abs(behind)} ${frames} ${behind > 0 ? "earlier" : "later"}` : name;
        line.style.color = colour;
        return line;
      });
      ages.replaceChildren(...lines);
    };

    // The line that is drawn in DigitalMicrograph, with a dot where it begins, as far as it is on the image.
    const drawLine = () => {
      layers.line.replaceChildren();
      const [y0, x0, y1, x1] = model.get("line");
      if (x1 === undefined) return;
      const s = seen();
      const [begin, end] = [[x0, y0], [x1, y1]].map(([x, y]) => [(x - s.left) * s.x, (y - s.top) * s.y]);
      const group = make("svg", layers.line, { class: "dmlink-line", role: "img", "aria-label": "Line" });
      for (const kind of ["dmlink-halo", "dmlink-shape"]) {
        make("path", group, { class: kind, d: `M${begin}L${end}` });
        make("circle", group, { class: kind, cx: begin[0], cy: begin[1], r: 3 });
      }
    };

    const drawBar = () => {
      layers.bar.replaceChildren();
      if (!model.get("scale_bar")) return;
      const [, , h, w] = model.get("area");
      const [, scale, unit] = model.get("x");
      const perPixel = Math.abs(scale);
      const s = seen();
      if (w < 80 || h < 60) return;
      const { length, text } = rounded(((w * 0.25) / s.x) * perPixel, unit);
      const wide = (length / perPixel) * s.x;
      make("rect", layers.bar, { class: "dmlink-bar", x: 14, y: h - 18, width: wide, height: 5 });
      make("text", layers.bar, { class: "dmlink-bar-text", x: 14 + wide / 2, y: h - 25 }, text);
    };

    const drawRois = () => {
      layers.rois.replaceChildren();
      for (const [name, roi] of Object.entries(model.get("rois"))) drawRoi(name, roi);
    };

    const drawRoi = (name, roi) => {
      const chosen = model.get("selected") === name;
      const group = make("g", layers.rois, { class: "dmlink-roi", "aria-label": `ROI ${name}` });
      group.classList.toggle("dmlink-selected", chosen);
      const b = box(roi);
      grab(make("rect", group, { class: "dmlink-roi-body", ...b }), name, "body");
      make("text", group, { x: b.x + 4, y: b.y > 16 ? b.y - 5 : b.y + 15 }, name);
      for (const grip of chosen ? ["n", "s", "w", "e", "nw", "ne", "sw", "se"] : ["nw", "ne", "sw", "se"]) {
        const along = (low, high, size) => (grip.includes(low) ? 0 : grip.includes(high) ? size : size / 2);
        const handle = make("rect", group, {
          class: `dmlink-roi-handle dmlink-${grip}`,
          x: b.x + along("w", "e", b.width) - HANDLE / 2,
          y: b.y + along("n", "s", b.height) - HANDLE / 2,
          width: HANDLE,
          height: HANDLE,
        });
        grab(handle, name, grip);
      }
    };

    const read = () => {
      if (!pointer) return void (reading.textContent = "");
      const [row, column] = pointer.map(Math.floor);
      const places = [["x", column], ["y", row]].map(([name, pixel]) => {
        const axis = model.get(name); // where the pixel is, as cells reckon; ticks and ROIs tell of its edges
        return `${name} ${onAxis(axis, pixel).toPrecision(5)} ${axis[2] || "px"}`;
      });
      const value = model.get("value");
      const known = value.length && value[0] === row && value[1] === column;
      reading.textContent = `${places.join("   ")}   pixel ${column}, ${row}   ${known ? `value ${value[2]}` : ""}`;
    };

    // The pointer is followed on the window: what lies under it is drawn anew while it moves.
    const follow = (down, move, end) => {
      down.preventDefault();
      down.stopPropagation();
      el.focus({ preventScroll: true });
      let last = null;
      const step = () => {
        if (last) move(last);
        last = null;
      };
      const moved = (event) => {
        if (!last) requestAnimationFrame(step);
        last = event;
      };
      const ended = (event) => {
        step();
        for (const [name, call] of Object.entries(listeners)) window.removeEventListener(name, call);
        end?.(event);
      };
      const listeners = { pointermove: moved, pointerup: ended, pointercancel: ended };
      for (const [name, call] of Object.entries(listeners)) window.addEventListener(name, call);
    };

    const showRois = (rois) => {
      model.off("change:rois", roisChanged);
      model.set("rois", rois);
      model.on("change:rois", roisChanged);
      drawRois();
    };

    // What DigitalMicrograph says of a rectangle in the user's hand is older than the hand.
    const roisChanged = () => {
      theirs = model.get("rois");
      layers.new.replaceChildren();
      if (!held || !(held.name in theirs)) return drawRois();
      if (held.gone && String(theirs[held.name]) === String(held.roi)) return forget();
      showRois({ ...theirs, [held.name]: held.roi });
    };
    const forget = () => {
      if (held?.gone) clearTimeout(held.gone);
      held = null;
      showRois(theirs);
    };
    const letGo = () => {
      if (held) held.gone = setTimeout(forget, HELD_MS);
    };

    const place = (name, roi) => {
      if (held?.gone) clearTimeout(held.gone);
      held = { name, roi, gone: 0 };
      showRois({ ...model.get("rois"), [name]: roi });
      model.set("moved", { name, roi });
      model.save_changes();
    };

    const select = (name) => {
      if (model.get("selected") === name) return;
      model.set("selected", name);
      model.save_changes();
    };

    const grab = (node, name, grip) => {
      node.addEventListener("pointerdown", (down) => {
        if (down.button !== 0 || model.get("drawing")) return;
        const from = model.get("rois")[name];
        const s = seen();
        select(name);
        follow(
          down,
          (move) => {
            const dy = Math.round((move.clientY - down.clientY) / s.y);
            const dx = Math.round((move.clientX - down.clientX) / s.x);
            if (dy || dx || held) place(name, taken(grip, from, dy, dx, s.height, s.width));
          },
          letGo,
        );
      });
    };

    const drawNew = (down) => {
      const from = pixelAt(down);
      let roi = null;
      follow(
        down,
        (move) => {
          const to = pixelAt(move);
          const s = seen();
          const [top, bottom] = [from[0], to[0]].sort((a, b) => a - b).map((v) => Math.round(clamp(v, 0, s.height)));
          const [left, right] = [from[1], to[1]].sort((a, b) => a - b).map((v) => Math.round(clamp(v, 0, s.width)));
          roi = [top, left, bottom, right];
          layers.new.replaceChildren();
          make("rect", layers.new, { class: "dmlink-roi-new", ...box(roi) });
        },
        () => {
          const enough = roi && roi[2] - roi[0] >= 2 && roi[3] - roi[1] >= 2;
          if (enough) model.send({ drawn: roi });
          model.set("drawing", false);
          model.save_changes();
          // stays until DigitalMicrograph has it
          setTimeout(() => layers.new.replaceChildren(), enough ? HELD_MS : 0);
        },
      );
    };

    const pan = (down) => {
      const from = seen();
      select("");
      if (!model.get("window").length) return el.focus({ preventScroll: true });
      follow(down, (move) => {
        const dy = (down.clientY - move.clientY) / from.y;
        const dx = (down.clientX - move.clientX) / from.x;
        show(from.top + dy, from.left + dx, from.bottom + dy, from.right + dx);
      });
    };

    svg.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      if (model.get("drawing")) drawNew(down);
      else pan(down);
    });
    svg.addEventListener("dblclick", () => show(0, 0, Infinity, Infinity));
    svg.addEventListener(
      "wheel",
      (event) => {
        const out = event.deltaY > 0;
        if (out && !model.get("window").length) return; // let the page scroll on
        event.preventDefault();
        zoom(Math.exp(clamp(event.deltaY, -200, 200) / 400), pixelAt(event));
      },
      { passive: false },
    );

    // The value under the pointer is the kernel's to know: it is asked now and then.
    let asked = "";
    let due = 0;
    const ask = () => {
      due = 0;
      const place = pointer && pointer.map(Math.floor);
      if (String(place) === asked) return;
      asked = String(place);
      model.send({ pointer: place });
    };
    const point = (place) => {
      pointer = place;
      read();
      if (crowded.size) drawMarks();
      due ||= setTimeout(ask, HOVER_MS);
    };
    svg.addEventListener("pointermove", (event) => {
      const s = seen();
      const [y, x] = pixelAt(event);
      point(y >= 0 && y < s.height && x >= 0 && x < s.width ? [y, x] : null);
    });
    svg.addEventListener("pointerleave", () => point(null));

    // Keys of the image; panel.js has those of the panel

    const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const KEYS = {
      Escape: () => (model.get("drawing") ? (model.set("drawing", false), model.save_changes()) : select("")),
      Delete: () => model.get("selected") && model.send({ removed: model.get("selected") }),
      0: () => show(0, 0, Infinity, Infinity),
      "+": () => zoom(0.8, centre()),
      "-": () => zoom(1.25, centre()),
    };
    KEYS.Backspace = KEYS.Delete;
    const centre = () => {
      const s = seen();
      return [(s.top + s.bottom) / 2, (s.left + s.right) / 2];
    };
    // JupyterLab's own shortcuts: x would cut the cell, but Ctrl+S is meant. It looks for this attribute later.
    const shortcuts = (event) => {
      el.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey || event.altKey));
    };
    window.addEventListener("keydown", shortcuts, true);
    el.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const name = model.get("selected");
      const roi = model.get("rois")[name];
      if (KEYS[event.key]) KEYS[event.key]();
      else if (STEPS[event.key] && roi) {
        const [dy, dx] = STEPS[event.key].map((v) => v * (event.shiftKey ? 10 : 1));
        const s = seen();
        place(name, taken("body", roi, dy, dx, s.height, s.width));
        letGo();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });

    const drawingChanged = () => svg.classList.toggle("dmlink-drawing", model.get("drawing"));
    const geometry = () => {
      placeAxes();
      drawAll();
    };
    const heard = {
      "change:rois": roisChanged,
      "change:selected": drawRois,
      "change:line": drawLine,
      "change:value": read,
      "change:drawing": drawingChanged,
      "change:area": drawAll,
      "change:description": describe,
    };
    for (const name of ["shape", "window", "y", "x"]) heard[`change:${name}`] = geometry;
    for (const [name, call] of Object.entries(heard)) model.on(name, call);
    requestAnimationFrame(geometry); // the element is in the page by then
    return () => {
      window.removeEventListener("keydown", shortcuts, true);
      for (const [name, call] of Object.entries(heard)) model.off(name, call);
    };
  },
};
