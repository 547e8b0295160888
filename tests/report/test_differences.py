"""Two SAEs on the same tokens: their difference covers, is sharper than either, and is the same in every output."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure
from sandbox.moments.moments import Moments
from sandbox.report import SHRINKAGE, Estimate, Report, differences, to_csv, to_json
from sandbox.report.differences import in_words, known_differences
from sandbox.report.tables import COMPARED, difference_cell
from tests.helpers.runs import sandbox

GAMMA = "relative_reconstruction_bias"
DOCUMENTS, TOKENS, D, REPEATS = 40, 10, 6, 100
IDS = torch.arange(DOCUMENTS * TOKENS) // TOKENS


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def pair(seed: int, documents: int = DOCUMENTS) -> list[Report]:
    """Two SAEs whose errors are almost the same: one shrinks to about 0.8, the other to about 0.7."""
    generator = torch.Generator().manual_seed(seed)
    x = normal(generator, documents, TOKENS, D) + normal(generator, documents, 1, D)
    shrink = 0.8 + 0.1 * normal(generator, documents, 1, 1)
    shared = 0.3 * normal(generator, *x.shape) * (0.3 * normal(generator, documents, 1, 1)).exp()
    own = [0.05 * normal(generator, *x.shape) for _ in range(2)]
    return both(x, shrink * x + shared + own[0], (shrink - 0.1) * x + shared + own[1])


def both(x, first, second, **facts) -> list[Report]:
    """A report of each, by documents of TOKENS tokens."""
    ids = torch.arange(x.shape[:-1].numel()) // TOKENS
    made = (Moments.from_pairs(x.reshape(-1, D), x_hat.reshape(-1, D), ids) for x_hat in (first, second))
    return [Report(name, moments, **facts) for name, moments in zip(("first", "second"), made, strict=True)]


def by_key(reports, origin="raw"):
    return {one.measure: one.estimate for one in differences(reports) if one.origin == origin}


def half(estimate) -> float:
    return (estimate.high - estimate.low) / 2


def of_independent(reports, key, origin="raw") -> float:
    """Half the interval of the difference if the two SAEs' errors were independent."""
    return math.hypot(*(half(report.origins[origin][key]) for report in reports))


def test_paired_intervals_cover_and_are_several_times_narrower():
    first, second = pair(0, documents=20_000)
    truth = {origin: {key: second.origins[origin][key].value - first.origins[origin][key].value for key in REGISTRY}
             for origin in first.origins}  # fmt: skip
    covered = {(origin, key): 0 for origin in truth for key in REGISTRY}
    narrower = dict.fromkeys(covered, 0.0)
    for seed in range(1, REPEATS + 1):
        reports = pair(seed)
        for one in differences(reports):
            if one.measure in REGISTRY:
                at = one.origin, one.measure
                covered[at] += one.estimate.low <= truth[one.origin][one.measure] <= one.estimate.high
                narrower[at] += of_independent(reports, one.measure, one.origin) / half(one.estimate) / REPEATS
    shares = torch.tensor(list(covered.values())) / REPEATS
    assert shares.min() >= 0.87, covered  # a share of 0.95 in 100 repeats has a standard error of 0.022
    assert 0.91 <= shares.mean() <= 0.98
    assert min(narrower[at] for at in covered if at[1] != "length_loss") > 2, narrower
    assert min(narrower[origin, "scale_x"] for origin in truth) > 5


def test_by_hand():
    """γ of 1/2, 1/3 and 1/4 and of twice as much, of tokens of equal c: a difference on γ's own scale."""
    gammas = torch.tensor([1 / 2, 1 / 3, 1 / 4]).double()
    x = torch.tensor([[1.0, 0.0]]).double().expand(3, 2)
    along = torch.full((3,), 0.1).double()  # c is 0.1, and b = γ/10

    def report(name, gammas):
        x_hat = torch.stack((along, (gammas * along - along**2).sqrt()), -1)
        return Report(name, Moments.from_pairs(x, x_hat, torch.arange(3)))

    reports = report("first", gammas), report("second", 2 * gammas)
    found = by_key(reports)[GAMMA]
    without = [(gammas.sum() - gamma).item() / 2 for gamma in gammas]  # also the differences: γ doubled minus γ
    mean = sum(without) / 3
    error = (2 / 3 * sum((one - mean) ** 2 for one in without)) ** 0.5
    clusters = gammas.sum().item() ** 2 / gammas.square().sum().item()
    reach = stats.t.ppf(0.975, clusters - 1) * error
    assert found.value == pytest.approx(gammas.mean().item())
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))


