// Links and snippets for a class: one scene, with or without its answer, alone or in a frame of another page.
import { html, write } from "../../explorer/dom.js";
import { addressOf } from "./view.js";

// `begun(index)` gives the settings of a scene's picture as it is now. Returns a function that writes the links anew.
export function teachers(root, headings, begun, signal) {
  const form = root.querySelector("form");
  const choice = form.querySelector("select");
  const [hidden, asItIs] = ["answers", "state"].map((name) => form.querySelector(`[name="${name}"]`));
  const said = root.querySelector('[role="status"]');
  const titles = headings.map((heading) => heading.replace(/^\d+\s*/, ""));
  titles.forEach((title, i) => choice.append(html("option", { value: i + 1 }, `${i + 1}. ${title}`)));

  function update() {
    const options = { hidden: hidden.checked, settings: asItIs.checked ? begun(choice.value - 1) : {} };
    const address = addressOf(choice.value, { ...options, embedded: true });
    write(root.querySelector('[data-text="link"]'), addressOf(choice.value, options));
    write(
      root.querySelector('[data-text="embed"]'),
      `<iframe src="${address.replaceAll("&", "&amp;")}" title="x and x̂: ${titles[choice.value - 1]}" width="100%" height="720" style="border: 0"></iframe>`,
    );
  }
  form.addEventListener("change", () => (update(), write(said, "")), { signal });
  form.addEventListener("submit", (event) => event.preventDefault(), { signal });
  for (const button of root.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      write(said, await copied(root.querySelector(`[data-text="${button.dataset.copies}"]`).textContent));
    }, { signal });
  }
  update();
  return update;
}

// Copies a text; returns what happened, in words.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    return "This browser does not let the page copy: select the text and copy it yourself.";
  }
}
