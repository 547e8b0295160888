// Figure 6 of the paper, drawn from the sweep of this repository: how γ, r and c/a change as SAEs get sparser.
import { measures } from "../../explorer/generated.js";
import { html, put, shown, svg, toggle, write } from "../../explorer/dom.js";
import { draggable, pointIn } from "../../explorer/drag.js";
import { angleOf } from "../../explorer/state.js";
import { valued } from "../../explorer/table.js";
import { familyRing } from "./family-ring.js";
import { saeArrows } from "./sae-arrows.js";

const CHOICES = ["relative_reconstruction_bias", "norm_ratio", "scale_x", "equation_10_v1"];
const FAMILIES = ["relu", "gated"];
const SPAN = [0.5, 1.05]; // of the values shown
const FROM = [0.85, 0.65]; // where the ring of each family is at first: neither is the truth
const DATA = "results/figure-6.json"; // relative to the page

// `node` is the picture, `readout` what stands below it; `facts()` gives the numbers that the text shows, once loaded.
// `moved()` is called when the reader has moved a ring.
export function figure6(arrived, moved, signal) {
  const status = html("p", { class: "loading" }, "Loading the sweep …");
  const node = html("div", { class: "figure6" }, status);
  const name = html("span", { class: "name" });
  const cells = ["L0", ...CHOICES.map((key) => measures[key].plain), "angle"].map((words) => ({ words, data: html("data") }));
  const choices = html("fieldset", { class: "choices" }, html("legend", {}, "Show"));
  const row = html("div", { class: "row looked" }, name, ...cells.map(({ words, data }) => html("span", {}, `${words} `, data)));
  const readout = html("div", { class: "readout" }, choices, row);
  let asked = false;
  let points = [];
  let picture = null;
  let measure = CHOICES[0];
  let answered = false;
  let axes = null;
  let rings = [];
  let looked = null; // the SAE below the chart
  const arrows = saeArrows();
  const hand = svg("g", { class: "grip hand", "data-handle": "sae", "aria-hidden": "true" }, svg("circle", { class: "reach", r: 20 }), svg("circle", { class: "knob", r: 10 }));
  draggable(hand, { start() {}, move: (event) => look(along(pointIn(picture.picture, event)).id), end() {}, key() {} }, signal);
  hand.addEventListener("pointermove", (event) => event.stopPropagation(), { signal }); // the chart would take it to any mark

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
      picture = chart({ label: "SAEs by their L0", lowest: 216, onLook: look, onChoose: look, onRender: (now) => ((axes = now), place()) });
      rings = FAMILIES.map((family, kind) =>
        familyRing({ words: architectures[family], kind, picture: picture.picture, span: SPAN, from: FROM[kind], moved: () => (place(), moved()) }, signal),
      );
      picture.picture.append(arrows.node, ...rings.map((ring) => ring.node), hand);
      const families = FAMILIES.map((family, kind) => html("span", {}, swatch(kind), architectures[family]));
      node.replaceChildren(html("p", { class: "families" }, ...families), picture.node);
      look(densest(FAMILIES[0]).id);
      draw();
      arrived();
    } catch (error) {
      write(status, `The sweep could not be loaded (${error.message}). Reload the page to try again.`);
    }
  }

  const sparsest = (family) => points.find((point) => point.family === family);
  const densest = (family) => points.findLast((point) => point.family === family);
  const turned = ({ values }) => angleOf(values.cosine[0]);
  const valueOf = (point) => point.values[measure][0];

  // What lies over the chart: the rings, which are about γ, the handle, and the arrows of the SAE that it holds.
  function place() {
    if (!axes) return;
    FAMILIES.forEach((family, i) => {
      const [from, to] = [densest(family), sparsest(family)].map((point) => ({ x: point.l0, y: point.values[CHOICES[0]][0] }));
      rings[i].draw({ ...axes, densest: from, sparsest: to }, answered);
      if (measure !== CHOICES[0]) toggle(rings[i].node, false);
    });
    toggle(hand, answered);
    put(hand, [axes.x(looked.l0), axes.y(valueOf(looked))]);
    arrows.draw(axes, answered ? { angle: turned(looked), norm_ratio: looked.values.norm_ratio[0], norm_x: 1 } : null);
  }

  // The SAE of the same family whose L0 is nearest to a pointer.
  function along([p]) {
    const off = ({ l0 }) => Math.abs(axes.x(l0) - p);
    return points.filter(({ family }) => family === looked.family).reduce((best, one) => (off(one) < off(best) ? one : best));
  }

  function draw() {
    const plain = measures[measure].plain;
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
      y: { name: plain, log: false, from: SPAN[0], to: SPAN[1] },
      points: drawn,
      lines,
      rules: [{ y: 1, words: "" }],
    });
  }

  function look(id) {
    const point = points.find((one) => one.id === id);
    if (!point) return;
    looked = point;
    write(name, point.words);
    valued(cells[0].data, point.l0, 1);
    CHOICES.forEach((key, i) => valued(cells[i + 1].data, point.values[key][0], 3));
    const angle = turned(point);
    cells.at(-1).data.value = String(angle);
    write(cells.at(-1).data, `${shown(angle, 1)}°`);
    place();
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
    found.untouched = !rings.some((ring) => ring.predicts());
    if (!axes) return found;
    FAMILIES.forEach((family, i) => {
      found[`guess_${family}`] = rings[i].distance();
      found[`guessed_${family}`] = rings[i].predicts();
    });
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
      values: Object.fromEntries([...CHOICES, "cosine"].map((key) => [key, one.raw[keys.indexOf(key)]])),
    }))
    .sort((first, second) => first.l0 - second.l0);
}
