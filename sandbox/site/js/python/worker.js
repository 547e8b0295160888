// Python in a worker: Pyodide with SymPy, Z3 and the sandbox's own proofs. It answers questions in order.
import { loadPyodide } from "../../python/pyodide.js";

const FOLDER = new URL("../../python/", import.meta.url);
const PARTS = ["sympy.zip", "z3.zip", "sandbox.zip"];
const SITE = "/lib/site";

// The page is told of all that arrives, Pyodide's own files included.
const plain = globalThis.fetch;
globalThis.fetch = async (...wanted) => counted(await plain(...wanted));

const ready = start();
ready.catch((error) => postMessage({ failed: String(error.message ?? error) }));

async function start() {
  const parts = PARTS.map(async (name) => (await fetched(name)).arrayBuffer());
  const python = await loadPyodide({ indexURL: FOLDER.href });
  for (const part of parts) python.unpackArchive(await part, "zip", { extractDir: SITE });
  python.runPython(`import sys; sys.path.insert(0, "${SITE}")`);
  const answered = python.runPython("from sandbox.site.cells import answered; answered");
  postMessage({ listens: true });
  return answered;
}

async function fetched(name) {
  const answer = await fetch(new URL(name, FOLDER));
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
  return answer;
}

function counted(answer) {
  if (!answer.body) return answer;
  const counter = new TransformStream({
    transform(chunk, on) {
      postMessage({ bytes: chunk.byteLength });
      on.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = answer;
  return new Response(answer.body.pipeThrough(counter), { status, statusText, headers });
}

addEventListener("message", async ({ data: { number, question } }) => {
  try {
    const answered = await ready;
    postMessage({ number, answer: answered(JSON.stringify(question)) });
  } catch (error) {
    const lines = String(error.message ?? error).trim().split("\n");
    postMessage({ number, failed: lines.at(-1) });
  }
});
