// The scenes: where x̂ stands at first, how it may move, and what the picture shows before and after the answer.
import { defaults, measures, presets } from "../../explorer/generated.js";
import { stepped } from "../../explorer/moves.js";
import { penalised } from "../../explorer/penalty.js";
import { angleOf, evaluated, momentsOf } from "../../explorer/state.js";

const UPRIGHT = 89; // degrees: at 90° there is no circle to be on

const start = (settings) => ({ ...defaults, ...settings });
const preset = (key) => ({ ...presets.find((one) => one.key === key).state, measure: defaults.measure });

const asLongAsX = (state) => ({ ...state, norm_ratio: 1, angle: Math.min(state.angle, UPRIGHT) });

// Rescaled by 1/γ, x̂ lies where γ is 1.
export function rescaled(state) {
  const { value } = evaluated(measures.relative_reconstruction_bias, momentsOf(state));
  return value ? { ...state, norm_ratio: state.norm_ratio / value } : state;
}

const onTheCircle = (state) => rescaled({ ...state, angle: Math.min(state.angle, UPRIGHT), norm_ratio: state.norm_ratio || 1 });

// Only the angle is free: every arrow key turns x̂.
const turned = (state, [right, up], fine) => stepped(state, "angle", up || -right, fine);

// All lassos, one for each step of the slider; computed when first needed.
let lassos = null;
const STEP = 0.05;

function lassoNear(state, [u, v]) {
  lassos ??= Array.from({ length: 6 / STEP + 1 }, (_, i) => ({ penalty: i * STEP, tip: penalised(i * STEP).soft.tip }));
  const off = ({ tip }) => Math.hypot(tip[0] * state.norm_x - u, tip[1] * state.norm_x - v);
  return lassos.reduce((best, one) => (off(one) < off(best) ? one : best)).penalty;
}

// x̂ where the lasso of that penalty puts it.
export function underPenalty(state, penalty) {
  const { cosine, norm_ratio } = penalised(penalty).soft;
  return { ...state, penalty, norm_ratio, angle: angleOf(cosine) };
}

const X = "x hat angle error";

// `first`  the state at first
// `hold`   what every movement of x̂ obeys, and `key` its arrow keys, if they differ from the explorer's
// `before` what the picture shows while the question stands, `after` what it shows with the answer
// `open`   the numbers beside the picture that give no answer away, `told` those that come with the answer
// `names`  "secret" where the names of the numbers that are told would give the answer away
// `rises`  where x̂ comes from when the answer is shown
// `needs`  the measures whose meaning a reader must know who has not seen the scenes before it
// `begin`  the settings in which a teacher may let it begin, if not angle and norm ratio
// `ghost`  what the reader predicts with a ring: a foot, a point on a line, or a place on a curve
export const scenes = [
  { first: start({ angle: 50, norm_ratio: 0.7 }), before: "x hat error", after: X, open: ["distance"], told: ["angle", "norm_ratio"], names: "secret" },
  {
    first: start({ angle: 45, norm_ratio: 0.85 }),
    needs: [],
    before: X,
    after: `${X} foot-x foot-hat`,
    open: ["angle", "norm_ratio"],
    told: ["scale_x", "scale_x_hat"],
    ghost: { along: "x", truth: "scale_x", from: 0.25 },
  },
  {
    first: start({ angle: 45, norm_ratio: 0.85 }),
    needs: ["scale_x", "scale_x_hat"],
    before: `${X} foot-x foot-hat`,
    after: `${X} foot-x foot-hat`,
    open: ["scale_x", "scale_x_hat"],
    told: ["product", "cosine_squared"],
    names: "secret",
  },
  {
    first: start({ angle: 60, norm_ratio: 1 }),
    needs: [],
    begin: ["angle"],
    hold: asLongAsX,
    key: turned,
    before: `${X} norm_ratio`,
    after: `${X} norm_ratio foot-x foot-hat`,
    open: ["angle", "norm_ratio"],
    told: ["scale_x", "scale_x_hat"],
    ghost: { along: "hat", truth: "scale_x_hat", from: 0.72 },
  },
  {
    first: start({ angle: 35, norm_ratio: 0.5 }),
    needs: ["scale_x_hat"],
    before: `${X} foot-hat`,
    after: `${X} foot-hat`,
    open: ["angle", "norm_ratio"],
    told: ["relative_reconstruction_bias", "equation_10_v1", "scale_x"],
  },
  {
    first: rescaled(start({ angle: 52, norm_ratio: 1 })),
    needs: ["relative_reconstruction_bias"],
    before: X,
    after: `${X} relative_reconstruction_bias foot-hat`,
    open: ["angle", "norm_ratio"],
    told: ["relative_reconstruction_bias"],
    ghost: { near: "relative_reconstruction_bias", from: [0.3, 0.75] },
  },
  {
    first: preset("gated"),
    needs: ["relative_reconstruction_bias", "norm_ratio", "scale_x"],
    begin: ["angle"],
    hold: onTheCircle,
    key: turned,
    before: `${X} relative_reconstruction_bias`,
    after: `${X} relative_reconstruction_bias scale_x norm_ratio`,
    open: ["angle", "relative_reconstruction_bias"],
    told: ["norm_ratio", "scale_x"],
  },
  {
    first: preset("pooled"),
    needs: ["relative_reconstruction_bias"],
    begin: ["angle", "norm_ratio", "spread"],
    before: "x hat angle",
    after: "x hat angle relative_reconstruction_bias pooled",
    open: [],
    told: ["pooled", "mean_of_tokens", "mean_of_batches"],
  },
  { first: start({}), chart: true, needs: ["relative_reconstruction_bias"], begin: [], before: "", after: "x hat", open: [], told: [] },
  {
    first: underPenalty(start({}), 2),
    needs: ["relative_reconstruction_bias"],
    begin: ["penalty"],
    hold: (state, point) => underPenalty(state, point ? lassoNear(state, point) : state.penalty),
    key: (state, [right, up], fine) => underPenalty(state, stepped(state, "penalty", up || right, fine).penalty),
    rises: (state) => underPenalty(state, 0),
    before: "x relative_reconstruction_bias",
    after: `${X} relative_reconstruction_bias rings`,
    open: ["penalty"],
    told: ["law_measured", "law_predicted", "law_of_count"],
  },
];

// What a movement leads to: the state with those changes, made to obey the scene. `point` is where the tip was led.
export function moved({ hold }, state, patch, point) {
  const next = { ...state, ...patch };
  return hold ? hold(next, point) : next;
}
