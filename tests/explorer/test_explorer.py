"""The explorer's Python side: settings obey their limits, numbers match the report, the page stands alone."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from matplotlib import pyplot
from scipy.special import stdtrit
from sympy import Reals
from traitlets import TraitError

from sandbox import Explorer, InputError, Report, measure
from sandbox.data import embedded
from sandbox.explorer.curves import undefined_regions
from sandbox.explorer.module import generated, module
from sandbox.explorer.of_claims import STATES_OF_CLAIMS
from sandbox.explorer.presets import presets
from sandbox.explorer.saes import saes_of
from sandbox.explorer.shown import merged, moments_of, population, quantiles
from sandbox.explorer.state import BLOCKS, checked
from sandbox.maths.compile import evaluate
from sandbox.maths.derivations import claims
from sandbox.maths.measures import REGISTRY
from sandbox.maths.symbols import a, b, c
from sandbox.moments.moments import Moments
from sandbox.report import to_json
from tests.helpers.runs import sandbox

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def explorer():
    return Explorer()


@pytest.fixture(autouse=True)
def _as_it_opens(request):
    """Reset the explorer that tests share, since creating one takes a second."""
    yield
    if "explorer" in request.fixturenames:
        request.getfixturevalue("explorer")._go_to(checked({}))


REFUSED = {
    "angle": [NAN, INF, -0.1, 180.1, 1e300, True, "40", None, [40]],
    "norm_ratio": [NAN, -1e-9, 2.01],
    "norm_x": [-1, 3, "1"],
    "penalty": [-0.1, 6.01, NAN, None],
    "spread": [61, -1],
    "norm_spread": [1.7],
    "offset": [3.01],
    "n": [0, 49, 75, 10_050, 10**30, "1000", None],
    "seed": [-1, 10_000, 0.5],
    "cells": [0, 65, 2.5, NAN],
    "factor": [-0.01, 1.51, "1"],
    "population": ["maybe", "true", None, 2],
    "merged": [1, "on", None],
    "measure": ["gamma", "__class__", "", None, 7, ["cosine"]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, all_ in REFUSED.items() for value in all_])
def test_a_setting_outside_its_limits_is_refused_in_one_clear_line(explorer, name, value):
    before = explorer.state
    with pytest.raises(InputError) as refused:
        checked({name: value})
    assert re.fullmatch(rf"{name} is .{{1,42}}: it must be .*", str(refused.value))
    with pytest.raises(TraitError) as refused:
        setattr(explorer, name, value)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert explorer.state == before


def test_an_unknown_setting_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"no setting 'colour'; its settings are angle, norm_ratio"):
        Explorer(colour="red")
    with pytest.raises(InputError, match=r"angle is '200': it must be a number from 0 to 180°"):
        Explorer(angle=200)


def test_whole_numbers_and_numpys_are_taken():
    explorer = Explorer(angle=60, norm_ratio=np.float32(0.5))
    assert explorer.state == checked({"angle": 60, "norm_ratio": 0.5})
    assert repr(explorer) == "Explorer(angle=60.0, norm_ratio=0.5)"


@pytest.mark.parametrize(("angle", "norm_ratio", "norm_x"), [(60, 1, 1), (0, 0.5, 2), (180, 2, 0.3), (33, 0.7, 1.1)])
def test_a_single_pair_has_the_moments_of_its_vectors(explorer, angle, norm_ratio, norm_x):
    explorer._go_to({"angle": angle, "norm_ratio": norm_ratio, "norm_x": norm_x})
    turn = torch.tensor(angle, dtype=torch.float64).deg2rad()
    x = norm_x * torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    x_hat = norm_x * norm_ratio * torch.stack((turn.cos(), turn.sin()))[None]
    by_hand = Moments.from_pairs(x, x_hat)
    # cos θ is rounded to 15 digits, and the vectors' own product to 16
    torch.testing.assert_close(explorer.moments.means, by_hand.means, rtol=1e-14, atol=1e-14)
    assert int(explorer.moments.n) == 1
    assert explorer.report.raw["cosine"].low is None  # one pair has no interval
    for key, value in explorer.values.items():
        exact = evaluate(REGISTRY[key], *explorer.moments.means).item()
        assert value == (None if exact != exact else pytest.approx(exact, rel=1e-14, abs=1e-15))


def test_a_population_has_the_moments_of_its_pairs_in_blocks(explorer):
    explorer._go_to({"population": True, "offset": 1.5, "n": 500, "norm_spread": 0.8})
    x, x_hat = explorer.pairs
    assert x.shape == x_hat.shape == (500, 64)
    assert torch.equal(x[:, -1], torch.full((500,), 1.5, dtype=torch.float64))
    by_hand = torch.stack(((x * x).sum(1), (x_hat * x_hat).sum(1), (x * x_hat).sum(1))).mean(1)
    torch.testing.assert_close(explorer.moments.means, by_hand, rtol=1e-12, atol=0)
    assert int(explorer.moments.clusters) == BLOCKS
    one = explorer.report.raw["relative_reconstruction_bias"]
    assert one.low < one.value < one.high
    without = explorer.moments.means - 1.5**2
    lengths = population(explorer.state | {"offset": 0.0})[0].norm(dim=1)
    torch.testing.assert_close(without[0], lengths.square().mean())


def test_a_populations_angles_and_norms_are_spread_as_asked(explorer):
    explorer._go_to({"population": True, "angle": 80, "spread": 5, "norm_spread": 0.4, "n": 10_000, "norm_x": 0.5})
    x, x_hat = explorer.pairs
    angles = torch.nn.functional.cosine_similarity(x, x_hat).acos().rad2deg()
    logs = x.norm(dim=1).log()
    # five standard errors of a mean and of a standard deviation of 10,000
    for found, mean, deviation in ((angles, 80, 5), (logs, torch.tensor(0.5).log().item(), 0.4)):
        assert found.mean().item() == pytest.approx(mean, abs=5 * deviation / 100)
        assert found.std().item() == pytest.approx(deviation, abs=5 * deviation / 141)
    assert abs(torch.corrcoef(torch.stack((angles, logs)))[0, 1]) < 0.05


@pytest.mark.parametrize("seed", [0, 1, 4321])
def test_means_of_cells_lie_on_thales_circle_at_any_number_of_cells_while_the_cosine_falls(seed):
    cosines = []
    for cells in range(64, 0, -1):
        state = checked({"merged": True, "cells": cells, "seed": seed, "norm_x": 1.3})
        _, x_hat = merged(state)
        assert len(x_hat.unique(dim=0)) == cells
        values = Report("x̂", moments_of(state)).raw
        assert values["relative_reconstruction_bias"].value == pytest.approx(1, abs=1e-12)
        cosines.append(values["cosine"].value)
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] == pytest.approx(1)
    assert cosines[-1] < 0.3


def test_fewer_cells_are_unions_of_more_cells():
    finer = merged(checked({"merged": True, "cells": 20})).x_hat
    coarser = merged(checked({"merged": True, "cells": 7})).x_hat
    for mean in finer.unique(dim=0):
        assert len(coarser[(finer == mean).all(1)].unique(dim=0)) == 1


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.4])
def test_off_the_means_gamma_is_the_factor(explorer, factor):
    explorer._go_to({"merged": True, "cells": 9, "factor": factor, "population": True})
    assert explorer.values["relative_reconstruction_bias"] == pytest.approx(factor, rel=1e-12)
    assert explorer.report.raw["cosine"].low is None  # no interval: the points of a cell share their x̂
    assert explorer.pairs[0].shape == (64, 2)


STATES = [{}, {"merged": True}, {"merged": True, "factor": 0},
          {"norm_x": 0}, {"norm_ratio": 0}, {"angle": 180}, {"angle": 90, "norm_ratio": 2},
          {"population": True, "measure": "equation_10_v1"}]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=str)
def test_its_figure_can_be_drawn_in_every_state(explorer, state):
    explorer._go_to(state)
    made = explorer.figure()
    made.canvas.draw()
    assert len(made.axes) >= 3
    pyplot.close(made)


@pytest.mark.parametrize("number", [claim.number for claim in claims()])
def test_each_claim_has_a_state_and_is_shown_with_numbers(explorer, number):
    shown = explorer.claim(number)
    assert explorer.state == checked({preset.key: preset for preset in presets()}[STATES_OF_CLAIMS[number]].settings)
    for text in (str(shown), shown._repr_markdown_() if hasattr(shown, "_repr_markdown_") else str(shown)):
        assert text.strip()
        assert not re.search(r"\bnan\b|\binf\b|None|Traceback", text)


def test_claim_5_is_shown_at_60_degrees_with_its_numbers(explorer):
    text = str(explorer.claim("C5"))
    assert (explorer.angle, explorer.norm_ratio) == (60, 1)
    assert "0.5" in text or "1/2" in text


def test_unknown_claims_and_presets_are_refused(explorer):
    with pytest.raises(InputError, match="C99"):
        explorer.claim("C99")
    with pytest.raises(InputError, match="there is no preset 'nothing'; the presets are near-perpendicular"):
        explorer.preset("nothing")


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.key)
def test_a_presets_sentences_are_whole(preset):
    words = preset.in_words()
    assert words["state"] == checked(preset.settings)
    for name in ("notice", "question", "answer"):
        assert not re.search(r"[{}]|\bnan\b|\binf\b|None", words[name])
    assert words["question"].endswith("?")
    assert preset.claim in {claim.number for claim in claims()}


def test_the_law_in_the_saes_presets_can_be_checked_by_hand():
    """λ, P and c as written give the γ that is written as predicted, to its four digits."""
    relu, gated = (preset.numbers for preset in presets() if preset.key in ("relu", "gated"))
    l1, scale, penalty, c, predicted, measured = (
        float(relu[f"law_{key}"]) for key in ("l1", "scale", "penalty", "c", "predicted", "gamma")
    )
    assert 1 - l1 / scale * penalty / (2 * c) == pytest.approx(predicted, abs=1e-4)
    assert measured == pytest.approx(predicted, abs=1e-3)
    assert (float(gated["law_l1"]), float(gated["law_predicted"])) == (0, 1)
    assert gated["law_source"] == "the penalty of a gated SAE does not grow with its latents"


def test_linked_sliders_have_the_explorers_values_and_limits(explorer):
    explorer.angle = 77
    box = explorer.sliders()
    assert [slider.value for slider in box.children][:3] == [77, 0.6, 1]
    assert all(slider.min <= slider.value <= slider.max for slider in box.children)
    assert [type(slider.value) for slider in box.children][-4:] == [int, int, int, float]  # n, seed, cells, factor


def test_the_page_is_small_and_refers_to_nothing_outside(tmp_path):
    file = tmp_path / "explorer.html"
    report = tmp_path / "pair.json"
    report.write_bytes(embedded("reports").read_bytes().replace(b"minilm-", b"mine-"))
    done = sandbox("page", file, "--report", report)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size < 200_000
    text = file.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\s\"'`<>]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert not re.search(
        r"\bimport\s*\(|\bfetch\(|XMLHttpRequest|WebSocket|@import|<link(?! rel=\"icon\" href=\"data:)", text
    )
    assert "default-src 'none'" in text
    [saes] = re.findall(r"^const saes = (.*);$", text, re.MULTILINE)
    assert [sae["name"] for sae in json.loads(saes)] == ["mine-relu", "mine-gated"]


NO_REPORTS = {
    "nothing": "",
    "no json": "{",
    "a list": "[]",
    "a number": "7",
    "no SAEs": '{"saes": null}',
    "none at all": '{"saes": []}',
    "numbers for SAEs": '{"saes": [1, 2]}',
    "no name": '{"saes": [{"raw": {}}]}',
    "measures of another kind": '{"saes": [{"name": "a", "raw": []}]}',
    "no value": '{"saes": [{"name": "a", "raw": {"cosine": {}, "norm_ratio": {}}}]}',
    "null": '{"saes": [{"name": "a", "raw": {"cosine": {"value": null}, "norm_ratio": {"value": 1}}}]}',
    "NaN": '{"saes": [{"name": "a", "raw": {"cosine": {"value": NaN}, "norm_ratio": {"value": 1}}}]}',
    "Infinity": '{"saes": [{"name": "a", "raw": {"cosine": {"value": 0.5}, "norm_ratio": {"value": Infinity}}}]}',
    "a cosine of 2": '{"saes": [{"name": "a", "raw": {"cosine": {"value": 2}, "norm_ratio": {"value": 1}}}]}',
    "a negative length": '{"saes": [{"name": "a", "raw": {"cosine": {"value": 0}, "norm_ratio": {"value": -1}}}]}',
    "words": '{"saes": [{"name": "a", "raw": {"cosine": {"value": "1"}, "norm_ratio": {"value": "1"}}}]}',
    "truth": '{"saes": [{"name": "a", "raw": {"cosine": {"value": true}, "norm_ratio": {"value": true}}}]}',
    "beyond float64": '{"saes": [{"name": "a", "raw": {"cosine": {"value": 0}, "norm_ratio": {"value": 1'
    + "0" * 400 + "}}}]}",
    "deeply nested": "[" * 100_000,
    "no text": b"\xff\xfe\x00\x81",
}  # fmt: skip


@pytest.mark.parametrize("text", NO_REPORTS.values(), ids=NO_REPORTS)
def test_a_file_that_is_no_report_is_refused_by_its_name(tmp_path, text):
    file = tmp_path / "bad.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=r"bad\.json") as refused:
        saes_of(file)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300 + len(str(file))


def test_the_command_refuses_a_bad_report_with_one_line_and_writes_nothing(tmp_path):
    bad, out = tmp_path / "bad.json", tmp_path / "p.html"
    bad.write_text('{"saes": 3}')
    for arguments in (["page", out, "--report", bad], ["explore", "--no-browser", "--report", tmp_path / "none.json"]):
        done = sandbox(*arguments)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert ".json" in done.stderr
    assert not out.exists()


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_explore_serves_the_site_and_nothing_else_to_this_machine_alone():
    command = [sys.executable, "-m", "sandbox", "explore", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        [address] = re.findall(r"http://127\.0\.0\.1:\d+/(?=explorer\.html )", line)
        assert status(address) == status(address + "index.html")
        assert status(address + "explorer/generated.js") == (200, generated().encode())
        for path in ("favicon.ico", "../pyproject.toml", "%2e%2e/etc/passwd", "sandbox", "explorer.html/x"):
            assert status(address + path)[0] == 404
        listening = [one.laddr.ip for one in psutil.Process(server.pid).net_connections() if one.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
    finally:
        server.terminate()
        server.communicate(timeout=20)


def level_curves_in(text):
    """The level curves in the module's text, by measure."""
    [line] = re.findall(r"^const levels = (.*);$", text, re.MULTILINE)
    return json.loads(line)


