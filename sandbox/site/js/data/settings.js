// How the settings in SAELens' cfg.json affect x̂, and which are refused (sandbox/checkpoints/saelens_settings.py).
import { CHANGES, INSTEAD, NORMALISATIONS, OPTIONS, READ, REFUSED, TRAINED_BY_BATCH, TRANSCODERS, UNFOLDED, WHITENED } from "./generated.js";
import { InputError, listed, repr } from "./python.js";

// The settings that affect x̂, all of them checked. `path` is what messages call the file.
export function understood(path, config) {
  checkSettings(path, config, OPTIONS);
  const old = before6(path, config);
  const { architecture, k } = architectureOf(path, config, old);
  const scaled = old && ["standard", "jumprelu", "topk"].includes(architecture);
  const byNorm = ["topk", ...TRAINED_BY_BATCH].includes(architecture);
  const option = (values, required = false) => ({ values, required, size: "", reason: CHANGES });
  const may = (on) => option(on ? [null, false, true] : [null, false]);
  checkSettings(path, config, {
    ...OPTIONS,
    apply_b_dec_to_input: option([true, false], !old),
    rescale_acts_by_decoder_norm: may(byNorm),
    finetuning_scaling_factor: may(scaled),
  });
  const { normalisation, unfolded } = normalisationOf(path, config, old);
  const notes = [...trainedAs(path, config, architecture), ...unfolded, ...heads(config, old)];
  if (!("apply_b_dec_to_input" in config)) notes.push("apply_b_dec_to_input is not set: yes, by SAELens' default");
  return {
    architecture,
    k,
    normalisation,
    notes,
    subtractsBias: config.apply_b_dec_to_input ?? true,
    rescaled: Boolean(config.rescale_acts_by_decoder_norm),
    finetuned: Boolean(config.finetuning_scaling_factor),
  };
}

function checkSettings(path, config, options) {
  for (const [name, { values, required, size, reason }] of Object.entries(options)) {
    const value = config[name] ?? null;
    if (required && value === null) {
      const needed = values.length ? `: one of ${listed(values)} is needed` : "";
      throw new InputError(`${path}: ${name} is not set${needed}; nothing is guessed`);
    }
    if (values.length && !size && name in config && !values.includes(value)) {
      throw new InputError(`${path}: ${name} is ${repr(value)}, ${reason} (supported: ${listed(values)}); ${INSTEAD}`);
    }
  }
  const unknown = Object.keys(config).filter((name) => !Object.hasOwn(options, name)).sort();
  if (unknown.length) throw new InputError(`${path}: ${unknown.join(", ")} may change x̂; unknown settings are refused`);
}

