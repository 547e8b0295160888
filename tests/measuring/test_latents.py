"""The shrinkage of each latent: the totals are exact and merge, and the intervals cover the truth."""

import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from sandbox import plots
from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.measuring.latents import GROUPS, Latents, _on_device
from sandbox.measuring.measure import measure
from sandbox.moments.clusters import runs_of
from sandbox.plots.latents import latents as histogram

N, D_IN, D_SAE = 300, 8, 21  # D_SAE is not a multiple of STRIDE


def made(dtype: torch.dtype = torch.float64, seed: int = 0, d_sae: int = D_SAE):
    """Sparse latents of either sign (the last never active), a residual that they partly explain, a scale per token."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    acts = normal(N, d_sae) * (normal(N, d_sae) > 0.8)
    acts[:, -1] = 0
    W_dec = normal(d_sae, D_IN)
    scale = normal(N, 1).exp()
    residual = 0.2 * scale * (acts @ W_dec) + normal(N, D_IN)
    documents = np.sort(torch.randint(0, 40, (N,), generator=generator).numpy())
    return *(t.to(dtype) for t in (acts, residual, W_dec)), documents, scale.to(dtype)


def by_walk(*tensors):
    return Latents.from_batch(*tensors)


def densely(acts, residual, W_dec, documents, scale=None):
    """The computation for accelerators."""
    group = runs_of(documents, torch.Size(documents.shape), GROUPS).of_each_token()
    return Latents(*_on_device(acts, residual, W_dec, group, scale))


WAYS = pytest.mark.parametrize("way", [by_walk, densely])


@WAYS
@pytest.mark.parametrize("scaled", [False, True])
def test_the_factor_is_the_best_one_for_that_latent_alone(way, scaled):
    """Compared with a numerical minimisation of the loss, which uses no formula."""
    acts, residual, W_dec, documents, scale = made()
    factors = way(acts, residual, W_dec, documents, scale if scaled else None).scale_factors()
    for j in range(D_SAE - 1):
        contribution = (acts[:, j : j + 1] * W_dec[j]) * (scale if scaled else 1)

        def loss(s, contribution=contribution):
            return (residual - (s - 1) * contribution).square().sum().item()

        best = minimize_scalar(loss, bracket=(0, 1)).x
        assert factors[j].item() == pytest.approx(best, abs=1e-6)  # minimising a loss finds the minimum to √ε
    assert factors[-1].isnan()


@WAYS
def test_the_standard_error_is_that_of_a_ratio_of_totals(way):
    acts, residual, W_dec, documents, scale = made()
    tally = way(acts, residual, W_dec, documents, scale)
    group = runs_of(documents, torch.Size((N,)), GROUPS).of_each_token()
    f = acts * scale
    for j in range(D_SAE - 1):
        pull, energy = f[:, j] * (residual @ W_dec[j]), f[:, j] ** 2 * W_dec[j].square().sum()
        share = pull.sum() / energy.sum()
        left = [(pull - share * energy)[group == g].sum() for g in np.unique(group[f[:, j].numpy() != 0])]
        variance = len(left) / (len(left) - 1) * sum(part**2 for part in left) / energy.sum() ** 2
        assert tally.scale_factors()[j].item() == pytest.approx(1 + share.item(), rel=1e-12)
        assert tally.standard_errors()[j].item() == pytest.approx(variance.sqrt().item(), rel=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_many_latents(threads):
    """2500 latents make three shares, the last one partial; the result equals that of the dense products."""
    tensors = made(d_sae=2500)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        walked = by_walk(*tensors)
    finally:
        torch.set_num_threads(before)
    for result, right in zip(walked, densely(*tensors), strict=True):
        torch.testing.assert_close(result, right, rtol=1e-10, atol=1e-10 * right.abs().max().item())


@WAYS
def test_two_tokens_on_paper(way):
    """f = 2 and −1 on d = (1, 1) and residuals (3, 0), (0, 1): Σ f d·left is 6 − 1, Σ f²‖d‖² is 8 + 2; scales 1, 3."""
    acts, left = torch.tensor([[2.0, 0.0], [-1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    W_dec, ids = torch.tensor([[1.0, 1.0], [5.0, 5.0]]), np.array([0, 1])
    plain = way(acts, left, W_dec, ids)
    assert plain.scale_factors()[0] == 1.5
    assert [tensor.sum(0).tolist() for tensor in list(plain)[:4]] == [[5, 0], [10, 0], 10, 2]
    assert plain.loss[:3].tolist() == [9, 1, 0]
    assert plain.tokens[:3].tolist() == [1, 1, 0]
    assert plain.moments.means[0].tolist() == [(10 + 2 * 5 + 10) / 2, 5, 7.5]
    scaled = way(acts, left, W_dec, ids, torch.tensor([[1.0], [3.0]]))
    assert (scaled.pull.sum(), scaled.energy.sum()) == (6 - 3, 8 + 18)
    assert plain.penalty.tolist() == [2**0.5, 0]  # (2 − 1)·√2
    assert scaled.penalty[0].item() == pytest.approx(-(2**0.5))  # (2 − 3)·√2
    assert plain.columns()["latent"].tolist() == [0, 1]
    assert plain.columns()["count"].tolist() == [2, 0]


@WAYS
def test_counts_are_those_of_nonzero_latents(way):
    acts, *others = made()
    tally = way(acts, *others)
    assert torch.equal(tally.count, (acts != 0).sum(0).double())
    assert tally.tokens.sum() == N
    assert tally.count[-1] == 0


@WAYS
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_tokens_that_are_not_finite_count_as_if_they_were_not_there(way, bad):
    acts, residual, W_dec, documents, scale = made()
    residual[5, 2] = acts[5, 0] = bad
    tally = way(acts, residual, W_dec, documents, scale)
    kept = np.arange(N) != 5
    expected = way(acts[kept], residual[kept], W_dec, documents[kept], scale[kept])
    for result, right in zip(tally, expected, strict=True):
        torch.testing.assert_close(result, right, rtol=1e-12, atol=1e-12)


@WAYS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_short_floats_are_totalled_in_double(way, dtype):
    narrow = made(dtype)
    wide = [tensor.double() if isinstance(tensor, torch.Tensor) else tensor for tensor in narrow]
    for result, right in zip(way(*narrow), way(*wide), strict=True):
        assert result.dtype == torch.float64
        # float32 products, N of them at most: the error is a few times 1e-7 of the largest total
        torch.testing.assert_close(result, right, rtol=0, atol=3e-6 * right.abs().max().item())


@given(st.lists(st.integers(1, N - 1), unique=True, max_size=6), st.randoms())
def test_the_tally_of_a_file_is_the_sum_of_its_parts_in_any_order(cuts, random):
    acts, residual, W_dec, documents, scale = made()
    ends = [0, *sorted(cuts), N]
    parts = [slice(*pair) for pair in pairwise(ends)]
    random.shuffle(parts)
    pieces = [Latents.from_batch(acts[p], residual[p], W_dec, documents[p], scale[p]) for p in parts]
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    whole = Latents.from_batch(acts, residual, W_dec, documents, scale)
    for result, right in zip(total, whole, strict=True):
        torch.testing.assert_close(result, right, rtol=1e-12, atol=1e-12 * right.abs().max().item())


def test_intervals_cover_the_truth():
    """One latent per dimension: each of 2000 is an independent experiment with 60 documents of 8 correlated tokens."""
    latents, documents, tokens, true = 2000, 60, 8, 1.2
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, latents, generator=generator, dtype=torch.float64)

    acts = (normal(documents, tokens) + normal(documents, 1)).relu()
    factor = true - 1 + 0.2 * normal(documents, 1) * (acts.square().sum(1, keepdim=True) > 0)
    residual = factor * acts + 0.3 * (normal(documents, tokens) + normal(documents, 1))
    flat, ids = (documents * tokens, latents), np.arange(documents * tokens) // tokens
    tally = Latents.from_batch(acts.reshape(flat), residual.reshape(flat), torch.eye(latents).double(), ids)
    low, high = tally.intervals()
    assert low.shape == high.shape == (latents,)
    cover = ((low <= true) & (true <= high)).double().mean().item()
    # with 2000 experiments, 0.95 has a standard error of 0.005; unequal weights of documents cost a little coverage
    assert 0.92 <= cover <= 0.97
    narrow = (tally.scale_factors() - true).abs() / tally.standard_errors() < 1
    assert 0.6 <= narrow.double().mean() <= 0.72  # a normal error is within one standard error 68 times in 100


def test_latents_that_are_never_on_are_undefined_and_one_group_has_no_error(tmp_path):
    acts, residual, W_dec, documents, _ = made()
    dead = Latents.from_batch(torch.zeros_like(acts), residual, W_dec, documents)
    assert dead.scale_factors().isnan().all()
    assert dead.standard_errors().isnan().all()
    assert dead.most_shrunk() == []
    assert "21 are never active" in str(dead.table().caption)
    dead.save(tmp_path / "dead.npz")
    with plots.figure(6, 4) as (made_figure, (ax,)):
        histogram({"dead": dead}, ax)
        plots.save(made_figure, tmp_path / "dead.png")
    with plots.figure(6, 4) as (made_figure, (ax,)):
        plots.predicted_latents({"dead": (dead, 0.5)}, ax)
        plots.save(made_figure, tmp_path / "dead law.png")
    single = Latents.from_batch(acts, residual, W_dec, np.zeros(N, int))
    assert single.scale_factors()[:-1].isfinite().all()
    assert single.standard_errors().isnan().all()
    (first, *_) = single.most_shrunk(often=1)
    assert first["standard_error"] is first["low"] is None
    shown = [next(iter(column.cells)) for column in single.table(often=1).columns]
    assert shown == [f"{first['latent']}", f"{first['scale_factor']:.4f}", "—", "—", f"{first['count']}"]


def test_the_most_shrunk_come_first_and_rare_latents_are_not_ranked():
    tally = Latents.from_batch(*made())
    rows = tally.most_shrunk(4, often=50)
    factors, count = tally.scale_factors(), tally.count
    kept = [j for j in range(D_SAE) if count[j] >= 50]
    assert 4 < len(kept) < D_SAE
    assert [row["latent"] for row in rows] == sorted(kept, key=lambda j: -factors[j].item())[:4]
    for row in rows:
        assert row["scale_factor"] == factors[row["latent"]]
        assert row["low"] < row["scale_factor"] < row["high"]
    assert tally.table(4, often=50).row_count == 4
    most = int(count.max())
    assert [row["count"] for row in tally.most_shrunk(often=most)] == [most]  # `often` is an inclusive limit
    assert tally.most_shrunk(often=most + 1) == []


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_every_latent_is_written(ending, tmp_path):
    tally = Latents.from_batch(*made())
    path = tmp_path / f"latents{ending}"
    tally.save(path, 0.5)
    if ending == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            columns = {key: stored[key] for key in stored.files}
    else:
        from pyarrow import parquet

        columns = {key: np.array(column) for key, column in parquet.read_table(path).to_pydict().items()}
    assert list(columns) == ["latent", "scale_factor", "standard_error", "low", "high", "count", "predicted"]
    for key, column in tally.columns(0.5).items():
        np.testing.assert_array_equal(columns[key], column)
    assert columns["count"].dtype.kind == "i"
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written


def lasso(l1: float, steps: int = 4000):
    """f of one latent on d = (2, 0), the minimum of the mean of (x − f‖d‖)² + l1·f‖d‖ over f ≥ 0, and tokens along d.

    Each is found by gradient descent: this uses no formula of shrinkage.
    """
    along = torch.rand(N, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    length = torch.zeros_like(along)  # f‖d‖
    for _ in range(steps):
        length = (length - 0.01 * (2 * (length - along) + l1)).clamp(min=0)
    return length[:, None] / 2, torch.stack((along, torch.zeros_like(along)), 1), torch.tensor([[2.0, 0.0]]).double()


@WAYS
@pytest.mark.parametrize("l1", [0.1, 1.0, 3.0])
def test_a_latent_trained_with_l1_has_the_factor_predicted(way, l1):
    acts, x, W_dec = lasso(l1)
    tally = way(acts, x - acts @ W_dec, W_dec, np.arange(N))
    assert tally.predicted(l1).item() > 1.01
    assert tally.predicted(l1).item() == pytest.approx(tally.scale_factors().item(), rel=1e-9)


def test_a_prediction_needs_a_coefficient_and_an_active_latent():
    tally = Latents.from_batch(*made())
    assert tally.predicted(0.5)[-1].isnan()
    assert tally.predicted(0.5)[:-1].isfinite().all()
    assert np.isnan(tally.columns()["predicted"]).all()
    np.testing.assert_array_equal(tally.columns(0.5)["predicted"], tally.predicted(0.5))
    np.testing.assert_array_equal(tally.predicted(0.0)[:-1], torch.ones(D_SAE - 1))
    (row, *_) = tally.most_shrunk(1, often=1, l1=0.5)
    assert row["predicted"] == tally.predicted(0.5)[row["latent"]]
    assert tally.most_shrunk(1, often=1)[0]["predicted"] is None
    shown = tally.table(1, often=1, l1=0.5)
    assert next(iter(shown.columns[2].cells)) == f"{row['predicted']:.4f}"
    assert "λ = 0.5 in units of x" in str(shown.caption)


def test_agreement_is_that_of_the_latents_active_often_enough():
    tally = Latents.from_batch(*made())
    measured = tally.agreement(0.5, often=50)
    kept = tally.count >= 50
    line = np.polyfit(tally.predicted(0.5)[kept].numpy(), tally.scale_factors()[kept].numpy(), 1)
    assert measured.latents == int(kept.sum())
    assert measured.slope == pytest.approx(line[0])
    assert np.isnan(tally.agreement(0.0).slope)  # all predictions are 1: no line
    assert tally.agreement(0.5, often=10 * N).latents == 0


TRAINED = 1.2 / 1.5946
"""λ/k of the embedded ReLU SAE: its coefficient, and √d over the mean norm, by which SAELens multiplied activations."""


@pytest.fixture(scope="module")
def real():
    names = ("minilm-relu", "minilm-gated")
    options = {"documents": embedded("documents"), "device": "cpu", "latents": True, "published": 0}
    return dict(
        zip(names, measure([embedded(name) for name in names], embedded("activations"), **options), strict=True)
    )


def test_the_law_predicts_each_latent_of_the_relu_sae_and_none_of_the_gated(real):
    relu, gated = real.values()
    assert relu.l1 == pytest.approx(TRAINED, rel=1e-4)
    assert gated.l1 is None
    for report in (relu, gated):
        total = report.latents.penalty.sum() / report.latents.tokens.sum()
        assert total.item() == pytest.approx(report.law.penalty.value, rel=1e-6)
    straight, cloud = (report.latents.agreement(TRAINED, often=50) for report in (relu, gated))
    assert straight.latents == 1437
    assert straight.correlation == pytest.approx(0.989, abs=0.005)
    assert straight.slope == pytest.approx(1, abs=0.02)
    assert abs(cloud.correlation) < 0.2
    assert abs(cloud.slope) < 0.1
    often = gated.latents.count >= 50
    assert gated.latents.scale_factors()[often].median().item() == pytest.approx(1, abs=0.01)


def test_the_plot_shows_each_latent_where_it_was_predicted_and_measured(real, tmp_path):
    relu, gated = (report.latents for report in real.values())
    with plots.figure(3.4, 4, style=plots.COLUMN) as (figure, (ax,)):
        plots.predicted_latents({"relu": (relu, TRAINED), "gated": (gated, TRAINED)}, ax)
        plots.save(figure, tmp_path / "law.png")
        assert "relu: 1,047 latents\ncorrelation 0.98" in ax.get_legend().get_texts()[0].get_text()
        for points, tally in zip(ax.collections, (relu, gated), strict=True):
            often = (tally.count >= 100).numpy()
            exact = np.stack((tally.predicted(TRAINED).numpy()[often], tally.scale_factors().numpy()[often]), 1)
            inside = ((exact > 1) & (exact < 2)).all(1)  # what lies outside the range is drawn at its edge
            assert inside.sum() > 300
            np.testing.assert_array_equal(points.get_offsets()[inside], exact[inside])
    for reports, panels in (([real["minilm-relu"]], 4), ([real["minilm-gated"]], 3)):
        with plots.measured(reports) as figure:
            assert len(figure.axes) == panels


def test_another_ending_is_refused(tmp_path):
    tally = Latents.from_batch(*made())
    with pytest.raises(InputError, match=r"latents\.csv: latents are written as \.npz or \.parquet, not \.csv"):
        tally.save(tmp_path / "latents.csv")


def test_parquet_without_pyarrow_is_refused(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    monkeypatch.setattr(sys, "path", [])  # an installation without it
    with pytest.raises(InputError, match=r"needs pyarrow; install it, or name a \.npz file"):
        Latents.from_batch(*made()).save(tmp_path / "latents.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused():
    acts, residual, W_dec, documents, scale = made()
    for wrong in ((acts, residual[:-1], W_dec, documents), (acts, residual, W_dec[:-1], documents)):
        with pytest.raises(InputError, match=r"do not match: give \(n, d_sae\), \(n, d_in\), \(d_sae, d_in\)"):
            Latents.from_batch(*wrong)
    with pytest.raises(InputError, match="one scale per token"):
        Latents.from_batch(acts, residual, W_dec, documents, scale[:-1])
    with pytest.raises(InputError, match=r"do not merge: .*\(32, 21\).* and .*\(32, 20\)"):
        Latents.from_batch(*made()) + Latents.from_batch(*made(d_sae=20))


def test_the_histogram_counts_each_latent_that_is_on_often_enough():
    tally = Latents.from_batch(*made())
    with plots.figure(6, 4) as (figure, (ax,)):
        histogram({"one": tally}, ax, often=50)
        figure.canvas.draw()
        (bars,) = ax.patches
        path = bars.get_path().vertices
        widths, heights = np.diff(path[:, 0]), path[:-1, 1]
        area = (widths * heights).sum() / widths.max()
    assert round(area) == int((tally.count >= 50).sum())


@pytest.mark.gpu
def test_an_accelerator_gives_what_the_cpu_does_and_is_never_waited_for():
    acts, residual, W_dec, documents, scale = made(torch.float32)
    expected = by_walk(acts, residual, W_dec, documents, scale)
    there = [
        tensor.cuda() if isinstance(tensor, torch.Tensor) else tensor
        for tensor in (acts, residual, W_dec, documents, scale)
    ]
    torch.cuda.set_sync_debug_mode("error")
    try:
        tally = Latents.from_batch(*there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for result, right in zip(tally.to("cpu"), expected, strict=True):
        torch.testing.assert_close(result, right, rtol=0, atol=3e-6 * right.abs().max().item())
