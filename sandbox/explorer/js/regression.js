// A population's coordinates of x̂ over those of x, and the three lines of regression through them (C22).
import { measures } from "./generated.js";
import { clamp, html, put, set, shown, svg, ticks, toggle, write } from "./dom.js";

const AROUND = { left: 36, right: 96, top: 10, bottom: 36 };
const LARGEST = 400; // pixels from side to side
const DOTTED = 1500; // pairs that get dots: the lines are those of all pairs
const REACHES = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 11, 16, 32];
// Each line's name, and where it meets the ellipse that has the moments of all pairs.
const SLOPES = {
  scale_x: ["least squares of x̂ on x", "vertical distances; through the ellipse’s rightmost point"],
  relative_reconstruction_bias: ["least squares of x on x̂", "horizontal distances; through its topmost point"],
  norm_ratio: ["geometric mean of both slopes", "through the corner of the rectangle"],
};
const TURNS = Array.from({ length: DOTTED }, (_, i) => Math.PI * (Math.sqrt(5) - 1) * i).map((turn) => [Math.cos(turn), Math.sin(turn)]);

// Two coordinates of each of the first pairs, as x₁, x̂₁, x₂, x̂₂: in an orthonormal basis of the plane of x and x̂,
// turned by another angle for each pair. All other coordinates are 0, but for the offset's, which is the same in all.
export function coordinates({ pairs, n }, offset) {
  const shared = offset * offset;
  const count = Math.min(n, DOTTED);
  const found = new Float64Array(4 * count);
  for (let i = 0; i < count; i++) {
    const length = Math.sqrt(Math.max(pairs[3 * i] - shared, 0));
    const along = length ? (pairs[3 * i + 2] - shared) / length : 0;
    const across = Math.sqrt(Math.max(pairs[3 * i + 1] - shared - along * along, 0));
    const [u, v] = TURNS[i];
    found[4 * i] = length * u;
    found[4 * i + 1] = along * u - across * v;
    found[4 * i + 2] = length * v;
    found[4 * i + 3] = along * v + across * u;
  }
  return found;
}

