"""What a whole pass shows and a sample may miss: padding, few tokens that make up a measure, a mean error."""

from __future__ import annotations

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.norms import Longest, Norms
from sandbox.measuring.preflight.biases import OFF
from sandbox.measuring.preflight.check import folding
from sandbox.measuring.preflight.finding import Finding
from sandbox.measuring.preflight.fit import fit_of
from sandbox.measuring.preflight.sample import HEAVY, OUTLIER, outlier_finding, zero_finding
from sandbox.measuring.preflight.words import SAID
from sandbox.moments.moments import Moments
from sandbox.report import Estimate

NOTABLE = 0.005
"""A difference in γ below which few long tokens do no harm, however sure it is: what rounds to 0 %."""


def whole_pass(
    moments: Moments, norms: Norms, extreme: Moments | None, limit: float, gamma: Estimate, above: float = OUTLIER
) -> list[Finding]:
    """What all tokens show, under the keys of what a sample shows.

    Args:
        moments:        of all tokens; norms: likewise
        extreme, limit: of those of extreme norm, and the norm from which on they are that, activation units; None where
                        they were left out of `moments`, and long tokens are no question any more
        gamma:          the relative reconstruction bias, with its interval, of all tokens
        above:          the limit as a multiple of the median norm
    Returns: findings "zero_tokens", "outliers", "heavy_tokens", "mean_error", "folding"
    """
    found = []
    if 0 < norms.zero < norms.tokens:  # where all are, the sample has said so, and nothing is defined
        found.append(zero_finding(norms.zero, norms.tokens))
    if extreme is None:
        pass
    elif extreme.n:
        share = float(extreme.totals[..., 0].sum() / moments.totals[..., 0].sum())
        found.append(outlier_finding(int(extreme.n), norms.tokens, limit, share, above=above))
    elif (few := norms.longest()) is not None:
        found += _look_at_longest(few, norms, gamma)
    return found + _look_at_error(moments) + (folding(gamma.value, "of all tokens") if gamma.value else [])


def _look_at_longest(few: Longest, norms: Norms, gamma: Estimate) -> list[Finding]:
    without = evaluate(REGISTRY["relative_reconstruction_bias"], *few.others[1:]).item()
    reach = float("inf") if gamma.low is None or gamma.high is None else (gamma.high - gamma.low) / 2
    apart = float("nan") if gamma.value is None else abs(gamma.value - without)
    if not (few.share > HEAVY or apart > max(reach, NOTABLE)):
        return []
    words = {
        "longest": f"{few.tokens:,}",
        "tokens": f"{norms.tokens:,}",
        "limit": f"{few.limit:.4g}",
        "times": f"{few.limit / norms.median:.3g}",
        "share": f"{few.share:.1%}",
        "gamma": "undefined" if gamma.value is None else f"{gamma.value:.4f}",
        "without": f"{without:.4f}",
    }
    return [Finding("heavy_tokens", SAID["longest"].format(**words))]


def _look_at_error(moments: Moments) -> list[Finding]:
    seen = fit_of(moments, int(moments.clusters))
    if moments.clusters < 2 or not seen.offset > OFF:
        return []
    return [Finding("mean_error", SAID["mean_error"].format(share=f"{seen.offset:.0%}"))]
