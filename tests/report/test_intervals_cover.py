"""A 95 % interval covers the truth in about 95 % of repeated simulations with correlated tokens, raw and centred."""

import math

import pytest
import torch
from scipy import stats

from sandbox.maths.compile import evaluate, gradient, to_torch
from sandbox.maths.measures import REGISTRY, t, v
from sandbox.measuring.measure import measure as report_of
from sandbox.moments.moments import Moments
from sandbox.report import estimate, interval, left_out, standard_error
from sandbox.report.jackknife import TOO_UNEQUAL, jackknife_error

REPEATS, DOCUMENTS, TOKENS, D = 600, 100, 12, 6


def experiment(repeats: int, documents: int, seed: int, *, ignore_documents: bool = False) -> Moments:
    """Tokens of a document share their offset, their strength and the length of their reconstruction."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shape = (repeats, documents)
    strength = (0.3 * normal(*shape, 1, 1)).exp()
    x = strength * (normal(*shape, TOKENS, D) + normal(*shape, 1, D)) + 1.0
    shrink = 0.8 + 0.15 * normal(*shape, 1, 1)
    x_hat = shrink * x + 0.5 * strength * normal(*shape, TOKENS, D)
    flat = (repeats, documents * TOKENS, D)
    ids = torch.arange(documents * TOKENS) // (1 if ignore_documents else TOKENS)
    return Moments.from_pairs(x.reshape(flat), x_hat.reshape(flat), ids, batch_dims=1)


@pytest.fixture(scope="module")
def repeated():
    return experiment(REPEATS, DOCUMENTS, seed=0)


@pytest.fixture(scope="module")
def truth():
    """Of 400,000 documents: a hundred times closer to the truth than one experiment is."""
    total = experiment(1, 4000, seed=1)
    for seed in range(2, 101):
        total = total + experiment(1, 4000, seed)
    return total


def coverage(measured: Moments, key: str, exact: Moments) -> float:
    true = evaluate(REGISTRY[key], *exact.means[0])
    low, high = interval(measured, REGISTRY[key])
    return ((low <= true) & (true <= high)).double().mean().item()


@pytest.mark.parametrize("origin", ["raw", "centred"])
@pytest.mark.parametrize("key", REGISTRY)
def test_intervals_cover_the_truth(key, origin, repeated, truth):
    pick = Moments.centred if origin == "centred" else lambda moments: moments
    cover = coverage(pick(repeated), key, pick(truth))
    # 600 repeats: a share of 0.95 has a standard error of 0.009; documents of unequal strength cost a little
    assert 0.92 <= cover <= 0.98, f"{key} {origin}: {cover:.3f}"


def test_taking_tokens_for_independent_covers_far_less(truth):
    naive = experiment(REPEATS, DOCUMENTS, seed=0, ignore_documents=True)
    assert coverage(naive, "relative_reconstruction_bias", truth) < 0.75


def test_three_clusters_by_hand():
    """γ = Σb/Σc of three: logarithms without each in turn, and Student's quantile of less than 2 degrees of freedom."""
    b, c = (4.0, 5.0, 6.0), (5.0, 5.0, 5.0)
    x_hat = torch.tensor([[ci / 3, (bi - (ci / 3) ** 2) ** 0.5] for bi, ci in zip(b, c, strict=True)]).double()
    moments = Moments.from_pairs(torch.tensor([[3.0, 0.0]]).double().expand(3, 2), x_hat, torch.arange(3))
    without = [math.log((5 + 6) / 10), math.log((4 + 6) / 10), math.log((4 + 5) / 10)]
    mean = sum(without) / 3
    error = (2 / 3 * sum((one - mean) ** 2 for one in without)) ** 0.5
    clusters = 15**2 / (4**2 + 5**2 + 6**2)  # of x̂, which count less than those of x: 2.92 for 3
    reach = stats.t.ppf(0.975, clusters - 1) * error
    one = estimate(moments, REGISTRY["relative_reconstruction_bias"])
    assert one.value == pytest.approx(1, rel=1e-6)
    assert one.high == pytest.approx(math.exp(reach), rel=1e-6)
    assert one.low == pytest.approx(math.exp(-reach), rel=1e-6)


SEEN_FROM = {"raw": lambda moments: moments, "centred": Moments.centred, "centred on x": Moments.centred_on_x}


