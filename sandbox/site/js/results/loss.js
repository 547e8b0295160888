// What SAEs cost a language model: in place of x̂, and against the factor that stretches x̂ about b_dec.
import { html } from "../../explorer/dom.js";
import { swatch } from "./chart.js";
import { oneOf, someOf } from "./choices.js";
import { asCell, fixed, inWords } from "./estimates.js";
import { fetched } from "./files.js";
import { linked } from "./linked.js";
import { nameOf } from "./saes.js";
import { architectures, replacements as words } from "./words.js";

const VIEWS = { replaced: "what takes the place of x", curve: "x̂ stretched about b_dec" };
const MEASURES = {
  cost: "cost, nats per token",
  gain: "gain over x̂, nats per token",
  share_of_cost: "share of x̂’s cost won back",
  kl: "KL from the clean model, nats per token",
  loss_recovered: "loss recovered",
  cross_entropy: "cross-entropy, nats per token",
};
const WORST = ["mean", "zero"]; // so bad that beside them nothing else can be told apart
// What takes the place of x in one SAE is drawn side by side: each a little to the right of the last.
const BESIDE = 1.025;
const KEYS = "On a point, ← and → walk along its kind, ↑ and ↓ to another; Enter keeps it.";
const HINT = `95 % intervals over documents, paired by token. ${KEYS}`;
const OF_CURVE = `On the documents of the search, so without intervals. ${KEYS}`;

export async function loss(el) {
  const data = await fetched("loss");
  const names = Object.keys(words).filter((name) => data.saes.some(({ replacements }) => replacements[name]));
  const state = {
    view: "replaced",
    measure: "cost",
    replacements: new Set(names.filter((name) => !WORST.includes(name))),
  };
  const kinds = names.map((name, i) => [name, words[name], swatch(i)]);
  const change = (name) => (value) => {
    state[name] = value;
    draw();
  };
  const more = html(
    "div",
    { class: "choices" },
    oneOf("Measure", MEASURES, state.measure, change("measure")),
    someOf("In place of x", kinds, state.replacements, change("replacements")),
  );
  const searched = data.saes.filter(({ curve }) => curve.length);
  const legend = html(
    "p",
    { class: "legend" },
    ...searched.map((sae, i) => html("span", {}, swatch(i), `${nameOf(sae)} (L0 ${sae.l0.toFixed(0)})`)),
  );
  const view = html("div", { class: "choices" }, oneOf("Shown", VIEWS, state.view, change("view")));
  const figure = linked({ label: "What SAEs cost a language model", choices: [view, more, legend] });
  el.replaceChildren(figure.node);

  function draw() {
    const curve = state.view === "curve";
    more.hidden = curve;
    legend.hidden = !curve;
    figure.show(curve ? stretched() : replaced());
  }

  function replaced() {
    const all = data.saes.flatMap((sae) =>
      names.filter((name) => sae.replacements[name] && state.replacements.has(name)).map((name) => ({ sae, name })),
    );
    const drawn = all.filter(({ sae, name }) => value(sae, name)[0] !== null).sort((p, q) => p.sae.l0 - q.sae.l0);
    const points = drawn.map((of) => {
      const { sae, name } = of;
      const [y, low, high] = value(sae, name);
      const said = `${nameOf(sae)}, ${words[name]}: ${inWords([y, low, high])}`;
      return {
        id: `${nameOf(sae)} ${name}`,
        x: sae.l0 * BESIDE ** names.indexOf(name),
        y,
        low,
        high,
        kind: names.indexOf(name),
        words: said,
        of,
      };
    });
    const lines = names.flatMap((name) =>
      Object.keys(architectures).map((architecture) => ({
        kind: names.indexOf(name),
        points: points
          .filter(({ of }) => of.name === name && of.sae.architecture === architecture)
          .map(({ x, y }) => [x, y]),
      })),
    );
    return {
      hint: HINT,
      chart: {
        x: { name: "L0: active latents per token", log: true },
        y: { name: MEASURES[state.measure] },
        points,
        lines,
      },
      columns: [
        { key: "name", name: "SAE, its coefficient" },
        { key: "replacement", name: "in place of x" },
        ...Object.entries(MEASURES).map(([key, name]) => ({ key, name })),
        { key: "l0", name: "L0" },
      ],
      rows: all.map(({ sae, name }) => asRow(sae, name)),
    };
  }

  function asRow(sae, name) {
    const values = Object.keys(MEASURES).map((key) => [key, asCell(value(sae, name, key))]);
    const cells = {
      name: { text: nameOf(sae), node: swatch(names.indexOf(name)) },
      l0: { text: sae.l0.toFixed(1), value: sae.l0 },
      replacement: { text: words[name] },
      ...Object.fromEntries(values),
    };
    const facts = Object.entries(MEASURES).map(([key, title]) => [title, inWords(value(sae, name, key))]);
    return {
      id: `${nameOf(sae)} ${name}`,
      words: `${nameOf(sae)}: ${words[name]}`,
      cells,
      facts: [["L0", sae.l0.toFixed(1)], ...facts],
    };
  }

  function stretched() {
    const least = (sae) => sae.curve.reduce((best, one) => (one[1] < best[1] ? one : best));
    const all = searched.flatMap((sae) => sae.curve.map(([factor, change]) => ({ sae, factor, change })));
    const kind = (sae) => searched.indexOf(sae);
    const lowest = Math.min(...all.map(({ change }) => change), -1e-3);
    const reach = -2.5 * lowest; // as far up as the wells are deep, and more: beyond, the curves only rise
    const inside = all.filter(({ change }) => change <= reach);
    const id = ({ sae, factor }) => `${nameOf(sae)} ${factor}`;
    const row = (one) => ({
      id: id(one),
      words: `${nameOf(one.sae)}: x̂ − b_dec times ${one.factor}`,
      cells: {
        name: { text: nameOf(one.sae), node: swatch(kind(one.sae)) },
        l0: { text: one.sae.l0.toFixed(1), value: one.sae.l0 },
        factor: { text: String(one.factor), value: one.factor },
        change: { text: fixed(one.change, 4), value: one.change },
      },
      facts: [
        ["L0", one.sae.l0.toFixed(1)],
        ["change of the loss", `${fixed(one.change, 4)} nats per token`],
        ["least among those tried", `at ${least(one.sae)[0]}`],
      ],
    });
    return {
      hint: OF_CURVE,
      chart: {
        x: { name: "factor of x̂ − b_dec" },
        y: { name: "loss less that at factor 1, nats per token", to: reach },
        points: inside.map((one) => ({
          id: id(one),
          x: one.factor,
          y: one.change,
          kind: kind(one.sae),
          words: `${nameOf(one.sae)}, factor ${one.factor}: ${fixed(one.change, 4)} nats per token`,
        })),
        lines: searched.map((sae) => ({ kind: kind(sae), points: sae.curve.filter(([, change]) => change <= reach) })),
        rules: [{ y: 0, words: "x̂ as it is" }],
      },
      columns: [
        { key: "name", name: "SAE, its coefficient" },
        { key: "l0", name: "L0" },
        { key: "factor", name: "factor" },
        { key: "change", name: "change of the loss, nats per token" },
      ],
      rows: all.map(row),
    };
  }

  function value(sae, name, measure = state.measure) {
    return sae.replacements[name][measure] ?? [null];
  }

  draw();
}
