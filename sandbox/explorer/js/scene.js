// What a frame shows: the state, its moments and measures, and where the vectors end.
import { measures } from "./generated.js";
import { mergedOf, together } from "./merging.js";
import { penalised } from "./penalty.js";
import { populated } from "./population.js";
import { evaluated, momentsOf, tipOf } from "./state.js";

// `before` is the scene of the last frame, whose population's arrays are used again.
// Merged points are drawn as the one pair that has their angle and norm ratio.
export function sceneOf(settings, before) {
  const state = settings.merged ? together(settings) : settings;
  const merged = settings.merged ? mergedOf(settings) : null;
  const population = state.population ? populated(state, before?.drawn) : null;
  const moments = merged?.means ?? population?.means ?? momentsOf(state);
  const values = Object.fromEntries(Object.entries(measures).map(([key, measure]) => [key, evaluated(measure, moments)]));
  const coefficient = merged || population ? 0 : state.penalty; // it shapes a single pair
  const kept = before?.penalty?.coefficient === coefficient; // a drag of x̂ or x changes nothing about the penalty
  const penalty = kept ? before.penalty : coefficient ? penalised(coefficient) : null;
  const scene = { state, penalty, moments, values, population, merged, drawn: population ?? before?.drawn, x: [state.norm_x, 0], tip: tipOf(state) };
  if (population && values.scale_x.value !== null) {
    // The values are in lengths of x, as the loci are.
    const [along, length] = [values.scale_x.value, values.norm_ratio.value];
    scene.pooledTip = [along, Math.sqrt(Math.max(length ** 2 - along ** 2, 0))].map((part) => part * state.norm_x);
  }
  return scene;
}
