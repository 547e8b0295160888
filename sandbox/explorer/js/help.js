// What the words and signs mean, and the keys: for whoever opens it.
import { html } from "./dom.js";

const WORDS = [
  ["x, x̂", "an activation of a model, and what a sparse autoencoder (SAE) makes of it; E is the mean over the data."],
  ["a, b, c", "E‖x‖², E‖x̂‖² and E[x·x̂]: every measure is a function of these three."],
  ["c/a, c/b", "the multiple of x nearest to x̂, and the multiple of x̂ nearest to x: the two small rings, each at the foot of a right angle, and the lowest points of the two parabolas."],
  ["γ = 1, c/a = 1, r = 1", "three places for the tip of x̂; each measure calls its own “no shrinkage”."],
  ["γ₁₀", "what the first version of the paper (arXiv 2404.16014) computed in its equation 10."],
  ["violet and olive", "the loss in two parts at a right angle: what the angle loses, and what the length loses and a rescaling would bring back."],
  ["the map", "each pair is a point (ρ, r); on a curve the chosen measure is constant, and where it is grey the measure is undefined. The two named points are real SAEs; the line is where you have been."],
  ["population", "many pairs around the settings; pooled is what all of them give together, and a shared offset is one vector that is added to every x and x̂. Batches are fifty equal parts."],
  ["C1 to C18", "the claims of the project: each has a proof (sandbox prove C4, or explorer.claim(“C4”))."],
  ["keys", "at a handle the arrow keys turn and stretch, with Shift finely; Home resets, Ctrl+Z undoes, Ctrl+Shift+Z redoes."],
];

export function help() {
  const list = html("dl", {}, ...WORDS.flatMap(([name, words]) => [html("dt", {}, name), html("dd", {}, words)]));
  return html("details", { class: "help" }, html("summary", {}, "What the words and signs mean, and the keys"), list);
}
