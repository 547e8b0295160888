"""What a report says of numbers that can be followed on paper, and of which tokens the summary makes it."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from sandbox.maths.measures import REGISTRY
from sandbox.measuring.norms import Norms
from sandbox.measuring.preflight import Finding
from sandbox.measuring.published import Published
from sandbox.measuring.summary import _combined, summary
from sandbox.measuring.token_means import TokenMeans
from sandbox.measuring.totals import Counting, Totals
from sandbox.moments.moments import GROUPS, Moments
from sandbox.report import Report, estimate

SIGNS = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(64)[:, None]


def report(factor=0.5, clusters=64, **more) -> Report:
    """Of x = ±1 and x̂ = factor·x."""
    return Report("r", Moments.from_pairs(SIGNS, factor * SIGNS, torch.arange(128) % clusters), **more)


def test_the_facts_are_those_that_are_known():
    assert report().facts() == "128 tokens · 64 blocks of tokens · L0 unknown (no latents)"
    assert report(clusters=1).facts().startswith("128 tokens · 1 block of tokens · ")
    assert report(documents=1).facts().startswith("128 tokens · 1 document · ")
    known = report(documents=1234, l0=0.0, dtype="float32", device="cpu")
    assert known.facts() == "128 tokens · 1,234 documents · L0 = 0.0 · float32 · cpu"
    outliers = {"limit": 3.0, "tokens": 1000, "share_of_a": 0.5, "excluded": True}
    assert "128 tokens · 1,000 outliers excluded · " in report(outliers=outliers).facts()
    assert "outlier" not in report(outliers=outliers | {"excluded": False}).facts()
    assert report(complete=False).facts().startswith("stopped early · 128 tokens")
    x = SIGNS.clone()
    x[3] = math.nan
    dropped = Report("r", Moments.from_pairs(x, x, drop_nonfinite=True))
    assert (dropped.tokens, dropped.dropped) == (127, 1)
    assert dropped.facts().startswith("127 tokens · 1 not finite, dropped · ")


def test_the_explained_variance_has_the_mean_of_x_removed():
    """x is 10 ± 1, x̂ = 10 ± ½ and ¼ more: ¼ + 1/16 of a variance of 1 are lost, wherever the mean is."""
    found = Report("r", Moments.from_pairs(10 + SIGNS, 10.25 + 0.5 * SIGNS, torch.arange(128) // 2))
    assert found.explained_variance.value == pytest.approx(1 - 0.3125)
    assert found.explained_variance.low <= found.explained_variance.value <= found.explained_variance.high
    assert next(iter(found.per_token)) == "explained_variance"
    assert found.raw["relative_loss"].value == pytest.approx(0.3125 / 101)


def test_the_explained_variance_takes_its_interval_from_the_loss_turned_round():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x -= x.mean(0)
    found = Report("r", Moments.from_pairs(x, 0.7 * x + 0.1 * x.flip(0), torch.arange(400) // 5))
    loss = found.raw["relative_loss"]
    turned = [1 - found.explained_variance.high, 1 - found.explained_variance.low]
    assert turned == pytest.approx([loss.low, loss.high], rel=1e-3)


def test_documents_are_clusters_as_they_are():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moments = Moments.from_pairs(x, 0.7 * x + 0.2 * x.flip(0), torch.arange(400) // 5)
    assert Report("r", moments, documents=80).raw["scale_x"] == estimate(moments, REGISTRY["scale_x"])


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (100, "1 block of 128 neighbouring tokens"),
        (2000, "8 blocks of 256 neighbouring tokens"),  # 16 blocks of 128: two a stretch leave eight
        (20_000, "20 blocks of 1,024 neighbouring tokens"),
        (100_000, "32 groups of blocks of 1,024 neighbouring tokens"),  # more blocks of 128 than there are groups
    ],
)
def test_blocks_that_stand_in_for_documents_are_counted_and_their_length_is_said(tokens, said):
    x = torch.ones(tokens, 1)
    found = Report("r", Moments.from_pairs(x, x), blocks=True)
    assert found.facts().startswith(f"{tokens:,} tokens · {said} · ")
    assert f"intervals take {said} to be independent" in " ".join(str(found).split())
    assert f"intervals take {said} to be independent" in found._repr_html_()
    assert found.stand_in is not None
    assert found.to_dict()["blocks"]["tokens"] == found.stand_in.tokens
    assert "independent" not in str(report(documents=64))
    assert report(documents=64).to_dict()["blocks"] is None


def test_a_decoder_bias_is_an_origin_of_its_own():
    plain, about = report(), report(b_dec=torch.tensor([0.5]))
    assert list(plain.origins) == ["raw", "centred"]
    assert list(about.origins) == ["raw", "centred", "decoder_bias"]
    # of ±1 − ½ and ±½ − ½: squares (¼ + 9/4)/2, (0 + 1)/2, products (0 + 3/2)/2
    assert about.origins["decoder_bias"]["scale_x"].value == pytest.approx(0.75 / 1.25)
    assert about.origins["decoder_bias"]["relative_reconstruction_bias"].value == pytest.approx(0.5 / 0.75)


def test_json_has_words_for_what_is_not_finite():
    published = {"SAELens": {"l2_ratio": math.inf, "mse": 2.0, "cossim": math.nan}}
    one = report(published=published, published_batch=8, findings=[{"key": "small", "message": "few"}]).to_dict()
    assert one["published"] == {"batch": 8, "SAELens": {"l2_ratio": "inf", "mse": 2.0, "cossim": "nan"}}
    assert one["findings"] == [{"key": "small", "message": "few"}]
    assert (one["tokens"], one["clusters"], one["dropped"], one["complete"]) == (128, 64, 0, True)
    assert "without_outliers" not in one
    assert json.loads(json.dumps(one, allow_nan=False)) == one
    both = report(without_outliers=report(0.25)).to_dict()["without_outliers"]
    assert both["tokens"] == 128
    assert both["raw"]["scale_x"]["value"] == pytest.approx(0.25)


@pytest.mark.parametrize(("factor", "how"), [(0.5, "50 % shorter"), (0.95, "5.0 % shorter"), (1.25, "25 % longer")])
def test_its_reconstructions_are_shorter_or_longer(factor, how):
    assert f"its reconstructions are {how} than x (r = {factor:.3f})" in report(factor).in_words()


def test_where_shrinkage_is_undefined_nothing_is_said_of_lengths():
    said = report(-0.5).in_words()
    assert said.startswith("r: shrinkage is undefined, because ")
    assert "reconstructions" not in said


# --- the summary of what was counted ---------------------------------------------------------------------------------

X = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [1.0, 0.0]], dtype=torch.float64)  # norms 5, 1, 10, 1
L0 = torch.tensor([4.0, 1.0, 30.0, 1.0])


def counted(limit: float, exclude: bool, sees_latents: bool = True, **more) -> Report:
    """The summary of these four tokens, of which x̂ is half."""
    index = torch.arange(4)
    moments, dots = Moments.with_dots(X, 0.5 * X, index, apart_above=limit)
    tokens = TokenMeans.from_dots(dots, L0, index, GROUPS, limit)
    totals = Totals(moments, tokens, Norms.from_dots(dots), Published.from_tokens(X, 0.5 * X, 2, L0), None)
    sae = SimpleNamespace(
        name="sae", dtype=torch.bfloat16, device=torch.device("cpu"), description="an SAE", b_dec=torch.ones(2),
        sees_latents=sees_latents, decoder_norms=None, targets=None,
    )  # fmt: skip
    return summary(sae, totals, Counting(2, False, limit, exclude), **more)  # pyright: ignore[reportArgumentType]


def test_nothing_is_counted_or_left_out_unless_asked_for():
    assert Counting() == Counting(0, False, math.inf, False)


def test_without_extreme_tokens_there_is_one_report():
    found = counted(10.0, False, name="mine", documents=3, findings=[Finding("a", "b")], complete=False)
    assert (found.tokens, found.outliers, found.without_outliers) == (4, None, None)
    assert (found.name, found.documents, found.findings, found.complete) == (
        "mine",
        3,
        [{"key": "a", "message": "b"}],
        False,
    )
    assert (found.dtype, found.device, found.description, found.l0) == ("bfloat16", "cpu", "an SAE", 9.0)
    assert found.b_dec is not None
    assert found.statistics["l0"].value == 9
    assert counted(10.0, False).name == "sae"
    assert found.published_batch == 2
    assert found.published["SAELens"]["l2_norm_in"] == pytest.approx(17 / 4)


def test_extreme_tokens_are_counted_and_the_report_is_with_and_without():
    found = counted(4.0, False)
    assert found.outliers == {"limit": 4.0, "tokens": 2, "share_of_a": pytest.approx(125 / 127), "excluded": False}
    assert (found.tokens, found.l0) == (4, 9.0)
    assert found.without_outliers is not None
    assert (found.without_outliers.tokens, found.without_outliers.l0) == (2, 1.0)
    assert found.without_outliers.moments.a == 1


def test_or_without_them_alone():
    found = counted(4.0, True)
    assert found.outliers is not None
    assert found.outliers["excluded"] is True
    assert (found.tokens, found.l0, found.without_outliers) == (2, 1.0, None)
    assert found.published["SAELens"]["l2_norm_in"] == pytest.approx(17 / 4)  # of all tokens either way


def test_latents_that_are_not_seen_have_no_l0():
    found = counted(4.0, False, sees_latents=False)
    assert found.l0 is None
    assert "l0" not in found.statistics
    assert "l2_ratio" in found.statistics


def test_what_the_whole_pass_found_takes_the_place_of_what_the_sample_did():
    sample, whole = [Finding("zero_tokens", "few"), Finding("outliers", "few")], [Finding("outliers", "all")]
    assert [(one.key, one.message) for one in _combined(sample, whole)] == [
        ("zero_tokens", "few"),
        ("outliers", "all"),
    ]


def test_totals_are_put_together_again_from_their_tensors():
    index = torch.arange(4)
    moments, dots = Moments.with_dots(X, 0.5 * X, index, apart_above=4.0)
    tokens = TokenMeans.from_dots(dots, L0, index, GROUPS, 4.0)
    one = Totals(moments, tokens, Norms.from_dots(dots), None, None)
    again = Totals.from_tensors(one.tensors())
    assert sorted(one.tensors()) == [f"moments.{name}" for name in ("count", "nonfinite", "sums", "totals")] + [
        "norms.totals"
    ] + ["tokens.sums"]
    assert again.published is again.latents is None
    for name, tensor in again.tensors().items():
        assert torch.equal(tensor, one.tensors()[name])
    twice = one + again
    assert twice.moments.n.tolist() == [4, 4]
    assert torch.equal(twice.tokens.sums, 2 * tokens.sums)
