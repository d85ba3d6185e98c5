// The layer over an image: ROIs, marks, the scale bar; zoom, pan and the value under the pointer.
// Everything is in image pixels; the `viewport` is the part of the image that is visible.
const SVG = "http://www.w3.org/2000/svg";
const HANDLE = 9; // px
const SMALLEST = 4; // image pixels, shortest side of an ROI
const CLOSEST = 8; // image pixels per side at the highest zoom
const HOVER_MS = 50; // ms between two requests for the value under the pointer
const LABEL_ROOM = 64 * 64; // px² per mark label; with less, labels overlap
const LABEL_REACH = 24; // px from the pointer within which a mark's label is shown
const HELD_MS = 60_000; // ms that a released ROI waits for DigitalMicrograph to follow; a busy kernel may need ten seconds
const RESIZED = 4; // px by which the column must change before the layout does
const LENGTHS = ["pm", "nm", "µm", "mm", "m"];

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

const make = (name, parent, attributes = {}, text = "") => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  parent.appendChild(node);
  return node;
};

// An ROI dragged by (dy, dx) at its `grip`: "body", or the letters of a side or corner (n, s, w, e).
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
    for (const name of ["marks", "bar", "rois", "tools", "new"]) layers[name] = make("g", svg);
    // a line drawn far beyond the image is cut off near its edge
    const edge = make("clipPath", svg, { id: `dmlink-${Math.random().toString(36).slice(2)}` });
    const around = make("rect", edge, { x: -48, y: -24 });
    layers.tools.setAttribute("clip-path", `url(#${edge.id})`);
    const reading = document.createElement("div");
    reading.className = "dmlink-reading";
    el.appendChild(reading);
    const ages = document.createElement("div");
    ages.className = "dmlink-ages";
    el.appendChild(ages);
    const chip = document.createElement("button");
    chip.className = "dmlink-zoom";
    chip.title = "Show the whole image";
    chip.addEventListener("click", () => show(0, 0, Infinity, Infinity));
    el.appendChild(chip);
    // The ROI that is being dragged, or was released but is not yet in DigitalMicrograph: {name, roi, sent, timer}. The
    // others are drawn as they are in DigitalMicrograph: only the kernel sets `rois`, and only the page sets `moved`.
    let held = null;
    let pointer = null; // [y, x] in image pixels
    const crowded = new Set(); // names of marks whose labels have no room

    // Other things drawn over the image, such as rulers (tools.js): {draw(), press(down), key(event)}. They are drawn
    // whenever this is, and get presses and keys first.
    const guests = new Set();

    // Geometry

    const seen = () => {
      const [height, width] = model.get("shape");
      const viewport = model.get("viewport");
      const [top, left, bottom, right] = viewport.length ? viewport : [0, 0, height, width];
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
      model.set("viewport", all ? [] : [t, l, t + h, l + w]);
      model.save_changes();
    };
    const zoom = (factor, [y, x]) => {
      const s = seen();
      const longer = Math.max(s.bottom - s.top, s.right - s.left);
      const f = Math.max(factor, CLOSEST / longer);
      show(y - (y - s.top) * f, x - (x - s.left) * f, y + (s.bottom - y) * f, x + (s.right - x) * f);
    };

    // The ends of the axes; the figure's scales follow them in the page.
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
      around.setAttribute("width", width + 96);
      around.setAttribute("height", height + 48);
      const zoomed = model.get("viewport").length > 0;
      svg.classList.toggle("dmlink-zoomed", zoomed);
      chip.hidden = !zoomed;
      const { left: l, right: r, width: all } = seen();
      chip.textContent = `${Number((all / (r - l)).toPrecision(2))}x \u2715`;
      Object.assign(chip.style, { top: `${top + 6}px`, left: `${left + width - 6}px` });
      drawMarks();
      drawBar();
      drawRois();
      for (const guest of guests) guest.draw();
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

    // One path for all marks of a cell, over a dark one: visible on any grey, and fast for hundreds of marks.
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
        group.setAttribute("aria-label", `${mark.name}: ${places} ${places === 1 ? "mark" : "marks"}`);
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

    // Called by the fence, which paints marks together with their picture.
    svg.paint = () => model.get("marks") !== drawnMarks && drawMarks();

    // If there is no room for all labels, only the one under the pointer is shown. Labels need more room to
    // reappear than to disappear, so that they do not flicker from frame to frame.
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

    // Marks can belong to a different frame than the picture: those of a slow cell are older.
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

    // The line ROI of DigitalMicrograph, clipped to the image, with a dot at its start.
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
      for (const [name, roi] of Object.entries(rois())) drawRoi(name, roi);
    };

    const drawRoi = (name, roi) => {
      const chosen = model.get("selected") === name;
      const group = make("g", layers.rois, { class: "dmlink-roi", "aria-label": `ROI ${name}` });
      if (model.get("colours")[name]) group.style.setProperty("--dmlink-roi", model.get("colours")[name]);
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
        const axis = model.get(name); // the pixel's own position, as in cells; ticks and ROIs lie on pixel edges
        return `${name} ${onAxis(axis, pixel).toPrecision(5)} ${axis[2] || "px"}`;
      });
      const value = model.get("value");
      const known = value.length && value[0] === row && value[1] === column;
      reading.textContent = `${places.join("   ")}   pixel ${column}, ${row}   ${known ? `value ${value[2]}` : ""}`;
    };

    // The pointer is tracked on the browser's window, because the shapes under it are replaced while it moves.
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

    // Where an ROI is now: at the pointer, or in DigitalMicrograph.
    const rois = () => (held ? { ...model.get("rois"), [held.name]: held.roi } : model.get("rois"));

    const letGo = () => {
      clearTimeout(held?.timer);
      held = null;
    };

    // While an ROI is dragged, DigitalMicrograph reports earlier positions of the drag. Any other comes from
    // somebody else, or from DigitalMicrograph itself.
    const roisChanged = () => {
      layers.new.replaceChildren();
      const theirs = held && model.get("rois")[held.name];
      const arrived = String(theirs) === String(held?.roi);
      if (held && (!theirs || (held.timer && (arrived || !held.sent.has(String(theirs)))))) letGo();
      drawRois();
    };
    const release = () => {
      if (!held || held.timer) return; // nothing was moved since it was released
      model.send({ released: held.name, roi: held.roi }); // it may overtake the last `moved`
      held.timer = setTimeout(() => {
        letGo();
        drawRois();
      }, HELD_MS);
      roisChanged();
    };

    const place = (name, roi) => {
      const from = model.get("rois")[name];
      if (!from) return; // the ROI was deleted meanwhile
      const sent = held?.name === name ? held.sent : new Set([String(from)]);
      clearTimeout(held?.timer);
      held = { name, roi, sent: sent.add(String(roi)), timer: 0 };
      drawRois();
      model.set("moved", { name, roi });
      model.save_changes();
    };

    const select = (name) => {
      if (model.get("selected") === name) return;
      model.set("selected", name);
      model.save_changes();
    };

    // Panels of cells on the selected ROI are highlighted (panel.js), and can select their ROI.
    const selectedChanged = () => {
      drawRois();
      const detail = { place: model.get("place"), name: model.get("selected") };
      if (detail.place) document.dispatchEvent(new CustomEvent("dmlink-selected", { detail }));
    };
    const chosenElsewhere = ({ detail }) => detail.place === model.get("place") && detail.name in rois() && select(detail.name);
    document.addEventListener("dmlink-roi", chosenElsewhere);

    const grab = (node, name, grip) => {
      node.addEventListener("pointerdown", (down) => {
        if (down.button !== 0 || svg.classList.contains("dmlink-drawing")) return; // a tool is in use
        const from = rois()[name];
        const s = seen();
        select(name);
        follow(
          down,
          (move) => {
            const dy = Math.round((move.clientY - down.clientY) / s.y);
            const dx = Math.round((move.clientX - down.clientX) / s.x);
            if (dy || dx || held) place(name, taken(grip, from, dy, dx, s.height, s.width));
          },
          release,
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
          // it stays until it is in DigitalMicrograph
          setTimeout(() => layers.new.replaceChildren(), enough ? HELD_MS : 0);
        },
      );
    };

    const pan = (down) => {
      const from = seen();
      select("");
      if (!model.get("viewport").length) return el.focus({ preventScroll: true });
      follow(down, (move) => {
        const dy = (down.clientY - move.clientY) / from.y;
        const dx = (down.clientX - move.clientX) / from.x;
        show(from.top + dy, from.left + dx, from.bottom + dy, from.right + dx);
      });
    };

    svg.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      if (model.get("drawing")) drawNew(down);
      else if (![...guests].some((guest) => guest.press(down))) pan(down);
    });
    svg.addEventListener("dblclick", (event) => {
      if (![...guests].some((guest) => guest.finish(event))) show(0, 0, Infinity, Infinity);
    });
    svg.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return; // without Ctrl, the page scrolls; pinching a touchpad counts as Ctrl
        event.preventDefault();
        zoom(Math.exp(clamp(event.deltaY, -200, 200) / 400), pixelAt(event));
      },
      { passive: false },
    );

    // Only the kernel knows the value under the pointer, so it is asked at intervals.
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

    // Keys of the image; those of the panel are in panel.js

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
    // Hides keys from JupyterLab, where x would cut the cell, but not Ctrl+S. JupyterLab checks the attribute later.
    const shortcuts = (event) => {
      el.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey || event.altKey));
    };
    window.addEventListener("keydown", shortcuts, true);
    el.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const name = model.get("selected");
      const roi = rois()[name];
      if ([...guests].some((guest) => guest.key(event))) {
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      if (KEYS[event.key]) KEYS[event.key]();
      else if (STEPS[event.key] && roi) {
        const [dy, dx] = STEPS[event.key].map((v) => v * (event.shiftKey ? 10 : 1));
        const s = seen();
        place(name, taken("body", roi, dy, dx, s.height, s.width));
        release();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });

    const stopDrawing = () => {
      if (!model.get("drawing")) return;
      model.set("drawing", false);
      model.save_changes();
    };
    el.dmlinkHost = { guests, layer: layers.tools, make, seen, pixelAt, follow, select, stopDrawing };
    const drawingChanged = () => {
      if (model.get("drawing")) for (const guest of guests) guest.leave(); // one tool at a time
      svg.classList.toggle("dmlink-drawing", model.get("drawing"));
    };
    const geometry = () => {
      placeAxes();
      drawAll();
    };
    const heard = {
      "change:rois": roisChanged,
      "change:selected": selectedChanged,
      "change:colours": drawRois,
      "change:value": read,
      "change:drawing": drawingChanged,
      "change:area": drawAll,
      "change:description": describe,
    };
    for (const name of ["shape", "viewport", "y", "x"]) heard[`change:${name}`] = geometry;
    for (const [name, call] of Object.entries(heard)) model.on(name, call);
    requestAnimationFrame(geometry); // by then, the element is in the page

    // The room for the figure, and the number of device pixels per px, for which the kernel lays out the figure.
    const measure = () => {
      const style = getComputedStyle(panel);
      const room = Math.floor(panel.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
      const ratio = window.devicePixelRatio || 1;
      if (room < 1 || (Math.abs(room - model.get("room")) < RESIZED && ratio === model.get("ratio"))) return;
      model.set({ room, ratio });
      model.save_changes();
    };
    const sizes = new ResizeObserver(measure);
    let panel = null;
    let gone = false;
    const observe = () => {
      panel = el.closest(".dmlink-panel"); // null until the element is in the page
      if (panel) sizes.observe(panel);
      else if (!gone) requestAnimationFrame(observe);
    };
    observe();
    return () => {
      gone = true;
      sizes.disconnect();
      window.removeEventListener("keydown", shortcuts, true);
      document.removeEventListener("dmlink-roi", chosenElsewhere);
      for (const [name, call] of Object.entries(heard)) model.off(name, call);
    };
  },
};
