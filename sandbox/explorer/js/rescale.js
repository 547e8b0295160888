// Rescaling by 1/γ, before the eyes: x̂ moves to the foot on its own line, and the length's part of the loss drains away.
import { clamp, html, shown, toggle } from "./dom.js";

const LASTS = 900; // ms

// `said` is the line beside the button.
export function rescaling(act, said, signal) {
  const node = html("button", { type: "button", "data-action": "rescale" }, "Rescale x̂ by 1/γ");
  let scene = null;
  let frame = 0;
  node.addEventListener("click", start, { signal });
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));

  function start() {
    const { values, state } = scene;
    const { reason } = values.relative_reconstruction_bias;
    if (reason) return said.say(`γ is undefined: ${reason}`, true);
    said.say("");
    cancelAnimationFrame(frame);
    const factor = values.scale_x_hat.value;
    const [from, to, begun] = [state.norm_ratio, state.norm_ratio * factor, performance.now()];
    let last = from;
    const lasts = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : LASTS;
    const step = (now) => {
      if (act.now().norm_ratio !== last) return; // a hand has taken over
      const share = lasts ? clamp((now - begun) / lasts, 0, 1) : 1;
      last = share < 1 ? from + (to - from) * share * share * (3 - 2 * share) : to;
      act.set({ norm_ratio: last });
      if (share < 1) return void (frame = requestAnimationFrame(step));
      act.commit();
      said.say(`Rescaled by 1/γ = ${shown(factor)}: the length’s loss is gone, the angle’s (${shown(values.angle_loss.value)}) stays.`);
    };
    step(begun);
  }

  function detail(now) {
    scene = now;
    toggle(node, !now.population && !now.merged);
  }

  return { node, detail };
}
