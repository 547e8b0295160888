"""The figures of a sweep show its numbers: points, intervals, curves and loci lie where the registry puts them."""

from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import pytest
import torch
from sympy import Reals

from sandbox import plots
from sandbox.errors import InputError
from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.moments.moments import Moments
from sandbox.plots import figure6
from sandbox.plots.figure6.equation_10 import error_near_1, exact_error
from sandbox.plots.figure6.looks import looks, marker, rings
from sandbox.report import ORIGINS, Estimate, Point, estimate
from sandbox.report.points import LAW
from sandbox.simulate.features import stream_features
from sandbox.training.architectures import ARCHITECTURES

D = 16
GAMMA = "relative_reconstruction_bias"
GATES = {"relu": "soft", "gated": "hard"}
LAMBDAS = (0.5, 1.0, 2.0)


def measured(moments: Moments, l0: float, **facts) -> Point:
    """A point with every measure from every origin, as in a report; half of the mean of x stands in for b_dec."""
    half = (moments.sums.sum(0)[0] / moments.n / 2).expand(2, -1)
    seen = {"raw": moments, "centred": moments.centred(), "decoder_bias": moments.about(half)}
    origins = {key: {name: estimate(one, of) for name, of in REGISTRY.items()} for key, one in seen.items()}
    trained = {"architecture": "relu", "coefficient": 1.0, "seed": 0, "steps": 900, "finished": True}
    held_out = {"measured_on": "held-out", "tokens": int(moments.n), "documents": None}
    return Point(**(trained | held_out | facts), l0=l0, origins=origins)


def sweep(seeds=(0, 1), steps=(), gates=GATES, lambdas=LAMBDAS) -> list[Point]:
    """Thresholded features in place of SAEs: soft for an L1 penalty, hard for a gate, higher during training."""
    points = []
    for number, (architecture, gate) in enumerate(gates.items()):
        for seed in seeds:
            for step in (*steps, 900):
                level = torch.tensor(lambdas) * (1 + (900 - step) / 3000)
                moments, active = stream_features(level, gate, D, 512, groups=8, seed=100 * number + seed)
                facts = {"architecture": architecture, "seed": seed, "steps": step, "finished": step == 900}
                for i, coefficient in enumerate(lambdas):
                    l0 = D * active[i].item()
                    points.append(measured(moments[i], l0, coefficient=coefficient, **facts))
    return points


POINTS = sweep()
DEAD, _ = stream_features(60.0, "soft", D, 256, groups=8)
DEAD = measured(DEAD, 0.0, coefficient=60.0)


def drawn(figure, points, *more, **options):
    """The axes of one figure."""
    with plots.figure(4, 4, style=plots.COLUMN) as (made, (ax,)):
        figure(points, *more, ax=ax, **options)
        made.draw_without_rendering()
    return ax


def marks(ax) -> dict[str, list[tuple[float, float]]]:
    """The positions of the points of each architecture and seed."""
    return {one.get_label(): [tuple(xy) for xy in one[0].get_xydata()] for one in ax.containers}


def of(points, architecture: str, seed: int) -> list[Point]:
    those = [point for point in points if (point.architecture, point.seed) == (architecture, seed)]
    return sorted(those, key=lambda point: point.l0)


def words(ax) -> str:
    return " ".join(" ".join(text.get_text() for text in ax.get_legend().texts).split())


@pytest.mark.parametrize("origin", ORIGINS)
def test_bias_has_every_sae_at_its_value_with_its_interval(origin):
    ax = drawn(figure6.bias, POINTS, origin=origin)
    assert set(marks(ax)) == {"relu seed 0", "relu seed 1", "gated seed 0", "gated seed 1"}
    for container in ax.containers:
        name, seed = container.get_label().split(" seed ")
        those = of(POINTS, name, int(seed))
        held = [point.origins[origin][GAMMA] for point in those]
        assert marks(ax)[container.get_label()] == [(p.l0, one.value) for p, one in zip(those, held, strict=True)]
        bars = [segment[:, 1] for segment in container[2][-1].get_segments()]
        for (low, high), one in zip(bars, held, strict=True):
            assert (low, high) == pytest.approx((one.low, one.high), abs=1e-12)  # value − (value − low) rounds
    assert any(text.get_text() == "no shrinkage" for text in ax.texts)


