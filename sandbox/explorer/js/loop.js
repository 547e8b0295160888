// When what is drawn: frames while something moves, what is read a few times a second, the rest once it is over.

const READING = 150; // ms between two updates of what is read rather than watched: typed values, names, means

// `draw` is called in each frame that is asked for, `read` now and then while frames follow one another, and `finish`
// after the last of them.
export function loop({ draw, read, finish: rest }, signal) {
  let frame = 0;
  let timer = 0;
  let drawn = 0;
  let drawnAtReading = 0;
  signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  });

  function soon() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      drawn += 1;
      draw();
    });
    timer ||= setTimeout(follow, READING);
  }

  function follow() {
    if (drawnAtReading === drawn) return finish();
    drawnAtReading = drawn;
    timer = setTimeout(follow, READING);
    read();
  }

  // At once, whether or not frames were asked for.
  function finish() {
    clearTimeout(timer);
    timer = 0;
    rest();
  }

  return { soon, finish };
}
