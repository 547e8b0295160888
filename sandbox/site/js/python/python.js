// The page's side of Python: a worker that starts when it is first wanted, and again after it was stopped.
import { bytes, there } from "../../python/there.js";

let worker = null;
let ready = false;
let arrived = 0; // bytes of Python's files
let last = 0;
let ended = ""; // why it cannot work
const waiting = new Map(); // number of a question ► the question, and its promise's functions

export { there };

// Starts Python, so that a question that follows need not wait for it.
export function start() {
  if (worker || !there) return;
  ended = "";
  const started = (worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" }));
  const listen = (kind, call) => started.addEventListener(kind, (event) => started === worker && call(event));
  listen("message", ({ data }) => heard(data));
  listen("error", (event) => heard({ failed: event.message || "its files cannot be loaded" }));
}

// Returns a promise of the answer: an object. It is rejected if Python failed, or if `signal` stopped the question.
export function ask(question, signal) {
  start();
  if (ended) return Promise.reject(new Error(ended));
  last += 1;
  const number = last;
  if (ready) worker.postMessage({ number, question });
  return new Promise((resolve, reject) => {
    waiting.set(number, { question, resolve, reject });
    signal?.addEventListener("abort", () => stop(number, signal.reason), { once: true });
  });
}

// The reason to stop a question for another one.
export const REPLACED = "replaced";

// Python cannot be interrupted: it starts anew at once, and the other questions wait for it. While it is still being
// loaded, stopping ends that, unless another question takes the place of the one that is stopped.
function stop(number, why) {
  const stopped = waiting.get(number);
  if (!stopped) return;
  waiting.delete(number);
  stopped.reject(new Error("stopped"));
  const thinking = ready;
  if (thinking || (!waiting.size && why !== REPLACED)) end();
  if (thinking) start();
}

function end() {
  worker?.terminate();
  worker = null;
  ready = false;
  arrived = 0;
}

function heard({ number, answer, bytes: more, listens, failed }) {
  if (more) arrived += more;
  if (listens) {
    ready = true;
    for (const [number, { question }] of waiting) worker.postMessage({ number, question });
  }
  const promise = waiting.get(number);
  if (promise) {
    waiting.delete(number);
    return failed ? promise.reject(new Error(failed)) : promise.resolve(JSON.parse(answer));
  }
  if (!failed || number !== undefined) return;
  ended = navigator.onLine
    ? `Python cannot start in this browser: ${failed}`
    : "Python needs a network the first time: it is loaded once, and then kept. Connect, and ask again.";
  end();
  for (const { reject } of waiting.values()) reject(new Error(ended));
  waiting.clear();
}

export const STARTING = "starting";

// How far the loading is, in words; STARTING once all has arrived, and "" once Python listens.
export function loading() {
  if (ready) return "";
  return arrived < bytes ? `${megabytes(arrived)} of ${megabytes(bytes)} MB` : STARTING;
}

function megabytes(count) {
  return (count / 1e6).toFixed(1);
}
