// The header of a .npy file (versions 1 to 3): where its numbers are. Its lines are those of sandbox/activations/files.py.
import { bytesOf } from "./bytes.js";
import { literal } from "./literal.js";
import { bytesRepr, InputError, repr, Tuple } from "./python.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // "\x93NUMPY"
const LONGEST = 10000; // characters of a header that numpy reads

// Where the numbers of a file are: `dtype`, by its safetensors name or by numpy's; `bigEndian`; `shape`; `offset`.
export async function npyHeader(file) {
  const bytes = new Uint8Array(await bytesOf(file, 0, Math.min(file.size, 12 + LONGEST)));
  const { fields, offset } = fieldsOf(bytes, file);
  const { descr, fortran_order: fortran, shape } = fields;
  if (!(shape instanceof Tuple && shape.every((length) => ["number", "bigint"].includes(typeof length)))) throw not(file, `shape is not valid: ${repr(shape)}`);
  if (typeof fortran !== "boolean") throw not(file, `fortran_order is not a valid bool: ${repr(fortran)}`);
  const stored = dtypeOf(descr);
  if (!stored) throw not(file, `descr is not a valid dtype descriptor: ${repr(descr)}`);
  if (shape.some((length) => length < 0)) throw not(file, `its header has the shape ${repr(shape)}`);
  if (fortran && shape.length > 1) {
    throw new InputError(`${file.name} is stored in Fortran order: save np.ascontiguousarray(x) instead`);
  }
  const header = { dtype: stored.name, bigEndian: stored.bigEndian, bytes: stored.bytes, shape: [...shape], offset };
  if (stored.bytes === null) return header; // a pickle, of any length
  const needed = shape.reduce((product, length) => product * BigInt(length), BigInt(stored.bytes)) + BigInt(offset); // a header may lie
  if (file.size < needed) throw new InputError(`${file.name} is cut short: ${file.size} bytes of ${needed}; copy it again`);
  if (file.size > needed) {
    throw new InputError(
      `${file.name} is longer than its header says: ${file.size} bytes, but shape ${repr(shape)} takes ${needed}; save it again`,
    );
  }
  return header;
}

function not(file, why) {
  return new InputError(`${file.name} is not a .npy file: ${why}`);
}

function fieldsOf(bytes, file) {
  const ends = (what, expected, found) => not(file, `EOF: reading ${what}, expected ${expected} bytes got ${found}`);
  if (bytes.length < 8) throw ends("magic string", 8, bytes.length);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw not(file, `the magic string is not correct; expected b'\\x93NUMPY', got ${bytesRepr(bytes.subarray(0, 6))}`);
  }
  const [major, minor] = [bytes[6], bytes[7]];
  const wide = major === 1 && minor === 0 ? 2 : 4; // bytes that hold the header's length
  const known = minor === 0 && major >= 1 && major <= 3;
  if (!known) throw not(file, `its format version, ${major}.${minor}, is unknown`);
  if (bytes.length < 8 + wide) throw ends("array header length", wide, bytes.length - 8);
  const view = new DataView(bytes.buffer);
  const length = wide === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  const offset = 8 + wide + length;
  if (file.size < offset) throw ends("array header", length, file.size - 8 - wide);
  if (length > LONGEST) throw not(file, `Header info length (${length}) is large and may not be safe to load securely.`);
  const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(bytes.subarray(8 + wide, offset));
  let fields;
  try {
    fields = literal(text);
  } catch {
    throw not(file, `Cannot parse header: ${repr(text)}`);
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw not(file, `Header is not a dictionary: ${repr(fields)}`);
  const keys = Object.keys(fields).sort();
  if (String(keys) !== "descr,fortran_order,shape") throw not(file, `Header does not contain the correct keys: ${repr(keys)}`);
  return { fields, offset };
}

const NAMES = { float16: "f2", float32: "f4", float64: "f8", e: "f2", f: "f4", d: "f8", b: "i1", B: "u1", h: "i2", H: "u2", i: "i4", I: "u4", q: "i8", Q: "u8", l: "i8", L: "u8" };
const OTHERS = { b1: ["bool", 1], c8: ["complex64", 8], c16: ["complex128", 16], c32: ["complex256", 32], O: ["object", null], O8: ["object", null] };

// The name and size of numpy's dtype; null for none. Of other kinds than numbers, only what a message needs.
function dtypeOf(descr) {
  if (Array.isArray(descr)) return { name: repr(descr), bytes: null };
  const [, order, code] = (typeof descr === "string" && /^([<>=|]?)(.+)$/.exec(descr)) || [];
  if (code === undefined) return null;
  const kind = Object.hasOwn(NAMES, code) ? NAMES[code] : code;
  if (Object.hasOwn(OTHERS, kind)) return { name: OTHERS[kind][0], bytes: OTHERS[kind][1] };
  const bigEndian = order === ">";
  const [, time, unit] = /^([mM])8(\[\w+\])$/.exec(kind) ?? [];
  if (time) return { name: `${time === "M" ? "datetime" : "timedelta"}64${unit}`, bytes: 8 };
  const [, letter, length] = /^([fiuSUV])(\d+)$/.exec(kind) ?? [];
  if (letter === undefined) return null;
  const bytes = Number(length);
  if ("fiu".includes(letter)) {
    const sizes = { f: [2, 4, 8, 16], i: [1, 2, 4, 8], u: [1, 2, 4, 8] }[letter];
    return sizes.includes(bytes) ? { name: `${letter.toUpperCase()}${8 * bytes}`, bytes, bigEndian } : null;
  }
  const sign = letter === "U" ? (bigEndian ? ">" : "<") : "|";
  return { name: `${sign}${kind}`, bytes: letter === "U" ? 4 * bytes : bytes, bigEndian };
}
