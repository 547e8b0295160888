// The half-plane of (ρ, r): level curves of one measure, real SAEs, the state as a point, and its trail.
import { controls, levels, measures, momentsAt, undefinedAt } from "./generated.js";
import { asked, clamp, html, put, set, shown, svg, toggle, unheard, wrapped } from "./dom.js";
import { draggable, pointIn } from "./drag.js";
import { rings } from "./penalty.js";
import { cross } from "./plane.js";
import { angleOf, cosine } from "./state.js";

const FRAME = { left: 34, right: 12, top: 12, bottom: 34 };
const TRAIL = 120; // points that the trail keeps

export function map(act, signal) {
  const grid = svg("g", { class: "grid" });
  const curves = svg("g", { class: "levels" });
  const names = svg("g", { class: "level-names" });
  const none = svg("g", { class: "none-words" });
  const points = svg("g", { class: "saes" });
  const question = asked();
  const targets = svg("g", { class: "targets" }); // what is clicked on the points: above the trail, below the handle
  const trail = svg("polyline", { class: "trail", points: "" });
  const knob = svg(
    "g",
    { class: "grip state", "data-handle": "state", tabindex: 0, role: "slider", "aria-label": "state on the map",
      "aria-valuemin": -1, "aria-valuemax": 1 },
    svg("circle", { class: "reach", r: 20 }),
    svg("circle", { class: "knob", r: 7 }),
  );
  const back = svg("svg", { class: "map-back", "aria-hidden": "true" }, curves, grid, none, names, points, question);
  const pooled = cross();
  const penalty = rings(({ cosine, norm_ratio }) => [p(cosine), q(norm_ratio)], { soft: [-4, 21, "middle"], hard: [8, -11, "end"] });
  const front = svg("svg", { class: "map", role: "group", "aria-label": "norm ratio r over cosine ρ" }, trail, targets, penalty.node, knob, pooled);
  // The curves have a picture of their own, which need not be painted again while the point moves.
  const node = html("div", { class: "stack" }, back, front);

  let size = [500, 260];
  let offset = [0, 0];
  let path = [];
  let steps = 0;
  let last = null;
  const top = controls.norm_ratio.high;
  const p = (rho) => FRAME.left + ((rho + 1) / 2) * (size[0] - FRAME.left - FRAME.right);
  const q = (r) => size[1] - FRAME.bottom - (r / top) * (size[1] - FRAME.top - FRAME.bottom);

  draggable(
    knob,
    {
      start(event) {
        const [u, v] = pointIn(front, event);
        offset = [u - p(last[0]), v - q(last[1])];
        path = [];
      },
      move(event) {
        const [u, v] = pointIn(front, event);
        const rho = ((u - offset[0] - p(-1)) / (p(1) - p(-1))) * 2 - 1;
        const r = ((q(0) - v + offset[1]) / (q(0) - q(top))) * top;
        act.set({ angle: angleOf(rho), norm_ratio: clamp(r, 0, top) });
      },
      end: () => act.commit(),
      key: (direction, fine) => act.key("hat", direction, fine),
    },
    signal,
  );

  function layout(width) {
    size = [width, Math.round(clamp(width * 0.52, 190, 330))];
    for (const picture of [back, front]) set(picture, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    put(question, [p(0.5), q(top) + 30], "middle");
    drawGrid();
    last = null;
    return size;
  }

  function drawGrid() {
    const lines = [];
    for (const rho of [-1, -0.5, 0, 0.5, 1]) {
      lines.push(svg("line", { x1: p(rho), x2: p(rho), y1: q(0), y2: q(top) }));
      lines.push(svg("text", { x: p(rho), y: q(0) + 16, "text-anchor": "middle" }, shown(rho, 1)));
    }
    for (const r of [0, 0.5, 1, 1.5, 2]) {
      lines.push(svg("line", { x1: p(-1), x2: p(1), y1: q(r), y2: q(r) }));
      lines.push(svg("text", { x: p(-1) - 6, y: q(r) + 4, "text-anchor": "end" }, shown(r, 1)));
    }
    lines.push(svg("text", { x: p(1), y: size[1] - 3, "text-anchor": "end" }, "cosine ρ"));
    lines.push(svg("text", { x: p(-1) + 5, y: q(top) + 12 }, "norm ratio r"));
    grid.replaceChildren(...lines);
    curves.dataset.measure = "";
  }

  function drawLevels(key) {
    if (curves.dataset.measure === key) return;
    curves.dataset.measure = key;
    const scale = [(p(1) - p(-1)) / 2, q(1) - q(0)];
    set(curves, { transform: `translate(${p(0)},${q(0)}) scale(${scale})` });
    const area = svg("path", { d: undefinedAt[key], class: "none" });
    const paths = levels[key].map(({ value, path }) =>
      svg("path", { d: path, class: value === 1 ? `level one ${key}` : "level", "vector-effect": "non-scaling-stroke" }),
    );
    curves.replaceChildren(area, ...paths);
    none.replaceChildren(...whyNone(key));
    const taken = [];
    const texts = levels[key].flatMap(({ value, at }) => {
      const centre = [p(at[0]), q(at[1])];
      const free = taken.every(([u, v]) => Math.abs(u - centre[0]) > 30 || Math.abs(v - centre[1]) > 13);
      if (!free && value !== 1) return [];
      taken.push(centre);
      const text = svg("text", { class: value === 1 ? "one" : "", "text-anchor": "middle" }, String(value).replace("-", "−"));
      set(text, { x: clamp(centre[0], p(-1) + 10, p(1) - 12), y: clamp(centre[1] + 4, q(top) + 10, q(0) - 4) });
      return [text];
    });
    names.replaceChildren(...texts);
  }

  // In the grey area, why: in the words of a point in the middle of the left half, if the measure is undefined there.
  function whyNone(key) {
    const why = measures[key].whyUndefined(...momentsAt(-0.5, top / 2, 1));
    if (!why) return [];
    const words = [`${measures[key].plain} is undefined:`, ...wrapped(why, (p(0) - p(-1) - 12) / 6.5)];
    return words.map((line, i) =>
      svg("text", { x: p(-0.5), y: q(top / 2) + 16 * (i - words.length / 2), "text-anchor": "middle" }, line),
    );
  }

  // A point's place: x̂ goes there by a click on the nearest point, or by Enter on this one.
  function target(sae, saes) {
    const [u, v] = placed(sae);
    const reach = svg("circle", { class: "reach", cx: u, cy: v, r: 12 });
    const words = { role: "button", "aria-label": `move x̂ to ${sae.name}` };
    const node = svg("g", { class: "target", tabindex: 0, ...words }, svg("title", {}, sae.name), reach);
    node.addEventListener("click", (event) => goTo(nearest(saes, pointIn(front, event))), { signal });
    node.addEventListener("keydown", (event) => {
      if (!["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      goTo(sae);
    }, { signal });
    return unheard(node);
  }

  const placed = ({ cosine, norm_ratio }) => [p(cosine), q(Math.min(norm_ratio, top))];

  function nearest(saes, [u, v]) {
    const away = saes.map(placed).map(([x, y]) => Math.hypot(x - u, y - v));
    return saes[away.indexOf(Math.min(...away))];
  }

  function goTo({ name, cosine, norm_ratio }) {
    act.set({ angle: angleOf(cosine), norm_ratio: Math.min(norm_ratio, top) });
    act.commit();
    const beyond = `${name} is beyond the map, at r ${shown(norm_ratio)}: x̂ has its ρ, ${shown(cosine)}, and r ${shown(top)}.`;
    act.say(norm_ratio > top ? beyond : `x̂ is at ${name}: ρ ${shown(cosine)}, r ${shown(norm_ratio)}.`);
  }

  function drawSaes(saes) {
    const focused = [...targets.children].indexOf(targets.getRootNode().activeElement);
    targets.replaceChildren(...saes.map((sae) => target(sae, saes)));
    targets.children[focused]?.focus();
    const dots = [];
    const labels = saes.map(({ name, cosine, norm_ratio }) => {
      const [u, v] = [p(cosine), q(Math.min(norm_ratio, top))];
      dots.push(svg("circle", { cx: u, cy: v, r: 4 }));
      const room = cosine < 0.2;
      const words = norm_ratio > top ? `${name} (r = ${shown(norm_ratio, 2)} ↑)` : name;
      return { u: room ? u + 8 : u - 8, v, words, anchor: room ? "start" : "end" };
    });
    labels.sort((first, second) => first.v - second.v);
    let above = -Infinity;
    for (const label of labels) {
      label.y = above = Math.max(label.v + 4, above + 14); // names of neighbouring points go below one another
    }
    const texts = labels.map(({ u, y, words, anchor }) => svg("text", { x: u, y, "text-anchor": anchor }, words));
    points.replaceChildren(...dots, ...texts);
  }

  function draw(scene) {
    const { state, values } = scene;
    drawLevels(state.measure);
    penalty.draw(scene);
    const [rho, r] = [cosine(state.angle), state.norm_ratio];
    const hasPooled = state.population && values.cosine.value !== null;
    toggle(pooled, Boolean(hasPooled));
    if (hasPooled) put(pooled, [p(values.cosine.value), q(Math.min(values.norm_ratio.value, top))]);
    const moved = !last || rho !== last[0] || r !== last[1];
    last = [rho, r];
    if (!moved) return;
    put(knob, [p(rho), q(r)]);
    path = [...path.slice(-TRAIL), [rho, r]];
    if (steps++ % 2) return; // every second frame is enough for a trail
    set(trail, { points: path.map(([u, v]) => `${p(u).toFixed(1)},${q(v).toFixed(1)}`).join(" ") });
  }

  function detail(scene) {
    penalty.detail(scene);
    const [rho, r] = last;
    set(knob, { "aria-valuenow": rho.toFixed(3), "aria-valuetext": `cosine ${shown(rho, 2)}, norm ratio ${shown(r, 2)}` });
  }

  function forget() {
    path = [];
    last = null;
  }

  return { node, layout, draw, detail, drawSaes, forget, pictures: [back, front] };
}
