// Formulas as the browser's own MathML, and what a reader points at in them.
import { measures } from "../../explorer/generated.js";
import { html } from "../../explorer/dom.js";

const RELATIONS = { ":=": "≔" };

// `mathml` comes from the derivations, never from a reader.
export function formula(mathml) {
  const node = html("span", { class: "formula" });
  node.innerHTML = `<math>${mathml}</math>`;
  return node;
}

// A step's chain: its first term, then each relation with the next term, on lines of their own where they do not fit.
export function chain({ terms, signs, where }, last = null) {
  const links = terms.slice(1).map((term, i) => [signs[i], formula(term)]);
  if (last) links.push(["=", last]);
  return html(
    "div",
    { class: "chain" },
    formula(terms[0]),
    ...links.map(([sign, node]) => html("span", { class: "link" }, html("span", { class: "sign" }, RELATIONS[sign] ?? sign), node)),
    ...(where.length ? [html("span", { class: "where" }, "where ", ...listed(where.map(formula)))] : []),
  );
}

export function listed(nodes) {
  return nodes.flatMap((node, i) => (i ? [", ", node] : [node]));
}

const MOMENTS = ["a", "b", "c"];
const NAMES = { γ: "relative_reconstruction_bias", "γ₁₀": "equation_10_v1", r: "norm_ratio", ρ: "cosine", L: "loss", θ: "angle", x: "x", "x̂": "x_hat" };
const BY_FORMULA = new Map(Object.entries(measures).map(([key, { mathml }]) => [plainly(mathml), key]));

// The key of what a node of a formula stands for, or null: a letter, or the whole of a measure's formula.
export function meantBy(node) {
  for (let at = node.closest("math *"); at && at.localName !== "math"; at = at.parentElement) {
    const whole = BY_FORMULA.get(plainly(at.outerHTML));
    if (whole) return { key: whole, node: at };
  }
  const letter = node.closest("mi");
  const text = letter?.textContent;
  if (MOMENTS.includes(text)) return { key: text, node: letter };
  return NAMES[text] ? { key: NAMES[text], node: letter } : null;
}

// Without the rows that only group, and that come and go with what is around.
function plainly(mathml) {
  return mathml.replaceAll(/<\/?mrow[^>]*>| xmlns="[^"]*"| class="[^"]*"/g, "");
}
