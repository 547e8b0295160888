// The one picture beside the text: the plane of x and x̂, with what the current scene shows of it.
import { clamp, html, toggle, write } from "../../explorer/dom.js";
import { cloud } from "../../explorer/means.js";
import { plane } from "../../explorer/plane.js";
import { theme } from "../../explorer/theme.js";
import { figure6 } from "./figure6.js";
import { ghost } from "./ghost.js";
import { readout } from "./numbers.js";

const SPAN = [-0.4, 1.4]; // of the plane at first, in lengths of x
const LABELS = { relative_reconstruction_bias: [0.067, 0.25], scale_x: [1, 0.94], norm_ratio: [-0.17, 0.985] };
const TALL = 0.64; // the plane's height, in its widths

// `root` is the element to fill; `act` what the plane needs; `go(by)` turns to another scene; `read()` goes to its text; `reset()` puts x̂ back; `arrived()` is called with the chart.
export function stage(root, scenes, act, { go, read, reset, now, guessed, recoloured, arrived }, signal) {
  let colours = {};
  const colour = (name) => (colours[name] ??= getComputedStyle(root).getPropertyValue(name));
  const vectors = plane(act, signal, { span: SPAN, labels: LABELS });
  const dots = cloud({ colour });
  const chart = figure6(arrived, guessed, signal);
  const readouts = scenes.map((scene) => (scene.chart ? { node: chart.readout, draw() {} } : readout(scene)));
  const ghosts = scenes.map((scene) => scene.ghost && ghost(scene.ghost, vectors, now, guessed, signal));
  const stack = html("div", { class: "stack" }, dots.node, vectors.node);
  const back = button("← Back", "back", () => go(-1));
  const next = button("Next →", "next", () => go(1));
  const again = button("Reset", "reset", reset);
  const text = button("Back to the text", "text", read);
  const where = html("span", { class: "where" });
  const spoken = html("p", { class: "spoken", role: "status" });
  for (const one of ghosts) if (one) vectors.node.append(one.node);
  root.append(
    html("div", { class: "picture" }, stack, chart.node),
    html("div", { class: "readouts" }, ...readouts.map(({ node }) => node)),
    html("div", { class: "turn" }, back, where, next, again, text),
    spoken,
  );
  const look = theme(root, signal, () => {
    colours = {};
    recoloured(root.dataset.theme);
  });
  let at = 0;

  function button(words, action, run) {
    const node = html("button", { type: "button", "data-action": action }, words);
    node.addEventListener("click", run, { signal });
    return node;
  }

  // `room` is the height left for the picture.
  function layout(room) {
    const width = Math.floor(stack.parentElement.clientWidth);
    if (width <= 0) return;
    dots.layout(vectors.layout(width, clamp(room, 180, width * TALL)));
    look();
  }

  // Another scene, or its answer.
  function choose(index, answered) {
    at = index;
    const scene = scenes[index];
    root.dataset.scene = index + 1;
    root.dataset.shown = answered ? scene.after : scene.before;
    root.classList.toggle("answered", answered);
    toggle(stack, !scene.chart);
    toggle(chart.node, Boolean(scene.chart));
    readouts.forEach(({ node }, i) => toggle(node, i === index));
    ghosts.forEach((one, i) => {
      if (!one) return;
      if (i === index) one.answer(answered);
      else toggle(one.node, false);
    });
    if (scene.chart) chart.choose(answered);
    toggle(again, !scene.chart);
    write(where, `${index + 1} of ${scenes.length}`);
    for (const [node, end] of [[back, 0], [next, scenes.length - 1]]) node.setAttribute("aria-disabled", String(index === end));
  }

  function draw(scene, facts, answered) {
    if (!scenes[at].chart) {
      vectors.draw(scene);
      dots.draw(scene, vectors.toView);
      ghosts[at]?.draw(scene);
    }
    readouts[at].draw(facts, answered);
  }

  function detail(scene) {
    vectors.detail(scene);
    ghosts[at]?.detail(scene);
  }

  // Takes the focus to what a hand would move in this scene.
  function focus() {
    // What is not drawn has a box in WebKit, and is visible to Chromium.
    const seen = (node) => node.getClientRects().length && node.checkVisibility({ visibilityProperty: true });
    const able = [...root.querySelectorAll('[tabindex="0"], .readouts input:enabled')].filter(seen);
    const best = ["guess", "x-hat"].map((name) => able.find((node) => node.dataset.handle?.startsWith(name))).find(Boolean);
    (best ?? able[0] ?? next).focus({ preventScroll: true });
  }

  return { layout, focus, choose, draw, detail, ghost: (index) => ghosts[index], chart, say: (words) => write(spoken, words) };
}
