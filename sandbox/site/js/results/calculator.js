// γ from a published value of the first version's equation 10 (C29), as it is typed.
import { biasFromEquation10 } from "../../explorer/generated.js";
import { numberIn } from "../../explorer/state.js";
import { fixed } from "./estimates.js";

// What a typed g says of γ: { gamma, words }; γ is null where there is none.
export function read(text) {
  if (!text.trim()) return { gamma: null, words: "Type a number, such as 0.84." };
  const g = numberIn(text);
  if (Number.isNaN(g))
    return { gamma: null, words: `“${text.trim().slice(0, 30)}” is not a number: write it as 0.84 or 0,84.` };
  if (g < 0) return { gamma: null, words: "γ is undefined: g is a square root, which is never negative." };
  if (g === 0) return { gamma: null, words: "γ is undefined: g is 0 only where x̂ is 0 everywhere (b = 0)." };
  const gamma = biasFromEquation10(g);
  if (!Number.isFinite(gamma))
    return { gamma: null, words: "That is too large: γ would be 2, but for less than rounding." };
  const percent = fixed(100 * Math.abs(gamma - 1), 1);
  const size =
    percent === "0.0"
      ? "x̂ is neither too long nor too short"
      : `x̂ is ${percent} % too ${gamma < 1 ? "short" : "long"} for its angle`;
  return { gamma, words: `γ = ${fixed(gamma)}: ${size}. Read as γ, g would be ${fixed(g - gamma)} too large.` };
}

export function calculator(field, output) {
  const answer = () => {
    const { gamma, words } = read(field.value);
    output.textContent = words;
    field.setAttribute("aria-invalid", String(gamma === null && field.value.trim() !== ""));
  };
  field.addEventListener("input", answer);
  field.form.addEventListener("submit", (event) => event.preventDefault());
  answer();
}
