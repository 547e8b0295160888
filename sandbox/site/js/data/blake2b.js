// The first 8 bytes of BLAKE2b of a few bytes (RFC 7693), as sandbox/moments/clusters.py numbers texts.

// SHA-512's initial values, and how each round permutes the words of a block.
const START = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const ORDERS = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MIXED = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
const BLOCK = 128;

const word = (value) => BigInt.asUintN(64, value);
const turned = (value, by) => (value >> by) | word(value << (64n - by));

// A signed 64-bit number.
export function digest(bytes) {
  const state = [...START];
  state[0] ^= 0x01010008n; // 8 bytes of digest, no key
  for (let at = 0; at === 0 || at < bytes.length; at += BLOCK) {
    const block = new Uint8Array(BLOCK);
    block.set(bytes.subarray(at, at + BLOCK));
    const done = Math.min(at + BLOCK, bytes.length);
    compress(state, new BigUint64Array(block.buffer), BigInt(done), done === bytes.length);
  }
  return BigInt.asIntN(64, state[0]);
}

function compress(state, words, count, last) {
  const v = [...state, ...START];
  v[12] ^= count;
  if (last) v[14] = word(~v[14]);
  for (let round = 0; round < 12; round++) {
    const order = ORDERS[round % 10];
    MIXED.forEach(([a, b, c, d], i) => {
      for (const [next, first, second] of [[order[2 * i], 32n, 24n], [order[2 * i + 1], 16n, 63n]]) {
        v[a] = word(v[a] + v[b] + words[next]);
        v[d] = turned(v[d] ^ v[a], first);
        v[c] = word(v[c] + v[d]);
        v[b] = turned(v[b] ^ v[c], second);
      }
    });
  }
  for (let i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
}
