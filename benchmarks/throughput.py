"""Measuring an SAE on a CPU, against SAELens' own evaluation of it on the same activations and batches.

SAELens computes every metric of `get_sparsity_and_variance_metrics` except the feature densities (`benchmarks.peer`);
its l1, which we do not report, is timed separately and subtracted. Ours: a, b and c of each cluster, raw and centred,
in float64, then every measure in the registry with its interval, and the norm ratio, cosine and L0 of the tokens with
theirs. The numbers that both print are compared first. "The metric part alone" runs the same code of both on x̂ and
latents that are already there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.forward import BATCH, random_sae
from benchmarks.peer import CONTEXT, as_saelens, saelens_evaluation
from benchmarks.timing import claim, in_turn
from sandbox import checkpoints
from sandbox.activations import activations
from sandbox.checkpoints.autoencoder import SAE
from sandbox.data import embedded
from sandbox.measuring.forward import Passed, nonzero
from sandbox.measuring.measure import measure
from sandbox.measuring.totals import Counting, Totals
from sandbox.moments.moments import BLOCK
from sandbox.report import Report


def cases() -> dict[str, tuple[SAE, Tensor]]:
    """The SAEs and their activations, whole batches of them."""
    small = checkpoints.load(embedded("minilm-relu"))
    stored = activations(embedded("activations")).sample(10_000).float().repeat(4, 1)
    noise = torch.randn(BATCH, 768, generator=torch.Generator().manual_seed(0))
    return {
        "minilm-relu, 384 × 1536": (small, stored[: len(stored) // BATCH * BATCH]),
        "768 × 12288": (random_sae(768, 12288), noise),
    }


def ours(sae: SAE, x: Tensor) -> Report:
    """Every measure of shrinkage, without the preflight check, whose time does not depend on the number of tokens."""
    return measure(sae, x, batch_size=BATCH, look=False)


def check_that_both_agree(report: Report, printed: dict[str, float]) -> None:
    """To 1e-4, because SAELens rounds every token's number, and the mean, to float32."""
    moments, statistics = report.moments, report.statistics
    mine = {
        "l2_ratio": statistics["l2_ratio"].value,
        "cossim": statistics["cossim"].value,
        "l0": statistics["l0"].value,
        "mse": (moments.a + moments.b - 2 * moments.c).item(),
    }
    for name, value in mine.items():
        np.testing.assert_allclose(value, printed[name], rtol=1e-4, err_msg=name)


def l1(feature_acts: Tensor) -> Tensor:
    """As SAELens takes it."""
    return feature_acts.abs().sum(dim=-1)


class Computed:
    """In place of an SAE, for either side: x̂ and the latents of one batch, computed before."""

    W_dec, sees_latents, device = None, True, torch.device("cpu")

    def __init__(self, sae: SAE, peer: Any, x: Tensor):
        self.feature_acts = sae.encode(x)
        self.x_hat = sae.decode(self.feature_acts, x)
        self.cfg = SimpleNamespace(metadata=peer.cfg.metadata, d_sae=sae.d_sae)

    def __call__(self, x: Tensor, look: Any = None) -> Passed:
        """As `sandbox.measuring.forward.Forward`: the L0 of each token is counted there, and so it is here."""
        return Passed(x, self.x_hat, nonzero(self.feature_acts))

    def encode(self, x: Tensor) -> Tensor:
        """As an SAE of SAELens."""
        return self.feature_acts.view(*x.shape[:-1], -1)

    def decode(self, feature_acts: Tensor) -> Tensor:
        """Likewise."""
        return self.x_hat.view(*feature_acts.shape[:-1], -1)

    evaluating = nullcontext


def whole(sae: SAE, x: Tensor) -> float:
    """Their time over ours, for everything from x on."""
    peer = as_saelens(sae)
    check_that_both_agree(ours(sae, x), saelens_evaluation(peer, x, BATCH))
    latents = sae.encode(x[:BATCH])
    batches = len(x) // BATCH
    times = in_turn(lambda: ours(sae, x), lambda: saelens_evaluation(peer, x, BATCH), lambda: l1(latents), repeats=5)
    return median((theirs - batches * extra) / mine for mine, theirs, extra in times)


def metrics(sae: SAE, x: Tensor) -> float:
    """Their time over ours, for the metrics of a batch whose x̂ and latents are there."""
    x = x[:BATCH]
    computed: Any = Computed(sae, as_saelens(sae), x)
    cluster, counting = np.arange(BATCH) // BLOCK, Counting()
    times = in_turn(
        lambda: Totals.of(computed, x, cluster, counting),
        lambda: saelens_evaluation(computed, x, BATCH),
        lambda: l1(computed.feature_acts),
        repeats=15,
    )
    return median((theirs - extra) / mine for mine, theirs, extra in times)


@torch.no_grad()
def claims() -> Iterator[bool]:
    """Print and yield each claim."""
    assert BATCH % CONTEXT == 0
    for name, (sae, x) in cases().items():
        yield claim(f"throughput: {name}: times as fast as SAELens' evaluation", whole(sae, x), 1.5, at_least=True)
        what = f"throughput: {name}: the metric part alone, times as fast"
        yield claim(what, metrics(sae, x), 10, at_least=True)
