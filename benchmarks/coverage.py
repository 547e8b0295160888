"""How often 95 % intervals hold the truth: the delta method (C16) and the jackknife that reports use, side by side.

Documents are drawn that share an offset, a strength and a factor, which is what makes their tokens correlated; every
expectation is known in closed form. Each case is repeated 2000 times: of 400 the least of eighteen coverages would be
mostly noise (a share of 0.95 then has a standard error of 0.011).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from benchmarks.timing import claim
from sandbox.maths.compile import evaluate, to_torch
from sandbox.maths.measures import REGISTRY, Measure
from sandbox.measuring.latents import Latents
from sandbox.measuring.token_means import COLUMNS, MEANS, TokenMeans
from sandbox.moments.moments import Moments, runs_of
from sandbox.report import LEVEL, interval, standard_error

D = 6
REPEATS, AT_ONCE = 2000, 200
LEAST, WIDER = 0.92, 1.1
SHOWN = ("relative_reconstruction_bias", "norm_ratio", "cosine", "relative_loss")


@dataclass(frozen=True)
class Case:
    """A world of documents: x = s·(e + o) + μ and x̂ = k·x + τ·s·η, with s, o and k one for each document.

    Attributes:
        documents, tokens: of a sample, and of a document (of the longest, with `zipf` sizes: tokens/rank)
        spread:   σ of log s
        factor:   mean of k, and `varies` its standard deviation
        follows:  correlation of k with log s
        noise:    τ, and mean the coordinates of μ
        clusters: what the intervals take for one: so many tokens, in place of the document; with `stretches`, so many
                  of these as a report takes together where it knows no documents
        claimed:  whether the coverage is
    """

    documents: int
    tokens: int = 12
    spread: float = 0.3
    factor: float = 0.8
    varies: float = 0.15
    follows: float = 0.0
    noise: float = 0.5
    mean: float = 1.0
    zipf: bool = False
    clusters: int | None = None
    stretches: bool = False
    claimed: bool = True

    @property
    def sizes(self) -> np.ndarray:
        """Tokens of each document."""
        rank = np.arange(self.documents) + 1 if self.zipf else np.ones(self.documents)
        return np.ceil(self.tokens / rank).astype(int)

    def draw(self, repeats: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
        """x and x̂, Float64[Tensor, "repeats n D"], and each token's document."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(repeats, *shape, generator=generator, dtype=torch.float64)

        document = np.repeat(np.arange(self.documents), self.sizes)
        n, score = len(document), normal(self.documents, 1)
        own = self.follows * score + (1 - self.follows**2) ** 0.5 * normal(self.documents, 1)
        strength = (self.spread * score).exp()[:, document]
        x = strength * (normal(n, D) + normal(self.documents, D)[:, document]) + self.mean
        x_hat = (self.factor + self.varies * own)[:, document] * x + self.noise * strength * normal(n, D)
        return x, x_hat, document

    def moments(self, seed: int, repeats: int = AT_ONCE) -> Moments:
        """Of so many samples."""
        x, x_hat, document = self.draw(repeats, seed)
        ids = document if self.clusters is None else np.arange(len(document)) // self.clusters
        moments = Moments.from_pairs(x, x_hat, ids, batch_dims=1)
        if not self.stretches:
            return moments
        every = [moments[i].in_stretches() for i in range(repeats)]
        return Moments(*(torch.stack(part) for part in zip(*every, strict=True)))

    def truth(self, origin: str) -> tuple[float, float, float]:
        """E‖x‖², E‖x̂‖², E[x·x̂], by the moments of a log-normal number."""
        k, kappa, rho, sigma = self.factor, self.varies, self.follows, self.spread
        squares, offset = math.exp(2 * sigma**2), D * self.mean**2
        once = squares * (k + 2 * kappa * rho * sigma)  # E[k·s²]
        twice = squares * (k**2 + 4 * k * kappa * rho * sigma + kappa**2 * (1 + 4 * rho**2 * sigma**2))
        a, c = 2 * D * squares + offset, 2 * D * once + offset * k
        b = 2 * D * twice + offset * (k**2 + kappa**2) + self.noise**2 * squares * D
        return (a, b, c) if origin == "raw" else (a - offset, b - offset * k**2, c - offset * k)


