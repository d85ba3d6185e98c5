// Tells the kernel what this browser has painted, and whether the panel can be seen at all.

// What a kernel has drawn on its panels until an animation frame begins is answered in one message, when all of
// it is painted: each message costs the kernel's main thread and the page some work. Every panel has a copy of
// this file, so the page keeps the list.
const waiting = (globalThis[Symbol.for("dmlink.painted")] ??= new Map());
const send = (model, message) => {
  try {
    model.send(message);
  } catch {} // its kernel has gone or begins anew: nobody waits for this
};
const begin = (kernel) => {
  const drawings = { painted: {}, undrawn: 0 };
  const paint = () => {
    if (waiting.get(kernel) === drawings) waiting.delete(kernel);
    if (drawings.undrawn) requestAnimationFrame(paint);
    else setTimeout(() => send(drawings.by, { painted: drawings.painted })); // right after this frame
  };
  waiting.set(kernel, drawings);
  requestAnimationFrame(paint);
  return drawings;
};

export default {
  render({ model, el }) {
    const id = Math.random().toString(36).slice(2);
    let onScreen = false;
    let gone = false;

    const tell = () => send(model, { view: id, visible: onScreen && !document.hidden });
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      tell();
    });
    const observe = () => {
      const panel = el.closest(".dmlink-paced"); // null until the panel is in the page
      if (panel) observer.observe(panel);
      else if (!gone) requestAnimationFrame(observe);
    };
    observe();
    document.addEventListener("visibilitychange", tell);

    // What came before this message has been taken; its pictures may still have to be decoded.
    const drawn = ({ drawn }) => {
      if (drawn === undefined) return;
      const kernel = model.get("kernel");
      const drawings = waiting.get(kernel) ?? begin(kernel);
      drawings.by = model;
      drawings.painted[model.get("name")] = drawn;
      for (const canvas of el.closest(".dmlink-paced")?.querySelectorAll("canvas") ?? []) {
        const done = () => drawings.undrawn--;
        drawings.undrawn++;
        Promise.resolve(canvas.painting).then(done, done); // a picture that cannot be decoded holds up nobody
      }
    };
    model.on("msg:custom", drawn);

    return () => {
      gone = true;
      observer.disconnect();
      document.removeEventListener("visibilitychange", tell);
      model.off("msg:custom", drawn);
      send(model, { view: id, gone: true });
    };
  },
};
