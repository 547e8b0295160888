// Is x̂ in another space than x, or does a constant vector miss (measuring/preflight/input_spaces.py and biases.py)?
import { fit, fitOf, momentsOf, NO_FIT, scaled, valueOf } from "./fit.js";
import { PREFLIGHT, SAID_OF_FINDINGS as SAID } from "./generated.js";
import { filled, general } from "./python.js";
import { normsOf } from "./sample.js";

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// A finding, with its `misfit`, where x̂ reconstructs x in another space much better; null otherwise.
export function outputFinding(x, x_hat, d) {
  const moments = momentsOf(x, x_hat, d);
  const n = x.length / d;
  const raw = fitOf(moments, n);
  const spaces = knownSpaces(x, x_hat, d).filter((one) => raw.offset > PREFLIGHT.MEAN_OFF || isFar(one.factorOf()));
  const inSpace = (one) => (one.factor ? fitOf(scaled(moments, one.factor), n) : fit(one.moved(), x_hat, d));
  const { misfit, words, key, others } = best(spaces, inSpace, byFactor(moments, n));
  if (!key || !explains(misfit, raw) || misfit.loss > PREFLIGHT.MOST_LEFT * raw.loss) return null;
  const losses = { raw: general(raw.loss, 3), best: general(misfit.loss, 3) };
  return { key: `x_hat_${key}`, message: filled(SAID.x_hat_space, { words, others, ...losses }), misfit };
}

// The normalisations in use, simplest first: each with a `factor` on x, or with x `moved` token by token.
function knownSpaces(x, x_hat, d) {
  const norms = normsOf(x, d, x.length / d);
  const [root, norm, rms] = [Math.sqrt(d), mean(norms), Math.sqrt(mean(norms.map((one) => one * one)))];
  const factors = [
    ["scale", root / norm, "√d / mean ‖x‖"], ["scale", 1 / norm, "1 / mean ‖x‖"], ["scale", root / rms, "√d / √(E‖x‖²)"],
    ["scale", 1 / rms, "1 / √(E‖x‖²)"], ["root_d", root, "√d"], ["root_d", 1 / root, "1/√d"],
  ];
  const eachToken = { constant_norm: (row) => unit(row, root), unit_norm: (row) => unit(row, 1), layer_norm: layerNorm };
  const { NO_CHANGE } = PREFLIGHT;
  return [
    ...factors.filter(([, factor]) => !(factor > 1 / NO_CHANGE && factor < NO_CHANGE)).map((one) => scaling(...one)),
    ...Object.entries(eachToken).map(([key, change]) => {
      const moved = () => byToken(x, d, change);
      return { key, words: SAID[key], moved, factorOf: () => valueOf("scale_x", momentsOf(x, moved(), d)) };
    }),
  ];
}

function scaling(key, factor, what) {
  return { key, words: filled(SAID.scaled, { factor: general(factor, 4), what }), factor, factorOf: () => factor };
}

function byToken(x, d, change) {
  const moved = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += d) moved.set(change(x.subarray(at, at + d)), at);
  return moved;
}

function unit(row, norm) {
  const length = Math.sqrt(row.reduce((sum, one) => sum + one * one, 0));
  return row.map((one) => (one / length) * norm);
}

function layerNorm(row) {
  const middle = mean(row);
  const spread = Math.sqrt(mean(row.map((one) => (one - middle) ** 2)) + PREFLIGHT.LAYER_NORM_EPS);
  return row.map((one) => (one - middle) / spread);
}

function isFar(factor) {
  const [low, high] = PREFLIGHT.SHRINKAGE;
  return !(factor >= low && factor <= high);
}

function explains(misfit, raw) {
  return misfit.loss < Math.min(PREFLIGHT.GOOD_ENOUGH, raw.loss) && misfit.badness < PREFLIGHT.FAR_BETTER * raw.badness;
}

