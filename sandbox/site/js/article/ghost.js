// A ring with which the reader predicts where something lies, and, with the answer, how far off it was.
import { loci } from "../../explorer/generated.js";
import { clamp, put, set, shown, svg, toggle, write } from "../../explorer/dom.js";
import { draggable, pointIn } from "../../explorer/drag.js";

const REACH = [-0.95, 1.35]; // how far the ring goes along x, in lengths of x
const STEP = 0.05;

// `plane` is the picture, `now` its scene; `moved()` is called when the ring has moved.
// A ring is along x, along x̂ (`along`; the truth is then a measure: a multiple), or near a curve.
export function ghost({ along, truth, near, from }, plane, now, moved, signal) {
  const link = svg("line", { class: "off" });
  const mark = svg("circle", { class: "truth", r: 4 });
  const words = svg("text", { class: "ghost-name" });
  const ring = svg("g", { class: "grip guess", "data-handle": "guess", tabindex: 0, role: "slider", "aria-label": "your prediction" });
  ring.append(svg("circle", { class: "reach", r: 22 }), svg("circle", { class: "knob", r: 9 }));
  const node = svg("g", { class: "ghost" }, link, mark, words, ring);
  const curve = near ? pieces(loci[near]) : null;
  let at = near ? [...from] : from; // a multiple of an arrow, or a point in lengths of x
  let touched = false;
  let answered = false;
  let left = false; // it was answered, and then the arrows moved

  const arrow = ({ x, tip }) => (along === "x" ? x : tip);
  const lengths = (scene) => scene.state.norm_x || 1;
  const place = (scene) => (near ? at.map((part) => part * lengths(scene)) : arrow(scene).map((part) => part * at));

  function goal(scene) {
    if (near) return nearest(curve, at).map((part) => part * lengths(scene));
    const scale = scene.values[truth].value;
    return scale === null ? null : arrow(scene).map((part) => part * scale);
  }

  function go(point) {
    const scene = now();
    const [u, v] = point.map((part) => part / lengths(scene));
    if (near) at = [clamp(u, ...REACH), clamp(v, 0, 1.2)];
    else {
      const [p, q] = arrow(scene).map((part) => part / lengths(scene));
      at = clamp((u * p + v * q) / (p * p + q * q || 1), along === "x" ? REACH[0] : 0, REACH[1]);
    }
    touched = true;
    moved();
  }

  let offset = [0, 0];
  draggable(
    ring,
    {
      start(event) {
        const [p, q] = pointIn(plane.node, event);
        const [tp, tq] = plane.toView(place(now()));
        offset = [p - tp, q - tq];
      },
      move(event) {
        const [p, q] = pointIn(plane.node, event);
        go(fromView([p - offset[0], q - offset[1]]));
      },
      end: moved,
      key([right, up], fine) {
        const by = fine ? STEP / 5 : STEP;
        const scene = now();
        if (near) return go(at.map((part, i) => (part + by * [right, up][i]) * lengths(scene)));
        go(arrow(scene).map((part) => part * (at + by * (right || up))));
      },
    },
    signal,
  );

  function fromView([p, q]) {
    const [zero, one] = [plane.toView([0, 0]), plane.toView([1, 1])];
    return [(p - zero[0]) / (one[0] - zero[0]), (q - zero[1]) / (one[1] - zero[1])];
  }

  // In lengths of x; null if there is nothing to be near to.
  function distance(scene) {
    const to = goal(scene);
    if (!to) return null;
    const [u, v] = place(scene);
    return Math.hypot(u - to[0], v - to[1]) / lengths(scene);
  }

  function draw(scene) {
    const [p, q] = plane.toView(place(scene));
    put(ring, [p, q]);
    const to = answered ? goal(scene) : null;
    let [wp, wq] = along === "x" ? [p, q + 27] : [p, q - 18]; // of the words
    for (const part of [link, mark]) toggle(part, Boolean(to));
    if (to) {
      const [x2, y2] = plane.toView(to);
      set(link, { x1: p, y1: q, x2, y2 });
      put(mark, [x2, y2]);
      if (along === "x" && Math.abs(p - x2) < 58) [wp, wq] = [(p + x2) / 2, q - 14]; // below is the name of the foot
    }
    const off = answered ? distance(scene) : null;
    write(words, off === null ? "your prediction" : `${shown(off, 2)} away`);
    put(words, [clamp(wp, 56, plane.node.viewBox.baseVal.width - 56), wq], "middle");
  }

  function detail(scene) {
    const [u, v] = place(scene).map((part) => part / lengths(scene));
    const text = near ? `${shown(u, 2)} along x, ${shown(v, 2)} above it` : `${shown(at, 2)} of ${along === "x" ? "x" : "x̂"}`;
    const value = near ? u : at;
    set(ring, { "aria-valuenow": value.toFixed(2), "aria-valuemin": REACH[0], "aria-valuemax": REACH[1], "aria-valuetext": text });
  }

  // With the answer the ring stays where it was left, until the arrows move; one that was never moved predicts nothing.
  function answer(given) {
    answered = given;
    left = false;
    toggle(node, !given || touched);
    node.classList.toggle("answered", given);
    set(ring, { tabindex: given ? -1 : 0, "aria-disabled": given });
  }

  function leave() {
    left = answered;
    if (left) toggle(node, false);
  }

  return { node, draw, detail, distance, answer, leave, predicts: () => touched && !left, touched: () => touched, place: () => place(now()) };
}

// A path of straight lines as lists of points.
function pieces(path) {
  const points = (text) => text.split("L").map((point) => point.split(",").map(Number));
  return path.split("M").filter(Boolean).map(points);
}

function nearest(curve, [u, v]) {
  let best = null;
  let least = Infinity;
  for (const points of curve) {
    for (let i = 1; i < points.length; i++) {
      const [[p, q], [r, s]] = [points[i - 1], points[i]];
      const [du, dv] = [r - p, s - q];
      const share = clamp(((u - p) * du + (v - q) * dv) / (du * du + dv * dv || 1), 0, 1);
      const at = [p + share * du, q + share * dv];
      const off = Math.hypot(u - at[0], v - at[1]);
      if (off < least) [best, least] = [at, off];
    }
  }
  return best;
}
