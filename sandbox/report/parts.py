"""Where the loss is: in the tokens' angles, in factors that differ between tokens, or in a common factor (C23).

A token's best factor is the one that brings its x̂ nearest to its x. The relative loss L/a is the sum of three parts:

- `tokens_loss`: what the best factor of each token leaves.
- `factors_loss`: what these factors recover beyond a common one.
- `length_loss`: what the best common factor recovers (`sandbox rescale`).

No common factor recovers the first two. One factor per latent may recover some of each (`sandbox rescale --kind
per-latent`): tokens with different active latents then get different factors, and a token with several active latents
gets another direction.

The measure `angle_loss` is the first two together: if x̂ is x on one token and x/2 on another, no token has an angle,
and yet there is an angle loss.

There is no centred version in one reading of the activations: a token's ‖x̂ − mean‖² needs the mean, which is known only
after the last token. About b_dec, known beforehand, there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jaxtyping import Float64
from sympy import Interval, sqrt
from torch import Tensor

from sandbox.maths.derivations.parts import V
from sandbox.maths.derived import derived
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.report.estimates import Estimate, estimate
from sandbox.report.joint import Joint

PARTS: Mapping[str, tuple[str, str]] = {
    "tokens_loss": ("tokens' angles", "tokens_share"),
    "factors_loss": ("factors that differ between tokens", "factors_share"),
    "length_loss": ("common factor", "length_share"),
}
"""The key of each part of the relative loss, with its words, and the key of its share of that loss."""

NOTHING_LOST = "nothing is lost, so there are no shares"

SHARE = Interval(0, 1)


def loss_parts(moments: Moments, captured: Float64[Tensor, "groups"]) -> dict[str, Estimate]:
    """The three parts of the relative loss and their shares of it, by key, with 95 % intervals.

    Args:
        moments:  about some origin, without batch axes
        captured: Σ (x·x̂)²/‖x̂‖² over the tokens of each group of the moments, about the same origin; a token with x̂ = 0
                  adds 0
    Source: C23
    """
    totals, length, loss = Joint(moments, V, captured), REGISTRY["length_loss"], REGISTRY["relative_loss"].expression
    lost = (*length.needs, (loss, NOTHING_LOST))
    estimates = {}
    for key in ("tokens_loss", "factors_loss"):
        part = derived("C23")[key]
        estimates[key] = totals.estimate(part, SHARE, length.needs)
        estimates[PARTS[key][1]] = totals.estimate(part / loss, SHARE, lost)
    share = replace(
        length,
        formula=lambda: length.expression / loss,
        root=lambda: length.centre / sqrt(loss),
        range=SHARE,
        needs=lost,
    )
    estimates |= {"length_loss": estimate(moments, length), "length_share": estimate(moments, share)}
    return {key: estimates[key] for part, (_, share) in PARTS.items() for key in (part, share)}
