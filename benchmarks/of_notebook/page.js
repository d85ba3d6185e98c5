// Reads, before each animation frame, the numbers of the frames that the page shows, and notes when one is new.
(() => {
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    const kept = /^webgl/.test(kind) ? { ...options, preserveDrawingBuffer: true } : options;
    return getContext.call(this, kind, kept); // what WebGL has drawn can be read afterwards
  };
  const BLOCKS = 16;
  const probe = Object.assign(document.createElement("canvas"), { width: BLOCKS, height: 1 });
  const context = getContext.call(probe, "2d", { willReadFrequently: true });

  const read = (element, width, height, fromTop) => {
    const y = fromTop ? height / BLOCKS / 2 : height - height / BLOCKS / 2;
    context.clearRect(0, 0, BLOCKS, 1); // an empty canvas has no number, not that of the one before
    context.drawImage(element, 0, Math.floor(y), width, 1, 0, 0, BLOCKS, 1);
    const pixels = context.getImageData(0, 0, BLOCKS, 1).data;
    const bright = Array.from({ length: BLOCKS }, (_, i) => pixels[4 * i] > 127);
    if (bright[0] || !bright[1]) return null;
    return bright.slice(2).reduce((sum, bit, i) => sum + (bit ? 2 ** i : 0), 0);
  };
  const numberOf = (element) => {
    const size = element.naturalWidth ?? element.width?.baseVal?.value ?? element.width;
    const other = element.naturalHeight ?? element.height?.baseVal?.value ?? element.height;
    if (!size || !other) return null;
    return read(element, size, other, true) ?? read(element, size, other, false);
  };
  const titleOf = (element) =>
    element.closest(".dmlink-panel")?.querySelector(".dmlink-title")?.textContent ?? "other";

  const bench = { paints: {}, last: new WeakMap(), stamps: new WeakMap(), on: false };
  let seen = []; // in the last animation frame: painted when this one begins
  const look = () => {
    const pictures = ".jp-OutputArea-output canvas, .jp-OutputArea-output svg image, .jp-OutputArea-output img";
    for (const element of document.querySelectorAll(pictures)) {
      const stamp = element.dataset?.painted ?? element.currentSrc; // whether there is something new: looking costs time
      if (element.complete === false || (stamp && bench.stamps.get(element) === stamp)) continue;
      bench.stamps.set(element, stamp);
      let number = null;
      try {
        number = numberOf(element);
      } catch {} // not decoded yet
      if (number !== null && bench.last.get(element) !== number) {
        bench.last.set(element, number);
        seen.push([titleOf(element), number]);
      }
    }
    for (const line of document.querySelectorAll(".dmlink-panel path.dmlink-curve")) {
      const drawn = line.getAttribute("d");
      if (drawn && bench.last.get(line) !== drawn) {
        bench.last.set(line, drawn);
        seen.push([titleOf(line), -1]);
      }
    }
  };
  const note = (now) => {
    for (const [title, number] of seen) (bench.paints[title] ??= []).push([number, now]);
    seen = [];
    if (bench.on) look();
    requestAnimationFrame(() => note((performance.timeOrigin + performance.now()) / 1e3));
  };
  note(0);
  bench.begin = () => {
    look();
    seen = []; // what stands there already is not painted now
    bench.paints = {};
    bench.begun = performance.now();
    bench.on = true;
  };
  bench.end = () => {
    bench.on = false;
    return [bench.paints, (performance.now() - bench.begun) / 1e3];
  };
  // A tab that is not looked at: browsers without a window do not hide theirs.
  bench.hide = (hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    Object.defineProperty(document, "visibilityState", {
      value: hidden ? "hidden" : "visible",
      configurable: true,
    });
    document.dispatchEvent(new Event("visibilitychange"));
    return (performance.timeOrigin + performance.now()) / 1e3;
  };
  window.bench = bench;
})();
