// The page's side of Python: a worker that starts when it is first wanted, and again after it was stopped.
import { there } from "../../python/there.js";

const STEPS = ["Python", "sympy.zip", "z3.zip", "sandbox.zip", "everything"];
let worker = null;
let last = 0;
let steps = 0; // of loading, done
let ended = ""; // why it cannot work
const waiting = new Map(); // number of a question ► its promise's functions
const listeners = new Set();

export { there };

// Calls `listener` with the share that is loaded, from 0 to 1, now and after each change.
export function onLoading(listener) {
  listeners.add(listener);
  listener(steps / STEPS.length);
}

// Starts Python, so that a question that follows need not wait for it.
export function start() {
  if (worker || !there) return;
  ended = "";
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => heard(data));
  worker.addEventListener("error", (event) => heard({ failed: event.message || "its files cannot be loaded" }));
}

// Returns a promise of the answer: an object. It is rejected if Python was stopped, or failed.
export function ask(question) {
  start();
  if (ended) return Promise.reject(new Error(ended));
  last += 1;
  const number = last;
  worker.postMessage({ number, question });
  return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
}

// Stops a question that takes too long. Python cannot be interrupted otherwise; it starts anew at once.
export function stop() {
  end("stopped");
  start();
}

function end(why) {
  worker?.terminate();
  worker = null;
  progress(0);
  for (const { reject } of waiting.values()) reject(new Error(why));
  waiting.clear();
}

function heard({ number, answer, loaded, failed }) {
  if (loaded) return progress(STEPS.indexOf(loaded) + 1);
  const promise = waiting.get(number);
  if (promise) {
    waiting.delete(number);
    return failed ? promise.reject(new Error(failed)) : promise.resolve(JSON.parse(answer));
  }
  if (failed && number === undefined) {
    ended = `Python cannot start in this browser: ${failed}`;
    end(ended);
  }
}

function progress(done) {
  steps = done;
  for (const listener of listeners) listener(steps / STEPS.length);
}
