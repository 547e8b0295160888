// Estimates: a value with its jackknife interval, or the reason why it has none (sandbox/report/jackknife.py, joint.py).
import { measures } from "../../explorer/generated.js";
import { LEVEL, ONE_CLUSTER, NO_TOKENS, NOT_RESOLVABLE, TOO_UNEQUAL, TWO, UNDEFINED_WITHOUT, scales } from "./generated.js";
import { added, clusters, leaveOneOut, means, tokens, wholeOf } from "./origins.js";
import { quantile } from "./student.js";

export const undefinedAs = (reason) => ({ value: null, low: null, high: null, reason });

// (Σ w)²/Σ w²: the effective number of clusters.
export function effective(weights) {
  let squares = 0;
  for (const weight of weights) squares += weight * weight;
  return added(weights) ** 2 / squares;
}

// The smaller one, weighing clusters by ‖x‖² or by ‖x̂‖²; a norm that is 0 everywhere is ignored.
function effectiveClusters(moments) {
  const of = [0, 1].map((k) => effective(moments.count.map((_, g) => moments.totals[3 * g + k])));
  return Math.min(...of.map((number) => (Number.isNaN(number) ? Infinity : number)), clusters(moments));
}

export function student(number) {
  return quantile(number >= TWO ? number - 1 : NaN, LEVEL);
}

// Both ends around a value, from its values without each used group, inside `range`, computed on a scale without ends.
function ends(value, without, used, reach, { range, unbounded, back }) {
  const around = (at, others) => {
    const error = reach * jackknifeError(others, used);
    return [at - error, at + error];
  };
  const inside = around(unbounded(value), without.map(unbounded)).map(back);
  if (inside.every(Number.isFinite)) return inside;
  return around(value, without).map((end) => clamped(end, range)); // a value at an end of its range has its own scale
}

// √((G − 1)/G · Σ_g (θ_g − θ̄)²) over the G used groups; NaN for fewer than two.
function jackknifeError(without, used) {
  const values = without.filter((_, g) => used[g]);
  const n = values.length;
  if (n < 2) return NaN;
  const mean = added(values) / n;
  return Math.sqrt(((n - 1) / n) * added(values.map((value) => (value - mean) ** 2)));
}

function clamped(value, [low, high]) {
  return Math.min(Math.max(value, low), high);
}

function within(value, [low, high], count, number) {
  if (Number.isNaN(low) || Number.isNaN(high)) {
    const few = clusters({ count }) < 2;
    const reason = few ? ONE_CLUSTER : number >= TWO ? UNDEFINED_WITHOUT : TOO_UNEQUAL;
    return { value, low: null, high: null, reason };
  }
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}

// An estimate of a measure: of the registry, or of the same form.
export function estimate(moments, measure) {
  if (!tokens(moments)) return undefinedAs(NO_TOKENS);
  const abc = means(moments);
  const reason = abc.some(Number.isNaN) ? NOT_RESOLVABLE : measure.whyUndefined(...abc);
  if (reason) return undefinedAs(reason);
  const value = clamped(measure.value(...abc), measure.range);
  const centre = (totals) => (totals.some(Number.isNaN) || measure.whyUndefined(...totals) ? NaN : measure.centre(...totals));
  const left = leaveOneOut(moments);
  const without = Array.from(moments.count, (_, g) => centre(left.subarray(3 * g, 3 * g + 3)));
  const number = effectiveClusters(moments);
  const used = moments.count.map((n) => n > 0);
  const { squared, range, unbounded, back } = measure;
  const scale = { range: squared ? [-Infinity, Infinity] : range, unbounded, back };
  let both = ends(centre(wholeOf(moments.totals, 3)), without, used, student(number), scale);
  if (squared) {
    const squares = both.map((end) => clamped(end * end, range));
    both = [both[0] < 0 && both[1] > 0 ? 0 : Math.min(...squares), Math.max(...squares)];
  }
  return within(value, both, moments.count, number);
}

// Every measure, by key.
export function estimates(moments) {
  return Object.fromEntries(Object.entries(measures).map(([key, measure]) => [key, estimate(moments, measure)]));
}

// An estimate of a function of a, b, c and the mean of one more total, `sums` by group; `why(a, b, c, total)` gives the
// reason why it is undefined there, or null. `scale` is a key of `scales`.
export function jointEstimate(moments, sums, of, scale, why = () => null) {
  const n = tokens(moments);
  if (!n) return undefinedAs(NO_TOKENS);
  const sum = added(sums);
  const whole = [...means(moments), sum / n];
  if (whole.some(Number.isNaN)) return undefinedAs(NOT_RESOLVABLE);
  const reason = why(...whole);
  if (reason) return undefinedAs(reason);
  const { range } = scales[scale];
  const value = (at) => (at.some(Number.isNaN) || why(...at) ? NaN : clamped(of(...at), range));
  const left = leaveOneOut(moments);
  const without = Array.from(moments.count, (count, g) => {
    const rest = n - count;
    return value([...Array.from(left.subarray(3 * g, 3 * g + 3), (total) => total / rest), (sum - sums[g]) / rest]);
  });
  const number = effectiveClusters(moments);
  const both = ends(value(whole), without, moments.count.map((count) => count > 0), student(number), scales[scale]);
  return within(value(whole), both, moments.count, number);
}

// An estimate from its values with all groups and without each, weighing clusters by `weights`.
export function leftOutEstimate(value, without, scale, count, weights, reason) {
  if (Number.isNaN(value)) return undefinedAs(reason);
  const number = effective(weights);
  const used = count.map((n) => n > 0);
  return within(value, ends(value, without, used, student(number), scales[scale]), count, number);
}
