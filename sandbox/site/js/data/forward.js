// x ► x̂ of an SAE, a few tokens at a time. The weights are float32, and everything is multiplied and added in float64,
// but the encoder's products where a GPU computes them.
import { LAYER_NORM_EPS, tanhSlope } from "./generated.js";
import { rowNorms } from "./sae.js";

const TOKENS = 64; // at a time, at most
const PRODUCTS = 4e8; // at a time: half a second
const LATENTS = 64; // whose weights stay in the cache while all these tokens pass

// `tokens`, at a time; `products`, of a token; and `run(x, n)`, which resolves to the x̂, L0 and slopes of the penalty
// (sandbox/measuring/penalties.py) of n ≤ `tokens` rows of x; the next call overwrites them. `scale` is the k by which
// training may have multiplied x, and `gpu` an encoder of gpu.js, in whose place float64 is used.
export function forward(sae, scale, gpu = null) {
  const { d_in: d, d_sae, encoder } = sae;
  const tokens = gpu?.tokens ?? Math.min(TOKENS, Math.max(4, Math.floor(PRODUCTS / (d * d_sae))));
  const z = new Float64Array(tokens * d);
  const back = { scale: new Float64Array(tokens), shift: new Float64Array(tokens) };
  const products = gpu ? null : new Float64Array(tokens * d_sae);
  const finish = decoder(sae, scale, tokens, back);
  let checked = !gpu;

  async function run(x, n) {
    inputs(sae, x, n, z, back);
    if (!gpu) return finish(encode(z, n, encoder, d, d_sae, products), n);
    const acts = await gpu.encode(z, n);
    if (!checked) check(acts, z, Math.min(n, 4), sae);
    checked = true;
    return finish(acts, n);
  }
  return { tokens, run, products: d * d_sae };
}

// Throws if products in float32 are not those in float64 but for rounding: then the GPU's driver is broken.
function check(acts, z, n, { d_in: d, d_sae, encoder }) {
  const exact = encode(z, n, encoder, d, d_sae, new Float64Array(n * d_sae));
  const norms = rowNorms(encoder, d);
  const lengths = rowNorms(z.subarray(0, n * d), d);
  exact.forEach((value, at) => {
    const reach = 1e-5 * lengths[Math.floor(at / d_sae)] * norms[at % d_sae];
    if (Number.isFinite(value) && !(Math.abs(acts[at] - value) <= reach)) throw new Error("the GPU computed something else");
  });
}

// A function of the products z · W_enc of n tokens, which it overwrites, that returns what `run` resolves to.
function decoder(sae, scale, tokens, back) {
  const { d_in: d, d_sae, W_dec, b_dec, penalty } = sae;
  const x_hat = new Float64Array(tokens * d);
  const l0 = new Float64Array(tokens);
  const known = !sae.normalisation;
  const slopes = known ? new Float64Array(tokens) : null;
  const tanh = penalty?.tanh ?? null;
  const scaled = known && tanh !== null ? new Float64Array(tokens) : null;
  const norms = known ? rowNorms(W_dec, d) : null;
  const origin = known ? b_dec : null;
  const activate = activation(sae);

  return (acts, n) => {
    for (let t = 0; t < n; t++) {
      const row = acts.subarray(t * d_sae, (t + 1) * d_sae);
      activate(row);
      const to = t * d;
      for (let i = 0; i < d; i++) x_hat[to + i] = b_dec[i];
      let [active, plain, moved] = [0, 0, 0];
      for (let j = 0; j < d_sae; j++) {
        const f = row[j];
        if (f === 0) continue;
        active += 1;
        if (known) plain += tanh === null ? f * norms[j] : tanhSlope(1, tanh, f * norms[j]);
        if (scaled) moved += tanhSlope(scale, tanh, f * norms[j]);
        for (let i = 0, at = j * d; i < d; i++) x_hat[to + i] += f * W_dec[at + i];
      }
      l0[t] = active;
      if (slopes) slopes[t] = plain;
      if (scaled) scaled[t] = moved;
      if (known) continue;
      for (let i = 0; i < d; i++) x_hat[to + i] = x_hat[to + i] * back.scale[t] + back.shift[t];
    }
    return { x_hat, l0, penalty: slopes, scaled, origin };
  };
}

