// Tells the kernel what this browser has painted, and whether the panel can be seen at all.

// What the panels of a kernel have painted in one animation frame goes out in one message: each one costs the
// kernel's main thread and the page some work. Every panel has a copy of this file, so the page keeps the list.
const waiting = (globalThis[Symbol.for("dmlink.painted")] ??= new Map());
const send = (model, message) => {
  try {
    model.send(message);
  } catch {} // its kernel has gone or begins anew: nobody waits for this
};
const acknowledge = (model, number) => {
  const kernel = model.get("kernel");
  if (!waiting.has(kernel)) {
    setTimeout(() => {
      const { by, painted } = waiting.get(kernel);
      waiting.delete(kernel);
      send(by, { painted });
    });
    waiting.set(kernel, { painted: {} });
  }
  const all = waiting.get(kernel);
  all.by = model;
  all.painted[model.get("name")] = number;
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

    // What came before this message has been taken; when the pictures among it are decoded and drawn, the next
    // animation frame paints them, and the answer goes out right after it.
    const painted = async (message) => {
      if (message.drawn === undefined) return;
      const canvases = el.closest(".dmlink-paced")?.querySelectorAll("canvas") ?? [];
      await Promise.all([...canvases].map((canvas) => canvas.painting));
      requestAnimationFrame(() => {
        if (!gone) acknowledge(model, message.drawn);
      });
    };
    model.on("msg:custom", painted);

    return () => {
      gone = true;
      observer.disconnect();
      document.removeEventListener("visibilitychange", tell);
      model.off("msg:custom", painted);
      send(model, { view: id, gone: true });
    };
  },
};
