// A chart, what can be chosen of it, the row of the point that is looked at, and a table of all rows: each shows what
// another points at. The choices stand beside the chart, and on a phone below it, so that the chart is seen whole.
import { html } from "../../explorer/dom.js";
import { chart } from "./chart.js";
import { table } from "./table.js";

// `show({ chart, columns, rows, hint })` draws all three, with a hint below the chart; a row has { id, cells,
// facts: [[name, text], …], link, words }.
export function linked({ label, choices = [] }) {
  const hint = html("p", { class: "note" });
  const card = html("div", { class: "card" });
  const picture = chart({ label, onLook: looked, onChoose: choose });
  const list = table({ label: `${label}: every number`, onLook: looked, onChoose: choose });
  const node = html(
    "div",
    { class: "linked" },
    html("div", { class: "side-by-side" }, html("div", { class: "picture" }, picture.node, hint), html("div", {}, ...choices, card)),
    list.node,
  );
  let rows = [];
  let kept = null;

  function show(next) {
    rows = next.rows;
    hint.textContent = next.hint;
    picture.draw(next.chart);
    list.draw(next.columns, rows);
    if (!rows.some(({ id }) => id === kept)) kept = null;
    choose(kept);
  }

  function looked(id) {
    picture.look(id);
    list.look(id);
    tell(id ?? kept);
  }

  function choose(id) {
    kept = id;
    picture.choose(id);
    list.choose(id);
    tell(id);
  }

  function tell(id) {
    const row = rows.find((one) => one.id === id);
    if (!row) {
      card.replaceChildren(
        html(
          "p",
          { class: "note" },
          "Point at a point, or at a row of the table: its numbers appear here. A click or a tap keeps them.",
        ),
      );
      return;
    }
    const facts = row.facts.flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]);
    const to = html("button", { type: "button" }, "Its row in the table");
    to.addEventListener("click", () => (choose(id), list.focus(id)));
    const link = row.link ? [html("a", { class: "button", href: row.link }, "See it in the explorer")] : [];
    card.replaceChildren(
      html("h3", {}, row.words),
      html("dl", {}, ...facts),
      html("p", { class: "actions" }, ...link, to),
    );
  }

  tell(null);
  return { node, show };
}