def test_a_square_is_compared_as_a_square():
    """Without each of three: (r − ρ)² of x̂ = s·x with s from three tokens is (1 − s)², whatever its root's sign."""
    x = torch.eye(3).double()
    s = torch.tensor([0.7, 0.8, 1.0]).double()
    reports = [Report(str(k), Moments.from_pairs(x, f[:, None] * x, torch.arange(3))) for k, f in enumerate((s, s**2))]
    found = by_key(reports)["length_loss"]
    first, second = (report.raw["length_loss"].value for report in reports)
    assert found.value == second - first

    def squares(f):
        left = [f[[j for j in range(3) if j != i]] for i in range(3)]
        return [((one.square().mean() - one.mean()) ** 2 / one.square().mean()).item() for one in left]

    without = [b - a for a, b in zip(squares(s), squares(s**2), strict=True)]
    error = (2 / 3 * sum((one - sum(without) / 3) ** 2 for one in without)) ** 0.5
    weights = s**4
    clusters = (weights.sum() ** 2 / weights.square().sum()).item()  # of the second x̂, the smaller number
    assert half(found) == pytest.approx(stats.t.ppf(0.975, clusters - 1) * error)


def test_neither_of_two_equally_far_from_1_shrinks_less_though_both_move_together():
    """γ = 1 ± 0.005, with a common error of 0.01: on the side of 1 where each γ happens to lie, errors would cancel."""
    decided = trusting = 0
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        x = normal(generator, DOCUMENTS, TOKENS, D)
        common = 1 - 0.06**2 + 0.06 * normal(generator, DOCUMENTS, 1, 1)  # γ of factors f is E f²/E f
        reports = both(x, (common - 0.005) * x, (common + 0.005) * x)
        found = by_key(reports)
        first, second = (report.raw[GAMMA].value - 1 for report in reports)
        decided += not found[SHRINKAGE].low <= 0 <= found[SHRINKAGE].high
        trusting += first * second > 0 and half(found[GAMMA]) < abs(abs(first) - abs(second))
    assert decided <= 4
    assert trusting >= 20


X = normal(torch.Generator().manual_seed(0), DOCUMENTS, TOKENS, D) + 3
MEAN = X.mean((0, 1))
NOISE = 0.1 * normal(torch.Generator().manual_seed(1), *X.shape)
BY_DOCUMENT = 1 + 0.2 * normal(torch.Generator().manual_seed(2), DOCUMENTS, 1, 1)

