"""The threshold of each preflight rule: a finding on one side, none on the other."""

import math

import pytest
import torch
from torch import tensor

from sandbox.measuring.preflight import biases, check, preflight
from sandbox.measuring.preflight.fit import NO_FIT, Misfit, fit
from sandbox.measuring.preflight.input_spaces import _best, _explains, _is_far, _scanned, known_spaces, scaling
from sandbox.measuring.preflight.input_spaces import spread as places
from sandbox.measuring.preflight.sample import look_at_sample, ordinary, outlier_limit


def keys_of(x) -> list[str]:
    return [finding.key for finding in look_at_sample(x)]


def message_of(x) -> str:
    (finding,) = look_at_sample(x)
    return finding.message


def of_norms(norms) -> torch.Tensor:
    """Tokens with the given norms, no two of them equal."""
    norms = torch.as_tensor(norms, dtype=torch.float64)
    turn = torch.arange(len(norms), dtype=torch.float64)
    return norms[:, None] * torch.stack((turn.cos(), turn.sin()), 1)


# --- the fit --------------------------------------------------------------------------------------------------------

SIGNS = tensor([[1.0], [-1.0], [1.0], [-1.0]])


def test_a_fit_on_paper():
    """The target is ±1 and x̂ is half of it plus 1: the loss is (½)² + 1² of a variance of 1, of which 1² is constant.

    One of four tokens' share of the rest is there by chance: (1 − 0.8)/(4 − 1).
    """
    misfit = fit(SIGNS, 0.5 * SIGNS + 1)
    assert misfit.loss == pytest.approx(1.25)
    assert misfit.offset == pytest.approx(0.8 - 0.2 / 3)
    assert misfit.badness == pytest.approx(1.25 * (1 + 30 * (0.8 - 0.2 / 3)))


def test_a_fit_knows_the_targets_mean_and_counts_no_constant_by_chance():
    misfit = fit(SIGNS + 100, 0.5 * SIGNS + 100)
    assert (misfit.loss, misfit.offset) == (pytest.approx(0.25), 0)
    assert fit(SIGNS, SIGNS) == Misfit(0, 0)


def test_there_is_no_fit_of_one_token_of_what_is_not_finite_or_does_not_vary():
    assert fit(SIGNS[:1], SIGNS[:1]) == fit(SIGNS, SIGNS / 0) == fit(torch.ones(4, 2), torch.zeros(4, 2)) == NO_FIT
    assert NO_FIT.badness == math.inf
    assert fit(SIGNS[:2], SIGNS[:2]) != NO_FIT


# --- the sample -----------------------------------------------------------------------------------------------------


def test_an_outlier_is_more_than_100_times_the_median_of_what_is_there():
    assert outlier_limit(of_norms([0, 0, 0, 1, 2, 3, math.inf])) == pytest.approx(200)
    assert keys_of(of_norms([1] * 99 + [99.9])) == []
    assert keys_of(of_norms([1] * 99 + [100.1])) == ["outliers"]
    assert "hold 99.0% of" in message_of(of_norms([1] * 99 + [100.1]))  # 100.1² of that and 99
    assert "first: 3, 7" in message_of(of_norms([1, 1, 1, 200, 1, 1, 1, 300] + [1] * 60))


def test_an_ordinary_token_is_at_most_4_times_as_long_as_the_median():
    assert ordinary(of_norms([0, 1, 1, 1, 3.99, 4.01, math.nan])).tolist() == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("longest", "heavy"), [(9.9, False), (10.0, True)])
def test_a_hundredth_is_heavy_that_holds_more_than_half(longest, heavy):
    """2 of 200 tokens: 2·9.9² is less than the 198 of the others, and 2·10² is more."""
    assert keys_of(of_norms([1] * 198 + [longest] * 2)) == ["heavy_tokens"] * heavy
    assert keys_of(of_norms([1] * 198 + [longest, 1] * 1)) == []


def test_a_hundredth_is_one_token_at_least_and_of_few_tokens_nothing_is_said():
    assert keys_of(of_norms([1] * 126 + [50])) == []
    assert keys_of(of_norms([1] * 127 + [50])) == ["heavy_tokens"]
    assert "longest 1 of 128 tokens, of norms up to 50 ×" in message_of(of_norms([1] * 127 + [50]))


