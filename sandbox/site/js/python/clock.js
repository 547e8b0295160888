// What Python is at, and for how long, beside a status: a screen reader reads out the status, but not the clock, which
// changes ten times a second.
import { html, shown, write } from "../../explorer/dom.js";
import { STARTING, loading } from "./python.js";

// Returns a function that ends it: it writes its words into the status, or leaves that alone if they are null, and
// returns the seconds that have passed, in words.
export function clock(status) {
  const began = performance.now();
  const node = html("span", { class: "clock", "aria-hidden": "true" });
  status.after(" ", node);
  const passed = () => `${shown((performance.now() - began) / 1000, 1)} s`;
  const timer = setInterval(tick, 100);
  tick();

  function tick() {
    const now = loading();
    const starts = now === STARTING;
    write(status, starts ? "Starting Python:" : now ? "Loading Python, once:" : "Thinking:");
    write(node, now && !starts ? `${now}, ${passed()}` : passed());
  }

  return (words) => {
    clearInterval(timer);
    node.remove();
    const seconds = passed();
    if (words !== null) write(status, typeof words === "function" ? words(seconds) : words);
  };
}
