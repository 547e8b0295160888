// The header of a .safetensors file, with the checks of the safetensors library (its tensor.rs), in its words.
import { bytesOf } from "./bytes.js";
import { InputError } from "./python.js";

const LONGEST = 100_000_000; // bytes of a header that the library reads

const BITS = {
  BOOL: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8,
  I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64,
};

// Every tensor of the file, in the order of its numbers: `name`, `dtype`, `shape`, `begin` and `end` in bytes of the file.
export async function safetensorsHeader(file) {
  const refused = (why) => new InputError(`${file.name} cannot be read as safetensors: Error while deserializing header: ${why}`);
  if (file.size < 8) throw refused("header too small");
  const start = new DataView(await bytesOf(file, 0, 8)).getBigUint64(0, true);
  if (start > LONGEST) throw refused("header too large");
  const offset = 8 + Number(start);
  if (offset > file.size) throw refused("invalid header length");
  const header = parsed(await bytesOf(file, 8, offset), refused);
  const tensors = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, tensor]) => checked(name, tensor, refused))
    .sort((one, other) => one.begin - other.begin || one.end - other.end);
  let at = 0;
  for (const { name, dtype, shape, begin, end } of tensors) {
    if (begin !== at || end < begin) throw refused(`invalid offset for tensor \`${name}\``);
    at = end;
    const bits = shape.reduce((product, length) => product * length, 1) * BITS[dtype];
    if (bits > Number.MAX_SAFE_INTEGER) throw refused("overflow computing buffer size from shape and/or element type");
    if (8 * (end - begin) !== bits) throw refused("invalid shape, data type, or offset for tensor");
  }
  if (offset + at !== file.size) throw refused("incomplete metadata, file not fully covered");
  return tensors.map(({ begin, end, ...tensor }) => ({ ...tensor, begin: offset + begin, end: offset + end }));
}

function parsed(bytes, refused) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refused("invalid UTF-8 in header");
  }
  let header;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw refused(`invalid JSON in header: ${error.message}`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) throw refused("invalid JSON in header: no object");
  const words = header.__metadata__ ?? {};
  if (typeof words !== "object" || Array.isArray(words) || Object.values(words).some((word) => typeof word !== "string")) throw refused("invalid JSON in header: metadata that is not text");
  return header;
}

function checked(name, tensor, refused) {
  const wrong = (what) => refused(`invalid JSON in header: ${what} of tensor \`${name}\``);
  const { dtype, shape, data_offsets: ends } = tensor ?? {};
  const whole = (value) => Number.isSafeInteger(value) && value >= 0;
  if (!Object.hasOwn(BITS, dtype ?? "")) throw wrong("unknown dtype");
  if (!Array.isArray(shape) || !shape.every(whole)) throw wrong("invalid shape");
  if (!Array.isArray(ends) || ends.length !== 2 || !ends.every(whole)) throw wrong("invalid data_offsets");
  return { name, dtype, shape, begin: ends[0], end: ends[1] };
}