@pytest.mark.parametrize("origin", SEEN_FROM)
def test_leaving_a_group_out_is_leaving_its_tokens_out(origin, make_pairs):
    """By an independent way: its tokens are really dropped, and the others' moments taken anew."""
    x, x_hat = make_pairs(400, 5, dtype=torch.float64)
    x_hat, ids = x_hat + 0.3, torch.arange(400) ** 2 // 9000  # 18 documents of unequal sizes
    seen = SEEN_FROM[origin]
    moments = seen(Moments.from_pairs(x, x_hat, ids))
    found = {key: left_out(moments, measure) for key, measure in REGISTRY.items()}
    totals = moments.leave_one_out()
    assert 15 < moments.clusters < 20
    for one in range(int(ids.max()) + 1):
        kept = ids != one
        anew = seen(Moments.from_pairs(x[kept], x_hat[kept], ids[kept]))
        torch.testing.assert_close(totals[one], anew.totals.sum(0), rtol=1e-9, atol=1e-9)
        for key, measure in REGISTRY.items():
            expected = to_torch(measure.centre)(*anew.means)
            torch.testing.assert_close(found[key].without[one], expected, rtol=1e-9, atol=1e-9)


def test_leaving_out_keeps_every_setting_apart(repeated):
    for origin, seen in SEEN_FROM.items():
        both = seen(repeated).leave_one_out()
        torch.testing.assert_close(both[7], seen(repeated[7]).leave_one_out(), msg=origin)


def test_two_saes_on_the_same_tokens_can_be_subtracted_group_by_group():
    """Their errors are mostly the same: the difference is far better known than either."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 6, generator=generator).double() * (torch.arange(4000) // 40 % 7 + 1)[:, None]
    noise = x.norm(dim=1, keepdim=True) * torch.randn(4000, 6, generator=generator)
    ids = torch.arange(4000) // 40
    saes = [Moments.from_pairs(x, scale * x + 0.2 * noise, ids) for scale in (0.8, 0.82)]
    one, other = (left_out(moments, REGISTRY["cosine"]) for moments in saes)
    used = saes[0].count > 0
    apart = [jackknife_error(one.without, used) for one in (one, other)]
    assert jackknife_error(one.without - other.without, used) < 0.1 * min(apart)


@pytest.mark.parametrize("origin", ["raw", "centred"])
@pytest.mark.parametrize("key", REGISTRY)
def test_with_many_groups_alike_the_jackknife_is_the_delta_method(key, origin):
    """256 documents of independent tokens: both are first order, and Student's quantiles are the same."""
    generator = torch.Generator().manual_seed(3)
    x, noise = torch.randn(2, 256 * 64, 16, generator=generator, dtype=torch.float64)
    ids = torch.arange(len(x)) // 64
    moments = Moments.from_pairs(x + 0.5, 0.9 * (x + 0.5) + 0.4 * noise, ids)
    moments = SEEN_FROM[origin](moments)
    measure = REGISTRY[key]
    delta = standard_error(moments, measure.centre)
    left = left_out(moments, measure)
    torch.testing.assert_close(jackknife_error(left.without, moments.count > 0), delta, rtol=0.02, atol=0)
    if not measure.root:
        low, high = interval(moments, measure)
        torch.testing.assert_close((high - low) / 2, 1.97 * delta, rtol=0.03, atol=0)


