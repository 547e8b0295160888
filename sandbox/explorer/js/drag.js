// Handles to move with a mouse, a finger, a pen or the arrow keys.

// `start(event)`, `move(event)` and `end(event)` follow a drag; `key(direction, fine)` an arrow key, with direction
// [1, 0] for right, [0, 1] for up, and so on.
export function draggable(handle, { start, move, end, key }, signal) {
  const listen = (type, listener) => handle.addEventListener(type, listener, { signal });
  let pointer = null;
  listen("pointerdown", (event) => {
    if (event.button || pointer !== null) return;
    pointer = event.pointerId;
    handle.setPointerCapture(pointer); // the drag continues outside the picture
    handle.focus({ preventScroll: true });
    event.preventDefault();
    start(event);
  });
  // A finger moves the handle, not the page; `touch-action` has no effect inside an SVG.
  handle.addEventListener("touchstart", (event) => event.preventDefault(), { signal, passive: false });
  listen("pointermove", (event) => {
    if (event.pointerId === pointer) move(event);
  });
  const release = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
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

// The pointer in the picture's coordinates, whatever the zoom and scrolling.
export function pointIn(picture, event) {
  const box = picture.getBoundingClientRect();
  const scale = picture.viewBox.baseVal.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}
