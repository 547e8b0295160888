// An SAE in SAELens' layout, cfg.json beside sae_weights.safetensors ► its weights (sandbox/checkpoints/saelens.py).
import { bytesOf, decoded, FLOATS } from "./bytes.js";
import { FINETUNED, INSTEAD, NORMALISATIONS, TENSORS, TRAINED_BY_BATCH, UNFOLDED } from "./generated.js";
import { penaltyOf } from "./penalty.js";
import { general, InputError, repr, Tuple } from "./python.js";
import { checkSizes, understood } from "./settings.js";
import { safetensorsHeader } from "./safetensors.js";

export const SETTINGS = "cfg.json";
export const WEIGHTS = "sae_weights.safetensors";
const SCALER = "activation_scaler.json";
const TORCH = { F16: "torch.float16", BF16: "torch.bfloat16", F32: "torch.float32", F64: "torch.float64", I64: "torch.int64", I32: "torch.int32" };

// What messages call a file: its path below the folder that was chosen.
export function pathOf(file) {
  return file.webkitRelativePath || file.name;
}

// The SAE in these files, its weights in float32.
export async function saeOf(files) {
  const named = (name) => files.find((file) => file.name === name);
  const [settings, weights] = [named(SETTINGS), named(WEIGHTS)];
  if (!settings || !weights) {
    const found = files.map(pathOf).slice(0, 8).join(", ") || "nothing";
    throw new InputError(`an SAE needs ${SETTINGS} beside ${WEIGHTS}, SAELens' layout (found: ${found}); sandbox measure reads more layouts`);
  }
  const config = await settingsIn(settings);
  const chosen = understood(pathOf(settings), config);
  const scaler = chosen.notes.includes(UNFOLDED) && named(SCALER) ? await settingsIn(named(SCALER)) : null;
  const path = pathOf(weights);
  const stored = new Map((await safetensorsHeader(renamed(weights, path))).map((tensor) => [tensor.name, tensor]));
  const layout = await layoutOf(chosen, stored, weights);
  checkNames(path, stored, layout, chosen.architecture);
  const sizes = sizesOf(stored, layout);
  checkSizes(pathOf(settings), config, sizes);
  const tensors = {};
  for (const [name, [role, axes]] of Object.entries(layout)) {
    if (role) tensors[role] = await tensorOf(weights, stored.get(name), Array.from(axes, (letter) => sizes[letter] ?? 0));
  }
  return assembled(chosen, tensors, sizes, config, { path, settings: pathOf(settings), scaler });
}

async function settingsIn(file) {
  let settings;
  try {
    settings = JSON.parse(new TextDecoder().decode(await bytesOf(file, 0, file.size)));
  } catch (error) {
    if (error.file) throw error; // it could not be read at all
    throw new InputError(`${pathOf(file)} cannot be read as JSON: ${error.message}`);
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    const kind = Array.isArray(settings) ? "list" : settings === null ? "NoneType" : { string: "str", number: "float", boolean: "bool" }[typeof settings];
    throw new InputError(`${pathOf(file)} holds a ${kind}, not the settings of an SAE`);
  }
  return settings;
}

function renamed(file, name) {
  return { name, size: file.size, slice: (...ends) => file.slice(...ends) };
}

// The architecture's tensors, each with its role and a letter for each axis; older versions have other names for some.
async function layoutOf({ architecture, finetuned }, stored, file) {
  const layout = { ...TENSORS[architecture] };
  if (architecture === "jumprelu" && !stored.has("threshold")) {
    delete layout.threshold;
    layout.log_threshold = ["log_threshold", "s"];
  }
  const scaling = stored.get("scaling_factor");
  if (finetuned) layout[FINETUNED.find((name) => stored.has(name)) ?? FINETUNED[0]] = ["scale", "s"];
  else if (scaling && (await numbersOf(file, scaling)).every((one) => Math.abs(one - 1) <= 1e-5)) layout.scaling_factor = ["", "s"];
  return layout;
}

function checkNames(path, stored, layout, architecture) {
  const exactly = `a ${architecture} SAE has exactly ${Object.keys(layout).sort().join(", ")}`;
  const missing = Object.keys(layout).filter((name) => !stored.has(name)).sort();
  if (missing.length) {
    const names = [...stored.keys()].sort().join(", ");
    throw new InputError(`${path}: holds ${names}, but no ${missing.join(", ")}; ${exactly}; nothing is guessed`);
  }
  const unknown = [...stored.keys()].filter((name) => !Object.hasOwn(layout, name)).sort();
  if (unknown.length) throw new InputError(`${path}: ${unknown.join(", ")} may change x̂: ${exactly}; ${INSTEAD}`);
}

// The length of each axis by its letter: the one in most tensors, so that a message names the odd one out.
function sizesOf(stored, layout) {
  const counts = {};
  for (const [name, [, axes]] of Object.entries(layout)) {
    const { shape } = stored.get(name);
    if (shape.length !== axes.length) continue;
    for (const [i, letter] of Array.from(axes).entries()) {
      counts[letter] ??= new Map();
      counts[letter].set(shape[i], (counts[letter].get(shape[i]) ?? 0) + 1);
    }
  }
  const most = (lengths) => [...lengths].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
  return Object.fromEntries(Object.entries(counts).map(([letter, lengths]) => [letter, most(lengths)]));
}

async function numbersOf(file, { dtype, begin, end }) {
  return decoded(await bytesOf(file, begin, end), dtype);
}

