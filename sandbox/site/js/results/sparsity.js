// Figure 6: any measure against L0, for sweeps of SAEs.
import { html } from "../../explorer/dom.js";
import { measures } from "../../explorer/generated.js";
import { swatch } from "./chart.js";
import { oneOf, someOf } from "./choices.js";
import { asCell, inExplorer, inWords, kindOf } from "./estimates.js";
import { fetched, failed } from "./files.js";
import { linked } from "./linked.js";
import { cellsOf, idOf, nameOf } from "./saes.js";
import { architectures, origins } from "./words.js";

const FIRST = ["relative_reconstruction_bias", "equation_10_v1", "norm_ratio", "scale_x"];
const SHARE = "length_share";
const LOSSES = ["relative_loss", "angle_loss", "length_loss"]; // 1 is no goal for these
const SWEEPS = {
  "figure-6": "all-MiniLM-L6-v2, a small text encoder",
  smollm2: "SmolLM2-135M, a language model",
};
const TOKENS = { "held-out": "held-out documents", training: "training documents" };
const HINT =
  "95 % intervals. On a point, ← and → walk along its architecture, ↑ and ↓ to another; Enter keeps it. A ring is the " +
  "second seed. Untick ReLU to see the others enlarged.";

export async function sparsity(el) {
  const state = { sweep: "figure-6", measure: FIRST[0], origin: "raw", tokens: "held-out" };
  const other = (sweep) => load(sweep).catch((error) => failed(el, error));
  const controls = html("div", { class: "choices" });
  const first = html("div", { class: "choices" }, oneOf("Model", SWEEPS, state.sweep, other));
  const said = html("p", { class: "note", "aria-live": "polite" });
  const figure = linked({ label: "A measure against L0, the active latents per token", choices: [first, controls, said] });
  el.replaceChildren(figure.node);
  let data;

  async function load(sweep) {
    Object.assign(state, { sweep, tokens: "held-out" });
    const next = await fetched(sweep);
    if (state.sweep !== sweep) return; // another was chosen meanwhile
    data = next;
    const seeds = [...new Set(data.points.map(({ seed }) => seed))];
    state.architectures = new Set(data.points.map(({ architecture }) => architecture));
    state.seeds = new Set(seeds);
    const kinds = Object.entries(architectures).filter(([key]) => state.architectures.has(key));
    controls.replaceChildren(
      oneOf("Measure", names(), state.measure, change("measure")),
      oneOf("Origin of x and x̂", origins, state.origin, change("origin")),
      oneOf("Tokens", TOKENS, state.tokens, change("tokens")),
      someOf(
        "Architecture",
        kinds.map(([key, words]) => [key, words, swatch(kindOf(key))]),
        state.architectures,
        change("architectures"),
      ),
      ...(seeds.length > 1
        ? [
            someOf(
              "Seed",
              seeds.map((seed) => [seed, String(seed)]),
              state.seeds,
              change("seeds"),
            ),
          ]
        : []),
    );
    draw();
  }

  function names() {
    const others = Object.keys(measures).filter((key) => !FIRST.includes(key));
    const named = [...FIRST, ...others].map((key) => [key, `${measures[key].plain}: ${measures[key].question}`]);
    return Object.fromEntries([...named, [SHARE, "(r−ρ)²/(L/a): which share of the loss is the length’s?"]]);
  }

  const change = (name) => (value) => {
    state[name] = value;
    draw();
  };

  function draw() {
    const points = data.points.filter(
      (point) =>
        point.finished &&
        point.measured_on === state.tokens &&
        state.architectures.has(point.architecture) &&
        state.seeds.has(point.seed),
    );
    const known = points.filter((point) => estimate(point)[0] !== null).sort((p, q) => p.l0 - q.l0);
    const missing = points.find((point) => estimate(point)[0] === null);
    const why = missing
      ? `; ${points.length - known.length} have no value: ${estimate(missing)[3] ?? "undefined"}`
      : "";
    said.textContent = [`${known.length} SAEs${why}.`, about(points), lacking(known), meaning()].join(" ").trim();
    const goal = state.measure in measures && !LOSSES.includes(state.measure);
    figure.show({
      hint: HINT,
      chart: {
        x: { name: "L0: active latents per token", log: true },
        y: { name: `${title()}, ${origins[state.origin]}` },
        points: known.map(asPoint),
        lines: curves(known),
        rules: goal && known.length ? [{ y: 1, words: `1: ${measures[state.measure].atOne}` }] : [],
      },
      columns: columns(),
      rows: points.map(asRow),
    });
  }

  // How many SAEs were trained, which differs by the sweep.
  function about(points) {
    const distinct = (key) => [...new Set(points.map((point) => point[key]))].length;
    const settings = new Set(points.map(({ architecture, coefficient }) => `${architecture} ${coefficient}`)).size;
    const again = points.length - settings;
    const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
    return `They are ${counted(settings, "setting")} of ${counted(distinct("architecture"), "architecture")}, ${again ? `${again} of them with a second seed` : "with one seed each"}.`;
  }

  function lacking(points) {
    const bare = points.filter((point) => estimate(point)[1] === null).length;
    return bare ? `${bare} have no interval: their sweep kept none for this.` : "";
  }

  // What the measure asks, and what it means where it is 1.
  function meaning() {
    const chosen = measures[state.measure];
    return chosen ? `${chosen.plain}: ${chosen.question} At 1: ${chosen.atOne}.` : "";
  }

  function title(key = state.measure) {
    return key === SHARE ? "(r−ρ)²/(L/a)" : measures[key].plain;
  }

  function estimate(point, key = state.measure) {
    return key === SHARE ? point[SHARE][state.origin] : point[state.origin][data.measures.indexOf(key)];
  }

  function asPoint(point) {
    const [y, low, high] = estimate(point);
    const words = `${nameOf(point)}, L0 ${point.l0.toFixed(1)}: ${title()} = ${inWords([y, low, high])}`;
    return { id: idOf(point), x: point.l0, y, low, high, kind: kindOf(point.architecture), ring: point.seed, words };
  }

  function curves(points) {
    return [...state.architectures].flatMap((architecture) =>
      [...state.seeds].map((seed) => {
        const own = points.filter((point) => point.architecture === architecture && point.seed === seed);
        return { kind: kindOf(architecture), points: own.map((point) => [point.l0, estimate(point)[0]]) };
      }),
    );
  }

  function order() {
    return [state.measure, ...[...FIRST, SHARE, ...Object.keys(measures)]].filter(
      (key, i, all) => all.indexOf(key) === i,
    );
  }

  function columns() {
    const [measure, ...others] = order().map((key) => ({ key, name: title(key), title: measures[key]?.question }));
    const name = { key: "name", name: "SAE, its coefficient" };
    // What is drawn comes first: a phone shows no more without scrolling.
    return [name, measure, { key: "l0", name: "L0" }, { key: "seed", name: "seed" }, ...others, { key: "link", name: "explorer" }];
  }

  function asRow(point) {
    const values = order().map((key) => [key, asCell(estimate(point, key))]);
    const link = inExplorer(
      estimate(point, "cosine")[0],
      estimate(point, "norm_ratio")[0],
      state.measure in measures ? state.measure : null,
    );
    const cells = {
      ...cellsOf(point),
      seed: { text: String(point.seed), value: point.seed },
      ...Object.fromEntries(values),
      link: link
        ? { node: html("a", { href: link, "aria-label": `${nameOf(point)} in the explorer` }, "see") }
        : { text: "" },
    };
    const facts = [["L0", point.l0.toFixed(1)], ...order().map((key) => [title(key), inWords(estimate(point, key))])];
    return { id: idOf(point), words: nameOf(point), cells, facts, link };
  }

  await load(state.sweep);
}
