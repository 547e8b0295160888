// Moves by hand or key: each gives the settings that change.
import { controls } from "./generated.js";
import { clamp } from "./dom.js";

export function stepped(state, name, by, fine) {
  const { key_step, step, low, high, whole } = controls[name];
  const size = fine ? (whole ? step : Math.min(step, key_step / 10)) : key_step;
  return { [name]: clamp(+(state[name] + by * size).toPrecision(12), low, high) };
}

// An arrow key on a handle turns or stretches x̂; at x it stretches x while x̂ stays. Of merged points it
// merges fewer cells, or more.
export function keyed(state, handle, [right, up], fine) {
  if (state.merged && handle !== "x") return right ? stepped(state, "cells", right, fine) : stepped(state, "factor", up, fine);
  if (handle === "x") return xMoved(state, stepped(state, "norm_x", right || up, fine).norm_x);
  return right ? stepped(state, "angle", -right, fine) : stepped(state, "norm_ratio", up, fine);
}

// The tip of x̂ moves to a point of the plane; from below the line of x, to the nearest point on it.
export function tipMoved(state, [u, v]) {
  const across = Math.max(v, 0);
  const length = Math.hypot(u, across);
  const angle = length ? (Math.atan2(across, u) * 180) / Math.PI : state.angle;
  return { angle, norm_ratio: clamp(length / state.norm_x, 0, controls.norm_ratio.high) };
}

const SHORTEST = 0.02; // of x, which could not be gripped at 0

// The tip of x moves while x̂ stays, so the ratio of their norms follows; merged points all scale with x.
export function xMoved(state, u) {
  if (state.merged) return { norm_x: clamp(u, SHORTEST, controls.norm_x.high) };
  const length = state.norm_ratio * state.norm_x;
  const norm_x = clamp(u, Math.max(length / controls.norm_ratio.high, SHORTEST), controls.norm_x.high);
  if (!state.norm_x) return { norm_x }; // from zero length there is no ratio to follow
  return { norm_x, norm_ratio: Math.min(length / norm_x, controls.norm_ratio.high) };
}
