// Bad input, in one line, and values as Python's messages show them, so that both say the same of the same file.

export class InputError extends Error {}

// A tuple of Python; lists are plain arrays.
export class Tuple extends Array {}

// A number with a point: no length of an axis.
export class Decimal extends Number {}

// Python's repr of a value from JSON, or from the header of a .npy file.
export function repr(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (value instanceof Decimal) return Number.isInteger(Number(value)) ? `${value}.0` : number(Number(value));
  if (typeof value === "number") return number(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") return quoted(value);
  if (value instanceof Tuple) return value.length === 1 ? `(${repr(value[0])},)` : `(${Array.from(value, repr).join(", ")})`;
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  return `{${Object.entries(value).map(([key, entry]) => `${repr(key)}: ${repr(entry)}`).join(", ")}}`;
}

// The repr of the elements, separated by commas.
export function listed(values) {
  return values.map(repr).join(", ");
}

function number(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return String(value);
  const text = String(value).replace("Infinity", "inf").replace("NaN", "nan");
  const exponent = /^(.*)e([+-])(\d)$/.exec(text); // Python writes two digits
  return exponent ? `${exponent[1]}e${exponent[2]}0${exponent[3]}` : text;
}

const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

// In quotes, with letters for which `hidden(code)` holds as two hexadecimal digits.
function quoted(text, hidden = (code) => code < 32 || (code > 126 && code < 161)) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = Array.from(text, (letter) => {
    if (letter === "\\" || letter === quote) return `\\${letter}`;
    const code = letter.codePointAt(0);
    return SHORT[letter] ?? (hidden(code) ? `\\x${code.toString(16).padStart(2, "0")}` : letter);
  });
  return quote + escaped.join("") + quote;
}

// The repr of bytes.
export function bytesRepr(bytes) {
  return `b${quoted(String.fromCharCode(...bytes), (code) => code < 32 || code > 126)}`;
}

// A number to `digits` significant ones, as Python's format "g" writes it.
export function general(value, digits = 6) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return number(value);
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power < -4 || power >= digits) {
    const sign = power < 0 ? "-" : "+";
    return `${trimmed(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trimmed(value.toFixed(Math.max(digits - 1 - power, 0)));
}

function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

// With commas between thousands.
export function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

// The template with its {names} replaced.
export function filled(template, words) {
  return template.replace(/\{(\w+)\}/g, (_, name) => words[name]);
}
