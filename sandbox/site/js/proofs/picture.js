// The picture beside the proofs: x and x̂, which a reader drags, and what the reader points at in a formula.
import { defaults, measures } from "../../explorer/generated.js";
import { clamp, html, shown, write } from "../../explorer/dom.js";
import { loop } from "../../explorer/loop.js";
import { keyed, tipMoved, xMoved } from "../../explorer/moves.js";
import { plane } from "../../explorer/plane.js";
import { sceneOf } from "../../explorer/scene.js";
import { sorted, toAddress } from "../../explorer/state.js";
import { theme } from "../../explorer/theme.js";

// What each key stands for: the part of the picture that shows it, and its words and value in a scene.
const MOMENTS = { a: ["E‖x‖²", 0], b: ["E‖x̂‖²", 1], c: ["E[x·x̂]", 2] };
const OTHERS = {
  x: () => ["x", "the activation", ""],
  x_hat: () => ["x̂", "the reconstruction", ""],
  angle: ({ state }) => ["θ", "the angle between x and x̂", `${shown(state.angle, 1)}°`],
  loss: ({ moments: [a], values }) => ["L", "the loss E‖x̂ − x‖²", shown(a * values.relative_loss.value)],
};
const KEYS = ["a", "b", "c", "norm_ratio", "cosine", "angle", "loss", "scale_x", "scale_x_hat", "relative_reconstruction_bias"];

export function picture(frame, say, signal) {
  let state = { ...defaults };
  let scene = null;
  let pointed = null;
  const act = {
    say,
    now: () => state,
    seen: () => state,
    commit: () => frames.finish(),
    moveTip: (point) => state.norm_x && move(tipMoved(state, point)),
    moveX: (u) => move(xMoved(state, u)),
    key: (handle, direction, fine) => (move(keyed(state, handle, direction, fine)), frames.finish()),
  };
  const vectors = plane(act, signal);
  const told = html("p", { class: "told", role: "status" });
  const buttons = html("div", { class: "symbols", role: "group", "aria-label": "Show in the picture" });
  const open = html("a", { class: "open" }, "Open in the explorer");
  const root = html("div", { class: "shrinkage-explorer" }, vectors.node);
  frame.append(root, told, buttons, open);
  for (const key of KEYS) {
    const button = html("button", { type: "button", "aria-pressed": "false" }, label(key));
    button.addEventListener("click", () => point(pointed === key ? null : key), { signal });
    buttons.append(button);
  }
  const frames = loop({ draw, read: () => vectors.detail(scene), finish: rest }, signal);
  theme(root, signal, () => frames.soon());
  const observer = new ResizeObserver(() => layout());
  observer.observe(frame);
  signal.addEventListener("abort", () => observer.disconnect());
  layout();

  function layout() {
    const width = Math.floor(root.clientWidth) - 20;
    if (width < 50) return;
    vectors.layout(width, clamp(0.56 * width, 170, Math.max(0.3 * innerHeight, 170)));
    document.documentElement.style.setProperty("--picture", `${frame.offsetHeight}px`);
    frames.finish();
  }

  function move(patch) {
    state = { ...state, ...patch };
    frames.soon();
  }

  function draw() {
    scene = sceneOf(state, scene);
    vectors.draw(scene);
    write(told, pointed ? inWords(pointed) : "Point at a letter of a formula, or drag a tip.");
  }

  function rest() {
    draw();
    vectors.detail(scene);
    open.href = `explorer.html${toAddress(state)}`;
  }

  function inWords(key) {
    if (MOMENTS[key]) return `${key} = ${MOMENTS[key][0]} = ${shown(scene.moments[MOMENTS[key][1]])}`;
    if (OTHERS[key]) {
      const [symbol, words, value] = OTHERS[key](scene);
      return `${symbol}, ${words}${value && `: ${value}`}`;
    }
    const { value, reason } = scene.values[key];
    const { plain, question } = measures[key];
    return `${plain} ${value === null ? `is undefined: ${reason}` : `= ${shown(value)}`}. ${question}`;
  }

  // Shows in the picture what a key stands for; null ends it.
  function point(key) {
    pointed = key;
    frame.dataset.pointed = key ?? "";
    for (const [i, button] of [...buttons.children].entries()) button.setAttribute("aria-pressed", String(KEYS[i] === key));
    frames.finish();
  }

  // Goes to settings, such as a counterexample's; returns what cannot be shown, in words.
  function show(settings) {
    const { good, wrong } = sorted(settings);
    if (!wrong.length) {
      state = { ...defaults, ...good, population: false, merged: false };
      frames.finish();
    }
    return wrong.join("; ");
  }

  return { show, point };
}

function label(key) {
  return measures[key]?.plain ?? { angle: "θ", loss: "L" }[key] ?? key;
}

// The settings of a pair of vectors in the plane.
export function settingsOf(x, hat) {
  const [length, other] = [Math.hypot(...x), Math.hypot(...hat)];
  const cross = Math.abs(x[0] * hat[1] - x[1] * hat[0]);
  const angle = (Math.atan2(cross, x[0] * hat[0] + x[1] * hat[1]) * 180) / Math.PI;
  return { norm_x: length, norm_ratio: length ? other / length : 0, angle };
}
