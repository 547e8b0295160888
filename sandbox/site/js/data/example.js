// A pair made in the page: sparse features in a dictionary, and what an L1 penalty leaves of them.

const [N, D, FEATURES, DOCUMENTS] = [6000, 48, 160, 60];
const [ACTIVE, THRESHOLD] = [0.04, 0.25];

// The files x.npy, x_hat.npy and documents.npy.
export function example() {
  const random = generator(2404);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const dictionary = Array.from({ length: FEATURES }, () => unit(Float64Array.from({ length: D }, normal)));
  const [x, x_hat] = [new Float32Array(N * D), new Float32Array(N * D)];
  const documents = new Int32Array(N);
  let topics = [];
  for (let token = 0; token < N; token++) {
    documents[token] = Math.floor((token * DOCUMENTS) / N);
    if (!token || documents[token] !== documents[token - 1]) topics = dictionary.map(() => 2 * random());
    for (const [j, direction] of dictionary.entries()) {
      if (random() > ACTIVE * topics[j]) continue;
      const strength = -Math.log(1 - random());
      for (let i = 0, at = token * D; i < D; i++, at++) {
        x[at] += strength * direction[i];
        x_hat[at] += Math.max(strength - THRESHOLD, 0) * direction[i];
      }
    }
    for (let i = 0; i < D; i++) x[token * D + i] += 0.03 * normal();
  }
  return [npyFile("x.npy", x, [N, D], "<f4"), npyFile("x_hat.npy", x_hat, [N, D], "<f4"), npyFile("documents.npy", documents, [N], "<i4")];
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return vector.map((one) => one / length);
}

// Mulberry32: the same numbers in every browser.
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function npyFile(name, values, shape, descr) {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = header.padEnd(117) + "\n"; // with ten bytes before it, 128: numbers start at a multiple of 64
  const start = new Uint8Array(10);
  start.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  return new File([start, padded, values], name);
}
