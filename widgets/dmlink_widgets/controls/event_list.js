// Events, newest first: clicking a line requests its frame. The bell rings at each new event; it is
// off at first, and applies to this page only.
const TONE = { hertz: 880, seconds: 0.18, loudness: 0.15 };

const made = (name, parent, attributes = {}, text = "") => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  parent.appendChild(node);
  return node;
};

export default {
  render({ model, el }) {
    el.classList.add("dmlink-events");
    const head = made("div", el, { class: "dmlink-events-head" });
    const caption = made("span", head, { class: "dmlink-events-count" });
    const bell = made("button", head, { type: "button", class: "dmlink-events-bell", "aria-pressed": "false" });
    made("i", bell, { class: "fa fa-bell-slash", "aria-hidden": "true" });
    const list = made("div", el, { class: "dmlink-events-list" });
    let audio = null; // created on the click that browsers require before they play sound
    let count = model.get("count");

    const name = () => {
      const on = audio !== null;
      bell.setAttribute("aria-pressed", String(on));
      bell.firstChild.className = on ? "fa fa-bell" : "fa fa-bell-slash";
      bell.title = on ? "Sound at each event: on. Click to turn it off" : "Sound at each event";
      bell.setAttribute("aria-label", bell.title);
    };
    const sound = () => {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = TONE.hertz;
      volume.gain.setValueAtTime(TONE.loudness, audio.currentTime);
      volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + TONE.seconds);
      tone.connect(volume).connect(audio.destination);
      tone.start();
      tone.stop(audio.currentTime + TONE.seconds);
      bell.dataset.sounded = String(Number(bell.dataset.sounded ?? 0) + 1);
    };
    bell.addEventListener("click", () => {
      if (audio) {
        audio.close();
        audio = null;
      } else {
        audio = new AudioContext();
        sound();
      }
      name();
    });

    const draw = () => {
      const rows = model.get("rows");
      el.classList.toggle("dmlink-events-none", !rows.length); // its own style is the layout's
      caption.textContent = model.get("caption");
      const isChosen = (frame, time) => frame === model.get("chosen")[0] && time === model.get("chosen")[1];
      const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      list.replaceChildren();
      for (const [frame, time, clock, text] of rows) {
        const key = `${frame} ${time}`;
        const line = made("button", list, { type: "button", title: `Show frame ${frame}`, "data-key": key });
        line.setAttribute("aria-pressed", String(isChosen(frame, time)));
        made("span", line, { class: "dmlink-events-frame" }, String(frame));
        made("span", line, { class: "dmlink-events-time" }, clock);
        made("span", line, { class: "dmlink-events-text" }, text);
        line.addEventListener("click", () => model.send({ show: isChosen(frame, time) ? null : [frame, time] }));
        if (key === focused) line.focus();
      }
      const now = model.get("count");
      if (audio && now > count) sound();
      count = now;
    };
    name();
    draw();
    const changes = "change:rows change:caption change:chosen change:count";
    model.on(changes, draw);
    return () => {
      model.off(changes, draw);
      audio?.close();
    };
  },
};
