// How much of the shrinkage the training penalty explains (C19; sandbox/report/law.py).
import { measures, predictedBias } from "../../explorer/generated.js";
import { impliedL1, LAW_ROWS, LAW_SAID, NO_DIRECTION, WITHIN } from "./generated.js";
import { jointEstimate } from "./intervals.js";
import { filled, general } from "./python.js";

const { relative_reconstruction_bias: gamma } = measures;
const [EXPLAINED, SCALED, NOT_EXPLAINED, CANNOT_TELL, NO_COEFFICIENT] = [
  "explained", "explained by scaled activations", "not explained", "cannot tell", "no coefficient",
];

// γ about b_dec beside what the penalty predicts.
//
// `moments` are about b_dec; `slopes` are sums by group of the penalty's slope, without and with `scale`; `penalty` is as
// of penalty.js; `meanNorm` is that of x.
export function lawOf(moments, { slopes, meanNorm, penalty, scale }) {
  const meanNormScale = Math.sqrt(moments.d) / meanNorm;
  const along = (a, b, c) => (c > 0 ? null : NO_DIRECTION);
  const of = (sums) => ({
    penalty: jointEstimate(moments, sums, (a, b, c, P) => P, "notNegative"),
    inner: jointEstimate(moments, sums, (a, b, c) => c, "any"),
    implied: jointEstimate(moments, sums, impliedL1, "any", (a, b, c, P) => (P > 0 ? null : NO_DIRECTION)),
    gamma: jointEstimate(moments, sums, (a, b, c) => gamma.value(a, b, c), "notNegative", along),
    meanNormScale,
    training: penalty,
    scale: 1,
  });
  const [plain, scaled] = slopes;
  if (!penalty) return { word: NO_COEFFICIENT, ...of(plain) };
  // With L1, λ·P is proportional to k, so the pass's own mean norm can be used; tanh needs k while it is summed.
  const linear = penalty.tanh === null;
  const k = linear ? meanNormScale : scale;
  const tried = (word, factor, coefficient, sums) => {
    const predicted = (a, b, c, P) => predictedBias(coefficient, P, c);
    const difference = jointEstimate(moments, sums, (a, b, c, P) => gamma.value(a, b, c) - predicted(a, b, c, P), "any", along);
    return {
      ...of(sums), word: judged(difference, word), scale: factor, difference,
      predicted: jointEstimate(moments, sums, predicted, "any", along),
    };
  };
  const unscaled = tried(EXPLAINED, 1, penalty.coefficient, plain);
  const rescaled = tried(SCALED, k, linear ? penalty.coefficient / k : penalty.coefficient, linear ? plain : scaled);
  const better = distance(rescaled) < distance(unscaled) && distance(unscaled) > WITHIN;
  return penalty.coefficient && better ? rescaled : unscaled;
}

function distance({ difference }) {
  return difference.value === null ? Infinity : Math.abs(difference.value);
}

function judged({ low, high }, word) {
  if (low === null || high === null) return CANNOT_TELL;
  if (Math.max(-low, high) <= WITHIN) return word;
  return low > WITHIN || high < -WITHIN ? NOT_EXPLAINED : CANNOT_TELL;
}

// Each number with its words, by the key that JSON has for it.
export function lawRows(law) {
  const tanh = law.training?.tanh ?? null;
  const rows = { penalty: law.penalty, c: law.inner, [tanh === null ? "implied_l1" : "implied_l0_coefficient"]: law.implied, gamma: law.gamma };
  if (law.predicted) Object.assign(rows, { predicted: law.predicted, difference: law.difference });
  const words = tanh === null ? LAW_ROWS : { ...LAW_ROWS, penalty: filled(LAW_ROWS.penalty_of_tanh, { scale: general(tanh) }) };
  return Object.fromEntries(Object.entries(rows).map(([key, estimate]) => [key, { words: words[key], estimate }]));
}

export function lawToJson(law) {
  const { training } = law;
  const tanh = training?.tanh ?? null;
  const numbers = Object.entries(lawRows(law)).map(([key, { estimate }]) => [key, estimate]);
  return {
    word: law.word,
    l1: training && tanh === null ? training.coefficient : null,
    l0_coefficient: training && tanh !== null ? training.coefficient : null,
    tanh_scale: tanh,
    source: training?.source ?? "",
    scale: law.scale,
    mean_norm_scale: law.meanNormScale,
    ...Object.fromEntries(numbers),
  };
}

// What the comparison says, in a sentence or two.
export function lawInWords(law) {
  const { training, word, difference, gamma: measured } = law;
  if (!training) return LAW_SAID.unknown;
  const said = filled(LAW_SAID.predicts, { inputs: inputs(law) });
  if (word === CANNOT_TELL) return filled(LAW_SAID.cannot_tell, { law: said, why: difference.reason ?? LAW_SAID.wide });
  if (word === NOT_EXPLAINED) return filled(LAW_SAID.not_explained, { law: said, causes: causes(law) });
  const shrinks = measured.high !== null && measured.high < 1;
  return filled(LAW_SAID[training.coefficient && shrinks ? "explains" : "holds"], { law: said });
}

function inputs({ training, scale }) {
  const { coefficient, source, tanh } = training;
  if (!coefficient) return filled(LAW_SAID.is_1, { source });
  let text = `λ = ${general(coefficient)}`;
  if (scale === 1) return filled(LAW_SAID.inputs, { coefficient: text, source });
  if (tanh === null) text += `/${general(scale, 4)} = ${general(coefficient / scale, 4)}`;
  return filled(LAW_SAID.inputs_scaled, { coefficient: text, source });
}

function causes({ training, implied }) {
  const l1 = training.tanh === null ? training.coefficient : 0;
  if (!(l1 && implied.value && implied.low && implied.low > 0)) return LAW_SAID.causes;
  return `${filled(LAW_SAID.multiplied, { times: general(l1 / implied.value, 3) })}, ${LAW_SAID.causes}`;
}
