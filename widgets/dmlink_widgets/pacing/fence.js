// Reports to the kernel what this browser has painted, and whether the panel is visible.

// The panels in this page: a set of elements for each fence's name, because one can be shown in several places. Each
// fence loads its own copy of this file, so the panels are stored on the page.
const panels = (globalThis[Symbol.for("dmlink.panels")] ??= new Map());
// The last round received. The next one waits until it is painted: a round is shown as a whole, never painted
// over in the same animation frame.
const LAST = Symbol.for("dmlink.last");
const MOST_WAITING = 4; // rounds; more can wait only if a faster browser shows the same panels and sets the pace
const send = (model, message) => {
  try {
    model.send(message);
  } catch {} // the kernel is gone or restarting, and does not wait for this
};

const enter = (name, panel) => panels.set(name, (panels.get(name) ?? new Set()).add(panel));
const leave = (name, panel) => {
  panels.get(name)?.delete(panel);
  if (!panels.get(name)?.size) panels.delete(name);
};

// For each message, a kernel reports that it is busy, then idle, and JupyterLab redraws its window. If the kernel omits
// these reports for acknowledgements, JupyterLab would wait for them for ever, so the message is disposed of here.
const acknowledge = async (model, message) => {
  const mark = model.get("quiet");
  try {
    const whole = mark && (await model.widget_manager.get_model(model.get("id")));
    const comm = whole?.comm?.jsServicesComm; // JupyterLab's
    if (comm) comm.send({ method: "custom", content: message }, { [mark]: true }).dispose();
    else model.send(message);
  } catch {} // as above
};

// A round contains what has changed in all widgets drawn in it.
const take = ({ widget_manager }, widgets, buffers) =>
  Promise.all(
    widgets.map(async ({ id, state, buffers: places }) => {
      for (const [name, i] of Object.entries(places)) state[name] = buffers[i];
      try {
        (await widget_manager.get_model(id)).set_state(state);
      } catch {} // the widget was closed meanwhile
    }),
  );

// Decode the pictures, then show the whole round in one animation frame.
const show = async (model, { drawn, widgets }, buffers) => {
  const begun = performance.now();
  await take(model, widgets, buffers);
  const painted = Object.fromEntries(Object.entries(drawn).filter(([name]) => panels.has(name)));
  const shown = Object.keys(painted).flatMap((name) => [...panels.get(name)]);
  if (!shown.length) return; // only texts, which the next picture must not wait for
  const places = shown.flatMap((panel) => [...panel.querySelectorAll(".dmlink-drawn")]);
  await Promise.all(places.map((place) => place.decoded));
  await new Promise(requestAnimationFrame);
  for (const place of places) place.paint();
  const took = (performance.now() - begun) / 1e3;
  setTimeout(() => acknowledge(model, { painted, took })); // right after this animation frame
};

export default {
  initialize({ model }) {
    let waiting = 0;
    model.on("msg:custom", (round, buffers) => {
      if (!round.drawn) return;
      const before = globalThis[LAST] ?? Promise.resolve();
      waiting += 1;
      globalThis[LAST] = before
        .then(() => (waiting > MOST_WAITING ? take(model, round.widgets, buffers) : show(model, round, buffers)))
        .catch(console.error)
        .finally(() => (waiting -= 1));
    });
  },

  render({ model, el }) {
    const name = model.get("name");
    const id = Math.random().toString(36).slice(2);
    let onScreen = false;
    let gone = false;

    let fresh = true; // the kernel does not know about this view yet
    const report = () => {
      send(model, { view: id, visible: onScreen && !document.hidden, fresh });
      fresh = false;
    };
    const reportGone = () => send(model, { view: id, gone: true }); // hidden with its page, which may come back
    const reportRemoved = () => send(model, { view: id, gone: true, removed: true });
    const answerWho = ({ who }) => who && !fresh && report();
    // After a while offline, the kernel has given this page up, and messages to it are lost.
    const kernel = model.widget_manager?.kernel; // JupyterLab's
    const reconnected = (_, status) => {
      if (status !== "connected") return;
      fresh = true;
      report();
    };
    kernel?.connectionStatusChanged.connect(reconnected);
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      report();
    });
    let panel = null; // until the element is in the page
    const observe = () => {
      panel = el.closest(".dmlink-paced");
      if (panel) {
        enter(name, panel);
        observer.observe(panel);
      } else if (!gone) requestAnimationFrame(observe);
    };
    observe();
    document.addEventListener("visibilitychange", report);
    window.addEventListener("pagehide", reportGone);
    model.on("msg:custom", answerWho);

    return () => {
      gone = true;
      leave(name, panel);
      observer.disconnect();
      document.removeEventListener("visibilitychange", report);
      window.removeEventListener("pagehide", reportGone);
      model.off("msg:custom", answerWho);
      kernel?.connectionStatusChanged.disconnect(reconnected);
      reportRemoved();
    };
  },
};
