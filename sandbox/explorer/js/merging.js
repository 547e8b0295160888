// Points merged into cells, with x̂ a multiple of the mean of its cell (C21), as in Python (state.py).
import { controls, measures } from "./generated.js";
import { clamp } from "./dom.js";
import { scores } from "./population.js";
import { angleOf } from "./state.js";

const NEAR = 0.04; // so near to the means, x̂ falls onto them
const mergers = new Map(); // by sample: the points, and the cells of each number of cells

// For each number of cells: `cells`, the indices of the points in each, their `means`, and the `mean of` each point.
function merger(seed) {
  if (mergers.has(seed)) return mergers.get(seed);
  const n = controls.cells.high;
  const { ofAngle, ofNorm } = scores(n, seed);
  const points = Array.from({ length: n }, (_, i) => onDisk([ofAngle[i], ofNorm[i]]));
  const stages = [];
  for (let cells = points.map((point, i) => ({ mean: point, members: [i] })); cells.length; cells = fewer(cells)) {
    stages[cells.length] = { cells, energy: cells.reduce((sum, { mean, members }) => sum + members.length * energyOf(mean), 0) / n };
  }
  const energy = points.reduce((sum, point) => sum + energyOf(point), 0) / n;
  const cosines = stages.map((stage) => stage && measures.cosine.value(energy, stage.energy, stage.energy));
  const made = { points, stages, cosines };
  if (mergers.size > 20) mergers.clear();
  mergers.set(seed, made);
  return made;
}

// Two normal numbers as a point that lies evenly on a disk, with a mean square of 1.
function onDisk(normal) {
  const square = energyOf(normal);
  return normal.map((part) => part * Math.sqrt((-2 * Math.expm1(-square / 2)) / square));
}

const energyOf = ([u, v]) => u * u + v * v;

// Merges the two cells whose merging adds the least to the loss (Ward).
function fewer(cells) {
  let least = Infinity;
  let [first, second] = [null, null];
  cells.forEach((one, i) => {
    for (const other of cells.slice(i + 1)) {
      const [m, n] = [one.members.length, other.members.length];
      const added = ((m * n) / (m + n)) * energyOf([one.mean[0] - other.mean[0], one.mean[1] - other.mean[1]]);
      if (added < least) [least, first, second] = [added, one, other];
    }
  });
  if (!first) return [];
  const members = [...first.members, ...second.members];
  const share = first.members.length / members.length;
  const mean = first.mean.map((part, k) => share * part + (1 - share) * second.mean[k]);
  return [...cells.filter((cell) => cell !== first && cell !== second), { mean, members }];
}

// The points, their cells, and the moments a, b, c, in the lengths of the state.
export function mergedOf({ seed, cells, factor, norm_x }) {
  const { points, stages } = merger(seed);
  const totals = [0, 0, 0];
  for (const { mean, members } of stages[cells].cells) {
    const hat = mean.map((part) => factor * part);
    for (const i of members) {
      totals[0] += energyOf(points[i]);
      totals[1] += energyOf(hat);
      totals[2] += points[i][0] * hat[0] + points[i][1] * hat[1];
    }
  }
  const means = totals.map((total) => ((total / points.length) * norm_x) * norm_x);
  return { points, cells: stages[cells].cells, means };
}

// Where x̂ lies if it is the mean of its cell, for each number of cells: ρ, which is r as well.
export function onTheMeans(seed) {
  return merger(seed).cosines;
}

// The state with the angle and the norm ratio that the points have together.
export function together(state) {
  const rho = onTheMeans(state.seed)[state.cells];
  return { ...state, population: false, angle: angleOf(rho), norm_ratio: state.factor * rho };
}

// What moves x̂ to an angle and norm ratio: the number of cells nearest to that angle, and a factor.
export function mergedPatch(state, { angle, norm_ratio, ...others }) {
  if (angle === undefined) return others;
  const rho = Math.cos((angle * Math.PI) / 180);
  const rhos = onTheMeans(state.seed);
  const off = (cells) => Math.abs(rhos[cells] - rho);
  const cells = rhos.reduce((best, _, count) => (off(count) < off(best) ? count : best), 1);
  const factor = clamp((norm_ratio ?? 0) / rhos[cells], controls.factor.low, controls.factor.high);
  return { ...others, cells, factor: Math.abs(factor - 1) < NEAR ? 1 : factor };
}
