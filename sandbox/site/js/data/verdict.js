// Does the SAE shrink, judged from every origin? The words are Python's (sandbox/report/verdict.py).
import { ORIGINS, SAID, WITHIN } from "./generated.js";
import { filled } from "./python.js";

const [SHRINKS, STRETCHES, DOES_NOT] = ["shrinks", "stretches", "does not shrink"];
const [CANNOT_TELL, DEPENDS, UNDEFINED] = ["cannot tell", "depends on the origin", "undefined"];

// The verdict from the γ of every origin, of which the first is raw.
export function verdictOf(gammas) {
  const found = (word, origin = null, reason = null) => ({ word, origin, within: WITHIN, ...(reason ? { reason } : {}) });
  const [[first, raw]] = Object.entries(gammas);
  if (raw.value === null) return found(UNDEFINED, first, raw.reason);
  const defined = Object.entries(gammas).filter(([, { value }]) => value !== null);
  const without = defined.find(([, { low }]) => low === null);
  if (without) return found(CANNOT_TELL, without[0], without[1].reason);
  const words = defined.map(([origin, gamma]) => [origin, wordFor(gamma)]);
  if (words.every(([, word]) => word === DOES_NOT)) return found(DOES_NOT);
  const sides = defined.map(([, gamma]) => side(gamma));
  if (sides[0] && sides.every((one) => one === sides[0])) return found(sides[0] < 0 ? SHRINKS : STRETCHES);
  const unsure = words.find(([, word]) => word === CANNOT_TELL);
  if (unsure) return found(CANNOT_TELL, unsure[0]);
  return found(DEPENDS, words.find(([, word]) => word !== words[0][1])[0]);
}

function wordFor(gamma) {
  if (gamma.low >= 1 - WITHIN && gamma.high <= 1 + WITHIN) return DOES_NOT;
  return { "-1": SHRINKS, 0: CANNOT_TELL, 1: STRETCHES }[side(gamma)];
}

// −1 for an interval below 1, 1 for an interval above 1, 0 for an interval that contains 1.
function side({ low, high }) {
  return Number(low > 1) - Number(high < 1);
}

// The verdict as a sentence, with how long the reconstructions are.
export function inWords(name, gammas, length) {
  const judgement = sentence(name, gammas);
  if (verdictOf(gammas).word === UNDEFINED || length.value === null) return `${judgement}.`;
  const difference = percent(Math.abs(1 - length.value));
  const key = difference === percent(0) ? "as_long" : length.value < 1 ? "shorter" : "longer";
  return said("length", { judgement, compared: said(key, { percent: difference, x: "x" }), r: length.value.toFixed(3) });
}

function said(key, words = {}) {
  return filled(SAID[key], { within: percent(WITHIN), ...words });
}

function sentence(name, gammas) {
  const overall = verdictOf(gammas);
  const every = Object.entries(gammas);
  const [[first, raw]] = every;
  if (raw.value === null) return said("undefined", { name, reason: raw.reason });
  const byOrigin = every.length > 1 ? every.map(([origin, gamma]) => `${ORIGINS[origin]} ${inFigures(gamma)}`) : [];
  const figures = byOrigin.length ? `γ: ${byOrigin.join(", ")}` : `γ = ${inFigures(raw)}`;
  if (overall.word === CANNOT_TELL) {
    const seen = overall.origin && every.length > 1 ? `${ORIGINS[overall.origin]}, ` : "";
    return said("cannot_tell", { name, seen, why: overall.reason ?? said("wide"), figures });
  }
  if (overall.word === DEPENDS) {
    const contrast = every
      .filter(([origin]) => origin === first || origin === overall.origin)
      .map(([origin, gamma]) => said("from_origin", { origin: ORIGINS[origin], does: does(gamma) }));
    return said("depends", { name, contrast: contrast.join(", but "), figures });
  }
  if (overall.word === DOES_NOT) {
    const resolved = every.filter(([, gamma]) => gamma.value !== null && side(gamma)).map(([origin]) => ORIGINS[origin]);
    const but = resolved.length ? said("but", { origins: resolved.join(" and ") }) : "";
    return said("does_not", { name, near: said("near"), figures: byOrigin.join(", ") || inFigures(raw), but });
  }
  // If raw it hardly shrinks, name an origin from which it does.
  const [seen, gamma] = every.find(([, one]) => one.value !== null && wordFor(one) !== DOES_NOT);
  const beside = said("beside", { first: ORIGINS[first], change: change(gamma), origin: ORIGINS[seen] });
  return said("changes", { name, change: change(raw), beside: seen === first ? "" : beside, figures });
}

function does(gamma) {
  return wordFor(gamma) === DOES_NOT ? said("does_not_near", { near: said("near") }) : change(gamma);
}

function change({ value }) {
  if (value > 2) return said("too_long", { times: value.toFixed(1) });
  return said(value < 1 ? "shrinks" : "stretches", { percent: percent(Math.abs(1 - value)) });
}

function inFigures({ value, low, high }, digits = 3) {
  if (value === null) return "undefined";
  const shown = value.toFixed(digits);
  if (low === null || high === null) return shown;
  if (Math.abs(high - value - (value - low)) < 10 ** -digits) return `${shown} ± ${((high - low) / 2).toFixed(digits)}`;
  return `${shown}, ${low.toFixed(digits)} … ${high.toFixed(digits)}`;
}

function percent(share) {
  return `${(100 * share).toFixed(share >= 0.095 || share === WITHIN ? 0 : 1)} %`;
}
