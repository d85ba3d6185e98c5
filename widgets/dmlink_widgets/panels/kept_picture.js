// Passes the kernel's picture of a panel on to the notebook. JupyterLab's part is in widgets/labextensions.
const panels = (globalThis[Symbol.for("dmlink.pictures")] ??= new Map());

const base64 = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};

export default {
  initialize({ model }) {
    const id = model.get("panel");
    let waiting = []; // pending requests
    model.on("msg:custom", ({ text, settings }, [{ buffer, byteOffset, byteLength }]) => {
      const png = base64(new Uint8Array(buffer, byteOffset, byteLength));
      const picture = { "image/png": png, "text/plain": text };
      const kept = { id, picture, settings, key: model.get("key") };
      for (const answer of waiting.splice(0)) answer(kept);
      document.dispatchEvent(new CustomEvent("dmlink-picture", { detail: kept }));
    });
    panels.set(id, () => new Promise((resolve) => {
      waiting.push(resolve);
      model.send({ wanted: true });
    }));
    return () => panels.delete(id);
  },

  // Asks the notebook for the panel's settings as they were saved.
  render({ model, el }) {
    let gone = false;
    const ask = () => {
      if (gone) return;
      if (!el.isConnected) return requestAnimationFrame(ask);
      const answer = (saved) => model.send({ saved });
      document.dispatchEvent(new CustomEvent("dmlink-saved", { detail: { el, key: model.get("key"), answer } }));
    };
    if (model.get("key")) ask();
    return () => {
      gone = true;
    };
  },
};
