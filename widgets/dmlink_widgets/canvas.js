// Paints the newest picture; the browser decodes it beside its main thread.
export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    el.appendChild(canvas);
    const context = canvas.getContext("2d");
    let asked = 0;
    let painted = 0;

    const paint = async () => {
      const picture = model.get("picture");
      if (!picture?.byteLength) return;
      const number = ++asked;
      const bitmap = await createImageBitmap(new Blob([picture]));
      if (number > painted) {
        painted = number; // an older one that took longer to decode comes too late
        if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
          canvas.width = bitmap.width;
          canvas.height = bitmap.height;
        }
        context.drawImage(bitmap, 0, 0);
        canvas.dataset.painted = number; // to be watched from outside
        sharpen();
      }
      bitmap.close();
    };
    // Pixels that are large on the screen are shown as what they are; others would get uneven edges.
    const sharpen = () => {
      const [, , , width] = model.get("area");
      canvas.style.imageRendering = width >= 3 * canvas.width ? "pixelated" : "auto";
    };
    const place = () => {
      const [top, left, height, width] = model.get("area").map((px) => `${px}px`);
      Object.assign(canvas.style, { top, left, height, width });
      sharpen();
    };
    const describe = () => canvas.setAttribute("aria-label", model.get("description"));
    // The fence waits for this before it says that the picture is painted.
    const show = () => {
      canvas.painting = paint().catch(() => {}); // one that cannot be decoded leaves the last one
    };
    model.on("change:picture", show);
    model.on("change:area", place);
    model.on("change:description", describe);
    place();
    describe();
    show();
    return () => {
      model.off("change:picture", show);
      model.off("change:area", place);
      model.off("change:description", describe);
    };
  },
};
