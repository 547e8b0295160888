// Totals over tokens, per group of clusters, in float64: what sandbox/moments and measuring/token_means.py count.
import { COLUMNS, GROUPS } from "./generated.js";
import { Norms } from "./norms.js";

const AT = Object.fromEntries(COLUMNS.map((name, i) => [name, i]));
const WIDTH = COLUMNS.length;

// Totals of nothing: `totals`, of ‖x‖², ‖x̂‖² and x·x̂; `count`, tokens; `sums`, of x, then of x̂; `columns`, by token.
export function emptyTotals(d) {
  return {
    d,
    totals: new Float64Array(3 * GROUPS),
    count: new Float64Array(GROUPS),
    sums: new Float64Array(2 * d * GROUPS),
    columns: new Float64Array(WIDTH * GROUPS),
  };
}

// Counts tokens: typical ones, and apart from them those with ‖x‖ above `limit`.
export class Counter {
  constructor(d, limit) {
    this.d = d;
    this.limit = limit;
    this.typical = emptyTotals(d);
    this.extreme = null; // none met so far
    this.nonfinite = 0;
    this.norms = new Norms();
  }

  // Counts n tokens. x and x_hat hold n rows of d numbers; `group` and, where latents are visible, `of` hold one of each
  // token: `l0`, `penalty` and `scaled` (the slopes of the penalty), and b_dec, which `of.origin` holds once.
  add(x, x_hat, n, group, of = {}) {
    const { d } = this;
    const limit = this.limit ** 2;
    for (let i = 0, at = 0; i < n; i++, at += d) {
      let [a, b, c, a1, b1, c1] = [0, 0, 0, 0, 0, 0];
      let k = at;
      for (const pairs = at + d - (d % 2); k < pairs; k += 2) {
        const [u, v, u1, v1] = [x[k], x_hat[k], x[k + 1], x_hat[k + 1]];
        a += u * u;
        b += v * v;
        c += u * v;
        a1 += u1 * u1;
        b1 += v1 * v1;
        c1 += u1 * v1;
      }
      if (k < at + d) {
        a += x[k] * x[k];
        b += x_hat[k] * x_hat[k];
        c += x[k] * x_hat[k];
      }
      a += a1;
      b += b1;
      c += c1;
      if (!(a < Infinity && b < Infinity)) {
        this.nonfinite += 1; // a NaN, an infinity, or a square that is one
        continue;
      }
      this.norms.add(a, b, c);
      const into = a > limit ? (this.extreme ??= emptyTotals(d)) : this.typical;
      const g = group[i];
      into.totals[3 * g] += a;
      into.totals[3 * g + 1] += b;
      into.totals[3 * g + 2] += c;
      into.count[g] += 1;
      const { sums } = into;
      for (let j = 0, u = 2 * g * d, v = u + d; j < d; j++) {
        sums[u + j] += x[at + j];
        sums[v + j] += x_hat[at + j];
      }
      columns(into.columns, WIDTH * g, a, b, c);
      if (of.l0) into.columns[WIDTH * g + AT.l0] += of.l0[i];
      if (of.penalty) into.columns[WIDTH * g + AT.penalty] += of.penalty[i];
      if (of.scaled) into.columns[WIDTH * g + AT.penalty_scaled] += of.scaled[i];
      if (of.origin) into.columns[WIDTH * g + AT.captured_about_b_dec] += capturedAbout(x, x_hat, at, d, of.origin);
    }
  }

  // The totals of all tokens.
  get both() {
    return this.extreme ? together(this.typical, this.extreme) : this.typical;
  }
}

function columns(into, at, a, b, c) {
  const [u, v] = [Math.sqrt(a), Math.sqrt(b)];
  into[at + AT.tokens] += 1;
  into[at + AT.norm] += u;
  into[at + AT.norm_hat] += v;
  into[at + AT["norm²"]] += a;
  into[at + AT["norm·norm_hat"]] += u * v;
  if (u > 0 && v > 0) {
    into[at + AT.l2_ratio] += v / u;
    into[at + AT.cossim] += c / (u * v);
    into[at + AT.defined] += 1;
  }
  into[at + AT.captured] += captured(b, c);
}

// What remains of ‖x‖² with the token's own best factor on x̂ (V of C23).
function captured(b, c) {
  return b > 0 ? c * (c / b) : 0;
}

function capturedAbout(x, x_hat, at, d, origin) {
  let [b, c] = [0, 0];
  for (let j = 0; j < d; j++) {
    const v = x_hat[at + j] - origin[j];
    b += v * v;
    c += (x[at + j] - origin[j]) * v;
  }
  return captured(b, c);
}

function together(one, other) {
  const sum = (first, second) => first.map((value, i) => value + second[i]);
  const both = { d: one.d };
  for (const key of ["totals", "count", "sums", "columns"]) both[key] = sum(one[key], other[key]);
  return both;
}

// A column of the token sums, by group.
export function column(totals, name) {
  return Float64Array.from(totals.count, (_, g) => totals.columns[WIDTH * g + AT[name]]);
}