// What the encoder multiplies: each token normalised, if the SAE does so, and then without b_dec.
function inputs({ d_in: d, b_dec, subtractsBias, normalisation }, x, n, z, back) {
  for (let t = 0; t < n; t++) {
    const at = t * d;
    let [shift, scale, by] = [0, 1, 1];
    if (normalisation === "constant_norm_rescale") {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += x[at + i] ** 2;
      by = scale = Math.sqrt(sum) / Math.sqrt(d);
    }
    if (normalisation === "layer_norm") {
      for (let i = 0; i < d; i++) shift += x[at + i] / d;
      let sum = 0;
      for (let i = 0; i < d; i++) sum += (x[at + i] - shift) ** 2;
      scale = Math.sqrt(sum / (d - 1));
      by = scale + LAYER_NORM_EPS; // x̂ is multiplied by the scale alone, as in SAELens
    }
    back.scale[t] = scale;
    back.shift[t] = shift;
    for (let i = 0; i < d; i++) z[at + i] = (x[at + i] - shift) / by - (subtractsBias ? b_dec[i] : 0);
  }
}

// acts, z · W_enc, four tokens and two latents at a time: eight sums stay in registers.
function encode(z, n, encoder, d, d_sae, acts) {
  for (let first = 0; first < d_sae; first += LATENTS) {
    const last = Math.min(first + LATENTS, d_sae);
    for (let t = 0; t < n; t += 4) {
      // Where fewer tokens are left, rows are computed twice.
      const rows = [t, Math.min(t + 1, n - 1), Math.min(t + 2, n - 1), Math.min(t + 3, n - 1)];
      const [p, q, r, s] = [rows[0] * d, rows[1] * d, rows[2] * d, rows[3] * d];
      for (let j = first; j < last; j += 2) {
        const j1 = Math.min(j + 1, d_sae - 1);
        const [u, v] = [j * d, j1 * d];
        let p0 = 0, p1 = 0, q0 = 0, q1 = 0, r0 = 0, r1 = 0, s0 = 0, s1 = 0;
        for (let i = 0; i < d; i++) {
          const w0 = encoder[u + i], w1 = encoder[v + i];
          const zp = z[p + i], zq = z[q + i], zr = z[r + i], zs = z[s + i];
          p0 += zp * w0; p1 += zp * w1;
          q0 += zq * w0; q1 += zq * w1;
          r0 += zr * w0; r1 += zr * w1;
          s0 += zs * w0; s1 += zs * w1;
        }
        acts[rows[0] * d_sae + j] = p0; acts[rows[0] * d_sae + j1] = p1;
        acts[rows[1] * d_sae + j] = q0; acts[rows[1] * d_sae + j1] = q1;
        acts[rows[2] * d_sae + j] = r0; acts[rows[2] * d_sae + j1] = r1;
        acts[rows[3] * d_sae + j] = s0; acts[rows[3] * d_sae + j1] = s1;
      }
    }
  }
  return acts;
}

// A function that turns a token's z · W_enc into its latents, in place (sandbox/checkpoints/activation_functions.py).
function activation({ activation: how, b_enc, d_sae }) {
  const bias = b_enc ?? new Float32Array(d_sae);
  if (how.kind === "gated") {
    const { b_gate, b_mag, scale } = how;
    return (row) => {
      for (let j = 0; j < d_sae; j++) {
        const before = row[j];
        row[j] = before + b_gate[j] > 0 ? Math.max(b_mag[j] + before * scale[j], 0) : 0;
      }
    };
  }
  if (how.kind === "jumprelu") {
    const { threshold } = how;
    return (row) => {
      for (let j = 0; j < d_sae; j++) {
        const before = row[j] + bias[j];
        row[j] = before > threshold[j] ? Math.max(before, 0) : 0;
      }
    };
  }
  if (how.kind === "topk") return largest(how.k, bias, d_sae);
  return (row) => {
    for (let j = 0; j < d_sae; j++) row[j] = Math.max(row[j] + bias[j], 0);
  };
}

// The k largest, then a ReLU. A heap holds the places of the k largest so far, the smallest of them first.
function largest(k, bias, d_sae) {
  const heap = new Int32Array(k);
  return (row) => {
    for (let j = 0; j < d_sae; j++) row[j] += bias[j];
    const sink = (at, place, length) => {
      for (;;) {
        let child = 2 * at + 1;
        if (child >= length) break;
        if (child + 1 < length && row[heap[child + 1]] < row[heap[child]]) child += 1;
        if (row[heap[child]] >= row[place]) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = place;
    };
    for (let j = 0; j < k; j++) heap[j] = j;
    for (let at = (k >> 1) - 1; at >= 0; at--) sink(at, heap[at], k);
    for (let j = k; j < d_sae; j++) if (row[j] > row[heap[0]]) sink(0, j, k);
    const kept = Array.from(heap, (place) => [place, Math.max(row[place], 0)]);
    row.fill(0);
    for (const [place, value] of kept) row[place] = value;
  };
}
