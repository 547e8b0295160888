// The two losses over the scale s, their minima, and the reciprocal of each minimum, which minimises neither.
import { losses, measures } from "./generated.js";
import { asked, clamp, put, set, shown, svg, ticks, toggle, write } from "./dom.js";

const MARGIN = { left: 38, right: 14, top: 24, bottom: 34 };
const FURTHEST = 3.2; // a reciprocal beyond this is written at the edge

export function parabolas() {
  const grid = svg("g", { class: "grid" });
  const kinds = Object.keys(losses).map((key) => ({
    key,
    curve: svg("path", { class: `parabola ${key}` }),
    drop: svg("line", { class: `drop ${key}` }),
    dot: svg("circle", { class: `minimum ${key}`, r: 5 }),
    mark: svg("line", { class: `reciprocal ${key}` }),
    name: svg("text", { class: `reciprocal-name ${key}` }),
  }));
  const nothing = svg("text", { class: "nothing" }, svg("tspan", { x: 0 }), svg("tspan", { x: 0, dy: "1.4em" }));
  const picture = svg("svg", { class: "parabolas", role: "img", "aria-label": "both losses over the scale s" });
  picture.append(grid, ...kinds.flatMap(({ curve, drop, mark }) => [mark, drop, curve]));
  const question = asked();
  const upwards = svg("text", { class: "axis-name", x: 2, y: 12 }, "squared error / a");
  picture.append(...kinds.flatMap(({ dot, name }) => [dot, name]), upwards, nothing, question);

  let size = [500, 250];
  let drawn = "";

  function layout(width) {
    size = [width, Math.round(clamp(width * 0.52, 190, 330))];
    set(picture, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    put(question, [size[0] / 2, size[1] / 2], "middle");
    drawn = "";
    return size;
  }

  function draw({ moments, values }) {
    const [a, b, c] = moments;
    const best = kinds.map(({ key }) => values[key].value);
    const known = best.some((scale) => scale !== null) && a > 0;
    for (const { curve } of kinds) toggle(curve, known);
    for (const node of [grid, upwards]) toggle(node, known);
    toggle(nothing, !known);
    if (!known) {
      for (const { drop, dot, mark, name } of kinds) for (const node of [drop, dot, mark, name]) toggle(node, false);
      put(nothing, [size[0] / 2, size[1] / 2], "middle");
      const [first, rest = ""] = (values.scale_x.reason ?? "").split(", ");
      write(nothing.children[0], first);
      write(nothing.children[1], rest);
      return;
    }
    const marks = best.flatMap((scale) => (scale ? [scale, 1 / scale] : [])).filter((s) => Math.abs(s) <= FURTHEST);
    const low = Math.floor(Math.min(-0.2, ...marks.map((s) => s - 0.15)) / 0.4) * 0.4;
    const high = Math.ceil(Math.max(1.6, ...marks.map((s) => s + 0.15)) / 0.4) * 0.4;
    const starts = kinds.map(({ key }) => losses[key](a, b, c, 0) / a);
    const top = Math.ceil((1.3 * Math.max(1, ...starts)) / 0.5) * 0.5;
    const { left, right, top: above, bottom } = MARGIN;
    const p = (s) => left + ((s - low) / (high - low)) * (size[0] - left - right);
    const q = (value) => size[1] - bottom - (value / top) * (size[1] - above - bottom);
    drawGrid(low, high, top, p, q);
    kinds.forEach(({ key, curve, drop, dot, mark, name }, i) => {
      const loss = (s) => losses[key](a, b, c, s) / a;
      const middle = (low + high) / 2;
      const [start, half, end] = [low, middle, high].map((s) => q(loss(s)));
      // Three points make a parabola: a quadratic Bézier curve is exactly one.
      set(curve, { d: `M${p(low)},${start}Q${p(middle)},${2 * half - (start + end) / 2} ${p(high)},${end}` });
      const scale = best[i];
      const there = scale !== null && scale >= low && scale <= high;
      for (const node of [dot, drop]) toggle(node, there);
      if (there) {
        put(dot, [p(scale), q(loss(scale))]);
        set(drop, { x1: p(scale), x2: p(scale), y1: q(loss(scale)), y2: q(0) });
      }
      const reciprocal = scale ? 1 / scale : null;
      const inside = reciprocal !== null && reciprocal >= low && reciprocal <= high;
      toggle(mark, inside);
      toggle(name, reciprocal !== null);
      if (reciprocal === null) return;
      write(name, `1/(${measures[key].plain}) = ${shown(reciprocal)}${inside ? "" : reciprocal > 0 ? " →" : " ←"}`);
      const y = above + 12 + 15 * i;
      if (inside) {
        set(mark, { x1: p(reciprocal), x2: p(reciprocal), y1: above, y2: q(0) });
        const leftwards = p(reciprocal) > size[0] * 0.62;
        put(name, [p(reciprocal) + (leftwards ? -5 : 5), y], leftwards ? "end" : "start");
      } else {
        const end = reciprocal > 0;
        put(name, [end ? size[0] - right : left + 4, y], end ? "end" : "start");
      }
    });
  }

  function drawGrid(low, high, top, p, q) {
    const ranges = [low, high, top, ...size].join();
    if (ranges === drawn) return;
    drawn = ranges;
    const lines = [];
    for (const s of ticks(low, high, size[0] / 70)) {
      lines.push(svg("line", { x1: p(s), x2: p(s), y1: q(0), y2: q(0) + 4 }));
      lines.push(svg("text", { x: p(s), y: q(0) + 17, "text-anchor": "middle" }, shown(s, 1)));
    }
    for (const value of ticks(0, top, 4)) {
      lines.push(svg("line", { x1: p(low), x2: p(high), y1: q(value), y2: q(value), class: value ? "" : "base" }));
      lines.push(svg("text", { x: p(low) - 6, y: q(value) + 4, "text-anchor": "end" }, shown(value, 1)));
    }
    lines.push(svg("line", { x1: p(0), x2: p(0), y1: q(top), y2: q(0) }));
    lines.push(svg("text", { x: p(high), y: size[1] - 3, "text-anchor": "end" }, "scale s"));
    grid.replaceChildren(...lines);
  }

  return { node: picture, layout, draw };
}
