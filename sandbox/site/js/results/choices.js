// Choices of what a figure shows: one of several, or some of several.
import { html } from "../../explorer/dom.js";

// A list to choose one from: `options` is { value: words }.
export function oneOf(label, options, value, changed) {
  const list = html(
    "select",
    {},
    ...Object.entries(options).map(([key, words]) => html("option", { value: key }, words)),
  );
  list.value = value;
  list.addEventListener("change", () => changed(list.value));
  return html("label", { class: "choice" }, html("span", {}, label), list);
}

// Boxes to tick: `options` is [[value, words, icon], …], and `ticked` the set of those that are, which `changed` gets.
export function someOf(legend, options, ticked, changed) {
  const boxes = options.map(([value, words, ...icon]) => {
    const box = html("input", { type: "checkbox", ...(ticked.has(value) ? { checked: "" } : {}) });
    box.addEventListener("change", () => {
      if (box.checked) ticked.add(value);
      else ticked.delete(value);
      changed(ticked);
    });
    return html("label", {}, box, ...icon, html("span", {}, words));
  });
  return html("fieldset", { class: "choice" }, html("legend", {}, legend), ...boxes);
}
