// The picture glides from one state to another, unless the reader prefers less motion.

const TIME = 500; // ms
const MOVING = ["angle", "norm_ratio", "norm_x", "penalty"];

// `show(state)` is called for each frame; `shape(state)` turns a state in between into one that the scene allows.
export function glider(show, signal) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  signal.addEventListener("abort", stop);

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
  }

  function to(from, goal, shape = (state) => state) {
    stop();
    if (still.matches || MOVING.every((name) => from[name] === goal[name])) return show(goal);
    const began = performance.now();
    const step = (time) => {
      const share = Math.min(Math.max((time - began) / TIME, 0), 1);
      const eased = share * share * (3 - 2 * share);
      frame = share < 1 ? requestAnimationFrame(step) : 0;
      const between = (name) => from[name] + eased * (goal[name] - from[name]);
      show(share < 1 ? shape({ ...goal, ...Object.fromEntries(MOVING.map((name) => [name, between(name)])) }) : goal);
    };
    step(began);
  }

  return { to, stop };
}
