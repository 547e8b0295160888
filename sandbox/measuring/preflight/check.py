"""`preflight`: run a sample through the SAE, and find what would make a measurement meaningless."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sandbox.errors import InputError
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.preflight.biases import COMPARED, offset_finding
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.fit import fit
from sandbox.measuring.preflight.input_spaces import GOOD_ENOUGH, input_finding, output_finding, spread
from sandbox.measuring.preflight.sample import (
    FLOAT16_MAX,
    MIN_TOKENS,
    OUTLIER,
    look_at_read,
    look_at_sample,
    norms,
    ordinary,
    outlier_limit,
)
from sandbox.measuring.preflight.words import SAID
from sandbox.moments.moments import Moments

Run = Callable[[Tensor], tuple[Tensor, Tensor | None]]

SAMPLE = 4096
"""Tokens that a sample should have, so that the mean of x is known to 1/64 of its spread."""

BATCH = 512
"""Tokens at a time: never tokens × latents of a whole sample."""

FINE = 0.01
"""Share of the variance lost below which no space or bias is questioned: x̂ is close enough to x."""

USUAL = (0.75, 1.1)
"""γ of SAEs in use; beyond it, weights in the units of other activations are likelier than shrinkage."""


def preflight(
    run: Run | None,
    x: Float[Tensor, "n d"],
    *,
    x_hat: Float[Tensor, "n d"] | None = None,
    b_dec: Float[Tensor, "d"] | None = None,
    above: float = OUTLIER,
    y: Float[Tensor, "n d_out"] | None = None,
) -> list[Finding]:
    """Find what in a sample would make the measured shrinkage misleading.

    Args:
        run:   x ► (x̂, latents or None), for any number of tokens with the dtype of x; None for pairs
        x:     activations of a sample (SAMPLE tokens are enough), any float dtype, as they will be measured
        x_hat: for pairs, the reconstructions; checks that need the SAE are then skipped
        b_dec: the decoder bias, if any, to recognise when it is missing, doubled, or not subtracted
        above: multiple of the median norm above which a token is an outlier
        y:     for a transcoder, what its output reconstructs: x̂ is then compared with y, and x only read
    Returns: findings about x alone, then about spaces and biases (the likeliest cause first), then about loss and L0;
             empty if there are none
    Raises:  InputError for mismatched shapes

    >>> generator = torch.Generator().manual_seed(0)
    >>> x = 10 * torch.randn(500, 16, generator=generator)
    >>> x_hat = 0.9 * x + 2 * torch.randn(500, 16, generator=generator)
    >>> preflight(None, x, x_hat=x_hat)
    []
    >>> [finding.key for finding in preflight(None, x, x_hat=x_hat / 4)]
    ['x_hat_root_d']
    """
    if x.ndim != 2 or not len(x):
        raise InputError(f"the sample has shape {tuple(x.shape)}: it must be (tokens, d), with at least one token")
    if (run is None) == (x_hat is None):
        raise InputError("preflight needs either run or x_hat: give one of the two")
    compared = x if y is None else y
    if len(compared) != len(x):
        raise InputError(f"the sample has {len(x)} tokens of x and {len(compared)} of y: they must agree")
    if b_dec is not None and b_dec.shape != compared.shape[1:]:
        raise InputError(f"b_dec has shape {tuple(b_dec.shape)}, but the activations have d = {compared.shape[1]}")
    found = look_at_sample(x, above) if y is None else look_at_read(x) + look_at_sample(y, above, "y")
    finite = (norms(x).isfinite() & norms(compared).isfinite()).to(x.device)
    if any(one.key in ("zero", "constant") for one in found) or not finite.any():
        return found
    x, y = x[finite], None if y is None else y[finite]
    with torch.no_grad():
        if run is None:
            assert x_hat is not None
            if len(x_hat) != len(finite) or x_hat.shape[1:] != x.shape[1:]:
                raise InputError(f"x has shape {(len(finite), x.shape[1])} and x_hat {tuple(x_hat.shape)}: they differ")
            x_hat, l0, d_sae = x_hat[finite], None, 0
        else:
            x_hat, l0, d_sae = _run_through(run, x, x.shape[1] if y is None else y.shape[1])
        found += _look_at_numbers(x_hat)
        both = norms(x_hat).isfinite().to(x.device)
        if both.any():
            found += _look_at_pair(run, x[both], x_hat[both], b_dec, None if y is None else y[both])
    return found + (_look_at_l0(l0, d_sae) if l0 is not None else [])


def _run_through(run: Run, x: Tensor, d: int) -> tuple[Tensor, Tensor | None, int]:
    """x̂, (n, d), the number of active latents per token, and d_sae; computed in batches."""
    pieces, counts, d_sae = [], [], 0
    for part in x.split(BATCH):
        x_hat, feature_acts = run(part.clone())  # the SAE may work in place
        if x_hat.shape != (len(part), d):
            raise InputError(f"the SAE gave x̂ of shape {tuple(x_hat.shape)} for x of shape {tuple(part.shape)}")
        pieces.append(x_hat)
        if feature_acts is not None:
            counts.append((feature_acts != 0).sum(-1))
            d_sae = feature_acts.shape[-1]
    return torch.cat(pieces), torch.cat(counts) if counts else None, d_sae


def _look_at_numbers(x_hat: Tensor) -> list[Finding]:
    bad = int((~norms(x_hat).isfinite()).sum())
    peak = x_hat.abs().where(x_hat.isfinite(), 0).max()
    if bad:
        why = " (float16 ends at 65504)" if x_hat.dtype == torch.float16 else ""
        return [
            Finding(
                "nonfinite_x_hat",
                f"x̂ has a NaN or an infinity in {bad} of {len(x_hat)} tokens whose x is finite"
                f"{why}: compute the SAE in float32 or bfloat16",
            )
        ]
    if x_hat.dtype == torch.float16 and peak > FLOAT16_MAX / 2:
        message = SAID["float16_x_hat"].format(peak=f"{peak:g}", most=f"{FLOAT16_MAX:g}")
        return [Finding("float16_x_hat", message)]
    return []


def _look_at_pair(
    run: Run | None, read: Tensor, x_hat: Tensor, b_dec: Tensor | None, y: Tensor | None
) -> list[Finding]:
    """Spaces, biases and the loss; `read` is what the SAE reads, and y what a transcoder reconstructs."""
    x, name = (read, "x") if y is None else (y, "y")
    if _is_same(x, x_hat):
        return [Finding("identical", SAID["identical"].format(name=name))]
    usual = ordinary(x).to(x.device)
    chosen = usual.nonzero()[:, 0]
    chosen = chosen[spread(len(chosen), COMPARED).to(chosen.device)]
    few = None if y is None else y[chosen]
    causes = _look_at_space(run, read[chosen], x_hat[chosen], b_dec, few) if len(chosen) >= MIN_TOKENS else []
    kept = norms(x).to(x.device) <= outlier_limit(x)
    raw = fit(x[kept], x_hat[kept])
    biased = any(one.key in ("missing_bias", "extra_bias") for one in causes)
    explained = bool(causes) and (not biased or raw.loss * (1 - raw.offset) < 1)
    found = causes + _look_at_loss(x[kept], x_hat[kept], explained)
    if found:
        return found
    means = Moments.from_pairs(x[kept], x_hat[kept], groups=1).means.unbind(-1)
    return folding(evaluate(REGISTRY["relative_reconstruction_bias"], *means).item(), "of the sample")


def folding(gamma: float, of: str) -> list[Finding]:
    """The finding for a γ outside USUAL; `of` names the tokens it was measured on."""
    if not (gamma < USUAL[0] or gamma > USUAL[1]):
        return []
    low, high = USUAL
    return [Finding("folding", SAID["folding"].format(of=of, gamma=f"{gamma:.3g}", low=low, high=high))]


def _is_same(x: Tensor, x_hat: Tensor) -> bool:
    """Whether all numbers agree up to rounding, relative to |x| plus its median, which outliers do not raise."""
    near = 4 * max(torch.finfo(one.dtype).eps for one in (x, x_hat))
    x, x_hat = _wide(x), _wide(x_hat)
    size = x.abs()
    return bool(((x - x_hat).abs() <= near * (size + size.median())).all()) and bool(x.any())


def _look_at_space(
    run: Run | None, read: Tensor, x_hat: Tensor, b_dec: Tensor | None, y: Tensor | None
) -> list[Finding]:
    kind, x, x_hat = read.dtype, _wide(read if y is None else y), _wide(x_hat)
    b_dec = None if b_dec is None else b_dec.to(x)
    raw = fit(x, x_hat)
    if raw.loss < FINE:
        return []
    outcome = output_finding(x, x_hat)
    if run is not None:
        # Keep the dtype of x, as the measurement does: an SAE in half precision accepts no other.
        def reconstruct(moved: Tensor) -> Tensor:
            return _wide(_run_through(run, moved.to(kind), x.shape[1])[0])

        inner = input_finding(reconstruct, _wide(read), x_hat, b_dec, None if y is None else x)
        # A normalisation leaves what it normalised as it is, so an SAE that applies one passes on both counts: then
        # what needs no change of the input is the simpler cause.
        if inner is not None and (outcome is None or inner[1].badness * 1.25 < outcome[1].badness):
            outcome = inner
    offset, certain = offset_finding(x, x_hat, b_dec, raw.offset)
    without = raw.loss * (1 - raw.offset)  # what the constant vector alone would leave
    # Activations of another scale leave a mean that is off, too; then the vector is no whole multiple of b_dec, or
    # (x̂ is b_dec alone) taking it away leaves nothing.
    certain = certain and without < GOOD_ENOUGH
    if outcome is not None and (offset is None or not certain or outcome[1].loss < 0.5 * without):
        return [outcome[0]]
    if offset is not None and outcome is not None:  # an error of scale moves a top-k SAE's x̂ by little more than b_dec
        other = {"key": outcome[0].key, "other": outcome[0].message}
        return [Finding(offset.key, SAID["or_else"].format(message=offset.message, **other))]
    return [offset] if offset is not None else []


def _look_at_loss(x: Tensor, x_hat: Tensor, explained: bool) -> list[Finding]:
    moments = Moments.from_pairs(x, x_hat, groups=1)
    loss, cosine = (evaluate(REGISTRY[key], *moments.means.unbind(-1)).item() for key in ("relative_loss", "cosine"))
    if not x_hat.any():
        return [Finding("zero_x_hat", SAID["zero_x_hat"])]
    if len(x) > 1 and bool((x_hat == x_hat[0]).all()):
        return [Finding("constant_x_hat", SAID["constant_x_hat"])]
    about = fit(x, x_hat).loss
    words = {"loss": f"{loss:.3g}", "why": SAID["explained" if explained else "unexplained"]}
    if loss > 1:
        return [Finding("loss", SAID["loss"].format(cosine=f"{cosine:.3f}", **words))]
    if 1 < about < float("inf"):
        return [Finding("loss", SAID["loss_about_the_mean"].format(about=f"{about:.3g}", **words))]
    return []


def _look_at_l0(l0: Tensor, d_sae: int) -> list[Finding]:
    mean, none = l0.double().mean().item(), (l0 == 0).double().mean().item()
    usual = SAID["l0"].format(mean=f"{mean:.3g}", d_sae=d_sae)
    if none > 0.5:
        return [Finding("l0_none", SAID["l0_none"].format(none=f"{none:.0%}", usual=usual))]
    if mean > d_sae / 2:
        return [Finding("l0_all", SAID["l0_all"].format(usual=usual))]
    return []


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
