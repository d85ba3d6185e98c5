// dmlink's JupyterLab extension: pictures in a saved notebook, and panels docked beside it. It is loaded as written:
// there is no build step.
//
// An output of dmlink is a widget and a PNG. This updates the PNG whenever the notebook is saved or the kernel
// sends one, and shows it if there is no widget: without a kernel, with another kernel, or for a closed panel.
(() => {
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const PNG = "image/png";
  const ENDED = ["dead", "terminating", "restarting", "autorestarting"];
  const PATIENCE_MS = 4000; // a busy kernel answers late, and saving the notebook must not wait

  // By the id of a panel's model: a function that asks the kernel for the picture, added by kept_picture.js.
  const panels = (globalThis[Symbol.for("dmlink.pictures")] ??= new Map());

  const outputs = function* (context) {
    for (const cell of context.model.cells) {
      if (cell.type !== "code") continue;
      for (let i = 0; i < cell.outputs.length; i++) {
        const output = cell.outputs.get(i);
        const id = output.data[VIEW]?.model_id;
        if (id && output.data[PNG]) yield [id, output];
      }
    }
  };

  const keep = (context, id, picture) => {
    for (const [shown, output] of outputs(context)) {
      if (shown === id && output.data[PNG] !== picture[PNG]) output.setData({ data: { ...output.data, ...picture } });
    }
  };

  // Settings of panels are in the notebook's metadata, by the names of the panels.
  const SETTINGS = "dmlink";
  const MOST_PANELS = 50;
  const savedSettings = (context) => {
    const saved = context.model.getMetadata(SETTINGS);
    return saved && typeof saved === "object" && !Array.isArray(saved) ? saved : {};
  };
  const keepSettings = (context, { id, key, settings }) => {
    if (!key || ![...outputs(context)].some(([shown]) => shown === id)) return;
    const saved = savedSettings(context);
    const newest = { ...settings, docked: docked.has(id) };
    if (JSON.stringify(saved[key]) === JSON.stringify(newest)) return;
    const others = Object.entries(saved).filter(([name]) => name !== key).slice(1 - MOST_PANELS);
    context.model.setMetadata(SETTINGS, Object.fromEntries([...others, [key, newest]]));
  };

  const keepAll = async (context) => {
    const ids = new Set([...outputs(context)].map(([id]) => id));
    const asked = [...ids].filter((id) => panels.has(id));
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    const answers = asked.map(async (id) => {
      const kept = await Promise.race([panels.get(id)(), late]);
      if (!kept) return;
      keep(context, id, kept.picture);
      keepSettings(context, kept);
    });
    await Promise.allSettled(answers);
  };

  const shown = (model) => {
    const box = document.createElement("div");
    box.className = "dmlink-kept";
    const image = box.appendChild(document.createElement("img"));
    image.src = `data:${PNG};base64,${model.data[PNG]}`;
    image.alt = String(model.data["text/plain"] ?? "");
    Object.assign(image.style, { display: "block", maxWidth: "100%" });
    const note = box.appendChild(document.createElement("div"));
    note.textContent = "Saved picture. Run the cell to see it live.";
    Object.assign(note.style, { font: "12px/20px sans-serif", color: "var(--jp-ui-font-color2)" });
    return box;
  };

  // If ipywidgets' renderer has no widget ("Loading widget..." or "model not found"), the picture is shown instead.
  const withPicture = (renderer) => {
    const render = renderer.renderModel.bind(renderer);
    let now = null; // the output
    const look = () => {
      if (!now || renderer.isDisposed || renderer.widgets.length || renderer.node.querySelector(".dmlink-kept")) return;
      renderer.node.replaceChildren(shown(now));
      renderer.removeClass("jupyter-widgets"); // an ipywidgets error, in a frame
      renderer.show();
    };
    renderer.renderModel = async (model) => {
      const id = model.data[VIEW].model_id;
      const again = now && id === now.data[VIEW].model_id && renderer.widgets.length;
      now = model.data[PNG] ? model : null;
      if (again) return; // only the picture has changed
      if (now) new MutationObserver(look).observe(renderer.node, { childList: true });
      if (!now || id) await render(model);
      look();
    };
    return renderer;
  };

  // A panel docked beside its notebook. The output stays and says where the panel is; the docked panel is a
  // second view of the same widget.
  const docked = new Map(); // panes, by the id of the panel's model
  const dock = (app, notebook, { id, title, panel }) => {
    if (docked.has(id)) return app.shell.activateById(docked.get(id).id);
    const pane = notebook.content.rendermime.createRenderer(VIEW);
    pane.id = `dmlink-${id}`;
    Object.assign(pane.title, { label: title, closable: true, caption: `${title}, of ${notebook.title.label}` });
    pane.addClass("dmlink-pane");
    Object.assign(pane.node.style, { overflow: "auto", padding: "4px 12px", background: "var(--jp-layout-color1)" });
    pane.renderModel({ data: { [VIEW]: { version_major: 2, version_minor: 0, model_id: id } }, metadata: {}, trusted: true });
    const place = panel.parentElement;
    const note = document.createElement("button");
    note.className = "dmlink-undock";
    note.textContent = `${title} is shown beside the notebook. Bring it back`;
    Object.assign(note.style, { font: "13px/24px sans-serif", padding: "0 10px", margin: "4px 0", cursor: "pointer" });
    note.onclick = () => pane.dispose();
    panel.style.display = "none";
    place.append(note);
    docked.set(id, pane);
    const closed = () => {
      docked.delete(id);
      note.remove();
      panel.style.display = "";
    };
    pane.disposed.connect(closed);
    notebook.disposed.connect(() => pane.dispose());
    app.shell.add(pane, "main", { mode: "split-right", ref: notebook.id });
  };

  const plugin = {
    id: "dmlink:pictures",
    autoStart: true,
    activate: (app) => {
      if (app.name === "JupyterLab") globalThis[Symbol.for("dmlink.docks")] = true; // Notebook 7 has only one pane
      app.docRegistry.addWidgetExtension("Notebook", {
        createNew: (notebook, context) => {
          const { node, content: { rendermime } } = notebook;
          const create = rendermime.createRenderer.bind(rendermime);
          rendermime.createRenderer = (type) => (type === VIEW ? withPicture(create(type)) : create(type));
          const save = context.save.bind(context);
          context.save = async (...options) => {
            await keepAll(context);
            return save(...options);
          };
          const sent = ({ detail: { id, picture } }) => keep(context, id, picture);
          document.addEventListener("dmlink-picture", sent);
          // a panel that has come into this notebook
          const remembered = ({ detail: { el, key, answer } }) => {
            if (node.contains(el)) answer(savedSettings(context)[key] ?? null);
          };
          document.addEventListener("dmlink-saved", remembered);
          const asked = ({ detail }) => node.contains(detail.panel) && dock(app, notebook, detail);
          document.addEventListener("dmlink-dock", asked);
          context.disposed.connect(() => {
            document.removeEventListener("dmlink-picture", sent);
            document.removeEventListener("dmlink-dock", asked);
            document.removeEventListener("dmlink-saved", remembered);
          });
          // ipywidgets marks its views when a kernel restarts, but not when it ends
          context.sessionContext.statusChanged.connect((_, status) => {
            if (!ENDED.includes(status)) return;
            for (const panel of node.querySelectorAll(".dmlink-panel")) panel.classList.add("jupyter-widgets-disconnected");
          });
        },
      });
    },
  };

  (window._JUPYTERLAB ??= {}).dmlink = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
