"""Presets: states worth seeing, each with a question to answer before its lesson is shown.

No number in a sentence is typed: `{scale_x}` stands for that measure's value in the preset's own state, and `{law_c}`
for the c of the law of shrinkage (C19) in the report on a real SAE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.explorer.penalty import penalised
from sandbox.explorer.saes import laws, measured_saes, sae_state
from sandbox.explorer.shown import moments_of
from sandbox.explorer.state import checked
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY


@dataclass(frozen=True)
class Preset:
    """A state with its lesson: a `question` to answer before `answer` is shown, and what to `notice`.

    `numbers` are further ones for its sentences, by name, as they are written. `predict` is the key of a scale to be
    predicted: the reader drags a ring to where that multiple ends.
    """

    key: str
    title: str
    claim: str
    settings: Mapping[str, Any]
    notice: str
    question: str
    answer: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    predict: str = ""

    def in_words(self) -> dict[str, Any]:
        """As the browser gets it: the full state, and the sentences with their numbers filled in."""
        state = checked(self.settings)
        means = moments_of(state).means.tolist()
        values = {key: evaluate(measure, *means).item() for key, measure in REGISTRY.items()}
        numbers = {key: _short(value) for key, value in values.items()}
        numbers |= {f"one_over_{key}": _short(1 / value) for key, value in values.items() if value}
        numbers["too_short"] = f"{100 * (1 - values['relative_reconstruction_bias']):.1f} %"
        numbers |= self.numbers
        words = {name: getattr(self, name).format(**numbers) for name in ("notice", "question", "answer")}
        return {name: getattr(self, name) for name in ("key", "title", "claim", "predict")} | {"state": state} | words


def _short(value: float) -> str:
    """With the digits that the pictures show (`shown` in js/dom.js)."""
    return f"{value:.{0 if abs(value) >= 100 else 3}f}".replace("-", "−")


def presets() -> tuple[Preset, ...]:
    """All of them, in the order of the argument."""
    relu, gated = (sae_state(sae) for sae in measured_saes())
    law_of_relu, law_of_gated = laws()
    return (
        Preset(
            "near-perpendicular",
            "89.9°",
            "C4",
            {"angle": 89.9, "norm_ratio": 1},
            "Both best multiples are {scale_x}. The reciprocal of either, {one_over_scale_x}, minimises nothing.",
            "x and x̂ have the same length and are almost perpendicular. Is the best multiple of x near 0, near 1 or "
            "near 600?",
            "Near 0: c/a = {scale_x}, and so is c/b = {scale_x_hat}. They are not reciprocals: their product is cos² "
            "θ.",
            predict="scale_x",
        ),
        Preset(
            "equal-lengths",
            "Equal lengths, 60°",
            "C5",
            {"angle": 60, "norm_ratio": 1},
            "x and x̂ have the same length, yet both best multiples are {scale_x}: shrinking either one brings it "
            "nearer to the other.",
            "Both vectors have the same length. To get nearer to x, should x̂ be longer, shorter, or stay as it is?",
            "Shorter: {scale_x_hat} of its length. γ = {relative_reconstruction_bias} says that x̂ is twice too long "
            "for its angle. The first version's equation 10 is not even defined here.",
            predict="scale_x_hat",
        ),
        Preset(
            "half",
            "x̂ = x/2",
            "C9",
            {"angle": 0, "norm_ratio": 0.5},
            "With no angle between x and x̂, γ = {relative_reconstruction_bias}, but the first version's equation 10 "
            "gives {equation_10_v1}.",
            "x̂ is exactly half of x. What should a measure of shrinkage say?",
            "One half, as γ, c/a and r all do. The first version's equation 10 gives {equation_10_v1} = 1/√3, because "
            "it uses the plain loss where it needs the optimised one.",
        ),
        Preset(
            "thales",
            "On Thales’ circle",
            "C10",
            {"angle": 60, "norm_ratio": 0.5},
            "x̂ is only {norm_ratio} times as long as x, yet γ = {relative_reconstruction_bias}: no rescaling would "
            "help.",
            "x̂ is half as long as x, at 60°. Would lengthening it bring it nearer to x?",
            "No: it is as near as it can get (γ = {relative_reconstruction_bias}). Anywhere on Thales’ circle the "
            "residual is perpendicular to x̂, so lengthening x̂ leads away from x.",
            predict="scale_x_hat",
        ),
        Preset(
            "antiparallel",
            "Antiparallel",
            "C6",
            {"angle": 180, "norm_ratio": 0.8},
            "x̂ points away from x: both best multiples are negative, and γ is undefined rather than negative.",
            "x̂ points exactly away from x. How much does it shrink?",
            "There is no answer: the smaller a positive factor, the nearer it brings x̂ to x, so none is best. γ is "
            "undefined, and the table says why. c/a = {scale_x} flips x.",
        ),
        Preset(
            "relu",
            "ReLU SAE",
            "C19",
            relu,
            "A real ReLU SAE: γ = {relative_reconstruction_bias}, so lengthening every reconstruction would help. The "
            "norm ratio, {norm_ratio}, overstates the shrinkage.",
            "A real SAE with an L1 penalty: its reconstructions are {norm_ratio} times as long as x. How much of that "
            "is shrinkage?",
            "x̂ is {too_short} too short for its angle, which rescaling would undo: γ = {relative_reconstruction_bias}. "
            "The penalty causes it: with λ = {law_l1}/{law_scale} in the units of x, "
            "P = {law_penalty} and c = {law_c}, 1 − λ·P/(2c) predicts "
            "γ = {law_predicted}, and {law_gamma} was measured (all about b_dec, unlike the table). "
            "The rest of the missing length comes from the angle (ρ = {cosine}); see C10.",
            law_of_relu,
        ),
        Preset(
            "gated",
            "Gated SAE",
            "C10",
            gated,
            "A real Gated SAE lies on Thales’ circle: γ = {relative_reconstruction_bias}, although r = {norm_ratio} "
            "and c/a = {scale_x}.",
            "A real Gated SAE: its reconstructions are {norm_ratio} times as long as x. Do they shrink?",
            "No: γ = {relative_reconstruction_bias}. At an angle to x, the nearest vector is a shorter one; the norm "
            "ratio and c/a ({scale_x}) call that shrinkage. And nothing made it shrink: {law_source}, so the law (C19) "
            "predicts γ = {law_predicted}, and {law_gamma} was measured (about b_dec).",
            law_of_gated,
        ),
        Preset(
            "penalty",
            "Why it shrinks: the penalty",
            "C19",
            {"penalty": 2} | penalised(2)["soft"].settings,
            "A small lasso beside a hard threshold that cuts the same features: γ = "
            "{relative_reconstruction_bias} for the lasso. Raise the penalty, and γ keeps following 1 − λ·P/(2c).",
            "Two ways to make x̂ sparse: a lasso pays for the size of its latents, a hard threshold for their number. "
            "Raise the penalty. Which of the two leaves the green circle (γ = 1, Thales’ circle)?",
            "The lasso. At its optimum no rescaling pays, and scaling x̂ up costs λ·P, so γ = 1 − λ·P/(2c): here "
            "{relative_reconstruction_bias}, measured and predicted. The number of latents does not change when they "
            "are scaled, so the hard threshold stays on Thales’ circle: γ = 1 at any threshold.",
        ),
        Preset(
            "offset",
            "Shared offset",
            "C14",
            {"angle": 0, "norm_ratio": 0.7, "population": True, "spread": 0, "offset": 2, "n": 1000},
            "Every vector has lost 30 % of its own part, but a shared offset hides it: the pooled raw γ is "
            "{relative_reconstruction_bias}.",
            "x = m + z and x̂ = m + 0.7·z, with ‖m‖ = 2. Is γ nearer to 0.7 or to 1?",
            "To 1: it is {relative_reconstruction_bias}, because ‖m‖² enters both b and c. Without the offset it is "
            "0.7, which is why reports give both.",
        ),
        Preset(
            "pooled",
            "Mean of ratios",
            "C15",
            {"angle": 50, "norm_ratio": 0.8, "population": True, "spread": 20, "norm_spread": 1, "n": 1000},
            "The pooled γ is {relative_reconstruction_bias}. The mean of the pairs’ own ratios is another number, and "
            "the mean over batches a third.",
            "Each pair has its own γ. Is their mean the γ of the whole?",
            "No: the pooled γ = {relative_reconstruction_bias} weights each pair by its c. Near 90° a single pair’s γ "
            "is huge and drags a plain mean with it.",
        ),
        Preset(
            "regression",
            "Three regressions",
            "C22",
            {"angle": 40, "norm_ratio": 0.6, "population": True, "spread": 15, "norm_spread": 0.4, "n": 1000},
            "c/a = {scale_x} ≤ r = {norm_ratio} ≤ γ = {relative_reconstruction_bias}. They are always in this "
            "order (c > 0); without scatter the three agree.",
            "Fit a line to the cloud of coordinates twice: x̂ on x, then x on x̂. Is it the same line, and which of the "
            "two tells how much x̂ has shrunk?",
            "They differ, and x on x̂ tells it: its slope is γ = {relative_reconstruction_bias}, so x̂ is {too_short} "
            "too short for its angle. x̂ on x has the slope c/a = {scale_x}: too flat, because least squares "
            "underestimates the slope when x and x̂ are imperfectly correlated. r = {norm_ratio} is their geometric "
            "mean, the reduced major axis.",
        ),
        Preset(
            "merge",
            "Merge the points",
            "C21",
            {"merged": True, "cells": 5},
            "γ = {relative_reconstruction_bias}, while ρ = {cosine} and c/a = {scale_x}: means lie on Thales’ circle, "
            "however coarse the cells.",
            "Each x̂ is the mean of the points in its cell. Merge the cells until a single one is left: when does γ "
            "leave 1?",
            "Never. In each cell the points scatter around their mean, so on average x − x̂ is perpendicular to x̂ and "
            "γ = {relative_reconstruction_bias}. Fewer cells only turn x̂ away from x (here ρ = {cosine}). To leave the "
            "circle, move x̂ off the means: multiply them by a factor, and γ is that factor.",
        ),
    )
