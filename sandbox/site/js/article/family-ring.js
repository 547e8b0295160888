// A ring on the chart with which the reader predicts γ of the sparsest SAE of a family; with the answer, how far off it is.
import { clamp, put, set, shown, svg, toggle, write } from "../../explorer/dom.js";
import { draggable, pointIn } from "../../explorer/drag.js";

const STEP = 0.02;

// `words` names the family, `kind` is its colour on the chart, `picture` the chart's drawing, `span` what its axis of γ
// reaches over, and `from` where the ring is at first; `moved()` is called when it has moved.
export function familyRing({ words, kind, picture, span: [low, high], from, moved }, signal) {
  const course = svg("line", { class: "course-guess" });
  const off = svg("line", { class: "off" });
  const label = svg("text", { class: "ghost-name" });
  const limits = { "aria-valuemin": low, "aria-valuemax": high, "aria-label": `your prediction: γ of the sparsest ${words} SAE` };
  const ring = svg("g", { class: "grip guess", "data-handle": `guess-${kind}`, role: "slider", tabindex: 0, ...limits });
  ring.append(svg("circle", { class: "reach", r: 20 }), svg("circle", { class: "knob", r: 9 }));
  const node = svg("g", { class: `ghost kind-${kind}` }, course, off, label, ring);
  let value = from;
  let touched = false;
  let at = null; // where the axes lie, and the two SAEs between which the family is predicted

  draggable(
    ring,
    {
      start() {},
      move(event) {
        const [bottom, top] = [at.y(low), at.y(high)];
        go(low + ((pointIn(picture, event)[1] - bottom) / (top - bottom)) * (high - low));
      },
      end() {},
      key: ([right, up], fine) => go(value + (up || right) * (fine ? STEP / 4 : STEP)),
    },
    signal,
  );

  function go(next) {
    [value, touched] = [clamp(next, low, high), true];
    moved();
  }

  const distance = () => Math.abs(value - at.sparsest.y);

  // `places` holds the axes `x` and `y` as functions to pixels, and the SAEs `sparsest` and `densest` as { x, y }.
  function draw(places, answered) {
    at = places;
    const [p, q] = [at.x(at.sparsest.x), at.y(value)];
    const truth = at.y(at.sparsest.y);
    put(ring, [p, q]);
    set(ring, { tabindex: answered ? -1 : 0, "aria-disabled": answered, "aria-valuenow": value.toFixed(3), "aria-valuetext": `γ ${shown(value, 2)}` });
    set(course, { x1: at.x(at.densest.x), y1: at.y(at.densest.y), x2: p, y2: q });
    set(off, { x1: p, x2: p, y1: q, y2: truth });
    toggle(off, answered);
    toggle(node, !answered || touched);
    node.classList.toggle("answered", answered);
    write(label, answered ? `${shown(distance(), 2)} off` : touched ? shown(value, 2) : words);
    put(label, [p + 16, q + 5], "start");
  }

  return { node, draw, distance, predicts: () => touched };
}
