// The box for a claim of the reader's own, and what Python says of it.
import { html, shown, write } from "../../explorer/dom.js";
import { ask, onLoading, start, stop, there } from "../python/python.js";
import { formula, listed } from "./formulas.js";
import { settingsOf } from "./picture.js";
import { proofNodes } from "./proof.js";

const EXAMPLES = ["c/a * c/b == 1", "scale_x * scale_x_hat == cosine**2", "gamma < 1 => r < 1", "gamma_10 >= gamma", "r < 1 and rho > 0 => gamma < 1"];
const MISSING = "This copy of the site was made without Python, so it shows proofs but decides no claims (sandbox site OUT makes one with it).";

// `show` takes the picture to settings, and returns what it cannot show.
export function box(section, show) {
  const [form, answers] = [section.querySelector("form"), section.querySelector(".answers")];
  const [input, halt, state] = [form.querySelector("input"), form.querySelector(".stop"), form.querySelector(".state")];
  let since = 0; // when the question was asked
  let share = 0;
  let timer = 0;

  const buttons = EXAMPLES.map((text) => {
    const button = html("button", { type: "button", class: "example" }, text);
    button.addEventListener("click", () => ((input.value = text), submit()));
    return button;
  });
  form.querySelector(".examples").append(...buttons);
  input.value = new URLSearchParams(location.search).get("claim") ?? "";
  if (!there) {
    for (const control of form.querySelectorAll("input, button")) control.disabled = true;
    return write(state, MISSING);
  }
  for (const kind of ["focusin", "pointerenter"]) form.addEventListener(kind, start, { once: true });
  onLoading((now) => ((share = now), tick()));
  form.addEventListener("submit", (event) => (event.preventDefault(), submit()));
  halt.addEventListener("click", stop);

  async function submit() {
    const claim = input.value.trim();
    if (!claim) return write(state, "Write a claim first, or take one of the examples.");
    if (since) stop();
    const mine = (since = performance.now());
    halt.hidden = false;
    clearInterval(timer);
    timer = setInterval(tick, 100);
    tick();
    let words = "";
    try {
      const told = await ask({ ask: "check", claim });
      if (told.refused) words = `Not a claim: ${told.refused}`;
      else answers.prepend(answer(claim, told, show));
    } catch (error) {
      words = error.message === "stopped" ? "Stopped." : error.message;
    }
    if (mine !== since) return; // another question has taken its place
    [since, halt.hidden] = [0, true];
    clearInterval(timer);
    write(state, words);
  }

  function tick() {
    if (!since) return;
    const seconds = `${shown((performance.now() - since) / 1000, 1)} s`;
    write(state, share < 1 ? `Loading Python, once: ${Math.round(100 * share)} %, ${seconds}` : `Thinking: ${seconds}`);
  }
}

function answer(claim, told, show) {
  const title = html("h3", {}, html("code", {}, claim), ` ${told.headline}.`);
  const node = html("article", { class: `answer ${told.verdict}` }, title);
  for (const pair of told.pairs) node.append(...pairNodes(pair, show));
  if (told.free?.length) node.append(html("p", {}, "With ", ...listed(told.free.map(([name, value]) => html("span", {}, formula(name), " = ", formula(value))))));
  for (const { terms, sign, holds } of told.statements ?? []) {
    const said = html("span", {}, formula(terms[0]), ` ${sign} `, formula(terms[1]));
    node.append(html("p", { class: "says" }, "There it says ", said, holds ? ", which is true." : ", which is false."));
  }
  if (told.proof) node.append(...proofNodes(told.proof));
  if (told.notes.length) node.append(html("ul", { class: "notes" }, ...told.notes.map((note) => html("li", {}, note))));
  if (told.pairs.length) show(settingsOf(told.pairs[0].x.numbers, told.pairs[0].x_hat.numbers));
  return node;
}

function pairNodes({ name, x, x_hat, measures }, show) {
  const vector = (label, { exact }) => html("span", {}, `${label} = (`, ...listed(exact.map(formula)), ")");
  const button = html("button", { type: "button" }, "Show in the picture");
  const trouble = html("span", { role: "status" });
  button.addEventListener("click", () => write(trouble, show(settingsOf(x.numbers, x_hat.numbers))));
  const rows = measures.map(({ plain, exact, value, undefined: why }) =>
    html("tr", {}, html("th", { scope: "row" }, plain), html("td", {}, ...(why ? [`undefined: ${why}`] : [formula(exact)])), html("td", {}, why ? "" : shown(value))),
  );
  return [
    html("p", {}, "It fails at ", vector("x", x), ", ", vector(name, x_hat), ". ", button, " ", trouble),
    html("details", {}, html("summary", {}, `Every measure of ${name} there`), html("table", {}, html("tbody", {}, ...rows))),
  ];
}
