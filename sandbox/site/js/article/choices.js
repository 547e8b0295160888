// A prediction in words: the reader chooses one of a scene's answers before the scene tells which is right.
import { html, write } from "../../explorer/dom.js";

// `section` may hold a `.predict` with labelled radio buttons, one of them in a label with `data-right`. Returns a
// function that is told whether the answer is shown.
export function choices(section, signal) {
  const group = section.querySelector(".predict");
  if (!group) return () => {};
  const question = section.querySelector(".question");
  question.id = `question-${section.id}`;
  group.setAttribute("aria-labelledby", question.id);
  const radios = [...group.querySelectorAll("input")];
  for (const radio of radios) radio.name = section.id;
  const verdict = html("p", { class: "verdict" });
  section.querySelector(".answer")?.prepend(verdict);

  return (told) => {
    const chosen = radios.find((radio) => radio.checked)?.closest("label");
    for (const radio of radios) radio.disabled = told;
    const right = chosen && "right" in chosen.dataset;
    verdict.hidden = !chosen;
    if (told && chosen) write(verdict, `You predicted “${chosen.textContent.trim()}”: ${right ? "right" : "not so"}.`);
  };
}
