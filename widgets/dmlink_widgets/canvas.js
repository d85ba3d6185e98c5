// Paints the newest picture; the browser decodes it beside its main thread.
export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    const frame = document.createElement("div"); // cuts off what is outside of the window
    frame.appendChild(canvas);
    el.appendChild(frame);
    const context = canvas.getContext("2d");
    let asked = 0;
    let painted = 0;
    let part = []; // of the image, that has been painted

    const paint = async () => {
      const picture = model.get("picture");
      if (!picture?.byteLength) return;
      const number = ++asked;
      const of = model.get("part");
      const bitmap = await createImageBitmap(new Blob([picture]));
      if (number > painted) {
        painted = number; // an older one that took longer to decode comes too late
        if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
          canvas.width = bitmap.width;
          canvas.height = bitmap.height;
        }
        context.drawImage(bitmap, 0, 0);
        part = of;
        place();
        canvas.dataset.painted = number; // to be watched from outside
      }
      bitmap.close();
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
    // The fence waits for this before it says that the picture is painted.
    const show = () => {
      canvas.painting = paint().catch(() => {}); // one that cannot be decoded leaves the last one
    };
    model.on("change:picture", show);
    model.on("change:area change:window change:shape", place);
    model.on("change:description", describe);
    place();
    describe();
    show();
    return () => {
      model.off("change:picture", show);
      model.off("change:area change:window change:shape", place);
      model.off("change:description", describe);
    };
  },
};
