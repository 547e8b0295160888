// A small lasso, solved exactly, beside a hard threshold that cuts the same features (penalty.py).
import { controls, latents, measures, predictedBias, strengths, thresholdOf } from "./generated.js";
import { html, put, set, shown, svg, toggle, write } from "./dom.js";
import { angleOf, asWritten } from "./state.js";
import { valued } from "./table.js";

const GATES = { soft: "lasso (L1)", hard: "hard threshold (L0)" };
const STEPS = 60; // of a whole trail

// The lasso with this L1 coefficient and the hard threshold, by gate: means over the features, and where x̂ lies.
export function penalised(coefficient) {
  const threshold = thresholdOf(coefficient);
  const both = Object.keys(latents).map((gate) => [gate, thresholded(gate, threshold, coefficient)]);
  return { coefficient, ...Object.fromEntries(both) };
}

function thresholded(gate, threshold, coefficient) {
  let [a, b, c, sum, active] = [0, 0, 0, 0, 0];
  for (const f of strengths) {
    a += f * f;
    if (!(f > threshold)) continue;
    const u = latents[gate](f, threshold);
    b += u * u;
    c += f * u;
    sum += u;
    active += 1;
  }
  const n = strengths.length;
  const moments = [a / n, b / n, c / n];
  const grows = gate === "soft" ? sum / n : 0; // a count does not change when the latents are scaled
  const [ratio, rho, along] = ["norm_ratio", "cosine", "scale_x"].map((key) => measures[key].value(...moments));
  return {
    moments,
    grows,
    bias: measures.relative_reconstruction_bias.value(...moments),
    predicted: predictedBias(coefficient, grows, moments[2]),
    active: active / n,
    cosine: Math.min(rho, 1),
    norm_ratio: ratio,
    tip: [along, Math.sqrt(Math.max(ratio ** 2 - along ** 2, 0))], // in lengths of x
  };
}

// A penalty takes the x̂ of a single pair to the lasso's. A penalty of 0, or one that stays as it is, leaves x̂ alone.
export function lassoFollowed(patch, before) {
  if (!patch.penalty || patch.penalty === before.penalty || "angle" in patch || patch.merged || patch.population) return patch;
  const { cosine, norm_ratio } = penalised(patch.penalty).soft;
  return { angle: angleOf(cosine), norm_ratio, ...patch };
}

const LEADS = "A penalty above 0 moves x̂: to where a lasso puts it.";

// The line below the slider: what λ moved besides itself, from the state before it; or, with none, what it would move.
export function movedByPenalty(now, before) {
  if (!before) return LEADS;
  const moved = ["angle", "norm_ratio"].map((name) => `${name.replace("_", " ")} ${[before, now].map((state) => asWritten(name, state[name])).join(" → ")}`);
  return `λ moved x̂ to the lasso’s ring, L1: ${moved.join("°, ")}. Undo takes both back.`;
}

// All that a trail passes, computed when it is first needed.
let passing = null;
function trailTo(coefficient) {
  const step = controls.penalty.high / STEPS;
  passing ??= Array.from({ length: STEPS + 1 }, (_, i) => penalised(i * step));
  return passing.filter((point) => point.coefficient < coefficient);
}

// A ring for each gate with its trail from λ = 0, in a picture that says by `placed` where each lies, and by `beside`
// where its name stands: `[dx, dy, anchor]` from the ring.
export function rings(placed, beside) {
  const parts = Object.keys(GATES).map((gate) => {
    const [trail, ring] = [svg("polyline", { class: "course" }), svg("circle", { class: "ring", r: 5 })];
    const name = svg("text", { class: "ring-name" }, GATES[gate].match(/L\d/)[0]);
    return { gate, trail, ring, name, node: svg("g", { class: `penalised ${gate}`, role: "img" }, trail, ring, name) };
  });
  const node = svg("g", { class: "penalty" }, ...parts.map((part) => part.node));

  function draw({ penalty }) {
    toggle(node, Boolean(penalty));
    if (!penalty) return;
    const trail = [...trailTo(penalty.coefficient), penalty];
    for (const { gate, trail: line, ring, name } of parts) {
      const points = trail.map((point) => placed(point[gate]));
      set(line, { points: points.map(([p, q]) => `${p.toFixed(1)},${q.toFixed(1)}`).join(" ") });
      const [[p, q], [dx, dy, anchor]] = [points.at(-1), beside[gate]];
      put(ring, [p, q]);
      put(name, [p + dx, q + dy], anchor);
    }
  }

  function detail({ penalty }) {
    if (!penalty) return;
    for (const { gate, node: group } of parts) {
      set(group, { "aria-label": `${GATES[gate]}: γ ${shown(penalty[gate].bias)}, norm ratio ${shown(penalty[gate].norm_ratio)}` });
    }
  }

  return { node, draw, detail };
}

const LAW = [
  ["γ measured", "b/c", ({ bias }) => bias],
  ["γ predicted", "1 − λ·P/(2c)", ({ predicted }) => predicted],
  ["P", "what grows with x̂", ({ grows }) => grows],
  ["a", "E f²", ({ moments }) => moments[0]],
  ["b", "E u²", ({ moments }) => moments[1]],
  ["c", "E[f·u]", ({ moments }) => moments[2]],
  ["active", "share of the features", ({ active }) => active],
];

// The law in numbers: both thresholds side by side.
export function lawTable() {
  const rows = LAW.map(([name, words, value]) => {
    const cells = Object.keys(GATES).map((gate) => ({ gate, data: html("data", { "data-law": `${gate} ${name}` }) }));
    const head = html("th", { scope: "row" }, html("strong", {}, name), " ", html("small", {}, words));
    return { value, cells, node: html("tr", {}, head, ...cells.map(({ data }) => html("td", {}, data))) };
  });
  const titles = ["", ...Object.values(GATES)].map((title) => html(title ? "th" : "td", title ? { scope: "col" } : {}, title));
  const note = html("p", { class: "note" });
  const caption = html("caption", {}, "Of the two rings, L1 and L0: means over the features, f a feature’s strength and u its latent. Every measure of the arrows x and x̂ is in the other table.");
  const table = html("table", {}, caption, html("thead", {}, html("tr", {}, ...titles)), html("tbody", {}, ...rows.map(({ node }) => node)));
  const node = html("div", { class: "law" }, table, note);

  function draw({ penalty }) {
    toggle(node, Boolean(penalty));
    if (!penalty) return;
    for (const { value, cells } of rows) for (const { gate, data } of cells) valued(data, value(penalty[gate]), 4);
  }

  function detail({ penalty }) {
    if (!penalty) return;
    const threshold = shown(thresholdOf(penalty.coefficient));
    write(note, `${strengths.length} features, an orthonormal dictionary. Both cut at λ/2 = ${threshold}; the lasso also subtracts it.`);
  }

  return { node, draw, detail };
}

// For a screen reader and the caption of a saved picture.
export function lawInWords({ penalty }) {
  if (!penalty) return "";
  const words = Object.entries(GATES).map(([gate, name]) => `γ ${shown(penalty[gate].bias)} for the ${name}`);
  return `L1 penalty ${shown(penalty.coefficient, 2)}: ${words.join(", ")}`;
}
