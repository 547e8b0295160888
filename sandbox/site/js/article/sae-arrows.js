// x and x̂ of one SAE, small, in a corner of the chart: its norm ratio and angle, and the circle on which γ is 1.
import { loci } from "../../explorer/generated.js";
import { tipOf } from "../../explorer/state.js";
import { clamp, put, set, svg, toggle } from "../../explorer/dom.js";

const RIGHT = 34; // from the corner of the chart's frame
const BELOW = 62;

export function saeArrows() {
  const circle = svg("path", { class: "locus relative_reconstruction_bias", d: loci.relative_reconstruction_bias, "vector-effect": "non-scaling-stroke" });
  const [x, hat] = ["x", "x-hat"].map((name) => svg("line", { class: `arrow ${name}` }));
  const tip = svg("circle", { class: "small-tip", r: 4.5 });
  const [nameX, nameHat] = [["x", "x"], ["x-hat", "x̂"]].map(([name, text]) => svg("text", { class: `arrow-name ${name}` }, text));
  const node = svg("g", { class: "sae-arrows", "aria-hidden": "true" }, circle, x, hat, tip, nameX, nameHat);

  // `state` holds the SAE's angle and norm ratio, with an x of length 1; null hides it.
  function draw({ width, height }, state) {
    toggle(node, Boolean(state));
    if (!state) return;
    const unit = clamp(0.26 * width, 70, 150);
    const [zero, base] = [width - RIGHT - unit, height - BELOW];
    const [along, up] = tipOf(state);
    const end = [zero + unit * along, base - unit * up];
    set(circle, { transform: `translate(${zero},${base}) scale(${unit} ${-unit})` });
    set(x, { x1: zero, y1: base, x2: zero + unit, y2: base });
    set(hat, { x1: zero, y1: base, x2: end[0], y2: end[1] });
    put(tip, end);
    put(nameX, [zero + unit + 10, base + 5], "start");
    put(nameHat, [end[0] + 6, end[1] - 8], "start");
  }

  return { node, draw };
}
