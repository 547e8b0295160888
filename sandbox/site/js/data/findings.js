// What would make a measurement meaningless, in the words of sandbox measure (sandbox/measuring/preflight).
//
// Not here: whether the SAE was trained on activations in another space, for which it would have to run on some ten more.
import { fit, fitOf, momentsOf, valueOf } from "./fit.js";
import { OUTLIER, PREFLIGHT, SAID_OF_FINDINGS as SAID, USUAL } from "./generated.js";
import { clusters, raw, tokens } from "./origins.js";
import { filled, general, grouped } from "./python.js";
import { medianOf, normsOf, rowsOf } from "./sample.js";
import { offsetFinding, outputFinding, percent } from "./spaces.js";

// All findings, as `{ key, message }`: of the sample, then of the whole pass. `of` has `b_dec`, `d_sae` (both null for
// pairs), `half`, whether x and x̂ are in float16, and `eps` of their numbers; `gamma` is the estimate of γ of all tokens.
export function findingsOf(sample, counter, gamma, of) {
  const ofSample = sampleFindings(sample, of);
  const { OF_TOKENS } = PREFLIGHT;
  const explained = ofSample.some(({ key }) => !OF_TOKENS.includes(key)); // then a bad fit is only its consequence
  const whole = wholeFindings(counter, gamma).filter(({ key }) => OF_TOKENS.includes(key) || !explained);
  return [...ofSample.filter(({ key }) => !whole.some((other) => other.key === key)), ...whole];
}

function said(key, template, words = {}) {
  return { key, message: filled(SAID[template], words) };
}

// What the sample shows. Tokens that are not finite are no matter here: the page refuses them, or leaves them out.
export function sampleFindings({ x, x_hat, l0, n, d }, { b_dec, d_sae, half, eps }) {
  const norms = normsOf(x, d, n);
  const finite = at(norms, Number.isFinite);
  const found = nearTheEnd(largest(x, n * d), half[0]);
  if (!finite.length) return found;
  if (finite.every((token) => norms[token] === 0)) return [...found, said("zero", "zero", { name: "x" })];
  if (finite.length > 1 && sameRows(x, d, finite)) return [...found, said("constant", "constant")];
  found.push(...lengths(norms, n));
  const both = at(normsOf(x_hat, d, n), (norm, token) => Number.isFinite(norm) && Number.isFinite(norms[token]));
  const peak = largest(x_hat, n * d);
  const { FLOAT16_MAX } = PREFLIGHT;
  if (half[1] && peak > FLOAT16_MAX / 2) found.push(said("float16_x_hat", "float16_x_hat", { peak: general(peak), most: general(FLOAT16_MAX) }));
  if (both.length) found.push(...pairFindings(rowsOf(x, d, both), rowsOf(x_hat, d, both), d, b_dec, eps));
  return [...found, ...(l0 ? activity(finite.map((token) => l0[token]), d_sae) : [])];
}

const at = (values, holds) => Array.from(values.keys()).filter((token) => holds(values[token], token));

function largest(values, length) {
  let peak = 0;
  for (let i = 0; i < length; i++) if (Math.abs(values[i]) > peak && Number.isFinite(values[i])) peak = Math.abs(values[i]);
  return peak;
}

function nearTheEnd(peak, half) {
  const { FLOAT16_MAX } = PREFLIGHT;
  if (peak === FLOAT16_MAX) return [said("float16", "float16_cut", { name: "x", peak: general(peak) })];
  return half && peak > FLOAT16_MAX / 2 ? [said("float16", "float16_near", { name: "x", peak: general(peak), most: general(FLOAT16_MAX) })] : [];
}

function sameRows(values, d, tokens) {
  const first = tokens[0] * d;
  return tokens.every((token) => values.subarray(token * d, (token + 1) * d).every((value, j) => value === values[first + j]));
}