async function tensorOf(file, tensor, shape) {
  const path = pathOf(file);
  const { name, dtype } = tensor;
  if (!Object.hasOwn(FLOATS, dtype) || String(tensor.shape) !== String(shape)) {
    const actual = `${TORCH[dtype] ?? dtype} of shape ${repr(Tuple.from(tensor.shape))}`;
    throw new InputError(`${path}: ${name} is ${actual}, but the other weights require floats of shape ${repr(Tuple.from(shape))}`);
  }
  const numbers = Float32Array.from(await numbersOf(file, tensor));
  if (!numbers.every(Number.isFinite)) throw new InputError(`${path}: ${name} holds a NaN or an infinity; the checkpoint is damaged`);
  return numbers;
}

function assembled(chosen, tensors, { i: d_in, s: d_sae }, config, { path, settings, scaler }) {
  const { notes } = chosen;
  if (scaler) notes.push(`activation_scaler.json states that factor: ${repr(scaler.scaling_factor)}`);
  if (chosen.finetuned) {
    scaleRows(tensors.W_dec, tensors.scale, d_in);
    notes.push("fine-tuned scale of the latents folded into W_dec");
  }
  if (chosen.rescaled) notes.push("latents in units of their decoder norms");
  const activation = activationOf(chosen, tensors, d_sae, path, settings);
  if (activation.kind === "jumprelu" && activation.threshold.every((one) => one <= 0)) {
    notes.push("no threshold is above 0, so in effect a ReLU SAE");
  }
  if (chosen.rescaled) foldNorms(tensors, d_in, d_sae, path);
  for (const [name, numbers] of Object.entries(tensors)) {
    if (!numbers.every(Number.isFinite)) throw new InputError(`${path}: ${name} holds a NaN or an infinity after folding; the checkpoint may be damaged`);
  }
  const normalisation = chosen.normalisation === "none" ? null : chosen.normalisation;
  const folder = /([^/]+)\/[^/]*$/.exec(path)?.[1] ?? "SAE";
  const k = activation.kind === "topk" ? ` (k = ${activation.k})` : "";
  const described = [
    `SAELens ${activation.kind}${k}`, `d_in ${d_in}`, `d_sae ${d_sae}`,
    `decoder bias subtracted from the input: ${chosen.subtractsBias ? "yes" : "no"}`,
    ...(normalisation ? [NORMALISATIONS[normalisation]] : []), ...notes,
  ];
  return {
    name: folder, description: described.join(", "), d_in, d_sae, activation, normalisation, subtractsBias: chosen.subtractsBias,
    encoder: transposed(tensors.W_enc, d_in, d_sae), W_dec: tensors.W_dec, b_dec: tensors.b_dec, b_enc: tensors.b_enc ?? null,
    penalty: penaltyOf(activation.kind, config),
  };
}

function activationOf({ architecture, k }, tensors, d_sae, path, settings) {
  if (architecture === "gated") {
    return { kind: "gated", b_gate: tensors.b_gate, b_mag: tensors.b_mag, scale: Float64Array.from(tensors.r_mag, Math.exp) };
  }
  if (architecture === "jumprelu") {
    return { kind: "jumprelu", threshold: tensors.threshold ?? tensors.log_threshold.map(Math.exp) };
  }
  if (TRAINED_BY_BATCH.includes(architecture)) {
    const [threshold] = tensors.threshold;
    if (threshold <= 0) {
      throw new InputError(
        `${path}: topk_threshold is ${general(threshold)}: training has not set it, and without it a ${architecture} SAE can encode ` +
          "only whole batches; continue the training",
      );
    }
    return { kind: "jumprelu", threshold: new Float32Array(d_sae).fill(threshold) };
  }
  if (architecture !== "topk") return { kind: "standard" };
  if (k > d_sae) throw new InputError(`${settings}: k is ${k}; a whole number from 1 to d_sae = ${d_sae} is needed`);
  return { kind: "topk", k };
}

function scaleRows(matrix, factors, width) {
  for (let at = 0; at < matrix.length; at++) matrix[at] *= factors[Math.floor(at / width)];
}

// SAELens multiplies pre-activations by the norms of the decoder's rows, and divides the latents by them.
function foldNorms(tensors, d_in, d_sae, path) {
  const norms = Float32Array.from(rowNorms(tensors.W_dec, d_in));
  const zero = norms.reduce((count, norm) => count + (norm === 0), 0);
  if (zero) throw new InputError(`${path}: ${zero} latents have a decoder row of norm 0, but this layout divides by the norms`);
  for (let at = 0; at < tensors.W_enc.length; at++) tensors.W_enc[at] *= norms[at % d_sae];
  for (let j = 0; j < d_sae; j++) tensors.b_enc[j] *= norms[j];
  for (let at = 0; at < tensors.W_dec.length; at++) tensors.W_dec[at] /= norms[Math.floor(at / d_in)];
}

// ‖d_j‖ of each row.
export function rowNorms(matrix, width) {
  const norms = new Float64Array(matrix.length / width);
  for (let at = 0; at < matrix.length; at++) norms[Math.floor(at / width)] += matrix[at] ** 2;
  return norms.map(Math.sqrt);
}

// (rows, columns) ► (columns, rows): a latent's weights side by side.
function transposed(matrix, rows, columns) {
  const turned = new Float32Array(matrix.length);
  const TILE = 32;
  for (let i0 = 0; i0 < rows; i0 += TILE) {
    for (let j0 = 0; j0 < columns; j0 += TILE) {
      for (let i = i0; i < Math.min(i0 + TILE, rows); i++) {
        for (let j = j0; j < Math.min(j0 + TILE, columns); j++) turned[j * rows + i] = matrix[i * columns + j];
      }
    }
  }
  return turned;
}
