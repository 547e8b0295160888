// The page "Your data": files in, a report out; the worker reads and computes.
import { html } from "../../explorer/dom.js";
import { example } from "./example.js";
import { assigned, filesOf, itemsOf, missing, ROLES, understood } from "./given.js";
import { PATIENCE } from "./pool.js";
import { grouped, InputError, repr, Tuple } from "./python.js";
import { isText, SUFFIXES } from "./rows.js";
import { shown } from "./shown.js";

const at = (id) => document.getElementById(id);
const [drop, status, report, bar] = [document.querySelector(".drop"), at("status"), at("report"), at("progress")];
const NO_WORKER =
  "The page’s worker did not start: its scripts did not arrive, or its web server does not send .js files as text/javascript. Try again; " +
  "if that fails, reload the page.";

const NOT_TAKEN = "Measuring … What you give now is not taken: stop first, or wait for the end.";

let items = [];
let worker = started();
let looking = 0;
const waiting = new Map(); // what to do with what the worker finds in a file
let taking = Promise.resolve(); // files that are being taken: the next ones wait
let measuring = false;
let begun = 0; // when the measurement did, in milliseconds
let drawn = null; // ends what the last report listens to

function started() {
  const made = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  made.addEventListener("message", ({ data }) => {
    if (data.looked !== undefined) {
      waiting.get(data.looked)?.(data);
      waiting.delete(data.looked);
    }
    if (data.progress) progressed(data.progress);
    if (data.slowly) say(slowly(data.slowly));
    if (data.refused && data.looked === undefined) ended(data.refused, true);
    if (data.report) reported(data.report);
  });
  const late = setTimeout(() => made === worker && failed(), PATIENCE);
  made.addEventListener("message", () => clearTimeout(late), { once: true });
  made.addEventListener("error", (event) => {
    clearTimeout(late);
    if (made === worker) failed(event.message);
  });
  return made;
}

function slowly(workers) {
  const why = navigator.gpu ? "WebGPU finds no GPU" : isSecureContext ? "this browser offers no WebGPU" : "browsers offer WebGPU to https pages only";
  return `Measuring … This takes a while, because ${why}: ${workers === 1 ? "one worker computes" : `${workers} workers compute`}.`;
}

// The worker did not start, or broke down: whoever waits for it hears so, and the next that needs one starts another.
function failed(why) {
  worker.terminate();
  worker = null;
  const words = why ? `The page’s worker broke down (${why}): try again.` : NO_WORKER;
  for (const done of waiting.values()) done({ broken: true });
  waiting.clear();
  ended(words, true);
}

function ask(question) {
  worker ??= started();
  worker.postMessage(question);
}

function look(what) {
  looking += 1;
  const id = looking;
  return new Promise((done) => {
    waiting.set(id, done);
    ask({ look: { id, ...what } });
  });
}

// Takes what is dropped or chosen, once what came before has been taken.
function take(source) {
  const files = filesOf(source); // at once: a drop's items are gone when its event is over
  files.catch(() => {});
  taking = taking.then(async () => {
    if (measuring) say(NOT_TAKEN);
    else await taken(files);
  });
  return taking;
}

async function taken(files) {
  say("Reading …");
  let fresh, unread;
  try {
    ({ items: fresh, unread } = itemsOf(await files));
  } catch (error) {
    if (measuring) return say(NOT_TAKEN);
    say(error instanceof InputError ? error.message : `The folder cannot be read: ${error.message}`, true);
    return;
  }
  const replaced = items.filter((item) => fresh.some(({ name }) => name === item.name));
  for (const item of fresh) {
    const found = await look(item.role === "sae" ? { sae: item.files } : { file: item.files[0].file });
    if (found.broken) return; // that has been said
    Object.assign(item, { header: found.header, description: found.description, refused: found.refused });
  }
  if (measuring) return say(NOT_TAKEN); // it began meanwhile, with what was there
  items = [...items.filter((item) => !replaced.includes(item)), ...fresh];
  assigned(items, fresh);
  const count = unread === 1 ? "1 other file of the folder is" : `${grouped(unread)} other files of the folder are`;
  listed([
    ...replaced.map(({ name }) => `${name} takes the place of the one given before.`),
    ...(unread ? [`${count} left aside: this page reads ${SUFFIXES.join(" and ")} files.`] : []),
  ]);
}

function say(words, wrong = false) {
  status.textContent = words;
  status.classList.toggle("wrong", wrong);
}