@pytest.mark.parametrize("key", ["relative_reconstruction_bias", "angle_loss"])
def test_changing_the_registry_changes_the_module_and_its_curves(key, monkeypatch):
    before = module()
    changed = REGISTRY[key].expression + a / (b + c + 7)
    monkeypatch.setitem(REGISTRY, key, replace(REGISTRY[key], formula=lambda: changed, root=None, range=Reals))
    after = module()
    [entry] = [one for one in after.splitlines() if one.startswith(f"  {key}: {{plain:")]
    assert "b + c + 7" in entry
    assert "b + c + 7" not in before
    levels = [level_curves_in(text) for text in (before, after)]
    assert levels[0][key] != levels[1][key]
    assert all(levels[0][other] == levels[1][other] for other in set(REGISTRY) - {key})


def test_level_curves_lie_where_their_measure_has_their_value():
    for key, curves in level_curves_in(module()).items():
        for curve in curves:
            points = [tuple(map(float, point.split(","))) for point in re.findall(r"[-\d.]+,[-\d.]+", curve["path"])]
            for rho, r in points[1:-1]:
                if r < 0.2:  # near the origin the levels are closer together than the grid
                    continue
                value = evaluate(REGISTRY[key], 1.0, r**2, rho * r).item()
                slope = max(
                    abs(evaluate(REGISTRY[key], 1.0, (r + dr) ** 2, (rho + d) * (r + dr)).item() - value)
                    for d, dr in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))
                )  # a grid of 0.01 with linear interpolation, written to three digits
                assert value != value or value == pytest.approx(curve["value"], abs=1.5 * slope + 1e-3), (key, rho, r)


