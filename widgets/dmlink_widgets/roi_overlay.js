// Rectangles over an image: drag one to move it, drag a corner to resize it.
const SVG = "http://www.w3.org/2000/svg";
const CORNERS = [["top", "left"], ["top", "right"], ["bottom", "left"], ["bottom", "right"]];
const HANDLE = 9; // px
const SMALLEST = 4; // image pixels

const make = (name, parent, attributes = {}) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.appendChild(node);
  return node;
};

export default {
  render({ model, el }) {
    const svg = make("svg", el);
    let dragging = null; // the name of the rectangle in the user's hand

    const scale = () => {
      const [height, width] = model.get("shape");
      const [, , h, w] = model.get("area");
      return { x: w / (width || 1), y: h / (height || 1), width, height };
    };

    const draw = () => {
      const [top, left, height, width] = model.get("area");
      Object.assign(svg.style, { top: `${top}px`, left: `${left}px` });
      svg.setAttribute("width", width);
      svg.setAttribute("height", height);
      svg.replaceChildren();
      for (const [name, roi] of Object.entries(model.get("rois"))) drawRoi(name, roi);
    };

    const drawRoi = (name, [top, left, bottom, right]) => {
      const s = scale();
      const group = make("g", svg, { class: "dmlink-roi", "aria-label": `ROI ${name}` });
      const box = { x: left * s.x, y: top * s.y, width: (right - left) * s.x, height: (bottom - top) * s.y };
      const body = make("rect", group, { class: "dmlink-roi-body", ...box });
      grab(body, name, (roi, dy, dx) => {
        const y = Math.min(Math.max(dy, -roi[0]), s.height - roi[2]);
        const x = Math.min(Math.max(dx, -roi[1]), s.width - roi[3]);
        return [roi[0] + y, roi[1] + x, roi[2] + y, roi[3] + x];
      });
      const text = make("text", group, { x: box.x + 4, y: box.y > 16 ? box.y - 5 : box.y + 15 });
      text.textContent = name;
      for (const [vertical, horizontal] of CORNERS) {
        const handle = make("rect", group, {
          class: `dmlink-roi-handle dmlink-${vertical}-${horizontal}`,
          x: box.x + (horizontal === "right" ? box.width : 0) - HANDLE / 2,
          y: box.y + (vertical === "bottom" ? box.height : 0) - HANDLE / 2,
          width: HANDLE,
          height: HANDLE,
        });
        grab(handle, name, (roi, dy, dx) => {
          const [t, l, b, r] = roi;
          const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
          return [
            vertical === "top" ? clamp(t + dy, 0, b - SMALLEST) : t,
            horizontal === "left" ? clamp(l + dx, 0, r - SMALLEST) : l,
            vertical === "bottom" ? clamp(b + dy, t + SMALLEST, s.height) : b,
            horizontal === "right" ? clamp(r + dx, l + SMALLEST, s.width) : r,
          ];
        });
      }
    };

    // The pointer is followed on the window: the rectangle under it is drawn anew while it moves.
    const grab = (node, name, moved) => {
      node.addEventListener("pointerdown", (down) => {
        if (down.button !== 0) return;
        down.preventDefault();
        down.stopPropagation();
        dragging = name;
        const from = model.get("rois")[name];
        const s = scale();
        let asked = false;
        let last = down;
        const follow = (move) => {
          last = move;
          if (asked) return;
          asked = true;
          requestAnimationFrame(() => {
            asked = false;
            const dy = Math.round((last.clientY - down.clientY) / s.y);
            const dx = Math.round((last.clientX - down.clientX) / s.x);
            const roi = moved(from, dy, dx);
            model.set("rois", { ...model.get("rois"), [name]: roi });
            model.set("moved", { name, roi });
            model.save_changes();
          });
        };
        const release = () => {
          window.removeEventListener("pointermove", follow);
          window.removeEventListener("pointerup", release);
          window.removeEventListener("pointercancel", release);
          dragging = null;
        };
        window.addEventListener("pointermove", follow);
        window.addEventListener("pointerup", release);
        window.addEventListener("pointercancel", release);
      });
    };

    // What DM says of a rectangle in the user's hand is older than the hand.
    const changed = () => {
      if (!dragging) return draw();
      const held = model.get("moved");
      const rois = model.get("rois");
      if (held?.name === dragging && rois[dragging] !== held.roi) {
        model.set("rois", { ...rois, [dragging]: held.roi }, { silent: true });
      }
      draw();
    };
    model.on("change:rois", changed);
    model.on("change:area", draw);
    model.on("change:shape", draw);
    draw();
  },
};
