// The merged points, each tied to its x̂, and where they stand together: on Thales' circle while x̂ is a mean (C21).
import { controls, loci, measures } from "./generated.js";
import { clamp, html, put, set, shown, svg, toggle, write } from "./dom.js";
import { onTheMeans } from "./merging.js";
import { corner } from "./plane.js";

const EDGE = 12;
const TALLEST = 340;

export function merged(title) {
  const part = (tag, name) => svg(tag, { class: name });
  const ties = part("path", "ties");
  const origin = svg("path", { class: "origin", d: "M-5,0h10M0,-5v10" });
  const dots = { x: part("path", "points of-x"), mean: part("path", "points of-mean"), hat: part("path", "points of-x-hat") };
  const scatter = svg("svg", { class: "merge-points", role: "img" }, ties, origin, dots.x, dots.mean, dots.hat);

  const circle = svg("path", { class: "locus relative_reconstruction_bias", d: loci.relative_reconstruction_bias, "vector-effect": "non-scaling-stroke" });
  const name = svg("text", { class: "locus-name relative_reconstruction_bias" }, `${measures.relative_reconstruction_bias.plain} = 1`);
  const axis = part("line", "axis");
  const stations = part("path", "points stations");
  const x = svg("line", { class: "arrow x" });
  const xName = svg("text", { class: "arrow-name x" }, "x");
  const hat = svg("line", { class: "arrow x-hat" });
  const rest = part("line", "residual");
  const tip = svg("circle", { class: "touch", r: 6 });
  const right = part("polyline", "corner");
  const hatName = svg("text", { class: "arrow-name x-hat" }, "x̂");
  const moving = svg("g", { class: "merge-tip" }, rest, right, hat, tip, hatName);
  const thales = svg("svg", { class: "merge-circle", role: "img" }, axis, circle, stations, x, moving, xName, name);

  const keys = ["relative_reconstruction_bias", "cosine", "norm_ratio", "scale_x"];
  const figures = keys.map((key) => html("data", { "data-merged": key }));
  const line = html("p", { class: "merge-figures" }, ...figures.flatMap((data, i) => [html("span", {}, `${measures[keys[i]].plain} = `, data)]));
  const legend = html("p", { class: "note" });
  legend.textContent =
    "Blue: points x. Orange: x̂, tied to the points of its cell; grey: the means that x̂ has left. The semicircle: x and x̂ of " +
    "all points together, with a dot for each number of cells.";
  const frame = html("div", {}, scatter);
  const pictures = html("div", { class: "merge-pictures" }, frame, html("div", {}, thales));
  const node = html("section", { class: "merging" }, html("h3", {}, title), line, pictures, legend);

  let [size, half, room, unit, zero] = [[300, 300], [300, 200], 100, 100, [0, 0]];
  let drawnStations = "";

  function layout(width) {
    size = [width, Math.round(clamp(width * 0.8, 200, TALLEST))];
    half = [width, Math.round(clamp(width * 0.64, 180, TALLEST))];
    for (const [picture, extent] of [[scatter, size], [thales, half]]) {
      set(picture, { viewBox: `0 0 ${extent.join(" ")}`, width: extent[0], height: extent[1] });
    }
    room = Math.min(half[0] - 2 * EDGE - 24, (half[1] - 2 * EDGE - 34) / 0.6);
    zero = [(half[0] - room) / 2, half[1] / 2 + 0.25 * room];
    drawnStations = "";
  }

  const at = ([u, v]) => [zero[0] + u * unit, zero[1] - v * unit];

  function draw({ state, merged: found }) {
    if (!found) return;
    drawPoints(state, found);
    drawCircle(state);
  }

  function drawPoints({ factor }, { points, cells }) {
    const reach = Math.max(...points.flat().map(Math.abs)) * 1.04 * Math.max(factor, 1);
    const scale = (Math.min(...size) / 2 - EDGE) / reach;
    const place = ([u, v]) => `${(size[0] / 2 + u * scale).toFixed(1)},${(size[1] / 2 - v * scale).toFixed(1)}`;
    const dot = (point) => `M${place(point)}h0`;
    const hats = cells.map(({ mean }) => mean.map((part) => factor * part));
    set(ties, { d: cells.flatMap(({ members }, k) => members.map((i) => `M${place(points[i])}L${place(hats[k])}`)).join("") });
    set(dots.x, { d: points.map(dot).join("") });
    set(dots.mean, { d: factor === 1 ? "" : cells.map(({ mean }) => dot(mean)).join("") });
    set(dots.hat, { d: hats.map(dot).join("") });
    put(origin, [size[0] / 2, size[1] / 2]);
  }

  function drawCircle(state) {
    const { angle, norm_ratio, seed } = state;
    const turn = (angle * Math.PI) / 180;
    const tipAt = [norm_ratio * Math.cos(turn), norm_ratio * Math.sin(turn)];
    unit = tipAt[0] > 1.02 || tipAt[1] > 0.54 ? room / controls.factor.high : room; // room for means times a factor
    const [from, to, end] = [[0, 0], [1, 0], tipAt].map(at);
    const ends = (node, [x1, y1], [x2, y2]) => set(node, { x1, y1, x2, y2 });
    ends(x, from, to);
    ends(hat, from, end);
    ends(rest, end, to);
    ends(axis, [0, from[1]], [half[0], from[1]]);
    put(tip, end);
    put(hatName, [end[0] + 14, end[1] - 10], "middle");
    toggle(right, state.factor === 1);
    corner(right, end, from, to);
    put(xName, [to[0] + 4, to[1] + 20], "middle");
    set(circle, { transform: `translate(${from}) scale(${unit} ${-unit})` });
    put(name, at([0.5, 0.56]), "middle");
    const drawn = [seed, unit, ...half].join();
    if (drawn === drawnStations) return;
    drawnStations = drawn;
    const there = onTheMeans(seed).slice(1).map((rho) => at([rho * rho, rho * Math.sqrt(Math.max(1 - rho * rho, 0))]));
    set(stations, { d: there.map(([u, v]) => `M${u.toFixed(1)},${v.toFixed(1)}h0`).join("") });
  }

  // While `veiled`, no label says where x̂ lies.
  function detail({ state, values, merged: found }, veiled) {
    if (!found) return;
    const n = controls.cells.high;
    figures.forEach((data, i) => {
      const { value } = values[keys[i]];
      data.value = value ?? "";
      write(data, value === null ? "undefined" : shown(value));
    });
    const { value } = values.relative_reconstruction_bias;
    const off = state.factor === 1 ? "their means" : `${shown(state.factor, 2)} times their means`;
    set(scatter, { "aria-label": `${n} points in ${state.cells} ${state.cells === 1 ? "cell" : "cells"}, and ${off}` });
    const where = value === null ? "undefined" : Math.abs(value - 1) < 1e-9 ? "on Thales’ circle" : value < 1 ? "inside Thales’ circle" : "outside Thales’ circle";
    set(thales, { "aria-label": veiled ? "all points together" : `all points together: x̂ is ${where}` });
  }

  return { node, frame, layout, draw, detail, pictures: [scatter, thales] };
}