def test_the_line_of_an_architecture_goes_through_the_means_of_its_seeds_in_order_of_l0():
    lines = [line for line in drawn(figure6.bias, POINTS[::-1]).lines if len(line.get_xdata()) == len(LAMBDAS)]
    thin = {line.get_color(): line.get_xydata().tolist() for line in lines if line.get_linestyle() == "-"}
    for key, look in looks(POINTS).items():
        pairs = zip(of(POINTS, key, 0), of(POINTS, key, 1), strict=True)
        means = [[fmean((p.l0, q.l0)), fmean((p[GAMMA].value, q[GAMMA].value))] for p, q in pairs]
        assert thin[look.colour] == means


def test_architectures_differ_in_colour_and_shape_and_seeds_in_their_ring():
    points = [
        replace(DEAD, architecture=key, seed=seed) for key in (*ARCHITECTURES, "mine", "ours") for seed in (7, 3, 5)
    ]
    found = looks(points)
    assert [look.words for look in found.values()] == [*(one.words for one in ARCHITECTURES.values()), "mine", "ours"]
    for part in ("colour", "marker", "words"):
        assert len({getattr(look, part) for look in found.values()}) == len(ARCHITECTURES) + 2
    assert rings(points) == {3: 0, 5: 1, 7: 2}
    styles = [marker("o", "black", ring) for ring in rings(points).values()]
    assert [style["fillstyle"] for style in styles] == ["full", "none", "none"]
    # a ring leaves a white gap around what it encloses, even where two seeds coincide
    assert all(b["markersize"] - a["markersize"] > 2 * a["markeredgewidth"] for a, b in pairwise(styles))


def test_a_single_seed_is_not_named():
    assert "seed" in words(drawn(figure6.bias, POINTS))
    assert "seed" not in words(drawn(figure6.bias, sweep(seeds=(0,))))


def test_only_finished_saes_on_held_out_tokens_are_in_the_figures():
    others = [replace(point, finished=False, seed=5) for point in POINTS]
    others += [replace(point, measured_on="training", seed=6) for point in POINTS]
    assert marks(drawn(figure6.bias, POINTS + others)) == marks(drawn(figure6.bias, POINTS))
    assert "seed 5" not in words(drawn(figure6.bias, POINTS + others))


def test_equation_10_and_its_error_are_the_numbers_of_the_points():
    value = drawn(figure6.equation_10, POINTS)
    error = drawn(figure6.equation_10_error, POINTS)
    for point in POINTS:
        name = f"{point.architecture} seed {point.seed}"
        gamma, slip = point[GAMMA].value, point["equation_10_v1"].value
        assert (point.l0, slip) in marks(value)[name]
        assert (gamma - 1, slip - gamma) in marks(error)[name]
        # both sides are float64 functions of nearly the same γ, with a few roundings each
        assert exact_error(torch.tensor(gamma - 1, dtype=torch.float64)).item() == pytest.approx(
            slip - gamma, abs=1e-14
        )
        if point.architecture == "gated":
            assert slip - gamma == pytest.approx(0, abs=1e-12)


def test_the_error_of_equation_10_is_of_second_order_and_drawn_beside_its_first_term():
    curves = {line.get_label(): line for line in drawn(figure6.equation_10_error, POINTS).lines}
    eps, exact = (torch.tensor(part) for part in curves["exact (C8)"].get_data())
    near = torch.tensor(curves["ε²/2 (C9)"].get_ydata())
    torch.testing.assert_close(near, eps**2 / 2)
    torch.testing.assert_close(exact, torch.sqrt((1 + eps) / (1 - eps)) - 1 - eps, atol=1e-14, rtol=1e-9)
    small = torch.tensor([-1e-2, -1e-3], dtype=torch.float64)
    off = exact_error(small) - error_near_1(small)
    assert (off[0] / off[1]).item() == pytest.approx(1000, rel=0.02)  # what is left is of third order, but for ε⁴
    assert eps.min() < min(point[GAMMA].value - 1 for point in POINTS)