// Refuses settings that contradict the sizes of the weights, by the letter of the axis.
export function checkSizes(path, config, sizes) {
  for (const [name, { values, size }] of Object.entries(OPTIONS)) {
    if (!size || !(name in config) || values.includes(config[name])) continue;
    const length = sizes[size] ?? 0;
    if (config[name] !== length) throw new InputError(`${path}: ${name} is ${repr(config[name])}, but ${length} in the weights`);
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whether SAELens 0 to 5 wrote it, by the rule of its handle_config_defaulting.
function before6(path, config) {
  const metadata = "metadata" in config ? config.metadata : {};
  if (!isObject(metadata)) throw new InputError(`${path}: metadata is ${repr(metadata)}; a JSON object is needed`);
  const version = config.sae_lens_version || metadata.sae_lens_version;
  const major = typeof version === "string" ? /^\d{1,4}\b/.exec(version) : null;
  if (version && !major) {
    throw new InputError(`${path}: sae_lens_version is ${repr(version)}; a version such as '6.0.0' is needed`);
  }
  return !major || Number(major[0]) < 6;
}

function architectureOf(path, config, old) {
  let architecture = "architecture" in config ? config.architecture : old ? "standard" : null;
  if (typeof architecture === "string" && Object.hasOwn(REFUSED, architecture)) {
    throw new InputError(`${path}: architecture is ${repr(architecture)}, which is not supported: ${REFUSED[architecture]}`);
  }
  if (!READ.includes(architecture)) {
    throw new InputError(`${path}: architecture is ${repr(architecture)}; supported: ${READ.join(", ")}`);
  }
  if (TRANSCODERS.includes(architecture)) {
    throw new InputError(
      `${path}: architecture is ${repr(architecture)}: a transcoder's output reconstructs other activations than it reads; ` +
        "measure it with sandbox measure --targets",
    );
  }
  // Until 6 the activation function was a separate setting: 'topk' with 'standard'
  const named = ["activation_fn", "activation_fn_str"].map((name) => config[name] ?? null).filter((name) => name !== null);
  const kwargs = config.activation_fn_kwargs || {};
  if (old && architecture === "standard" && named.length === 1 && named[0] === "topk") architecture = "topk";
  const topk = architecture === "topk";
  if (named.some((name) => name !== (topk ? "topk" : "relu"))) {
    throw new InputError(
      `${path}: activation_fn is ${named.map(repr).join(" and ")} in a ${architecture} SAE, ${CHANGES}; ${INSTEAD}`,
    );
  }
  if (!isObject(kwargs) || Object.keys(kwargs).some((name) => !(topk && name === "k"))) {
    throw new InputError(`${path}: activation_fn_kwargs is ${repr(kwargs)}, which is unknown and may change x̂; ${INSTEAD}`);
  }
  if (["standard", "gated"].includes(architecture) && (config.k ?? null) !== null) {
    throw new InputError(`${path}: k is ${repr(config.k)}, but a ${architecture} SAE has no k; one of the two is wrong`);
  }
  if (!topk) return { architecture, k: null };
  const counts = [...new Set([config.k, kwargs.k].filter((k) => (k ?? null) !== null))];
  if (counts.length !== 1 || !Number.isInteger(counts[0]) || counts[0] < 1) {
    const actual = counts.map(repr).join(" and ") || "missing";
    throw new InputError(`${path}: k is ${actual}; a topk SAE needs one positive whole number`);
  }
  return { architecture, k: counts[0] };
}

function normalisationOf(path, config, old) {
  let name = "normalize_activations" in config ? config.normalize_activations : "none";
  if (old && (name === null || typeof name === "boolean")) name = name ? "expected_average_only_in" : "none";
  if (name === "covariance_whitening") {
    throw new InputError(`${path}: normalize_activations is 'covariance_whitening': ${WHITENED}`);
  }
  if (name === "expected_average_only_in") return { normalisation: "none", unfolded: [UNFOLDED] };
  const names = Object.keys(NORMALISATIONS);
  if (!names.includes(name)) {
    throw new InputError(`${path}: normalize_activations is ${repr(name)}, ${CHANGES} (supported: ${listed(names)}); ${INSTEAD}`);
  }
  return { normalisation: name, unfolded: [] };
}

function heads(config, old) {
  let reshape = config.reshape_activations ?? null;
  if (reshape === null && old) {
    const hook = String(config.hook_name || config.hook_point || "");
    reshape = hook.includes("hook_z") || hook.endsWith("_z") ? "hook_z" : "none";
  }
  return reshape === "hook_z" ? ["x is the concatenated outputs of all heads"] : [];
}

function trainedAs(path, config, architecture) {
  if (TRAINED_BY_BATCH.includes(architecture)) {
    return [`a training checkpoint of ${architecture} with the threshold that SAELens saves for inference`];
  }
  const trained = config.metadata?.training_architecture ?? null;
  if (READ.includes(trained) && (TRAINED_BY_BATCH.includes(trained) ? "jumprelu" : trained) !== architecture) {
    throw new InputError(
      `${path}: architecture is ${repr(architecture)}, but training_architecture is ${repr(trained)}; one is wrong`,
    );
  }
  return TRAINED_BY_BATCH.includes(trained) ? [`trained as ${trained}`] : [];
}
