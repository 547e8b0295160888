"""The committed results are complete, agree with what the READMEs say, and show the effects under discussion."""

import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from sandbox.report import points_to_csv, read_points
from sandbox.report.points import LAW
from sandbox.training.results import provenance

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results" / "figure-6"
RESULT = json.loads((FOLDER / "figure-6.json").read_text("utf-8"))
POINTS = read_points(FOLDER)
HELD_OUT = [point for point in POINTS if point.finished and point.measured_on == "held-out"]
FOUND = (ROOT / "results/README.md").read_text("utf-8")
README, WORDS = (" ".join(text.split()) for text in ((ROOT / "README.md").read_text("utf-8"), FOUND))
BIAS = "relative_reconstruction_bias"


def of(architecture: str) -> list:
    """The finished SAEs of an architecture on held-out tokens, ordered by L0."""
    return sorted((point for point in HELD_OUT if point.architecture == architecture), key=lambda point: point.l0)


@pytest.mark.parametrize("folder", sorted(FOLDER.parent.glob("figure-*")), ids=lambda folder: folder.name)
def test_the_files_agree(folder):
    result, points = json.loads((folder / "figure-6.json").read_text("utf-8")), read_points(folder)
    assert (folder / "figure-6.csv").read_text("utf-8") == points_to_csv(points)
    assert (folder / "figure-6.md").read_text("utf-8") == provenance(result, points)
    # The same tokens, so that sweeps can be compared; those of another model are others.
    if folder.name.startswith("figure-6") and folder.name != "figure-6-smollm2":
        assert result["activations"] == RESULT["activations"]
    for picture in folder.glob("*.svg"):
        assert picture.with_suffix(".png").exists()


@pytest.mark.parametrize("architecture", ["relu", "gated"])
def test_the_sweep_covers_the_required_range(architecture):
    seeds = defaultdict(set)
    for point in of(architecture):
        seeds[point.coefficient].add(point.seed)
    assert len(seeds) >= 6
    assert all(len(of_coefficient) >= 2 for of_coefficient in seeds.values())
    assert of(architecture)[0].l0 < 6
    assert of(architecture)[-1].l0 > 140
    assert RESULT["activations"]["tokens"] >= 500_000
    assert RESULT["training"]["d_sae"] >= 4 * RESULT["activations"]["d_in"]


def test_sparser_relu_saes_shrink_more_and_gated_saes_do_not_shrink():
    gammas = [point[BIAS].value for point in of("relu")]
    assert max(gammas) < 0.96
    for point, next_ in zip(of("relu"), of("relu")[1:], strict=False):
        assert point[BIAS].value < next_[BIAS].value or point.coefficient == next_.coefficient
    assert all(abs(point[BIAS].value - 1) < 0.002 for point in of("gated"))
    assert all(point["norm_ratio"].high < 0.98 for point in of("gated"))  # but shorter than x (C11)


def test_the_error_of_the_first_versions_equation_is_second_order():
    for point in HELD_OUT:
        gap, epsilon = point["equation_10_v1"].value - point[BIAS].value, point[BIAS].value - 1
        assert -1e-6 <= gap <= epsilon**2 / 2 * (1 + abs(epsilon)) + 1e-6  # the file has seven digits


def test_the_table_agrees_with_the_csv():
    section = FOUND.partition("## Figure 6, regenerated")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (ReLU \+ L1|Gated), L0 ([\d.]+) \|(.*)\|$", section, re.MULTILINE)
    assert len(rows) == 6
    keys = {"ReLU + L1": "relu", "Gated": "gated"}
    for words, l0, cells in rows:
        (point,) = (
            point
            for point in of(keys[words])
            if point.seed == 0 and l0 == (f"{point.l0:.1f}" if point.l0 < 9.95 else f"{point.l0:.0f}")
        )
        shown = [point[key] for key in (BIAS, "equation_10_v1", "norm_ratio", "scale_x")]
        expected = [f"{estimate.value:.3f} ± {(estimate.high - estimate.low) / 2:.3f}" for estimate in shown]
        share = point["length_loss"].value / point["relative_loss"].value
        assert [cell.strip() for cell in cells.split("|")] == [*expected, f"{100 * share:.1f} %"]
    facts = RESULT["activations"]
    for number in (facts["tokens"], facts["held_out_tokens"], facts["held_out_documents"], len(RESULT["saes"])):
        assert f"{number:,}" in FOUND
    assert f"for {len(RESULT['saes'])} SAEs on {facts['tokens']:,} tokens" in README