@pytest.mark.parametrize("key", ["scale_x", "norm_ratio"])
def test_an_sae_with_a_bias_of_1_lies_on_its_dash_and_a_shrunk_one_below(key):
    ax = drawn(figure6.angle, POINTS, key)
    dashes = {line.get_label(): line.get_xydata() for line in ax.lines if line.get_marker() == "_"}
    for architecture in GATES:
        at = dict(dashes[f"_{architecture} without shrinkage"])
        for point in (*of(POINTS, architecture, 0), *of(POINTS, architecture, 1)):
            rho, value = point["cosine"].value, point[key].value
            assert at[point.l0] == pytest.approx(rho if key == "norm_ratio" else rho**2, rel=1e-14)
            assert (point.l0, value) in marks(ax)[f"{architecture} seed {point.seed}"]
            assert value < 0.995  # "shrinkage" to this measure, whichever; least behind λ = ½, where r² = 1.625·e^(−½)
            if architecture == "gated":
                assert value == pytest.approx(at[point.l0], rel=1e-12)
            else:
                assert value < at[point.l0] - 0.01
    faint = [line for line in ax.lines if line.get_alpha() is not None and line.get_alpha() < 0.3]
    assert sorted(fmean(line.get_ydata()) > 0.999 for line in faint) == [False, True]  # γ: relu's, and gated's


def contours(ax) -> list[torch.Tensor]:
    return [torch.cat([torch.tensor(path.vertices) for path in one.get_paths()]) for one in ax.collections[:3]]


def test_the_loci_are_where_each_measure_is_1_and_meet_in_x():
    ax = drawn(figure6.rho_r, POINTS)
    for key, line in zip(plots.LOCI, contours(ax), strict=True):
        rho, r = line.unbind(-1)
        value = evaluate(REGISTRY[key], torch.ones_like(r), r**2, rho * r)
        # linear between grid points, where no measure bends by more
        torch.testing.assert_close(value, torch.ones_like(value), atol=1e-3, rtol=0)
        assert (line - torch.ones(2)).norm(dim=1).min() < 0.02  # the view is some tenths wide
    for point in POINTS:
        at = point["cosine"].value, point["norm_ratio"].value
        assert at in marks(ax)[f"{point.architecture} seed {point.seed}"]
        assert ax.get_xlim()[0] < at[0]
        assert ax.get_ylim()[0] < at[1]
    assert "Gated (" in words(ax)


def test_the_bars_are_the_two_parts_of_the_loss_and_the_share_is_theirs():
    ax = drawn(figure6.loss_split, POINTS)
    bars = {one.get_label(): one.patches[0] for one in ax.containers if hasattr(one, "patches")}
    for point in POINTS:
        length, turn = (bars[f"{point.name} {key}"] for key in ("length_loss", "angle_loss"))
        assert length.get_height() == point["length_loss"].value
        assert turn.get_height() == pytest.approx(point["angle_loss"].value, rel=1e-12)
        # C12: the parts add up to the loss
        assert turn.get_y() + turn.get_height() == pytest.approx(point["relative_loss"].value, rel=1e-12)
    texts = [text.get_text() for text in ax.texts]
    for coefficient in LAMBDAS:
        both = [point for point in POINTS if (point.architecture, point.coefficient) == ("relu", coefficient)]
        percent = 100 * fmean(point["length_loss"].value / point["relative_loss"].value for point in both)
        assert (f"{percent:.0f} %" if percent > 9.5 else f"{percent:.1f} %") in texts
    assert texts.count("0.0 %") == len(LAMBDAS)  # nothing to recover behind a gate


def in_three(point: Point, origin: str) -> Point:
    """The point with a tenth of its angle's part booked under factors."""
    held, tenth = point.origins[origin], {}
    for key, share in (("factors_loss", 0.1), ("tokens_loss", 0.9)):
        angle = held["angle_loss"]
        tenth[key] = Estimate(*(share * end for end in (angle.value, angle.low, angle.high)))
    return replace(point, origins={**point.origins, origin: {**held, **tenth}})


