// Undo and redo. Each step is a whole action; a drag is one action.
import { same } from "./state.js";

const DEPTH = 200;

export function undoHistory(first) {
  const past = [first];
  let at = 0;
  return {
    commit(state) {
      if (same(past[at], state)) return;
      past.splice(at + 1, Infinity, state);
      if (past.length > DEPTH) past.shift();
      at = past.length - 1;
    },
    move(by) {
      if (!past[at + by]) return null;
      at += by;
      return past[at];
    },
    now: () => past[at],
    can: (by) => Boolean(past[at + by]),
  };
}
