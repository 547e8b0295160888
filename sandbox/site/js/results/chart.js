// A chart: axes, lines, and points with whiskers that are hovered, focused and chosen. It knows nothing of the data.
//
// chart({ label, lowest, onLook, onChoose, onRender }) is at least `lowest` pixels high and returns { node, picture, draw,
// look, choose }. `onRender({ x, y, width, height })` is called with the axes after each drawing. `draw` takes
// - `x`, `y`: axes, { name, log, from, to }; without `from` and `to` they fit the points;
// - `points`: { id, x, y, low, high, kind, ring, words }; `kind` is a number, for the colour and the shape, a `ring`
//   above 0 draws a wider ring instead, and `words` is what a screen reader says;
// - `lines`: { kind, points: [[x, y], …], name };
// - `rules`: { y, words }, horizontal lines; `diagonal`: the words of the line y = x.
// `look(id)` marks the point that is looked at, `choose(id)` the one that is chosen; null unmarks. The chart calls
// `onLook(id)` and `onChoose(id)` when a reader does so.
import { clamp, html, set, svg } from "../../explorer/dom.js";
import { axis, spread } from "./axis.js";

const TOP = 30;
const BOTTOM = 44;
const RIGHT = 16;
const REACH = 30; // pixels from a point at which a pointer still means it
const LETTER = 8; // pixels that a digit of a tick takes at most
const SHAPES = [
  "M5,0A5,5 0 1 1 -5,0A5,5 0 1 1 5,0Z",
  "M-4.5,-4.5H4.5V4.5H-4.5Z",
  "M0,-6L6,0L0,6L-6,0Z",
  "M0,-6L5.5,4.5H-5.5Z",
  "M0,6L5.5,-4.5H-5.5Z",
  "M-5,-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
];

