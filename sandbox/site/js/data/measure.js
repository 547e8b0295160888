// Files ► a report, in one pass that reads them a few megabytes at a time (sandbox/measuring/measure.py).
import { unreadable } from "./bytes.js";
import { blocks, documentsOf } from "./clusters.js";
import { findingsOf } from "./findings.js";
import { forward } from "./forward.js";
import { ASTRAY, LEAST, MOST, OUT_OF_RANGE, OUTLIER, SAMPLE } from "./generated.js";
import { gpuAdapter, gpuEncoder } from "./gpu.js";
import { means, raw, tokens } from "./origins.js";
import { given } from "./penalty.js";
import { filled, general, grouped, InputError } from "./python.js";
import { reportOf } from "./report.js";
import { ACTIVATIONS, IDS, opened, suffixOf } from "./rows.js";
import { saeOf } from "./sae.js";
import { medianOf, normsOf, Sample } from "./sample.js";
import { Counter } from "./totals.js";

const BYTES = 2 ** 22; // to read at a time of each file
const PRODUCTS = 4e8; // of an SAE and a worker between two reads: progress is seen, and a stop heard, every half second
const WORTH = 2e10; // products from which on a GPU is worth its rounding: plain code takes about ten seconds for them

// Measures `x` against the reconstructions in `x_hat`, or in `sae`, the files of a folder in SAELens' layout.
//
// Other input: `documents`, a file of ids; `dropNonfinite`; `l1`, the L1 coefficient where the SAE does not state it;
// `gpu`, "worth" to use one for much work, "any" to use even a software one, and "none".
// `told.progress(done, tokens)` is called after each read, and `told.stopped()` asks whether to end with what is counted.
// Without a GPU, much work is shared among workers where `told.pool(sae, scale)` resolves to them (pool.js);
// `told.slowly(workers)` is called where it will take a while.
export async function measure(input, told = {}) {
  try {
    return await measured(input, told);
  } catch (error) {
    if (error instanceof Failed) return measure({ ...input, gpu: "none" }, { ...told, pool: null });
    throw unreadable(error) ?? error;
  }
}

// A GPU or a worker that was there does not work: plain code will do.
class Failed extends Error {}

async function measured(
  { x, x_hat = null, sae: files = null, documents = null, dropNonfinite = false, l1 = null, gpu = "worth" },
  { progress = () => {}, stopped = () => false, pool = null, slowly = () => {} },
) {
  const rows = [await opened(x, files ? "activations" : "x", ACTIVATIONS), ...(x_hat ? [await opened(x_hat, "x_hat", ACTIVATIONS)] : [])];
  const [first, second] = rows;
  if (second && (first.rows !== second.rows || first.width !== second.width)) {
    throw new InputError(`${described(first)} and ${described(second)}: they must agree`);
  }
  const ids = documents ? await opened(documents, "documents", IDS) : null;
  const clusters = ids ? documentsOf(ids, first.rows) : blocks;
  const sae = files ? await saeOf(files) : null;
  if (sae) checkWidth(sae, first);
  if (sae && l1 !== null) sae.penalty = given(l1);
  const { limit, scale } = await lookedAt(rows);
  const encoder = sae ? await gpuFor(sae, first.rows, gpu) : null;
  const shared = sae && !encoder && pool && isMuch(sae, first.rows, gpu) ? await pool(sae, scale).catch(() => null) : null;
  if (sae && !encoder && isMuch(sae, first.rows, gpu)) slowly(shared?.lanes ?? 1);
  const compute = sae ? (shared ?? forward(sae, scale, encoder)) : null;
  const counter = new Counter(first.width, limit);
  const sample = new Sample(windows(first.rows), first.width, rows.some(({ dtype }) => dtype === "F64"));
  let complete;
  try {
    complete = await pass(rows, clusters, [counter, sample], compute, { progress, stopped });
  } catch (error) {
    if (!(encoder || shared) || error.file) throw error;
    throw new Failed(error.message);
  } finally {
    encoder?.end();
    shared?.end();
  }
  check(counter, rows, dropNonfinite);
  const numbers = encoder ? { dtype: "float32", device: encoder.name } : { dtype: "float64", device: "browser" };
  const of = sae ? { ...sae, ...numbers, seesLatents: true, b_dec: sae.normalisation ? null : sae.b_dec } : PAIR;
  const facts = { ...of, name: sae?.name ?? x_hat.name.slice(0, x_hat.name.length - suffixOf(x_hat.name).length) };
  const made = reportOf(counter, { ...facts, complete, scale, documents: clusters.documents || null });
  made.entry.findings = findingsOf(sample, counter, made.entry.raw.relative_reconstruction_bias, {
    b_dec: of.b_dec,
    d_sae: sae?.d_sae ?? null,
    ...precision(rows.map(({ dtype }) => dtype), sample.x),
  });
  return made;
}

