// How well x̂ reconstructs a target: two numbers that tell a wrong space from a poor SAE (measuring/preflight/fit.py).
import { measures } from "../../explorer/generated.js";
import { PREFLIGHT } from "./generated.js";
import { centred, centredOnX, means } from "./origins.js";

export const NO_FIT = { loss: Infinity, offset: 0, badness: Infinity };

// The moments of rows of x and x̂, in one group.
export function momentsOf(x, x_hat, d) {
  const totals = new Float64Array(3);
  const sums = new Float64Array(2 * d);
  for (let at = 0, j = 0; at < x.length; at++, j = j + 1 === d ? 0 : j + 1) {
    const [u, v] = [x[at], x_hat[at]];
    totals[0] += u * u;
    totals[1] += v * v;
    totals[2] += u * v;
    sums[j] += u;
    sums[d + j] += v;
  }
  return { d, groups: 1, totals, count: Float64Array.of(x.length / d), sums, meanOf: null };
}

// The moments with x multiplied by a factor.
export function scaled(moments, factor) {
  const [a, b, c] = moments.totals;
  const totals = Float64Array.of(factor * factor * a, b, factor * c);
  return { ...moments, totals, sums: moments.sums.map((sum, at) => (at < moments.d ? factor * sum : sum)) };
}

// A measure, NaN where it is undefined.
export function valueOf(measure, moments) {
  const abc = means(moments);
  return measures[measure].whyUndefined(...abc) ? NaN : measures[measure].value(...abc);
}

// The loss about the mean of x, and the share of it that one constant vector would remove, of so many independent tokens.
export function fitOf(moments, independent) {
  if (independent < 2 || !moments.totals.every(Number.isFinite)) return NO_FIT;
  const loss = valueOf("relative_loss", centredOnX(moments));
  if (Number.isNaN(loss)) return NO_FIT;
  const offset = loss > 0 ? 1 - valueOf("relative_loss", centred(moments)) / loss : 0;
  const found = { loss: Math.max(loss, 0), offset: Math.max(offset - (1 - offset) / (independent - 1), 0) };
  return { ...found, badness: found.loss * (1 + PREFLIGHT.OFFSET_WEIGHT * found.offset) };
}

export function fit(x, x_hat, d) {
  return fitOf(momentsOf(x, x_hat, d), x.length / d);
}
