// The penalty that an SAE was trained with, where its settings state it (sandbox/checkpoints/penalty.py).
import { L1, NESTED, NO_SLOPE, STATED_AS, STEPS } from "./generated.js";
import { InputError, repr } from "./python.js";

// `coefficient` λ, 0 where the penalty stays the same when latents are scaled; its `source`; `tanh`, the scale of a tanh.
// Null where nothing states it.
export function penaltyOf(architecture, config) {
  const source = "cfg.json";
  const sections = sectionsOf(config);
  const names = new Set([architecture]);
  for (const section of sections) {
    for (const name of [section.architecture, section.training_architecture]) if (name) names.add(name);
  }
  if (NESTED.some((name) => names.has(name))) return null;
  const counts = architecture === "jumprelu" && sections.some((section) => STEPS.includes(section.jumprelu_sparsity_loss_mode));
  const unchanging = [...names].filter((name) => NO_SLOPE.includes(name)).sort()[0] ?? (counts ? architecture : null);
  if (unchanging) return { coefficient: 0, source: `the penalty of a ${unchanging} SAE does not grow with its latents`, tanh: null };
  if (architecture === "jumprelu") return tanhOf(sections, source);
  return L1.includes(architecture) ? statedIn(sections, source) : null;
}

// The L1 penalty with a coefficient that the reader states.
export function given(l1) {
  if (!isCoefficient(l1)) throw new InputError(`the L1 coefficient is ${repr(l1)}: it must be a number from 0 to 1e30`);
  return { coefficient: l1, source: "as given", tanh: null };
}

function isCoefficient(value) {
  return typeof value === "number" && value >= 0 && value <= 1e30;
}

function sectionsOf(config) {
  const objectOf = (value) => (typeof value === "object" && value !== null && !Array.isArray(value) ? value : {});
  const metadata = objectOf(config.metadata);
  return [config, objectOf(config.trainer), metadata, objectOf(metadata.training_architecture_details)];
}

function tanhOf(sections, source) {
  for (const { l0_coefficient: coefficient, jumprelu_tanh_scale: tanh, jumprelu_sparsity_loss_mode: mode } of sections) {
    if (mode === "tanh" && isCoefficient(coefficient) && isCoefficient(tanh)) {
      return { coefficient, source: `l0_coefficient in ${source}`, tanh };
    }
  }
  return null;
}

function statedIn(sections, source) {
  for (const section of sections) {
    for (const name of STATED_AS) {
      if (isCoefficient(section[name]) && weighted(section)) {
        return { coefficient: section[name], source: `${name} in ${source}`, tanh: null };
      }
    }
  }
  return null;
}

// Whether the penalty is the sum of the latents, and the norms of the decoder's rows cannot undo it.
function weighted(section) {
  const ways = ["scale_sparsity_penalty_by_decoder_norm", "normalize_sae_decoder"].filter((name) => name in section);
  return (section.lp_norm ?? 1) === 1 && (!ways.length || ways.some((name) => section[name]));
}