const EPS = { F16: 2 ** -10, BF16: 2 ** -7, F32: 2 ** -23, F64: 2 ** -52 };

// Whether x, and x̂, are in float16, and the eps of both: two files of different dtypes are compared in float32 or float64.
function precision(dtypes, kept) {
  const [x, x_hat] = dtypes;
  const pair = x_hat !== undefined;
  const same = !pair || x === x_hat;
  const wide = kept instanceof Float64Array ? EPS.F64 : EPS.F32;
  return { half: [same && x === "F16", pair && same && x === "F16"], eps: same ? Math.max(EPS[x], pair ? 0 : wide) : wide };
}

// Whether more than one worker's plain code is worth it.
function isMuch({ d_in, d_sae }, rows, gpu) {
  return gpu === "any" || rows * d_in * d_sae >= WORTH;
}

// The encoder on a GPU, if there is one and it is asked for; null otherwise.
async function gpuFor(sae, rows, gpu) {
  if (gpu === "none" || !isMuch(sae, rows, gpu)) return null;
  const adapter = await gpuAdapter(gpu === "any");
  try {
    return adapter && (await gpuEncoder(sae, adapter));
  } catch {
    return null; // too little memory, or a driver that fails
  }
}

const PAIR = { description: "existing reconstructions", dtype: "", device: "", seesLatents: false, b_dec: null };

function described({ name, rows, width }) {
  return `${name} holds ${rows} tokens of dimension ${width}`;
}

function checkWidth({ d_in }, { name, width }) {
  if (d_in === width) return;
  const heads = width && d_in % width === 0 ? "; concatenate the outputs of heads, (..., heads, d_head), first: x.flatten(-2)" : "";
  throw new InputError(`the SAE reads activations of dimension ${d_in}, but ${name} has ${width}${heads}`);
}

// Counts every token; false if it was stopped early.
async function pass(rows, clusters, [counter, sample], compute, { progress, stopped }) {
  const [{ rows: n, bytes }] = rows;
  const most = compute ? (compute.lanes ?? 1) * Math.max(compute.tokens, PRODUCTS / compute.products) : Infinity;
  const size = Math.max(1, Math.floor(Math.min(BYTES / bytes, most)));
  const read = (at) => {
    if (at >= n) return null;
    const stop = Math.min(at + size, n);
    const reading = Promise.all([...rows.map((one) => one.read(at, stop)), clusters.groups(at, stop)]);
    reading.catch(() => {}); // whoever waits for it hears of it
    return reading;
  };
  let next = read(0);
  for (let at = 0; at < n; at += size) {
    const found = await next;
    if (stopped() && at) return false;
    next = read(at + size);
    const [x, ...others] = found;
    const group = others.at(-1);
    const length = group.length;
    if (compute) await computed(x, at, group, [counter, sample], compute);
    else {
      counter.add(x, others[0], length, group);
      sample.take(at, x, others[0], length);
    }
    progress(at + length, n);
  }
  return true;
}

