// Figure 6 of the paper, drawn from the sweep of this repository: how γ, r and c/a change as SAEs get sparser.
import { measures } from "../../explorer/generated.js";
import { html, shown, write } from "../../explorer/dom.js";
import { valued } from "../../explorer/table.js";

const CHOICES = ["relative_reconstruction_bias", "norm_ratio", "scale_x"];
const FAMILIES = ["relu", "gated"];
const DATA = "results/figure-6.json"; // relative to the page

// `node` is the picture, `readout` what stands below it; `facts()` gives the numbers that the text shows, once loaded.
export function figure6(arrived, signal) {
  const status = html("p", { class: "loading" }, "Loading the sweep …");
  const node = html("div", { class: "figure6" }, status);
  const name = html("span", { class: "name" });
  const cells = ["L0", ...CHOICES.map((key) => measures[key].plain)].map((words) => ({ words, data: html("data") }));
  const choices = html("fieldset", { class: "choices" }, html("legend", {}, "Show"));
  const looked = html("div", { class: "row looked" }, name, ...cells.map(({ words, data }) => html("span", {}, `${words} `, data)));
  const readout = html("div", { class: "readout" }, choices, looked);
  let asked = false;
  let points = [];
  let picture = null;
  let measure = CHOICES[0];
  let answered = false;

  for (const key of CHOICES) {
    const radio = html("input", { type: "radio", name: "of-figure-6", value: key });
    radio.checked = key === measure;
    radio.addEventListener("change", () => ((measure = key), draw()), { signal });
    choices.append(html("label", {}, radio, ` ${measures[key].plain}`));
  }

  // Until the answer is shown, each family is a single SAE: its densest.
  function choose(told) {
    answered = told;
    for (const radio of choices.querySelectorAll("input")) radio.disabled = !told;
    if (!told) measure = CHOICES[0];
    choices.querySelector("input").checked ||= !told;
    if (picture) draw();
    else load();
  }

  async function load() {
    if (asked) return;
    asked = true;
    try {
      const [{ chart, swatch }, answer] = await Promise.all([import("../results/chart.js"), fetch(DATA)]);
      const { architectures } = await import("../results/words.js");
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      points = pointsOf(await answer.json(), architectures);
      picture = chart({ label: "SAEs by their L0", lowest: 216, onLook: look, onChoose: look });
      const families = FAMILIES.map((family, kind) => html("span", {}, swatch(kind), architectures[family]));
      node.replaceChildren(html("p", { class: "families" }, ...families), picture.node);
      draw();
      arrived();
    } catch (error) {
      write(status, `The sweep could not be loaded (${error.message}). Reload the page to try again.`);
    }
  }

  function draw() {
    const plain = measures[measure].plain;
    const densest = (family) => points.findLast((point) => point.family === family);
    if (!answered) look(densest(FAMILIES[0]).id);
    const seen = answered ? points : FAMILIES.map(densest);
    const drawn = seen.map(({ id, family, l0, values, words }) => {
      const [value, low, high] = values[measure];
      return { id, x: l0, y: value, low, high, kind: FAMILIES.indexOf(family), words: `${words}, L0 ${shown(l0, 1)}, ${plain} ${shown(value)}` };
    });
    const lines = FAMILIES.map((family, kind) => {
      const own = points.filter((point) => point.family === family && point.seed === 0);
      return { kind, points: (answered ? own : own.slice(-1)).map(({ l0, values }) => [l0, values[measure][0]]) };
    });
    picture.draw({
      x: { name: "L0: latents used for an activation", log: true, from: 0.9 * points[0].l0, to: 1.1 * points.at(-1).l0 },
      y: { name: plain, log: false, from: 0.5, to: 1.05 },
      points: drawn,
      lines,
      rules: [{ y: 1, words: "" }],
    });
  }

  function look(id) {
    const point = points.find((one) => one.id === id);
    if (!point) return;
    write(name, point.words);
    valued(cells[0].data, point.l0, 1);
    CHOICES.forEach((key, i) => valued(cells[i + 1].data, point.values[key][0], 3));
  }

  // The extremes of each family, for the text.
  function facts() {
    if (!points.length) return {};
    const found = {};
    for (const family of FAMILIES) {
      const own = points.filter((point) => point.family === family);
      const [sparsest, densest] = [own.reduce((a, b) => (b.l0 < a.l0 ? b : a)), own.reduce((a, b) => (b.l0 > a.l0 ? b : a))];
      for (const key of CHOICES) {
        found[`${family}_sparsest_${key}`] = sparsest.values[key][0];
        found[`${family}_densest_${key}`] = densest.values[key][0];
      }
      found[`${family}_sparsest_l0`] = sparsest.l0;
      found[`${family}_densest_l0`] = densest.l0;
      found[`${family}_off`] = Math.max(...own.map(({ values }) => Math.abs(values[CHOICES[0]][0] - 1)));
    }
    return found;
  }

  return { node, readout, choose, facts };
}

// The finished SAEs of both families on held-out tokens, by L0.
function pointsOf({ measures: keys, points }, words) {
  const kept = points.filter((one) => one.finished && one.measured_on === "held-out" && FAMILIES.includes(one.architecture));
  return kept
    .map((one, id) => ({
      id,
      family: one.architecture,
      seed: one.seed,
      l0: one.l0,
      words: words[one.architecture],
      values: Object.fromEntries(CHOICES.map((key) => [key, one.raw[keys.indexOf(key)]])),
    }))
    .sort((first, second) => first.l0 - second.l0);
}
