"""The closed form of figure 6: curves that follow the derivations and the registry, and simulated points on them."""

import json
import subprocess
from dataclasses import replace

import pytest
import torch
from sympy import Reals, Symbol, exp

from sandbox import plots
from sandbox.errors import InputError
from sandbox.maths.compile import inverse
from sandbox.maths.measures import REGISTRY
from sandbox.maths.symbols import a, b, c
from sandbox.plots.closed_form import CURVES
from sandbox.report import interval
from sandbox.simulate.distributions import DISTRIBUTIONS, threshold_at
from sandbox.simulate.features import GATES, stream_features
from sandbox.simulate.theory import at_shares, behind_a_threshold
from tests.helpers.runs import sandbox

SHARES = torch.tensor([1.0, 0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
ROUNDING = 1e-13  # of float64, through a few dozen operations
COLUMN = 3.4  # inches, of a page of two columns


def simulated(gate: str, distribution: str = "exponential"):
    levels = threshold_at(SHARES, distribution)
    return stream_features(levels, gate, 64, 20_000, distribution=distribution, seed=GATES.index(gate))


@pytest.fixture(scope="module")
def points():
    """What was simulated behind each gate, by gate."""
    return {gate: simulated(gate) for gate in GATES}


@pytest.fixture(scope="module")
def of_all():
    """What was simulated of each distribution behind each gate."""
    return {name: {gate: simulated(gate, name) for gate in GATES} for name in DISTRIBUTIONS}


def test_curves_are_those_that_the_claims_state():
    lam = -SHARES.log()
    expected = {
        "soft": {"relative_reconstruction_bias": 2 / (2 + lam), "norm_ratio": SHARES.sqrt()},
        "hard": {
            "relative_reconstruction_bias": torch.ones_like(lam),
            "equation_10_v1": torch.ones_like(lam),
            "norm_ratio": ((1 + lam + lam**2 / 2) * SHARES).sqrt(),
            "scale_x": (1 + lam + lam**2 / 2) * SHARES,
        },
    }
    gamma = expected["soft"]["relative_reconstruction_bias"]
    expected["soft"] |= {"equation_10_v1": (gamma / (2 - gamma)).sqrt(), "scale_x": SHARES / gamma}
    for gate, measures in expected.items():
        found = at_shares(SHARES, gate)
        torch.testing.assert_close(found.threshold, lam, rtol=ROUNDING, atol=0)
        assert found.values.keys() == REGISTRY.keys()
        for key, values in measures.items():
            torch.testing.assert_close(found.values[key], values, rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("gate", GATES)
def test_the_threshold_leaves_the_share_active_that_was_asked_for(gate):
    share = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).clamp(min=1e-6)
    found = at_shares(share, gate)
    assert found.threshold.shape == found.values["norm_ratio"].shape == (2, 50)
    for threshold, wanted in zip(found.threshold[0].tolist(), share[0].tolist(), strict=True):
        assert behind_a_threshold(threshold, gate)[1] == pytest.approx(wanted, rel=1e-12)
    torch.testing.assert_close(found.threshold, threshold_at(share), rtol=1e-9, atol=0)  # 1 − share loses digits there


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0001, torch.nan])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(InputError, match="outside 0 to 1") as error:
        at_shares(torch.tensor([0.5, share]), "soft")
    assert "\n" not in str(error.value)


def test_another_gate_is_refused():
    with pytest.raises(InputError, match="gate is 'gated': choose soft, hard"):
        at_shares(0.5, "gated")


def test_an_inverse_is_found_by_solving_and_is_only_one():
    u = Symbol("u", real=True)
    assert inverse(exp(-2 * u), u)(torch.tensor(0.25)).item() == pytest.approx(torch.tensor(2.0).log().item())
    with pytest.raises(ValueError, match="unpack"):
        inverse(u**2, u)  # ±√


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("key", [*dict.fromkeys(curve.key for curve in CURVES)])
def test_curves_and_points_follow_a_changed_registry(key, gate, monkeypatch, points):
    before, shown = at_shares(SHARES, gate), drawn(gate, points[gate])
    changed = REGISTRY[key].expression + a / (4 * b + 4 * c)
    monkeypatch.setitem(REGISTRY, key, replace(REGISTRY[key], formula=lambda: changed, root=None, range=Reals))
    after, shown_after = at_shares(SHARES, gate), drawn(gate, points[gate])
    assert (after.values[key] - before.values[key]).min() > 0.1
    for other in set(REGISTRY) - {key}:
        assert torch.equal(after.values[other], before.values[other])
    for curve, one, another in zip(CURVES, shown, shown_after, strict=True):
        for line, line_after in zip(one, another, strict=True):
            assert (line[:, 1] != line_after[:, 1]).all() == (curve.key == key)


