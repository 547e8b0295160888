// Python in a worker: Pyodide with SymPy, Z3 and the sandbox's own proofs. It answers questions in order.
import { loadPyodide } from "../../python/pyodide.mjs";

const FOLDER = new URL("../../python/", import.meta.url);
const PARTS = ["sympy.zip", "z3.zip", "sandbox.zip"];
const SITE = "/lib/site";

const ready = start();
ready.catch((error) => postMessage({ failed: String(error.message ?? error) }));

async function start() {
  const parts = PARTS.map(async (name) => (await fetched(name)).arrayBuffer());
  const python = await loadPyodide({ indexURL: FOLDER.href });
  postMessage({ loaded: "Python" });
  for (const [i, part] of parts.entries()) {
    python.unpackArchive(await part, "zip", { extractDir: SITE });
    postMessage({ loaded: PARTS[i] });
  }
  python.runPython(`import sys; sys.path.insert(0, "${SITE}")`);
  const answered = python.runPython("from sandbox.site.cells import answered; answered");
  postMessage({ loaded: "everything" });
  return answered;
}

async function fetched(name) {
  const answer = await fetch(new URL(name, FOLDER));
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
  return answer;
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
