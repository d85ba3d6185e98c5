// Paints the newest picture; the browser decodes it beside its main thread.
export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    const frame = document.createElement("div"); // cuts off what is outside of the window
    frame.appendChild(canvas);
    el.appendChild(frame);
    const context = canvas.getContext("2d");
    let asked = 0; // pictures that came
    let decoded = 0; // the newest that is decoded
    let ready = null; // that one, until it is painted: {bitmap, part}
    let part = []; // of the image, that has been painted

    const decode = async () => {
      const picture = model.get("picture");
      if (!picture?.byteLength) return;
      const number = ++asked;
      const of = model.get("part");
      const bitmap = await createImageBitmap(new Blob([picture]));
      if (number < decoded) return bitmap.close(); // it took longer than the next one
      decoded = number;
      ready?.bitmap.close();
      ready = { bitmap, part: of };
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
      part = ready.part;
      ready = null;
      place();
      canvas.dataset.painted = decoded; // to be watched from outside
    };
    const place = () => {
      const [top, left, height, width] = model.get("area");
      Object.assign(frame.style, { top: `${top}px`, left: `${left}px`, height: `${height}px`, width: `${width}px` });
      const whole = [0, 0, ...model.get("shape")];
      const [t, l, b, r] = model.get("window").length ? model.get("window") : whole;
      const of = part.length ? part : whole;
      const [y, x] = [height / (b - t || 1), width / (r - l || 1)];
      const shown = { top: (of[0] - t) * y, left: (of[1] - l) * x, height: (of[2] - of[0]) * y, width: (of[3] - of[1]) * x };
      for (const [side, px] of Object.entries(shown)) canvas.style[side] = `${px}px`;
      // Pixels that are large on the screen are shown as what they are; others would get uneven edges.
      canvas.style.imageRendering = shown.width >= 3 * canvas.width ? "pixelated" : "auto";
    };
    const describe = () => canvas.setAttribute("aria-label", model.get("description"));
    // For the fence: what is drawn together is painted together, when all of it is decoded.
    const take = () => {
      canvas.decoded = decode().catch(() => {}); // one that cannot be decoded leaves the last one
    };
    canvas.classList.add("dmlink-drawn");
    canvas.paint = paint;
    model.on("change:picture", take);
    model.on("change:area change:window change:shape", place);
    model.on("change:description", describe);
    place();
    describe();
    take();
    canvas.decoded.then(paint); // no mark comes for what was there before this view
    return () => {
      model.off("change:picture", take);
      model.off("change:area change:window change:shape", place);
      model.off("change:description", describe);
    };
  },
};
