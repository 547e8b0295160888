"""The drag benchmark: a wait ends with the first frame that shows the value or a later one."""

import pytest

from benchmarks.drag.figures import NotShown, figures

MOVES = [(0.0, 30.0), (16.0, 32.0), (32.0, 34.0), (48.0, 36.0)]


def test_each_value_shown_in_its_own_frame():
    seen = figures(MOVES, [(time + 5, value) for time, value in MOVES])
    assert (seen.median, seen.p95, seen.lag, seen.painted, seen.skipped) == (5, 5, 5, 4, 0)
    assert seen.rate == pytest.approx(62.5)


def test_a_skipped_value_waits_for_the_later_one():
    seen = figures(MOVES, [(5, 30), (53, 36)])
    assert (seen.painted, seen.skipped, seen.lag) == (2, 2, 5)
    assert seen.median == (5 + 21) / 2


def test_frames_that_show_an_old_value_or_none_end_no_wait():
    late = [(20.0, 30.0), (36.0, None), (60.0, 30.0), (100.0, 36.0), (116.0, 36.0)]
    seen = figures(MOVES, late)
    assert (seen.lag, seen.painted) == (52, 2)


def test_a_value_cannot_be_shown_before_it_was_asked_for():
    """A drag there and back passes the same angles twice."""
    seen = figures([(0, 30), (16, 32), (32, 30)], [(5, 30), (21, 32), (40, 30)])
    assert (seen.median, seen.lag) == (5, 8)


def test_rounding_is_no_difference():
    assert figures(MOVES, [(time + 5, value + 0.05) for time, value in MOVES]).painted == 4


@pytest.mark.parametrize("frames", [[(60.0, 20.0)], [(60.0, None)], [(60.0, 34.0)], []])
def test_a_picture_that_never_shows_the_last_value_is_refused(frames):
    with pytest.raises(NotShown, match=r"36\.00"):
        figures(MOVES, frames)


def test_a_drag_that_moves_nothing_is_refused():
    with pytest.raises(NotShown, match="nothing listened"):
        figures([], [(5, 30)])