export function chart({ label, lowest = 280, onLook = () => {}, onChoose = () => {}, onRender = () => {} }) {
  const scales = svg("g", { class: "scales" });
  const lines = svg("g", { class: "lines" });
  const marks = svg("g", { class: "marks" });
  const picture = svg("svg", { class: "chart", role: "group", "aria-label": label }, scales, lines, marks);
  const node = html("div", { class: "chart-frame" }, picture);
  let content = { x: {}, y: {}, points: [] };
  let width = 0;
  let placed = []; // the drawn points: { point, at: [u, v], reach: [top, bottom], mark }
  let [looked, chosen] = [null, null];

  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width || !now) return;
    width = now;
    render();
  }).observe(node);

  picture.addEventListener("pointermove", (event) => event.pointerType !== "touch" && see(nearest(event)));
  picture.addEventListener("pointerleave", () => see(null));
  picture.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found) keep(found);
  });
  picture.addEventListener("focusin", (event) => see(placed.find(({ mark }) => mark === event.target)));
  picture.addEventListener("focusout", () => see(null));
  picture.addEventListener("keydown", (event) => {
    const here = placed.find(({ mark }) => mark === event.target);
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") keep(here);
    else if (!walk(here, event.key)) return;
    event.preventDefault();
  });

  function draw(next) {
    content = next;
    if (width) render();
  }

  function render() {
    const height = Math.round(clamp(width * 0.62, lowest, 460));
    set(picture, { viewBox: `0 0 ${width} ${height}`, width, height });
    const y = axis(
      content.y,
      spread(content.points, "y", content.lines, 1, content.rules),
      height - BOTTOM,
      TOP,
      height / 55,
    );
    const left = 14 + LETTER * Math.max(...y.marks.map(({ text }) => text.length));
    const x = axis(content.x, spread(content.points, "x", content.lines, 0), left, width - RIGHT, width / 70);
    placed = content.points.map((point) => {
      const [high, low] = [point.high ?? point.y, point.low ?? point.y];
      return { point, at: [x.at(point.x), y.at(point.y)], reach: [y.at(high), y.at(low)] };
    });
    scales.replaceChildren(...grid(x, y, left, height));
    lines.replaceChildren(...(content.lines ?? []).map((line) => polyline(line, x, y)));
    const focused = marks.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    for (const one of placed) one.mark = drawn(one, y);
    marks.replaceChildren(...placed.map(({ mark }) => mark));
    mark();
    if (focused !== null) placed.find(({ point }) => String(point.id) === focused)?.mark.focus({ preventScroll: true });
    onRender({ x: x.at, y: y.at, width, height });
  }

  function grid(x, y, left, height) {
    const [floor, right] = [height - BOTTOM, width - RIGHT];
    const nodes = [];
    for (const { value, text } of y.marks) {
      nodes.push(svg("line", { x1: left, x2: right, y1: y.at(value), y2: y.at(value) }));
      nodes.push(svg("text", { x: left - 7, y: y.at(value) + 4, "text-anchor": "end" }, text));
    }
    for (const { value, text } of x.marks) {
      nodes.push(svg("line", { x1: x.at(value), x2: x.at(value), y1: floor, y2: floor + 5 }));
      nodes.push(svg("text", { x: x.at(value), y: floor + 19, "text-anchor": "middle" }, text));
    }
    for (const { y: value, words } of content.rules ?? []) {
      nodes.push(svg("line", { class: "rule", x1: left, x2: right, y1: y.at(value), y2: y.at(value) }));
      nodes.push(svg("text", { class: "halo", ...free(words, y.at(value), left, right, floor) }, words));
    }
    if (content.diagonal) {
      const [from, to] = [Math.max(x.from, y.from), Math.min(x.to, y.to)];
      nodes.push(svg("line", { class: "rule", x1: x.at(from), y1: y.at(from), x2: x.at(to), y2: y.at(to) }));
      nodes.push(svg("text", { class: "halo", x: left + 8, y: TOP + 14 }, content.diagonal));
    }
    nodes.push(svg("text", { class: "name", x: 2, y: 15 }, content.y.name));
    nodes.push(svg("text", { class: "name", x: right, y: height - 4, "text-anchor": "end" }, content.x.name));
    return nodes;
  }

  // Where the words of a rule cover the fewest points and whiskers: above or below it, at the right or the left, if there is room.
  function free(words, at, left, right, floor) {
    const wide = LETTER * words.length;
    const places = [-13, 22, -30, 39, -60, 70, -95, 105].map((off) => at + off).flatMap((base) => [
      { x: right, y: base, "text-anchor": "end", from: right - wide, to: right },
      { x: left + 4, y: base, "text-anchor": "start", from: left, to: left + wide },
    ]);
    const covers = ({ from, to, y: base }) =>
      placed.filter(({ at: [u], reach: [top, bottom] }) => u > from - 9 && u < to + 9 && bottom > base - 19 && top < base + 9)
        .length;
    const inside = places.filter(({ y: base }) => base > TOP && base < floor - 4);
    const [{ from, to, ...best }] = (inside.length ? inside : places).toSorted((p, q) => covers(p) - covers(q));
    return best;
  }

  function drawn({ point, at }, y) {
    const ends =
      point.low === null || point.low === undefined ? [] : [y.at(point.low) - at[1], y.at(point.high) - at[1]];
    const whisker = ends.length
      ? [svg("path", { class: "whisker", d: `M-4,${ends[0]}H4M-4,${ends[1]}H4M0,${ends[0]}V${ends[1]}` })]
      : [];
    return svg(
      "g",
      {
        class: `point kind-${point.kind}`,
        role: "button",
        "aria-label": point.words,
        "data-id": point.id,
        transform: `translate(${at[0].toFixed(1)},${at[1].toFixed(1)})`,
      },
      ...whisker,
      svg("circle", { class: "halo-ring", r: 10 }),
      svg("path", {
        class: point.ring ? "mark ring" : "mark",
        d: shape(point.kind),
        transform: `scale(${1 + 0.6 * (point.ring ?? 0)})`,
      }),
    );
  }

  function polyline({ kind, points, name }, x, y) {
    const text = points.map(([u, v]) => `${x.at(u).toFixed(1)},${y.at(v).toFixed(1)}`).join(" ");
    const line = svg("polyline", { class: `line kind-${kind}`, points: text });
    if (!name) return line;
    const [u, v] = points.at(-1);
    return svg(
      "g",
      {},
      line,
      svg("text", { class: "halo", x: x.at(u) - 4, y: y.at(v) - 8, "text-anchor": "end" }, name),
    );
  }

  function nearest(event) {
    const box = picture.getBoundingClientRect();
    const [u, v] = [event.clientX - box.left, event.clientY - box.top];
    const far = ({ at }) => Math.hypot(at[0] - u, at[1] - v);
    const best = placed.reduce((found, one) => (!found || far(one) < far(found) ? one : found), null);
    return best && far(best) < REACH ? best : null;
  }

  // Left and right walk along a kind, up and down to the next kind at about the same place.
  function walk({ point, at }, key) {
    const along = (kind) =>
      placed.filter((one) => one.point.kind === kind).sort((p, q) => p.at[0] - q.at[0] || p.at[1] - q.at[1]);
    const own = along(point.kind);
    const place = own.findIndex((one) => one.point === point);
    const kinds = [...new Set(placed.map((one) => one.point.kind))].sort((p, q) => p - q);
    const other = (step) => {
      const others = along(kinds.at((kinds.indexOf(point.kind) + step) % kinds.length));
      return others.reduce((best, one) => (Math.abs(one.at[0] - at[0]) < Math.abs(best.at[0] - at[0]) ? one : best));
    };
    const to = {
      ArrowLeft: () => own[Math.max(place - 1, 0)],
      ArrowRight: () => own[Math.min(place + 1, own.length - 1)],
      ArrowUp: () => other(-1),
      ArrowDown: () => other(1),
      Home: () => own[0],
      End: () => own.at(-1),
    }[key]?.();
    to?.mark.focus();
    return to;
  }

  function see(one) {
    const id = one?.point.id ?? null;
    if (id === looked) return;
    look(id);
    onLook(id);
  }

  function keep({ point }) {
    choose(point.id);
    onChoose(point.id);
  }

  function look(id) {
    looked = id;
    mark();
  }

  function choose(id) {
    chosen = id;
    mark();
  }

  // One point is a stop of the Tab key: the chosen one, else the first.
  function mark() {
    const stop = placed.find(({ point }) => point.id === chosen) ?? placed[0];
    for (const { point, mark } of placed) {
      set(mark, { tabindex: point === stop?.point ? 0 : -1, "aria-pressed": point.id === chosen });
      mark.classList.toggle("looked", point.id === looked);
      mark.classList.toggle("chosen", point.id === chosen);
    }
    for (const id of [chosen, looked]) {
      const front = placed.find(({ point }) => point.id === id)?.mark;
      // Moving a focused element would take the focus from it.
      if (
        front &&
        front !== document.activeElement &&
        front !== marks.lastElementChild &&
        !marks.contains(document.activeElement)
      )
        marks.append(front);
    }
  }

  return { node, picture, draw, look, choose };
}

// A point as the legend shows it.
export function swatch(kind) {
  return svg(
    "svg",
    { class: `swatch kind-${kind}`, viewBox: "-7 -7 14 14", width: 14, height: 14, "aria-hidden": "true" },
    svg("path", { class: "mark", d: shape(kind) }),
  );
}

function shape(kind) {
  return SHAPES[kind % SHAPES.length];
}
