"""Data that break published numbers: SAELens, SAEBench, dictionary_learning and this package side by side.

Each row is one metric of one set of pairs: what the three libraries would print at batch size B, ours with its 95 %
interval, and the truth, summed by brute force in float64 from the stored numbers. With nearly equal norms in float32
all agree on γ. The other cases occur in practice: a few tokens of huge norm, evaluation in bfloat16, float16
activations of norm 310, a different unit, a forgotten bias. The claims concern numbers, not times, so they hold on any
machine. `python -m benchmarks.stress` prints the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.timing import claim
from sandbox import checkpoints
from sandbox.data import embedded
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.published import Published
from sandbox.moments.moments import Moments
from sandbox.report import Estimate, estimate, layout

GAMMA, EXPLAINED, MSE = "relative_reconstruction_bias", "explained variance", "mse"

LIBRARIES = ("SAELens", "SAEBench", "dictionary_learning")
"""Those that print γ."""

THEIRS = {
    GAMMA: dict.fromkeys(LIBRARIES, "relative_reconstruction_bias"),
    EXPLAINED: {
        "SAELens": "explained_variance",
        "SAEBench": "explained_variance",
        "dictionary_learning": "frac_variance_explained",
    },
    MSE: {"SAELens": "mse", "SAEBench": "mse"},
}
"""The metric of each library that answers the question."""

EXACT = 1e-6
"""Of ours, which is summed in float64 from the same numbers as the truth: centring costs a few of sixteen digits."""


@dataclass(frozen=True, eq=False)
class Case:
    """Pairs in batches of `size` tokens, and every answer to the questions about them."""

    name: str
    questions: tuple[str, ...]
    x: Tensor
    x_hat: Tensor
    size: int = 32
    cluster: np.ndarray | None = None

    @cached_property
    def published(self) -> dict[str, dict[str, float]]:
        """What each library prints, by question; no entry where it has no such metric."""
        values = Published.from_tokens(self.x, self.x_hat, self.size).values()
        return {
            question: {library: values[library][metric] for library, metric in metrics.items()}
            for question, metrics in THEIRS.items()
        }

    @cached_property
    def ours(self) -> dict[str, Estimate]:
        """From the moments alone: the explained variance is 1 − the relative loss about the mean of x."""
        moments = Moments.from_pairs(self.x, self.x_hat, self.cluster)
        mean = moments.sums.sum(0)[0] / moments.n
        about = moments.about(torch.stack((mean, mean)))
        lost = estimate(about, REGISTRY["relative_loss"])
        loss = estimate(moments, REGISTRY["relative_loss"]).value
        return {
            GAMMA: estimate(moments, REGISTRY["relative_reconstruction_bias"]),
            EXPLAINED: Estimate(_rest(lost.value), _rest(lost.high), _rest(lost.low), lost.reason),
            MSE: Estimate(None if loss is None else loss * moments.a.item(), None, None),
        }

    @cached_property
    def truth(self) -> dict[str, float]:
        """By brute force, in float64 from the start."""
        x, x_hat = self.x.double().numpy(), self.x_hat.double().numpy()
        loss = np.square(x - x_hat).sum()
        return {
            GAMMA: np.square(x_hat).sum() / (x * x_hat).sum(),
            EXPLAINED: 1 - loss / np.square(x - x.mean(0)).sum(),
            MSE: loss / len(x),
        }

    def our_error(self, question: str) -> float:
        """Of ours, relative to the truth."""
        value = self.ours[question].value
        return math.inf if value is None else abs(value / self.truth[question] - 1)

    def their_error(self, library: str, question: str) -> float:
        """Of a library's number: infinite where that is nan."""
        error = abs(self.published[question][library] - self.truth[question])
        return math.inf if math.isnan(error) else error


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share


