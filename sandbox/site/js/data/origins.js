// Moments about an origin: raw, about the means, about b_dec, and each without one group (sandbox/moments/moments.py).
import { BLOCK, GONE, GROUPS, STILL, STRETCH, STRETCHES } from "./generated.js";

// Moments here have `groups`, and for each `totals` (3), `count` and `sums` (of x, then of x̂); `meanOf` says whose mean
// is subtracted from x, and whose from x̂, where it is that of the tokens themselves (0: of x, 1: of x̂).
export function raw({ d, totals, count, sums }) {
  return { d, groups: count.length, totals, count, sums, meanOf: null };
}

export function tokens({ count }) {
  return added(count);
}

export function added(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

// The sum over groups of `width` numbers each.
export function wholeOf(values, width) {
  const sum = new Float64Array(width);
  for (let at = 0; at < values.length; at += width) for (let j = 0; j < width; j++) sum[j] += values[at + j];
  return sum;
}

// a, b and c; NaN where no token was measured.
export function means(moments) {
  const n = tokens(moments);
  return wholeOf(moments.totals, 3).map((total) => total / n);
}

export const clusters = ({ count }) => count.reduce((groups, n) => groups + (n > 0), 0);

// Neighbouring groups pooled: with blocks of tokens as clusters, a document may be longer than a block.
export function inStretches(moments) {
  const pool = stretches(moments.count);
  const { d } = moments;
  const count = pool(moments.count, 1);
  return { ...moments, groups: count.length, count, totals: pool(moments.totals, 3), sums: pool(moments.sums, 2 * d) };
}

// A function that pools `width` numbers of each group.
export function stretches(count) {
  const size = stretch(count);
  return (values, width) => {
    const pooled = new Float64Array(Math.ceil(count.length / size) * width);
    for (let i = 0; i < values.length; i++) {
      pooled[Math.floor(i / width / size) * width + (i % width)] += values[i];
    }
    return pooled;
  };
}

function stretch(count) {
  return Math.min(STRETCH, Math.max(Math.floor(clusters({ count }) / STRETCHES), 1));
}

// The blocks of tokens that stand in for documents (sandbox/report/blocks.py).
export function standIn(count) {
  const pooled = stretches(count)(count, 1);
  return { number: clusters({ count: pooled }), tokens: BLOCK * stretch(count), pooled: clusters({ count }) === GROUPS };
}

export function centred(moments) {
  return { ...about(moments, meanOf(moments, [0, 1])), meanOf: [0, 1] };
}

// The mean of x subtracted from both, which leaves x̂ − x as it is.
export function centredOnX(moments) {
  return { ...about(moments, meanOf(moments, [0, 0])), meanOf: [0, 0] };
}

function meanOf(moments, of) {
  return picked(wholeOf(moments.sums, 2 * moments.d), of, moments.d, tokens(moments));
}

// Two rows of sums, in the order `of`, divided by n.
function picked(sums, of, d, n) {
  const rows = new Float64Array(2 * d);
  for (const [to, from] of of.entries()) for (let j = 0; j < d; j++) rows[to * d + j] = sums[from * d + j] / n;
  return rows;
}

// The moments about `origin`: a row that is subtracted from every x, and one from every x̂.
export function about(moments, origin) {
  const { d, groups, count } = moments;
  const totals = moments.totals.slice();
  const sums = moments.sums.slice();
  const squares = dots(origin, 0, origin, d);
  const between = [0, 0];
  for (let g = 0; g < groups; g++) {
    const shift = shifted(dots(origin, 2 * d * g, moments.sums, d), squares, count[g]);
    for (let k = 0; k < 3; k++) totals[3 * g + k] += shift[k];
    for (let j = 0, at = 2 * d * g; j < 2 * d; j++) sums[at + j] -= count[g] * origin[j];
    for (const row of [0, 1]) between[row] += norm2(sums, (2 * g + row) * d, d) / Math.max(count[g], 1);
  }
  // A vector that always equals its origin leaves only rounding, and is a zero; one so close that rounding hides the
  // distance is not resolvable. The groups' sums tell the two apart: nothing but the mean cancels in them.
  const [energy, left] = [wholeOf(moments.totals, 3), wholeOf(totals, 3)];
  const gone = [0, 1].map((row) => left[row] <= GONE * energy[row]);
  const hidden = gone.map((one, row) => one && between[row] > STILL * energy[row]);
  const put = (which, value) => which.forEach((one, k) => one && fill(totals, k, value));
  put([...gone, gone[0] || gone[1]], 0);
  put([...hidden, hidden[0] || hidden[1]], NaN);
  for (const row of [0, 1]) if (gone[row]) for (let g = 0; g < groups; g++) sums.fill(0, (2 * g + row) * d, (2 * g + row + 1) * d);
  return { ...moments, totals, sums, meanOf: null };
}

function fill(totals, k, value) {
  for (let at = k; at < totals.length; at += 3) totals[at] = value;
}

// The products of the two rows of `origin` with the two rows at `at`: [o₀·r₀, o₁·r₁, o₀·r₁, o₁·r₀].
function dots(origin, at, rows, d) {
  let [xx, hh, xh, hx] = [0, 0, 0, 0];
  for (let j = 0; j < d; j++) {
    const [u, v] = [rows[at + j], rows[at + d + j]];
    xx += origin[j] * u;
    hh += origin[d + j] * v;
    xh += origin[j] * v;
    hx += origin[d + j] * u;
  }
  return [xx, hh, xh, hx];
}

function norm2(values, at, d) {
  let sum = 0;
  for (let j = 0; j < d; j++) sum += values[at + j] ** 2;
  return sum;
}

// What moving to an origin adds to n tokens' totals: ⟨u − m, v − m'⟩ = ⟨u, v⟩ − ⟨m, v⟩ − ⟨u, m'⟩ + ⟨m, m'⟩, summed.
function shifted([xx, hh, xh, hx], squares, n) {
  return [n * squares[0] - 2 * xx, n * squares[1] - 2 * hh, n * squares[2] - xh - hx];
}

const leftOut = new WeakMap();

// The totals without each group in turn; about the means of the tokens that remain where moments are about their means.
export function leaveOneOut(moments) {
  if (!leftOut.has(moments)) leftOut.set(moments, withoutEach(moments));
  return leftOut.get(moments);
}

function withoutEach(moments) {
  const { d, groups, totals, count, meanOf: of } = moments;
  const whole = wholeOf(totals, 3);
  const left = totals.map((value, at) => whole[at % 3] - value);
  if (!of) return left;
  const sums = wholeOf(moments.sums, 2 * d);
  const n = tokens(moments);
  const rest = new Float64Array(2 * d);
  for (let g = 0; g < groups; g++) {
    for (let j = 0; j < 2 * d; j++) rest[j] = sums[j] - moments.sums[2 * d * g + j];
    const origin = picked(rest, of, d, n - count[g]);
    const shift = shifted(dots(origin, 0, rest, d), dots(origin, 0, origin, d), n - count[g]);
    for (let k = 0; k < 3; k++) left[3 * g + k] += shift[k];
    const gone = [0, 1].map((k) => left[3 * g + k] <= GONE * whole[k]);
    if (gone[0]) left[3 * g] = 0;
    if (gone[1]) left[3 * g + 1] = 0;
    if (gone[0] || gone[1]) left[3 * g + 2] = 0;
  }
  return left;
}
