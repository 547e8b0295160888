// The state, and all that a hand, a key, a preset, Python or a link can do to it.
import { defaults } from "./generated.js";
import { undoHistory } from "./history.js";
import { mergedPatch, together } from "./merging.js";
import { keyed, stepped, tipMoved, xMoved } from "./moves.js";
import { lassoFollowed } from "./penalty.js";
import { same } from "./state.js";

const RESTED = 200; // ms after the last change from outside: the changes until then are undone as one

// `tell` is called after each change:
//   changed()       the state differs from what is drawn
//   followed(before) λ has taken x̂ to the lasso's, from the state before this action
//   settled()       an action has ended, and can be undone
//   arrived()       a movement from outside has ended
//   moved()         settings were changed in the explorer itself …
//   received()      … or outside
//   jumped(preset)  the whole state was replaced: by a preset, or (null) by undo, redo or reset
//   wrong(words)    something was refused
export function store(first, host, tell, signal) {
  let state = first;
  let resting = 0;
  const past = undoHistory(state);
  signal.addEventListener("abort", () => clearTimeout(resting));

  function set(moved) {
    const patch = lassoFollowed(moved, state);
    if (patch !== moved) tell.followed(past.now());
    const moves = state.merged && !("merged" in patch);
    state = { ...state, ...(moves ? mergedPatch(state, patch) : patch) };
    tell.moved();
    host.changed(state);
    tell.changed();
  }

  // As it is drawn.
  const seen = () => (state.merged ? together(state) : state);

  function commit() {
    past.commit(state);
    host.settled(state);
    tell.settled();
  }

  function jump(settings, preset) {
    set({ ...settings, measure: state.measure });
    tell.jumped(preset);
    commit();
  }

  // From Python, a linked slider or the page's address; never an echo of what was sent.
  function receive(settings, wrong) {
    if (wrong.length) tell.wrong(wrong.join("; "));
    const next = { ...state, ...settings };
    if (same(next, state)) return;
    state = next;
    tell.received();
    clearTimeout(resting);
    resting = setTimeout(() => {
      past.commit(state);
      tell.arrived();
    }, RESTED);
    tell.changed();
  }

  function travel(by) {
    const next = past.move(by);
    if (!next) return;
    state = next;
    host.changed(state);
    host.settled(state);
    tell.jumped(null);
    tell.changed();
    tell.settled();
  }

  return {
    now: () => state,
    seen,
    set,
    commit,
    receive,
    travel,
    can: past.can,
    preset: (preset) => jump(preset.state, preset),
    reset: () => jump(defaults, null),
    step(name, by, fine) {
      set(stepped(state, name, by, fine));
      commit();
    },
    key(handle, direction, fine) {
      set(keyed(state, handle, direction, fine));
      commit();
    },
    moveTip(point) {
      if (state.norm_x) set(tipMoved(seen(), point));
      else tell.wrong("x is zero, so x̂ has no norm ratio: lengthen x first");
    },
    moveX: (u) => set(xMoved(seen(), u)),
  };
}