CASES = {
    "5 documents": Case(5, claimed=False),
    "10 documents": Case(10),
    "30 documents": Case(30),
    "100 documents": Case(100),
    "10 documents, ρ near 1": Case(10, factor=0.99, varies=0.005, noise=0.03),
    "30 documents, ρ near 1": Case(30, factor=0.99, varies=0.005, noise=0.03),
    "10 documents, γ near 1": Case(10, factor=0.9, varies=0.1, noise=0.4, mean=0),
    "30 documents, γ near 1": Case(30, factor=0.9, varies=0.1, noise=0.4, mean=0),
    "10 documents, σ = 0.6": Case(10, spread=0.6),
    "40 documents, σ = 0.6": Case(40, spread=0.6),
    "10 documents, σ = 1": Case(10, spread=1),
    "40 documents, σ = 1": Case(40, spread=1),
    "100 documents, σ = 1": Case(100, spread=1),
    "10 documents, Zipf": Case(10, tokens=100, zipf=True),
    "40 documents, Zipf": Case(40, tokens=200, zipf=True),
    "40 documents, σ = 0.6, k follows s": Case(40, spread=0.6, varies=0.05, follows=0.5, claimed=False),
    "30 documents of 48 tokens": Case(30, tokens=48),
    "the same, in blocks of 12": Case(30, tokens=48, clusters=12, claimed=False),
    "the same, in stretches of blocks": Case(30, tokens=48, clusters=12, stretches=True),
    "100 documents of a block, stretches": Case(100, clusters=12, stretches=True),
}
ORIGINS: dict[str, Callable[[Moments], Moments]] = {"raw": lambda moments: moments, "centred": Moments.centred}


def by_delta(moments: Moments, measure: Measure) -> tuple[Tensor, Tensor]:
    """The interval of C16, as it was: the measure for a straight line, and the clusters that there are."""
    centre = to_torch(measure.centre)(*moments.means.unbind(-1))
    quantile = torch.from_numpy(stdtrit(moments.clusters.numpy() - 1, 0.5 + LEVEL / 2))
    reach = quantile * standard_error(moments, measure.centre)
    low, high = centre - reach, centre + reach
    if measure.root:
        ends = torch.stack((low**2, high**2))
        low, high = torch.where((low < 0) & (high > 0), 0, ends.amin(0)), ends.amax(0)
    return low.clamp(float(measure.range.inf)), high.clamp(max=float(measure.range.sup))


@dataclass
class Tally:
    """How often either interval held the truth, and how wide they were; of samples that give either."""

    held: list[Tensor]
    wider: list[Tensor]
    given: list[Tensor]

    def add(self, truth: Tensor | float, delta: tuple[Tensor, Tensor], ours: tuple[Tensor, Tensor]) -> None:
        """Count intervals."""
        given = ~ours[0].isnan()
        held = torch.stack([(low <= truth) & (truth <= high) for low, high in (delta, ours)], -1).double()
        self.held.append(held[given])
        self.wider.append(((ours[1] - ours[0]) / (delta[1] - delta[0]))[given])
        self.given.append(given.double())

    @property
    def cover(self) -> tuple[float, float]:
        """Shares that hold the truth: of the delta method, of the jackknife."""
        delta, ours = torch.cat(self.held).mean(0).tolist()
        return delta, ours

    @property
    def none(self) -> float:
        """The share of samples that give no interval: one document holds nearly everything, or c may be negative."""
        return 1 - torch.cat(self.given).mean().item()

    @property
    def width(self) -> float:
        """The median of the jackknife's width over the delta method's."""
        return torch.cat(self.wider).nanmedian().item()