def test_the_page_counts_the_gated_intervals_that_hold_1():
    counts = {}
    for architecture in ("gated", "gated_saelens"):
        for origin in ("raw", "centred"):
            gammas = [point.origins[origin][BIAS] for point in of(architecture)]
            counts[architecture, origin] = f"{sum(gamma.low <= 1 <= gamma.high for gamma in gammas)} of {len(gammas)}"
    assert f"{counts['gated', 'raw']} intervals contain 1" in WORDS
    assert f"{counts['gated_saelens', 'raw']} do, and {counts['gated_saelens', 'centred']} once centred" in WORDS
    assert f"falls to {min(point.origins['centred'][BIAS].value for point in of('gated_saelens')):.3f}" in WORDS


def test_the_page_states_the_effect_of_longer_training():
    folders = [FOLDER, *(FOLDER.parent / f"figure-6-{passes}-passes" for passes in ("three", "ten"))]
    held_out = [point for folder in folders for point in read_points(folder) if point.measured_on == "held-out"]
    first, second, third = (point for point in held_out if point.finished and point.name == "relu-2.1-seed-0")
    assert (second.steps, third.steps) == (3 * first.steps, 9 * first.steps)
    change = f"γ = {first[BIAS].value:.3f} at L0 {first.l0:.0f} to {second[BIAS].value:.3f} at L0 {second.l0:.0f}"
    assert f"{change}, and nine times to {third[BIAS].value:.3f}" in WORDS


def test_most_gated_saes_lie_below_1_on_tokens_of_their_training():
    gammas = [
        point[BIAS] for point in POINTS if point.measured_on == "training" and point.architecture.startswith("gated")
    ]
    assert sum(gamma.high < 1 for gamma in gammas) > len(gammas) / 2


def test_jumprelu_and_topk_do_not_shrink_either():
    others = [point for point in read_points(FOLDER.parent / "figure-6-others") if point.finished]
    assert {point.architecture for point in others} == {"jumprelu", "topk"}
    assert (
        max(abs(point[BIAS].value - 1) for point in others)
        < 0.003
        < min(1 - point[BIAS].value for point in of("relu")) / 10
    )
    assert "stay within 0.3 % of 1" in FOUND


