// Numbers in a file: which dtypes there are, and bytes ► typed arrays. float16 and bfloat16 become float32, exactly.
import { CHANGED } from "./generated.js";
import { filled, InputError } from "./python.js";

// Bytes of a number, by the dtype's safetensors name.
export const FLOATS = { F16: 2, BF16: 2, F32: 4, F64: 8 };
export const WHOLE = { I8: 1, U8: 1, I16: 2, U16: 2, I32: 4, U32: 4, I64: 8 };

const ARRAYS = {
  F32: Float32Array, F64: Float64Array, I8: Int8Array, U8: Uint8Array, I16: Int16Array, U16: Uint16Array,
  I32: Int32Array, U32: Uint32Array, I64: BigInt64Array,
};

// The line for a file that was changed or taken away since it was given; null for any other error.
export function unreadable(error) {
  if (error.name !== "NotReadableError" && error.name !== "NotFoundError") return null;
  return new InputError(`${filled(CHANGED, { path: error.file ?? "a file" })}, and give it to the page again`);
}

// The bytes of a file from `begin` up to `end`, as an ArrayBuffer.
export async function bytesOf(file, begin, end) {
  let buffer;
  try {
    buffer = await file.slice(begin, end).arrayBuffer();
  } catch (error) {
    throw Object.assign(error, { file: file.name });
  }
  return buffer;
}

// The numbers in a buffer, which is overwritten where their bytes stand in the other order.
export function decoded(buffer, dtype, bigEndian = false) {
  const size = FLOATS[dtype] ?? WHOLE[dtype];
  if (bigEndian && size > 1) swap(new Uint8Array(buffer), size);
  if (dtype === "F16") return fromHalf(new Uint16Array(buffer));
  if (dtype === "BF16") return fromBfloat(new Uint16Array(buffer));
  return new ARRAYS[dtype](buffer);
}

function swap(bytes, size) {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

function fromBfloat(halves) {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

let table = null;

function fromHalf(halves) {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) numbers[i] = table[halves[i]];
  return numbers;
}

// IEEE 754 binary16: a sign, five bits of exponent, ten of fraction.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}
