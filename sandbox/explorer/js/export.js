// The picture as a self-contained SVG file, or as a PNG; and the link to it.

const LOOKS = ["r", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin"];
const GAP = 24;
const OF_TEXT = ["font-family", "font-size", "font-weight", "font-style", "paint-order"];

// Downloads the panels as a file, "svg" or "png"; `style` gives the colours of paper and ink.
export async function saved(kind, panels, style, caption) {
  const text = asSvg(panels, style.getPropertyValue("--paper"), style.color, caption);
  const blob = kind === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await asPng(text);
  download(blob, `shrinkage.${kind}`);
}

// Copies a link; returns what happened, in words.
export async function copied(link) {
  try {
    await navigator.clipboard.writeText(link);
    const local = /^(127\.|localhost|$)/.test(location.hostname);
    return `Link copied${local ? "; it works on this machine only" : ""}.`;
  } catch {
    return `Link to this state: ${link}`;
  }
}

// Panels side by side, each with a `title` and its `layers` (SVG or canvas, bottom first), above a caption.
function asSvg(panels, background, ink, caption) {
  let left = GAP;
  let tallest = 0;
  const words = (x, y, size, text) =>
    `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" fill="${ink}">${escaped(text)}</text>`;
  const parts = panels.map(({ title, layers }) => {
    const seen = layers.filter((node) => node.getBoundingClientRect().width); // a hidden cloud has no size
    const { width, height } = seen[0].getBoundingClientRect();
    const frame = `x="${left}" y="${GAP + 26}" width="${width}" height="${height}"`;
    const drawn = seen.map((node) =>
      node instanceof HTMLCanvasElement
        ? `<image ${frame} href="${node.toDataURL()}"/>`
        : `<svg ${frame} viewBox="${node.getAttribute("viewBox")}">${dressed(node)}</svg>`,
    );
    const text = words(left, GAP + 14, 15, title) + drawn.join("");
    left += width + GAP;
    tallest = Math.max(tallest, height);
    return text;
  });
  const size = [Math.ceil(left), Math.ceil(tallest + 2 * GAP + 52)];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="0 0 ${size.join(" ")}">` +
    `<rect width="100%" height="100%" fill="${background}"/>${parts.join("")}${words(GAP, size[1] - GAP, 14, caption)}</svg>`
  );
}

// The children of a picture as text, each with its computed style.
function dressed(picture) {
  const copy = picture.cloneNode(true);
  const [from, to] = [picture, copy].map((node) => [...node.querySelectorAll("*")]);
  const unseen = [];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden" || node.classList.contains("reach")) unseen.push(to[i]);
    const isText = node.tagName === "text";
    const looks = [...LOOKS, ...(isText ? OF_TEXT : [])].filter((name) => style.getPropertyValue(name));
    to[i].setAttribute("style", looks.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
    if (Number(style.opacity) < 1) to[i].setAttribute("opacity", style.opacity);
    for (const name of ["class", "tabindex", "role"]) to[i].removeAttribute(name);
  });
  for (const node of unseen) node.remove();
  return [...copy.childNodes].map((node) => new XMLSerializer().serializeToString(node)).join("");
}

function escaped(words) {
  return words.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
}

async function asPng(text, scale = 2) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser may still be reading it
}
