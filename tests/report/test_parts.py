"""The three parts of the loss (C23), against each token's own numbers in float64."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import t as student
from torch import nn

import sandbox
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import Files
from sandbox.measuring.rescale import rescale
from sandbox.measuring.token_means import CAPTURED, TokenMeans
from sandbox.moments.moments import Moments
from sandbox.moments.totalling import dots_about
from sandbox.report import Point, Report, to_csv, to_json
from sandbox.report.parts import NOTHING_LOST, PARTS, loss_parts
from sandbox.report.tables import WHAT_RECOVERS_IT, as_html, as_text

D, TOKENS = 6, 120


def directly(x, x_hat, origin=0.0) -> dict[str, float]:
    """Each part of the loss, relative to the energy of x, from what each token's best factor leaves."""
    x, x_hat = (np.asarray(rows, np.float64) - np.asarray(origin, np.float64) for rows in (x, x_hat))
    b, c = (x_hat**2).sum(1), (x * x_hat).sum(1)
    own = np.divide(c, b, out=np.zeros_like(b), where=b > 0)
    common = c.sum() / b.sum()
    energy = (x**2).sum()
    return {
        "tokens_loss": ((x - own[:, None] * x_hat) ** 2).sum() / energy,
        "factors_loss": (((own - common)[:, None] * x_hat) ** 2).sum() / energy,
        "length_loss": (((common - 1) * x_hat) ** 2).sum() / energy,
    }


def pairs(seed=0, n=TOKENS):
    """x, x̂ that is too short by a factor of each token's own, and 5 documents; some tokens have x̂ = 0."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, D)) * draw.uniform(0.5, 3, (n, 1))
    x_hat = draw.uniform(0.3, 1, (n, 1)) * (x + 0.4 * draw.standard_normal((n, D)))
    x_hat[::7] = 0
    return x, x_hat, np.arange(n) * 5 // n


class Reconstructing(nn.Module):
    """An SAE with one latent for each axis, on where x − b_dec is positive there, and too weak."""

    def __init__(self, b_dec):
        super().__init__()
        self.W_dec, self.b_dec = nn.Parameter(torch.eye(D), False), nn.Parameter(b_dec, False)

    def encode(self, x):
        return 0.8 * (x - self.b_dec - 0.5).clamp(min=0)

    def decode(self, f):
        return f @ self.W_dec + self.b_dec

    def forward(self, x):
        return self.decode(self.encode(x))


def values(parts) -> dict[str, float]:
    return {key: parts[key].value for key in PARTS}


@given(
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.floats(0, 3),
    st.floats(0, 1),
    st.just(0.0) | st.floats(0.01, 1.5) | st.floats(-1.5, -0.01),
)
def test_the_parts_are_those_of_the_tokens_and_add_up(n, seed, noise, dead, factor):
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((n, D)) * draw.lognormal(0, 1, (n, 1))
    x_hat = factor * draw.uniform(0, 1, (n, 1)) * (x + noise * draw.standard_normal((n, D)))
    x_hat[draw.uniform(size=n) < dead] = 0
    report = sandbox.measure_pairs(x, x_hat, documents=np.arange(n), look=False)
    parts = report.loss_parts["raw"]
    if not (x_hat**2).sum() > 0:
        assert all(part.value is None for part in parts.values())
        assert "x̂ is zero everywhere" in parts["tokens_loss"].reason
        return
    # the totals lose a few roundings of the largest term, at most a + b + 2|c| relative to a
    size = 1 + (x_hat**2).sum() / (x**2).sum()
    assert values(parts) == pytest.approx(directly(x, x_hat), abs=1e-13 * size)
    raw = report.raw
    assert sum(values(parts).values()) == pytest.approx(raw["relative_loss"].value, abs=1e-13 * size)
    both = parts["tokens_loss"].value + parts["factors_loss"].value
    assert both == pytest.approx(raw["angle_loss"].value, abs=1e-13 * size)
    assert parts["length_loss"] == raw["length_loss"]
    for key, (_, share) in PARTS.items():
        if parts[share].value is not None:
            expected = parts[key].value / raw["relative_loss"].value
            assert parts[share].value == pytest.approx(expected, abs=1e-12)
            assert 0 <= parts[share].value <= 1
            assert parts[share].low is None or 0 <= parts[share].low <= parts[share].high <= 1


def test_tokens_reconstructed_exactly_and_at_half_length_have_no_angle_but_an_angle_loss():
    """C23's example: C12 books a tenth of the energy under "angle"."""
    x = np.eye(2)
    report = sandbox.measure_pairs(x, x * [[1.0], [0.5]], documents=np.arange(2), look=False)
    assert report.raw["angle_loss"].value == pytest.approx(0.1)
    assert values(report.loss_parts["raw"]) == pytest.approx(
        {"tokens_loss": 0, "factors_loss": 0.1, "length_loss": 0.025}
    )
    shares = {key: report.loss_parts["raw"][key].value for _, key in PARTS.values()}
    assert shares == pytest.approx({"tokens_share": 0, "factors_share": 0.8, "length_share": 0.2})


