// Keys of the focused panel and the list of keys; docking beside the notebook; selecting its ROI; the clipboard.
const TAKES_KEYS = "input, textarea, select, [role=slider], [contenteditable], .cm-editor";
const PRESSES = [" ", "Enter"]; // a button
const CHOOSES = "select, button, input[type=checkbox], [role=slider]"; // JupyterLab leaves only text fields alone
const DOCKS = Symbol.for("dmlink.docks"); // set by the JupyterLab extension (widgets/labextensions)

export default {
  render({ model, el }) {
    let panel = null;
    let gone = false;
    const keys = new Map(model.get("key_map").map(([key, , target]) => [key, target]));
    const named = ({ key, ctrlKey, metaKey }) => {
      if (ctrlKey || metaKey) return `Ctrl+${key.toUpperCase()}`;
      return key === " " ? "Space" : key;
    };
    // On the window, so that it is called before the notebook, which uses r itself.
    const pressed = (event) => {
      if (!panel?.contains(event.target)) return;
      // On a list, a button or a slider, letters and arrows are ours: JupyterLab would delete cells at "d d".
      const runs = event.shiftKey && event.key === "Enter"; // the notebook's cell
      const own = !event.ctrlKey && !event.metaKey && !event.altKey && !runs;
      if (event.target.matches(CHOOSES)) event.target.toggleAttribute("data-lm-suppress-shortcuts", own);
      if (event.altKey) return;
      const target = keys.get(named(event));
      const button = target && panel.querySelector(`.${target}`);
      if (!target || event.target.closest(TAKES_KEYS)) return;
      if (event.target.closest("button") && PRESSES.includes(event.key)) return;
      if (event.target.closest(".dmlink-paced") !== panel) return; // a panel inside this one has the focus
      if (target === "dmlink-keys") showKeys();
      else if (!button || button.disabled) return;
      else button.click();
      event.preventDefault(); // otherwise the page would scroll
      event.stopImmediatePropagation();
    };

    const showKeys = () => {
      const before = panel.querySelector(":scope > .dmlink-key-map");
      if (before) return before.remove();
      const map = document.createElement("div");
      map.className = "dmlink-key-map";
      map.setAttribute("role", "dialog");
      map.setAttribute("aria-label", "Keys");
      const list = map.appendChild(document.createElement("dl"));
      for (const [key, does, target] of model.get("key_map")) {
        if (target && !panel.querySelector(`.${target}`)) continue;
        list.appendChild(document.createElement("dt")).textContent = key;
        list.appendChild(document.createElement("dd")).textContent = does;
      }
      map.addEventListener("click", () => map.remove());
      panel.appendChild(map);
    };

    // If the page may not use the clipboard (http from another computer), the picture is shown for copying by hand.
    const copied = async ({ copy: text }, [png] = []) => {
      if (text === undefined || !panel?.offsetParent) return;
      try {
        const blob = png && new Blob([png], { type: "image/png" });
        await (png ? navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]) : navigator.clipboard.writeText(text));
      } catch {
        const box = document.createElement(png ? "img" : "textarea");
        if (png) box.src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
        else box.value = text;
        const map = document.createElement("div");
        map.className = "dmlink-key-map";
        map.append("This page may not use the clipboard. Copy it from here (right-click), then click outside it to close.", box);
        map.addEventListener("click", ({ target }) => target === map && map.remove());
        panel.appendChild(map);
      }
    };
    model.on("msg:custom", copied);

    const dock = () => {
      const title = panel.querySelector(".dmlink-title")?.textContent || "dmlink";
      const detail = { id: model.get("panel"), title, panel };
      document.dispatchEvent(new CustomEvent("dmlink-dock", { detail }));
    };
    const clicked = ({ target }) => {
      if (target.closest(".dmlink-paced, .dmlink-panel") !== panel) return; // of a panel inside this one
      if (target.closest(".dmlink-dock")) dock();
      if (target.closest(".dmlink-keys")) showKeys();
      const roi = target.closest(".dmlink-on-roi");
      const detail = roi && { place: roi.dataset.place, name: roi.dataset.roi };
      if (detail) document.dispatchEvent(new CustomEvent("dmlink-roi", { detail }));
    };
    const selected = ({ detail: { place, name } }) => {
      const roi = panel?.querySelector(".dmlink-on-roi");
      if (roi?.dataset.place === place) panel.classList.toggle("dmlink-highlighted", roi.dataset.roi === name);
    };

    const find = () => {
      panel = el.closest(".dmlink-paced, .dmlink-panel"); // null until the panel is in the page
      if (!panel) return gone || requestAnimationFrame(find);
      panel.tabIndex = 0;
      panel.classList.toggle("dmlink-docks", Boolean(globalThis[DOCKS]));
      panel.addEventListener("click", clicked);
      dockIfAsked();
    };
    const dockIfAsked = () => {
      if (!model.get("dock") || !panel) return;
      dock();
      model.set("dock", false); // once
      model.save_changes();
    };
    model.on("change:dock", dockIfAsked);
    find();
    // For screen readers: the handle of a slider has no name, so it gets that of its widget.
    const focused = ({ target }) => {
      const label = target.closest?.("[role=slider]") && target.closest(".jupyter-widgets")?.querySelector("label");
      if (label && panel?.contains(target)) target.setAttribute("aria-label", label.textContent);
    };
    window.addEventListener("focus", focused, true);
    window.addEventListener("keydown", pressed, true);
    document.addEventListener("dmlink-selected", selected);
    return () => {
      gone = true;
      panel?.removeEventListener("click", clicked);
      model.off("msg:custom", copied);
      model.off("change:dock", dockIfAsked);
      window.removeEventListener("keydown", pressed, true);
      window.removeEventListener("focus", focused, true);
      document.removeEventListener("dmlink-selected", selected);
    };
  },
};
