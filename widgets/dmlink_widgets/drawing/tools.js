// Shapes over an image: line, ruler, spot, ellipse, ring and polygon, drawn and moved by mouse and by key. All of it is
// in image pixels, and drawn into a layer provided by image_overlay.js.
const HANDLE = 9; // px
const HELD_MS = 10_000; // ms that a released shape waits for the kernel to follow
const CLICK = 4; // px that the pointer may move during a click
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export default {
  render({ model, el }) {
    let host = null;
    let gone = false;
    let held = null; // {id, points, timer}: where the pointer holds a shape, until the kernel has it there
    let begun = null; // {kind, points}: the shape being drawn

    const shapes = () =>
      model.get("shapes").map((shape) => (shape.id === held?.id ? { ...shape, points: held.points } : shape));
    const save = (name, value) => {
      model.set(name, value);
      model.save_changes();
    };

    // Drawing

    const path = ({ kind, points }, at) => {
      const [a, b] = points.map(at);
      if (kind === "spot") return `M${a[0] - 7},${a[1]}a7,7 0 1 0 14,0a7,7 0 1 0 -14,0`;
      if (kind === "ellipse") {
        const [rx, ry] = [Math.abs(b[0] - a[0]) / 2, Math.abs(b[1] - a[1]) / 2];
        return `M${Math.min(a[0], b[0])},${(a[1] + b[1]) / 2}a${rx},${ry} 0 1 0 ${2 * rx},0a${rx},${ry} 0 1 0 ${-2 * rx},0`;
      }
      if (kind === "ring") {
        const s = host.seen();
        return points.slice(1).map(([y, x]) => {
          const r = Math.hypot(y - points[0][0], x - points[0][1]);
          const [rx, ry] = [r * s.x, r * s.y];
          return `M${a[0] - rx},${a[1]}a${rx},${ry} 0 1 0 ${2 * rx},0a${rx},${ry} 0 1 0 ${-2 * rx},0`;
        }).join("");
      }
      return `M${points.map((p) => at(p).join()).join("L")}${kind === "polygon" ? "Z" : ""}`;
    };
    // the area covered by a line with a width
    const band = ({ points: [[y0, x0], [y1, x1]], width }, at) => {
      const length = Math.hypot(y1 - y0, x1 - x0) || 1;
      const [dy, dx] = [((x1 - x0) / length) * (width / 2), (-(y1 - y0) / length) * (width / 2)];
      const corners = [[y0 + dy, x0 + dx], [y1 + dy, x1 + dx], [y1 - dy, x1 - dx], [y0 - dy, x0 - dx]];
      return `M${corners.map((p) => at(p).join()).join("L")}Z`;
    };
    const drawShape = (shape) => {
      const s = host.seen();
      const at = ([y, x]) => [(x - s.left) * s.x, (y - s.top) * s.y];
      const chosen = model.get("selected") === shape.id;
      const group = host.make("g", host.layer, { class: `dmlink-tool dmlink-tool-${shape.kind}` });
      group.setAttribute("aria-label", `${shape.name} ${shape.label}`.trim());
      group.classList.toggle("dmlink-selected", chosen);
      if (shape.colour) group.style.setProperty("--dmlink-tool", shape.colour);
      if (shape.width > 1) host.make("path", group, { class: "dmlink-tool-band", d: band(shape, at) });
      const d = path(shape, at);
      for (const kind of ["halo", "shape", "body"]) {
        const node = host.make("path", group, { class: `dmlink-tool-${kind}`, d });
        if (kind === "body") grab(node, shape, null);
      }
      const [x, y] = at(shape.points.at(-1));
      const words = [shape.name, shape.label].filter(Boolean).join(": "); // "1 5 nm" would be read as 1.5 nm
      const right = (s.right - s.left) * s.x - x < 7 * words.length + 9; // no room there
      const place = right ? { x: x - 9, y: y - 7, "text-anchor": "end" } : { x: x + 9, y: y - 7 };
      host.make("text", group, place, words);
      shape.points.forEach((point, i) => {
        if (shape.kind === "spot" || (i === 0 && shape.kind === "ring")) return;
        const [px, py] = at(point);
        const box = { x: px - HANDLE / 2, y: py - HANDLE / 2, width: HANDLE, height: HANDLE };
        const round = shape.kind === "line" && i === 0 ? { rx: HANDLE / 2 } : {}; // the start of its profile
        grab(host.make("rect", group, { class: "dmlink-tool-handle", ...box, ...round }), shape, i);
      });
    };
    const draw = () => {
      if (!host) return;
      host.layer.replaceChildren();
      for (const shape of shapes()) drawShape(shape);
      if (begun) drawShape({ id: -1, name: "", label: "", width: 1, ...begun });
    };

    // Moving

    const letGo = () => {
      clearTimeout(held?.timer);
      held = null;
    };
    const place = (id, points) => {
      clearTimeout(held?.timer);
      held = { id, points, timer: 0 };
      draw();
      save("moved", { id, points });
    };
    const release = () => {
      if (!held || held.timer) return; // nothing was moved since it was released
      model.send({ released: held.id, points: held.points }); // this message may overtake the last `moved`
      held.timer = setTimeout(() => {
        letGo();
        draw();
      }, HELD_MS);
      shapesChanged();
    };
    const shapesChanged = () => {
      const theirs = held && model.get("shapes").find(({ id }) => id === held.id);
      if (held && (!theirs || (held.timer && String(theirs.points) === String(held.points)))) letGo();
      draw();
    };
    const moved = (points, i, dy, dx) => points.map(([y, x], k) => (i === null || i === k ? [y + dy, x + dx] : [y, x]));
    const grab = (node, shape, i) => {
      node.addEventListener("pointerdown", (down) => {
        if (down.button !== 0 || (model.get("tool") && model.get("tool") !== "spot")) return;
        const from = shape.points;
        const start = host.pixelAt(down);
        choose(shape.id);
        host.follow(
          down,
          (move) => {
            const [y, x] = host.pixelAt(move);
            if (y !== start[0] || x !== start[1] || held) place(shape.id, moved(from, i, y - start[0], x - start[1]));
          },
          release,
        );
      });
    };
    const choose = (id) => {
      if (model.get("selected") !== id) save("selected", id);
      if (id >= 0) host.select("");
    };

    // Drawing new shapes

    const done = (drawn, event) => {
      begun = null;
      if (drawn) model.send({ drawn });
      if (model.get("tool") !== "spot" && !event?.shiftKey) save("tool", ""); // Shift keeps the tool
      draw();
    };
    const press = (down) => {
      const kind = model.get("tool");
      if (!kind) {
        choose(-1);
        return false;
      }
      const from = host.pixelAt(down);
      if (kind === "polygon") {
        down.preventDefault();
        begun = { kind, points: [...(begun?.points ?? []), from] };
        draw();
        return true;
      }
      if (kind === "spot") {
        const clicked = ({ clientX, clientY }) => {
          window.removeEventListener("pointerup", clicked);
          if (Math.hypot(clientX - down.clientX, clientY - down.clientY) < CLICK) done({ kind, points: [from] });
        };
        window.addEventListener("pointerup", clicked);
        return false; // a drag still pans
      }
      host.follow(
        down,
        (move) => {
          const to = host.pixelAt(move);
          const inner = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
          begun = { kind, points: kind === "ring" ? [from, to, inner] : [from, to] };
          draw();
        },
        (up) => {
          const [a, b] = begun?.points ?? [from, from];
          done(Math.hypot(b[0] - a[0], b[1] - a[1]) >= 1 ? begun : null, up);
        },
      );
      return true;
    };
    const finish = (event) => {
      if (begun?.kind !== "polygon") return false;
      const points = begun.points.filter((p, i, all) => !i || Math.hypot(p[0] - all[i - 1][0], p[1] - all[i - 1][1]) > 0.5);
      done(points.length > 2 ? { kind: "polygon", points } : null, event);
      return true;
    };
    const key = (event) => {
      const shape = shapes().find(({ id }) => id === model.get("selected"));
      if (event.key === "Escape") {
        if (!begun && (!model.get("tool") || model.get("tool") === "spot") && !shape) return false;
        begun = null;
        if (model.get("tool") && model.get("tool") !== "spot") save("tool", "");
        choose(-1);
      } else if (event.key === "Enter") return finish(event);
      else if (!shape) return false;
      else if (event.key === "Delete" || event.key === "Backspace") model.send({ removed: shape.id });
      else if (STEPS[event.key]) {
        const [dy, dx] = STEPS[event.key].map((v) => v * (event.shiftKey ? 10 : 1));
        place(shape.id, moved(shape.points, null, dy, dx));
        release();
      } else return false;
      draw();
      return true;
    };

    // Buttons

    const buttons = new Map(); // models of the toggles, by kind
    const forget = []; // stops following them
    const followTool = () => {
      for (const [kind, button] of buttons) {
        const down = model.get("tool") === kind;
        if (button.get("value") === down) continue;
        button.set("value", down);
        button.save_changes();
      }
    };
    const findButtons = async () => {
      for (const [kind, id] of Object.entries(model.get("buttons"))) {
        const button = await model.widget_manager.get_model(id);
        if (gone) return;
        const pressed = () => {
          if (button.get("value") !== (model.get("tool") === kind)) save("tool", button.get("value") ? kind : "");
        };
        buttons.set(kind, button);
        button.on("change:value", pressed);
        forget.push(() => button.off("change:value", pressed));
      }
    };

    const toolChanged = () => {
      begun = null;
      followTool();
      const drawing = Boolean(model.get("tool"));
      if (drawing) host?.stopDrawing();
      host?.layer.ownerSVGElement.classList.toggle("dmlink-drawing", drawing);
      draw();
    };
    const leave = () => model.get("tool") && model.get("tool") !== "spot" && save("tool", "");
    const guest = { draw, press, key, leave, finish };
    const find = () => {
      host = el.closest(".dmlink-stack")?.querySelector(".dmlink-overlay")?.dmlinkHost; // once both are in the page
      if (!host) return gone || requestAnimationFrame(find);
      host.guests.add(guest);
      toolChanged();
    };
    find();
    findButtons();
    const heard = { "change:shapes": shapesChanged, "change:selected": draw, "change:tool": toolChanged };
    for (const [name, call] of Object.entries(heard)) model.on(name, call);
    return () => {
      gone = true;
      host?.guests.delete(guest);
      for (const call of forget) call();
      for (const [name, call] of Object.entries(heard)) model.off(name, call);
    };
  },
};
