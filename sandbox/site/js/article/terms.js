// What a scene that stands alone has not been told by those before it.
import { measures } from "../../explorer/generated.js";
import { html } from "../../explorer/dom.js";

const WHO = "x is an activation, a list of numbers that a language model has computed, and x̂ its copy by a sparse autoencoder (SAE).";
const MOMENTS = "Here a is the squared length of x, b that of x̂, and c their dot product; for many tokens, their means.";

// The nodes; `needs` are the keys of the measures that the scene's text uses.
export function terms({ needs }) {
  if (!needs) return [];
  if (!needs.length) return [html("p", { class: "terms" }, WHO)];
  return [html("p", { class: "terms" }, `${WHO} ${MOMENTS}`), html("ul", { class: "terms" }, ...needs.map(line))];
}

function line(key) {
  const { plain, mathml, question } = measures[key];
  const formula = html("span");
  if (!plain.includes("/")) formula.innerHTML = ` = <math>${mathml}</math>`; // generated from the registry
  return html("li", {}, html("b", {}, plain), formula, `: ${question}`);
}
