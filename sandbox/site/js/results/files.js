// The results as the site holds them.
import { html } from "../../explorer/dom.js";

// The content of results/NAME.json.
export async function fetched(name) {
  const answer = await fetch(new URL(`../../results/${name}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`${name}.json: the server answered ${answer.status}`);
  return answer.json();
}

// Says in `el` why a figure is missing.
export function failed(el, error) {
  el.replaceChildren(html("p", { role: "alert" }, `This figure cannot be shown: ${error.message}.`));
}
