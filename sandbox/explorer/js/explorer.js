// The explorer: a store, a view and a loop, wired to a host (a notebook's kernel, or the page).
import { html } from "./dom.js";
import { listener } from "./host.js";
import { loop } from "./loop.js";
import { store } from "./store.js";
import { view } from "./view.js";

// Called by anywidget and by the page. `model` has get, set, on, off, save_changes and send; the function returned
// cleans up.
export function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const host = listener(
    model,
    { receive: (settings, wrong) => state.receive(settings, wrong), points: drawSaes, silent: (words) => picture.silent(words) },
    signal,
  );
  const start = host.state();
  const state = store(
    start.good,
    host,
    {
      changed: () => frames.soon(),
      arrived: () => frames.finish(),
      settled() {
        frames.finish();
        picture.announce();
      },
      moved: () => picture.leaveLesson(),
      followed: (before) => picture.followed(before),
      received: () => picture.choose(null),
      jumped: (preset) => picture.jumped(preset),
      wrong: (words) => picture.say(words, true),
    },
    signal,
  );
  const picture = view(state, { signal, link: model.link, resized, recoloured: () => frames.soon() });
  const frames = loop(
    {
      draw: () => picture.draw(state.now()),
      read: () => picture.read(),
      finish: () => picture.finish(state.now()),
    },
    signal,
  );

  function drawSaes() {
    picture.drawSaes(host.saes());
  }

  function resized() {
    if (!picture.layout()) return;
    drawSaes();
    frames.finish();
  }

  el.style.width = "100%"; // a flex row would otherwise give it no width
  el.append(picture.root);
  const still = model.get("_still"); // a picture that a notebook holds in case that no widget can be drawn
  if (still) picture.root.append(html("style", {}, `.${still}, .jp-OutputArea-child:has(> * > .${still}) { display: none !important; }`));
  picture.start();
  if (start.wrong.length) picture.say(start.wrong.join("; "), true);
  return () => {
    ending.abort();
    picture.root.remove();
  };
}

export default { render };