SENTENCES = {
    "less": ((0.9 * X, 0.95 * X), "second shrinks less than first: |γ − 1| differs by 0.0500"),
    "more": ((0.95 * X, 0.9 * X), "first shrinks less than second: |γ − 1| differs by 0.0500"),
    "both stretch": ((1.2 * X, 1.1 * X), "second stretches less than first: |γ − 1| differs by 0.1000"),
    "one of each": ((1.05 * X, 0.9 * X), "first stretches less than second shrinks: |γ − 1| differs by 0.0500"),
    "the other of each": ((1.2 * X, 0.9 * X), "second shrinks less than first stretches: |γ − 1| differs by 0.1000"),
    "one leaves the length": ((X, 0.9 * X), "first shrinks less than second: |γ − 1| differs by 0.1000"),
    "both leave it": (
        (0.998 * X, 0.996 * X),
        "Neither first nor second shrinks or stretches by more than 1 %, first by less: |γ − 1| differs by 0.0020",
    ),
    "the same": (
        (0.9 * X, 0.9 * X),
        "Cannot tell whether second or first shrinks less: raw, the interval of the difference of |γ − 1| contains 0 "
        "(|γ − 1| of second minus that of first: 0.0000",
    ),
    "wide": ((0.9 * X, (BY_DOCUMENT - 0.1) * X), "Cannot tell whether second or first shrinks less: raw, the interval"),
    "undefined": ((0.9 * X, -X), "Cannot tell whether second or first shrinks less: second: x̂ does not point along x"),
    "by origin": (
        (0.95 * MEAN + (X - MEAN), MEAN + 0.9 * (X - MEAN)),
        "Whether second or first shrinks less depends on the origin: raw, second does, but centred, first does "
        "(|γ − 1| of second minus that of first: -0.0",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_which_shrinks_less(case):
    x_hats, start = SENTENCES[case]
    first, second = both(X, *x_hats)
    said = in_words(second, first)
    assert said.startswith(start), said
    assert said.endswith(".")
    assert "\n" not in said


def test_without_an_interval_there_is_no_answer():
    moments = [Moments.from_pairs(X.reshape(-1, D), factor * X.reshape(-1, D), 0 * IDS) for factor in (0.9, 0.8)]
    first, second = (Report(name, one) for name, one in zip(("first", "second"), moments, strict=True))
    reason = "a single cluster of tokens gives no interval"
    assert in_words(second, first).startswith(f"Cannot tell whether second or first shrinks less: raw, {reason} (")
    estimate = by_key([first, second])[GAMMA]
    assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(-0.1), None, None)
    assert estimate.reason == reason


FLAT = X.reshape(-1, D)
OTHERS = {
    "fewer tokens": (Moments.from_pairs(FLAT[:-10], FLAT[:-10], IDS[:-10]), {}, "were measured on 390 and 400 tokens"),
    "other documents": (Moments.from_pairs(FLAT, FLAT, IDS // 2), {}, "tokens in different clusters"),
    "blocks": (Moments.from_pairs(FLAT, FLAT, IDS), {"blocks": True}, "tokens in different clusters"),
    "other activations": (Moments.from_pairs(FLAT + 0.1, FLAT, IDS), {}, "were measured on different activations"),
    "other vectors of the same length": (Moments.from_pairs(-FLAT, -FLAT, IDS), {}, "on different activations"),
    "another width": (Moments.from_pairs(FLAT[:, :3], FLAT[:, :3], IDS), {}, "on different activations"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_reports_of_different_tokens_are_refused_in_a_line_and_written_with_the_reason(case):
    moments, facts, message = OTHERS[case]
    reports = [Report("one", Moments.from_pairs(FLAT, FLAT, IDS)), Report("other", moments, **facts)]
    with pytest.raises(InputError, match=message) as error:
        differences(reports)
    assert "\n" not in str(error.value)
    assert message in in_words(reports[1], reports[0])
    every = json.loads(to_json(reports))["differences"]
    assert {one["measure"] for one in every} == {*REGISTRY, SHRINKAGE}
    assert all(one["value"] is one["low"] is one["high"] is None and message in one["reason"] for one in every)


def test_the_same_activations_added_up_in_another_order_are_the_same():
    within = torch.cat([i * TOKENS + torch.arange(TOKENS).flip(0) for i in range(DOCUMENTS)])
    one = Report("one", Moments.from_pairs(FLAT, 0.9 * FLAT, IDS))
    other = Report("other", Moments.from_pairs(FLAT[within], 0.8 * FLAT[within], IDS))
    assert not torch.equal(one.moments.sums[:, 0], other.moments.sums[:, 0])
    assert by_key([one, other])[GAMMA].value == pytest.approx(-0.1)


@pytest.mark.parametrize("reports", [[], [Report("one", Moments.from_pairs(FLAT, FLAT, IDS))]])
def test_a_difference_needs_two(reports):
    with pytest.raises(InputError, match=f"two or more reports, not {len(reports)}"):
        differences(reports)
    assert known_differences(reports) == []
    assert json.loads(to_json(reports))["differences"] == []


def test_each_is_compared_with_the_first_from_the_origins_that_both_have():
    first, second = both(X, 0.9 * X, 0.8 * X, b_dec=torch.ones(D))
    third = replace(first, name="third", b_dec=None)
    found = differences([first, second, third])
    assert {(one.of, one.reference) for one in found} == {("second", "first"), ("third", "first")}
    assert {one.origin for one in found if one.of == "second"} == {"raw", "centred", "decoder_bias"}
    assert {one.origin for one in found if one.of == "third"} == {"raw", "centred"}
    assert all(one.estimate.value == 0 for one in found if one.of == "third")
    for one in found:
        if one.of == "second" and one.measure in REGISTRY:
            mine, theirs = (report.origins[one.origin][one.measure].value for report in (second, first))
            assert one.estimate.value == mine - theirs


def test_outliers_are_in_and_out():
    x = FLAT.float().clone()
    x[::100] *= 1000
    reports = measure([lambda t: 0.9 * t, lambda t: 0.8 * t + 0.1 * t.abs()], x, documents=IDS.numpy(), name=["a", "b"],
                      look=False)  # fmt: skip
    origins = {one.origin for one in differences(reports)}
    assert origins == {"raw", "centred", "without_outliers raw", "without_outliers centred"}
    rows = list(csv.DictReader(to_csv(reports).splitlines()))
    tokens = {row["origin"]: int(row["tokens"]) for row in rows if row["origin"].startswith("difference")}
    assert tokens["difference raw"] == len(x)
    assert tokens["difference without_outliers raw"] == len(x) - 4


# --- the embedded pair ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    saes = [word for kind in ("relu", "gated") for word in ("--sae", f"embedded:minilm-{kind}")]
    tokens = ["--activations", "embedded:activations", "--documents", "embedded:documents"]
    files = ["--json", out / "r.json", "--csv", out / "r.csv"]
    done = sandbox("measure", *saes, *tokens, *files, "--device", "cpu", "--published", 0)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((out / "r.json").read_text()), (out / "r.csv").read_text()


def test_on_the_embedded_pair_the_difference_is_sharper(embedded_run):
    """Times narrower than if the two SAEs' errors were independent."""
    _, written, _ = embedded_run
    relu, gated = written["saes"]
    width = {one["measure"]: one["high"] - one["low"] for one in written["differences"] if one["origin"] == "raw"}

    def narrower(key):
        return math.hypot(*(sae["raw"][key]["high"] - sae["raw"][key]["low"] for sae in (relu, gated))) / width[key]

    times = {"cosine": 6.0, "relative_loss": 5.7, "scale_x": 2.7, "norm_ratio": 1.8, GAMMA: 1.1}
    assert {key: narrower(key) for key in times} == pytest.approx(times, abs=0.06)


def test_screen_json_and_csv_say_the_same(embedded_run):
    screen, written, text = embedded_run
    every = written["differences"]
    assert len(every) == 3 * (len(REGISTRY) + 1)
    assert {(one["of"], one["reference"]) for one in every} == {("minilm-gated", "minilm-relu")}
    relu, gated = written["saes"]
    rows = list(csv.DictReader(text.splitlines()))
    rows = {(row["origin"], row["measure"]): row for row in rows if row["origin"].startswith("difference ")}
    assert len(rows) == len(every)
    for one in every:
        assert list(one) == ["of", "reference", "origin", "measure", "reason", "value", "low", "high"]
        assert one["reason"] is None
        assert one["low"] <= one["value"] <= one["high"]
        if one["measure"] in REGISTRY:
            mine, theirs = (sae[one["origin"]][one["measure"]]["value"] for sae in (gated, relu))
            assert one["value"] == mine - theirs
        row = rows["difference " + one["origin"], one["measure"]]
        assert row["name"] == "minilm-gated"
        assert [float(row[key]) for key in ("value", "low", "high")] == [one[key] for key in ("value", "low", "high")]
        if one["origin"] == "raw" and one["measure"] in COMPARED:
            cell = difference_cell(Estimate(one["value"], one["low"], one["high"]))
            assert cell == f"{one['value']:.4f} ± {(one['high'] - one['low']) / 2:.4f}"
            assert cell in screen
    assert "Differences from minilm-relu" in screen
    assert "minilm-gated shrinks less than minilm-relu: |γ − 1| differs by 0.0684" in screen


def test_the_rows_of_each_sae_stay_as_they_are():
    reports = both(X, 0.9 * X, 0.8 * X)
    rows = to_csv(reports).splitlines()
    alone = [line for report in reports for line in to_csv([report]).splitlines()[1:]]
    assert rows[1 : 1 + len(alone)] == alone
    assert all(",difference " in row for row in rows[1 + len(alone) :])
