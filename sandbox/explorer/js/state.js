// The limits of the settings, and the moments and measures of a single pair.
import { controls, defaults, measures, momentsAt } from "./generated.js";

// The value that a text or a number stands for in a setting; throws an Error with a message for anything else.
export function checked(name, input) {
  const control = controls[name];
  if (name === "measure") {
    if (typeof input === "string" && Object.hasOwn(measures, input)) return input;
    throw new Error(`measure is “${brief(input)}”: it must be one of ${Object.keys(measures).join(", ")}`);
  }
  if (typeof defaults[name] === "boolean") {
    if (["true", "false"].includes(String(input))) return String(input) === "true";
    throw new Error(`${name} is “${brief(input)}”: it must be true or false`);
  }
  if (!control || !Object.hasOwn(controls, name)) throw new Error(`there is no setting “${brief(name)}”`);
  const value = typeof input === "number" || DECIMAL.test(input) ? Number(input) : NaN;
  if (!(value >= control.low && value <= control.high) || (control.whole && value % control.step)) {
    const steps = control.whole && control.step !== 1 ? `, in steps of ${control.step}` : "";
    const kind = control.whole ? "a whole number" : "a number";
    throw new Error(
      `${control.label} is “${brief(input)}”: it must be ${kind} from ${control.low} to ${control.high}${control.unit}${steps}`,
    );
  }
  return Math.abs(value) < NOTHING ? 0 : value;
}

// What a hand types for a setting. In a whole number a comma may group thousands, so it stays, and is refused.
export function asTyped(name, text) {
  return checked(name, controls[name].whole ? text : dotted(text));
}

// A setting's value as its field shows it.
export function asWritten(name, value) {
  return String(+value.toFixed(controls[name].unit ? 2 : 3));
}

// What a hand types as a number; NaN for anything else.
export function numberIn(text) {
  return DECIMAL.test(dotted(text)) ? Number(dotted(text)) : NaN;
}

// Much of the world writes 4,5 for 4.5.
function dotted(text) {
  return text.replace(",", ".").replace("−", "-");
}

const DECIMAL = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
const NOTHING = 1e-12; // smaller values count as 0, because their squares would have no digits left

function brief(input) {
  return String(input).slice(0, 40);
}

// Splits settings from outside into valid ones and messages about the others.
export function sorted(settings) {
  const good = {};
  const wrong = [];
  for (const [name, input] of Object.entries(settings)) {
    try {
      good[name] = checked(name, input);
    } catch (error) {
      wrong.push(error.message);
    }
  }
  return { good, wrong };
}

// The end of the page's address at which the explorer shows this state.
export function toAddress(state) {
  const placed = (name) => state.penalty && ["angle", "norm_ratio"].includes(name); // else it would be the lasso's
  const changed = Object.keys(defaults).filter((name) => state[name] !== defaults[name] || placed(name));
  const text = new URLSearchParams(changed.map((name) => [name, String(state[name])])).toString();
  return text ? `#${text}` : "#";
}

export function same(first, second) {
  return Object.keys(defaults).every((name) => first[name] === second[name]);
}

// Rounded to 15 digits, as in Python: cos 90° is 0 and cos 60° is ½, which decides whether γ is defined.
export function cosine(degrees) {
  return Math.round(Math.cos((degrees * Math.PI) / 180) * 1e15) / 1e15;
}

// The angle in degrees whose cosine that is; one beyond ±1, by rounding or a hand, counts as ±1.
export function angleOf(rho) {
  return (Math.acos(Math.min(Math.max(rho, -1), 1)) * 180) / Math.PI;
}

export function tipOf({ angle, norm_ratio, norm_x }) {
  const turn = (angle * Math.PI) / 180;
  const length = norm_ratio * norm_x;
  return [length * cosine(angle), length * Math.sin(turn)];
}

export function momentsOf({ angle, norm_ratio, norm_x }) {
  return momentsAt(cosine(angle), norm_ratio, norm_x * norm_x);
}

// A measure at moments a, b, c: its `value`, or null with the `reason` why it is undefined.
export function evaluated(measure, moments) {
  const reason = measure.whyUndefined(...moments);
  if (reason) return { value: null, reason };
  return { value: Math.min(Math.max(measure.value(...moments), measure.range[0]), measure.range[1]), reason: null };
}