def test_the_embedded_points_are_those_of_a_fresh_measurement():
    file = json.loads(embedded("reports").read_text(encoding="utf-8"))
    kept, names = file["saes"], ["minilm-relu", "minilm-gated"]
    assert [one["name"] for one in kept] == names
    reports = measure(
        [embedded(name) for name in names], embedded("activations"), documents=embedded("documents"), device="cpu"
    )
    fresh = json.loads(to_json(reports))
    for one, found in zip(kept, fresh["saes"], strict=True):
        assert found.keys() >= one.keys()
        assert found["law"].keys() >= one["law"].keys()
        assert (found["tokens"], found["documents"]) == (one["tokens"], one["documents"])
        for origin in ("raw", "centred"):
            for key in REGISTRY:
                for part in ("value", "low", "high"):  # another machine adds the float32 products in another order
                    assert found[origin][key][part] == pytest.approx(one[origin][key][part], abs=1e-6)
        for key in ("gamma", "predicted"):
            assert found["law"][key]["value"] == pytest.approx(one["law"][key]["value"], abs=1e-6)
        for key in ("word", "l1", "source"):
            assert found["law"][key] == one["law"][key]
    assert len(fresh["differences"]) == len(file["differences"]) > 0
    for found, one in zip(fresh["differences"], file["differences"], strict=True):
        assert (found["of"], found["origin"], found["measure"]) == (one["of"], one["origin"], one["measure"])
        assert found["value"] == pytest.approx(one["value"], abs=1e-6)


