// What the reader has given: arrays and SAEs, with the role of each.
import { SETTINGS, WEIGHTS } from "./sae.js";

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

// The files as items: those of a folder with an SAE are one. The others of such a folder belong to it.
export function itemsOf(files) {
  const names = (folder) => files.filter(({ path }) => folderOf(path) === folder).map(({ file }) => file.name);
  const folders = [...new Set(files.map(({ path }) => folderOf(path)))];
  const saes = folders.filter((folder) => [SETTINGS, WEIGHTS].some((name) => names(folder).includes(name)));
  const items = [];
  for (const folder of saes) {
    // Without a folder around it, only what an SAE consists of: the reader may have chosen x with it.
    const own = files.filter(({ file, path }) => folderOf(path) === folder && (folder || belongs(file.name)));
    items.push({ name: folder.replace(/\/$/, "") || "SAE", files: own, role: "sae" });
  }
  const taken = new Set(items.flatMap((item) => item.files));
  for (const one of files) if (!taken.has(one) && !one.file.name.startsWith(".")) items.push({ name: one.path, files: [one], role: "none" });
  return items;
}

function belongs(name) {
  return name === WEIGHTS || name.endsWith(".json");
}

// Chooses the roles of the items that have been looked at and have none, from what they hold and from their names.
export function assigned(items, fresh) {
  const free = (role) => !items.some((item) => item.role === role);
  const arrays = fresh.filter(({ header }) => header);
  if (fresh.some(({ role }) => role === "sae")) {
    for (const item of items) if (item.role === "sae" && !fresh.includes(item)) item.role = "none"; // the latest counts
  }
  const take = (item, role) => {
    if (item && item.role === "none" && free(role)) item.role = role;
  };
  const holds = (kind) => arrays.filter(({ header }) => /^[IU]/.test(header.dtype) === kind);
  for (const item of holds(true)) take(item, "documents");
  const floats = holds(false);
  const named = (pattern) => floats.find(({ name, role }) => role === "none" && pattern.test(name));
  if (free("sae")) take(named(/hat|recon|out|x̂/i), "x_hat");
  take(named(/(^|\W|_)x(\W|_|$)|act|resid/i), "x");
  for (const item of floats) take(item, "x");
  if (free("sae")) for (const item of floats) take(item, "x_hat");
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
  return needed.length ? `Still needed: ${needed.join(", and ")}.` : "";
}
