// A table that sorts by any column, and whose rows can be looked at and chosen like a chart's points.
//
// table({ label, onLook, onChoose }) returns { node, draw, look, choose, focus }. `draw(columns, rows)` takes columns
// { key, name, title } and rows { id, cells: { [key]: { text, value, node, title } } }; the first column names the row.
import { html } from "../../explorer/dom.js";

export function table({ label, onLook = () => {}, onChoose = () => {} }) {
  const body = html("tbody");
  const head = html("tr");
  const grid = html(
    "table",
    { class: "numbers" },
    html("caption", { class: "unseen" }, label),
    html("thead", {}, head),
    body,
  );
  const node = html("div", { class: "wide rows", role: "region", tabindex: 0, "aria-label": label }, grid);
  let [columns, rows] = [[], []];
  let order = { key: null, rising: true };
  let [looked, chosen] = [null, null];

  function draw(nextColumns, nextRows) {
    const before = document.activeElement?.dataset?.sort; // a header keeps the focus while its column stays
    [columns, rows] = [nextColumns, nextRows];
    if (!columns.some(({ key }) => key === order.key)) order = { key: null, rising: true };
    head.replaceChildren(...columns.map(header));
    body.replaceChildren(...sorted().map(row));
    mark();
    if (before) head.querySelector(`[data-sort="${before}"]`)?.focus();
  }

  function header({ key, name, title }) {
    const button = html("button", { type: "button", "data-sort": key, ...(title ? { title } : {}) }, name);
    const now = order.key === key ? (order.rising ? "ascending" : "descending") : "none";
    button.addEventListener("click", () => {
      order = { key, rising: order.key === key ? !order.rising : true };
      draw(columns, rows);
    });
    return html("th", { scope: "col", "aria-sort": now }, button);
  }

  function row({ id, cells }) {
    const line = html("tr", { "data-id": id });
    columns.forEach(({ key }, i) => {
      const cell = cells[key] ?? { text: "" };
      if (i) return line.append(html("td", cell.title ? { title: cell.title } : {}, cell.node ?? cell.text));
      const button = html("button", { type: "button", class: "plain" }, cell.text);
      line.append(html("th", { scope: "row" }, ...(cell.node ? [cell.node] : []), button));
    });
    line.addEventListener("pointerenter", () => see(id));
    line.addEventListener("pointerleave", () => see(null));
    line.addEventListener("focusin", () => see(id));
    line.addEventListener("focusout", () => see(null));
    line.addEventListener("click", (event) => event.target.closest("a") || keep(id));
    return line;
  }

  // Values that are missing come last, whichever way.
  function sorted() {
    if (order.key === null) return rows;
    const value = ({ cells }) => cells[order.key]?.value ?? cells[order.key]?.text ?? null;
    const sign = order.rising ? 1 : -1;
    return [...rows].sort((first, second) => {
      const [p, q] = [value(first), value(second)];
      if (p === null || q === null) return (p === null) - (q === null);
      return sign * (typeof p === "number" ? p - q : String(p).localeCompare(String(q)));
    });
  }

  function see(id) {
    if (id === looked) return;
    look(id);
    onLook(id);
  }

  function keep(id) {
    choose(id);
    onChoose(id);
  }

  function look(id) {
    looked = id;
    mark();
  }

  // The chosen row is brought into sight inside the table's own frame: the page stays where it is.
  function choose(id) {
    chosen = id;
    mark();
    const line = lineOf(id);
    if (!line) return;
    const [top, bottom] = [line.offsetTop - head.offsetHeight, line.offsetTop + line.offsetHeight];
    if (top < node.scrollTop || bottom > node.scrollTop + node.clientHeight)
      node.scrollTop = top - node.clientHeight / 3;
  }

  function focus(id) {
    lineOf(id)?.querySelector("button").focus();
  }

  function lineOf(id) {
    return [...body.children].find((line) => line.dataset.id === String(id));
  }

  function mark() {
    for (const line of body.children) {
      line.classList.toggle("looked", line.dataset.id === String(looked));
      line.classList.toggle("chosen", line.dataset.id === String(chosen));
      if (line.dataset.id === String(chosen)) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    }
  }

  return { node, draw, look, choose, focus };
}
