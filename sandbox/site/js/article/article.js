// The argument: scenes of text beside one picture, which changes as the reader scrolls.
import { controls, measures } from "../../explorer/generated.js";
import { html, shown, write } from "../../explorer/dom.js";
import { loop } from "../../explorer/loop.js";
import { keyed, tipMoved, xMoved } from "../../explorer/moves.js";
import { parabolas } from "../../explorer/parabolas.js";
import { sceneOf } from "../../explorer/scene.js";
import { same, sorted, toAddress } from "../../explorer/state.js";
import { choices } from "./choices.js";
import { curve } from "./curve.js";
import { factsOf, nameOf } from "./facts.js";
import { glider } from "./glide.js";
import { formulasIn, numbersIn } from "./numbers.js";
import { moved, rescaled, scenes, underPenalty } from "./scenes.js";
import { stage } from "./stage.js";
import { teachers } from "./teachers.js";
import { terms } from "./terms.js";
import { asked } from "./view.js";

const PANELS = { parabolas, curve };
const { signal } = new AbortController();
const view = asked(location.search, scenes.length);
const sections = [...document.querySelectorAll(".scene")];
const texts = sections.map(textOf);
const states = scenes.map(({ first }) => first);
let current = view.scene ? view.scene - 1 : 0;
let drawn = null; // the scene of the last frame
let addressed = current; // the scene that the page's address names
let forTeachers = () => {}; // writes the links for teachers anew
let keeping = 0; // the timer of what is kept for later
let displayed = null; // its state, which may still be on its way to the scene's

const act = {
  now: () => states[current],
  seen: () => states[current],
  commit: settled,
  moveTip: (point) => move(tipMoved(states[current], point), point),
  moveX: (u) => move(xMoved(states[current], u)),
  key(handle, direction, fine) {
    const [scene, state] = [scenes[current], states[current]];
    move(handle === "x" || !scene.key ? keyed(state, handle, direction, fine) : scene.key(state, direction, fine));
    settled();
  },
};
const glide = glider((state) => {
  displayed = state;
  frames.soon();
}, signal);
const root = document.querySelector(".stage");
const picture = stage(
  root,
  scenes,
  act,
  { go, read: () => showText(current), reset: () => glideTo(scenes[current].first), now: () => drawn, guessed: () => frames.soon(), recoloured, arrived: () => frames.finish() },
  signal,
);
const frames = loop({ draw, read: () => picture.detail(drawn), finish: rest }, signal);

// A scene's part of the text: its numbers, its figure, its answer and its links.
function textOf(section, index) {
  const answer = section.querySelector(".answer");
  const button = section.querySelector(".ask");
  const panels = [...section.querySelectorAll("[data-panel]")].map((node) => {
    const panel = PANELS[node.dataset.panel]();
    node.classList.add("shrinkage-explorer");
    node.prepend(panel.node);
    return { ...panel, frame: node };
  });
  const sliders = [...section.querySelectorAll("[data-slider]")].map((node) => slider(node, index));
  formulasIn(section);
  if (scenes[index].ghost) answer.prepend(html("p", { class: "verdict", "data-if": "untouched" }, "You have not moved the ring."));
  if (scenes[index].chart) answer.prepend(html("p", { class: "verdict", "data-if": "untouched" }, "You have not moved the rings."));
  button.addEventListener("click", () => tell(index, button.getAttribute("aria-expanded") !== "true"), { signal });
  section.addEventListener("focusin", () => turnTo(index), { signal });
  const jump = html("button", { type: "button", class: "jump" }, "To the picture");
  jump.addEventListener("click", () => showPicture(index), { signal });
  button.after(jump);
  const write = numbersIn(section);
  return { section, answer, button, panels, sliders, chosen: choices(section, signal), numbers: write, link: section.querySelector(".open"), told: false };
}

function slider(node, index) {
  const { label, low, high, step, key_step, unit } = controls[node.dataset.slider];
  const name = node.dataset.slider;
  const input = html("input", { type: "range", name, min: low, max: high, step: "any" });
  const value = html("data", {});
  node.append(html("label", {}, html("span", {}, label), input, value));
  const take = (number) => {
    turnTo(index);
    move(name === "penalty" ? underPenalty(states[index], number) : { [name]: number });
  };
  input.addEventListener("input", () => take(input.valueAsNumber), { signal });
  input.addEventListener("change", settled, { signal });
  input.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    take(Math.min(Math.max(+(input.valueAsNumber + by * (event.shiftKey ? step : key_step)).toPrecision(12), low), high));
    settled();
  }, { signal });
  return (state) => {
    input.valueAsNumber = state[name];
    value.value = String(state[name]);
    write(value, shown(state[name], unit ? 0 : 2) + unit);
  };
}