async function computed(x, at, group, [counter, sample], compute) {
  const { d } = counter;
  const { tokens: size, lanes = 1 } = compute;
  const running = [];
  for (let start = 0; start < group.length || running.length; start += size) {
    if (start < group.length) {
      const stop = Math.min(start + size, group.length);
      const part = x.subarray(start * d, stop * d);
      const found = compute.run(part, stop - start);
      found.catch(() => {}); // whoever waits for it hears of it
      running.push({ start, stop, part, found });
      if (running.length < 2 * lanes - 1 && stop < group.length) continue; // one in work and one waiting in each worker
    }
    const { start: from, stop, part, found } = running.shift(); // in order: sums do not depend on who computed what
    const { x_hat, ...of } = await found;
    counter.add(part, x_hat, stop - from, group.subarray(from, stop), of);
    sample.take(at + from, part, x_hat, stop - from, of.l0);
  }
}

// From a sample of x, as Python draws it: the norm above which a token is an outlier, and √d over the mean norm.
async function lookedAt(rows) {
  const [{ width: d }] = rows;
  const sizes = [];
  const wide = rows.some(({ dtype }) => dtype === "F64"); // the squares of others stay within float64
  let peak = 0;
  for (const [start, stop] of windows(rows[0].rows)) {
    const parts = await Promise.all(rows.map((one) => one.read(start, stop)));
    if (wide) for (const part of parts) peak = part.reduce(larger, peak);
    sizes.push(...normsOf(parts[0], d, parts[0].length / d));
  }
  if (peak && !(peak * peak >= LEAST && peak * peak <= MOST)) {
    const evidence = `its largest number is ${general(peak, 3)}, and its square ${general(peak * peak, 3)}`;
    throw outOfRange(rows.map(({ name }) => name).join(" and "), evidence);
  }
  const finite = sizes.filter(Number.isFinite);
  const mean = finite.reduce((sum, size) => sum + size, 0) / finite.length;
  return { limit: OUTLIER * medianOf(sizes), scale: mean > 0 ? Math.sqrt(d) / mean : 1 };
}

function larger(peak, value) {
  const size = Math.abs(value);
  return size > peak && size < Infinity ? size : peak;
}

// About √SAMPLE runs spread over all n tokens (sandbox/activations/windows.py, RandomAccess.sample).
function windows(n) {
  if (SAMPLE >= n) return [[0, n]];
  const runs = ASTRAY.length;
  const gaps = ASTRAY.map((by, run) => Math.trunc(((n - SAMPLE) * ((run + by) % runs)) / runs)).sort((one, other) => one - other);
  const start = (run) => Math.floor((run * SAMPLE) / runs);
  return gaps.map((gap, run) => [start(run) + gap, start(run + 1) + gap]);
}

function outOfRange(name, evidence) {
  return new InputError(filled(OUT_OF_RANGE, { name, evidence, least: general(LEAST), most: general(MOST) }));
}

// Refuses what cannot be measured.
function check(counter, rows, dropNonfinite) {
  const { both, nonfinite } = counter;
  const n = tokens(both);
  if (nonfinite && !dropNonfinite) {
    throw new InputError(
      `${grouped(nonfinite)} of ${grouped(nonfinite + n)} tokens have a NaN or an infinity in x or x̂ (or a number beyond 1e150, whose ` +
        "square is one): correct them, or choose to leave them out",
    );
  }
  const names = rows.map(({ name }) => name).join(" and ");
  if (!n) throw new InputError(`${names}: every token has a NaN or an infinity in x or x̂ (or a number whose square is one); nothing is left to measure`);
  const [a, b] = means(raw(both));
  const { sums, d } = both;
  [a, b].forEach((energy, row) => {
    const zero = energy === 0 && sums.every((sum, at) => Math.floor(at / d) % 2 !== row || sum === 0);
    if (zero || (energy >= LEAST && energy <= MOST)) return;
    const name = ["x", "x_hat"][row];
    throw outOfRange(name, `E‖${name}‖² is ${general(energy, 3)}`);
  });
}
