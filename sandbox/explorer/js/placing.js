// Fields for ρ and γ of a single pair: ρ turns x̂ at its length, γ stretches it at its angle.
import { controls, measures, ratioOfBias } from "./generated.js";
import { accept, typedField } from "./controls.js";
import { html, shown, toggle, write } from "./dom.js";
import { angleOf, cosine, numberIn } from "./state.js";

const PLACES = {
  cosine: {
    label: "cosine ρ",
    patch(text) {
      const rho = numberIn(text);
      if (!(Math.abs(rho) <= 1)) throw new Error(`ρ is “${text}”: it must be a number from −1 to 1`);
      return { angle: +angleOf(rho).toPrecision(14) }; // of ½ exactly 60°
    },
  },
  relative_reconstruction_bias: {
    label: "bias γ",
    patch(text, { angle }) {
      const [gamma, rho] = [numberIn(text), cosine(angle)];
      if (!(rho > 0)) throw new Error("γ is undefined from 90° on: choose a smaller angle first");
      const { low, high } = controls.norm_ratio;
      const norm_ratio = ratioOfBias(rho, gamma);
      if (norm_ratio > low && norm_ratio <= high) return { norm_ratio };
      throw new Error(`γ is “${text}”: at this angle it must be a number above 0 and at most ${shown(high / ratioOfBias(rho, 1), 2)}`);
    },
  },
};

// `said` is the line beside the fields.
export function placing(act, said, signal) {
  const fields = Object.entries(PLACES).map(([key, { label, patch }]) => {
    const take = (text) => act.set(patch(text, act.now()));
    return { key, label, input: typedField({ name: key, label, take, said }, act, signal) };
  });
  const node = html("div", { class: "placing" });
  node.append(...fields.map(({ key, label, input }) => html("label", { class: `typed ${key}` }, `${label} `, html("span", {}, input))));

  function detail({ values, population, merged }) {
    toggle(node, !population && !merged);
    for (const { key, input } of fields) {
      const { value } = values[key];
      const text = value === null ? "" : String(+value.toFixed(4));
      if (input.dataset.written === text) continue;
      input.dataset.written = input.value = text;
      if (input.ariaInvalid) accept(input, said);
    }
  }

  return { node, detail };
}