function lengths(norms, n) {
  const { MIN_TOKENS, HEAVY } = PREFLIGHT;
  const found = [];
  const zero = at(norms, (norm) => norm === 0);
  if (zero.length) found.push(said("zero_tokens", "zero_tokens", { zero: zero.length, tokens: n, name: "x", first: first(zero) }));
  if (n < MIN_TOKENS) found.push(said("small", "small", { tokens: n, least: MIN_TOKENS }));
  const median = medianOf(norms);
  const energy = norms.map((norm) => (Number.isFinite(norm) ? norm * norm : 0));
  const all = sum(energy);
  const long = at(norms, (norm) => norm > OUTLIER * median && norm < Infinity);
  if (long.length) return [...found, outliers(long.length, n, OUTLIER * median, sum(long.map((token) => energy[token])) / all, first(long))];
  const longest = energy.slice().sort().reverse().subarray(0, Math.max(1, Math.floor(n / 100)));
  const share = sum(longest) / all;
  if (n < 2 * MIN_TOKENS || share <= HEAVY) return found;
  const times = general(Math.sqrt(longest[0]) / median, 3);
  return [...found, said("heavy_tokens", "heavy_tokens", { longest: longest.length, tokens: n, times, share: percent(share, 1) })];
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function first(places) {
  return filled(SAID.first, { places: places.slice(0, 5).join(", ") + (places.length > 5 ? ", …" : "") });
}

function outliers(count, n, limit, share, where = "") {
  return said("outliers", "outliers", { count, tokens: n, limit: general(limit, 4), above: OUTLIER, first: where, share: percent(share, 1) });
}

// Of n finite tokens: is x̂ another thing than a reconstruction of x?
function pairFindings(x, x_hat, d, b_dec, eps) {
  const { MIN_TOKENS, ORDINARY, COMPARED } = PREFLIGHT;
  if (isSame(x, x_hat, eps)) return [said("identical", "identical", { name: "x" })];
  const norms = normsOf(x, d, x.length / d);
  const median = medianOf(norms);
  const usual = at(norms, (norm) => norm > 0 && norm <= ORDINARY * median);
  const chosen = usual.length <= COMPARED ? usual : Array.from({ length: COMPARED }, (_, i) => usual[Math.floor((i * (usual.length - 1)) / (COMPARED - 1))]);
  const causes = chosen.length >= MIN_TOKENS ? spaceFindings(rowsOf(x, d, chosen), rowsOf(x_hat, d, chosen), d, b_dec) : [];
  const kept = at(norms, (norm) => norm <= OUTLIER * median);
  const [u, v] = [rowsOf(x, d, kept), rowsOf(x_hat, d, kept)];
  const found = fit(u, v, d);
  const biased = causes.some(({ key }) => key === "missing_bias" || key === "extra_bias");
  const explained = causes.length > 0 && (!biased || found.loss * (1 - found.offset) < 1);
  const all = [...causes, ...lossFindings(u, v, d, found.loss, explained)];
  return all.length ? all : folding(valueOf("relative_reconstruction_bias", momentsOf(u, v, d)), "of the sample");
}

// Whether all numbers agree up to rounding, relative to |x| plus its median.
function isSame(x, x_hat, eps) {
  const sizes = x.map(Math.abs);
  const near = (more) => x.every((value, i) => Math.abs(value - x_hat[i]) <= 4 * eps * (sizes[i] + more));
  const most = largest(sizes, sizes.length);
  return most > 0 && near(most) && near(sizes.slice().sort()[Math.floor((sizes.length - 1) / 2)]);
}

function spaceFindings(x, x_hat, d, b_dec) {
  const { FINE, GOOD_ENOUGH } = PREFLIGHT;
  const found = fit(x, x_hat, d);
  if (found.loss < FINE) return [];
  const outcome = outputFinding(x, x_hat, d);
  const [offset, sure] = offsetFinding(x, x_hat, d, b_dec, found.offset);
  const without = found.loss * (1 - found.offset); // what the constant vector alone would leave
  const certain = sure && without < GOOD_ENOUGH;
  if (!outcome) return offset ? [offset] : [];
  const { key, message } = outcome;
  if (!offset || !certain || outcome.misfit.loss < 0.5 * without) return [{ key, message }];
  return [said(offset.key, "or_else", { message: offset.message, key, other: message })];
}

function lossFindings(x, x_hat, d, about, explained) {
  if (x_hat.every((value) => value === 0)) return [said("zero_x_hat", "zero_x_hat")];
  const all = Array.from({ length: x.length / d }, (_, token) => token);
  if (all.length > 1 && sameRows(x_hat, d, all)) return [said("constant_x_hat", "constant_x_hat")];
  const moments = momentsOf(x, x_hat, d);
  const loss = valueOf("relative_loss", moments);
  const words = { loss: general(loss, 3), why: SAID[explained ? "explained" : "unexplained"] };
  if (loss > 1) return [said("loss", "loss", { cosine: valueOf("cosine", moments).toFixed(3), ...words })];
  return about > 1 && about < Infinity ? [said("loss", "loss_about_the_mean", { about: general(about, 3), ...words })] : [];
}

function folding(gamma, of) {
  const [low, high] = USUAL;
  return gamma < low || gamma > high ? [said("folding", "folding", { of, gamma: general(gamma, 3), low, high })] : [];
}

function activity(counts, d_sae) {
  const mean = sum(counts) / counts.length;
  const none = counts.filter((count) => count === 0).length / counts.length;
  const usual = filled(SAID.l0, { mean: general(mean, 3), d_sae });
  if (none > 0.5) return [said("l0_none", "l0_none", { none: percent(none), usual })];
  return mean > d_sae / 2 ? [said("l0_all", "l0_all", { usual })] : [];
}

// What all tokens show.
function wholeFindings({ both, extreme, limit, norms }, gamma) {
  const found = [];
  const n = tokens(both);
  if (norms.zero > 0 && norms.zero < n) found.push(said("zero_tokens", "zero_tokens", { zero: norms.zero, tokens: n, name: "x", first: "" }));
  if (extreme) {
    const energy = ({ totals }) => sum(totals.filter((_, at) => at % 3 === 0));
    found.push(outliers(tokens(extreme), n, limit, energy(extreme) / energy(both)));
  } else found.push(...heavy(norms.longest(), n, gamma));
  const groups = clusters(both);
  const seen = fitOf({ ...raw(both), meanOf: null }, groups);
  if (groups > 1 && seen.offset > PREFLIGHT.OFF) found.push(said("mean_error", "mean_error", { share: percent(seen.offset) }));
  return [...found, ...(gamma.value ? folding(gamma.value, "of all tokens") : [])];
}

function heavy(few, n, gamma) {
  if (!few) return [];
  const { HEAVY, NOTABLE } = PREFLIGHT;
  const { value, low, high } = gamma;
  const reach = low === null || high === null ? Infinity : (high - low) / 2;
  const without = few.without("relative_reconstruction_bias");
  const apart = value === null ? NaN : Math.abs(value - without);
  if (!(few.share > HEAVY || apart > Math.max(reach, NOTABLE))) return [];
  const counts = { longest: grouped(few.tokens), tokens: grouped(n), limit: general(few.limit, 4), times: general(few.limit / few.median, 3) };
  const words = { share: percent(few.share, 1), gamma: value === null ? "undefined" : value.toFixed(4), without: Number.isNaN(without) ? "nan" : without.toFixed(4) };
  return [said("heavy_tokens", "longest", { ...counts, ...words })];
}
