"""What a correction reports, checked by hand: x is ±1, and x̂ is a multiple of it."""

import math
from types import SimpleNamespace

import pytest
import torch

from sandbox.measuring.correction import Correction, Evaluated
from sandbox.moments.moments import Moments
from sandbox.report import Report

SIGNS = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(320)[:, None]


def seen(x_hat, about=None, clusters=64) -> Evaluated:
    """An SAE whose x̂ of ±1 is `x_hat`, and `about` about its decoder bias (by default the same)."""
    ids = torch.arange(len(SIGNS)) % clusters
    reports = [
        Report("sae", Moments.from_pairs(SIGNS, reconstruction, ids), l0=2.0, documents=clusters)
        for reconstruction in (x_hat, x_hat if about is None else about)
    ]
    return Evaluated(*reports)


def corrected(before: Evaluated, after: Evaluated, factor=2.0, kind="scalar", shift=0.0) -> Correction:
    b_dec = torch.tensor([0.5])
    read = SimpleNamespace(sae=SimpleNamespace(b_dec=b_dec), describe=lambda: "an SAE")
    factors = torch.as_tensor(factor, dtype=torch.float64)
    return Correction(kind, read, torch.ones(1, 1), b_dec + shift, factors, 0.5, 7, 32, before, after)  # pyright: ignore


def test_what_is_recovered_is_a_share_of_what_one_factor_could():
    """At half the length of x, ¼ of the energy is lost; at ¾ of it, 1/16. So 3/16 of the ¼ is recovered."""
    correction = corrected(seen(0.5 * SIGNS), seen(0.75 * SIGNS))
    assert correction.recovered.value == pytest.approx(0.75)
    assert correction.recovered.low is correction.recovered.high is None
    assert "recovers 75.0 % of what one factor could" in correction.in_words()
    worse = corrected(seen(0.5 * SIGNS), seen(0.25 * SIGNS))
    assert worse.recovered.value == pytest.approx((0.25 - 0.5625) / 0.25)


def test_the_divisor_is_that_about_the_decoder_bias_and_the_gain_that_of_the_whole():
    """x̂ is x/2, but 4x/5 about the bias: one factor could recover 1/25, and the gain is ¼ − 1/16."""
    correction = corrected(seen(0.5 * SIGNS, about=0.8 * SIGNS), seen(0.75 * SIGNS))
    assert correction.recovered.value == pytest.approx((0.25 - 0.0625) / 0.04)
    assert "recovers 4.7 times what one factor could" in correction.in_words()


@pytest.mark.parametrize(("share", "words"), [(1.99, "199.0 % of"), (2.01, "2.0 times")])
def test_twice_as_much_or_more_is_said_in_times(share, words):
    after = 1 - math.sqrt(0.25 - share * 0.04)
    correction = corrected(seen(0.5 * SIGNS, about=0.8 * SIGNS), seen(after * SIGNS))
    assert correction.recovered.value == pytest.approx(share)
    assert f"recovers {words} what one factor could" in correction.in_words()


def test_where_nothing_was_lost_nothing_is_recovered():
    noise = torch.randn(640, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    even = seen(SIGNS + 0.03 * (noise - (noise * SIGNS).mean() * SIGNS))  # γ is 1.0009, and documents differ more
    assert even.gamma.low < 1 < even.gamma.high
    correction = corrected(even, even)
    assert correction.recovered.value is None
    assert correction.recovered.reason.startswith("γ about the decoder bias is 1 within")
    assert correction.in_words().endswith("nothing to recover.")
    exact = corrected(seen(SIGNS, clusters=1), seen(SIGNS, clusters=1))  # without an interval
    assert exact.before.gamma.low is None
    assert exact.recovered.reason == "x̂ − b_dec already has the best length: nothing to recover"


def test_where_gamma_is_undefined_it_says_why():
    correction = corrected(seen(0 * SIGNS), seen(0.5 * SIGNS))
    assert correction.recovered.value is None
    assert correction.recovered.reason == correction.before.gamma.reason
    assert "(b = 0)" in correction.recovered.reason
    assert "γ undefined ► 0.500" in correction.in_words()


def test_what_was_done_is_said_in_words():
    before, after = seen(0.5 * SIGNS), seen(0.75 * SIGNS)
    assert corrected(before, after, 1.23456).in_words().startswith("W_dec times 1.2346: γ 0.500 ► 0.750 ")
    shifted = corrected(before, after, 1.5, "scale-shift").in_words()
    assert shifted.startswith("W_dec times 1.5000, with a new b_dec: γ ")
    each = corrected(before, after, [1.0, 1.5, 1.25], "per-latent").in_words()
    assert each.startswith("W_dec times 1.000 to 1.500 (one factor per latent): γ ")
    assert "relative loss 0.2500 ► 0.0625" in each


def test_its_json_holds_the_factors_the_shift_and_both_sides():
    correction = corrected(seen(0.5 * SIGNS), seen(0.75 * SIGNS), [1.0, 1.5, 2.0], "per-latent", shift=-0.25).to_dict()
    assert correction["factor"] == {"least": 1.0, "mean": 1.5, "greatest": 2.0}
    assert correction["shift"] == 0.25
    settings = {"share": 0.5, "seed": 7, "fitted": 32, "kind": "per-latent"}
    assert {key: correction[key] for key in settings} == settings
    assert correction["before"]["decoder_bias"]["relative_reconstruction_bias"]["value"] == pytest.approx(0.5)
    assert correction["after"]["raw"]["relative_loss"]["value"] == pytest.approx(0.0625)
    assert correction["recovered"]["value"] == pytest.approx(0.75)


def test_its_table_has_both_sides_from_every_origin():
    table = corrected(seen(0.5 * SIGNS, about=0.8 * SIGNS), seen(0.75 * SIGNS)).table()
    columns = [list(column.cells) for column in table.columns]
    assert columns[1][:6] == ["raw", "centred", "about b_dec"] * 2
    assert [cell[:4] for cell in columns[2][:3]] == ["0.50", "0.50", "0.80"]
    assert [cell[:4] for cell in columns[4][:3]] == ["0.75"] * 3
    assert columns[2][-1] == columns[4][-1] == "2.00"
    narrow = corrected(seen(0.5 * SIGNS, about=0.8 * SIGNS), seen(0.75 * SIGNS))._stacked()
    cells = [cell[:4] for cell in narrow.columns[1].cells]
    assert cells.index("0.50") < cells.index("0.75")  # before, then after


def test_it_writes_its_decoder_into_the_checkpoint():
    correction, written = corrected(seen(0.5 * SIGNS), seen(0.75 * SIGNS), shift=0.25), []
    correction.checkpoint.write = lambda *arguments: written.append(arguments)
    correction.write("out")
    ((out, W_dec, b_dec),) = written
    assert (out, W_dec is correction.W_dec, b_dec.tolist()) == ("out", True, [0.75])
