// Tells the kernel what this browser has painted, and whether the panel can be seen at all.

// The panels in this page, a set of elements for each fence's name: one can be shown in several places. Every fence
// has a copy of this file, so the page keeps them.
const panels = (globalThis[Symbol.for("dmlink.panels")] ??= new Map());
// The last round that has come: the next one is taken when it is painted, so that what is shown together belongs
// together and none is painted with the one after it, in vain.
const LAST = Symbol.for("dmlink.last");
const MOST_WAITING = 4; // rounds: there are more only if a faster browser shows the same and sets the pace
const send = (model, message) => {
  try {
    model.send(message);
  } catch {} // its kernel has gone or begins anew: nobody waits for this
};

// Each answer makes JupyterLab exchange the tab's icon, to a busy kernel and back, two images loaded: while panels are
// shown it stays that of an idle kernel, out of the reach of what exchanges it.
const holdIcon = () => {
  const [busy, idle] = ["busy", "idle"].map((state) => document.querySelector(`link.${state}.favicon`));
  if (!busy || !idle) return; // not JupyterLab
  busy.rel = "";
  idle.rel = "icon";
  idle.parentNode.append(idle); // browsers notice a link that comes, not one that changes
  for (const icon of [busy, idle]) icon.classList.replace("favicon", "dmlink-favicon");
};
const letIconGo = () => {
  for (const icon of document.querySelectorAll("link.dmlink-favicon")) icon.classList.replace("dmlink-favicon", "favicon");
};

const enter = (name, panel) => {
  if (!panels.size) holdIcon();
  panels.set(name, (panels.get(name) ?? new Set()).add(panel));
};
const leave = (name, panel) => {
  panels.get(name)?.delete(panel);
  if (!panels.get(name)?.size) panels.delete(name);
  if (!panels.size) letIconGo();
};

// A round brings what has changed in all widgets that are drawn in it.
const take = ({ widget_manager }, widgets, buffers) =>
  Promise.all(
    widgets.map(async ({ id, state, buffers: places }) => {
      for (const [name, i] of Object.entries(places)) state[name] = buffers[i];
      try {
        (await widget_manager.get_model(id)).set_state(state);
      } catch {} // it was closed meanwhile
    }),
  );

// Pictures have to be decoded; then all of the round is shown in one animation frame.
const show = async (model, { drawn, widgets }, buffers) => {
  const begun = performance.now();
  await take(model, widgets, buffers);
  const painted = Object.fromEntries(Object.entries(drawn).filter(([name]) => panels.has(name)));
  const shown = Object.keys(painted).flatMap((name) => [...panels.get(name)]);
  const places = shown.flatMap((panel) => [...panel.querySelectorAll(".dmlink-drawn")]);
  await Promise.all(places.map((place) => place.decoded));
  await new Promise(requestAnimationFrame);
  for (const place of places) place.paint();
  const took = (performance.now() - begun) / 1e3;
  if (shown.length) setTimeout(() => send(model, { painted, took })); // right after this frame
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

    let fresh = true; // not told of
    const tell = () => {
      send(model, { view: id, visible: onScreen && !document.hidden, fresh });
      fresh = false;
    };
    const tellGone = () => send(model, { view: id, gone: true });
    const answerWho = ({ who }) => who && !fresh && tell();
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      tell();
    });
    let panel = null; // until it is in the page
    const observe = () => {
      panel = el.closest(".dmlink-paced");
      if (panel) {
        enter(name, panel);
        observer.observe(panel);
      } else if (!gone) requestAnimationFrame(observe);
    };
    observe();
    document.addEventListener("visibilitychange", tell);
    window.addEventListener("pagehide", tellGone);
    model.on("msg:custom", answerWho);

    return () => {
      gone = true;
      leave(name, panel);
      observer.disconnect();
      document.removeEventListener("visibilitychange", tell);
      window.removeEventListener("pagehide", tellGone);
      model.off("msg:custom", answerWho);
      tellGone();
    };
  },
};