export function regression(act, title) {
  const canvas = html("canvas", { class: "cloud", "aria-hidden": "true" });
  const ink = canvas.getContext("2d");
  const part = (tag, name, ...inside) => svg(tag, { class: name }, ...inside);
  const grid = part("g", "grid");
  const same = part("line", "same");
  const sameName = part("text", "same-name");
  sameName.textContent = "x̂ = x";
  const box = part("path", "rectangle");
  const ellipse = svg("circle", { class: "ellipse", r: 1, "vector-effect": "non-scaling-stroke" });
  const shared = part("g", "shared", svg("circle", { r: 6 }), svg("text", { x: 11, y: 16 }, "the offset"));
  const lines = Object.entries(SLOPES).map(([key, [words]]) => {
    const [line, touch, name] = [part("line", "slope"), svg("circle", { class: "touch", r: 4 }), part("text", "slope-name")];
    return { key, words, line, touch, name, node: svg("g", { class: `regression-line ${key}`, role: "img" }, line, touch, name) };
  });
  const picture = svg("svg", { class: "scatter", role: "group", "aria-label": "coordinates of x̂ over those of x" });
  picture.append(grid, same, sameName, box, ellipse, ...lines.map(({ node }) => node), shared);
  const entries = Object.entries(SLOPES).map(([key, [words, where]]) =>
    html("li", {}, html("i", { class: `line ${key}` }), `${measures[key].plain}: ${words} (${where})`),
  );
  const legend = html("ul", { class: "legend" }, ...entries);
  const note = html("p", { class: "note" });
  const node = html("section", { class: "regression" }, html("h3", {}, title), html("div", { class: "stack" }, canvas, picture), legend, note);

  let size = [400, 400];
  let [side, left, reach, drawn] = [300, 0, 1, ""];
  const p = (u) => left + (1 + u / reach) * (side / 2);
  const q = (v) => AROUND.top + (1 - v / reach) * (side / 2);

  function layout(width) {
    side = Math.min(width - AROUND.left - AROUND.right, LARGEST);
    size = [width, side + AROUND.top + AROUND.bottom];
    left = AROUND.left + Math.max(0, (width - side - AROUND.left - AROUND.right) / 2);
    set(picture, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    const density = Math.min(globalThis.devicePixelRatio || 1, 2);
    [canvas.width, canvas.height] = size.map((length) => length * density);
    [canvas.style.width, canvas.style.height] = size.map((length) => `${length}px`);
    ink.setTransform(density, 0, 0, density, 0, 0);
    drawn = "";
    return size;
  }

  function draw({ state, population, moments: [a, b], values }) {
    if (!population) return;
    const [across, up] = [Math.sqrt(a), Math.sqrt(b)];
    reach = REACHES.find((zoom) => zoom >= 1.3 * Math.max(across, up)) ?? REACHES.at(-1);
    drawGrid();
    drawDots(population, state.offset);
    toggle(shared, state.offset > 0);
    put(shared, [p(state.offset), q(state.offset)]);
    const known = values.scale_x.value !== null;
    for (const node of [ellipse, box]) toggle(node, known);
    const rises = known && values.relative_reconstruction_bias.value !== null;
    if (known) {
      const [unit, along] = [side / 2 / reach, values.scale_x.value * across];
      const wide = Math.sqrt(Math.max(b - along * along, 0));
      set(ellipse, { transform: `matrix(${across * unit} ${-along * unit} 0 ${-wide * unit} ${p(0)} ${q(0)})` });
      set(box, { d: `M${p(-across)},${q(-up)}H${p(across)}V${q(up)}H${p(-across)}Z` });
    }
    const ends = [];
    for (const { key, line, touch, name, node } of lines) {
      const seen = key === "scale_x" ? known : rises; // both others stand for slopes only where c > 0
      toggle(node, seen);
      if (!seen) continue;
      const slope = values[key].value;
      const u = Math.min(reach, reach / Math.abs(slope));
      set(line, { x1: p(-u), y1: q(-u * slope), x2: p(u), y2: q(u * slope) });
      // Where the line meets the ellipse's rightmost point, its topmost one, or the corner of their rectangle.
      put(touch, key === "relative_reconstruction_bias" ? [p(up / slope), q(up)] : [p(across), q(across * slope)]);
      write(name, `${measures[key].plain} = ${shown(slope)}`);
      ends.push({ name, slope, y: q(u * slope) + 4 });
    }
    // The names stand beside the lines' ends, in the order of the slopes and clear of one another.
    ends.sort((first, second) => second.slope - first.slope);
    let above = -Infinity;
    for (const [i, { name, y }] of ends.entries()) {
      above = clamp(y, above + 17, size[1] - AROUND.bottom - 17 * (ends.length - 1 - i));
      put(name, [left + side + 8, above], "start");
    }
  }

  function drawDots(population, offset) {
    ink.clearRect(0, 0, canvas.width, canvas.height);
    ink.globalAlpha = 0.4;
    ink.fillStyle = act.colour("--of-x-hat");
    ink.beginPath();
    const points = coordinates(population, offset);
    for (let i = 0; i < points.length; i += 2) {
      const [u, v] = [points[i], points[i + 1]];
      if (Math.abs(u) < reach && Math.abs(v) < reach) ink.rect(p(u) - 1, q(v) - 1, 2, 2);
    }
    ink.fill();
  }

  function drawGrid() {
    const range = [reach, ...size].join();
    if (range === drawn) return;
    drawn = range;
    const nodes = ticks(-reach, reach, 4).flatMap((at) => [
      svg("line", { x1: p(at), x2: p(at), y1: q(-reach), y2: q(reach) }),
      svg("line", { x1: p(-reach), x2: p(reach), y1: q(at), y2: q(at) }),
      svg("text", { x: p(at), y: q(-reach) + 16, "text-anchor": "middle" }, shown(at, reach < 1 ? 2 : 1)),
      svg("text", { x: p(-reach) - 6, y: q(at) + 4, "text-anchor": "end" }, shown(at, reach < 1 ? 2 : 1)),
    ]);
    nodes.push(svg("text", { x: p(reach), y: size[1] - 4, "text-anchor": "end" }, "coordinate of x"));
    nodes.push(svg("text", { x: p(-reach) + 5, y: q(reach) + 13 }, "coordinate of x̂"));
    grid.replaceChildren(...nodes);
    set(same, { x1: p(-reach), y1: q(-reach), x2: p(reach), y2: q(reach) });
    put(sameName, [p(-reach) + 22, q(-reach) - 8], "start");
  }

  function detail({ values, population }) {
    for (const { key, words, node } of lines) {
      const { value } = values[key];
      if (value !== null) set(node, { "aria-label": `${words}: slope ${measures[key].plain} = ${shown(value)}` });
      node.dataset.slope = value ?? "";
    }
    const { reason } = values.relative_reconstruction_bias;
    const some = population.n > DOTTED ? `${DOTTED.toLocaleString("en")} of the pairs` : "each pair";
    const undefinedLines = reason ? ` γ is undefined (${reason}), and so are its line and that of r.` : "";
    write(note, `Dots: two coordinates of ${some}, in the plane of its x and x̂. The ellipse has the moments of all pairs.${undefinedLines}`);
  }

  return { node, frame: picture.parentElement, layout, draw, detail, pictures: [canvas, picture] };
}
