"""The jackknife and the verdict in numbers that can be followed on paper, and both sides of every edge."""

import math

import pytest
import torch
from torch import tensor

from sandbox.maths.measures import ANY, COSINES, NOT_NEGATIVE, REGISTRY
from sandbox.moments.moments import Moments
from sandbox.report import Estimate, interval
from sandbox.report import jackknife as j
from sandbox.report.verdict import (
    CANNOT_TELL,
    DOES_NOT,
    SHRINKS,
    STRETCHES,
    change,
    in_figures,
    percent,
    side,
    word_for,
)

TRUE = tensor([True, True, True])


def test_the_error_is_that_of_what_changes_when_a_group_is_left_out():
    """1, 2 and 3: their mean is 2, the squares around it 2, and (3 − 1)/3 of that is 4/3."""
    assert j.jackknife_error(tensor([1.0, 2.0, 3.0]), TRUE).item() == pytest.approx(math.sqrt(4 / 3))
    assert j.jackknife_error(tensor([1.0, 9.0, 3.0]), tensor([True, False, True])).item() == pytest.approx(1)
    assert j.jackknife_error(tensor([1.0, 9.0, 3.0]), tensor([True, False, False])).isnan()


def test_clusters_count_by_their_weight():
    assert j.effective(tensor([2.0, 2.0, 2.0, 2.0])) == 4
    assert j.effective(tensor([3.0, 1.0])).item() == pytest.approx(16 / 10)
    x, x_hat = torch.eye(4).double(), torch.eye(4).double() * tensor([3.0, 1.0, 1.0, 1.0])
    ids = torch.arange(4)
    counted = j.effective_clusters(Moments.from_pairs(x, x_hat, ids))  # of x̂: (9 + 3)² / (81 + 3)
    assert counted.item() == pytest.approx(144 / 84)
    assert j.effective_clusters(Moments.from_pairs(x, x, ids)) == 4
    assert j.effective_clusters(Moments.from_pairs(x_hat, x, ids)).item() == pytest.approx(144 / 84)
    assert j.effective_clusters(Moments.from_pairs(x, 0 * x, ids)) == 4
    assert j.effective_clusters(Moments.from_pairs(0 * x, 0 * x, ids)) == 4  # nothing counts: those that are there


def test_students_quantile_has_a_degree_of_freedom_less():
    """From any table: 12.706, 4.303 and 2.776 with 1, 2 and 4 degrees of freedom at 95 %; 6.314 with 1 at 90 %."""
    found = j.student(tensor([1.0, 1.99, 2.0, 3.0, 5.0]).double())
    assert found[:2].isnan().all()
    assert found[2:].tolist() == pytest.approx([12.7062, 4.30265, 2.77645], rel=1e-5)
    assert j.student(tensor(2.0), 0.9).item() == pytest.approx(6.31375, rel=1e-5)


def left_out(value, *without) -> j.LeftOut:
    return j.LeftOut(tensor(value).double(), tensor(without).double())


def test_an_interval_is_straight_on_the_scale_of_its_range():
    two, t = tensor([True, True]), tensor(2.0)
    assert j.ends(left_out(5.0, 4.0, 6.0), ANY, two, t).tolist() == pytest.approx([3, 7])  # an error of √(½ · 2)
    up, down = math.exp(0.1), math.exp(-0.1)
    assert j.ends(left_out(1.0, down, up), NOT_NEGATIVE, two, t).tolist() == pytest.approx(
        [math.exp(-0.2), math.exp(0.2)]
    )
    low, high = j.ends(left_out(math.tanh(1), math.tanh(0.9), math.tanh(1.1)), COSINES, two, t).tolist()
    assert (low, high) == pytest.approx((math.tanh(0.8), math.tanh(1.2)))


def test_at_an_end_of_its_range_a_value_keeps_its_own_scale():
    two, t = tensor([True, True]), tensor(2.0)
    assert j.ends(left_out(0.0, 0.0, 0.2), NOT_NEGATIVE, two, t).tolist() == pytest.approx([0, 0.2])  # not −0.2
    assert j.ends(left_out(1.0, 1.0, 0.8), COSINES, two, t).tolist() == pytest.approx([0.8, 1])


def test_a_square_around_0_begins_there():
    """b − c is 0.9² + 0.3² − 0.9 = 0, of either sign in the clusters: the interval of (r − ρ)² begins at 0."""
    x = torch.ones(80, 1, dtype=torch.float64)
    factors = tensor([0.85, 0.95]).double().repeat(40)[:, None]
    around = Moments.from_pairs(
        x, factors * x + tensor([[0.3], [-0.3], [-0.3], [0.3]]).repeat(20, 1), torch.arange(80) % 40
    )
    low, high = interval(around, REGISTRY["length_loss"])
    assert low == 0
    assert high > 0
    below = Moments.from_pairs(x, (0.5 + 0.01 * (factors - 0.9)) * x, torch.arange(80) % 40)
    low, high = interval(below, REGISTRY["length_loss"])
    assert 0.24 < low < 0.25 < high < 0.26


def test_why_there_is_no_interval():
    count = tensor([5.0, 0.0, 3.0])
    assert j.why_none(count, tensor(2.0)) == j.UNDEFINED_WITHOUT
    assert j.why_none(count, tensor(1.99)) == j.TOO_UNEQUAL
    assert j.why_none(tensor([5.0, 0.0]), tensor(2.0)) == j.ONE_CLUSTER


# --- the verdict ----------------------------------------------------------------------------------------------------


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high)


def test_an_interval_is_on_a_side_of_1_only_where_it_leaves_1_out():
    assert [side(between(low, high)) for low, high in ((0.8, 0.999), (0.8, 1), (1, 1.2), (1.001, 1.2))] == [
        -1,
        0,
        0,
        1,
    ]


def test_within_a_hundredth_on_both_sides_it_is_none():
    assert word_for(between(0.99, 1.01)) == DOES_NOT
    assert word_for(between(0.9899, 1.005)) == CANNOT_TELL
    assert word_for(between(0.995, 1.0101)) == CANNOT_TELL
    assert word_for(between(0.98, 0.995)) == SHRINKS
    assert word_for(between(1.005, 1.02)) == STRETCHES


def test_by_how_much_in_words():
    assert change(Estimate(0.93, None, None)) == "shrinks by 7.0 %"
    assert change(Estimate(2.0, None, None)) == "stretches by 100 %"
    assert change(Estimate(2.04, None, None)) == "is 2.0 times too long"
    assert [percent(share) for share in (0.01, 0.011, 0.094, 0.096)] == ["1 %", "1.1 %", "9.4 %", "10 %"]


def test_an_interval_in_figures():
    assert in_figures(Estimate(0.93, 0.92, 0.9404)) == "0.930 ± 0.010"
    assert in_figures(Estimate(0.93, 0.91, 0.94)) == "0.930, 0.910 … 0.940"
    assert in_figures(Estimate(0.93, 0.91, 0.94), 1) == "0.9 ± 0.0"
    assert in_figures(Estimate(0.93, None, None)) == in_figures(Estimate(0.93, None, 0.95)) == "0.930"
    assert in_figures(Estimate(None, None, None)) == "undefined"
