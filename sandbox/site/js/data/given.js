// What the reader has given: arrays and SAEs, with the role of each.
import { grouped, InputError } from "./python.js";
import { isText, SUFFIXES, suffixOf } from "./rows.js";
import { SETTINGS, WEIGHTS } from "./sae.js";

const MOST = 100; // files to choose from: more of them are shards, or the wrong folder
const SPARSITY = "sparsity.safetensors"; // SAELens writes it beside the weights

export const ROLES = { x: "x", x_hat: "x̂", documents: "documents", sae: "SAE", none: "left out" };

// The files and folders of a drop, or of an input, as `{ file, path }`.
export async function filesOf(source) {
  if (!source.items) return Array.from(source, (file) => ({ file, path: file.webkitRelativePath || file.name }));
  const entries = Array.from(source.items, entryOf).filter(Boolean);
  return (await Promise.all(entries.map(inside))).flat();
}

// A folder's entry, or a file itself: WebKit's entry of a file that has no path cannot be opened.
function entryOf(item) {
  const entry = item.webkitGetAsEntry?.();
  return entry?.isDirectory ? entry : item.getAsFile();
}

async function inside(entry) {
  if (entry instanceof File) return [{ file: entry, path: entry.name }];
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) return [{ file: await new Promise((done, failed) => entry.file(done, failed)), path }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(inside))).flat();
}

const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

// The files as `items`: those that an SAE consists of are one. `unread` counts others of folders that hold no numbers.
export function itemsOf(files) {
  if (!files.length) throw new InputError("No file was given: drop files or a folder, not text, a link or a picture from another page.");
  const names = (folder) => files.filter(({ path }) => folderOf(path) === folder).map(({ file }) => file.name);
  const folders = [...new Set(files.map(({ path }) => folderOf(path)))];
  const saes = folders.filter((folder) => [SETTINGS, WEIGHTS].some((name) => names(folder).includes(name)));
  const items = [];
  for (const folder of saes) {
    const own = files.filter(({ file, path }) => folderOf(path) === folder && belongs(file.name));
    items.push({ name: folder.replace(/\/$/, "") || "SAE", files: own, role: "sae" });
  }
  const taken = new Set(items.flatMap((item) => item.files));
  const others = files.filter((one) => !taken.has(one) && !one.file.name.startsWith("."));
  const read = others.filter(({ file, path }) => !folderOf(path) || SUFFIXES.includes(suffixOf(file.name)));
  for (const one of read) items.push({ name: one.path, files: [one], role: "none" });
  if (items.length > MOST) {
    throw new InputError(`${grouped(items.length)} files are too many to choose from: give only x, x̂ and documents; sandbox measure reads folders of shards.`);
  }
  if (!items.length) throw new InputError(`Nothing there can be read here: this page reads ${SUFFIXES.join(" and ")} files, and SAEs with ${SETTINGS}.`);
  return { items, unread: others.length - read.length };
}

function belongs(name) {
  return name === WEIGHTS || name === SPARSITY || name.endsWith(".json");
}

const OF_X_HAT = /x_?hat|recon|sae_?out|(^|[\W_])hat([\W_]|$)|x̂/i;
const OF_X = /(^|[\W_])x([\W_]|$)|act|resid/i;

// Chooses the roles of the items that have been looked at and have none, from what they hold and from their names: only
// where a single one can be meant, because the measures do not tell x from x̂.
export function assigned(items, fresh) {
  const free = (role) => !items.some((item) => item.role === role);
  const arrays = fresh.filter(({ header }) => header);
  const saes = fresh.filter(({ role }) => role === "sae");
  if (saes.length) {
    for (const item of items) if (item.role === "sae" && !saes.includes(item)) item.role = "none"; // the latest counts
  }
  if (saes.length > 1) for (const item of saes) item.role = "none"; // the reader chooses
  const take = (role, candidates) => {
    const left = candidates.filter((item) => item.role === "none");
    if (left.length === 1 && free(role)) left[0].role = role;
  };
  const ids = ({ header }) => /^[IU]/.test(header.dtype) || isText(header.dtype);
  const holds = (whole) => arrays.filter((item) => ids(item) === whole);
  take("documents", holds(true));
  const floats = holds(false);
  const called = (item, pattern) => pattern.test(item.name.split("/").at(-1));
  const others = floats.filter((item) => !called(item, OF_X_HAT));
  if (free("sae")) take("x_hat", floats.filter((item) => called(item, OF_X_HAT)));
  take("x", others.filter((item) => called(item, OF_X)));
  if (free("sae") && !free("x")) take("x_hat", others); // what is left beside the other
  if (!free("x_hat") || !free("sae")) take("x", others);
}

// What will be measured, in words: who reads it sees what was taken for what.
export function understood(items) {
  const used = Object.keys(ROLES).filter((role) => role !== "none");
  const files = used.flatMap((role) => items.filter((item) => item.role === role).map(({ name }) => `${ROLES[role]} is ${name}`));
  return `Ready: ${files.join(", ")}.`;
}

// What is still missing, in words; "" if nothing is.
export function missing(items) {
  const of = (role) => items.filter((item) => item.role === role);
  for (const role of ["x", "x_hat", "documents", "sae"]) {
    if (of(role).length > 1) return `Two are used as ${ROLES[role]}: leave one out.`;
  }
  const [x, x_hat, sae] = [of("x")[0], of("x_hat")[0], of("sae")[0]];
  const refused = items.find(({ role, refused }) => role !== "none" && refused);
  if (refused) return `${refused.name} cannot be used: leave it out, or give another.`;
  if (x_hat && sae) return "There are x̂ and an SAE: leave one of them out.";
  const needed = [...(x ? [] : ["x"]), ...(x_hat || sae ? [] : ["x̂ or an SAE"])];
  if (!needed.length) return "";
  const spare = items.filter(({ role, header, description }) => role === "none" && (header || description)).length;
  const choose = spare ? " No name tells which file it is: choose under “use as”." : "";
  return `Still needed: ${needed.join(", and ")}.${choose}`;
}
