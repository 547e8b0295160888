"""Figures are true: curves lie where the registry puts them, every report is in view, no state raises."""

import pytest
import torch
from matplotlib.figure import Figure

from sandbox import plots
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate, moments_at, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure_pairs
from sandbox.plots.measured import MOST
from sandbox.report.differences import known_differences


def by_direction(name: str, **options):
    x = torch.randn(2000, 300, generator=torch.Generator().manual_seed(0)) * torch.logspace(0.5, -1, 300)
    return measure_pairs(x, torch.linspace(1, 0.6, 300) * x, name=name, **options)


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
    # curves are linear between grid points, and the steepest measures bend by a thousandth there
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
    """The position of each named point of a figure."""
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
        assert set(markers(ax)) == {"away"}  # ρ and r are known, whatever the measure


def test_the_map_says_why_a_measure_is_undefined():
    with plots.figure(5, 5) as (_, (ax,)):
        plots.rho_r_map([], "equation_10_v1", ax)
        said = " ".join(" ".join(text.get_text().split()) for text in ax.texts)
    assert "c ≤ 0" in said
    assert "root of a negative number" in said


def test_differences_lie_where_they_are_and_the_panel_is_left_out_of_a_crowd():
    reports = [report(factor, 0.1, f"{i}-{'long' * 30}") for i, factor in enumerate((0.9, 0.7, -0.8))]
    (second, third) = ([one for one in known_differences(reports) if one.origin == "raw" and one.of.startswith(i)]
                       for i in "12")  # fmt: skip
    with plots.figure(5, 5) as (made, (ax,)):
        plots.differences(reports, ax)
        made.canvas.draw()
        drawn = [container[0].get_xdata().tolist() for container in ax.containers]
    for every, shown in zip((second, third), drawn, strict=True):
        assert shown == [
            one.estimate.value for one in every if one.measure in REGISTRY and one.estimate.value is not None
        ]
    panels = {1: 2, 2: 3, MOST: 3, MOST + 1: 2}
    for count, columns in panels.items():
        with plots.measured([*reports, *reports, *reports][:count]) as made:
            assert len(made.axes) == columns


@pytest.mark.parametrize("key", REGISTRY)
def test_a_reason_is_written_where_it_applies(key):
    """Each grey area of the map holds the reason that the report gives for the SAEs in it."""
    measure, ax = REGISTRY[key], plots.rho_r_map([], key, Figure().subplots())
    written = {text: " ".join(text.get_text().replace("\u00a0", " ").split()) for text in ax.texts}
    reasons = {text: words for text, words in written.items() if words in {reason for _, reason in measure.needs}}
    for text, words in reasons.items():
        moments = [moment.item() for moment in moments_at(*text.get_position())]
        assert why_undefined(measure, *moments) == words
    assert len(reasons) == {"relative_reconstruction_bias": 1, "equation_10_v1": 2}.get(key, 0)


def test_gamma_by_direction_is_drawn_over_the_ranks_of_each_band(tmp_path):
    found = by_direction("falls", directions=True)
    bands = found.directions.bands
    with plots.figure(6, 5) as (made, (ax,)):
        plots.directions([found, by_direction("not asked")], ax)
        plots.save(made, tmp_path / "directions.png")
        levels = ax.collections[0]  # error bars come after
        ends = [path.vertices[:, 0].tolist() for path in levels.get_paths()]
        heights = [path.vertices[0, 1] for path in levels.get_paths()]
        assert [text.get_text() for text in ax.get_legend().texts] == ["falls"]
        names = [text.get_text() for text in ax.get_xticklabels()]
    assert ends == [[band.first - 0.5, band.last + 0.5] for band in bands]
    assert heights == [band.estimates["relative_reconstruction_bias"].value for band in bands]
    assert names[0] == "1"
    assert names[-1] == "300"


def test_the_figure_of_a_measurement_has_a_panel_of_directions_if_they_were_measured():
    for options, panels in (({"directions": (10,)}, 3), ({}, 2)):
        with plots.measured([by_direction("one", **options)]) as made:
            assert len([ax for ax in made.axes if ax.axison]) == panels