// Shows what there is, what is still missing, and what else is to be said.
function listed(more = []) {
  at("given").hidden = !items.length;
  document.querySelector("table.given tbody").replaceChildren(...items.map(row));
  at("l1-label").hidden = !items.some(({ role, refused }) => role === "sae" && !refused);
  const still = items.length ? missing(items) : "";
  at("measure").disabled = Boolean(still) || !items.length;
  say([still || (items.length ? understood(items) : ""), ...more].join(" ").trim());
}

const WORDS = { F16: "float16", BF16: "bfloat16", F32: "float32", F64: "float64", I32: "int32", I64: "int64" };

function row(item) {
  const { name, header, description, refused } = item;
  const holds = refused ?? description ?? `${isText(header.dtype) ? "texts" : (WORDS[header.dtype] ?? header.dtype)}, shape ${repr(Tuple.from(header.shape))}`;
  const roles = item.files.length > 1 || description ? ["sae", "none"] : ["x", "x_hat", "documents", "none"];
  const select = html("select", { "aria-label": `use ${name} as` }, ...roles.map((role) => html("option", { value: role }, ROLES[role])));
  select.value = roles.includes(item.role) ? item.role : "none";
  select.addEventListener("change", () => {
    item.role = select.value;
    listed();
    document.querySelectorAll("table.given select")[items.indexOf(item)].focus();
  });
  return html("tr", {}, html("td", {}, name), html("td", { class: refused ? "wrong" : "" }, holds), html("td", {}, select));
}

const fileOf = (role) => items.find((item) => item.role === role)?.files[0].file ?? null;

function measure() {
  const l1 = at("l1-label").hidden ? "" : at("l1").value.trim().replace(",", ".");
  if (l1 && !(Number(l1) >= 0)) {
    say(`The L1 coefficient is “${at("l1").value}”: a number is needed, or nothing.`, true);
    at("l1").focus();
    return;
  }
  const start = {
    x: fileOf("x"), x_hat: fileOf("x_hat"), documents: fileOf("documents"),
    sae: items.find(({ role }) => role === "sae")?.files ?? null,
    dropNonfinite: at("drop-nonfinite").checked,
    l1: l1 ? Number(l1) : null,
  };
  begun = performance.now();
  ask({ start });
  busy(true);
  say("Measuring …");
}

function busy(on) {
  measuring = on;
  at("measure").hidden = on;
  const chosen = document.querySelectorAll(".drop button, table.given select, .options input");
  for (const control of chosen) control.disabled = on; // they would change what is measured, or what is said to be
  for (const id of ["stop", "progress"]) at(id).hidden = !on;
  bar.value = 0;
  at("left").textContent = "";
  if (on) at("stop").focus();
}

function progressed({ done, tokens }) {
  bar.max = tokens;
  bar.value = done;
  const elapsed = (performance.now() - begun) / 1000;
  const left = (elapsed * (tokens - done)) / done;
  if (elapsed > 3) at("left").textContent = left < 90 ? `about ${5 * Math.ceil(left / 5)} s left` : `about ${Math.round(left / 60)} min left`;
}

function ended(words, wrong = false) {
  busy(false);
  say(words, wrong);
  at("measure").focus();
}

function reported(found) {
  ended(found.entry.complete ? "Measured." : "Stopped: the report covers the tokens read so far.");
  drawn?.abort();
  drawn = new AbortController();
  report.hidden = false;
  report.replaceChildren(...shown(found, drawn.signal));
  report.focus();
  report.scrollIntoView({ block: "start" });
}

for (const [button, input] of [["choose", "files"], ["choose-folder", "folder"]]) {
  const chosen = async () => {
    await take(at(input).files);
    at(input).value = ""; // the same files may be chosen again
  };
  at(button).addEventListener("click", () => at(input).click());
  at(input).addEventListener("change", chosen);
  if (at(input).files.length) chosen(); // before this script had loaded
}
at("example").addEventListener("click", async () => {
  at("example").disabled = true; // a second click would be a second example
  await taking;
  if (measuring) return say(NOT_TAKEN);
  items = [];
  listed();
  await take(example());
  at("example").disabled = false;
  if (!at("measure").disabled) measure();
});
at("measure").addEventListener("click", measure);
at("stop").addEventListener("click", () => worker?.postMessage({ stop: true }));
for (const type of ["dragenter", "dragover"]) {
  addEventListener(type, (event) => {
    event.preventDefault(); // the browser would show the file instead of the page
    drop.classList.add("over");
  });
}
addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  await take(event.dataTransfer);
});
