// The box for a claim of the reader's own, and what Python says of it.
import { html, shown, write } from "../../explorer/dom.js";
import { clock } from "../python/clock.js";
import { REPLACED, ask, start, there } from "../python/python.js";
import { formula, listed } from "./formulas.js";
import { settingsOf } from "./picture.js";
import { proofNodes } from "./proof.js";

const EXAMPLES = ["c/a * c/b == 1", "scale_x * scale_x_hat == cosine**2", "gamma < 1 => r < 1", "gamma_10 >= gamma", "r < 1 and rho > 0 => gamma < 1"];
const MISSING = "This copy of the site was made without Python, so it shows proofs but decides no claims (sandbox site OUT makes one with it).";

// `show` takes the picture to settings, and returns what it cannot show.
export function box(section, show) {
  const [form, answers] = [section.querySelector("form"), section.querySelector(".answers")];
  const [input, halt, status] = [form.querySelector("input"), form.querySelector(".stop"), form.querySelector("[role=status]")];
  const put = list(answers, show);
  let asking = null; // the claim that is being decided, and what stops that

  const buttons = EXAMPLES.map((text) => {
    const button = html("button", { type: "button", class: "example" }, text);
    button.addEventListener("click", () => ((input.value = text), submit()));
    return button;
  });
  form.querySelector(".examples").append(...buttons);
  input.value = new URLSearchParams(location.search).get("claim") ?? "";
  if (!there) {
    for (const control of form.querySelectorAll("input, button")) control.disabled = true;
    return write(status, MISSING);
  }
  for (const kind of ["focusin", "pointerenter"]) form.addEventListener(kind, start, { once: true });
  form.addEventListener("submit", (event) => (event.preventDefault(), submit()));
  halt.addEventListener("click", () => asking?.stop.abort());

  async function submit() {
    const claim = input.value.trim();
    if (!claim) return write(status, "Write a claim first, or take one of the examples.");
    if (claim === asking?.claim) return; // an impatient second click
    asking?.stop.abort(REPLACED);
    const mine = (asking = { claim, stop: new AbortController() });
    halt.hidden = false;
    const end = clock(status);
    let words = "";
    try {
      const told = await ask({ ask: "check", claim }, mine.stop.signal);
      if (told.refused) words = `Not a claim: ${told.refused}`;
      else {
        put(claim, told);
        words = (seconds) => `Decided in ${seconds}: it ${told.headline}.`;
      }
    } catch (error) {
      words = error.message === "stopped" ? "Stopped." : error.message;
    }
    if (mine !== asking) return end(null); // another claim has taken its place
    asking = null;
    end(words);
    if (document.activeElement === halt) input.focus();
    halt.hidden = true;
  }
}

// The results, newest first: only that is open, so that the page below stays where it is.
function list(place, show) {
  const clear = html("button", { type: "button", hidden: "" }, "Remove all results");
  const nodes = () => [...place.querySelectorAll(".answer")];
  place.append(clear);
  clear.addEventListener("click", () => remove(...nodes()));

  function remove(...some) {
    for (const node of some) node.remove();
    clear.hidden = nodes().length < 2;
    document.getElementById("claim").focus();
  }

  return (claim, told) => {
    for (const old of nodes()) {
      if (old.dataset.claim === claim) old.remove();
      else old.open = false;
    }
    const gone = html("button", { type: "button" }, "Remove");
    const node = answer(claim, told, show, gone);
    gone.addEventListener("click", () => remove(node));
    place.prepend(node);
    clear.hidden = nodes().length < 2;
  };
}

function answer(claim, told, show, gone) {
  const title = html("summary", {}, html("h3", {}, html("code", {}, claim), ` ${told.headline}.`));
  const node = html("details", { class: `answer ${told.verdict}`, open: "", "data-claim": claim }, title);
  for (const pair of told.pairs) node.append(...pairNodes(pair, show));
  if (told.free?.length) node.append(html("p", {}, "With ", ...listed(told.free.map(([name, value]) => html("span", {}, formula(name), " = ", formula(value))))));
  for (const { terms, sign, holds } of told.statements ?? []) {
    const said = html("span", {}, formula(terms[0]), ` ${sign} `, formula(terms[1]));
    node.append(html("p", { class: "says" }, "There it says ", said, holds ? ", which is true." : ", which is false."));
  }
  if (told.proof) node.append(...proofNodes(told.proof));
  if (told.notes.length) node.append(html("ul", { class: "notes" }, ...told.notes.map((note) => html("li", {}, note))));
  node.append(html("p", { class: "turn" }, gone));
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