def test_fewer_than_64_tokens_are_few():
    assert keys_of(of_norms([1] * 63)) == ["small"]
    assert keys_of(of_norms([1] * 64)) == []


def test_the_first_five_places_are_named():
    bad = of_norms([1] * 70)
    bad[[2, 3, 5, 7, 11]] = math.nan
    assert message_of(bad).startswith("5 of 70 tokens of x have a NaN or an infinity (first: 2, 3, 5, 7, 11):")
    bad[13] = math.nan
    assert "(first: 2, 3, 5, 7, 11, …):" in message_of(bad)
    zero = of_norms([0, 1, 0] + [1] * 70)
    assert message_of(zero).startswith("2 of 73 tokens of x are all zeros (first: 0, 2), probably padding")


def test_float16_is_near_its_end_above_half_of_it():
    x = of_norms([1] * 70)
    x[5] = 0
    x[5, 0] = 32752.0  # 65504/2, exact in float16
    assert "float16" not in keys_of(x.half())
    x[5, 0] = 32768.0
    assert "float16" in keys_of(x.half())
    assert "float16" not in keys_of(x.float())
    x[5, 0] = 65504.0
    assert "float16" in keys_of(x.float())


@pytest.mark.parametrize(("peak", "near"), [(32752.0, False), (32768.0, True)])
def test_so_is_x_hat(peak, near):
    x_hat = torch.ones(4, 2, dtype=torch.float16)
    x_hat[1, 1] = -peak
    assert [finding.key for finding in check._look_at_numbers(x_hat)] == ["float16_x_hat"] * near
    assert check._look_at_numbers(x_hat.float()) == []


# --- latents and the loss -------------------------------------------------------------------------------------------


def test_no_latent_is_on_in_more_than_half_of_the_tokens():
    assert check._look_at_l0(tensor([0, 0, 3, 3]), 10) == []
    (finding,) = check._look_at_l0(tensor([0, 0, 0, 3]), 10)
    assert finding.key == "l0_none"
    assert "for 75% of the tokens" in finding.message
    assert "here 0.75 of 10" in finding.message


def test_more_than_half_of_the_latents_are_on():
    assert check._look_at_l0(tensor([4, 6]), 10) == []
    assert [finding.key for finding in check._look_at_l0(tensor([4, 7]), 10)] == ["l0_all"]


def test_a_loss_is_worse_than_none_or_than_the_mean():
    x = torch.cat((of_norms([1, 2, 3, 4]), -of_norms([1, 2, 3, 4])))  # without a mean

    def keys(x, x_hat):
        return [finding.key for finding in check._look_at_loss(x, x_hat, False)]

    assert keys(x, 1.99 * x) == []  # (1.99 − 1)² of the energy is lost
    assert keys(x, 2.01 * x) == ["loss"]
    far = SIGNS + 100
    assert keys(far, 100 + 1.99 * SIGNS) == []
    assert keys(far, 100 + 2.01 * SIGNS) == ["loss"]
    assert keys(x, torch.zeros_like(x)) == ["zero_x_hat"]
    assert keys(x, x[:1].expand(8, -1)) == ["constant_x_hat"]
    assert keys(x[:1], 0.5 * x[:1]) == []  # one token is no constant
    (explained,) = check._look_at_loss(x, 3 * x, True)
    assert explained.message.startswith("L/a is 4 (cosine 1.000), worse than x̂ = 0: the findings above")


@pytest.mark.parametrize(
    ("gamma", "keys"),
    [(0.74, ["folding"]), (0.75, []), (0.76, []), (1.09, []), (1.1, []), (1.11, ["folding"]), (math.nan, [])],
)
def test_few_saes_have_a_gamma_below_three_quarters_or_above_1_1(gamma, keys):
    assert [finding.key for finding in check.folding(gamma, "of the sample")] == keys


# --- biases ---------------------------------------------------------------------------------------------------------


def test_the_nearest_multiple_and_the_cosine():
    assert biases._along(tensor([-4.0, 0.0]), tensor([2.0, 0.0])) == pytest.approx((-2, 1))
    assert biases._along(tensor([3.0, 4.0]), tensor([2.0, 0.0])) == pytest.approx((1.5, 0.6))


B_DEC, ACROSS = tensor([3.0, 0.0, 0.0]), tensor([0.0, 3.0, 0.0])