@pytest.mark.parametrize("origin", ["raw", "decoder_bias"])
def test_points_that_have_three_parts_show_three_and_others_two(origin):
    three = [in_three(point, origin) for point in POINTS if point.architecture == "relu"]
    two = [point for point in POINTS if point.architecture == "gated"]
    ax = drawn(figure6.loss_split, three + two, origin=origin)
    bars = {one.get_label(): one.patches[0] for one in ax.containers if hasattr(one, "patches")}
    for point in three:
        top = 0.0
        for key in ("length_loss", "factors_loss", "tokens_loss"):
            bar = bars.pop(f"{point.name} {key}")
            assert bar.get_y() == pytest.approx(top, rel=1e-12)
            assert bar.get_height() == pytest.approx(point.origins[origin][key].value, rel=1e-12)
            top = bar.get_y() + bar.get_height()
        assert top == pytest.approx(point.origins[origin]["relative_loss"].value, rel=1e-12)
    assert set(bars) == {f"{point.name} {key}" for point in two for key in ("length_loss", "angle_loss")}
    said = words(ax)
    assert all(part in said for part in ("tokens' angles", "tokens' own factors", "angle, 1−ρ²", "length, (r−ρ)²"))
    assert "tokens' angles: one factor does not recover it" in said
    assert "length, (r−ρ)²: one factor recovers it" in said
    assert "angle, 1−ρ²" not in words(drawn(figure6.loss_split, three, origin=origin))


def test_points_of_older_files_and_centred_ones_show_two_parts():
    from sandbox.report import read_points

    old = read_points("results/figure-6")
    for points, origin in ((old, "raw"), ([in_three(point, "raw") for point in POINTS], "centred")):
        ax = drawn(figure6.loss_split, points, origin=origin)
        labels = [one.get_label() for one in ax.containers if hasattr(one, "patches")]
        assert {label.rpartition(" ")[2] for label in labels} == {"length_loss", "angle_loss"}
        assert "factors" not in words(ax)


def test_where_nothing_is_lost_there_is_no_share():
    x = torch.rand(300, D, dtype=torch.float64)
    perfect = measured(Moments.from_pairs(x, x), 9.0, coefficient=9.0)
    assert perfect["relative_loss"].value == 0
    assert not any("%" in text.get_text() for text in drawn(figure6.loss_split, [perfect]).texts)


def test_convergence_has_a_line_for_each_sae_over_its_steps():
    points = sweep(steps=(100, 300))
    ax = drawn(figure6.convergence, points)
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    for point in points:
        assert [point.steps, point[GAMMA].value] in lines[point.name]
        assert len(lines[point.name]) == 3
        if point.finished:
            assert lines[f"{point.name} finished"] == [[point.steps, point[GAMMA].value]]
    unfinished = [point for point in points if not point.finished]
    assert not any("finished" in str(line.get_label()) for line in drawn(figure6.convergence, unfinished).lines)


def ups(ax, label: str) -> list[float]:
    """The values of each line, by label."""
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return torch.as_tensor(line.get_ydata()).tolist()


CONSUMERS = {  # figure ► the measure that one of its curves, beside the points, is drawn from
    "error": ("equation_10_v1", lambda: ups(drawn(figure6.equation_10_error, POINTS), "exact (C8)")),
    "dashes": (
        "scale_x",
        lambda: ups(drawn(figure6.angle, POINTS, "scale_x"), "_relu without shrinkage"),
    ),
    "locus of γ": (GAMMA, lambda: contours(drawn(figure6.rho_r, POINTS))[0].tolist()),
    "locus of c/a": ("scale_x", lambda: contours(drawn(figure6.rho_r, POINTS))[1].tolist()),
    "locus of r": ("norm_ratio", lambda: contours(drawn(figure6.rho_r, POINTS))[2].tolist()),
}


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_changing_the_registry_moves_the_drawing(consumer, monkeypatch):
    key, look = CONSUMERS[consumer]
    before, changed = look(), REGISTRY[key].expression * 1.1
    assert look() == before
    monkeypatch.setitem(REGISTRY, key, replace(REGISTRY[key], formula=lambda: changed, root=None, range=Reals))
    assert look() != before


