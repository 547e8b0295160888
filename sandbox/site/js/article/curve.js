// What the first version's equation 10 gives for each γ: a curve that touches the diagonal where γ is 1.
import { measures } from "../../explorer/generated.js";
import { clamp, put, set, shown, svg, ticks, toggle } from "../../explorer/dom.js";
import { evaluated } from "../../explorer/state.js";

const MARGIN = { left: 40, right: 14, top: 12, bottom: 36 };
const HIGH = [1.8, 2.4];
const OLD = measures.equation_10_v1;

export function curve() {
  const grid = svg("g", { class: "grid" });
  const same = svg("line", { class: "same" });
  const old = svg("path", { class: "old" });
  const gap = svg("line", { class: "gap" });
  const [right, wrong] = [svg("circle", { class: "minimum right", r: 5 }), svg("circle", { class: "minimum wrong", r: 5 })];
  const names = [svg("text", { class: "of-right" }, "γ"), svg("text", { class: "of-wrong" }, OLD.plain)];
  const node = svg("svg", { class: "curve", role: "img", "aria-label": "the first version’s equation 10 over γ" });
  node.append(grid, same, old, gap, right, wrong, ...names);
  let size = [400, 220];

  const p = (value) => MARGIN.left + (value / HIGH[0]) * (size[0] - MARGIN.left - MARGIN.right);
  const q = (value) => size[1] - MARGIN.bottom - (value / HIGH[1]) * (size[1] - MARGIN.top - MARGIN.bottom);

  function layout(width) {
    size = [width, Math.round(clamp(width * 0.56, 180, 300))];
    set(node, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    const lines = ticks(0, HIGH[0], 6).flatMap((value) => [
      svg("line", { x1: p(value), x2: p(value), y1: q(0), y2: q(0) + 4 }),
      svg("text", { x: p(value), y: q(0) + 17, "text-anchor": "middle" }, shown(value, 1)),
    ]);
    for (const value of ticks(0, HIGH[1], 4)) {
      lines.push(svg("line", { x1: p(0), x2: p(HIGH[0]), y1: q(value), y2: q(value) }));
      lines.push(svg("text", { x: p(0) - 6, y: q(value) + 4, "text-anchor": "end" }, shown(value, 1)));
    }
    lines.push(svg("text", { x: p(HIGH[0]), y: size[1] - 4, "text-anchor": "end" }, "γ"));
    grid.replaceChildren(...lines);
    set(same, { x1: p(0), y1: q(0), x2: p(HIGH[0]), y2: q(HIGH[0]) });
    // It depends on γ alone, so any moments with that γ do: those of c = 1.
    const points = Array.from({ length: 181 }, (_, i) => (i + 0.5) / 100).map((g) => [g, evaluated(OLD, [1, g, 1]).value]);
    const seen = points.filter(([g, value]) => value !== null && g <= HIGH[0] && value <= HIGH[1]);
    set(old, { d: `M${seen.map(([g, value]) => `${p(g).toFixed(1)},${q(value).toFixed(1)}`).join("L")}` });
    put(names[0], [p(1.62), q(1.46)], "start");
    put(names[1], [p(1.5), q(2.05)], "end");
  }

  function draw({ values }) {
    const gamma = values.relative_reconstruction_bias.value;
    const other = values.equation_10_v1.value;
    const there = gamma !== null && gamma <= HIGH[0];
    const both = there && other !== null && other <= HIGH[1];
    toggle(right, there);
    for (const part of [wrong, gap]) toggle(part, both);
    if (there) put(right, [p(gamma), q(gamma)]);
    if (!both) return;
    put(wrong, [p(gamma), q(other)]);
    set(gap, { x1: p(gamma), x2: p(gamma), y1: q(gamma), y2: q(other) });
  }

  return { node, layout, draw };
}