def drawn(gate: str, points) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each curve in a figure: the line and the simulated points, as (share, value)."""
    with plots.figure(COLUMN, 3.1) as (_, (ax,)):
        plots.closed_form(gate, points, ax=ax)
        lines = [torch.as_tensor(line.get_xydata()) for line in ax.lines if line.get_label() in labels()]
        dots = [torch.as_tensor(box.lines[0].get_xydata()) for box in ax.containers]
    return list(zip(lines, dots, strict=True))


def labels() -> list[str]:
    return [curve.label for curve in CURVES]


@pytest.mark.parametrize("gate", GATES)
def test_simulated_points_lie_on_their_curves(gate, points):
    """Each curve at the share that a threshold is for, within the interval of what was simulated behind it."""
    moments, _ = points[gate]
    for curve in CURVES:
        exact = curve(at_shares(SHARES, gate).values[curve.key])
        low, high = map(curve, interval(moments, REGISTRY[curve.key], level=0.9999))  # so that all fifty hold
        assert (low - 1e-6 <= exact).all(), curve.label  # 1e-6: float32's rounding of x and x̂
        assert (exact <= high + 1e-6).all(), curve.label
        assert ((high - low) < 0.25 * exact + 1e-6).all(), curve.label  # so that a wrong curve would be seen


@pytest.mark.parametrize("gate", GATES)
def test_the_figure_shows_the_curves_and_the_points(gate, points):
    moments, share = points[gate]
    gamma = moments.b / moments.c
    line, dots = drawn(gate, points[gate])[0]
    assert line[0, 0] == pytest.approx(1e-3, rel=1e-9)
    assert line[-1].tolist() == pytest.approx([1, 1], rel=1e-9)
    assert torch.equal(dots, torch.stack((share, gamma), -1))
    exact = at_shares(line[:, 0], gate).values["relative_reconstruction_bias"]
    assert torch.equal(line[:, 1], exact)


@pytest.mark.parametrize("name", ["closed form, soft", "closed form, hard", "feature distributions"])
def test_nothing_is_cut_off_or_covered_at_the_width_of_a_column(name, points, of_all):
    with plots.figure(COLUMN, 3.1) as (made, (ax,)):
        if name == "feature distributions":
            plots.feature_distributions(of_all, ax=ax)
        else:
            gate = name.split()[-1]
            plots.closed_form(gate, points[gate], ax=ax)
        made.canvas.draw()
        page, legend = made.bbox, ax.get_legend().get_window_extent()
        for box in (legend, ax.title.get_window_extent(), ax.xaxis.label.get_window_extent(), ax.get_tightbbox()):
            assert page.x0 <= box.x0
            assert box.x1 <= page.x1
            assert page.y0 - 1 <= box.y0  # a pixel: the layout is solved in steps
        assert not legend.overlaps(ax.bbox)  # the data
        assert not legend.overlaps(ax.xaxis.label.get_window_extent())
        sizes = [text.get_fontsize() for text in (*ax.get_legend().get_texts(), *ax.get_xticklabels(), ax.title)]
        assert min(sizes) >= 8  # points, at the size of print
        assert ax.bbox.height > 0.45 * page.height


def test_each_distribution_has_a_bent_and_a_flat_series(of_all):
    with plots.figure(COLUMN, 3.1) as (_, (ax,)):
        plots.feature_distributions(of_all, ax=ax)
        series = [torch.as_tensor(box.lines[0].get_xydata())[:, 1] for box in ax.containers]
    assert len(series) == 2 * len(DISTRIBUTIONS)
    for soft, hard in zip(series[::2], series[1::2], strict=True):
        assert (soft.diff() < 0).all()  # from a share of 1 down to 0.01
        torch.testing.assert_close(hard, torch.ones_like(hard), rtol=1e-12, atol=0)


def test_a_measure_above_1_is_in_view(of_all):
    with plots.figure(COLUMN, 3.1) as (_, (ax,)):
        plots.feature_distributions(of_all, "scale_x_hat", ax=ax)
        assert ax.get_ylim()[1] > 1 / at_shares(1e-3, "soft").values["relative_reconstruction_bias"]


def test_figures_refuse_what_they_cannot_draw(of_all):
    with plots.figure(COLUMN, 3.1) as (_, (ax,)):
        with pytest.raises(InputError, match="choose soft, hard"):
            plots.closed_form("gated", ax=ax)
        for least in (0.0, 2.0):
            with pytest.raises(InputError, match="outside 0 to 1"):
                plots.closed_form("soft", least=least, ax=ax)
        with pytest.raises(InputError, match="there is no measure 'gamma'"):
            plots.feature_distributions(of_all, "gamma", ax=ax)


@pytest.mark.parametrize("gate", GATES)
def test_settings_in_which_nothing_is_active_are_left_out(gate):
    points = stream_features(torch.tensor([1.0, 200.0]), gate, 4, 50)
    with plots.figure(COLUMN, 3.1) as (made, (ax,)):
        plots.closed_form(gate, points, ax=ax)
        made.canvas.draw()
        gamma = ax.containers[0].lines[0].get_xydata()
    assert len(gamma) == 1


def simulate(*more: str) -> subprocess.CompletedProcess:
    return sandbox("simulate", "--n", 2000, *more)


@pytest.mark.parametrize(("name", "known"), [("exponential", True), ("half-normal", False)])
def test_the_command_line_says_where_there_is_no_theory(name, known):
    """Beside other strengths than exponential ones stands no number that is not theirs."""
    done = simulate("--threshold", "1", "--features", name, "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["features"] == name
    assert ("theory" in found["active"]) == known
    assert all(("theory" in one) == known for one in found["measures"].values())
    moments, active = stream_features(1.0, "soft", 64, 2000, distribution=name)
    assert found["active"]["value"] == active.item()
    assert found["measures"]["relative_reconstruction_bias"]["value"] == (moments.b / moments.c).item()


def test_the_table_of_other_strengths_has_no_column_of_theory():
    done = simulate("--threshold", "1", "--features", "log-normal", "--gate", "hard")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "no theory: C17 and C18 cover exponential features" in said
    assert "simulated − theory" not in said


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--features", "half-normal"], "--features needs --threshold"),
        (["--threshold", "1", "--features", "normal"], "--features is 'normal': choose exponential, half-normal, log"),
    ],
)
def test_the_command_line_refuses_in_one_line(options, line):
    done = simulate(*options)
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_opposite_vectors_are_within_the_limits_of_the_angle():
    done = simulate("--angle", "180", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["angle"] == 180
