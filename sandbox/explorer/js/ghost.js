// A prediction as an act: a ring to drag to where the best multiple of x or x̂ should end. The answer shows how far off it is.
import { clamp, put, set, shown, svg, toggle } from "./dom.js";
import { draggable, pointIn } from "./drag.js";

const START = 1.25; // beside the tip, not on it
const LONGEST = 1.4; // as far as the picture shows
const BESIDE = { scale_x: [[8, -16], "end"], scale_x_hat: [[14, 5], "start"] }; // where its name stands, off the arrow

// In a picture whose points `toView` and `fromView` convert. `act.say` says the distance.
export function ghost(act, picture, { toView, fromView }, signal) {
  const off = svg("line", { class: "ghost-off" });
  const grip = svg("g", { class: "grip ghost", "data-handle": "ghost", tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": LONGEST },
    svg("circle", { class: "reach", r: 20 }), svg("circle", { class: "knob", r: 8 }));
  const label = svg("text", { class: "ghost-name" }, "your guess");
  grip.append(label);
  const node = svg("g", { class: "prediction" }, off, grip);
  let [key, share, told] = [null, START, false];
  let scene = null;
  toggle(node, false);

  const base = () => (key === "scale_x" ? scene.x : scene.tip);
  const at = (multiple) => toView(base().map((part) => part * multiple));

  draggable(
    grip,
    {
      start() {},
      move(event) {
        const [u, v] = fromView(pointIn(picture, event));
        const [x, y] = base();
        moveTo((u * x + v * y) / (x * x + y * y));
      },
      end() {},
      key: ([right, up], fine) => moveTo(share + (right || up) * (fine ? 0.01 : 0.05)),
    },
    signal,
  );

  function moveTo(multiple) {
    if (told) return;
    share = clamp(multiple, 0, LONGEST);
    draw(scene);
  }

  function draw(now) {
    scene = now;
    if (!key) return;
    put(grip, at(share));
    set(grip, { "aria-valuenow": share.toFixed(2), "aria-valuetext": `your prediction: ${shown(share, 2)} times` });
    toggle(off, told);
    if (!told) return;
    const [[x1, y1], [x2, y2]] = [share, scene.values[key].value].map(at);
    set(off, { x1, y1, x2, y2 });
  }

  // Asks for a scale, by its key; null ends the question.
  function ask(which) {
    [key, share, told] = [which, START, false];
    toggle(node, Boolean(key));
    if (key) set(grip, { "aria-label": `your prediction of the best multiple of ${nameOf(key)}` });
    if (key) put(label, ...BESIDE[key]);
    if (key && scene) draw(scene);
  }

  function tell() {
    if (!key || told) return;
    told = true;
    draw(scene);
    const best = scene.values[key].value;
    const words = `the best multiple of ${nameOf(key)} is ${shown(best)}`;
    act.say(share === START ? `You have not moved the ring: ${words}.` : `You put it at ${shown(share)}; ${words}: ${shown(Math.abs(share - best))} off.`);
  }

  return { node, draw, ask, tell };
}

export function nameOf(key) {
  return key === "scale_x" ? "x" : "x̂";
}
