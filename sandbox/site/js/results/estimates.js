// Estimates as the results hold them: [value, low, high] with a 95 % interval, then why there is none, if so.
import { controls, defaults } from "../../explorer/generated.js";
import { angleOf, toAddress } from "../../explorer/state.js";

export const LOOKS = ["relu", "gated", "gated_saelens", "jumprelu", "topk"]; // the kind of an architecture in a chart

export function kindOf(architecture) {
  const place = LOOKS.indexOf(architecture);
  return place < 0 ? LOOKS.length : place;
}

// "0.904 ± 0.001", or why there is no value.
export function inWords([value, low, high, reason] = [null], digits = 4) {
  if (value === null) return reason ?? "—";
  return fixed(value, digits) + (low === null ? "" : ` ± ${fixed((high - low) / 2, digits)}`);
}

// The same as a cell of a table, where a reason would be too long to stand.
export function asCell([value, ...rest] = [null], digits = 4) {
  return {
    text: value === null ? "—" : inWords([value, ...rest], digits),
    value,
    title: value === null ? rest[2] : undefined,
  };
}

// With that many decimals, a true minus sign, and no minus before zeros.
export function fixed(value, digits = 4) {
  return value
    .toFixed(digits)
    .replace("-", "−")
    .replace(/^−(0\.?0*)$/, "$1");
}

// The address of the explorer where x̂ has the cosine and the norm ratio of an SAE; null where one is undefined, or
// beyond the explorer's settings.
export function inExplorer(cosine, norm_ratio, measure) {
  if (cosine === null || norm_ratio === null || norm_ratio > controls.norm_ratio.high) return null;
  const angle = +angleOf(cosine).toPrecision(9);
  return `explorer.html${toAddress({ ...defaults, angle, norm_ratio, ...(measure ? { measure } : {}) })}`;
}
