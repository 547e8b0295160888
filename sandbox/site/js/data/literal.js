// The header of a .npy file is a literal of Python: a dictionary of strings, whole numbers (a BigInt where a number is too small), booleans and tuples.
import { Decimal, Tuple } from "./python.js";

// The value of the text; throws a SyntaxError for anything that is not a literal of these kinds.
export function literal(text) {
  const tokens = tokensOf(text);
  const value = read(tokens);
  if (tokens.length) throw new SyntaxError("more than one value");
  return value;
}

const TOKEN = /\s+|#[^\n]*|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?L?|[{}()[\],:])/gy;

function tokensOf(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) throw new SyntaxError("not a literal");
    if (match[1]) tokens.push(match[1]);
  }
  return tokens;
}

function read(tokens) {
  const token = tokens.shift();
  if (token === undefined) throw new SyntaxError("the text ends too soon");
  if (token === "{") return dictionary(tokens);
  if (token === "[") return entries(tokens, "]")[0];
  if (token === "(") {
    const [values, commas] = entries(tokens, ")");
    return values.length === 1 && !commas ? values[0] : Tuple.from(values);
  }
  if (token[0] === "'" || token[0] === '"') return token.slice(1, -1).replace(/\\(.)/g, "$1");
  if (/^-?\d/.test(token)) {
    const value = Number(token.replace("L", ""));
    if (/[.eE]/.test(token)) return new Decimal(value);
    return Number.isSafeInteger(value) ? value : BigInt(token.replace("L", ""));
  }
  const names = { True: true, False: false, None: null };
  if (!Object.hasOwn(names, token)) throw new SyntaxError("not a literal");
  return names[token];
}

function entries(tokens, end) {
  const values = [];
  let commas = 0;
  while (tokens[0] !== end) {
    values.push(read(tokens));
    if (tokens[0] === end) break;
    if (tokens.shift() !== ",") throw new SyntaxError("a comma is missing");
    commas += 1;
  }
  tokens.shift();
  return [values, commas];
}

function dictionary(tokens) {
  const found = {};
  while (tokens[0] !== "}") {
    const key = read(tokens);
    if (typeof key !== "string" || tokens.shift() !== ":") throw new SyntaxError("not a dictionary");
    found[key] = read(tokens);
    if (tokens[0] === "}") break;
    if (tokens.shift() !== ",") throw new SyntaxError("a comma is missing");
  }
  tokens.shift();
  return found;
}
