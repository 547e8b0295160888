// x ► x̂ in several workers at once, where there is much to do and no GPU: each holds the SAE and takes some tokens at a time.

const MOST = 8; // workers
const MEMORY = 2e9; // bytes of weights, in all workers together

// Milliseconds that a worker may take to start. Firefox tells of no error where a module that it imports does not arrive.
export const PATIENCE = 30_000;

// As `forward` of forward.js, but `run` may be called `lanes` times at once; null where one worker is all there may be.
//
// `files` are those of the SAE, as `{ file, path }`. Rejects if a worker fails.
export async function pooled(files, { d_in, d_sae }, scale) {
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
  const lanes = Math.min(cores, MOST, Math.floor(MEMORY / (8 * d_in * d_sae)));
  if (lanes < 2) return null;
  const lane = () => served(new Worker(new URL("worker.js", import.meta.url), { type: "module" }));
  const all = Array.from({ length: lanes }, lane);
  const end = () => all.forEach((one) => one.worker.terminate());
  try {
    const [{ tokens, products }] = await Promise.all(all.map(({ ask }) => ask({ serve: { sae: files, scale } })));
    let next = 0;
    const run = (x, n) => all[next++ % lanes].ask({ run: { x: x.slice(), n } });
    return { tokens, products, lanes, run, end };
  } catch (error) {
    end();
    throw error;
  }
}

// A worker that answers questions in their order.
function served(worker) {
  const waiting = [];
  let failed = null;
  const fail = (words) => {
    failed = new Error(words);
    for (const { reject } of waiting.splice(0)) reject(failed);
  };
  const late = setTimeout(() => fail("a worker did not start"), PATIENCE);
  worker.addEventListener("error", (event) => fail(event.message ?? "a worker did not start"));
  worker.addEventListener("message", () => clearTimeout(late), { once: true });
  worker.addEventListener("message", ({ data }) => {
    if (data.refused) fail(data.refused);
    else if (!data.ready) waiting.shift().resolve(data);
  });
  const ask = (question) =>
    new Promise((resolve, reject) => {
      if (failed) return reject(failed);
      waiting.push({ resolve, reject });
      worker.postMessage(question);
    });
  return { worker, ask };
}
