// Helpers for elements, and for numbers as people read them.

const SVG = "http://www.w3.org/2000/svg";

export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  set(node, attributes);
  node.append(...children);
  return node;
}

// Moves a node by its transform: changing the x of a text would lay out every letter again.
export function put(node, [p, q], anchor) {
  set(node, { transform: `translate(${p.toFixed(2)},${q.toFixed(2)})`, ...(anchor ? { "text-anchor": anchor } : {}) });
}

// These write only what has changed: a browser lays out and paints anew whatever is written.

export function set(node, attributes) {
  node.attributesSet ??= {};
  for (const name in attributes) {
    const value = String(attributes[name]);
    if (node.attributesSet[name] === value) continue;
    node.attributesSet[name] = value;
    node.setAttribute(name, value);
  }
}

export function write(node, text) {
  if (node.written !== text) node.textContent = node.written = text;
}

export function toggle(node, shown) {
  if (node.seen === shown) return;
  node.seen = shown;
  node.style.display = shown ? "" : "none";
}

export function shown(value, digits = 3) {
  const size = Math.abs(value);
  const text = size >= 1e5 ? value.toExponential(1) : size >= 100 ? value.toFixed(0) : value.toFixed(digits);
  return text.replace("-", "−").replace(/^−(0\.?0*)$/, "$1");
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Keeps a notebook's shortcuts away from whatever may have the focus. Notebook 7 hears keys before the explorer does, and
// asks only the focused element and what lies between it and the one that the shortcut is for.
export function unheard(...nodes) {
  for (const node of nodes) node.setAttribute("data-lm-suppress-shortcuts", "true");
  return nodes[0];
}

// In place of what is veiled while a preset asks.
export function asked() {
  return svg("text", { class: "asked" }, "hidden until you answer");
}

// A text in lines of at most so many signs.
export function wrapped(text, most) {
  const found = [""];
  for (const word of text.split(" ")) {
    if (found.at(-1) && found.at(-1).length + word.length >= most) found.push(word);
    else found[found.length - 1] += `${found.at(-1) && " "}${word}`;
  }
  return found;
}

// Steps of 1, 2 or 5 times a power of ten, about `count` of them between low and high.
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}
