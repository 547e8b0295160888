"""Spaces that x or x̂ may be in by mistake, and which of them explains a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.fit import NO_FIT, Misfit, fit
from sandbox.measuring.preflight.words import SAID
from sandbox.moments.moments import Moments

Reconstruct = Callable[[Tensor], Tensor]

FAR_BETTER = 0.6
"""A space explains the sample if its badness is less than this share of the badness of x as it is."""

GOOD_ENOUGH = 0.5  # of the variance: what loses more in its best space is explained by no space
"""… and if the SAE then loses less than this share of the variance: otherwise it is broken there, too."""

NO_CHANGE = 1.25
"""Factors between 1/1.25 and 1.25 are no other space: shrinkage and a change of text are as large."""

SHRINKAGE = (0.5, 2.0)
"""x̂ between half and twice as long as it should be may be shrinkage; a space within needs more evidence, …"""

MEAN_OFF = 0.08
"""… that of a mean that is off, too, by this share of the loss: a bias is not shrunk with the latents."""

MOST_LEFT = 0.7
"""… and a space of x̂ leaves at most this share of the loss: a poor SAE without a bias may shrink by more than half."""

AS_GOOD = 1.1
"""Spaces whose badness is within 10 % of the best cannot be told apart on the sample: all of them are named."""

PREFER_KNOWN = 1.25
"""A known normalisation is preferred to a factor fitted to the sample, unless it is worse by more than this."""


LAYER_NORM_EPS = 1e-5
"""What LayerNorm adds to the variance, as torch does by default."""


@dataclass(frozen=True)
class Space:
    """Somewhere that activations are moved to before an SAE sees them.

    Attributes:
        key:    of the finding
        words:  what is done to x
        apply:  x ► x in that space, (n, d)
        remedy: what to do to the activations that were given
        factor: where all tokens are multiplied by one number, that number
    """

    key: str
    words: str
    apply: Callable[[Tensor], Tensor]
    remedy: str
    factor: float | None = None


def scaling(key: str, factor: float, what: str) -> Space:
    """All tokens times one factor."""
    words = SAID["scaled"].format(factor=f"{factor:.4g}", what=what)
    remedy = f"scale the activations by k = {factor:.4g} before measuring, or fold that factor into the SAE's weights"
    return Space(key, words, lambda x: x * factor, remedy, factor)


def known_spaces(x: Float[Tensor, "n d"]) -> list[Space]:
    """The normalisations in use, simplest first, with the factors that this sample gives.

    Source: SAELens 6 `normalize_activations`: "expected_average_only_in" (√d / mean ‖x‖), "constant_norm_rescale"
            (√d / ‖x‖), "layer_norm"; dictionary_learning `normalize_activations` (1 / root of E‖x‖²); OpenAI's
            sparse_autoencoder `normalize` (LayerNorm).
    """
    size = torch.linalg.vector_norm(x, dim=-1, dtype=torch.float64)
    root_d, mean_norm, rms = x.shape[-1] ** 0.5, size.mean().item(), size.square().mean().sqrt().item()
    mean = x.mean(0)
    spaces = [
        scaling("scale", root_d / mean_norm, "√d / mean ‖x‖"),
        scaling("scale", 1 / mean_norm, "1 / mean ‖x‖"),
        scaling("scale", root_d / rms, "√d / √(E‖x‖²)"),
        scaling("scale", 1 / rms, "1 / √(E‖x‖²)"),
        scaling("root_d", root_d, "√d"),
        scaling("root_d", 1 / root_d, "1/√d"),
        Space("constant_norm", SAID["constant_norm"], lambda x: root_d * _unit(x),
              "scale every token to norm √d before measuring"),
        Space("unit_norm", SAID["unit_norm"], _unit,
              "scale every token to norm 1 before measuring"),
        Space("layer_norm", SAID["layer_norm"], _layer_norm,
              "apply LayerNorm without weights to every token before measuring"),
        Space("mean_removed", SAID["mean_removed"], lambda x: x - mean,
              "take the mean of the training activations from x before measuring"),
    ]  # fmt: skip
    return [one for one in spaces if one.factor is None or not 1 / NO_CHANGE < one.factor < NO_CHANGE]


def output_finding(x: Float[Tensor, "n d"], x_hat: Float[Tensor, "n d"]) -> tuple[Finding, Misfit] | None:
    """Whether x̂ reconstructs x in another space, into which x was brought and from which x̂ was not brought back."""
    x, x_hat = x.double(), x_hat.double()  # other spaces of what float32 just holds may lie beyond it
    raw = fit(x, x_hat)
    spaces = [
        one for one in known_spaces(x) if one.key != "mean_removed" and (raw.offset > MEAN_OFF or _is_far(one, x))
    ]
    best, chosen, others = _best(spaces, lambda one: fit(one.apply(x), x_hat), _factor_on_x_hat(x, x_hat))
    if chosen is None or not _explains(best, raw) or best.loss > MOST_LEFT * raw.loss:
        return None
    losses = {"raw": f"{raw.loss:.3g}", "best": f"{best.loss:.3g}"}
    message = SAID["x_hat_space"].format(words=chosen.words, others=others, **losses)
    return Finding(f"x_hat_{chosen.key}", message), best


def input_finding(
    run: Reconstruct,
    x: Float[Tensor, "n d"],
    x_hat: Float[Tensor, "n d_out"],
    b_dec: Tensor | None,
    y: Float[Tensor, "n d_out"] | None = None,
) -> tuple[Finding, Misfit] | None:
    """Whether the SAE was trained on x in another space, or on x with another bias taken from it.

    Args: y: what a transcoder's x̂ is compared with, in whatever space its x is; None for an SAE, whose x̂ moves with x
    """
    x = x.double()  # likewise; an SAE that is given more than its dtype holds gives what fits nothing
    raw, name = (fit(x, x_hat), "x") if y is None else (fit(y, x_hat), "y")

    def fit_on(moved: Tensor, tokens: Tensor | slice = slice(None)) -> Misfit:
        return fit(moved if y is None else y[tokens], run(moved))

    def fit_in(space: Space) -> Misfit:
        found = fit_on(space.apply(x))
        # Without a mean in x there is none to be off, so this space must win by its loss alone.
        return NO_FIT if space.key == "mean_removed" and found.loss > FAR_BETTER * raw.loss else found

    best, chosen, others = _best(known_spaces(x), fit_in, _factor_on_x(fit_on, x, raw))
    shifted = None if b_dec is None or y is not None else _shifted_input(run, x, b_dec)
    if shifted is not None and shifted[1].badness < best.badness and _explains(shifted[1], raw):
        words, fitted = shifted
        message = (
            f"the error is {raw.loss:.3g} times the variance of x, but {fitted.loss:.3g} times if the SAE is given "
            f"{words}: check whether b_dec is subtracted from the input (apply_b_dec_to_input)"
        )
        return Finding("b_dec_input", message), fitted
    if chosen is None or not _explains(best, raw):
        return None
    further = 8 * chosen.apply(x)  # a soft threshold loses the less, the larger its input: that explains nothing
    if fit_on(further).badness < 0.8 * best.badness:
        return None
    message = (
        f"the error is {raw.loss:.3g} times the variance of {name}, but {best.loss:.3g} times on {chosen.words}"
        f"{others}: the SAE was probably trained in that space, which is not folded into its weights; {chosen.remedy}"
    )
    return Finding(chosen.key, message), best


def _is_far(space: Space, x: Tensor) -> bool:
    """Whether x is longer or shorter there than shrinkage could make it."""
    means = Moments.from_pairs(x, space.apply(x), groups=1, drop_nonfinite=True).means.unbind(-1)
    factor = evaluate(REGISTRY["scale_x"], *means).item()
    return not SHRINKAGE[0] <= factor <= SHRINKAGE[1]


def _explains(best: Misfit, raw: Misfit) -> bool:
    return best.loss < min(GOOD_ENOUGH, raw.loss) and best.badness < FAR_BETTER * raw.badness


def _best(
    spaces: list[Space], fit_in: Callable[[Space], Misfit], fitted: tuple[Space, Misfit] | None
) -> tuple[Misfit, Space | None, str]:
    """The space that fits best, and in words those that fit as well."""
    fits = [(one, fit_in(one)) for one in spaces]
    least = min((one.badness for _, one in fits), default=float("inf"))
    if fitted and fitted[1].badness * PREFER_KNOWN < least:
        return fitted[1], fitted[0], ""
    close = [(space, one) for space, one in fits if one.badness <= AS_GOOD * least]
    if not close or least == float("inf"):
        return NO_FIT, None, ""
    (chosen, best), *rest = close
    words = " or ".join(space.words for space, _ in rest)
    return best, chosen, SAID["equally_good"].format(words=words) if rest else ""


def _factor_on_x_hat(x: Tensor, x_hat: Tensor) -> tuple[Space, Misfit] | None:
    """The one factor k for which x̂ reconstructs k·x best, where it is too large to be shrinkage."""

    def fit_at(factor: float) -> Misfit:
        return fit(x * factor, x_hat)

    factor, best = _scanned(fit_at)
    if SHRINKAGE[0] <= factor <= SHRINKAGE[1]:
        return None
    return scaling("scale", factor, SAID["tried"]), best


def _factor_on_x(
    fit_on: Callable[[Tensor, Tensor | slice], Misfit], x: Tensor, raw: Misfit
) -> tuple[Space, Misfit] | None:
    """The one factor k for which the SAE fits k·x best; looked for only where x as it is looks suspicious."""
    if raw.offset < 0.03 and raw.loss < 0.5:
        return None
    few = spread(len(x), 256)

    def fit_at(factor: float) -> Misfit:
        return fit_on(x[few] * factor, few)

    factor, _ = _scanned(fit_at)
    if 1 / NO_CHANGE < factor < NO_CHANGE:
        return None
    space = scaling("scale", factor, SAID["tried"])
    return space, fit_on(space.apply(x), slice(None))


def _scanned(fit_at: Callable[[float], Misfit]) -> tuple[float, Misfit]:
    """The factor between 1/4096 and 4096 at which the fit is best, and that fit: powers of 2, then in between."""
    seen: dict[float, Misfit] = {}

    def badness(power: float) -> float:
        if power not in seen:
            seen[power] = fit_at(2.0**power)
        return seen[power].badness

    best = min((float(power) for power in range(-12, 13)), key=badness)
    for step in (0.5, 0.25, 0.125):
        best = min((best - step, best, best + step), key=badness)
    return 2.0**best, seen[best]


def _shifted_input(run: Reconstruct, x: Tensor, b_dec: Tensor) -> tuple[str, Misfit]:
    tried = [("x − b_dec", x - b_dec), ("x + b_dec", x + b_dec)]
    return min(((words, fit(x, run(moved))) for words, moved in tried), key=lambda one: one[1].badness)


def spread(n: int, most: int) -> Tensor:
    """At most `most` places among n, evenly spread."""
    return torch.arange(n) if n <= most else torch.arange(most) * (n - 1) // (most - 1)


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def _layer_norm(x: Tensor) -> Tensor:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)
