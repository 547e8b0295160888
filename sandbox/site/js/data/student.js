// The quantile of Student's t, for any positive number of degrees of freedom.

// ln Γ for a positive number: Stirling's series, after moving up to where its error is below 1e-16.
export function lnGamma(z) {
  let product = 1;
  while (z < 12) product *= z++;
  const inverse = 1 / z;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - (square * 691) / 360360)))));
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product);
}

// The probability that |t| is larger than this: I_x(ν/2, 1/2) with x = ν/(ν + t²) (DLMF 8.17.22, Lentz's method).
export function twoTails(t, freedom) {
  const x = freedom / (freedom + t * t);
  const [p, q] = [freedom / 2, 0.5];
  const front = Math.exp(lnGamma(p + q) - lnGamma(p) - lnGamma(q) + p * Math.log(x) + q * Math.log1p(-x));
  return x < (p + 1) / (p + q + 2) ? (front * fraction(x, p, q)) / p : 1 - (front * fraction(1 - x, q, p)) / q;
}

function fraction(x, p, q) {
  const TINY = 1e-300;
  const away = (value) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / away(1 - ((p + q) * x) / (p + 1));
  let result = d;
  for (let m = 1; m < 1000; m++) {
    const even = (m * (q - m) * x) / ((p + 2 * m - 1) * (p + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(p + m) * (p + q + m) * x) / ((p + 2 * m) * (p + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) break;
  }
  return result;
}

// The t that |t| exceeds with probability 1 − level; NaN without degrees of freedom.
export function quantile(freedom, level) {
  if (!(freedom > 0)) return NaN;
  const tails = 1 - level;
  let [low, high] = [0, 1];
  while (twoTails(high, freedom) > tails) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-15 * high; step++) {
    const middle = (low + high) / 2;
    if (twoTails(middle, freedom) > tails) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
