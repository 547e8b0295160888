"""The site's figures hold what the committed sweeps do, from a checkout and from an installed package."""

import json
import tomllib
from pathlib import Path

import pytest

from sandbox import InputError
from sandbox.report import read_points
from sandbox.report.points import sae_name
from sandbox.site import results, words
from sandbox.site.reading import reading
from tests.house.test_imports import loaded_by

ROOT = Path(__file__).parents[2]
SETTINGS = ("architecture", "coefficient", "seed", "steps", "measured_on")


@pytest.mark.parametrize("name", results.FIGURES)
def test_every_finished_sae_is_there_with_the_estimates_of_the_sweeps_json(name):
    made = results.sweep(results.FIGURES[name])
    found = {tuple(point[key] for key in SETTINGS): point for point in made["points"]}
    committed = [point for sweep in results.FIGURES[name] for point in read_points(ROOT / "results" / sweep)]
    finished = [point for point in committed if point.finished]
    assert {tuple(getattr(point, key) for key in SETTINGS) for point in finished} <= found.keys()
    for point in finished:
        shown = found[tuple(getattr(point, key) for key in SETTINGS)]
        assert shown["l0"] == point.l0
        for origin in ("raw", "centred", "decoder_bias"):
            for key, (value, low, high, *_) in zip(made["measures"], shown[origin], strict=True):
                estimate = point.origins[origin][key]
                assert (value, low, high) == (estimate.value, estimate.low, estimate.high), (origin, key)


def test_the_lengths_share_is_the_sweeps_own_or_the_quotient_of_its_parts():
    length, loss = (results.sweep(("figure-7",))["measures"].index(key) for key in ("length_loss", "relative_loss"))
    points = [point for point in results.sweep(("figure-7",))["points"] if point["finished"]]
    shares = [(point["length_share"]["raw"], point["raw"][length][0] / point["raw"][loss][0]) for point in points]
    kept = [(share, quotient) for share, quotient in shares if share[1] is not None]
    assert 0 < len(kept) < len(shares)  # a sweep that kept it for some of its SAEs only
    for (value, *_), quotient in shares:
        assert value == pytest.approx(quotient, rel=1e-5, abs=1e-9)  # the file has seven digits


def test_the_loss_names_saes_of_the_sweep_and_shares_only_of_what_costs_something():
    loss = results.losses()
    swept = {
        sae_name(point["architecture"], point["coefficient"], point["seed"]): point["l0"]
        for point in results.sweep(("figure-6-smollm2",))["points"]
        if point["finished"] and point["measured_on"] == "held-out"
    }
    assert loss["saes"]
    for sae in loss["saes"]:
        assert sae["l0"] == swept[sae_name(sae["architecture"], sae["coefficient"], sae["seed"])]
        costs = sae["replacements"]["x_hat"]["cost"][1] > 0
        assert (sae["replacements"]["least_loss"]["share_of_cost"][0] is not None) is costs
        assert sae["curve"] == sorted(sae["curve"])
        assert dict(sae["curve"])[1] == 0


def test_an_installed_package_has_its_own_files(monkeypatch, tmp_path):
    expected = dict(results.files())
    monkeypatch.setattr(results, "PACKAGED", results.CHECKOUT)
    monkeypatch.setattr(results, "CHECKOUT", tmp_path)
    assert dict(results.files()) == expected
    monkeypatch.setattr(results, "PACKAGED", tmp_path)
    with pytest.raises(InputError, match=r"figure-6.csv is missing: install"):
        dict(results.files())


def test_the_wheel_takes_every_file_that_is_read_and_no_other(monkeypatch):
    read, rows = set(), results.rows
    monkeypatch.setattr(results, "rows", lambda sweep, file: read.add((sweep, file)) or rows(sweep, file))
    monkeypatch.setattr("sandbox.site.reading.rows", results.rows)
    dict(results.files())
    reading()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    taken = build["targets"]["wheel"]["force-include"]
    assert taken == {f"results/{sweep}/{file}": f"sandbox/data/results/{sweep}/{file}" for sweep, file in read}
    assert results.PACKAGED == ROOT / "sandbox" / "data" / "results"


def test_the_stored_words_are_pythons():
    assert words.FILE.read_text("utf-8") == words.words()


def test_the_results_need_no_torch():
    assert "torch" not in loaded_by("from sandbox.site import build; dict(build.files())")


def test_the_files_are_plain_json():
    for name, content in results.files():
        assert name.startswith("results/")
        json.loads(content, parse_constant=pytest.fail)
