// The picture as a file: one SVG that carries its own looks, or the same as PNG.

const LOOKS = ["r", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin"];
const OF_TEXT = ["font-family", "font-size", "font-weight", "font-style", "paint-order"];

// `rows` of pictures ([left, right]), each an SVG or a canvas in the page, with a line of text above.
export function asSvg(layers, background, ink, caption) {
  const boxes = layers.map((node) => node.getBoundingClientRect());
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const width = Math.ceil(Math.max(...boxes.map((box) => box.right)) - left) + 24;
  const height = Math.ceil(Math.max(...boxes.map((box) => box.bottom)) - top) + 48;
  const parts = layers.map((node, i) => {
    const place = `x="${boxes[i].left - left + 12}" y="${boxes[i].top - top + 36}" width="${boxes[i].width}" height="${boxes[i].height}"`;
    if (node instanceof HTMLCanvasElement) return `<image ${place} href="${node.toDataURL()}"/>`;
    const copy = dressed(node);
    const view = node.getAttribute("viewBox");
    return `<svg ${place} viewBox="${view}">${copy}</svg>`;
  });
  const title = `<text x="12" y="22" font-family="sans-serif" font-size="14" fill="${ink}">${escaped(caption)}</text>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
    `<rect width="100%" height="100%" fill="${background}"/>${title}${parts.join("")}</svg>`
  );
}

// The children of a picture as text, each with the looks that the style sheet gave it.
function dressed(picture) {
  const copy = picture.cloneNode(true);
  const [from, to] = [picture, copy].map((node) => [...node.querySelectorAll("*")]);
  const unseen = [];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    if (style.display === "none" || node.classList.contains("reach")) unseen.push(to[i]);
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

export async function asPng(text, scale = 2) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser may still be reading it
}