def test_what_cannot_be_shown_is_counted_with_its_reason():
    assert "1 not shown: no latent is active (L0 = 0)" in words(drawn(figure6.bias, [*POINTS, DEAD]))
    assert "1 not shown: x̂ is zero everywhere" in words(drawn(figure6.rho_r, [*POINTS, DEAD]))
    x = torch.rand(300, D, dtype=torch.float64)
    long = measured(Moments.from_pairs(x, 3 * x), 9.0, coefficient=9.0)
    assert "1 not shown: γ ≥ 2" in words(drawn(figure6.equation_10, [*POINTS, long]))
    assert "not shown" not in words(drawn(figure6.bias, [*POINTS, long]))
    plain = replace(POINTS[0], origins={"raw": POINTS[0].origins["raw"]})
    assert "1 not shown: not measured about b_dec" in words(drawn(figure6.bias, [plain], origin="decoder_bias"))


FIVE = dict(zip(ARCHITECTURES, ("soft", "hard", "hard", "hard", "soft"), strict=True))
SWEEPS = {
    "none": [],
    "one": POINTS[:1],
    "one that is dead": [DEAD],
    "without intervals": [
        replace(
            p, origins={o: {k: replace(e, low=None, high=None) for k, e in of.items()} for o, of in p.origins.items()}
        )
        for p in POINTS
    ],
    "two": POINTS,
    "five, three seeds": [*sweep((0, 1, 2), (100,), FIVE, (0.05, 0.1, 0.5, 1.0, 4.0)), DEAD],
}


@pytest.mark.parametrize("name", SWEEPS)
def test_nothing_is_cut_off_and_no_legend_lies_on_the_data(name):
    names = []
    for title, made in figure6.figures(SWEEPS[name]):
        names.append(title)
        made.draw_without_rendering()
        box = made.get_tightbbox()  # inches
        width, height = made.get_size_inches()
        slack = 0.02  # an antialiased edge
        assert min(box.x0, box.y0) > -slack, title
        assert box.x1 < width + slack, title
        assert box.y1 < height + slack, title
        held = [*made.legends, *(ax.get_legend() for ax in made.axes if ax.get_legend())]
        for legend in held:
            frame = legend.get_window_extent()
            for ax in made.axes:
                assert not frame.overlaps(ax.get_window_extent()), title
                assert not frame.overlaps(ax.xaxis.label.get_window_extent()), title
        for ax in made.axes:
            data, shown = ax.get_window_extent(), [text for text in ax.xaxis.get_ticklabels() if text.get_text()]
            ticks = [text.get_window_extent() for text in shown]
            ticks = sorted(
                (tick for tick in ticks if data.x0 <= (tick.x0 + tick.x1) / 2 <= data.x1), key=lambda t: t.x0
            )
            assert all(a.x1 <= b.x0 for a, b in pairwise(ticks)), title
    assert names == [
        "0-closed-form",
        "1-bias",
        "1-bias-origins",
        "2-equation-10",
        "3-angle",
        "4-rho-r",
        "5-loss-split",
        "6-convergence",
    ]


