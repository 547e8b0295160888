"""The committed figure 6 is whole, says what the README says, and shows what the discussion was about."""

import csv
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from sandbox.report import points_to_csv, read_points
from sandbox.training.results import provenance

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results" / "figure-6"
FOUND = json.loads((FOLDER / "figure-6.json").read_text("utf-8"))
POINTS = read_points(FOLDER)
HELD_OUT = [one for one in POINTS if one.finished and one.measured_on == "held-out"]
README = (ROOT / "README.md").read_text("utf-8")
BIAS = "relative_reconstruction_bias"


def of(architecture: str) -> list:
    """The finished SAEs of an architecture, on held-out tokens, in order of L0."""
    return sorted((one for one in HELD_OUT if one.architecture == architecture), key=lambda one: one.l0)


@pytest.mark.parametrize("folder", sorted(FOLDER.parent.glob("figure-6*")), ids=lambda folder: folder.name)
def test_the_files_say_the_same(folder):
    found, points = json.loads((folder / "figure-6.json").read_text("utf-8")), read_points(folder)
    assert (folder / "figure-6.csv").read_text("utf-8") == points_to_csv(points)
    assert (folder / "figure-6.md").read_text("utf-8") == provenance(found, points)
    assert found["activations"] == FOUND["activations"]  # the same tokens: they can be compared
    for picture in folder.glob("*.svg"):
        assert picture.with_suffix(".png").exists()


@pytest.mark.parametrize("architecture", ["relu", "gated"])
def test_the_sweep_is_as_wide_as_it_should_be(architecture):
    seeds = defaultdict(set)
    for one in of(architecture):
        seeds[one.coefficient].add(one.seed)
    assert len(seeds) >= 6
    assert all(len(held) >= 2 for held in seeds.values())
    assert of(architecture)[0].l0 < 6
    assert of(architecture)[-1].l0 > 140
    assert FOUND["activations"]["tokens"] >= 500_000
    assert FOUND["training"]["d_sae"] >= 4 * FOUND["activations"]["d_in"]


def test_relu_shrinks_the_more_the_sparser_and_gated_does_not():
    gammas = [one[BIAS].value for one in of("relu")]
    assert max(gammas) < 0.96
    for one, next_ in zip(of("relu"), of("relu")[1:], strict=False):
        assert one[BIAS].value < next_[BIAS].value or one.coefficient == next_.coefficient
    assert all(abs(one[BIAS].value - 1) < 0.002 for one in of("gated"))
    assert all(one["norm_ratio"].high < 0.98 for one in of("gated"))  # shorter all the same (C11)


def test_the_first_versions_equation_errs_in_second_order():
    for one in HELD_OUT:
        gap, epsilon = one["equation_10_v1"].value - one[BIAS].value, one[BIAS].value - 1
        assert -1e-6 <= gap <= epsilon**2 / 2 * (1 + abs(epsilon)) + 1e-6  # seven digits are kept


def test_the_readme_says_what_the_csv_says():
    rows = re.findall(r"^\| (ReLU \+ L1|Gated), L0 ([\d.]+) \|(.*)\|$", README, re.MULTILINE)
    assert len(rows) == 6
    keys = {"ReLU + L1": "relu", "Gated": "gated"}
    for words, l0, cells in rows:
        (one,) = (
            one
            for one in of(keys[words])
            if one.seed == 0 and l0 == (f"{one.l0:.1f}" if one.l0 < 9.95 else f"{one.l0:.0f}")
        )
        shown = [one[key] for key in (BIAS, "equation_10_v1", "norm_ratio", "scale_x")]
        expected = [f"{held.value:.3f} ± {(held.high - held.low) / 2:.3f}" for held in shown]
        share = one["length_loss"].value / one["relative_loss"].value
        assert [cell.strip() for cell in cells.split("|")] == [*expected, f"{100 * share:.1f} %"]
    held = FOUND["activations"]
    for number in (held["tokens"], held["held_out_tokens"], held["held_out_documents"], len(FOUND["saes"])):
        assert f"{number:,}" in README


def test_the_readme_counts_the_gated_intervals_that_hold_1():
    held = {}
    for architecture in ("gated", "gated_saelens"):
        for origin in ("raw", "centred"):
            gammas = [one.origins[origin][BIAS] for one in of(architecture)]
            held[architecture, origin] = f"{sum(one.low <= 1 <= one.high for one in gammas)} of {len(gammas)}"
    words = " ".join(README.split())
    assert f"{held['gated', 'raw']} intervals hold 1" in words
    assert f"{held['gated_saelens', 'raw']} do, and {held['gated_saelens', 'centred']} once centred" in words
    assert f"falls to {min(one.origins['centred'][BIAS].value for one in of('gated_saelens')):.3f}" in words


def test_the_readme_says_what_longer_training_does():
    folders = [FOLDER, *(FOLDER.parent / f"figure-6-{passes}-passes" for passes in ("three", "ten"))]
    held_out = [one for folder in folders for one in read_points(folder) if one.measured_on == "held-out"]
    first, second, third = (one for one in held_out if one.finished and one.name == "relu-2.1-seed-0")
    assert (second.steps, third.steps) == (3 * first.steps, 9 * first.steps)
    told = f"γ = {first[BIAS].value:.3f} at L0 {first.l0:.0f} to {second[BIAS].value:.3f} at L0 {second.l0:.0f}"
    assert f"{told}, and nine times to {third[BIAS].value:.3f}" in " ".join(README.split())


def test_most_gated_saes_lie_below_1_on_tokens_of_their_training():
    gammas = [one[BIAS] for one in POINTS if one.measured_on == "training" and one.architecture.startswith("gated")]
    assert sum(one.high < 1 for one in gammas) > len(gammas) / 2


def test_jumprelu_and_topk_do_not_shrink_either():
    others = [one for one in read_points(FOLDER.parent / "figure-6-others") if one.finished]
    assert {one.architecture for one in others} == {"jumprelu", "topk"}
    assert max(abs(one[BIAS].value - 1) for one in others) < 0.003 < min(1 - one[BIAS].value for one in of("relu")) / 10
    assert "stay within 0.3 % of 1" in README


@pytest.mark.parametrize("folder", ["figure-6", "figure-6-half-a-pass"])
def test_gamma_is_lowest_on_the_tokens_that_were_used_last(folder):
    with (FOLDER.parent / folder / "last-seen.csv").open(encoding="utf-8") as file:
        rows = [one for one in csv.DictReader(file) if (one["origin"], one["measure"]) == ("decoder_bias", BIAS)]
    used = sorted((float(one["value"]), int(one["first"])) for one in rows if int(one["first"]) >= 0)
    steps = int(rows[0]["steps"])
    assert min(first for _, first in used[:3]) > 2 / 3 * steps  # where the learning rate goes down
    unused = [one for one in rows if int(one["first"]) < 0 and int(one["tokens"]) > 1000]
    assert all(float(one["low"]) <= 1 <= float(one["high"]) for one in unused)
    assert len(unused) == (folder == "figure-6-half-a-pass")