def in_memory(strengths, folder) -> Checkpoint:
    """An SAE with a latent for each axis, each too weak or too strong by its own factor."""
    sae = SAE(torch.eye(D), torch.diag(strengths), torch.zeros(D), subtract_b_dec=False)
    return Checkpoint(sae, "axes", Files(folder, folder), lambda _: pytest.fail("nothing is written here"))


@pytest.mark.parametrize("active", [1, 3])
def test_one_factor_per_latent_recovers_what_no_common_factor_does(active, tmp_path):
    """Half of the rows are halved. With one latent on a token, that is a loss to factors; with three, to angles too."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(3000, D).scatter(
        1,
        torch.rand(3000, D, generator=generator).argsort(1)[:, :active],
        torch.rand(3000, active, generator=generator) + 0.1,
    )
    settings = {"documents": np.arange(3000) // 30, "device": "cpu"}
    halved = in_memory(torch.tensor([1.0, 0.5]).repeat(D // 2), tmp_path)
    loss = {}
    for kind in ("none", "scalar", "per-latent"):
        sae = halved.sae
        if kind != "none":
            made = rescale(halved, x, kind=kind, **settings)
            sae = sae.with_decoder(made.W_dec, made.b_dec)
        loss[kind] = sandbox.measure(sae, x, look=False, **settings).loss_parts["raw"]
    for key in ("tokens_loss", "factors_loss"):
        before = loss["none"][key].value
        assert before > 0.01 if active > 1 or key == "factors_loss" else before == pytest.approx(0, abs=1e-12)
        assert loss["scalar"][key].value == pytest.approx(before, abs=1e-6)
        assert loss["per-latent"][key].value == pytest.approx(0, abs=1e-9)
    if active == 1:
        assert loss["none"]["factors_share"].value == pytest.approx(0.8, abs=0.02)


def test_the_words_limit_what_is_beyond_rescaling_to_a_common_factor():
    for words in (WHAT_RECOVERS_IT, sandbox.report.parts.__doc__):
        assert "no decoder" not in words
        assert "only other latents" not in words.lower()
    assert "No common factor recovers either, but one factor per latent" in WHAT_RECOVERS_IT


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.5, -0.25])
def test_intervals_of_shares_end_where_the_shares_do(factor):
    x, _, documents = pairs()
    parts = sandbox.measure_pairs(x, factor * x, documents=documents, look=False).loss_parts["raw"]
    for _, share in PARTS.values():
        part = parts[share]
        if part.value is not None:
            assert 0 <= part.low <= part.value <= part.high <= 1, share


def test_about_b_dec_the_parts_are_those_of_what_lies_beyond_it():
    draw = torch.Generator().manual_seed(0)
    b_dec = 5 * torch.randn(D, generator=draw)
    x = b_dec + torch.randn(TOKENS, D, generator=draw)
    sae = Reconstructing(b_dec)
    x_hat = sae(x)
    none_active = (x_hat == b_dec).all(1)
    assert 0 < none_active.sum() < TOKENS, "some tokens have x̂ = b_dec"
    parts = sandbox.measure(sae, x, documents=np.arange(TOKENS) // 10, look=False).loss_parts
    assert list(parts) == ["raw", "decoder_bias"]
    assert values(parts["raw"]) == pytest.approx(directly(x, x_hat), abs=1e-12)
    assert values(parts["decoder_bias"]) == pytest.approx(directly(x, x_hat, b_dec), abs=1e-12)


def test_reconstructions_alone_have_no_parts_about_b_dec():
    x, x_hat, documents = pairs()
    assert list(sandbox.measure_pairs(x, x_hat, documents=documents, look=False).loss_parts) == ["raw"]


@pytest.mark.parametrize("key", ["tokens_loss", "factors_loss"])
def test_the_interval_leaves_out_a_document_of_all_four_totals_at_once(key):
    x, x_hat, documents = pairs()
    part = sandbox.measure_pairs(x, x_hat, documents=documents, look=False).loss_parts["raw"][key]
    without = [logit(directly(x[kept], x_hat[kept])[key]) for kept in (documents != one for one in range(5))]
    error = math.sqrt(4 * np.var(without))
    weights = [np.bincount(documents, (rows**2).sum(1)) for rows in (x, x_hat)]
    clusters = min(weight.sum() ** 2 / (weight**2).sum() for weight in weights)
    reach = student.ppf(0.975, clusters - 1) * error
    at = logit(directly(x, x_hat)[key])
    assert (part.low, part.high) == pytest.approx((expit(at - reach), expit(at + reach)), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_nothing_cancels_near_b_dec(dtype):
    """x̂ differs from b_dec in its last digits only: what is left of it is known to float64."""
    m = 100 * torch.randn(D, generator=torch.Generator().manual_seed(1)).to(dtype)
    x = m + torch.randn(3, D, generator=torch.Generator().manual_seed(2)).to(dtype)
    x_hat = m * (1 + torch.tensor([[0.0], [2.0], [-4.0]], dtype=dtype) * torch.finfo(dtype).eps)
    about = dots_about(x, x_hat, m)
    far, far_hat = x.double() - m.double(), x_hat.double() - m.double()
    torch.testing.assert_close(about, torch.stack(((far_hat**2).sum(1), (far * far_hat).sum(1)), 1), rtol=1e-12, atol=0)
    assert about[0].tolist() == [0, 0]
    assert (about[1:, 0] > 0).all()


def test_many_tokens_are_shared_among_threads():
    draw = torch.Generator().manual_seed(0)
    x, x_hat, m = torch.randn(1001, 512, generator=draw), torch.randn(1001, 512, generator=draw), torch.ones(512)
    far, far_hat = x.double() - 1, x_hat.double() - 1
    expected = torch.stack(((far_hat**2).sum(1), (far * far_hat).sum(1)), 1)
    torch.testing.assert_close(dots_about(x, x_hat, m), expected, rtol=1e-12, atol=1e-9)


def sums_of(x, x_hat, group, limit=math.inf):
    moments, dots = Moments.with_dots(x, x_hat, group, groups=4, apart_above=limit)
    about = dots_about(*(torch.as_tensor(rows) for rows in (x, x_hat, np.ones(D))))
    return moments, TokenMeans.from_dots(dots, None, torch.as_tensor(group) % 4, 4, limit, about=about)


def test_sums_of_parts_of_the_data_merge():
    x, x_hat, documents = pairs()
    whole, first, second = (sums_of(x[w], x_hat[w], documents[w]) for w in (slice(None), slice(50), slice(50, None)))
    for origin in CAPTURED:
        merged = (first[1] + second[1]).captured(origin)
        torch.testing.assert_close(merged, whole[1].captured(origin), rtol=1e-14, atol=0)


def test_outliers_are_kept_apart():
    x, x_hat, documents = pairs()
    limit = float(np.quantile(np.linalg.norm(x, axis=1), 0.9))
    typical = np.linalg.norm(x, axis=1) <= limit
    moments, means = sums_of(x, x_hat, documents, limit)
    parts = loss_parts(moments[0], means.captured("raw", typical=True))
    assert values(parts) == pytest.approx(directly(x[typical], x_hat[typical]))
    about = moments[0].about(torch.ones(2, D).double())
    parts = loss_parts(about, means.captured("decoder_bias", typical=True))
    assert values(parts) == pytest.approx(directly(x[typical], x_hat[typical], 1.0))


def test_a_report_has_them_with_and_without_outliers():
    x, x_hat, documents = pairs(n=600)
    x[5] *= 1e4
    report = sandbox.measure_pairs(x, x_hat, documents=documents, look=False)
    without = report.without_outliers
    assert without
    kept = np.arange(600) != 5
    assert values(without.loss_parts["raw"]) == pytest.approx(directly(x[kept], x_hat[kept]))
    assert values(report.loss_parts["raw"]) == pytest.approx(directly(x, x_hat))
    assert as_text(report).count("without outliers") == len(report.raw) + len(PARTS)


def test_without_documents_stretches_of_blocks_are_the_clusters():
    x, x_hat, _ = pairs(n=5000)
    report = sandbox.measure_pairs(x, x_hat, look=False)
    assert values(report.loss_parts["raw"]) == pytest.approx(directly(x, x_hat))
    stretches = report.moments_from("raw").clusters
    assert stretches < report.moments.clusters
    part = report.loss_parts["raw"]["tokens_loss"]
    assert part.low < part.value < part.high


def test_where_nothing_is_lost_there_are_no_shares():
    x, _, documents = pairs()
    parts = sandbox.measure_pairs(x, x, documents=documents, look=False).loss_parts["raw"]
    assert values(parts) == {"tokens_loss": 0, "factors_loss": 0, "length_loss": 0}
    assert {parts[share].reason for _, share in PARTS.values()} == {NOTHING_LOST}


def test_json_csv_points_and_tables_hold_them():
    draw = torch.Generator().manual_seed(0)
    b_dec = torch.randn(D, generator=draw)
    x = b_dec + torch.randn(TOKENS, D, generator=draw)
    report = sandbox.measure(Reconstructing(b_dec), x, documents=np.arange(TOKENS) // 10, look=False)
    (entry,) = json.loads(to_json([report]))["saes"]
    rows = [line.split(",") for line in to_csv([report]).splitlines()]
    facts = {"architecture": "relu", "coefficient": 1.0, "seed": 0, "steps": 1, "finished": True}
    point = Point.from_report(report, measured_on="held-out", **facts)
    assert Point.from_dict(json.loads(json.dumps(point.to_dict()))) == point
    for origin, parts in report.loss_parts.items():
        assert len(parts) == 6
        for key, part in parts.items():
            assert entry[origin][key] == part.to_dict()
            (row,) = (row for row in rows if row[4:6] == [origin, key])
            assert float(row[6]) == part.value
            assert point.origins[origin][key] == part
    assert "tokens_loss" not in entry["centred"]
    for text in (as_text(report), as_html(report)):
        assert "Where the loss is" in text
    assert "".join(WHAT_RECOVERS_IT.split()) in "".join(as_text(report).split())


def test_a_report_of_moments_alone_has_no_parts():
    x, x_hat, documents = pairs()
    report = Report("r", Moments.from_pairs(x, x_hat, documents))
    assert report.loss_parts == {}
    assert report.by_origin == report.origins
    assert "Where the loss is" not in as_text(report)


def test_the_embedded_saes_lose_little_to_factors():
    """Over nine tenths is lost to the tokens' angles; a common factor gets nothing back from the Gated SAE."""
    from sandbox.data import embedded

    shares = {}
    for kind in ("relu", "gated"):
        files = embedded("activations"), embedded("documents")
        report = sandbox.measure(embedded(f"minilm-{kind}"), files[0], documents=files[1], look=False)
        for origin, parts in report.loss_parts.items():
            shares[kind, origin] = [round(100 * parts[share].value, 1) for _, share in PARTS.values()]
    assert shares == {
        ("relu", "raw"): [94.7, 1.5, 3.8],
        ("relu", "decoder_bias"): [94.2, 1.6, 4.2],
        ("gated", "raw"): [98.7, 1.3, 0.0],
        ("gated", "decoder_bias"): [98.7, 1.3, 0.0],
    }