function move(patch, point) {
  glide.stop();
  states[current] = displayed = moved(scenes[current], states[current], patch, point);
  picture.ghost(current)?.leave();
  frames.soon();
}

function glideTo(goal) {
  const from = displayed;
  states[current] = goal;
  picture.ghost(current)?.leave();
  glide.to(from, goal);
}

function draw() {
  drawn = sceneOf(displayed, drawn);
  const facts = factsNow(current, drawn);
  picture.draw(drawn, facts, texts[current].told);
  drawText(texts[current], drawn, facts);
}

function drawText({ numbers, panels, sliders, told }, scene, facts) {
  numbers(facts);
  for (const set of sliders) set(scene.state);
  if (told) for (const panel of panels) panel.draw(scene);
}

function factsNow(index, scene) {
  const facts = factsOf(scene);
  if (scenes[index].chart) Object.assign(facts, picture.chart.facts());
  const ring = picture.ghost(index);
  if (ring && index === current) {
    facts.guess = ring.distance(scene);
    facts.guess_bias = factsOf(sceneOf({ ...scene.state, ...tipMoved(scene.state, ring.place()) }, null)).relative_reconstruction_bias;
    facts.guessed = ring.predicts();
    facts.untouched = !ring.touched();
  }
  facts.at_first = same(states[index], scenes[index].first);
  facts.moved = !facts.at_first;
  return facts;
}

function rest() {
  draw();
  forTeachers();
  picture.detail(drawn);
  keep();
  const { link } = texts[current];
  if (link) link.href = `explorer.html${toAddress(states[current])}`;
}

function settled() {
  frames.finish();
  picture.say(spokenNow());
}

// To a screen reader, once a movement has ended.
function spokenNow() {
  const facts = factsNow(current, drawn);
  const { open, told } = scenes[current];
  const keys = [...open, ...(texts[current].told ? told : [])];
  const words = keys.map((key) => `${nameOf(key)} ${facts[key] == null ? "undefined" : shown(facts[key])}`);
  const off = texts[current].told && picture.ghost(current)?.predicts();
  if (texts[current].told && facts.untouched) words.unshift("you have not moved the ring");
  if (off) words.unshift(`your prediction was ${shown(facts.guess, 2)} lengths of x away`);
  return words.join("; ");
}

// The settings that lead from a scene's beginning to its picture as it is now.
function begun(index) {
  const { first, begin = ["angle", "norm_ratio"] } = scenes[index];
  const changed = begin.filter((name) => states[index][name] !== first[name]);
  return Object.fromEntries(changed.map((name) => [name, +states[index][name].toFixed(4)]));
}

// Shows the answer of a scene, or hides it again.
function tell(index, told) {
  turnTo(index);
  mark(index, told);
  picture.choose(index, told);
  layoutText(texts[index]);
  if (told && scenes[index].rises) {
    displayed = scenes[index].rises(states[index]);
    glide.to(displayed, states[index], (state) => moved(scenes[index], state, {}));
  }
  frames.finish();
  if (told) picture.say(spokenNow());
}

function mark(index, told) {
  const text = texts[index];
  text.told = told;
  text.chosen(told);
  text.answer.hidden = !told;
  text.button.setAttribute("aria-expanded", String(told));
  write(text.button, told ? "Hide the answer" : "Show the answer");
}

function turnTo(index) {
  if (index === current && drawn) return;
  texts[current].section.classList.remove("current");
  current = index;
  texts[index].section.classList.add("current");
  picture.choose(index, texts[index].told);
  const from = displayed ?? states[index];
  glide.to(from, states[index]);
  frames.finish();
}

// The next scene or the one before: the text scrolls, and the picture follows it.
function go(by) {
  const index = Math.min(Math.max(current + by, 0), scenes.length - 1);
  if (index === current || view.alone) return;
  showScene(index);
  picture.say(`Scene ${index + 1}: ${sections[index].querySelector("h2").textContent}`);
}

function showScene(index, behavior = "auto") {
  turnTo(index);
  heading = performance.now();
  sections[index].scrollIntoView({ block: "start", behavior });
}

// For keys, to which the picture is far from the text; no scene that is passed on the way becomes the current one.
function showPicture(index) {
  turnTo(index);
  heading = performance.now();
  if (!sticks()) root.scrollIntoView({ block: "start", behavior: "instant" });
  picture.focus();
}

function showText(index) {
  showScene(index, "instant");
  (texts[index].button.isConnected ? texts[index].button : sections[index].querySelector(".jump")).focus({ preventScroll: true });
}

let heading = -Infinity; // when a button last turned to a scene: until the page is there, or the reader scrolls, it passes others

