// Sliders with typed values, presets with their questions, and the toolbar.
import { controls, presets } from "./generated.js";
import { html, toggle, write } from "./dom.js";
import { nameOf } from "./ghost.js";
import { asTyped, asWritten } from "./state.js";

// A line beside what it is about, which a screen reader reads out: what a field refuses, or what has changed besides it.
export function aside() {
  const node = html("p", { class: "said", role: "status" });
  const say = (words, wrong = false) => {
    write(node, words);
    node.classList.toggle("wrong", wrong);
  };
  return { node, say };
}

// The sliders of one group of settings.
export function sliders(act, signal, group) {
  const fields = Object.entries(controls)
    .filter(([, control]) => control.group === group)
    .map(([name, control]) => field(name, control, act, signal));
  const node = html("div", { class: "sliders" }, ...fields.map(({ node }) => node));
  const each = (name) => ({ state }) => fields.forEach((field) => field[name](state));
  return { node, draw: each("draw"), detail: each("detail") };
}

function field(name, control, act, signal) {
  const limits = { name, min: control.low, max: control.high };
  const slider = html("input", { ...limits, type: "range", step: "any", "aria-label": control.label });
  const said = aside();
  const typed = typedField({ name, label: control.label, take: (text) => act.set({ [name]: asTyped(name, text) }), said }, act, signal);
  const label = html("span", { class: "label", "aria-hidden": "true" }, control.label);
  const node = html("div", { class: "field" }, label, html("span", { class: "rail" }, html("span", {}, slider)), html("span", { class: "typed" }, html("span", {}, typed), control.unit), said.node);
  const rounded = (value) => (control.whole ? Math.round(value / control.step) * control.step : value);

  slider.addEventListener("input", () => act.set({ [name]: rounded(slider.valueAsNumber) }), { signal });
  slider.addEventListener("change", () => act.commit(), { signal });
  for (const [input, keys] of [[slider, { ArrowRight: 1, ArrowLeft: -1 }], [typed, {}]]) {
    input.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1, ...keys }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act.step(name, by, event.shiftKey);
    }, { signal });
  }

  let drawn = null;
  let written = null;
  function draw(state) {
    if (state[name] === drawn) return;
    slider.valueAsNumber = drawn = state[name];
  }
  function detail(state) {
    if (state[name] === written) return;
    written = state[name];
    typed.value = asWritten(name, written);
    if (typed.ariaInvalid) accept(typed, said);
  }
  return { node, draw, detail };
}

// A field for a number. It is a text field, because a number field drops what it does not understand: of 4,5 it makes 45.
// `take(text)` sets what the text stands for, or throws an Error with a message, which is `said` beside the field.
export function typedField({ name, label, take, said }, act, signal) {
  const node = html("input", { name, type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": `${label}, typed` });
  node.addEventListener("change", () => {
    try {
      take(node.value);
      act.commit();
      accept(node, said);
    } catch (error) {
      said.say(error.message, true);
      node.setAttribute("aria-invalid", "true");
      node.setAttribute("aria-description", error.message);
    }
  }, { signal });
  return node;
}

export function accept(field, said) {
  for (const name of ["aria-invalid", "aria-description"]) field.removeAttribute(name);
  said.say("");
}

export function lessons(act, signal) {
  const buttons = presets.map((preset) => {
    const button = html("button", { type: "button", "data-preset": preset.key, "aria-pressed": "false" }, preset.title);
    button.addEventListener("click", () => act.preset(preset), { signal });
    return button;
  });
  // Where there is little room, the buttons are behind a menu, and the picture comes first.
  const menu = html("button", { type: "button", class: "menu", "aria-expanded": "false" }, "Presets");
  menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(menu.ariaExpanded !== "true")), { signal });
  const notice = html("p", { class: "notice" });
  const question = html("summary");
  const answer = html("p");
  const reveal = html("details", {}, question, answer);
  const claim = html("span", { class: "claim" });
  const lesson = html("div", { class: "lesson" }, reveal, notice);
  const node = html("section", { class: "lessons", "aria-label": "presets" });
  node.append(menu, html("div", { class: "buttons" }, ...buttons), lesson);
  reveal.addEventListener("toggle", () => {
    toggle(notice, reveal.open);
    if (reveal.open) act.veil(false);
  }, { signal });

  // The question comes first: the numbers and the lesson stay veiled until it is opened or something moves.
  function choose(chosen) {
    if (buttons.some((button) => button.matches(":focus"))) menu.focus(); // if it is shown, the buttons go
    menu.setAttribute("aria-expanded", "false");
    write(menu, chosen ? `Preset: ${chosen.title}` : "Presets");
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(presets[i] === chosen)));
    toggle(lesson, Boolean(chosen));
    act.veil(Boolean(chosen), chosen);
    if (!chosen) return;
    reveal.open = false;
    toggle(notice, false);
    write(claim, chosen.claim);
    const ring = chosen.predict ? ` Drag the dashed ring to where the best multiple of ${nameOf(chosen.predict)} ends.` : "";
    write(question, `Predict: ${chosen.question}${ring} (Open for the answer. The settings are given; what follows from them is hidden until then.)`);
    write(answer, chosen.answer);
    question.append(" ", claim);
    question.written = null;
    write(notice, `Notice: ${chosen.notice}`);
  }
  choose(null);

  // The state has changed, so the text now holds for the preset but not for the picture.
  function leave() {
    const left = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
    if (!left) return;
    left.setAttribute("aria-pressed", "false");
    write(menu, "Presets");
    claim.textContent += ` (for the preset “${left.textContent}”, which you have left)`;
    claim.written = null;
  }
  const asked = () => (lesson.seen && !reveal.open ? question.textContent : "");
  return { node, choose, leave, asked };
}

export function toolbar(actions, signal) {
  const buttons = Object.entries(actions).map(([name, { label, run }]) => {
    const button = html("button", { type: "button", "data-action": name }, label);
    button.addEventListener("click", run, { signal });
    return button;
  });
  const node = html("div", { class: "toolbar", role: "toolbar", "aria-label": "actions" }, ...buttons);
  const enable = (name, can) => {
    const button = buttons.find((button) => button.dataset.action === name);
    button.setAttribute("aria-disabled", String(!can)); // not `disabled`, which would drop the focus
  };
  return { node, enable };
}
