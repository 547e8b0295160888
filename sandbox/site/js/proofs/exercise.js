// The steps of a claim as questions: the reader types the missing term, and Python judges it.
import { html, write } from "../../explorer/dom.js";
import { clock } from "../python/clock.js";
import { ask } from "../python/python.js";
import { chain } from "./formulas.js";
import { stepNode } from "./proof.js";

// `done` is called once no question is left.
export function exercise(claim, done) {
  const asked = html("div", { class: "question" });
  const input = html("input", { type: "text", "aria-label": "your next term", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  const hint = html("button", { type: "button" }, "Hint");
  const solve = html("button", { type: "button" }, "Show the step");
  const words = html("p", { class: "reply", role: "status" });
  const form = html("form", { class: "field" }, input, html("button", { type: "submit" }, "Answer"), hint, solve);
  const node = html("section", { class: "exercise", "aria-label": `exercise on ${claim}`, tabindex: -1 }, asked, form, words);
  let at = 0;
  let question = null;

  async function go(more) {
    const end = clock(words);
    try {
      const told = await ask({ ask: "exercise", claim, at, ...more });
      if (told.refused) return end(told.refused);
      words.classList.toggle("right", Boolean(told.right));
      end(told.words);
      if (told.solution) words.append(html("ol", { class: "steps" }, stepNode(told.solution)));
      if (told.right !== false) shown(told);
    } catch (error) {
      end(error.message);
    }
  }

  function shown(told) {
    const moved = told.at !== at || !question;
    [at, question] = [told.at, told.question];
    if (!moved) return;
    input.value = "";
    if (!question && form.contains(document.activeElement)) node.focus();
    form.hidden = !question;
    if (!question) {
      done();
      return asked.replaceChildren(html("p", {}, `Done: ${told.claim}`));
    }
    const blank = html("span", { class: "blank", "aria-label": "the missing term" }, "?");
    asked.replaceChildren(
      html("p", { class: "reason" }, `Question ${at + 1} of ${told.of}. ${question.reason}`),
      chain(question, blank),
      html("p", { class: "names" }, `Answer in ${question.names.join(", ")}.`),
    );
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) go({ answer: input.value });
  });
  hint.addEventListener("click", () => question && write(words, question.hint));
  solve.addEventListener("click", () => go({ show: true }));
  go({});
  return node;
}
