// One file of activations or document ids, a window of rows at a time. The lines are those of sandbox/activations/files.py.
import { bytesOf, decoded, FLOATS, WHOLE } from "./bytes.js";
import { npyHeader } from "./npy.js";
import { InputError, repr, Tuple } from "./python.js";
import { safetensorsHeader } from "./safetensors.js";

// What a file may hold: `dtypes` with their bytes, `needed` in words, and whether every axis counts tokens (`ids`).
export const ACTIVATIONS = { dtypes: FLOATS, needed: "float16, bfloat16, float32 or float64", ids: false };
export const IDS = { dtypes: WHOLE, needed: "whole numbers", ids: true };

export const SUFFIXES = [".npy", ".safetensors"];

export function suffixOf(name) {
  return /\.[^.]*$/.exec(name)?.[0] ?? "";
}

// Where the numbers of a file are, whatever they are: its only tensor.
export async function headerOf(file, name = "activations") {
  const suffix = suffixOf(file.name);
  if (suffix === ".npy") return npyHeader(file);
  if (suffix === ".safetensors") return onlyTensor(file);
  const found = suffix || "files without a suffix";
  throw new InputError(`${file.name}: ${name} are read from ${SUFFIXES.join(", ")} files here, not ${found}`);
}

async function onlyTensor(file) {
  const tensors = await safetensorsHeader(file);
  if (tensors.length !== 1) {
    const names = tensors.map(({ name }) => name).sort().slice(0, 6).join(", ");
    throw new InputError(`${file.name} holds ${tensors.length} tensors (${names}): save the one to measure by itself`);
  }
  const [{ dtype, shape, begin }] = tensors;
  return { dtype, shape, offset: begin, bigEndian: false };
}

// The rows of a file: `rows` of `width` numbers, and `read(start, stop)`, which resolves to their numbers.
export async function opened(file, name, kind) {
  const { dtype, shape, offset, bigEndian } = await headerOf(file, name);
  if (!Object.hasOwn(kind.dtypes, dtype)) {
    throw new InputError(`${file.name}: ${name} have dtype ${dtype}: ${kind.needed} are needed`);
  }
  const width = kind.ids ? 1 : shape.at(-1);
  if (!kind.ids && (shape.length < 2 || !width)) {
    const found = repr(Tuple.from(shape));
    throw new InputError(`${file.name} has shape ${found}: two or more axes, (..., d), with d at least 1, are needed`);
  }
  const rows = shape.reduce((product, length) => product * length, 1) / width;
  if (!kind.ids && !rows) throw new InputError(`${file.name} holds no tokens: shape (..., d), with at least one token, is needed`);
  const bytes = width * kind.dtypes[dtype];
  const read = async (start, stop) => decoded(await bytesOf(file, offset + start * bytes, offset + stop * bytes), dtype, bigEndian);
  return { name: file.name, dtype, shape, rows, width, bytes, read };
}