def _random(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def real(name: str, questions: tuple[str, ...], factor: float = 1.0, forgotten: bool = False) -> Case:
    """An embedded SAE on its activations, every 128th of them `factor` times as long; or its x̂ without b_dec."""
    x, sae = load_file(embedded("activations"))["activations"].float(), checkpoints.load(embedded(name))
    x[::128] *= factor
    x_hat = sae(x)
    label = f"{name}, one token in 128 with norm × {factor:g}" if factor != 1 else f"{name}, norms nearly equal"
    if forgotten:
        x_hat, label = x_hat - sae.b_dec, f"{name}, b_dec left out of x̂"
    return Case(label, questions, x, x_hat, cluster=np.load(embedded("documents")))


def massive(factor: float) -> Case:
    """Simulated: every token at its best scale, at an angle of 51°, but the long one in 128, which is shrunk by 20 %.

    x̂ = 0.4·x + √0.24·y, with y across x and as long as x: b/a = c/a = 0.4, so γ = 1. The long token: x̂ = 0.8·x.
    """
    n, d = 128 * 64, 64
    x, y = normalize(_random(n, d, 0), dim=-1), _random(n, d, 1)
    x_hat = 0.4 * x + 0.24**0.5 * normalize(y - (x * y).sum(-1, keepdim=True) * x, dim=-1)
    x[::128] *= factor
    x_hat[::128] = 0.8 * x[::128]
    return Case(f"simulated, one token in 128 with norm × {factor:g}", (GAMMA,), x.float(), x_hat.float())


def in_bfloat16(size: int) -> Case:
    """x̂ = 1.0019·x: bfloat16 knows 1 and 1.0078, and nothing between; its numbers near 512 are 4 apart."""
    x = _random(4096, 512, 0)
    return Case(f"all in bfloat16, B = {size}", (GAMMA,), x.bfloat16(), (1.0019 * x).bfloat16(), size)


def in_float16(normalised: bool = False) -> Case:
    """Vectors of norm 310, whose squares (96 100) float16 cannot hold (65 504); or x̂ left normalised to norm √d."""
    x = 310 * normalize(_random(1024, 256, 0), dim=-1)
    x_hat = 0.9 * x + 0.1 * x.abs()
    if normalised:
        x_hat = 16 * normalize(x_hat, dim=-1)
    label = "float16, norm 310" + normalised * ", x̂ left at norm √d"
    return Case(label, (GAMMA, EXPLAINED, MSE), x.half(), x_hat.half())


def offset(scale: float, question: str, size: int = 32) -> Case:
    """Simulated: x has a mean, x̂ three quarters of it, and both come in one unit or another."""
    x = _random(4096, 64, 0) + 0.7 * _random(1, 64, 1)
    x_hat = 0.75 * x + 0.45 * _random(4096, 64, 2)
    label = f"simulated, x × {scale:g}, B = {size}"
    return Case(label, (question,), (scale * x).float(), (scale * x_hat).float(), size)


def cases() -> dict[str, list[Case]]:
    """Every case, by what it is about."""
    both = ("minilm-relu", "minilm-gated")
    return {
        "equal norms": [real(name, (GAMMA, EXPLAINED, MSE)) for name in both],
        "long tokens": [massive(10), massive(50)] + [real("minilm-relu", (GAMMA,), factor) for factor in (10, 50)],
        "bfloat16": [in_bfloat16(32), in_bfloat16(4096)],
        "float16": [in_float16(), in_float16(normalised=True)],
        "units": [offset(scale, EXPLAINED) for scale in (0.01, 1, 100)],
        "batch size": [offset(1, MSE, size) for size in (32, 256)],
        "forgotten bias": [real("minilm-gated", (EXPLAINED, MSE), forgotten=True)],
    }


def claims() -> Iterator[bool]:
    """Print and yield each claim: ours is always right, theirs is off by the amount shown."""
    groups = cases()
    figures = [case.our_error(question) for group in groups.values() for case in group for question in case.questions]
    yield claim(f"stress: ours, the largest relative error of {len(figures)} figures", max(figures), EXACT)
    apart = max(case.their_error(library, GAMMA) for case in groups["equal norms"] for library in LIBRARIES)
    yield claim("stress: near-constant norms, published γ from the pooled γ, the farthest", apart, 0.001)
    for case, least in zip(groups["long tokens"], (0.07, 0.14, 0.28, 0.65), strict=True):
        off = min(case.their_error(library, GAMMA) for library in LIBRARIES)
        yield claim(f"stress: {case.name}: γ off by, in every library", off, least, at_least=True)
    small, whole = groups["bfloat16"]
    ones = [small.published[GAMMA][library] for library in ("SAELens", "SAEBench")]
    ones += [whole.published[GAMMA][library] for library in LIBRARIES]
    yield claim("stress: all in bfloat16: the number of ways to print exactly 1", ones.count(1.0), 5, at_least=True)
    yield claim("stress: … where 1 is off by, in thousandths", 1000 * abs(1 - whole.truth[GAMMA]), 1.8, at_least=True)
    half, wrong = groups["float16"]
    undefined = sum(math.isnan(value) for value in half.published[GAMMA].values())
    yield claim("stress: float16 of norm 310: libraries whose γ is nan", undefined, 3, at_least=True)
    infinite = sum(math.isinf(value) for value in wrong.published[MSE].values())
    yield claim("stress: float16 of norm 310: libraries whose mse is infinite", infinite, 2, at_least=True)
    perfect = half.published[EXPLAINED]["dictionary_learning"]
    yield claim("stress: float16 of norm 310: dictionary_learning's explained variance", perfect, 1, at_least=True)
    explained = [case.published[EXPLAINED]["SAEBench"] for case in groups["units"]]
    off = groups["units"][1].their_error("SAEBench", EXPLAINED)
    yield claim("stress: SAEBench's explained variance off by, at scale 1", off, 0.1, at_least=True)
    yield claim("stress: SAEBench's explained variance of x × 100", explained[-1], 1.0005, at_least=True)
    first, second = (case.published[MSE]["SAEBench"] for case in groups["batch size"])
    yield claim("stress: SAEBench's mse at B = 32 over that at B = 256", first / second, 7.99, at_least=True)
    (bias,) = groups["forgotten bias"]
    off = bias.their_error("dictionary_learning", EXPLAINED)
    yield claim("stress: b_dec forgotten: dictionary_learning's explained variance off by", off, 0.06, at_least=True)


def table(groups: dict[str, list[Case]]) -> Table:
    """What everyone says of each case, and what is right."""
    headers = ("pairs", "metric", *LIBRARIES, "ours", "95 % interval", "true")
    right = (*LIBRARIES, "ours", "true")
    caption = "red: off by more than 1 %"
    printed = layout.table("What is printed for the same pairs", headers, (), right, caption=caption)
    for group in groups.values():
        for case in group:
            for question in case.questions:
                printed.add_row(case.name if question == case.questions[0] else "", question, *_answers(case, question))
        printed.add_section()
    return printed


def _answers(case: Case, question: str) -> list[str]:
    theirs, one = case.published[question], case.ours[question]
    return [
        *(_marked(case, library, question) if library in theirs else "" for library in LIBRARIES),
        "undefined" if one.value is None else _number(one.value),
        "" if one.low is None or one.high is None else f"{_number(one.low)} … {_number(one.high)}",
        _number(case.truth[question]),
    ]


def _number(value: float) -> str:
    return f"{value:.4f}" if not math.isfinite(value) or abs(value) < 1000 else f"{value:.5g}"


def _marked(case: Case, library: str, question: str) -> str:
    """A library's number, in red where it is off by more than 1 %."""
    text = _number(case.published[question][library])
    off = case.their_error(library, question) > 0.01 * abs(case.truth[question])
    return f"[red]{text}[/]" if off else text


if __name__ == "__main__":
    Console().print(table(cases()))
