"""Checks on the activations of a sample alone, and the choice of tokens for comparisons."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from sandbox.measuring.preflight.finding import Finding

OUTLIER = 100
"""Times the median norm above which a token is an outlier: "massive activations", as the first position often has."""

HEAVY = 0.5
"""Share of E‖x‖² in the longest hundredth of the tokens from which those few tokens are what is measured."""

ORDINARY = 4
"""Times the median norm up to which a token takes part in comparing spaces: no few tokens decide those."""

MIN_TOKENS = 64
"""Fewest tokens that say anything about means: chance alone leaves 1/n of a loss in the mean."""

FLOAT16_MAX = 65504.0


def norms(x: Float[Tensor, "n d"]) -> Float64[Tensor, "n"]:
    """‖x‖ of each token; float16 would overflow at 256 already."""
    return torch.linalg.vector_norm(x.detach().cpu(), dim=-1, dtype=torch.float64)


def outlier_limit(x: Float[Tensor, "n d"], above: float = OUTLIER) -> float:
    """The norm above which a token is an outlier: `above` times the median norm of this sample, 100 by default.

    Tokens that are zero or not finite do not count for the median.

    Returns: activation units; infinity where no token is left

    >>> outlier_limit(torch.tensor([[3.0, 4.0], [0.3, 0.4], [500.0, 0.0], [0.0, 0.0]]))
    500.0
    """
    size = norms(x)
    size = size[size.isfinite() & (size > 0)]
    return above * size.median().item() if len(size) else float("inf")


def scale_to_root_d(x: Float[Tensor, "n d"]) -> float:
    """The factor that brings the mean norm of this sample to √d, as SAELens and others do for training.

    Tokens that are not finite do not count; 1 where the others are zero.

    >>> scale_to_root_d(torch.tensor([[2.0, 0, 0, 0], [0, 6.0, 0, 0]]))
    0.5
    """
    size = norms(x)
    mean = size[size.isfinite()].mean().item()
    return x.shape[-1] ** 0.5 / mean if mean > 0 else 1.0


def ordinary(x: Float[Tensor, "n d"]) -> Bool[Tensor, "n"]:
    """Tokens that are finite, not zero, and at most 4 times the median norm."""
    size = norms(x)
    return (size > 0) & (size <= outlier_limit(x) / OUTLIER * ORDINARY)


def look_at_sample(x: Float[Tensor, "n d"], above: float = OUTLIER) -> list[Finding]:
    """What is wrong with the activations alone. Args: above: as for `outlier_limit`"""
    size = norms(x)
    n, finite = len(size), size.isfinite()
    found = []
    if bad := int((~finite).sum()):
        found.append(
            Finding(
                "nonfinite",
                f"{bad} of {n} tokens of x have a NaN or an infinity (first: {_places(~finite)}): "
                "save the activations in float32 or bfloat16, or drop those tokens with --drop-nonfinite",
            )
        )
    found += _look_at_float16(x)
    if not finite.any():
        return found
    size, kept = size.where(finite, 0), x.detach().cpu()[finite]
    if not size.any():
        return [*found, Finding("zero", "x is zero in every token of the sample: there is nothing to reconstruct")]
    if n > 1 and len(kept) > 1 and bool((kept == kept[0]).all()):
        return [*found, Finding("constant", "every token of the sample is the same vector: is this the right file?")]
    if zero := int((finite & (size == 0)).sum()):
        found.append(zero_finding(zero, n, f" (first: {_places(finite & (size == 0))})"))
    if n < MIN_TOKENS:
        found.append(Finding("small", f"{n} tokens are too few for this check: give {MIN_TOKENS} or more"))
    return found + _look_at_long_tokens(size, above)


def zero_finding(zero: int, tokens: int, first: str = "") -> Finding:
    """The finding for tokens that are all zeros; `first` says where."""
    message = f"{zero} of {tokens} tokens of x are all zeros{first}, probably padding: remove it"
    return Finding("zero_tokens", f"{message} before measuring")


def outlier_finding(
    count: int, tokens: int, limit: float, share: float, first: str = "", above: float = OUTLIER
) -> Finding:
    """Of so many tokens of a norm above the limit, `above` times the median, that hold a share of E‖x‖²."""
    message = (
        f"{count} of {tokens} tokens have a norm above {limit:.4g}, {above:g} × the median{first}, and hold "
        f"{share:.1%} of E‖x‖²: probably attention sinks or first positions; rely on the measures without them "
        "(--exclude-outliers)"
    )
    return Finding("outliers", message)


def _look_at_long_tokens(size: Float64[Tensor, "n"], above: float) -> list[Finding]:
    middle, energy = size[size > 0].median().item(), size.square()
    long = size > above * middle
    if long.any():
        share = float(energy[long].sum() / energy.sum())
        first = f" (first: {_places(long)})"
        return [outlier_finding(int(long.sum()), len(size), above * middle, share, first, above)]
    longest = energy.sort(descending=True).values[: max(1, len(size) // 100)]
    share = float(longest.sum() / energy.sum())
    if len(size) >= 2 * MIN_TOKENS and share > HEAVY:
        return [
            Finding(
                "heavy_tokens",
                f"the longest {len(longest)} of {len(size)} tokens, of norms up to "
                f"{size.max() / middle:.3g} × the median, hold {share:.1%} of E‖x‖²: they dominate every pooled "
                "measure; measure without first positions and similar tokens, too",
            )
        ]
    return []


def _look_at_float16(x: Float[Tensor, "n d"]) -> list[Finding]:
    peak = x.detach().abs()
    peak = float(peak.where(peak.isfinite(), 0).max())
    if peak == FLOAT16_MAX:
        return [
            Finding(
                "float16",
                f"the largest |x| is exactly {peak:g}, the largest float16: the activations were cut "
                "off there when they were saved; save them in float32 or bfloat16",
            )
        ]
    if x.dtype == torch.float16 and peak > FLOAT16_MAX / 2:
        return [
            Finding(
                "float16",
                f"the largest |x| is {peak:g} in float16, which ends at {FLOAT16_MAX:g}: larger ones "
                "may be infinite or cut off; save the activations in float32 or bfloat16",
            )
        ]
    return []


def _places(where: Bool[Tensor, "n"], most: int = 5) -> str:
    """The first few places in the sample, counted from 0."""
    found = where.nonzero()[:, 0]
    return ", ".join(map(str, found[:most].tolist())) + (", …" if len(found) > most else "")
