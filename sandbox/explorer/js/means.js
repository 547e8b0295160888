// Population mode: a measure pooled over all pairs, beside the plain means that are mistaken for it, and the cloud.
import { blocks, measures } from "./generated.js";
import { html, shown, toggle, write } from "./dom.js";
import { eachPair, interval, meanOver } from "./population.js";
import { evaluated } from "./state.js";
import { valued } from "./table.js";

const NONE = "no interval: the batches weigh too unequally, or the value is undefined without one of them";

export function means() {
  const title = html("h3");
  const lines = ["pooled", "without the offset", "mean over batches", "mean over pairs"].map((words) => {
    const value = html("data");
    const note = html("span", { class: "note" });
    const label = html("dt", {}, words);
    return { value, note, label, nodes: [label, html("dd", {}, value, note)] };
  });
  const keys = ["pooled", "bare", "batches", "pairs"];
  lines.forEach(({ value }, i) => value.setAttribute("data-mean", keys[i]));
  const legend = html("p", { class: "note" });
  legend.textContent =
    "Dots: the tip of each x̂, relative to its own x. Cross: all pairs pooled, in lengths of x. The interval treats the " +
    "batches as clusters.";
  const node = html("section", { class: "means" }, title, html("dl", {}, ...lines.flatMap(({ nodes }) => nodes)), legend);

  function detail({ state, population }) {
    const measure = measures[state.measure];
    const batch = population.n / blocks;
    const batches = meanOver(measure, population.totals);
    const pairs = meanOver(measure, eachPair(population));
    const pooled = evaluated(measure, population.means);
    const bare = evaluated(measure, population.bare);
    const ends = pooled.value === null ? null : interval(measure, population);
    write(title, `${measure.plain} of ${population.n.toLocaleString("en")} pairs`);
    write(lines[2].label, `mean over batches of ${batch}`);
    const left = (count, what) => (count ? `undefined for ${count} ${what}` : "");
    const notes = [
      ends ? `95 %: ${shown(ends[0])} … ${shown(ends[1])}` : (pooled.reason ?? NONE),
      bare.reason ?? (state.offset ? "" : "no offset"),
      left(batches.left, "batches"),
      left(pairs.left, "pairs"),
    ];
    [pooled, bare, batches, pairs].forEach(({ value }, i) => {
      valued(lines[i].value, value, 4);
      write(lines[i].note, notes[i]);
    });
  }

  return { node, detail };
}

// The tip of each x̂, relative to its own x, as dots on a canvas: ten thousand nodes would be too slow.
export function cloud(act) {
  const canvas = html("canvas", { class: "cloud", "aria-hidden": "true" });
  const ink = canvas.getContext("2d");

  function layout([width, height]) {
    const density = Math.min(globalThis.devicePixelRatio || 1, 2);
    canvas.width = width * density;
    canvas.height = height * density;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    ink.setTransform(density, 0, 0, density, 0, 0);
  }

  function draw({ population }, toView) {
    toggle(canvas, Boolean(population)); // even an empty layer costs time in every frame
    if (!population) return;
    ink.clearRect(0, 0, canvas.width, canvas.height);
    const [zero, unit] = [toView([0, 0]), toView([1, 1])];
    const [sx, sy] = [unit[0] - zero[0], unit[1] - zero[1]];
    const { pairs, n } = population;
    ink.globalAlpha = n > 2000 ? 0.35 : 0.6;
    ink.fillStyle = act.colour("--of-x-hat");
    ink.beginPath();
    for (let i = 0; i < 3 * n; i += 3) {
      const along = pairs[i + 2] / Math.sqrt(pairs[i]);
      const across = Math.sqrt(Math.max(pairs[i + 1] - along * along, 0));
      ink.rect(zero[0] + sx * along - 1, zero[1] + sy * across - 1, 2, 2);
    }
    ink.fill();
    ink.globalAlpha = Math.min(1, 60 / n + 0.04);
    ink.fillStyle = act.colour("--of-x");
    ink.beginPath();
    for (let i = 0; i < 3 * Math.min(n, 2000); i += 3) ink.rect(zero[0] + sx * Math.sqrt(pairs[i]), zero[1] + 3, 1, 7);
    ink.fill();
  }

  return { node: canvas, layout, draw };
}
