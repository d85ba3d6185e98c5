// Paints the newest picture; the browser decodes pictures off its main thread.
export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    const frame = document.createElement("div"); // clips at the viewport
    frame.appendChild(canvas);
    el.appendChild(frame);
    const context = canvas.getContext("2d");
    let received = 0; // pictures
    let decoded = 0; // number of the newest decoded picture
    let ready = null; // that picture until it is painted: {bitmap, extent}
    let painted = []; // extent of the painted picture

    const decode = async () => {
      const picture = model.get("picture");
      if (!picture?.byteLength) return;
      const number = ++received;
      const extent = model.get("extent");
      const bitmap = await createImageBitmap(new Blob([picture]));
      if (number < decoded) return bitmap.close(); // it took longer than the next one
      decoded = number;
      ready?.bitmap.close();
      ready = { bitmap, extent };
    };
    const paint = () => {
      if (!ready) return;
      const { bitmap } = ready;
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      context.drawImage(bitmap, 0, 0);
      bitmap.close();
      painted = ready.extent;
      ready = null;
      place();
      canvas.dataset.painted = decoded; // for tests and benchmarks
    };
    const place = () => {
      const [top, left, height, width] = model.get("area");
      Object.assign(frame.style, { top: `${top}px`, left: `${left}px`, height: `${height}px`, width: `${width}px` });
      const whole = [0, 0, ...model.get("shape")];
      const [t, l, b, r] = model.get("viewport").length ? model.get("viewport") : whole;
      const [t0, l0, b0, r0] = painted.length ? painted : whole;
      const [y, x] = [height / (b - t || 1), width / (r - l || 1)];
      const box = { top: (t0 - t) * y, left: (l0 - l) * x, height: (b0 - t0) * y, width: (r0 - l0) * x };
      for (const [side, px] of Object.entries(box)) canvas.style[side] = `${px}px`;
      // Sharp edges only for pixels that are large on the screen; small ones would become uneven.
      canvas.style.imageRendering = box.width >= 3 * canvas.width ? "pixelated" : "auto";
    };
    const describe = () => canvas.setAttribute("aria-label", model.get("description"));
    // Called by the fence, which paints a round when all of it is decoded.
    const take = () => {
      canvas.decoded = decode().catch(() => {}); // if it cannot be decoded, the last one stays
    };
    canvas.classList.add("dmlink-drawn");
    canvas.paint = paint;
    model.on("change:picture", take);
    model.on("change:area change:viewport change:shape", place);
    model.on("change:description", describe);
    place();
    describe();
    take();
    canvas.decoded.then(paint); // no round follows for a picture that existed before this view
    return () => {
      model.off("change:picture", take);
      model.off("change:area change:viewport change:shape", place);
      model.off("change:description", describe);
    };
  },
};
