"""States worth seeing: each makes a claim, says in one sentence what to notice, and asks before it tells.

Numbers in the sentences are not typed: `{scale_x}` is that measure's value in the state itself.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.explorer.state import checked, moments_of
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY


@dataclass(frozen=True)
class Preset:
    """A state with its lesson: `notice` is one sentence, `question` is to be answered before `answer` is shown."""

    key: str
    title: str
    claim: str
    settings: Mapping[str, Any]
    notice: str
    question: str
    answer: str

    def in_words(self) -> dict[str, Any]:
        """As the browser has it: the whole state, and the sentences with their numbers."""
        state = checked(self.settings)
        means = moments_of(state).means.tolist()
        values = {key: evaluate(measure, *means).item() for key, measure in REGISTRY.items()}
        numbers = {key: _short(value) for key, value in values.items()}
        numbers |= {f"one_over_{key}": _short(1 / value) for key, value in values.items() if value}
        words = {name: getattr(self, name).format(**numbers) for name in ("notice", "question", "answer")}
        return {"key": self.key, "title": self.title, "claim": self.claim, "state": state} | words


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def presets() -> tuple[Preset, ...]:
    """All of them, in the order of the argument."""
    relu, gated = (sae_state(sae) for sae in measured_saes())
    return (
        Preset(
            "near-perpendicular",
            "89.9°",
            "C4",
            {"angle": 89.9, "norm_ratio": 1},
            "Both best multiples are {scale_x}; the reciprocal of either, {one_over_scale_x}, is nobody's minimum.",
            "x and x̂ are equally long and almost perpendicular. The best multiple of x: near 0, near 1, or near 600?",
            "Near 0: c/a = {scale_x}. So is c/b = {scale_x_hat}. Reciprocals of each other they are not: their product "
            "is cos² θ.",
        ),
        Preset(
            "equal-lengths",
            "Equal lengths, 60°",
            "C5",
            {"angle": 60, "norm_ratio": 1},
            "Equal lengths, and yet both best multiples are {scale_x}: the best way to bring either nearer is to "
            "shrink it.",
            "Both vectors are equally long. Should x̂ be lengthened, shortened, or left alone to get nearer to x?",
            "Shortened to {scale_x_hat} of its length: γ = {relative_reconstruction_bias} says that it is twice too "
            "long for its angle, and the first version's equation 10 is not even defined.",
        ),
        Preset(
            "half",
            "x̂ = x/2",
            "C9",
            {"angle": 0, "norm_ratio": 0.5},
            "No angle at all: γ = {relative_reconstruction_bias}, but the first version's equation 10 gives "
            "{equation_10_v1}.",
            "x̂ is exactly half of x. What should a measure of shrinkage say?",
            "One half, and γ, c/a and r all do. The first version's equation 10 says {equation_10_v1} = 1/√3: it has "
            "the plain loss where the optimised one belongs.",
        ),
        Preset(
            "thales",
            "On Thales’ circle",
            "C10",
            {"angle": 60, "norm_ratio": 0.5},
            "x̂ is only {norm_ratio} as long as x, and γ is {relative_reconstruction_bias}: no rescaling would help.",
            "x̂ is half as long as x, at 60°. Would it get nearer to x if it were longer?",
            "No: it is nearest as it is (γ = {relative_reconstruction_bias}). Seen from any point of Thales’ circle "
            "the residual is at a right angle to x̂, so lengthening x̂ leads away from x.",
        ),
        Preset(
            "antiparallel",
            "Antiparallel",
            "C6",
            {"angle": 180, "norm_ratio": 0.8},
            "x̂ points away from x: both best multiples are negative, and γ is undefined rather than negative.",
            "x̂ points exactly away from x. How much does it shrink?",
            "There is no answer: no positive factor is the best, for the nearer it is to 0, the nearer x̂ comes. So γ "
            "is undefined, and says why. c/a = {scale_x} turns x round.",
        ),
        Preset(
            "relu",
            "ReLU SAE",
            "C17",
            relu,
            "A real ReLU SAE: γ = {relative_reconstruction_bias}, so lengthening every reconstruction would help; the "
            "norm ratio {norm_ratio} overstates it.",
            "A real SAE with an L1 penalty: its reconstructions are {norm_ratio} as long as x. How much of that is "
            "shrinkage?",
            "γ = {relative_reconstruction_bias}: what a rescaling undoes. The rest of the missing length belongs to "
            "the angle (ρ = {cosine}), as C10 says.",
        ),
        Preset(
            "gated",
            "Gated SAE",
            "C10",
            gated,
            "A real Gated SAE lies on Thales’ circle: γ = {relative_reconstruction_bias}, though r = {norm_ratio} and "
            "c/a = {scale_x}.",
            "A real Gated SAE: its reconstructions are {norm_ratio} as long as x. Do they shrink?",
            "No: γ = {relative_reconstruction_bias}. At an angle to x, the nearest vector is a shorter one; norm ratio "
            "and c/a ({scale_x}) call that shrinkage.",
        ),
        Preset(
            "offset",
            "Shared offset",
            "C14",
            {"angle": 0, "norm_ratio": 0.7, "population": True, "spread": 0, "offset": 2, "n": 1000},
            "Every vector has lost 30 % of what is its own, but a shared offset hides it: pooled and raw, γ is "
            "{relative_reconstruction_bias}.",
            "x = m + z, and x̂ = m + 0.7·z, with ‖m‖ = 2. Is γ nearer to 0.7 or to 1?",
            "To 1: it is {relative_reconstruction_bias}, because ‖m‖² stands above and below. Taken without the "
            "offset it is 0.7, which is why reports give both.",
        ),
        Preset(
            "pooled",
            "Mean of ratios",
            "C15",
            {"angle": 50, "norm_ratio": 0.8, "population": True, "spread": 20, "norm_spread": 1, "n": 1000},
            "Pooled, γ is {relative_reconstruction_bias}; the mean of the pairs’ own ratios is another number, and a "
            "mean over batches is a third.",
            "Each pair has its own γ. Is their mean the γ of the whole?",
            "No: the pooled γ = {relative_reconstruction_bias} weighs each pair by its c. Near 90° a single pair’s γ "
            "is huge, and takes a plain mean with it.",
        ),
    )


STATES_OF_CLAIMS: dict[str, str] = {
    number: preset
    for preset, numbers in {
        "near-perpendicular": "C4",
        "equal-lengths": "C3 C5",
        "half": "C1 C2 C7 C9",
        "thales": "C10 C13",
        "relu": "C6 C8 C12 C17",
        "gated": "C11 C18",
        "offset": "C14",
        "pooled": "C15 C16",
    }.items()
    for number in numbers.split()
}
"""The preset in which each claim is best seen."""


def measured_saes() -> list[dict[str, Any]]:
    """The embedded pair as it was measured (sandbox/data/README.md): name, cosine and norm ratio."""
    return saes_of(embedded("reports"))


def saes_of(path: Any) -> list[dict[str, Any]]:
    """The SAEs of a report that `sandbox measure --json` wrote, as points: `name`, `cosine`, `norm_ratio`.

    Raises: InputError when the file is none, or holds no SAE of which both are defined.
    """
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        reports = [(str(sae["name"]), sae["raw"]) for sae in held["saes"]]
        values = [(name, raw["cosine"]["value"], raw["norm_ratio"]["value"]) for name, raw in reports]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no report: give a file that 'sandbox measure … --json FILE' wrote") from error
    named = ({"name": name, "cosine": rho, "norm_ratio": r} for name, rho, r in values)
    points = [found for one in named if (found := point(one))]
    if not points:
        raise InputError(f"{path}: its SAEs have no defined cosine and norm ratio, so there is no point to show")
    return points


def point(sae: Any) -> dict[str, Any] | None:
    """The SAE as a point of the map, or None if it is none: a name, a cosine and a norm ratio that can be."""
    if not isinstance(sae, Mapping) or not {"name", "cosine", "norm_ratio"} <= set(sae):
        return None
    rho, r = sae["cosine"], sae["norm_ratio"]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (rho, r))
    if not numbers or not abs(rho) <= 1 or not 0 <= r <= sys.float_info.max:
        return None
    return {"name": str(sae["name"]), "cosine": rho, "norm_ratio": r}


def sae_state(sae: Mapping[str, Any]) -> dict[str, float]:
    """The angle and the norm ratio of an SAE."""
    return {"angle": math.degrees(math.acos(sae["cosine"])), "norm_ratio": sae["norm_ratio"]}
