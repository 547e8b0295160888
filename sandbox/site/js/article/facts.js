// Every number that the text and the picture's readout may show, from what the picture shows: by name, its value (null
// where it is undefined) and how it is written.
import { blocks, measures, thresholdOf } from "../../explorer/generated.js";
import { penalised } from "../../explorer/penalty.js";
import { eachPair, meanOver } from "../../explorer/population.js";
import { evaluated, momentsOf } from "../../explorer/state.js";

const AS_ONE = 5e-4; // from 1, what is written as 1.000

const BIAS = "relative_reconstruction_bias";

// The names that a reader sees, and the unit.
const NAMES = {
  angle: "angle",
  distance: "error, in lengths of x",
  product: "c/a · c/b",
  cosine_squared: "cos² of the angle",
  pooled: "γ, pooled",
  mean_of_tokens: "mean of the tokens’ γ",
  mean_of_batches: "mean of the batches’ γ",
  penalty: "λ",
  law_measured: "γ with L1, measured",
  law_predicted: "γ with L1, predicted",
  law_of_count: "γ with L0",
};

export const nameOf = (key) => NAMES[key] ?? measures[key].plain;
export const unitOf = (key) => (key === "angle" ? "°" : "");
export const digitsOf = (key) => ({ angle: 1, penalty: 2 })[key] ?? 3;

// Is 1 what the number is compared with?
export const comparesWithOne = (key) => !["angle", "distance", "penalty", "cosine_squared"].includes(key);

export function factsOf(scene) {
  const { state, values, population, penalty } = scene;
  const { angle, norm_ratio } = state;
  const facts = { angle, penalty: state.penalty, threshold: thresholdOf(state.penalty), n: population?.n ?? null };
  for (const key in values) facts[key] = values[key].value;
  facts.norm_ratio = values.norm_ratio.value ?? norm_ratio;
  facts.distance = rooted(facts.relative_loss);
  facts.at_one = Math.abs(facts[BIAS] - 1) < AS_ONE;
  facts.off_one = !facts.at_one;
  facts.product = times(facts.scale_x, facts.scale_x_hat);
  facts.cosine_squared = facts.cosine === null ? null : facts.cosine ** 2;
  if (!population) Object.assign(facts, errorOfEquation10(state, facts));
  if (population) Object.assign(facts, meansOf(population));
  const { soft, hard } = penalty ?? (free ??= penalised(0));
  facts.law_measured = soft.bias;
  facts.law_predicted = soft.predicted;
  facts.law_of_count = hard.bias;
  facts.law_P = soft.grows;
  facts.law_c = soft.moments[2];
  return facts;
}

let free = null; // what costs nothing does not shrink

const rooted = (value) => (value === null ? null : Math.sqrt(Math.max(value, 0)));
const times = (first, second) => (first === null || second === null ? null : first * second);

// How far the first version's equation 10 is off, here and with x̂ moved halfway to where γ is 1.
function errorOfEquation10(state, { [BIAS]: bias, equation_10_v1: old }) {
  if (bias === null || old === null) return { error: null, error_halfway: null, error_share: null };
  const halfway = momentsOf({ ...state, norm_ratio: (state.norm_ratio * (1 + bias)) / 2 / bias });
  const [error, later] = [old - bias, evaluated(measures.equation_10_v1, halfway).value - evaluated(measures[BIAS], halfway).value];
  return { off_one: bias - 1, error, error_halfway: later, error_share: error > 1e-9 ? later / error : null };
}

function meansOf(population) {
  const tokens = meanOver(measures[BIAS], eachPair(population));
  const batches = meanOver(measures[BIAS], population.totals);
  return { pooled: evaluated(measures[BIAS], population.means).value, mean_of_tokens: tokens.value, tokens_left_out: tokens.left, mean_of_batches: batches.value, batch: population.n / blocks };
}
