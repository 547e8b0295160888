// Axes of a chart: what they reach over, and round numbers along them.
import { ticks } from "../../explorer/dom.js";

// The least and the greatest of what is shown along an axis.
export function spread(points, name, lines = [], index = 0, rules = []) {
  const seen = points.flatMap((point) => (name === "y" ? [point.y, point.low, point.high] : [point.x]));
  const all = [...seen, ...lines.flatMap((line) => line.points.map((at) => at[index])), ...rules.map((rule) => rule.y)];
  const known = all.filter((value) => Number.isFinite(value));
  return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
}

// An axis: { from, to, at(value) in pixels, marks: [{ value, text }] }, about `count` of them.
export function axis({ log = false, from, to }, [least, most], start, end, count) {
  let [low, high] = [from ?? least, to ?? most];
  if (log) {
    const room = Math.max((high / low) ** 0.04, 1.02);
    [low, high] = [from ?? low / room, to ?? high * room];
  } else {
    const room = 0.05 * (high - low) || Math.abs(low) / 20 || 1;
    [low, high] = [from ?? low - room, to ?? high + room];
  }
  const place = log ? Math.log : Number;
  const at = (value) => start + ((place(value) - place(low)) / (place(high) - place(low))) * (end - start);
  const values = log ? roundOnes(low, high, count) : ticks(low, high, count);
  const digits = log || values.length < 2 ? 0 : Math.max(0, -Math.floor(Math.log10(values[1] - values[0]) + 1e-9));
  const text = (value) => (log ? String(value) : value.toFixed(digits)).replace("-", "−");
  return { from: low, to: high, at, marks: values.map((value) => ({ value, text: text(value) })) };
}

// 1, 2 and 5 times powers of ten, or the powers alone where those are too many; over a short stretch, even steps.
function roundOnes(low, high, count) {
  const within = (value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k++) powers.push(k);
  const fine = powers.flatMap((k) => [1, 2, 5].map((step) => +(step * 10 ** k).toPrecision(12))).filter(within);
  if (fine.length < 3) return ticks(low, high, Math.min(count, 5));
  return fine.length <= count ? fine : powers.map((k) => +(10 ** k).toPrecision(12)).filter(within);
}
