// The page of proofs: a cell for each claim, the box for one's own, and the picture beside them.
import { presets } from "../../explorer/generated.js";
import { html, write } from "../../explorer/dom.js";
import { clock } from "../python/clock.js";
import { ask, there } from "../python/python.js";
import { box } from "./box.js";
import { exercise } from "./exercise.js";
import { meantBy } from "./formulas.js";
import { picture } from "./picture.js";
import { proofNodes } from "./proof.js";

const { signal } = new AbortController();
const reading = document.querySelector(".reading");
const beside = picture(document.querySelector(".beside"), () => {}, signal);
box(document.querySelector(".own"), beside.show);
pointing();
const loaded = await fetch(new URL("../../data/proofs.json", import.meta.url));
const cells = (await loaded.json()).map(cell);
document.querySelector(".claims").replaceChildren(...cells);
turn("instant"); // a page that opens at a claim does not scroll past all those before it
addEventListener("hashchange", () => turn("auto"));

function cell(proof) {
  const { number, claim, preset } = proof;
  const body = html("div", { class: "body" });
  const node = html("details", { class: "cell", id: number }, html("summary", {}, html("b", {}, number), " ", html("span", { class: "said" }, claim)), body);
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    history.replaceState(history.state, "", `#${number}`); // the address to share, and where Back leads
    if (!body.children.length) fill(node, body, proof);
    const { state } = presets.find(({ key }) => key === preset);
    beside.show({ angle: state.angle, norm_ratio: state.norm_ratio, norm_x: state.norm_x });
  });
  return node;
}

function fill(node, body, proof) {
  const steps = html("div", { class: "proof" }, ...proofNodes(proof, 1));
  const again = html("button", { type: "button" }, "Prove it again, here");
  const asked = proof.steps.filter(({ hint }) => hint).length;
  const find = html("button", { type: "button" }, `Find ${asked} of its ${proof.steps.length} steps yourself`);
  const said = html("span", { role: "status" });
  const bar = html("p", { class: "turn" });
  if (there) bar.append(again, ...(asked ? [find] : []), " ", said);
  again.addEventListener("click", async () => {
    if (again.ariaDisabled) return;
    again.ariaDisabled = "true"; // not `disabled`, which would drop the focus
    const end = clock(said);
    try {
      const fresh = await ask({ ask: "prove", claim: proof.number });
      steps.replaceChildren(...proofNodes(fresh));
      end((seconds) => `Proven by SymPy in this browser, in ${seconds}.`);
    } catch (error) {
      end(error.message);
    }
    again.ariaDisabled = null;
  });
  find.addEventListener("click", () => {
    steps.hidden = true;
    const heading = node.querySelector("summary .said");
    write(heading, "(The claim is hidden while you find its steps.)"); // it often says what is asked
    const place = exercise(proof.number, () => write(heading, proof.claim));
    find.replaceWith(place);
    place.focus();
  });
  body.append(bar, steps);
}

// Opens the claim that the address names.
function turn(behavior) {
  const asked = location.hash.slice(1, 41);
  const node = cells.find(({ id }) => id === asked.toUpperCase());
  if (node) {
    node.open = true;
    node.scrollIntoView({ block: "start", behavior });
  } else if (asked && !document.getElementById(asked)) {
    write(document.querySelector(".no-claim"), `The address asks for “${asked}”: the claims are C1 to ${cells.at(-1).id}.`);
  }
}

// Whatever is pointed at or touched in a formula is shown in the picture.
function pointing() {
  let lit = null;
  const light = (event) => {
    const meant = event.target.closest?.("math") ? meantBy(event.target) : null;
    if (meant?.node === lit) return;
    lit?.classList.remove("pointed");
    lit = meant?.node ?? null;
    lit?.classList.add("pointed");
    if (meant || event.type === "pointerover") beside.point(meant?.key ?? null);
  };
  for (const kind of ["pointerover", "click"]) reading.addEventListener(kind, light, { signal });
}
