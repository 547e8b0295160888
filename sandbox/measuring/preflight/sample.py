"""Checks on the activations of a sample alone, and the choice of tokens for comparisons."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.words import SAID

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


def look_at_read(x: Float[Tensor, "n d"]) -> list[Finding]:
    """What is wrong with the activations that a transcoder reads: their norms are of no account."""
    return [finding for finding in look_at_sample(x) if finding.key in ("nonfinite", "float16", "zero", "constant")]


def look_at_sample(x: Float[Tensor, "n d"], above: float = OUTLIER, name: str = "x") -> list[Finding]:
    """What is wrong with the activations alone. Args: above: as for `outlier_limit`; name: as messages call them"""
    size = norms(x)
    n, finite = len(size), size.isfinite()
    found = []
    if bad := int((~finite).sum()):
        found.append(
            Finding(
                "nonfinite",
                f"{bad} of {n} tokens of {name} have a NaN or an infinity (first: {_places(~finite)}): "
                "save the activations in float32 or bfloat16, or drop those tokens with --drop-nonfinite",
            )
        )
    found += _look_at_float16(x, name)
    if not finite.any():
        return found
    size, kept = size.where(finite, 0), x.detach().cpu()[finite]
    if not size.any():
        return [*found, Finding("zero", SAID["zero"].format(name=name))]
    if n > 1 and len(kept) > 1 and bool((kept == kept[0]).all()):
        return [*found, Finding("constant", SAID["constant"])]
    if zero := int((finite & (size == 0)).sum()):
        found.append(zero_finding(zero, n, _first(finite & (size == 0)), name))
    if n < MIN_TOKENS:
        found.append(Finding("small", SAID["small"].format(tokens=n, least=MIN_TOKENS)))
    return found + _look_at_long_tokens(size, above)


def zero_finding(zero: int, tokens: int, first: str = "", name: str = "x") -> Finding:
    """The finding for tokens that are all zeros; `first` says where."""
    return Finding("zero_tokens", SAID["zero_tokens"].format(zero=zero, tokens=tokens, name=name, first=first))


def outlier_finding(
    count: int, tokens: int, limit: float, share: float, first: str = "", above: float = OUTLIER
) -> Finding:
    """Of so many tokens of a norm above the limit, `above` times the median, that hold a share of E‖x‖²."""
    words = {"limit": f"{limit:.4g}", "above": f"{above:g}", "first": first, "share": f"{share:.1%}"}
    message = SAID["outliers"].format(count=count, tokens=tokens, **words)
    return Finding("outliers", f"{message} (--exclude-outliers)")


def _look_at_long_tokens(size: Float64[Tensor, "n"], above: float) -> list[Finding]:
    middle, energy = size[size > 0].median().item(), size.square()
    long = size > above * middle
    if long.any():
        share = float(energy[long].sum() / energy.sum())
        return [outlier_finding(int(long.sum()), len(size), above * middle, share, _first(long), above)]
    longest = energy.sort(descending=True).values[: max(1, len(size) // 100)]
    share = float(longest.sum() / energy.sum())
    if len(size) >= 2 * MIN_TOKENS and share > HEAVY:
        words = {"times": f"{size.max() / middle:.3g}", "share": f"{share:.1%}"}
        message = SAID["heavy_tokens"].format(longest=len(longest), tokens=len(size), **words)
        return [Finding("heavy_tokens", message)]
    return []


def _look_at_float16(x: Float[Tensor, "n d"], name: str) -> list[Finding]:
    peak = x.detach().abs()
    peak = float(peak.where(peak.isfinite(), 0).max())
    if peak == FLOAT16_MAX:
        return [Finding("float16", SAID["float16_cut"].format(name=name, peak=f"{peak:g}"))]
    if x.dtype == torch.float16 and peak > FLOAT16_MAX / 2:
        words = {"peak": f"{peak:g}", "most": f"{FLOAT16_MAX:g}"}
        return [Finding("float16", SAID["float16_near"].format(name=name, **words))]
    return []


def _first(where: Bool[Tensor, "n"]) -> str:
    return SAID["first"].format(places=_places(where))


def _places(where: Bool[Tensor, "n"], most: int = 5) -> str:
    """The first few places in the sample, counted from 0."""
    found = where.nonzero()[:, 0]
    return ", ".join(map(str, found[:most].tolist())) + (", …" if len(found) > most else "")
