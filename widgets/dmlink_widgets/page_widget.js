// Wraps the code of each widget, and loads it once for all widgets of a kind, because a page never frees a module.
// Also, anywidget drops the messages to a widget whose code the page took more than 2 s to load: such a widget still
// gets its messages and its state here, and is then rendered.
const modules = (globalThis[Symbol.for("dmlink.modules")] ??= new Map()); // by the text of their code
let heard = null;

const load = (text) => {
  if (!modules.has(text)) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const loaded = import(url).then((module) => module.default);
    loaded.catch(() => modules.delete(text)); // the next widget tries again
    modules.set(text, loaded);
  }
  return modules.get(text);
};

// JupyterLab 4.6 keeps the comm of a closed widget for as long as its kernel, and with it all that the widget has drawn.
const managers = (globalThis[Symbol.for("dmlink.managers")] ??= new WeakSet());
const nothing = () => {};
const letGo = (model) => model.once("comm:close", () => {
  model.comm?.on_msg(nothing);
  model.comm?.on_close(nothing);
});
const letGoIn = (manager) => {
  if (managers.has(manager)) return;
  managers.add(manager);
  const register = manager.register_model;
  manager.register_model = (id, loading) => {
    register.call(manager, id, loading);
    loading.then(letGo, nothing);
  };
};

const hear = async (model) => {
  const whole = await model.widget_manager.get_model(model.get("id"));
  letGoIn(whole.widget_manager);
  try {
    await whole._handle_comm_msg({ content: { data: { method: "" } } }); // waits until the widget is ready
  } catch {
    const inherited = Object.getPrototypeOf(whole.constructor.prototype)._handle_comm_msg;
    whole.comm.on_msg((message) => inherited.call(whole, message));
    whole.comm.send({ method: "request_state" }, whole.callbacks());
  }
};

export default {
  async initialize(context) {
    heard = hear(context.model).catch(console.error);
    const widget = await load(context.model.get("code"));
    return widget.initialize?.(context);
  },
  async render(context) {
    await heard;
    const widget = await load(context.model.get("code"));
    return widget.render?.(context);
  },
};