def test_the_same_points_give_the_same_files_and_words_stay_words(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        written = figure6.save_figures(POINTS, tmp_path / run, (".svg", ".pdf"))
    assert len(written) == 8 * 2
    for path in written:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes(), path.name
        if path.suffix == ".svg":
            text = path.read_text("utf-8")
            assert "<dc:date>" not in text
            assert ">ReLU + L1" in text or path.name in ("0-closed-form.svg", "5-loss-split.svg")
    assert ">no shrinkage</text>" in (tmp_path / "a" / "1-bias.svg").read_text("utf-8")
    assert b"CreationDate" not in (tmp_path / "a" / "1-bias.pdf").read_bytes()


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no origin 'mean'; the origins are raw, centred, decoder_bias"):
        drawn(figure6.bias, POINTS, origin="mean")
    with pytest.raises(InputError, match="is not a folder: create it"):
        figure6.save_figures(POINTS, tmp_path / "none")
    with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf; its ending is \.gif"):
        figure6.save_figures(POINTS, tmp_path, (".png", ".gif"))
    assert not list(tmp_path.iterdir())


def test_axes_side_by_side_get_one_legend_and_one_height():
    with plots.figure(7, 3, 2) as (made, axes):
        for ax, top in zip(axes, (1, 5), strict=True):
            ax.plot([0, 1], [0, top], label="both")
            ax.plot([0, 1], [top, 0], label=f"to {top}")
            ax.legend()
        figure6.same_height(axes)
        figure6.one_legend(made, axes, 3)
        assert axes[0].get_ylim() == axes[1].get_ylim()
        assert axes[0].get_ylim()[1] >= 5
        assert [text.get_text() for text in made.legends[0].texts] == ["both", "to 1", "to 5"]
        assert not any(ax.get_legend() for ax in axes)


def with_law(point: Point, off: float) -> Point:
    """The point with a prediction that misses γ about b_dec by `off`."""
    gamma = point.origins["decoder_bias"][GAMMA]
    predicted = Estimate(gamma.value - off, None, None, "no interval in this test")
    difference = Estimate(off, off - 0.01, off + 0.01)
    return replace(
        point, origins={**point.origins, LAW: {"gamma": gamma, "predicted": predicted, "difference": difference}}
    )


def test_figure_7_puts_each_sae_at_its_prediction_and_draws_the_diagonal():
    points = [with_law(point, 0.02) for point in POINTS]
    ax = drawn(figure6.law, points)
    for point in points:
        container = next(c for c in ax.containers if c.get_label() == f"{point.architecture} seed {point.seed}")
        at = (point.origins[LAW]["predicted"].value, point.origins[LAW]["gamma"].value)
        assert any(mark == pytest.approx(at) for mark in container[0].get_xydata().tolist())
    diagonal = ax.lines[-1].get_xydata()
    assert (diagonal[:, 0] == diagonal[:, 1]).all()
    assert ax.get_xlim() == ax.get_ylim()


def moved(point: Point, gamma: float, predicted: float) -> Point:
    """The point with another γ, measured and predicted."""
    estimates = {"gamma": Estimate(gamma, gamma, gamma), "predicted": Estimate(predicted, predicted, predicted)}
    return replace(point, origins={**point.origins, LAW: {**with_law(point, 0).origins[LAW], **estimates}})


def test_figure_7_enlarges_the_many_saes_around_1():
    first, *rest = [point for point in POINTS if point.finished and point.measured_on == "held-out"]
    points = [moved(first, 0.8, 0.8), *(moved(point, 1.001, 1.0) for point in rest)]
    (inset,) = drawn(figure6.law, points).child_axes
    marks = [mark for container in inset.containers for mark in container[0].get_xydata().tolist()]
    assert marks == [[1.0, 1.001]] * len(rest)
    assert inset.get_xlim() == inset.get_ylim() == pytest.approx((0.99, 1.01))
    assert not drawn(figure6.law, points[1:]).child_axes, "they fill the panel themselves"
    assert not drawn(figure6.law, [moved(first, 0.8, 0.8)]).child_axes


def test_the_distance_from_the_law_is_drawn_over_the_steps_of_each_sae():
    points = [with_law(point, (900 - point.steps) / 10_000) for point in sweep((0,), (300, 600))]
    ax = drawn(figure6.law_convergence, points)
    assert {container.get_label() for container in ax.containers} == {point.name for point in points}
    for container in ax.containers:
        assert container[0].get_xydata().tolist() == [[300, 0.06], [600, 0.03], [900, 0]]


def test_a_sweep_that_did_not_keep_the_penalty_has_no_figure_7():
    names = [name for name, _ in figure6.figures(POINTS)]
    assert "7-law" not in names
    assert [name for name, _ in figure6.figures([with_law(point, 0) for point in POINTS])] == [*names, "7-law"]
    assert drawn(figure6.law, POINTS).containers == []
