// The glossary and the keys, behind a disclosure.
import { html } from "./dom.js";

const WORDS = [
  ["x, x̂", "an activation of a model, and its reconstruction by a sparse autoencoder (SAE); E is the mean over the data."],
  ["a, b, c", "E‖x‖², E‖x̂‖² and E[x·x̂]; every measure is a function of these three."],
  ["c/a, c/b", "the multiple of x nearest to x̂, and the multiple of x̂ nearest to x: the two small rings, each at the foot of a perpendicular, and the minima of the two parabolas."],
  ["γ = 1, c/a = 1, r = 1", "three curves for the tip of x̂; each measure calls its own “no shrinkage”."],
  ["Thales’ circle", "the green one, γ = 1: the tips of x̂ from which both ends of x are seen at a right angle. Inside it x̂ is too short for its angle, outside too long."],
  ["γ₁₀", "what equation 10 computed in the first version of the paper (arXiv 2404.16014)."],
  ["rescale", "multiplying x̂ by 1/γ = c/b takes it to the foot of the perpendicular from x: the part of the loss that is due to the length goes, and the angle’s stays."],
  ["violet and olive", "the two perpendicular parts of the loss: violet is due to the angle, olive to the length; one common factor for x̂ recovers only the olive part."],
  ["the map", "each pair is a point (ρ, r). The chosen measure is constant along a curve and undefined in the grey area. Named points are real SAEs: click one, and x̂ goes there. The line is your trail."],
  ["latent", "what an SAE’s encoder says of one feature: how much of its direction is in x. x̂ is the sum of the directions, each times its latent."],
  ["b_dec", "the SAE’s decoder bias, which is added to that sum. Measures “about b_dec” are those of x − b_dec and x̂ − b_dec, so they differ a little from the table’s."],
  ["soft, hard threshold", "both make a latent 0 below the threshold. Above it, a soft one subtracts the threshold (an L1 penalty does so), and a hard one keeps the whole (an L0 penalty, which counts latents)."],
  ["L1 penalty λ", "what a lasso pays for each unit of its latents: x̂ goes with it, inside Thales’ circle (C17, C19). A hard threshold that cuts the same features stays on the circle (C18)."],
  ["population", "many pairs, scattered around the settings. Pooled is the measure of all of them together; a shared offset is one vector added to every x and every x̂; batches are fifty equal parts."],
  ["cells", "64 points, merged two cells at a time where that adds least to the loss; x̂ is the mean of its cell, times a factor. Dragging x̂ chooses both; with ← and → it loses and gains a cell."],
  ["lines of regression", "through the coordinates of all pairs and the origin: c/a, r and γ are the slopes of the three classical ones."],
  ["C1 to C29", "the project’s claims, each with a proof: sandbox prove C4, or explorer.claim(“C4”) in Python."],
  ["keys", "on a handle, the arrow keys turn and stretch, finely with Shift; Home resets, Ctrl+Z undoes, Ctrl+Shift+Z redoes."],
];

export function help() {
  const list = html("dl", {}, ...WORDS.flatMap(([name, words]) => [html("dt", {}, name), html("dd", {}, words)]));
  return html("details", { class: "help" }, html("summary", {}, "Words, symbols and keys"), list);
}
