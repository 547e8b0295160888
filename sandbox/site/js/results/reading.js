// The page "Read your report": fills in what `sandbox measure` said of each fault, the facts, and γ from a typed g.
import { html } from "../../explorer/dom.js";
import { measures } from "../../explorer/generated.js";
import { calculator } from "./calculator.js";
import { fixed } from "./estimates.js";
import { fetched } from "./files.js";
import { origins as ORIGINS, within } from "./words.js";

const BIAS = "relative_reconstruction_bias";

calculator(document.getElementById("g"), document.getElementById("gamma"));
fetched("reading").then(fill, (error) => {
  document
    .querySelector("h1")
    .after(html("p", { role: "alert" }, `The numbers of this page cannot be shown: ${error.message}.`));
});

function fill({ symptoms, facts, claim }) {
  for (const place of document.querySelectorAll("[data-fault]"))
    place.replaceChildren(...symptom(symptoms[place.dataset.fault]));
  for (const row of document.querySelectorAll("[data-factor]")) {
    const { raw } = symptoms[row.dataset.factor];
    row.firstElementChild.after(...[BIAS, "cosine"].map((key) => html("td", {}, fixed(raw[key][0], 3))));
  }
  for (const place of document.querySelectorAll("td[data-fact]")) {
    const [value, low, high] = facts[place.dataset.fact];
    place.textContent = fixed(value);
    place.after(html("td", {}, `${fixed(low)} to ${fixed(high)}`));
  }
  const values = {
    within: String(within),
    ...Object.fromEntries(Object.entries(facts).map(([name, [value]]) => [name, fixed(value)])),
  };
  for (const place of document.querySelectorAll("data[data-value]")) place.textContent = values[place.dataset.value];
  const widths = { few: symptoms.few_documents.raw[BIAS], many: symptoms.nothing.raw[BIAS] };
  for (const place of document.querySelectorAll("data[data-interval]")) {
    const [, low, high] = widths[place.dataset.interval];
    place.textContent = `${fixed(low, 3)} to ${fixed(high, 3)}`;
  }
  document.getElementById("claim").innerHTML = `${claim.number}: <math><mi>γ</mi><mo>=</mo>${claim.mathml}</math>`;
}

// What one sees: the verdict, γ from each origin and the measures beside it, and the warnings in the command's own words.
function symptom({ verdict, tokens, documents, findings, ...origins }) {
  const known = Object.keys(ORIGINS).filter((origin) => origins[origin]);
  const cell = ([value, low, high, reason]) =>
    value === null ? [reason] : [figures(value), html("small", {}, `${figures(low)} to ${figures(high)}`)];
  const row = (key) =>
    html(
      "tr",
      {},
      html("th", { scope: "row", title: measures[key].question }, measures[key].plain),
      ...known.map((origin) => html("td", {}, ...cell(origins[origin][key]))),
    );
  const table = html(
    "table",
    {},
    html("caption", { class: "unseen" }, "Measures by origin, with 95 % intervals"),
    html(
      "thead",
      {},
      html("tr", {}, html("td"), ...known.map((origin) => html("th", { scope: "col" }, ORIGINS[origin]))),
    ),
    html("tbody", {}, ...Object.keys(origins.raw).map(row)),
  );
  const warnings = findings.map(({ key, message }) => html("li", {}, html("code", {}, key), ` ${message}`));
  const said = warnings.length
    ? html("ul", { class: "findings" }, ...warnings)
    : html("p", { class: "note" }, "No warning.");
  const facts = html(
    "p",
    { class: "note" },
    `${tokens.toLocaleString("en")} tokens of ${documents} documents; verdict: `,
    html("b", {}, verdict),
  );
  return [facts, table, said];
}

// With the decimals of the report; of large numbers, fewer.
function figures(value) {
  return value === null ? "—" : fixed(value, Math.abs(value) < 10 ? 3 : 1);
}
