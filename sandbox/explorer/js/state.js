// The state, its limits, and the three moments of one pair.
import { controls, defaults, measures, momentsAt } from "./generated.js";

// The value that a text or a number means for a setting; throws an Error in words for anything else.
export function checked(name, given) {
  const control = controls[name];
  if (name === "measure") {
    if (typeof given === "string" && Object.hasOwn(measures, given)) return given;
    throw new Error(`measure is “${brief(given)}”: there are ${Object.keys(measures).join(", ")}`);
  }
  if (name === "population") {
    if (["true", "false"].includes(String(given))) return String(given) === "true";
    throw new Error(`population is “${brief(given)}”: true or false is needed`);
  }
  if (!control || !Object.hasOwn(controls, name)) throw new Error(`there is no setting “${brief(name)}”`);
  const value = typeof given === "number" || DECIMAL.test(given) ? Number(given) : NaN;
  if (!(value >= control.low && value <= control.high) || (control.whole && value % control.step)) {
    const steps = control.whole && control.step !== 1 ? `, in steps of ${control.step}` : "";
    const kind = control.whole ? "a whole number" : "a number";
    throw new Error(
      `${control.label} is “${brief(given)}”: ${kind} from ${control.low} to ${control.high}${control.unit}${steps} is needed`,
    );
  }
  return Math.abs(value) < NOTHING ? 0 : value;
}

const DECIMAL = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
const NOTHING = 1e-12; // what is smaller is 0: its square would have no digits left

function brief(given) {
  return String(given).slice(0, 40);
}

// Of settings from outside: those that can be had, and what is wrong with the others.
export function sorted(settings) {
  const good = {};
  const wrong = [];
  for (const [name, given] of Object.entries(settings)) {
    try {
      good[name] = checked(name, given);
    } catch (error) {
      wrong.push(error.message);
    }
  }
  return { good, wrong };
}

export function same(one, other) {
  return Object.keys(defaults).every((name) => one[name] === other[name]);
}

// Rounded to 15 digits, as in Python: cos 90° is 0 and cos 60° is ½, which decides whether γ is defined.
export function cosine(degrees) {
  return Math.round(Math.cos((degrees * Math.PI) / 180) * 1e15) / 1e15;
}

export function tipOf({ angle, norm_ratio, norm_x }) {
  const turn = (angle * Math.PI) / 180;
  const length = norm_ratio * norm_x;
  return [length * cosine(angle), length * Math.sin(turn)];
}

export function momentsOf({ angle, norm_ratio, norm_x }) {
  return momentsAt(cosine(angle), norm_ratio, norm_x * norm_x);
}

// A measure at three moments: `value`, or null and the reason why it has none.
export function evaluated(measure, moments) {
  const reason = measure.whyUndefined(...moments);
  if (reason) return { value: null, reason };
  return { value: Math.min(Math.max(measure.value(...moments), measure.range[0]), measure.range[1]), reason: null };
}
