// The report as a reader sees it: the verdict, tables, what is undefined and why, a picture, and a file to keep.
import { measures } from "../../explorer/generated.js";
import { html } from "../../explorer/dom.js";
import { ORIGINS, PARTS, SAID_OF_BLOCKS } from "./generated.js";
import { lawInWords, lawRows } from "./law.js";
import { picture } from "./picture.js";
import { filled, grouped } from "./python.js";
import { inWords } from "./verdict.js";

// The nodes of a report; `signal` ends what they listen to.
export function shown({ entry, law }, signal) {
  const origins = Object.fromEntries(Object.keys(ORIGINS).filter((key) => entry[key]).map((key) => [key, entry[key]]));
  const gammas = Object.fromEntries(Object.entries(origins).map(([key, section]) => [key, section.relative_reconstruction_bias]));
  return [
    html("h2", {}, "Report"),
    html("p", { class: "verdict" }, inWords(entry.name, gammas, entry.raw.norm_ratio)),
    html("p", { class: "facts" }, factsOf(entry)),
    ...warnings(entry),
    html("p", { class: "facts" }, "Is it shrinkage, or has something gone wrong? ", html("a", { href: "read-your-report.html" }, "Read your report")),
    html("div", { class: "two" }, html("div", {}, measured(origins), undefinedOnes(origins)), html("div", {}, picture(`your ${entry.name}`, entry.raw, signal))),
    html("h2", {}, "Where the loss is"),
    parts(origins),
    html("p", { class: "facts" }, "The best common factor recovers only the last part. One factor per latent may recover some of each."),
    ...(law ? explained(law) : []),
    html("p", { class: "buttons" }, download(entry)),
  ];
}

function factsOf(entry) {
  const counted = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
  const documents = entry.blocks ? blocksInWords(entry.blocks) : counted(entry.documents, "document");
  return [
    ...(entry.complete ? [] : ["stopped early"]),
    counted(entry.tokens, "token"),
    ...(entry.dropped ? [`${grouped(entry.dropped)} not finite, left out`] : []),
    documents,
    ...(entry.l0 === null ? [] : [`L0 = ${entry.l0.toFixed(1)}`]),
    ...(entry.dtype ? [entry.dtype === "float32" ? `products in float32 (${entry.device})` : "computed in float64"] : []),
    entry.sae,
  ].join(" · ");
}

function blocksInWords({ number, tokens, pooled }) {
  const key = pooled ? "pooled" : number === 1 ? "block" : "blocks";
  return filled(SAID_OF_BLOCKS[key], { number: grouped(number), tokens: grouped(tokens) });
}

function warnings(entry) {
  const found = entry.findings.map(({ key, message }) => (key === "outliers" ? `${message}${withoutOutliers(entry)}` : message));
  const said = entry.blocks ? [filled(SAID_OF_BLOCKS.meaning, { blocks: blocksInWords(entry.blocks) })] : [];
  const line = (kind) => (text) => html("p", { class: `facts warning ${kind}` }, text);
  return [...found.map(line("found")), ...said.map(line(""))];
}

function withoutOutliers({ without_outliers: without }) {
  if (!without) return "";
  return `: then γ is ${figures(without.raw.relative_reconstruction_bias).join(", ")}; the report that you can download has every measure without them`;
}

export function value(number) {
  const size = Math.abs(number);
  const text = size && size < 5e-4 ? number.toExponential(1) : size >= 1e5 ? number.toExponential(3) : number.toFixed(4);
  return text.replaceAll("-", "−");
}

// The value of an estimate, and its interval.
export function figures(estimate) {
  if (estimate.value === null) return ["undefined", ""];
  const between = estimate.low === null ? "no interval" : `${value(estimate.low)} … ${value(estimate.high)}`;
  return [value(estimate.value), between];
}

function cell(estimate, ...more) {
  const [number, between] = figures(estimate);
  return html("td", {}, html("b", {}, number), html("small", {}, between), ...more.map((words) => html("small", {}, words)));
}

function table(name, head, rows) {
  // A column without a name holds words that a phone has no room for.
  const top = html("thead", {}, html("tr", {}, ...head.map((words) => html("th", { scope: "col", class: words ? "" : "about" }, words))));
  return html("div", { class: "wide" }, html("table", { class: "measured" }, html("caption", { class: "spoken" }, name), top, html("tbody", {}, ...rows)));
}

function measured(origins) {
  const rows = Object.entries(measures).map(([key, { plain, question, atOne }]) =>
    html(
      "tr",
      { "data-measure": key },
      html("th", { scope: "row", class: "measure", title: `${question}\n1 means: ${atOne}` }, html("b", {}, plain), html("small", {}, key.replaceAll("_", " "))),
      html("td", { class: "about" }, html("small", {}, question)),
      ...Object.values(origins).map((section) => cell(section[key])),
    ),
  );
  return table("Every measure, with its 95 % interval, from each origin", ["measure", "", ...Object.keys(origins).map((key) => ORIGINS[key])], rows);
}

// A line for each reason why values or intervals are missing.
function undefinedOnes(origins) {
  const lines = [];
  for (const [origin, section] of Object.entries(origins)) {
    const by = new Map();
    for (const [key, { reason }] of Object.entries(section)) if (reason) by.set(reason, [...(by.get(reason) ?? []), measures[key]?.plain ?? key.replaceAll("_", " ")]);
    for (const [reason, keys] of by) lines.push(html("li", {}, `${ORIGINS[origin]}: ${keys.join(", ")}: ${reason}`));
  }
  return lines.length ? html("ul", { class: "reasons" }, ...lines) : "";
}

function parts(origins) {
  const of = Object.entries(origins).filter(([, section]) => section.tokens_loss);
  const share = ({ value: of }) => (of === null ? "" : `${(100 * of).toFixed(1)} % of the loss`);
  const rows = Object.entries(PARTS).map(([key, [words, named]]) =>
    html("tr", {}, html("th", { scope: "row" }, words), ...of.map(([, section]) => cell(section[key], share(section[named])))),
  );
  return table("The parts of the loss", ["part of L/a", ...of.map(([key]) => ORIGINS[key])], rows);
}

function explained(law) {
  const rows = Object.values(lawRows(law)).map(({ words, estimate }) => html("tr", {}, html("th", { scope: "row" }, words), cell(estimate)));
  return [html("h2", {}, "Explained by the penalty, about b_dec"), html("p", {}, lawInWords(law)), table("What the penalty of training explains", ["of the law", "value"], rows)];
}

function download(entry) {
  const text = JSON.stringify({ saes: [entry], differences: [] }, null, 2);
  const file = `${entry.name.replace(/[^\w.-]+/g, "-")}-shrinkage.json`;
  const href = `data:application/json;charset=utf-8,${encodeURIComponent(text)}`;
  return html("a", { class: "button", download: file, href }, "Download the report (JSON)");
}