// The space that fits best, and in words those that fit as well.
function best(spaces, inSpace, fitted) {
  const fits = spaces.map((space) => ({ ...space, misfit: inSpace(space), others: "" }));
  const least = Math.min(...fits.map(({ misfit }) => misfit.badness));
  if (fitted && fitted.misfit.badness * PREFLIGHT.PREFER_KNOWN < least) return fitted;
  const close = fits.filter(({ misfit }) => misfit.badness <= PREFLIGHT.AS_GOOD * least);
  if (!close.length || least === Infinity) return { key: null, misfit: NO_FIT };
  const words = close.slice(1).map((one) => one.words).join(" or ");
  return { ...close[0], others: words && filled(SAID.equally_good, { words }) };
}

// The one factor for which x̂ reconstructs k·x best, where it is too large to be shrinkage: powers of 2, then in between.
function byFactor(moments, n) {
  const badness = (power) => fitOf(scaled(moments, 2 ** power), n).badness;
  const lowest = (powers) => powers.reduce((least, power) => (badness(power) < badness(least) ? power : least));
  let power = lowest(Array.from({ length: 25 }, (_, i) => i - 12));
  for (const step of [0.5, 0.25, 0.125]) power = lowest([power - step, power, power + step]);
  const factor = 2 ** power;
  return isFar(factor) ? { ...scaling("scale", factor, SAID.tried), misfit: fitOf(scaled(moments, factor), n), others: "" } : null;
}

// Whether x̂ lacks, or has too much of, a constant vector, and whether that is surely a known one: `[finding, certain]`.
export function offsetFinding(x, x_hat, d, b_dec, share) {
  const n = x.length / d;
  const [lacking, middle] = [new Float64Array(d), new Float64Array(d)];
  for (let at = 0; at < x.length; at++) {
    lacking[at % d] += (x[at] - x_hat[at]) / n;
    middle[at % d] += x[at] / n;
  }
  const offset = filled(SAID.offset, { share: percent(share), norm: general(normsOf(lacking, d, 1)[0], 3) });
  const said = (key, multiple, alike, words = {}) => filled(SAID[key], { offset, multiple: multiple.toFixed(2), cosine: alike.toFixed(3), ...words });
  const { COMPARED, OFF, OFF_FEW, OFF_ALONG } = PREFLIGHT;
  const many = 2 * n >= COMPARED;
  if (share > OFF_ALONG && b_dec?.some((one) => one)) {
    const [multiple, alike] = along(lacking, b_dec, d);
    if (alike > 0.9 && Math.abs(multiple) > 0.5 && Math.abs(multiple) < 2.5) {
      const whole = Math.min(Math.abs(Math.abs(multiple) - 1), Math.abs(Math.abs(multiple) - 2)) < 0.1;
      const folded = whole ? "" : SAID.no_whole_multiple;
      const [key, words] = multiple > 0 ? ["missing_bias", "b_dec_missing"] : ["extra_bias", "b_dec_extra"];
      return [{ key, message: said(words, Math.abs(multiple), alike, { folded }) }, alike > 0.95 && whole];
    }
    if (alike > 0.9 && multiple > -1 && Math.abs(multiple) > 0.1 && many) {
      return [{ key: "folding", message: said("b_dec_folded", multiple, alike, { fits: general(1 + multiple, 3) }) }, alike > 0.95];
    }
  }
  if (share > OFF_ALONG) {
    const [multiple, alike] = along(lacking, middle, d);
    if (alike > 0.9 && multiple > 0.8 && multiple < 1.25) {
      return [{ key: "missing_bias", message: said("mean_missing", multiple, alike) }, alike > 0.95 && Math.abs(multiple - 1) < 0.1];
    }
  }
  if (share > (many ? OFF : OFF_FEW)) return [{ key: "missing_bias", message: filled(SAID.bias_missing, { offset }) }, false];
  return [null, false];
}

// Which multiple of the direction is nearest to the vector, and their unsigned cosine.
function along(vector, direction, d) {
  const moments = momentsOf(direction, vector, d);
  return [valueOf("scale_x", moments), Math.abs(valueOf("cosine", moments))];
}
