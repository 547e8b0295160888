// Figure 7: γ against what the law of shrinkage predicts (C19), at the end of training and on the way there.
import { html } from "../../explorer/dom.js";
import { swatch } from "./chart.js";
import { oneOf } from "./choices.js";
import { asCell, inWords, kindOf } from "./estimates.js";
import { fetched, failed } from "./files.js";
import { linked } from "./linked.js";
import { cellsOf, idOf, nameOf } from "./saes.js";
import { architectures } from "./words.js";

const SWEEPS = { "figure-7": "all-MiniLM-L6-v2, a small text encoder", smollm2: "SmolLM2-135M, a language model" };
const VIEWS = { predicted: "measured against predicted", steps: "measured less predicted, during training" };
const NAMES = {
  predicted: "predicted, 1 − λ·P/(2c)",
  gamma: "γ about b_dec",
  difference: "measured − predicted",
  penalty: "P",
  c: "c",
};
const HINT = "95 % intervals. On a point, ← and → walk along its architecture, ↑ and ↓ to another; Enter keeps it.";

export async function law(el) {
  const state = { sweep: "figure-7", view: "predicted" };
  const legend = html("p", { class: "legend" });
  const other = (sweep) => load(sweep).catch((error) => failed(el, error));
  const controls = html(
    "div",
    { class: "choices" },
    oneOf("Model", SWEEPS, state.sweep, other),
    oneOf("Shown", VIEWS, state.view, (view) => (Object.assign(state, { view }), draw())),
  );
  const figure = linked({ label: "γ measured, and γ as the law predicts it", choices: [controls, legend] });
  el.replaceChildren(figure.node);
  let data;

  async function load(sweep) {
    state.sweep = sweep;
    const next = await fetched(sweep);
    if (state.sweep !== sweep) return; // another was chosen meanwhile
    data = next;
    const seen = Object.entries(architectures).filter(([key]) =>
      data.points.some(({ architecture }) => architecture === key),
    );
    legend.replaceChildren(...seen.map(([key, words]) => html("span", {}, swatch(kindOf(key)), words)));
    draw();
  }

  function draw() {
    const during = state.view === "steps";
    const points = data.points.filter(
      (point) => point.law && point.measured_on === "held-out" && (during || point.finished),
    );
    points.sort(
      (p, q) => kindOf(p.architecture) - kindOf(q.architecture) || p.coefficient - q.coefficient || p.steps - q.steps,
    );
    const known = points.filter(
      (point) => of(point, during ? "difference" : "predicted")[0] !== null && of(point, "gamma")[0] !== null,
    );
    const most = Math.max(...known.map((point) => Math.abs(of(point, "difference")[0])));
    figure.show({
      hint: during ? HINT : `At the end of training, measured and predicted γ differ by at most ${most.toFixed(4)}. ${HINT}`,
      chart: during ? overSteps(known) : againstPredicted(known),
      columns: [
        { key: "name", name: "SAE, its coefficient" },
        ...(during ? [{ key: "steps", name: "steps" }] : []),
        ...data.law.map((key) => ({ key, name: NAMES[key] })),
        { key: "l0", name: "L0" },
      ],
      rows: points.map(asRow),
    });
  }

  function againstPredicted(points) {
    const placed = points.map((point) => asPoint(point, of(point, "predicted")[0], of(point, "gamma"), NAMES.gamma));
    return {
      x: { name: NAMES.predicted },
      y: { name: NAMES.gamma },
      points: placed,
      diagonal: "on this line the law is exact",
    };
  }

  function overSteps(points) {
    const saes = grouped(points);
    const lines = [...saes.values()].map((own) => ({
      kind: kindOf(own[0].architecture),
      points: own.map((point) => [point.steps, of(point, "difference")[0]]),
    }));
    const placed = points.map((point) => asPoint(point, point.steps, of(point, "difference"), NAMES.difference));
    const rules = [{ y: 0, words: "as predicted" }];
    return { x: { name: "training steps" }, y: { name: NAMES.difference }, points: placed, lines, rules };
  }

  function asPoint(point, x, [y, low, high], title) {
    const words = `${nameOf(point)}: ${title} ${inWords([y, low, high])}, predicted ${inWords(of(point, "predicted"))}`;
    return { id: atStep(point), x, y, low, high, kind: kindOf(point.architecture), words };
  }

  function asRow(point) {
    const values = data.law.map((key) => [key, asCell(of(point, key), digitsOf(key))]);
    const cells = {
      ...cellsOf(point),
      steps: { text: String(point.steps), value: point.steps },
      ...Object.fromEntries(values),
    };
    const facts = data.law.map((key) => [NAMES[key], inWords(of(point, key), digitsOf(key))]);
    return {
      id: atStep(point),
      words: nameOf(point),
      cells,
      facts: [["L0", point.l0.toFixed(1)], ["steps", String(point.steps)], ...facts],
    };
  }

  function of(point, key) {
    return point.law[data.law.indexOf(key)] ?? [null];
  }

  await load(state.sweep);
}

function digitsOf(key) {
  return key === "penalty" || key === "c" ? 2 : 4;
}

function atStep(point) {
  return `${idOf(point)}-${point.steps}`;
}

function grouped(points) {
  const groups = new Map();
  for (const point of points) groups.set(idOf(point), [...(groups.get(idOf(point)) ?? []), point]);
  return groups;
}
