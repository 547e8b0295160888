// Handles that a mouse, a finger, a pen or the arrow keys move.

// `move(event)` is called for each movement while the handle is held, `end()` when it is let go, and
// `key(direction, fine)` for the arrow keys with direction [1, 0] (right), [0, 1] (up), …
export function draggable(handle, { start, move, end, key }, signal) {
  const listen = (type, listener) => handle.addEventListener(type, listener, { signal });
  let held = null;
  listen("pointerdown", (event) => {
    if (event.button || held !== null) return;
    held = event.pointerId;
    handle.setPointerCapture(held); // the drag goes on outside of the picture
    handle.focus({ preventScroll: true });
    event.preventDefault();
    start(event);
  });
  // A finger moves the handle, and not the page; `touch-action` does not reach into a picture.
  handle.addEventListener("touchstart", (event) => event.preventDefault(), { signal, passive: false });
  listen("pointermove", (event) => {
    if (event.pointerId === held) move(event);
  });
  const release = (event) => {
    if (event.pointerId !== held) return;
    held = null;
    end(event);
  };
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) listen(type, release);
  listen("keydown", (event) => {
    const direction = DIRECTIONS[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    key(direction, event.shiftKey);
  });
}

const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// From the pointer to the picture's own coordinates, whatever zoom and scrolling lie between.
export function pointIn(picture, event) {
  const box = picture.getBoundingClientRect();
  const scale = picture.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}
