// Measures away from the page, which stays quick: { start: input } ► { progress }, then { report } or { refused }.
import { unreadable } from "./bytes.js";
import { forward } from "./forward.js";
import { measure } from "./measure.js";
import { pooled } from "./pool.js";
import { InputError } from "./python.js";
import { headerOf } from "./rows.js";
import { saeOf } from "./sae.js";

let stopping = false;
let told = 0;
let compute = null; // of an SAE, in a worker of a pool

addEventListener("message", async ({ data }) => {
  if (data.stop) stopping = true;
  if (data.look) postMessage({ looked: data.look.id, ...(await looked(data.look)) });
  if (data.start) postMessage(await run(data.start));
  if (data.serve) postMessage(await serve(data.serve));
  if (data.run) postMessage(await computed(data.run));
});

// Gets ready to compute x̂ for another worker (pool.js).
async function serve({ sae, scale }) {
  try {
    compute = forward(await saeOf(sae.map(withPath)), scale);
    return { tokens: compute.tokens, products: compute.products };
  } catch (error) {
    return { refused: lineOf(error) };
  }
}

async function computed({ x, n }) {
  try {
    return await compute.run(x, n);
  } catch (error) {
    return { refused: lineOf(error) };
  }
}

// A file of an SAE with its path, which a File does not bring along.
function withPath({ file, path }) {
  const slice = (...ends) => file.slice(...ends);
  return { name: file.name, size: file.size, webkitRelativePath: path, slice, text: () => file.text() };
}

async function run(input) {
  stopping = false;
  try {
    const sae = input.sae?.map(withPath) ?? null;
    const pool = (read, scale) => pooled(input.sae, read, scale);
    const slowly = (lanes) => postMessage({ slowly: lanes });
    const { entry, law } = await measure({ ...input, sae }, { progress, stopped: () => stopping, pool, slowly });
    return { report: { entry, law } };
  } catch (error) {
    return { refused: lineOf(error) };
  }
}

function progress(done, tokens) {
  const now = performance.now();
  if (now - told < 50 && done < tokens) return; // twenty times a second is enough for a bar
  told = now;
  postMessage({ progress: { done, tokens } });
}

// What is in a file, or in the files of an SAE.
async function looked({ file, sae }) {
  try {
    return sae ? { description: (await saeOf(sae.map(withPath))).description } : { header: await headerOf(file) };
  } catch (error) {
    return { refused: lineOf(error) };
  }
}

function lineOf(error) {
  if (error instanceof InputError) return error.message;
  if (unreadable(error)) return unreadable(error).message;
  if (error instanceof RangeError) return `this browser has too little memory for it (${error.message}): use sandbox measure`;
  return `the page failed, please report it: ${error.message}`;
}

postMessage({ ready: true }); // everything that it imports has arrived
