// Which group each token's cluster is dealt into: documents, or blocks of tokens (sandbox/moments/clusters.py).
import { BLOCK, GROUPS, SPREAD } from "./generated.js";
import { InputError } from "./python.js";

const GOLDEN = BigInt(SPREAD);

// The group of a cluster, a 64-bit number: each round of ids is rotated, so that ids with a stride fill all groups.
export function dealt(id) {
  const groups = BigInt(GROUPS);
  const group = ((id % groups) + groups) % groups;
  const spread = BigInt.asUintN(64, BigInt.asUintN(64, (id - group) / groups) * GOLDEN);
  const rotation = ((spread >> 32n) * groups) >> 32n;
  return Number((group + rotation) % groups);
}

// Blocks of neighbouring tokens: what there is where documents are unknown.
export const blocks = {
  documents: null,
  async groups(start, stop) {
    const found = new Int32Array(stop - start);
    for (let token = start; token < stop; ) {
      const block = Math.floor(token / BLOCK);
      const end = Math.min((block + 1) * BLOCK, stop);
      found.fill(dealt(BigInt(block)), token - start, end - start);
      token = end;
    }
    return found;
  },
};

// The clusters of a file of document ids, as `opened` by rows.js.
export function documentsOf(ids, tokens) {
  if (ids.rows !== tokens) {
    throw new InputError(`${ids.name} holds ${ids.rows} document ids for ${tokens} tokens: one per token is needed`);
  }
  const seen = new Map(); // the group of each id: a file repeats its ids
  return {
    get documents() {
      return seen.size;
    },
    async groups(start, stop) {
      const values = await ids.read(start, stop);
      const found = new Int32Array(values.length);
      for (let i = 0; i < values.length; i++) {
        if (i && values[i] === values[i - 1]) {
          found[i] = found[i - 1];
          continue;
        }
        const id = BigInt(values[i]);
        if (!seen.has(id)) seen.set(id, dealt(id));
        found[i] = seen.get(id);
      }
      return found;
    },
  };
}
