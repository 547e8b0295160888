"""The figures show what is: curves lie where the registry puts them, every report is in view, no state raises."""

import sys
from math import radians

import pytest
import torch

from sandbox import plots
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure_pairs
from sandbox.simulate.theory import at_an_angle


def report(factor: float, noise: float = 0.0, name: str = "one"):
    x, other = torch.randn(2, 500, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return measure_pairs(x, factor * x + noise * other, name=name)


@pytest.mark.parametrize("key", REGISTRY)
def test_the_bold_curve_of_the_map_is_where_the_measure_is_1(key):
    with plots.figure(5, 5) as (_, (ax,)):
        plots.rho_r_map([], key, ax)
        bold = [one for one in ax.collections if max(torch.as_tensor(one.get_linewidth()).tolist()) > 2]
    (points,) = (torch.cat([torch.tensor(path.vertices) for path in one.get_paths()]) for one in bold)
    rho, r = points.unbind(-1)
    assert len(points) > 2
    values = evaluate(REGISTRY[key], torch.ones_like(r), r**2, rho * r)
    # a curve is straight between neighbours on the grid, and the steepest measures bend by a thousandth there
    torch.testing.assert_close(values, torch.ones_like(values), atol=5e-3, rtol=0)


@pytest.mark.parametrize("key", REGISTRY)
def test_levels_rise_hold_1_and_are_taken_by_the_measure(key):
    found = plots.levels(key)
    assert found == sorted(set(found))
    assert 1 in found
    assert len(found) > 4
    assert all(level in REGISTRY[key].range for level in found)


def test_levels_of_an_unknown_measure_are_refused():
    with pytest.raises(InputError, match="there is no measure"):
        plots.levels("gamma")


def markers(ax) -> dict[str, tuple[float, float]]:
    """Where each named point of a figure is."""
    found = {str(line.get_label()): line.get_xydata() for line in ax.lines if line.get_marker() not in ("", "None")}
    return {label.split(":")[0]: tuple(points[0]) for label, points in found.items()}


def test_a_report_outside_the_usual_range_is_in_view():
    long = report(3.5, 0.5, "long")
    with plots.figure(5, 5) as (made, (ax,)):
        plots.rho_r_map([report(0.8, 0.3, "short"), long], ax=ax)
        made.canvas.draw()
        (rho, r), (low, high) = markers(ax)["long"], ax.get_ylim()
    assert set(markers(ax)) == {"short", "long"}
    assert (rho, r) == (long.raw["cosine"].value, long.raw["norm_ratio"].value)
    assert low <= r < high


@pytest.mark.parametrize("key", ["relative_reconstruction_bias", "length_loss"])
def test_an_undefined_report_is_left_out_of_the_map(key, tmp_path):
    dead, away = report(0.0, name="dead"), report(-0.5, 0.2, "away")
    with plots.figure(5, 5) as (made, (ax,)):
        plots.rho_r_map([dead, away], key, ax)
        plots.save(made, tmp_path / "map.png")
        assert set(markers(ax)) == {"away"}  # ρ and r are known, whatever the measure is


def test_the_map_says_why_a_measure_is_undefined():
    with plots.figure(5, 5) as (_, (ax,)):
        plots.rho_r_map([], "equation_10_v1", ax)
        said = " ".join(" ".join(text.get_text().split()) for text in ax.texts)
    assert "c ≤ 0" in said
    assert "root of a negative number" in said


@pytest.fixture(scope="module")
def box():
    pytest.importorskip("ipywidgets")
    return plots.interactive()


STATES = {  # angle in degrees, norm ratio, norm of x
    "usual": (60, 1, 1),
    "far": (150, 1.6, 1.8),  # the plane shows it at half the size
    "perpendicular": (90, 1, 1),
    "opposite": (180, 0.5, 1),
    "the same": (0, 1, 1),
    "x_hat is zero": (60, 0, 1),
    "x is zero": (60, 1, 0),
    "both are zero": (60, 0, 0),
}


@pytest.fixture(params=STATES)
def state(request, box):
    """The box, brought to a state by its sliders, as a person would."""
    for slider, value in zip(box.sliders.values(), STATES[request.param], strict=True):
        slider.value = value
    return box


def test_a_slider_changes_the_image(box):
    box.sliders["angle"].value = 60
    before = bytes(box.image.value)
    assert before.startswith(b"\x89PNG")
    for name, value in (("angle", 40), ("norm_ratio", 0.7), ("norm_x", 1.5)):
        box.sliders[name].value = value
        assert bytes(box.image.value) != before
        before = bytes(box.image.value)


def test_the_figure_and_its_artists_last(box):
    figure, artists, axes = box.picture.figure, list(box.picture.artists), list(box.picture.figure.axes)
    held = [(list(ax.lines), list(ax.patches), list(ax.texts), list(ax.collections)) for ax in axes]
    for value in (10, 90, 170):
        box.sliders["angle"].value = value
    box.sliders["norm_x"].value = 2
    box.sliders["norm_ratio"].value = 2
    assert box.picture.figure is figure
    assert all(one is other for one, other in zip(box.picture.artists, artists, strict=True))
    assert [(list(ax.lines), list(ax.patches), list(ax.texts), list(ax.collections)) for ax in axes] == held


def test_a_blitted_picture_is_the_one_drawn_whole(state):
    blitted = state.picture.pixels()
    whole = state.picture.pixels_without_blitting()
    assert (blitted == whole).all()
    assert (state.picture.pixels() == blitted).all()


def test_the_picture_says_what_the_registry_does(state):
    angle, norm_ratio, norm_x = (slider.value for slider in state.sliders.values())
    texts = [text.get_text() for text in state.picture.figure.texts]
    exact = [norm_x**2 * moment for moment in at_an_angle(radians(angle), norm_ratio)]
    for key in ("relative_reconstruction_bias", "scale_x", "scale_x_hat", "norm_ratio", "relative_loss"):
        (said,) = (text.split(" = ")[1] for text in texts[:-1] if text.startswith(f"{REGISTRY[key].plain} = "))
        if reason := why_undefined(REGISTRY[key], *exact):
            assert said == "undefined"
            assert reason in texts[-1]
        else:
            value = float(said.replace("−", "-"))
            assert value == pytest.approx(evaluate(REGISTRY[key], *exact).item(), abs=6e-4)


@pytest.mark.parametrize("wrong", [{"angle": 181}, {"norm_ratio": -0.1}, {"norm_x": float("nan")}])
def test_a_start_outside_the_sliders_is_refused(wrong, box):
    with pytest.raises(InputError, match="must be between"):
        plots.interactive(**wrong)


def test_without_ipywidgets_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(InputError, match="pip install ipywidgets"):
        plots.interactive()
