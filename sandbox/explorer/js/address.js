// The page's side of the explorer: a model that keeps its values in the address, after the #.
import { render } from "./explorer.js";
import { defaults } from "./generated.js";
import { lassoFollowed } from "./penalty.js";
import { sorted, toAddress } from "./state.js";

// Renders the explorer in `el`, with `saes` as the points of its map.
export function addressed(el, saes) {
  const values = { saes };
  let saving = 0;
  const listeners = {};

  // A link that names a penalty but no x̂ means the lasso's.
  function fromAddress() {
    const { good, wrong } = sorted(Object.fromEntries(new URLSearchParams(isPart() ? "" : location.hash.slice(1))));
    return { good: "norm_ratio" in good ? good : lassoFollowed(good, defaults), wrong };
  }

  // Whether the address names a part of the page, as a link that skips the menu does: that is no state.
  function isPart() {
    return Boolean(document.getElementById(location.hash.slice(1)));
  }

  const model = {
    get: (name) => values[name],
    set: (name, value) => (values[name] = value),
    save_changes() {
      clearTimeout(saving); // browsers throttle pages that rewrite the address often: wait until the hand rests
      saving = setTimeout(save, 150);
    },
    send() {},
    on: (name, call) => (listeners[name] ??= new Set()).add(call),
    off: (name, call) => listeners[name]?.delete(call),
    link: (state) => location.href.split("#")[0] + toAddress(state),
  };

  function save() {
    clearTimeout(saving);
    try {
      history.replaceState(null, "", toAddress({ ...defaults, ...values }));
    } catch {
      // some browsers limit how often the address may change: the next change will do
    }
  }

  function read() {
    const { good, wrong } = fromAddress();
    Object.assign(values, defaults, good);
    for (const call of listeners["change:angle"] ?? []) call();
    const words = wrong.length ? `Left out of the link: ${wrong.join("; ")}.` : "";
    for (const call of listeners["msg:custom"] ?? []) call({ kind: "say", words });
  }

  Object.assign(values, defaults, fromAddress().good);
  render({ model, el });
  read();
  addEventListener("hashchange", () => isPart() || read());
  addEventListener("pagehide", save);
}
