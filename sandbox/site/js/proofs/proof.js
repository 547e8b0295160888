// A proof on the page: what is given, then its steps, which open one at a time.
import { html, write } from "../../explorer/dom.js";
import { chain, formula, listed } from "./formulas.js";

// The nodes of a proof. `shown` is the number of steps to begin with.
export function proofNodes({ given, steps, end }, shown = steps.length) {
  const list = html("ol", { class: "steps" }, ...steps.map(stepNode));
  const last = html("p", { class: "end", hidden: "", tabindex: -1 }, `∎ ${end}`);
  const next = html("button", { type: "button" }, "Next step");
  const all = html("button", { type: "button" }, "Show all");
  const bar = html("p", { class: "turn" }, next, all);
  let count = 0;
  const open = (upTo) => {
    count = Math.min(upTo, steps.length);
    for (const [i, node] of [...list.children].entries()) node.hidden = i >= count;
    const done = count === steps.length;
    last.hidden = !done;
    if (done && bar.contains(document.activeElement)) last.focus({ preventScroll: true });
    bar.hidden = done;
    write(next, count ? `Next step (${count + 1} of ${steps.length})` : "First step");
  };
  next.addEventListener("click", () => {
    open(count + 1);
    list.children[count - 1].scrollIntoView({ block: "nearest" });
  });
  all.addEventListener("click", () => open(steps.length));
  open(shown);
  const notes = given.map(([words, formulas]) => html("p", { class: "given" }, words, ...listed(formulas.map(formula))));
  return [...notes, list, bar, last];
}

export function stepNode(step) {
  return html("li", {}, html("p", { class: "reason" }, step.reason), chain(step));
}
