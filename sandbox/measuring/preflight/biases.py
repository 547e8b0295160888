"""The mean of x − x̂: which constant vector x̂ lacks, or has too much of, and whether it is one that is known."""

from __future__ import annotations

from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.words import SAID
from sandbox.moments.moments import Moments

COMPARED = 512
"""Tokens of a sample on which spaces are compared: one forward pass for each of some ten spaces."""

OFF = 0.06
"""Share of the loss in the mean of x − x̂ above which x̂ lacks a constant vector, whatever that is …"""

OFF_FEW = 0.15
"""… and in a sample of fewer than half of COMPARED tokens: one text alone, of 80 tokens, leaves up to 0.1."""

OFF_ALONG = 0.05
"""The same where the vector is recognised: b_dec, or the mean of x."""


def offset_finding(x: Tensor, x_hat: Tensor, b_dec: Tensor | None, share: float) -> tuple[Finding | None, bool]:
    """Whether x̂ lacks, or has too much of, a constant vector, and whether it is a whole multiple of a known one."""
    lacking = (x.double() - x_hat.double()).mean(0)
    seen = SAID["offset"].format(share=f"{share:.0%}", norm=f"{lacking.norm():.3g}")

    def said(key: str, multiple: float, alike: float, **words: str) -> str:
        return SAID[key].format(offset=seen, multiple=f"{multiple:.2f}", cosine=f"{alike:.3f}", **words)

    if share > OFF_ALONG and b_dec is not None and b_dec.any():
        multiple, alike = _along(lacking, b_dec.double())
        if alike > 0.9 and 0.5 < abs(multiple) < 2.5:
            whole = min(abs(abs(multiple) - one) for one in (1, 2)) < 0.1
            certain = alike > 0.95 and whole
            folded = "" if whole else SAID["no_whole_multiple"]
            if multiple > 0:
                return Finding("missing_bias", said("b_dec_missing", multiple, alike, folded=folded)), certain
            return Finding("extra_bias", said("b_dec_extra", -multiple, alike, folded=folded)), certain
        if alike > 0.9 and multiple > -1 and abs(multiple) > 0.1 and 2 * len(x) >= COMPARED:
            message = said("b_dec_folded", multiple, alike, fits=f"{1 + multiple:.3g}")
            return Finding("folding", message), alike > 0.95
    if share > OFF_ALONG:
        multiple, alike = _along(lacking, x.double().mean(0))
        if alike > 0.9 and 0.8 < multiple < 1.25:
            certain = alike > 0.95 and abs(multiple - 1) < 0.1
            return Finding("missing_bias", said("mean_missing", multiple, alike)), certain
    if share > (OFF if 2 * len(x) >= COMPARED else OFF_FEW):
        return Finding("missing_bias", SAID["bias_missing"].format(offset=seen)), False
    return None, False


def _along(vector: Tensor, direction: Tensor) -> tuple[float, float]:
    """Which multiple of the direction is nearest to the vector, and their unsigned cosine."""
    means = Moments.from_pairs(direction[None], vector[None], groups=1).means.unbind(-1)
    multiple, cosine = (evaluate(REGISTRY[key], *means).item() for key in ("scale_x", "cosine"))
    return multiple, abs(cosine)