def lacking(vector, share=0.1, b_dec=B_DEC, tokens=2):
    """The key of the finding (or None) for an x̂ that lacks `vector`, and whether it is certain; x has zero mean."""
    x = tensor([[0.0, 0.0, 9.0], [0.0, 0.0, -9.0]]).repeat(tokens // 2, 1)
    finding, certain = biases.offset_finding(x, x - vector, b_dec, share)
    return finding and finding.key, certain


@pytest.mark.parametrize(
    ("multiple", "expected"),
    [
        (1, ("missing_bias", True)),
        (1.09, ("missing_bias", True)),
        (1.11, ("missing_bias", False)),
        (1.5, ("missing_bias", False)),
        (1.91, ("missing_bias", True)),
        (2, ("missing_bias", True)),
        (2.4, ("missing_bias", False)),
        (2.6, (None, False)),
        (0.51, ("missing_bias", False)),
        (0.49, (None, False)),
        (-1, ("extra_bias", True)),
        (-2.05, ("extra_bias", True)),
        (-0.6, ("extra_bias", False)),
        (-0.4, (None, False)),
    ],
)
def test_a_multiple_of_b_dec_is_recognised_and_a_whole_one_certain(multiple, expected):
    assert lacking(multiple * B_DEC) == expected


def test_it_must_point_along_b_dec_and_be_some_of_the_loss():
    assert lacking(B_DEC + 0.30 * ACROSS) == ("missing_bias", True)  # cosines 0.958, 0.928, 0.894
    assert lacking(B_DEC + 0.40 * ACROSS) == ("missing_bias", False)
    assert lacking(B_DEC + 0.50 * ACROSS) == (None, False)
    assert lacking(B_DEC, share=0.051) == ("missing_bias", True)
    assert lacking(B_DEC, share=0.05) == (None, False)
    assert lacking(B_DEC, share=0.15, b_dec=None) == (None, False)
    assert lacking(B_DEC, share=0.151, b_dec=None) == ("missing_bias", False)
    assert lacking(B_DEC, share=0.07, b_dec=None, tokens=254) == (None, False)  # fewer than half of 512
    assert lacking(B_DEC, share=0.06, b_dec=None, tokens=256) == (None, False)
    assert lacking(B_DEC, share=0.061, b_dec=None, tokens=256) == ("missing_bias", False)
    assert lacking(B_DEC, b_dec=torch.zeros(3)) == (None, False)


@pytest.mark.parametrize(
    ("multiple", "key"), [(2.6, "folding"), (0.4, "folding"), (-0.4, "folding"), (0.11, "folding")]
)
def test_another_multiple_of_b_dec_may_be_folded_wrongly(multiple, key):
    assert lacking(multiple * B_DEC, tokens=256) == (key, True)
    assert lacking(multiple * B_DEC, tokens=254) == (None, False)  # too few to tell
    assert lacking(multiple * (B_DEC + 0.4 * ACROSS), tokens=256) == (key, False)


@pytest.mark.parametrize("multiple", [0.09, -0.09, -2.6])
def test_next_to_none_of_it_and_more_than_all_of_it_are_not_recognised(multiple):
    assert lacking(multiple * B_DEC, tokens=256) == ("missing_bias", False)


@pytest.mark.parametrize(
    ("multiple", "expected"),
    [
        (1, ("missing_bias", True)),
        (0.91, ("missing_bias", True)),
        (0.89, ("missing_bias", False)),
        (0.81, ("missing_bias", False)),
        (0.79, None),
        (1.24, ("missing_bias", False)),
        (1.26, None),
        (-1, None),
    ],
)
def test_the_mean_of_x_is_recognised_too(multiple, expected):
    x = tensor([[2.0, 0.0, 9.0], [2.0, 0.0, -9.0]])
    finding, certain = biases.offset_finding(x, x - multiple * x.mean(0), None, 0.1)
    assert (finding and (finding.key, certain)) == expected
    if finding:
        assert f"it is {multiple:.2f} × the mean of x (cosine 1.000)" in finding.message


@pytest.mark.parametrize(("loss", "keys"), [(0.009, []), (0.011, ["missing_bias"])])
def test_less_than_a_hundredth_of_the_variance_is_no_question_of_biases(loss, keys):
    x = SIGNS.repeat(50, 1) * tensor([[1.0, 0.0]]) + of_norms([0.001] * 200).float()
    findings = preflight(None, x, x_hat=x + tensor([0.0, loss**0.5]))
    assert [finding.key for finding in findings] == keys


# --- spaces ---------------------------------------------------------------------------------------------------------


def test_the_known_spaces_of_two_tokens():
    """Norms 3 and 5 with d = 2: mean 4, root mean square √17. A change by less than a quarter is not another space."""
    x = tensor([[3.0, 0.0], [0.0, 5.0]])
    spaces = known_spaces(x)
    factors = [space.factor for space in spaces if space.factor is not None]
    root = math.sqrt(2)
    assert factors == pytest.approx([root / 4, 1 / 4, root / math.sqrt(17), 1 / math.sqrt(17), root, 1 / root])
    moved = {space.key: space.apply(x) for space in spaces if space.factor is None}
    torch.testing.assert_close(moved["constant_norm"], root * torch.eye(2))
    torch.testing.assert_close(moved["unit_norm"], torch.eye(2))
    torch.testing.assert_close(moved["layer_norm"], tensor([[1.0, -1.0], [-1.0, 1.0]]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved["mean_removed"], tensor([[1.5, -2.5], [-1.5, 2.5]]))
    for factor, kept in ((0.81, False), (0.79, True), (1.24, False), (1.26, True)):
        norm = 1 / factor  # then 1 / mean ‖x‖ is that factor, and √1 / mean ‖x‖, too
        keys = [space.key for space in known_spaces(tensor([[norm], [-norm]]))]
        assert ("scale" in keys) is kept
        assert "root_d" not in keys  # of one dimension it is 1


@pytest.mark.parametrize("power", [-12, -7.3, -0.4, 0, 0.55, 3, 11.9, 12])
def test_a_factor_is_found_to_an_eighth_of_a_power_of_two(power):
    factor, best = _scanned(lambda factor: Misfit(1 + (math.log2(factor) - power) ** 2, 0))
    assert abs(math.log2(factor) - power) <= 1 / 16 + 1e-9
    assert best.loss == 1 + (math.log2(factor) - power) ** 2


def test_what_a_space_must_be_to_explain_a_sample():
    raw = Misfit(2.0, 0.1)  # a badness of 8
    assert _explains(Misfit(0.49, 0.0), raw)
    assert not _explains(Misfit(0.51, 0.0), raw)
    assert not _explains(Misfit(0.5, 0.0), raw)
    assert _explains(Misfit(0.4, 0.36), raw)  # 0.4 · 11.8 = 4.72, less than 0.6 · 8
    assert not _explains(Misfit(0.4, 0.37), raw)
    assert not _explains(Misfit(0.3, 0.0), Misfit(0.3, 0.5))  # it loses no less


def test_only_what_shrinkage_could_not_do_is_far():
    x = of_norms([1, 2, 3])
    for factor, far in ((0.49, True), (0.51, False), (1.99, False), (2.01, True)):
        assert _is_far(scaling("scale", factor, ""), x) is far


def test_the_best_space_and_those_that_are_as_good():
    first, second, third = (scaling(key, 2.0, key) for key in ("one", "two", "three"))
    fits = {"one": Misfit(0.1099, 0), "two": Misfit(0.1, 0), "three": Misfit(0.1111, 0)}

    def best(fitted=None):
        return _best([first, second, third], lambda space: fits[space.key], fitted)

    misfit, chosen, others = best()
    assert (misfit, chosen) == (fits["one"], first)  # the first of those within a tenth: the simplest
    assert "(two)" in others
    assert "(three)" not in others
    known = scaling("scale", 3.0, "fitted")
    assert best((known, Misfit(0.0801, 0)))[1] is first  # a known space is preferred unless it is worse by a quarter
    assert best((known, Misfit(0.0799, 0))) == (Misfit(0.0799, 0), known, "")
    assert _best([], lambda space: NO_FIT, None) == (NO_FIT, None, "")
    assert _best([first, second], lambda space: NO_FIT, None) == (NO_FIT, None, "")


def test_places_are_spread_evenly_from_the_first_to_the_last():
    assert places(5, 5).tolist() == places(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert places(9, 5).tolist() == [0, 2, 4, 6, 8]


def test_only_x_itself_is_x():
    x = tensor([[1.0, 2.0], [3.0, -4.0]])
    assert check._is_same(x, x.clone())
    assert not check._is_same(x, -x)
    assert not check._is_same(x, 1.001 * x)
    assert not check._is_same(0 * x, 0 * x)
