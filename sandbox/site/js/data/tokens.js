// Means over tokens, and the line of ‖x̂‖ on ‖x‖ (sandbox/measuring/token_means.py).
import { COLUMNS, MEANS, NO_LINE, NO_TOKEN_DEFINES } from "./generated.js";
import { leftOutEstimate } from "./intervals.js";
import { stretches, wholeOf } from "./origins.js";

const LINE = ["norm_slope", "norm_intercept"];

// Every statistic by name, with its interval; `blocks` says whether the clusters are blocks of tokens.
export function statistics(totals, blocks) {
  const width = COLUMNS.length;
  const sums = blocks ? stretches(totals.count)(totals.columns, width) : totals.columns;
  const at = (name) => COLUMNS.indexOf(name);
  const by = (name) => Float64Array.from({ length: sums.length / width }, (_, g) => sums[g * width + at(name)]);
  const whole = wholeOf(sums, width);
  const left = Array.from(by("tokens"), (_, g) => whole.map((sum, k) => sum - sums[g * width + k]));
  const found = {};
  for (const [name, [above, below, scale]] of Object.entries(MEANS)) {
    const mean = (row) => row[at(above)] / row[at(below)];
    found[name] = leftOutEstimate(mean(whole), left.map(mean), scale, by("tokens"), by(below), NO_TOKEN_DEFINES);
  }
  LINE.forEach((name, k) => {
    const line = (row) => lineOf(row)[k];
    found[name] = leftOutEstimate(line(whole), left.map(line), "any", by("tokens"), by("norm²"), NO_LINE);
  });
  return found;
}

// Slope and intercept of the least-squares line of ‖x̂‖ on ‖x‖; NaN if all tokens have the same norm.
function lineOf([n, u, v, uu, uv]) {
  const [mean, meanHat] = [u / n, v / n];
  const spread = uu / n - mean ** 2;
  const slope = spread > (1e-9 * uu) / n ? (uv / n - mean * meanHat) / spread : NaN;
  return [slope, meanHat - slope * mean];
}
