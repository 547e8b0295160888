// Times, inside the page, how long after a change of the value the picture shows it. The definition, one for
// every variant, is in __init__.py. Defines window.dragProbe and touches nothing until it is asked to.
window.dragProbe = (() => {
  const BITS = 12; // of the raster variants' strip, in tenths of a degree; peer.py paints it
  const [STRIP_ROWS, STRIP_PART] = [32, 0.2]; // it lies in the lowest rows, above matplotlib's margin, on the left
  const THUMB = 16; // Chromium's range inputs: the width of the thumb, in CSS pixels
  const degrees = (dx, dy) => (Math.atan2(-dy, dx) * 180) / Math.PI; // SVG's y axis points down

  const explorer = (index) => document.querySelectorAll(".shrinkage-explorer")[index];
  const arrow = (index) => explorer(index)?.querySelector('line[data-arrow="x-hat"]');
  const lastImage = () => [...document.querySelectorAll(".jp-OutputArea img")].at(-1);
  const ends = (line) => ["x1", "y1", "x2", "y2"].map((name) => Number(line.getAttribute(name)));

  // ---- What the picture shows: read from what is drawn, never from a model.

  const pictures = {
    arrow(index) {
      const line = arrow(index);
      if (!line) return null;
      const [x1, y1, x2, y2] = ends(line);
      return degrees(x2 - x1, y2 - y1);
    },
    // An <img> keeps its old picture until the new one is decoded, so it is read only when complete, and once each.
    strip() {
      const image = lastImage();
      if (!image || !image.complete || !image.naturalWidth) return null;
      if (image !== last.image || image.src !== last.src) last = { image, src: image.src, value: decode(image) };
      return last.value;
    },
  };
  let last = {};
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  function decode(image) {
    const [width, height] = [Math.round(STRIP_PART * image.naturalWidth), STRIP_ROWS];
    Object.assign(canvas.canvas, { width, height });
    canvas.drawImage(image, 0, image.naturalHeight - height, width, height, 0, 0, width, height);
    const { data } = canvas.getImageData(0, 0, width, height);
    const pixel = (x, y) => data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3);
    const sentinel = (x, y) => {
      const [red, green, blue] = pixel(x, y);
      return red > 240 && green < 15 && blue > 240;
    };
    const column = [...Array(width).keys()];
    const rows = [...Array(height).keys()].filter((y) => column.some((x) => sentinel(x, y)));
    if (!rows.length) return null;
    const y = rows[rows.length >> 1];
    const marked = column.filter((x) => sentinel(x, y)); // a cell at either end
    const [left, right] = [marked[0], marked[marked.length - 1] + 1];
    const cell = (right - left) / (BITS + 2);
    let value = 0;
    for (let bit = 0; bit < BITS; bit++) value = 2 * value + (pixel(Math.floor(left + (bit + 1.5) * cell), y)[0] > 127);
    return value / 10;
  }

  // ---- What is dragged: where it is pressed, where it is moved, and which value each move leads to.
  // `from` is its value now, `at` gives the point of a value; `listen` calls changed(time, value).

  const handles = {
    tip(index) {
      const line = arrow(index);
      const [x1, y1, x2, y2] = ends(line);
      const onScreen = (x, y) => new DOMPoint(x, y).matrixTransform(line.getScreenCTM());
      const [origin, tip] = [onScreen(x1, y1), onScreen(x2, y2)];
      const length = Math.hypot(tip.x - origin.x, tip.y - origin.y);
      return {
        element: explorer(index).querySelector('[data-handle="x-hat"]'),
        from: pictures.arrow(index),
        at: (value) => [
          origin.x + length * Math.cos((value * Math.PI) / 180),
          origin.y - length * Math.sin((value * Math.PI) / 180),
        ],
        // The angle that the pointer asks for: worked out from its place, so the explorer is not asked what it made of it.
        listen: (changed) =>
          onMoves("pointermove", (event, time) => {
            const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(line.getScreenCTM().inverse());
            changed(time, degrees(point.x - ends(line)[0], point.y - ends(line)[1]));
          }),
      };
    },
    range(index) {
      const element = explorer(index).querySelector('input[type=range][name="angle"]');
      const box = element.getBoundingClientRect();
      const [low, high] = [Number(element.min), Number(element.max)];
      return {
        element,
        from: Number(element.value),
        at: (value) => [
          box.left + THUMB / 2 + ((value - low) / (high - low)) * (box.width - THUMB),
          box.top + box.height / 2,
        ],
        listen(changed) {
          const hear = (event) => event.target === element && changed(performance.now(), Number(element.value));
          window.addEventListener("input", hear, true); // before any listener of the explorer
          return () => window.removeEventListener("input", hear, true);
        },
      };
    },
    // The first slider of ipywidgets in the notebook: noUiSlider, whose handle says its value as soon as it moved.
    ipywidgets() {
      const element = document.querySelector(".widget-slider .noUi-handle");
      const now = () => Number(element.getAttribute("aria-valuenow"));
      const [low, high] = ["min", "max"].map((end) => Number(element.getAttribute("aria-value" + end)));
      const [base, grip] = [element.closest(".noUi-base"), element].map((part) => part.getBoundingClientRect());
      const from = now();
      const start = grip.left + grip.width / 2;
      return {
        element,
        from,
        at: (value) => [start + ((value - from) / (high - low)) * base.width, grip.top + grip.height / 2],
        listen(changed) {
          let [time, value] = [0, from];
          const kind = "mousemove"; // which noUiSlider listens to, even where there are pointer events
          const stop = onMoves(kind, (_, moved) => (time = moved)); // the time before the slider handles the move …
          const hear = () => now() !== value && changed(time, (value = now())); // … and its value after
          window.addEventListener(kind, hear);
          return () => [stop(), window.removeEventListener(kind, hear)];
        },
      };
    },
  };

  /** Call `moved(event, time)` for each move with the button down, before any other listener. */
  function onMoves(kind, moved) {
    const hear = (event) => event.buttons & 1 && moved(event, performance.now());
    window.addEventListener(kind, hear, true);
    return () => window.removeEventListener(kind, hear, true);
  }

  // ---- When it is painted.

  /** Call `painted(time, value)` after each frame: read just before the paint, timed by the first task after it. */
  function watch(read, painted) {
    const mark = document.createElement("div");
    mark.style.cssText = "position:fixed;left:0;top:0;width:1px;height:1px;visibility:hidden;pointer-events:none";
    const [channel, values] = [new MessageChannel(), []];
    let running = true;
    channel.port1.onmessage = () => painted(performance.now(), values.shift());
    const observer = new ResizeObserver(() => {
      values.push(read());
      channel.port2.postMessage(0);
    });
    observer.observe(mark);
    (function frame() {
      if (!running) return;
      if (!mark.isConnected) document.documentElement?.append(mark);
      mark.style.width = mark.style.width === "1px" ? "2px" : "1px"; // so the observer runs in this frame
      requestAnimationFrame(frame);
    })();
    return () => {
      running = false;
      observer.disconnect();
      mark.remove();
    };
  }

  let drag = null;

  return {
    /** Scroll the handle into view, and give the points of a drag: where to press, then each move. */
    plan({ handle, index, picture, moves, ends: [low, high] }) {
      handles[handle](index).element.scrollIntoView({ block: "center" });
      const { element, from, at } = handles[handle](index); // again: its place has changed
      const to = Math.abs(from - low) < Math.abs(from - high) ? high : low;
      const points = [...Array(moves + 1).keys()].map((move) => at(from + ((to - from) * move) / moves));
      const hit = document.elementFromPoint(...points[0]);
      if (!element.contains(hit)) throw new Error(`${handle}: at its place is ${hit?.outerHTML.slice(0, 120)}`);
      const outside = points.find(([x, y]) => x < 0 || y < 0 || x > innerWidth || y > innerHeight);
      if (outside) throw new Error(`${handle}: the drag leaves the window at ${outside}`);
      const seen = (picture === "arrow" ? arrow(index) : lastImage()).getBoundingClientRect();
      if (seen.bottom < 0 || seen.top > innerHeight) throw new Error(`${handle}: the picture is outside the window`);
      return points;
    },
    /** Log changes of the value and what each frame shows, until stop(). */
    start({ handle, index, picture }) {
      drag = { inputs: [], frames: [] };
      const stops = [
        handles[handle](index).listen((time, value) => drag.inputs.push([time, value])),
        watch(() => pictures[picture](index), (time, value) => drag.frames.push([time, value])),
      ];
      drag.stop = () => stops.forEach((stop) => stop());
    },
    /** The value that the last frame showed, and the last value asked for. */
    latest: () => [drag.frames.at(-1)?.[1] ?? null, drag.inputs.at(-1)?.[1] ?? null],
    stop() {
      drag.stop();
      return { inputs: drag.inputs, frames: drag.frames };
    },
    /** Resolve to the time of the first painted frame that shows the arrow, since the navigation began. */
    opened: () =>
      new Promise((resolve) => {
        const stop = watch(
          () => pictures.arrow(0),
          (time, value) => value !== null && (stop(), resolve(time)),
        );
      }),
  };
})();
