// The space bar pauses the panel that has the focus.
export default {
  render({ el }) {
    let panel = null;
    let gone = false;
    const pressed = (event) => {
      if (event.key !== " " || event.target.closest("input, textarea, select, button, [role=slider]")) return;
      const pause = panel.querySelector(".dmlink-pause");
      if (!pause) return;
      pause.click();
      event.preventDefault(); // the page would scroll
      event.stopPropagation();
    };
    const find = () => {
      panel = el.closest(".dmlink-paced"); // null until the panel is in the page
      if (!panel) {
        if (!gone) requestAnimationFrame(find);
        return;
      }
      if (!panel.hasAttribute("tabindex")) panel.tabIndex = 0;
      panel.addEventListener("keydown", pressed);
    };
    find();
    return () => {
      gone = true;
      panel?.removeEventListener("keydown", pressed);
    };
  },
};