@pytest.mark.parametrize("folder", ["figure-6", "figure-6-half-a-pass"])
def test_gamma_is_lowest_on_the_tokens_that_were_used_last(folder):
    with (FOLDER.parent / folder / "last-seen.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["origin"], row["measure"]) == ("decoder_bias", BIAS)]
    used = sorted((float(row["value"]), int(row["first"])) for row in rows if int(row["first"]) >= 0)
    steps = int(rows[0]["steps"])
    assert min(first for _, first in used[:3]) > 2 / 3 * steps  # where the learning rate decays
    unused = [row for row in rows if int(row["first"]) < 0 and int(row["tokens"]) > 1000]
    assert all(float(row["low"]) <= 1 <= float(row["high"]) for row in unused)
    assert len(unused) == (folder == "figure-6-half-a-pass")


def test_the_law_predicts_every_sae_of_figure_7():
    points = [p for p in read_points(FOLDER.parent / "figure-7") if p.finished and p.measured_on == "held-out"]
    assert Counter(point.architecture for point in points) == {"relu": 7, "gated": 6, "jumprelu": 6, "topk": 6}
    without_slope = [point for point in points if point.architecture in ("gated", "topk")]
    assert {point.origins[LAW]["predicted"].value for point in without_slope} == {1.0}
    most, most_at_1 = (
        max(abs(point.origins[LAW]["difference"].value) for point in some) for some in (points, without_slope)
    )
    assert most < 0.0054
    assert f"The law misses γ by at most {most:.4f}; where it says 1 (Gated, TopK), by at most {most_at_1:.4f}" in WORDS
    assert f"trained for 4,000 steps each, it misses γ by at most {most:.4f}" in README


def test_the_page_states_what_shrinkage_costs_a_language_model():
    report = json.loads((FOLDER.parent / "figure-6-smollm2/loss.json").read_text("utf-8"))
    saes = report["saes"]
    assert f"on {report['tokens']:,} tokens of {report['documents']} documents" in WORDS

    def reach(estimate: dict) -> float:
        return (estimate["high"] - estimate["low"]) / 2

    rows = []
    for sae in saes:
        cost, least_loss = sae["replacements"]["x_hat"]["cost"], sae["replacements"]["least_loss"]
        share = least_loss["share_of_cost"]
        rows.append(
            f"L0 {sae['l0']:.0f} | {sae['gamma_about_b_dec']:.3f} | {cost['value']:.3f} ± {reach(cost):.3f} "
            f"| × {sae['factors']['least_error']:.3f} | × {sae['factors']['least_loss']:.3f} "
            f"| {100 * share['value']:.0f} ± {100 * reach(share):.0f} % "
            f"| {100 * sae['length_share_about_b_dec']:.1f} % "
            f"| {sae['replacements']['x_hat']['loss_recovered']['value']:.3f} ► "
            f"{least_loss['loss_recovered']['value']:.3f} |"
        )
    assert len(rows) == 4
    for row in rows:
        assert row in FOUND
    one = saes[1]
    share = one["replacements"]["least_loss"]["share_of_cost"]
    won = f"{100 * share['value']:.0f} ± {100 * reach(share):.0f} % of what a ReLU SAE of L0 {one['l0']:.0f}"
    assert f"{won} costs in nats, but only {100 * one['length_share_about_b_dec']:.1f} % of its squared" in README
    recovered = [each["value"] for sae in saes for each in sae["loss_recovered"].values()]
    assert f"is {min(recovered):.2f} to {max(recovered):.2f}" in WORDS


def test_the_page_states_what_attention_sinks_do_to_each_measure():
    saes = json.loads((FOLDER.parent / "figure-6-smollm2/with-outliers.json").read_text("utf-8"))["saes"]
    relu, gated = saes
    outliers = relu["outliers"]
    gamma = [[of["raw"][BIAS]["value"] for of in (sae["without_outliers"], sae)] for sae in (relu, gated)]
    ratio = [of["statistics"]["l2_ratio"]["value"] for of in (relu["without_outliers"], relu)]
    for words in (
        f"{100 * outliers['tokens'] / relu['tokens']:.1f} % of the tokens hold {100 * outliers['share_of_a']:.0f} % of",
        f"from {gamma[0][0]:.3f} to {gamma[0][1]:.1f} for the ReLU SAE of L0 43",
        f"{gamma[1][0]:.3f} to {gamma[1][1]:.2f} for the Gated one",
        f"from {ratio[0]:.3f} to {ratio[1]:.3f}",
    ):
        assert words in WORDS, words


def test_the_law_holds_on_a_language_model():
    points = read_points(FOLDER.parent / "figure-6-smollm2")
    finished = [point for point in points if point.finished and point.measured_on == "held-out"]
    assert Counter(point.architecture for point in finished) == {"relu": 4, "gated": 3, "jumprelu": 2, "topk": 3}
    most = max(abs(point.origins[LAW]["difference"].value) for point in finished)
    assert f"for twelve SAEs on this model, it misses γ by at most {most:.4f}" in WORDS
