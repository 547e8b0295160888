// The plane of x and x̂: both arrows, their rescalings, the three loci, and the loss as a right triangle.
import { controls, loci, measures } from "./generated.js";
import { clamp, put, set, shown, svg, toggle, write } from "./dom.js";
import { draggable, pointIn } from "./drag.js";
import { ghost } from "./ghost.js";
import { rings } from "./penalty.js";
import { tipOf } from "./state.js";

const SPAN = [-1.05, 1.45]; // of the view at zoom 1; x, of length 1, takes up 40 % of it
const shape = (width) => clamp(width * 0.56, 190, 520);
const ZOOMS = [1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32];
const LABELS = { relative_reconstruction_bias: [0.067, 0.25], scale_x: [1, 1.12], norm_ratio: [-0.643, 0.766] };

// `span` is the part of the line of x in view at first, `labels` where the names of the curves stand, in lengths of x.
export function plane(act, signal, { span = SPAN, labels = LABELS } = {}) {
  const curves = svg("g", { class: "loci" });
  const names = svg("g", { class: "loci-names" });
  const paths = Object.entries(loci).map(([key, d]) => {
    const path = svg("path", { d, class: `locus ${key}`, "vector-effect": "non-scaling-stroke" });
    const name = svg("text", { class: `locus-name ${key}` }, `${measures[key].plain} = 1`);
    curves.append(path);
    names.append(name);
    return { key, name };
  });
  const part = (tag, name) => svg(tag, { class: name });
  const axis = part("line", "axis");
  const sides = { angle: part("line", "side angle"), length: part("line", "side length") };
  const loss = part("line", "side loss");
  const across = part("line", "residual");
  const corners = [part("polyline", "corner"), part("polyline", "corner")];
  const feet = { x: part("circle", "foot of-x"), hat: part("circle", "foot of-x-hat") };
  const feetNames = { x: part("text", "foot-name of-x"), hat: part("text", "foot-name of-x-hat") };
  feetNames.x.textContent = "c/a·x";
  feetNames.hat.textContent = "c/b·x̂";
  const arrows = { x: arrow("x"), hat: arrow("x-hat") };
  const arc = part("path", "arc");
  const degrees = part("text", "degrees");
  const figures = tipFigures();
  const pooled = cross();
  let length = 1; // of x
  const penalty = rings(({ tip }) => toView(tip.map((part) => part * length)), { soft: [-10, -8, "end"], hard: [10, -5, "start"] });
  const grips = { x: grip("x", "tip of x"), hat: grip("x-hat", "tip of x̂") };
  const picture = svg("svg", { class: "plane", role: "group", "aria-label": "the plane of x and x̂" });
  picture.append(
    ...[axis, curves, names, arc, degrees, across, sides.angle, sides.length, loss, ...corners],
    ...[...arrows.x.parts, ...arrows.hat.parts, feet.x, feet.hat, feetNames.x, feetNames.hat],
    ...[penalty.node, figures.node, grips.x, grips.hat, pooled],
  );

  let size = [600, 336];
  let zoom = 1;
  let holding = 0; // pointers that hold a handle: meanwhile the zoom stays
  const unit = () => size[0] / ((span[1] - span[0]) * zoom);
  const origin = () => [-span[0] * zoom * unit(), size[1] - 34];
  const toView = ([u, v]) => [origin()[0] + u * unit(), origin()[1] - v * unit()];
  const fromView = ([p, q]) => [(p - origin()[0]) / unit(), (origin()[1] - q) / unit()];

  const prediction = ghost(act, picture, { toView, fromView }, signal);
  picture.append(prediction.node);

  // The nearest place for a text of that extent to the left and right to be inside the picture.
  const within = ([p, q], left, right) => [clamp(p, left, size[0] - right), clamp(q, 16, size[1] - 4)];

  function fits(z, points) {
    const tall = (size[1] - 34) / (size[0] / (span[1] - span[0]));
    return points.every(([u, v]) => u >= span[0] * z * 0.98 && u <= span[1] * z * 0.98 && v <= tall * z * 0.97);
  }

  function grab(name, tip, move) {
    let offset = [0, 0]; // from the tip to where it was gripped
    draggable(
      grips[name],
      {
        start(event) {
          const [p, q] = pointIn(picture, event);
          const [tp, tq] = toView(tip());
          offset = [p - tp, q - tq];
          holding += 1;
        },
        move(event) {
          const [p, q] = pointIn(picture, event);
          move(fromView([clamp(p - offset[0], 4, size[0] - 4), clamp(q - offset[1], 4, origin()[1])]));
        },
        end() {
          holding -= 1;
          act.commit();
        },
        key: (direction, fine) => act.key(name, direction, fine),
      },
      signal,
    );
  }
  grab("hat", () => tipOf(act.seen()), (point) => act.moveTip(point));
  grab("x", () => [act.now().norm_x, 0], ([u]) => act.moveX(u));

  function layout(width, height = shape(width)) {
    size = [width, Math.round(height)];
    set(picture, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    return size;
  }

  function draw(scene) {
    const { state, x, tip, values, pooledTip } = scene;
    const seen = pooledTip ? [x, tip, pooledTip] : [x, tip];
    if (!holding) zoom = ZOOMS.find((z) => fits(z, seen)) ?? ZOOMS.at(-1);
    const [zero, px, ph] = [[0, 0], x, tip].map(toView);
    const small = state.norm_x * unit() < 3;
    set(axis, { x1: 0, x2: size[0], y1: zero[1], y2: zero[1] });
    set(curves, { transform: `translate(${zero}) scale(${state.norm_x * unit()} ${-state.norm_x * unit()})` });
    toggle(curves, !small);
    for (const { key, name } of paths) {
      const [u, v] = labels[key].map((part) => part * state.norm_x);
      const [p, q] = toView([u, v]);
      const top = clamp(q - 6, 14, size[1]);
      put(name, [key === "scale_x" ? p + 5 : p - 5, top], key === "scale_x" ? "start" : "end");
      toggle(name, !small && q > -size[1] && state.norm_x * unit() > 60);
    }
    arrows.x.point(zero, px, within);
    arrows.hat.point(zero, ph, within);
    put(grips.x, px);
    put(grips.hat, ph);
    grips.hat.classList.toggle("still", !state.norm_x); // it would lie on the tip of x, and could not be moved
    drawAngle(state, zero);
    drawFeet(state, values, tip, x);
    if (scene.penalty) toggle(feetNames.hat, false); // the rings and their names lie there
    length = state.norm_x;
    penalty.draw(scene);
    figures.place(scene, ph, within);
    prediction.draw(scene);
    toggle(pooled, Boolean(pooledTip));
    if (pooledTip) put(pooled, within(toView(pooledTip), 26, 26));
  }

  function detail(scene) {
    const { angle, norm_ratio, norm_x } = scene.state;
    penalty.detail(scene);
    set(grips.x, { "aria-valuenow": norm_x.toFixed(2), "aria-valuetext": `norm of x ${shown(norm_x, 2)}` });
    const words = `angle ${shown(angle, 1)} degrees, norm ratio ${shown(norm_ratio, 2)}`;
    set(grips.hat, { "aria-valuenow": angle.toFixed(1), "aria-valuetext": words });
  }

  function drawAngle({ angle, norm_x, norm_ratio }, [p, q]) {
    const radius = clamp(0.22 * unit() * norm_x, 14, 46);
    const turn = (angle * Math.PI) / 180;
    const end = [p + radius * Math.cos(turn), q - radius * Math.sin(turn)];
    set(arc, { d: `M${p + radius},${q}A${radius},${radius} 0 0 0 ${end}` });
    put(degrees, [p + (radius + 8) * Math.cos(turn / 2), q - (radius + 8) * Math.sin(turn / 2) + 4]);
    write(degrees, `${shown(angle, angle > 89 && angle < 91 ? 2 : 1)}°`);
    toggle(degrees, angle > 8);
    toggle(arc, norm_x * norm_ratio > 0);
  }

  // The feet of both projections, for a single pair: a population's scales belong to no one triangle.
  function drawFeet(state, values, tip, x) {
    const ofX = state.population ? null : values.scale_x.value;
    const ofHat = ofX === null ? null : values.scale_x_hat.value;
    for (const node of [loss, across, corners[0], feet.x, feetNames.x]) toggle(node, ofX !== null);
    for (const node of [sides.angle, sides.length, corners[1], feet.hat]) toggle(node, ofHat !== null);
    if (ofX === null) return toggle(feetNames.hat, false);
    const [zero, px, ph, footX] = [[0, 0], x, tip, [ofX * x[0], 0]].map(toView);
    line(loss, px, ph);
    line(across, ph, footX);
    put(feet.x, footX);
    put(feetNames.x, within([footX[0], footX[1] + 22], 24, 24), "middle");
    corner(corners[0], footX, ph, zero);
    if (ofHat === null) return toggle(feetNames.hat, false);
    const footHat = toView(tip.map((part) => part * ofHat));
    line(sides.angle, px, footHat);
    line(sides.length, ph, footHat);
    put(feet.hat, footHat);
    const apart = Math.hypot(footHat[0] - ph[0], footHat[1] - ph[1]) > 14; // else it would cover the name of x̂
    toggle(feetNames.hat, apart && footHat[1] < size[1]); // at an obtuse angle it lies beyond x
    const [p, q] = footHat; // beyond the tip there is room on the right, before it on the left of the arrow
    if (ofHat > 1) put(feetNames.hat, within([p + 9, q - 9], 4, 50), "start");
    else put(feetNames.hat, within([p - 10, q - 4], 50, 4), "end");
    corner(corners[1], footHat, px, zero);
  }

  return { node: picture, layout, draw, detail, toView, drawFigures: figures.draw, prediction };
}

// The measures that the loci belong to, beside the tip of x̂: at its upper left, or where there is no room, at its right.
function tipFigures() {
  const lines = ["relative_reconstruction_bias", "scale_x", "norm_ratio"].map((key, i) => ({ key, text: svg("text", { class: key, y: 15 * i }) }));
  const node = svg("g", { class: "tip-figures", "aria-hidden": "true" }, ...lines.map(({ text }) => text)); // the table has them
  return {
    node,
    place({ state, penalty, population }, [p, q], within) {
      toggle(node, !population && !penalty && state.norm_x * state.norm_ratio > 0);
      const left = p > 84;
      const [u, v] = within([left ? p - 14 : p + 36, q - 44], left ? 70 : 4, left ? 4 : 70);
      put(node, [u, v], left ? "end" : "start");
    },
    draw({ values }) {
      for (const { key, text } of lines) {
        const { value } = values[key];
        write(text, `${measures[key].plain} ${value === null ? "–" : shown(value)}`);
      }
    },
  };
}

function arrow(name) {
  const shaft = svg("line", { class: `arrow ${name}`, "data-arrow": name });
  const head = svg("polygon", { class: `head ${name}` });
  const label = svg("text", { class: `arrow-name ${name}` }, name === "x" ? "x" : "x̂");
  return {
    parts: [shaft, head, label],
    point(from, to, within) {
      line(shaft, from, to);
      const along = [to[0] - from[0], to[1] - from[1]];
      const length = Math.hypot(...along);
      const [du, dv] = length ? along.map((part) => part / length) : [1, 0];
      const back = [to[0] - 11 * du, to[1] - 11 * dv];
      set(head, { points: `${to} ${back[0] - 5 * dv},${back[1] + 5 * du} ${back[0] + 5 * dv},${back[1] - 5 * du}` });
      toggle(head, length > 11);
      // Beside the tip: a projection may end just before it, and both tips may coincide.
      const [p, q] = name === "x" ? [20, 19] : [8 * du - 17 * dv, 8 * dv + 17 * du + 4];
      const low = name !== "x" && from[1] - to[1] < 40; // so near to x that the name goes above
      put(label, within([to[0] + p, to[1] + (low ? -13 : q)], 12, 12), "middle");
    },
  };
}

function grip(name, label) {
  const { low, high } = controls[name === "x" ? "norm_x" : "angle"];
  const limits = { "aria-valuemin": low, "aria-valuemax": high };
  return svg(
    "g",
    { class: `grip ${name}`, "data-handle": name, tabindex: 0, role: "slider", "aria-label": label, ...limits },
    svg("circle", { class: "reach", r: 20 }),
    svg("circle", { class: "knob", r: 7 }),
  );
}

function line(node, [x1, y1], [x2, y2]) {
  set(node, { x1, y1, x2, y2 });
}

// The pooled position of a population.
export function cross() {
  return svg("g", { class: "pooled" }, svg("path", { d: "M-7,0h14M0,-7v14" }), svg("text", { y: 18, "text-anchor": "middle" }, "pooled"));
}

// The mark of a right angle at `at`, between the directions to two other points.
export function corner(node, at, ...points) {
  const [u, v] = points.map((to) => {
    const way = [to[0] - at[0], to[1] - at[1]];
    const length = Math.hypot(...way);
    return length > 16 ? way.map((part) => (part * 9) / length) : null;
  });
  const far = u && v && [at[0] + u[0] + v[0], at[1] + u[1] + v[1]];
  set(node, { points: far ? `${at[0] + u[0]},${at[1] + u[1]} ${far} ${at[0] + v[0]},${at[1] + v[1]}` : "" });
}