def test_the_points_of_reports_and_of_their_files_are_the_same(tmp_path):
    x = torch.randn(80, 6, dtype=torch.float64)
    reports = [Report(name, Moments.from_pairs(x, factor * x)) for name, factor in (("half", 0.5), ("double", 2.0))]
    file = tmp_path / "r.json"
    file.write_text(to_json(reports))
    assert Explorer(reports).saes == Explorer(file).saes == Explorer([str(file)]).saes == saes_of(file)
    assert [round(point["norm_ratio"], 9) for point in saes_of(file)] == [0.5, 2]
    with pytest.raises(InputError, match="dead: its cosine or norm ratio is undefined"):
        Explorer(Report("dead", Moments.from_pairs(x, 0 * x)))


def test_the_series_gives_students_quantiles():
    series = quantiles()
    chebyshev = np.polynomial.Chebyshev(series["series"], series["domain"])
    for degrees in (1, 1.5, 7, BLOCKS - 1):
        assert np.exp(chebyshev(1 / degrees)) == pytest.approx(stdtrit(degrees, 0.975), rel=1e-12)


def test_gamma_is_undefined_in_the_left_half_of_the_map():
    corners = re.findall(r"(-?[\d.]+),(-?[\d.]+)", undefined_regions()["relative_reconstruction_bias"])
    across = [float(rho) for rho, r in corners if float(r) > 0.02]  # below, x̂ is zero
    assert (min(across), max(across)) == (-1, 0)
