// A histogram of ‖x‖ over all tokens, with the totals of each bin (sandbox/measuring/norms.py).
import { measures } from "../../explorer/generated.js";
import { NORMS } from "./generated.js";

const { STEPS, DOUBLINGS, BINS } = NORMS;

export class Norms {
  constructor() {
    this.totals = new Float64Array(4 * BINS); // tokens, and the sums of ‖x‖², ‖x̂‖² and x·x̂
  }

  add(a, b, c) {
    const bin = a > 0 ? Math.min(Math.max(Math.floor((Math.log2(a) + DOUBLINGS / 2) * STEPS), 0), BINS - 2) + 1 : 0;
    const { totals } = this;
    totals[4 * bin] += 1;
    totals[4 * bin + 1] += a;
    totals[4 * bin + 2] += b;
    totals[4 * bin + 3] += c;
  }

  // Tokens with x = 0.
  get zero() {
    return this.totals[0];
  }

  // The longest tokens, whole bins that hold about a hundredth of all, at most twice that; null if empty.
  longest() {
    const counts = Array.from({ length: BINS }, (_, bin) => this.totals[4 * bin]);
    const all = counts.reduce((sum, count) => sum + count, 0);
    let [first, held] = [BINS, 0];
    while (first > 0 && held + counts[first - 1] <= all / 100) held += counts[--first];
    if (first > 0 && held + counts[first - 1] <= all / 50) held += counts[--first];
    if (!(held > 0 && held < all)) return null;
    const part = (start, stop) => [0, 1, 2, 3].map((k) => this.totals.subarray(4 * start, 4 * stop).reduce((sum, value, at) => (at % 4 === k ? sum + value : sum), 0));
    const [few, [, ...others]] = [part(first, BINS), part(0, first)];
    let [middle, below] = [1, counts[1]];
    while (2 * below < all - counts[0]) below += counts[++middle];
    const without = (key) => (measures[key].whyUndefined(...others) ? NaN : measures[key].value(...others));
    return { tokens: held, limit: normAt(first), share: few[1] / (few[1] + others[0]), median: normAt(middle), without };
  }
}

// The lowest norm of a bin.
function normAt(bin) {
  return 2 ** (((bin - 1) / STEPS - DOUBLINGS / 2) / 2);
}