def in_blocks(documents, tokens, seed=4, repeats=300):
    """Experiments whose clusters are blocks of 12 tokens, and documents of more."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(repeats, documents * tokens, D, generator=generator, dtype=torch.float64)
    shrink = 0.8 + 0.15 * torch.randn(repeats, documents, 1, generator=generator, dtype=torch.float64)
    x_hat = shrink.repeat_interleave(tokens, 1) * x + 0.3 * torch.randn(x.shape, generator=generator).double()
    return Moments.from_pairs(x, x_hat, torch.arange(documents * tokens) // 12, batch_dims=1)


def test_stretches_of_blocks_cover_where_documents_have_several_blocks():
    """γ = (E k² + 0.09)/E k; by blocks alone it is covered in two of three."""
    true, measure = (0.8**2 + 0.15**2 + 0.09) / 0.8, REGISTRY["relative_reconstruction_bias"]
    measured = in_blocks(30, 48)

    def cover(every):
        intervals = (interval(one, measure) for one in every)
        return sum((low <= true <= high).item() for low, high in intervals) / 300

    settings = [measured[i] for i in range(300)]
    assert cover(settings) < 0.75
    assert cover(one.in_stretches() for one in settings) > 0.91  # 0.95, and three standard errors of 0.0126


def test_stretches_are_of_neighbouring_blocks_and_keep_every_total():
    one = in_blocks(30, 48, repeats=1)[0]
    stretches = one.in_stretches()
    assert (one.clusters, stretches.clusters) == (120, 15)
    torch.testing.assert_close(stretches.totals[0], one.totals[:8].sum(0))
    torch.testing.assert_close(stretches.means, one.means)
    torch.testing.assert_close(stretches.centred().means, one.centred().means)
    few = in_blocks(9, 12, repeats=1)[0]
    assert few.in_stretches().clusters == 9  # so few are taken as they are


def test_a_report_without_documents_has_stretches_for_clusters_everywhere():
    x = torch.randn(16 * 128, 4, generator=torch.Generator().manual_seed(0))
    documents = torch.arange(len(x)) // 256  # two blocks: so many are a stretch of sixteen
    with_documents, without = (
        report_of(lambda t: 0.9 * t + 0.1 * t.abs(), x, documents=ids, look=False) for ids in (documents, None)
    )
    for origin in ("raw", "centred"):
        for key in REGISTRY:
            one, other = with_documents.origins[origin][key], without.origins[origin][key]
            assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9), key
    for key, one in with_documents.per_token.items():
        assert (without.per_token[key].low, without.per_token[key].high) == pytest.approx((one.low, one.high)), key


def documents(*pairs):
    """Moments of documents of one token each."""
    x, x_hat = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    return Moments.from_pairs(x, x_hat, torch.arange(len(x)))


def test_what_is_undefined_without_a_group_has_no_interval_and_says_so():
    turned = documents(((1, 0), (1.0, 0.5)), ((1, 0), (-0.3, 0.5)), ((1, 0), (-0.4, 0.5)))
    one = estimate(turned, REGISTRY["relative_reconstruction_bias"])
    assert one.value == pytest.approx(turned.b.item() / turned.c.item())
    assert one.low is one.high is None
    assert one.reason == "it is undefined without one of the clusters, so it has no interval"
    assert estimate(turned, REGISTRY["norm_ratio"]).low is not None


@pytest.mark.parametrize("of", ["x", "x_hat"])
def test_one_document_that_holds_nearly_everything_gives_no_interval(of):
    pairs = [((1, 0), (0.9, 0.1)), ((0, 1), (0.2, 0.8)), ((1, 1), (0.9, 0.9))]
    massive = tuple(30.0 * one if of == "x" else one for one in (1, 0)), (30.0, 3.0)
    one = estimate(documents(*pairs, massive), REGISTRY["relative_reconstruction_bias"])
    assert one.value is not None
    assert one.low is one.high is None
    assert one.reason == TOO_UNEQUAL
    assert estimate(documents(*pairs), REGISTRY["relative_reconstruction_bias"]).low is not None


def test_a_value_at_an_end_of_its_range_has_an_interval_within_the_range():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ids = torch.arange(300) // 10
    whole, none, away = (Moments.from_pairs(x, scale * x, ids) for scale in (1.0, 0.0, -1.0))
    for moments, key, value in (
        (whole, "relative_loss", 0),
        (whole, "cosine", 1),
        (whole, "angle_loss", 0),
        (whole, "length_loss", 0),
        (none, "norm_ratio", 0),
        (none, "scale_x", 0),
        (none, "relative_loss", 1),
        (away, "cosine", -1),
    ):
        for seen in SEEN_FROM.values():
            if seen is Moments.centred_on_x and moments is not whole:
                continue  # −x and 0 lie elsewhere from there
            one = estimate(seen(moments), REGISTRY[key])
            assert one.low <= value <= one.high or one.value == pytest.approx(value, abs=1e-12), key
            assert float(REGISTRY[key].range.inf) <= one.low <= one.value <= one.high <= float(REGISTRY[key].range.sup)
            assert one.high - one.low < 1e-6, key


def test_a_loss_that_is_all_in_one_document_has_an_interval_on_its_own_scale():
    one = estimate(documents(*[((1, 0), (1, 0))] * 9, ((1, 0), (0.5, 0))), REGISTRY["relative_loss"])
    assert one.low == 0 < one.value < one.high < 0.1


def test_centred_moments_of_what_varies_in_two_documents_alone():
    """Without either, x does not vary: a zero, not what rounding leaves."""
    one = documents(((0.1, 0.7), (0.3, 0.2)), ((0.3, 0.9), (0.1, 0.3)))
    assert (one.centred().leave_one_out()[:2] == 0).all()


@pytest.mark.parametrize("key", REGISTRY)
def test_the_way_to_the_scale_without_ends_and_back(key):
    measure = REGISTRY[key]
    away, back = measure.unbounded
    inside = torch.tensor([0.03, 0.5, 0.97], dtype=torch.float64)
    there = to_torch(away, (v,))(inside)
    torch.testing.assert_close(to_torch(back, (t,))(there), inside, rtol=1e-12, atol=0)
    far = to_torch(back, (t,))(torch.tensor([-1e3, 1e3]))
    assert (far >= float(measure.range.inf)).all() or measure.root
    assert (far <= float(measure.range.sup)).all() or measure.root


@pytest.mark.parametrize("key", REGISTRY)
def test_the_standard_error_is_that_of_the_cluster_products(key, repeated):
    """C16 as it is written: Var = G/(G−1) · ∇fᵀ M ∇f, at the totals."""
    expression = REGISTRY[key].expression
    slope = gradient(expression)(*repeated.totals.sum(-2).unbind(-1))
    variance = torch.einsum("ri,rij,rj->r", slope, repeated.products, slope) * DOCUMENTS / (DOCUMENTS - 1)
    torch.testing.assert_close(standard_error(repeated, expression), variance.sqrt(), rtol=1e-6, atol=1e-12)
