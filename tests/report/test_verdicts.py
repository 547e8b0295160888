"""A verdict is about every origin shown: it shrinks, it does not (within a δ that is said), or we cannot tell."""

import json

import pytest
import torch

from sandbox.moments.moments import Moments
from sandbox.report import ORIGINS, Estimate, Report, to_json, verdict
from sandbox.report.verdict import WITHIN, sentence

ONE_CLUSTER = "a single cluster of tokens gives no interval"


def gammas(*intervals):
    """γ from as many origins: (value, low, high), or (value, reason)."""
    estimates = (Estimate(one[0], None, None, one[1]) if len(one) == 2 else Estimate(*one) for one in intervals)
    return dict(zip(ORIGINS, estimates, strict=False))


SURE, HIDDEN = (0.93, 0.92, 0.94), (1.0, 0.999, 1.001)
CASES = {
    "wide, and holds 1": ([(0.73, 0.459, 1.001)], "cannot tell", "raw"),
    "within δ, and holds 1": ([HIDDEN], "does not shrink", None),
    "within δ, and leaves 1 out": ([(0.9977, 0.9965, 0.9989)], "does not shrink", None),
    "holds 1, and reaches beyond δ on one side": ([(1.004, 0.995, 1.013)], "cannot tell", "raw"),
    "below 1": ([SURE], "shrinks", None),
    "below 1, and reaches into δ": ([(0.985, 0.975, 0.995)], "shrinks", None),
    "above 1": ([(1.2, 1.1, 1.3)], "stretches", None),
    "all within δ, one leaves 1 out": ([HIDDEN, (0.9977, 0.9965, 0.9989), HIDDEN], "does not shrink", None),
    "all below 1, one within δ": ([(0.995, 0.994, 0.996), SURE], "shrinks", None),
    "an offset hides shrinkage": ([HIDDEN, SURE], "depends on the origin", "centred"),
    "both sides of 1": ([SURE, SURE, (1.2, 1.1, 1.3)], "depends on the origin", "decoder_bias"),
    "one origin is wide": ([SURE, (1.1, 0.8, 1.4)], "cannot tell", "centred"),
    "one origin has no interval": ([SURE, (0.9, ONE_CLUSTER)], "cannot tell", "centred"),
    "no interval at all": ([(1.0, ONE_CLUSTER), (1.0, ONE_CLUSTER)], "cannot tell", "raw"),
    "undefined": ([(None, "x̂ is zero")], "undefined", "raw"),
    "undefined once centred": ([SURE, (None, "x does not vary")], "shrinks", None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_is_about_all_origins(case):
    intervals, word, origin = CASES[case]
    found = verdict(gammas(*intervals))
    assert (found.word, found.origin) == (word, origin)
    said = sentence("mine", gammas(*intervals))
    claims = {
        "shrinks": "mine shrinks by ",
        "stretches": "mine stretches by ",
        "does not shrink": f"mine does not shrink (γ is within {WITHIN:.0%} of 1: ".replace("%", " %"),
        "cannot tell": "mine: cannot tell whether it shrinks: ",
        "depends on the origin": "mine: whether it shrinks depends on the origin: ",
        "undefined": "mine: shrinkage is undefined, because ",
    }
    for other, start in claims.items():
        assert said.startswith(start) == (other == word), said
    if origin and len(intervals) > 1:
        assert f"{ORIGINS[origin]}, " in said.split("(γ: ")[0] or origin == "raw"
    for one in intervals:
        if word != "undefined" and one[0] is not None:
            assert f"{one[0]:.3f}" in said  # every origin's γ is named


def test_what_differs_from_1_by_less_than_matters_is_said():
    said = sentence("mine", gammas(HIDDEN, (0.9977, 0.9965, 0.9989)))
    assert said.endswith("centred 0.998 ± 0.001; centred, γ differs from 1, but by less than 1 %)")


def test_the_origin_that_disagrees_is_named_with_what_it_says():
    said = sentence("mine", gammas(HIDDEN, SURE, HIDDEN))
    assert "raw, it does not (γ is within 1 % of 1), but centred, it shrinks by 7.0 %" in said


def test_an_interval_that_is_not_even_on_both_sides_is_given_by_its_ends():
    assert "γ = 0.730, 0.490 … 1.090" in sentence("mine", gammas((0.73, 0.49, 1.09)))
    assert "γ = 0.930 ± 0.010" in sentence("mine", gammas(SURE))


def test_no_interval_is_no_verdict_and_names_its_reason():
    said = sentence("mine", gammas((1.0, ONE_CLUSTER), (1.0, ONE_CLUSTER)))
    assert ONE_CLUSTER in said
    assert "does not" not in said


def few(scale, documents, offset=0.0, noise=0.3):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(documents * 20, 8, generator=generator, dtype=torch.float64)
    x_hat = scale * x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    ids = torch.arange(len(x)) // 20
    return Report("mine", Moments.from_pairs(x + offset, x_hat * 1.0 + offset, ids), documents=documents)


def test_few_documents_cannot_tell_what_many_can():
    # x̂ = 0.9x + noise: γ = (0.81 + 0.09)/0.9 = 1
    assert few(0.9, 3).verdict.word == "cannot tell"
    assert few(0.9, 200).verdict.word == "does not shrink"
    assert few(0.7, 200, noise=0.1).verdict.word == "shrinks"


def test_an_offset_that_hides_shrinkage_does_not_hide_it_from_the_verdict():
    hidden = few(0.8, 200, offset=20.0, noise=0.1)
    assert hidden.raw["relative_reconstruction_bias"].high < 1  # by a ten-thousandth, but for sure
    assert hidden.verdict.word == "shrinks"
    assert "mine shrinks by 0.0 % raw, but shrinks by 19 % centred" in hidden.in_words()
    hidden = few(0.8, 200, offset=100.0, noise=0.1)
    assert (hidden.verdict.word, hidden.verdict.origin) == ("depends on the origin", "centred")
    assert "centred, it shrinks by 19 %" in hidden.in_words()


def test_the_json_holds_the_verdict():
    (one,) = json.loads(to_json([few(0.7, 200, noise=0.1)]))["saes"]
    assert one["verdict"] == {"word": "shrinks", "origin": None, "within": WITHIN}
    (one,) = json.loads(to_json([few(0.7, 1)]))["saes"]
    assert one["verdict"] == {"word": "cannot tell", "origin": "raw", "within": WITHIN, "reason": ONE_CLUSTER}


def test_what_lies_within_delta_loses_less_than_delta_squared_to_the_length():
    """Why δ is what it is: (r − ρ)² = ρ²(γ − 1)²."""
    report = few(0.91, 200)
    gamma, rho, lost = (report.raw[key].value for key in ("relative_reconstruction_bias", "cosine", "length_loss"))
    assert lost == pytest.approx(rho**2 * (gamma - 1) ** 2, rel=1e-6)
    assert abs(gamma - 1) < WITHIN
    assert lost < WITHIN**2


@pytest.mark.parametrize(
    ("factor", "words"),
    {
        1.0: "are as long as x (r = 1.000)",
        1.0001: "are as long as x (r = 1.000)",
        0.9: "are 10 % shorter than x (r = 0.900)",
        1.002: "are 0.2 % longer than x (r = 1.002)",
    }.items(),
)
def test_vectors_are_called_longer_or_shorter_only_where_the_figure_shows_it(factor, words):
    x = torch.randn(512, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert words in Report("one", Moments.from_pairs(x, factor * x)).in_words()


def test_of_two_documents_of_nearly_one_size_none_is_said_to_hold_everything():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moments = Moments.from_pairs(x, 0.9 * x, torch.arange(200) // 100)
    reason = Report("one", moments).raw["relative_reconstruction_bias"].reason
    assert reason == "the clusters of tokens are too unequal in weight to give an interval"
