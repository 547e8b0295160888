// A sample of x and x̂, kept while all tokens pass: the tokens of which sandbox measure takes its first look.

export class Sample {
  // `windows` are disjoint and in order; `wide` asks for float64 in place of float32.
  constructor(windows, d, wide) {
    const tokens = windows.reduce((sum, [start, stop]) => sum + stop - start, 0);
    const Numbers = wide ? Float64Array : Float32Array;
    Object.assign(this, { windows, d, n: 0, at: 0, x: new Numbers(tokens * d), x_hat: new Numbers(tokens * d), l0: null });
    this.tokens = tokens;
  }

  // Keeps what belongs to the sample of n tokens, the first of which is number `first` of the file.
  take(first, x, x_hat, n, l0 = null) {
    const { windows, d } = this;
    for (; this.at < windows.length; this.at++) {
      const [start, stop] = windows[this.at];
      const [from, to] = [Math.max(start, first), Math.min(stop, first + n)];
      if (from < to) {
        this.x.set(x.subarray((from - first) * d, (to - first) * d), this.n * d);
        this.x_hat.set(x_hat.subarray((from - first) * d, (to - first) * d), this.n * d);
        if (l0) (this.l0 ??= new Float64Array(this.tokens)).set(l0.subarray(from - first, to - first), this.n);
        this.n += to - from;
      }
      if (stop > first + n) break;
    }
  }
}

// The rows of some tokens.
export function rowsOf(values, d, tokens) {
  const rows = new Float64Array(tokens.length * d);
  tokens.forEach((token, i) => rows.set(values.subarray(token * d, (token + 1) * d), i * d));
  return rows;
}

// ‖x‖ of each of n tokens.
export function normsOf(values, d, n) {
  const norms = new Float64Array(n);
  for (let at = 0; at < n * d; at++) norms[Math.floor(at / d)] += values[at] ** 2;
  return norms.map(Math.sqrt);
}

// The median of the norms that are finite and positive, the lower of two, as torch has it; infinity without any.
export function medianOf(norms) {
  const positive = Float64Array.from(norms.filter((norm) => norm > 0 && norm < Infinity)).sort();
  return positive.length ? positive[Math.floor((positive.length - 1) / 2)] : Infinity;
}