// The scene that a line across the window touches is the current one.
let line = null; // in pixels from the top
let observer = null;

function follow() {
  const top = sticks() && isNarrow() ? root.offsetHeight : 0;
  const now = Math.round(top + (isNarrow() ? 0.35 : 0.42) * (innerHeight - top));
  if (view.alone || now === line) return;
  line = now;
  observer?.disconnect();
  observer = new IntersectionObserver(
    (entries) => {
      if (performance.now() - heading < 900) return;
      for (const { isIntersecting, target } of entries) if (isIntersecting) turnTo(sections.indexOf(target));
    },
    { rootMargin: `${-line}px 0px ${line + 1 - innerHeight}px` },
  );
  for (const section of sections) observer.observe(section);
}
for (const kind of ["scrollend", "wheel", "touchmove", "keydown"]) addEventListener(kind, () => (heading = -Infinity), { signal, passive: true });

const wide = matchMedia("(min-width: 900px), (min-width: 640px) and (max-height: 560px)"); // as in article.css
const isNarrow = () => !wide.matches;
const sticks = () => getComputedStyle(root).position === "sticky";

function layout() {
  const around = root.querySelector(".readouts").offsetHeight + root.querySelector(".turn").offsetHeight;
  const room = isNarrow() ? innerHeight * 0.3 : innerHeight - around - 130;
  picture.layout(room);
  const over = isNarrow() && sticks() && !view.embedded ? root.offsetHeight : 0;
  document.documentElement.style.setProperty("--stage", `${over}px`);
  for (const text of texts) layoutText(text);
  frames.finish();
  follow();
}

function layoutText({ panels, told }) {
  if (told) for (const { frame, layout: lay } of panels) lay(Math.floor(frame.clientWidth) - 2);
}

function recoloured(scheme) {
  for (const node of document.querySelectorAll("[data-panel]")) node.dataset.theme = scheme;
  if (drawn) frames.soon();
}

// Left and right turn the page, unless what has the focus uses them.
function keys(event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const modified = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
  if (!by || modified || event.defaultPrevented || event.target.closest("input, select, textarea, [role=slider]")) return;
  event.preventDefault();
  go(by);
}

function start() {
  document.body.classList.toggle("alone", view.alone);
  document.body.classList.toggle("embedded", view.embedded);
  states[current] = moved(scenes[current], states[current], view.settings);
  const kept = recall();
  if (view.alone) {
    sections.forEach((section, index) => (section.hidden = index !== current));
    sections[current].querySelector("h2").after(...terms(scenes[current]));
  }
  if (view.hidden) {
    for (const { section, answer, button } of texts) for (const node of [answer, button, section.querySelector(".more")]) node.remove();
    document.querySelector(".assignment").hidden = false;
  }
  if (view.wrong.length) {
    document.querySelector("main > .wrong").hidden = false;
    write(document.querySelector("main > .wrong"), `In the address, ${view.wrong.join("; ")}.`);
  }
  document.querySelector('[data-action="rescale"]')?.addEventListener("click", () => {
    glideTo(rescaled(states[current]));
    settled();
  }, { signal });
  texts.forEach((text, index) => {
    if (index === current) return;
    const scene = sceneOf(states[index], null);
    drawText(text, scene, factsNow(index, scene));
    if (text.link) text.link.href = `explorer.html${toAddress(states[index])}`;
  });
  displayed = states[current];
  turnTo(current);
  new ResizeObserver(layout).observe(root.parentElement);
  addEventListener("resize", layout, { signal });
  layout();
  forTeachers = teachers(document.querySelector(".teachers"), sections.map((section) => section.querySelector("h2").textContent), begun, signal);
  addEventListener("keydown", keys, { signal });
  if (view.alone) return;
  if (view.scene && !kept) showScene(current, "instant"); // else the browser goes where the reader was
}

// What the reader has moved and opened stays with this entry of the browser's history: after a reload, and on the way
// back from a proof, it is as it was.
function recall() {
  const { states: kept = [], told = [] } = history.state?.article ?? {};
  kept.forEach((settings, i) => (states[i] = { ...states[i], ...sorted(settings).good }));
  told.forEach((open, i) => open && mark(i, true));
  return kept.length > 0;
}

// Not in every frame: browsers count these calls, and refuse them after a while.
function keep() {
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    history.replaceState({ ...history.state, article: { states, told: texts.map((text) => text.told) } }, "", address());
  }, 200);
}

// The address of the current scene, for a bookmark: always the same entry of the history, however far a reader scrolls.
function address() {
  if (view.alone || current === addressed) return location.href;
  addressed = current;
  return location.pathname + (current ? `?scene=${current + 1}` : "");
}

start();
