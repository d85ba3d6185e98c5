// Tells the kernel what this browser has painted, and whether the panel can be seen at all.
export default {
  render({ model, el }) {
    const id = Math.random().toString(36).slice(2);
    const panel = el.closest(".dmlink-paced") ?? el;
    let onScreen = false;

    const tell = () => model.send({ view: id, visible: onScreen && !document.hidden });
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      tell();
    });
    observer.observe(panel);
    document.addEventListener("visibilitychange", tell);

    // The second animation frame begins when the first one, with what came before this message, is painted.
    const painted = (message) => {
      if (message.drawn === undefined) return;
      requestAnimationFrame(() =>
        requestAnimationFrame(() => model.send({ view: id, painted: message.drawn })),
      );
    };
    model.on("msg:custom", painted);

    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", tell);
      model.off("msg:custom", painted);
      model.send({ view: id, visible: false });
    };
  },
};
