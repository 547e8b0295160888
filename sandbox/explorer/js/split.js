// The relative loss as the sum of its two parts, in one line.
import { html, shown, write } from "./dom.js";

export function split() {
  const [whole, angle, length] = ["relative_loss", "angle_loss", "length_loss"].map((key) => html("data", { class: key }));
  const node = html("p", { class: "split" }, "relative loss ", whole, " = angle ", angle, " + length ", length);

  function draw({ values }) {
    for (const data of [whole, angle, length]) {
      const { value } = values[data.className];
      write(data, value === null ? "–" : shown(value));
    }
  }

  return { node, draw };
}
