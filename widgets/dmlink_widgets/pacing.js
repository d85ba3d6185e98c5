// Tells the kernel what this browser has painted, and whether the panel can be seen at all.
export default {
  render({ model, el }) {
    const id = Math.random().toString(36).slice(2);
    let onScreen = false;
    let gone = false;

    const tell = () => model.send({ view: id, visible: onScreen && !document.hidden });
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

    const animationFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    // In the first animation frame everything that came before this message has been taken; when the pictures
    // among it are decoded, the second one begins with all of it painted.
    const painted = async (message) => {
      if (message.drawn === undefined) return;
      await animationFrame();
      const canvases = el.closest(".dmlink-paced")?.querySelectorAll("canvas") ?? [];
      await Promise.all([...canvases].map((canvas) => canvas.painting));
      await animationFrame();
      if (!gone) model.send({ view: id, painted: message.drawn });
    };
    model.on("msg:custom", painted);

    return () => {
      gone = true;
      observer.disconnect();
      document.removeEventListener("visibilitychange", tell);
      model.off("msg:custom", painted);
      model.send({ view: id, gone: true });
    };
  },
};