def pooled(case: Case) -> dict[tuple[str, str], Tally]:
    """By origin and measure."""
    found = {(origin, key): Tally([], [], []) for origin in ORIGINS for key in REGISTRY}
    for seed in range(REPEATS // AT_ONCE):
        moments = case.moments(seed)
        for origin, seen in ORIGINS.items():
            from_there, truth = seen(moments), case.truth(origin)
            for key, measure in REGISTRY.items():
                true = evaluate(measure, *truth)
                found[origin, key].add(true, by_delta(from_there, measure), interval(from_there, measure))
    return found


def per_token(case: Case, repeats: int = 800) -> dict[str, Tally]:
    """The means over tokens; the truth is that of 200,000 documents."""

    def statistics(x: Tensor, x_hat: Tensor, document: np.ndarray, groups: int) -> TokenMeans:
        dots = torch.stack([(one * another).sum(-1) for one, another in ((x, x), (x_hat, x_hat), (x, x_hat))], -1)
        group = torch.from_numpy(runs_of(document, torch.Size((len(document),)), groups).of_each_token())
        return TokenMeans.from_dots(dots, None, group, groups)

    many = replace(case, documents=20_000)
    worlds = (many.draw(1, seed) for seed in range(10_000, 10_010))
    whole = sum((statistics(x[0], x_hat[0], ids, 1).sums for x, x_hat, ids in worlds), torch.zeros(()))
    truth = TokenMeans(whole).estimates()
    found = {name: Tally([], [], []) for name in MEANS if name != "l0"}
    for seed in range(repeats // AT_ONCE):
        x, x_hat, document = case.draw(AT_ONCE, seed)
        for i in range(AT_ONCE):
            tokens = statistics(x[i], x_hat[i], document, case.documents)
            ours = tokens.estimates()
            for name, tally in found.items():
                above, below = (tokens.sums.sum(0)[:, COLUMNS.index(MEANS[name][k])] for k in (0, 1))
                value, one = above.sum() / below.sum(), ours[name]
                pulls, g = (above - value * below) / below.sum(), case.documents  # as in C16: a ratio of totals
                reach = stdtrit(g - 1, 0.5 + LEVEL / 2) * (g / (g - 1) * pulls.square().sum()).sqrt()
                low, high = (torch.tensor([math.nan if end is None else end]) for end in (one.low, one.high))
                tally.add(truth[name].value or math.nan, ((value - reach)[None], (value + reach)[None]), (low, high))
    return found


def per_latent(documents: int, latents: int = REPEATS, tokens: int = 8, true: float = 1.2) -> Tally:
    """A latent a dimension: each is an experiment of its own, on in half of the tokens, by strengths of its own."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, latents, generator=generator, dtype=torch.float64)

    acts = (normal(documents, tokens) + normal(documents, 1)).relu()
    residual = (true - 1 + 0.2 * normal(documents, 1)) * acts + 0.3 * (normal(documents, tokens) + normal(documents, 1))
    flat, ids = (documents * tokens, latents), np.arange(documents * tokens) // tokens
    tally = Latents.from_batch(acts.reshape(flat), residual.reshape(flat), torch.eye(latents).double(), ids)
    found = Tally([], [], [])
    found.add(true, by_delta(tally.moments, REGISTRY["scale_x_hat"]), tally.intervals())
    return found


def shown(tally: Tally) -> str:
    """Both coverages and the width."""
    return f"{tally.cover[0]:.3f} ► {tally.cover[1]:.3f}"


def claims() -> Iterator[bool]:
    """Print the coverage of every case, and give the claims."""
    print(f"coverage of 95 % intervals, delta method ► jackknife, {REPEATS} repetitions", flush=True)
    heads = "".join(f"{REGISTRY[key].plain:>16}" for key in SHOWN)
    print(f"{'':36}{'':8}{heads}{'the least of nine':>34}{'width':>8}{'none':>8}", flush=True)
    least: list[tuple[float, str]] = []
    widths = {}
    for name, case in CASES.items():
        found = pooled(case)
        for origin in ORIGINS:
            each = {key: found[origin, key] for key in REGISTRY}
            worst = min(each, key=lambda key: each[key].cover[1])
            width = widths[name, origin] = median(tally.width for tally in each.values())
            row = "".join(f"{shown(each[key]):>16}" for key in SHOWN)
            last = f"{shown(each[worst]):>17} {worst[:16]:16}{width:>8.2f}{each[worst].none:>8.1%}"
            print(f"{name:36}{origin:8}{row}{last}", flush=True)
            if case.claimed:
                least.append((each[worst].cover[1], f"{name}, {origin}, {worst}"))
    for name in ("10 documents", "30 documents", "40 documents, σ = 0.6"):
        for statistic, tally in per_token(CASES[name]).items():
            print(f"{name:36}mean of {statistic:14}{shown(tally):>16}{tally.width:>8.2f}", flush=True)
            least.append((tally.cover[1], f"{name}, {statistic}"))
    for documents in (10, 30, 100):
        tally = per_latent(documents)
        print(f"{f'{documents} documents':36}each latent by itself {shown(tally):>16}{tally.width:>8.2f}", flush=True)
        least.append((tally.cover[1], f"{documents} documents, each latent"))
    value, where = min(least)
    yield claim(f"coverage: least of {len(least)}, 10 documents or more ({where})", value, LEAST, at_least=True)
    width = max(widths["100 documents", origin] for origin in ORIGINS)
    yield claim("coverage: width over the delta method's, 100 documents", width, WIDER)


if __name__ == "__main__":
    sys.exit(0 if all(list(claims())) else 1)
