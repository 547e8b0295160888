"""What theory says beside what a simulation found, and the table of both."""

import math

import pytest
import torch

from sandbox.errors import InputError
from sandbox.moments.moments import Moments
from sandbox.simulate.theory import against_theory, against_theory_table, at_an_angle, at_shares, behind_a_threshold

X = torch.eye(4, dtype=torch.float64).repeat(10, 1)
HALF = Moments.from_pairs(X, 0.5 * X, torch.arange(40) // 2)


def test_a_quarter_turn_and_a_third_of_one_are_exact():
    assert at_an_angle(math.pi / 2, 2.0) == (1, 4, 0)
    assert at_an_angle(math.pi / 3, 0.5) == (1, 0.25, 0.25)
    assert at_an_angle(math.pi, 1.0) == (1, 1, -1)


def test_features_behind_a_threshold_by_hand():
    """f ~ Exp(1), and λ = 1: what passes is 1 + another f, so that the moments are those of f, times 1/e."""
    share = math.exp(-1)
    (a, b, c), active = behind_a_threshold(1.0, "soft")  # E f² = 2; E (f)² and E (1 + f)·f of those that pass
    assert (a, b, c, active) == pytest.approx((2, 2 * share, 3 * share, share))
    (a, b, c), active = behind_a_threshold(1.0, "hard")  # E (1 + f)² = 1 + 2 + 2
    assert (a, b, c, active) == pytest.approx((2, 5 * share, 5 * share, share))
    with pytest.raises(InputError, match="gate is 'firm': choose soft, hard"):
        behind_a_threshold(1.0, "firm")


def test_curves_over_the_share_that_is_active():
    found = at_shares(torch.tensor([1.0, math.exp(-1)], dtype=torch.float64), "soft")
    assert found.threshold.tolist() == pytest.approx([0, 1], abs=1e-12)
    assert found.values["relative_reconstruction_bias"].tolist() == pytest.approx([1, 2 / 3])
    for share in (0.0, -0.1, 1.001, math.nan):
        with pytest.raises(InputError, match="a share of active features lies outside 0 to 1"):
            at_shares(share, "soft")


def test_theory_stands_beside_every_measure():
    compared = against_theory(HALF, (1.0, 0.25, 0.5))
    assert compared["scale_x"]["value"] == pytest.approx(compared["scale_x"]["theory"]) == pytest.approx(0.5)
    undefined = against_theory(HALF, (1.0, 1.0, 0.0))
    assert undefined["relative_reconstruction_bias"]["theory"] is None
    assert undefined["scale_x"]["theory"] == 0
    assert "theory" not in against_theory(HALF, None)["scale_x"]


def cells(table) -> list[list[str]]:
    return [[str(column.header), *map(str, column.cells)] for column in table.columns]


def test_the_table_has_theory_and_the_difference():
    table = cells(against_theory_table(against_theory(HALF, (1.0, 0.16, 0.4)), "here", width=200))
    assert [column[0] for column in table] == [
        "measure",
        "",
        "simulated",
        "95 % interval",
        "theory",
        "simulated − theory",
    ]
    first = [column[1] for column in table]
    assert first[:3] == ["scale_x", "c/a", "0.5"]
    assert first[4:] == ["0.4", "+1.0e-01"]
    without = cells(against_theory_table(against_theory(HALF, None), "here", width=200))
    assert [column[0] for column in without] == ["measure", "", "simulated", "95 % interval"]


def test_what_is_undefined_is_said_in_the_table():
    away = Moments.from_pairs(X, -X, torch.arange(40) // 2)
    table = cells(against_theory_table(against_theory(away, (1.0, 1.0, 0.0)), "here", width=200))
    row = next([column[i] for column in table] for i in range(1, 10) if table[0][i] == "relative_reconstruction_bias")
    assert row == ["relative_reconstruction_bias", "γ", "undefined", "—", "undefined", "—"]


def test_what_only_the_theory_defines_has_no_difference():
    away = Moments.from_pairs(X, -X, torch.arange(40) // 2)
    table = cells(against_theory_table(against_theory(away, (1.0, 1.0, 0.5)), "here", width=200))
    row = next([column[i] for column in table] for i in range(1, 10) if table[0][i] == "relative_reconstruction_bias")
    assert row == ["relative_reconstruction_bias", "γ", "undefined", "—", "2", "—"]
