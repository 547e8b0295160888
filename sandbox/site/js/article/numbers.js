// Numbers in the text and beside the picture.
import { measures } from "../../explorer/generated.js";
import { clamp, html, shown, toggle, write } from "../../explorer/dom.js";
import { comparesWithOne, digitsOf, nameOf, unitOf } from "./facts.js";

const BAR = 2; // the value at which a bar ends

// Fills the <data data-show="name"> of a part of the text, and shows each data-if="name" only where that holds.
export function numbersIn(root) {
  const nodes = [...root.querySelectorAll("[data-show]")];
  const conditions = [...root.querySelectorAll("[data-if]")];
  return (facts) => {
    for (const node of conditions) toggle(node, Boolean(facts[node.dataset.if]));
    for (const node of nodes) {
      const value = facts[node.dataset.show];
      node.value = value == null ? "" : String(value);
      write(node, value == null ? (value === null ? "undefined" : "…") : worded(node, value)); // … still loads
    }
  };
}

function worded(node, value) {
  const key = node.dataset.show;
  const digits = node.dataset.digits ?? (Number.isInteger(value) && ["n", "tokens_left_out", "batch"].includes(key) ? 0 : digitsOf(key));
  return shown(value, Number(digits)) + unitOf(key);
}

// The formulas of the measures, as the registry typesets them.
export function formulasIn(root) {
  for (const node of root.querySelectorAll("[data-formula]")) {
    node.innerHTML = `<math>${measures[node.dataset.formula].mathml}</math>`; // generated from the registry
  }
}

// A row for each number: its name, its value, and a bar with a mark at 1. Where the `names` alone would give the answer
// away, those that are told come with it.
export function readout({ open, told, names = "seen" }) {
  const rows = [...open, ...told].map((key) => {
    const data = html("data", { "data-read": key });
    const bar = html("span", { class: "bar", "aria-hidden": "true" }, html("i"));
    const row = html("div", { class: `row ${key}` }, html("span", { class: "name" }, nameOf(key)), data, bar);
    toggle(bar, comparesWithOne(key));
    return { key, data, row, fill: bar.firstChild, secret: told.includes(key) };
  });
  const node = html("div", { class: "readout" }, ...rows.map(({ row }) => row));

  function draw(facts, answered) {
    for (const { key, data, row, fill, secret } of rows) {
      const value = facts[key] ?? null;
      const hidden = secret && !answered;
      row.classList.toggle("secret", hidden);
      row.style.visibility = hidden && names === "secret" ? "hidden" : "";
      data.value = hidden || value === null ? "" : String(value);
      write(data, hidden ? "?" : value === null ? "undefined" : shown(value, digitsOf(key)) + unitOf(key));
      fill.style.transform = `scaleX(${hidden || value === null ? 0 : clamp(value / BAR, 0, 1)})`;
    }
  }

  return { node, draw };
}
