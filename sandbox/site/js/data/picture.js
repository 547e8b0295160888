// The report as a point on the explorer's map, raw, beside the embedded SAEs.
import { controls, defaults } from "../../explorer/generated.js";
import { html } from "../../explorer/dom.js";
import { map } from "../../explorer/map.js";
import { saes } from "../../explorer/saes.js";
import { sceneOf } from "../../explorer/scene.js";
import { angleOf } from "../../explorer/state.js";
import { inExplorer } from "../results/estimates.js";
import { theme } from "../../explorer/theme.js";

const STILL = { set() {}, commit() {}, key() {} }; // nothing can be dragged here

export function picture(name, { cosine, norm_ratio }, signal) {
  if (cosine.value === null) return html("p", { class: "facts" }, "There is no point on the map, because the cosine is undefined.");
  const own = { name, cosine: cosine.value, norm_ratio: norm_ratio.value };
  const drawing = map(STILL, signal);
  const root = html("div", { class: "shrinkage-explorer" }, drawing.node);
  const where = stateAt(own);
  const scene = sceneOf({ ...defaults, ...where, measure: "relative_reconstruction_bias" });
  let width = 0;
  const draw = () => {
    if (!root.clientWidth || root.clientWidth === width) return;
    width = root.clientWidth;
    drawing.layout(width);
    drawing.draw(scene);
    drawing.drawSaes([own, ...saes]);
    root.querySelector(".saes circle").classList.add("yours");
    for (const text of root.querySelectorAll(".saes text")) text.classList.toggle("yours", text.textContent.startsWith(name));
  };
  const watching = new ResizeObserver(() => requestAnimationFrame(draw)); // drawing changes the size that is observed
  watching.observe(root);
  signal.addEventListener("abort", () => watching.disconnect());
  queueMicrotask(() => theme(root, signal, () => {}));
  const address = inExplorer(own.cosine, own.norm_ratio);
  const beyond = `The explorer has no such point: its norm ratio ends at ${controls.norm_ratio.high}, and yours is ${own.norm_ratio.toFixed(3)}.`;
  const link = address ? html("a", { href: address }, "Move it in the explorer") : beyond;
  return html("figure", {}, root, html("figcaption", { class: "facts" }, "Norm ratio over cosine; on the curve at 1, γ = 1. ", link));
}

// The explorer's settings for the place where the map draws a point: at its edge, if the point lies beyond.
function stateAt({ cosine, norm_ratio }) {
  const { low, high } = controls.norm_ratio;
  return { angle: +angleOf(cosine).toFixed(4), norm_ratio: +Math.min(Math.max(norm_ratio, low), high).toFixed(5) };
}
