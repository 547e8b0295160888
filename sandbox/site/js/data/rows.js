// One file of activations or document ids, a window of rows at a time. The lines are those of sandbox/activations/files.py.
import { digest } from "./blake2b.js";
import { bytesOf, decoded, FLOATS, WHOLE } from "./bytes.js";
import { NEEDED } from "./generated.js";
import { npyHeader } from "./npy.js";
import { InputError, repr, Tuple } from "./python.js";
import { safetensorsHeader } from "./safetensors.js";

// What a file may hold: `dtypes` with their bytes, `needed` in words, and whether every axis counts tokens (`ids`).
export const ACTIVATIONS = { dtypes: FLOATS, needed: NEEDED.activations, ids: false };
export const IDS = { dtypes: WHOLE, needed: NEEDED.ids, ids: true };

export const SUFFIXES = [".npy", ".safetensors"];

export function suffixOf(name) {
  return /(?<=.)\.[^.]+$/.exec(name)?.[0] ?? "";
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
  const { dtype, shape, offset, bigEndian, bytes: size } = await headerOf(file, name);
  const texts = kind.ids && isText(dtype);
  if (!texts && !Object.hasOwn(kind.dtypes, dtype)) {
    throw new InputError(`${file.name}: ${name} have dtype ${dtype}: ${kind.needed} are needed`);
  }
  const width = kind.ids ? 1 : shape.at(-1);
  if (!kind.ids && (shape.length < 2 || !width)) {
    const found = repr(Tuple.from(shape));
    throw new InputError(`${file.name} has shape ${found}: two or more axes, (..., d), with d at least 1, are needed`);
  }
  const rows = shape.reduce((product, length) => product * length, 1) / width;
  if (!kind.ids && !rows) throw new InputError(`${file.name} holds no tokens: shape (..., d), with at least one token, is needed`);
  const bytes = texts ? size : width * kind.dtypes[dtype];
  const from = texts ? (buffer) => numbered(buffer, dtype, bytes) : (buffer) => decoded(buffer, dtype, bigEndian);
  const read = async (start, stop) => from(await bytesOf(file, offset + start * bytes, offset + stop * bytes));
  return { name: file.name, dtype, shape, rows, width, bytes, read };
}

// Whether a dtype is one of numpy's texts of fixed width, U or S.
export function isText(dtype) {
  return /^[<>|][US][1-9]\d*$/.test(dtype);
}

// Texts of `bytes` each ► 64-bit numbers, by their digest in UTF-8 (sandbox/moments/clusters.py).
function numbered(buffer, dtype, bytes) {
  const all = new Uint8Array(buffer);
  const found = new BigInt64Array(all.length / bytes);
  const same = (at) => all.subarray(at, at + bytes).every((byte, i) => byte === all[at - bytes + i]);
  for (let i = 0, at = 0; i < found.length; i++, at += bytes) {
    found[i] = i && same(at) ? found[i - 1] : digest(dtype[1] === "S" ? untilZeros(all, at, at + bytes) : inUtf8(buffer, at, bytes, dtype[0] === "<"));
  }
  return found;
}

// Numpy fills texts up with zeros.
function untilZeros(values, start, end) {
  while (end > start && values[end - 1] === 0) end -= 1;
  return values.subarray(start, end);
}

// A text in UTF-32 ► UTF-8; half of a surrogate pair becomes three bytes, as Python's "surrogatepass" has it.
function inUtf8(buffer, start, bytes, little) {
  const view = new DataView(buffer, start, bytes);
  const codes = untilZeros(Uint32Array.from({ length: bytes / 4 }, (_, i) => view.getUint32(4 * i, little)), 0, bytes / 4);
  const parts = Array.from(codes, (code) =>
    code >= 0xd800 && code < 0xe000 ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)] : [...new TextEncoder().encode(String.fromCodePoint(code))],
  );
  return Uint8Array.from(parts.flat());
}
