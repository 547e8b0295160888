// Every measure: its formula with the current numbers, its value, and a bar with a mark at 1.
import { measures } from "./generated.js";
import { clamp, html, shown, toggle, write } from "./dom.js";
import { interval } from "./population.js";

const BAR = [-1, 2.2]; // the values a bar spans

export function table() {
  const rows = Object.entries(measures).map(([key, measure]) => row(key, measure));
  const moments = ["a", "b", "c"].map((name) => html("data", { "data-moment": name }));
  const names = ["a = E‖x‖² = ", "b = E‖x̂‖² = ", "c = E[x·x̂] = "];
  const whose = html("small"); // for the heading
  const head = html("p", { class: "moments" }, ...moments.map((value, i) => html("span", {}, names[i], value)));
  const body = html("tbody", { role: "rowgroup" }, ...rows.map(({ node }) => node));
  const titles = ["measure", "formula with current numbers", "value, with 1 marked"];
  // The roles are spelled out for where the style sheet makes a list of the table, which would drop them.
  const top = html("thead", { role: "rowgroup" }, html("tr", { role: "row" }, ...titles.map((title) => html("th", { scope: "col", role: "columnheader" }, title))));
  const node = html("div", { class: "measures" }, head, html("table", { role: "table" }, top, body));

  let turn = 0;
  function draw({ moments: now, values, population }) {
    for (const { key, draw: drawRow } of rows) drawRow(values[key], population && interval(measures[key], population));
    rows[turn++ % rows.length].detail(now); // one formula a frame: typesetting all takes longer than the picture
  }

  function detail({ moments: now, population, merged }) {
    const many = population ? `${population.n.toLocaleString("en")} pairs` : merged && `${merged.points.length} points`;
    write(whose, many ? `pooled over ${many}` : "of the arrows x and x̂");
    moments.forEach((data, i) => valued(data, now[i], 3));
    for (const { detail: detailRow } of rows) detailRow(now);
  }

  return { node, whose, draw, detail };
}

function row(key, measure) {
  const formula = typeset(measure);
  const slots = [...formula.querySelectorAll("mi")].filter((mi) => "abc".includes(mi.textContent));
  const of = slots.map((slot) => "abc".indexOf(slot.textContent));
  const symbol = typeset(measure);
  symbol.className = "symbol";
  const value = html("data");
  const reason = html("span", { class: "reason" });
  const range = html("span", { class: "interval" });
  const bar = html("div", { class: "bar", "aria-hidden": "true" }, html("i"), html("b"));
  const name = html("th", { scope: "row", role: "rowheader", title: `${measure.question}\n1 means: ${measure.atOne}` });
  name.append(html("strong", {}, measure.plain), html("small", {}, key.replaceAll("_", " ")));
  const numbers = html("span", { class: "substituted" }, "= ", formula);
  const equation = html("td", { class: "formula", role: "cell" }, html("div", {}, symbol, numbers, reason));
  const figures = html("div", {}, html("span", {}, value, range), bar);
  const node = html("tr", { "data-measure": key, role: "row" }, name, equation, html("td", { class: "figures", role: "cell" }, figures));
  const [fill, spread] = bar.children;
  bar.style.setProperty("--one", `${(100 * (1 - BAR[0])) / (BAR[1] - BAR[0])}%`);
  const share = (number) => (clamp(number, ...BAR) - BAR[0]) / (BAR[1] - BAR[0]);

  function draw({ value: number, reason: why }, ends) {
    const known = number !== null;
    node.classList.toggle("undefined", !known);
    write(reason, why ?? "");
    for (const part of [numbers, bar]) toggle(part, known);
    valued(value, known ? number : null, 4);
    write(range, known && ends ? `${shown(ends[0])} … ${shown(ends[1])}` : "");
    if (!known) return;
    const [zero, end] = [share(0), share(number)];
    fill.style.transform = `translateX(${100 * Math.min(zero, end)}%) scaleX(${Math.abs(end - zero)})`;
    toggle(spread, Boolean(ends));
    if (ends) {
      const [low, high] = ends.map(share);
      spread.style.transform = `translateX(${100 * low}%) scaleX(${Math.max(high - low, 0.004)})`;
    }
  }

  const detail = (moments) => slots.forEach((slot, i) => write(slot, substituted(moments[of[i]])));
  return { key, node, draw, detail };
}

function typeset(measure) {
  const node = html("span");
  node.innerHTML = `<math displaystyle="true">${measure.mathml}</math>`; // generated from the registry
  // Without a font for mathematics, the slanted letters that browsers take for these would be empty boxes.
  for (const letter of node.querySelectorAll("mi")) letter.setAttribute("mathvariant", "normal");
  // Some fonts stretch brackets to twice the height of what they enclose; no formula here encloses a fraction.
  for (const sign of node.querySelectorAll("mo")) if ("()".includes(sign.textContent)) sign.setAttribute("stretchy", "false");
  return node;
}

// A number in place of a letter, in brackets if negative.
function substituted(number) {
  const text = shown(number, Math.abs(number) < 0.01 && number ? 5 : 3);
  return number < 0 ? `(${text})` : text;
}

export function valued(data, number, digits) {
  data.value = number === null ? "" : String(number);
  write(data, number === null ? "undefined" : shown(number, digits));
}
