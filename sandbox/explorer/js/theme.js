// Light or dark, like the background that the explorer stands on, whoever painted it; a notebook may put it into a
// shadow root, and render it before it is in the document.

export function theme(root, signal, changed) {
  function look() {
    const scheme = isDark(behind(root)) ? "dark" : "light";
    if (root.dataset.theme === scheme) return;
    root.dataset.theme = scheme;
    changed();
  }
  const watch = new MutationObserver(look);
  for (const node of [document.documentElement, document.body]) {
    watch.observe(node, { attributes: true, attributeFilter: ["class", "style", "data-theme", "data-jp-theme-name"] });
  }
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  preferred.addEventListener("change", look, { signal });
  signal.addEventListener("abort", () => watch.disconnect());
  look();
  return look;
}

function behind(node) {
  for (let at = parentOf(node); at; at = parentOf(at)) {
    const [red, green, blue, opacity] = painted(getComputedStyle(at).backgroundColor);
    if (opacity > 127) return [red, green, blue];
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
}

function parentOf(node) {
  return node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;
}

// A colour in any notation, as the four bytes of a pixel; outside the document there is none.
function painted(colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const ink = canvas.getContext("2d", { willReadFrequently: true });
  ink.fillStyle = colour || "transparent";
  ink.fillRect(0, 0, 1, 1);
  return ink.getImageData(0, 0, 1, 1).data;
}

function isDark([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
