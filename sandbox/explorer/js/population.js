// A population: many pairs around the settings, their pooled moments, and the interval of any measure.
import { blocks, quantiles } from "./generated.js";
import { cosine, evaluated } from "./state.js";

// Two independent standard normal numbers for each pair, the same as in Python (state.py): a hash and Box–Muller.
export function scores(n, seed) {
  const ofAngle = new Float64Array(n);
  const ofNorm = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const number = (2 * i + seed * 20000) >>> 0;
    const length = Math.sqrt(-2 * Math.log((hash(number) + 0.5) / 2 ** 32));
    const turn = (2 * Math.PI * (hash(number + 1) + 0.5)) / 2 ** 32;
    ofAngle[i] = length * Math.cos(turn);
    ofNorm[i] = length * Math.sin(turn);
  }
  return { n, seed, ofAngle, ofNorm };
}

function hash(number) {
  let bits = Math.imul(number ^ (number >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return (bits ^ (bits >>> 15)) >>> 0;
}

// Every pair's ‖x‖², ‖x̂‖² and x·x̂, and their totals in each block; frames share the arrays.
export function populated(state, before) {
  const { angle, norm_ratio, norm_x, spread, norm_spread, offset, n, seed } = state;
  const fresh = !before || before.scores.n !== n || before.scores.seed !== seed;
  const drawn = fresh ? scores(n, seed) : before.scores;
  const pairs = fresh ? new Float64Array(3 * n) : before.pairs;
  const totals = Array.from({ length: blocks }, () => [0, 0, 0]);
  const shared = offset * offset;
  for (let i = 0; i < n; i++) {
    const turn = ((angle + spread * drawn.ofAngle[i]) * Math.PI) / 180;
    const length = norm_x * Math.exp(norm_spread * drawn.ofNorm[i]);
    const a = length * length;
    const total = totals[Math.floor((i * blocks) / n)];
    total[0] += pairs[3 * i] = a + shared;
    total[1] += pairs[3 * i + 1] = norm_ratio * norm_ratio * a + shared;
    total[2] += pairs[3 * i + 2] = norm_ratio * (spread ? Math.cos(turn) : cosine(angle)) * a + shared;
  }
  const sums = [0, 1, 2].map((k) => totals.reduce((sum, total) => sum + total[k], 0));
  const means = sums.map((sum) => sum / n);
  return { scores: drawn, pairs, totals, means, bare: means.map((mean) => mean - shared), n };
}

// The interval of a pooled measure, as in a report: a jackknife over the blocks (sandbox/report/jackknife.py); or null.
export function interval(measure, { totals, means, n }) {
  const all = means.map((mean) => mean * n);
  const quantile = student(Math.min(effective(totals, 0), effective(totals, 1)));
  const without = totals.map((total) => all.map((sum, k) => sum - total[k]));
  if (quantile === null || [all, ...without].some((sums) => measure.whyUndefined(...sums))) return null;
  const centre = measure.centre(...all);
  const left = without.map((sums) => measure.centre(...sums));
  let [low, high] = around(measure.unbounded(centre), left.map(measure.unbounded), quantile).map(measure.back);
  if (!Number.isFinite(low + high)) [low, high] = around(centre, left, quantile); // the value is at an end of its range
  if (measure.squared) [low, high] = [low * high < 0 ? 0 : Math.min(low ** 2, high ** 2), Math.max(low ** 2, high ** 2)];
  return [Math.max(low, measure.range[0]), Math.min(high, measure.range[1])];
}

function around(value, without, quantile) {
  const mean = without.reduce((sum, leftOut) => sum + leftOut, 0) / blocks;
  const squares = without.reduce((sum, leftOut) => sum + (leftOut - mean) ** 2, 0);
  const reach = quantile * Math.sqrt(((blocks - 1) / blocks) * squares);
  return [value - reach, value + reach];
}

// The effective number of blocks: their number if all hold the same share of moment k.
function effective(totals, k) {
  const squares = totals.reduce((sum, total) => sum + total[k] ** 2, 0);
  return squares ? totals.reduce((sum, total) => sum + total[k], 0) ** 2 / squares : Infinity;
}

// Student's quantile for that many blocks, from Python's Chebyshev series of its logarithm (Clenshaw's recurrence).
function student(clusters) {
  if (!(clusters >= 2)) return null;
  const [least, most] = quantiles.domain;
  const at = (2 / (Math.min(clusters, blocks) - 1) - least - most) / (most - least);
  let [current, previous] = [0, 0];
  for (const coefficient of [...quantiles.series.slice(1)].reverse()) {
    [current, previous] = [2 * at * current - previous + coefficient, current];
  }
  return Math.exp(at * current - previous + quantiles.series[0]);
}

// The plain mean of a measure over parts of the data, and in how many parts it is undefined (C15).
export function meanOver(measure, parts) {
  let sum = 0;
  let count = 0;
  for (const part of parts) {
    const { value } = evaluated(measure, part);
    if (value === null) continue;
    sum += value;
    count += 1;
  }
  return { value: count ? sum / count : null, left: parts.length - count };
}

export function eachPair({ pairs, n }) {
  return Array.from({ length: n }, (_, i) => [pairs[3 * i], pairs[3 * i + 1], pairs[3 * i + 2]]);
}
