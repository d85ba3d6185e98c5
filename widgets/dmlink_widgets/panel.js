// Keys of the panel that has the focus: space pauses, r draws an ROI.
const BUTTONS = { " ": ".dmlink-pause", r: ".dmlink-draw" };
const TAKES_KEYS = "input, textarea, select, button, [role=slider], [contenteditable], .cm-editor";

export default {
  render({ el }) {
    let panel = null;
    let gone = false;
    // On the window, before the notebook takes r for its own.
    const pressed = (event) => {
      if (!panel?.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const button = BUTTONS[event.key] && panel.querySelector(BUTTONS[event.key]);
      if (!button || button.disabled || event.target.closest(TAKES_KEYS)) return;
      if (event.target.closest(".dmlink-paced") !== panel) return; // of a panel within this one
      button.click();
      event.preventDefault(); // the page would scroll
      event.stopImmediatePropagation();
    };
    const find = () => {
      panel = el.closest(".dmlink-paced"); // null until the panel is in the page
      if (panel) panel.tabIndex = 0;
      else if (!gone) requestAnimationFrame(find);
    };
    find();
    // The handle of a slider has no name; it gets that of its widget before it is read out.
    const focused = ({ target }) => {
      const label = target.closest?.("[role=slider]") && target.closest(".jupyter-widgets")?.querySelector("label");
      if (label && panel?.contains(target)) target.setAttribute("aria-label", label.textContent);
    };
    window.addEventListener("focus", focused, true);
    window.addEventListener("keydown", pressed, true);
    return () => {
      gone = true;
      window.removeEventListener("keydown", pressed, true);
      window.removeEventListener("focus", focused, true);
    };
  },
};
