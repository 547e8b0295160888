"""The command line on files: what it reads and writes, and what it refuses with one line and exit status 2."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sandbox import checkpoints, plots
from sandbox.activations import activations
from sandbox.data import embedded
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure, measure_pairs
from sandbox.moments.moments import Moments
from sandbox.report import Report
from sandbox.report.parts import PARTS
from sandbox.system.files import written_whole
from tests.helpers import runs

EMBEDDED = ["--sae", "embedded:minilm-gated", "--activations", "embedded:activations"]


def sandbox(*arguments, cwd=".", expect: int = 0) -> subprocess.CompletedProcess:
    done = runs.sandbox(*arguments, cwd=cwd)
    assert done.returncode == expect, done.stderr
    return done


def shrunk(x):
    """A reconstruction that is not a multiple of x."""
    return 0.8 * x + 0.1 * x.abs()


@pytest.fixture(scope="module")
def x():
    return torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def files(tmp_path_factory, x):
    """The same activations and reconstructions in every supported format."""
    folder = tmp_path_factory.mktemp("files")
    x_hat = shrunk(x)
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "x_hat.npy", x_hat.numpy())
    np.save(folder / "x16.npy", x.half().numpy())
    np.save(folder / "x3d.npy", x.reshape(10, 100, 16).numpy())
    np.save(folder / "ids.npy", np.arange(1000) // 50)
    save_file({"x": x}, folder / "x.safetensors")
    save_file({"x": x.bfloat16()}, folder / "x_bf16.safetensors")
    save_file({"ids": torch.arange(1000) // 50}, folder / "ids.safetensors")
    return folder


def test_the_json_has_the_promised_form():
    done = sandbox("measure", *EMBEDDED, "--documents", "embedded:documents", "--json", "-")
    (report,) = json.loads(done.stdout)["saes"]
    assert report["name"] == "minilm-gated"
    assert report["tokens"] > 5000
    assert report["documents"] >= 60
    assert 20 < report["l0"] < 100
    parts = [key for of_part in PARTS.items() for key in (of_part[0], of_part[1][1]) if key not in REGISTRY]
    for origin, more in {"raw": parts, "centred": [], "decoder_bias": parts}.items():
        assert list(report[origin]) == [*REGISTRY, *more]
        for value in report[origin].values():
            assert value["low"] <= value["value"] <= value["high"]


def test_an_undefined_measure_is_null_with_its_reason(files, tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((1000, 16), np.float32))
    done = sandbox("measure", "--x", files / "x.npy", "--x-hat", tmp_path / "zero.npy", "--json", "-")
    gamma = json.loads(done.stdout)["saes"][0]["raw"]["relative_reconstruction_bias"]
    assert gamma["value"] is None
    assert "b = 0" in gamma["reason"]


def test_the_csv_says_what_the_json_says(files, tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((1000, 16), np.float32))
    pair = ["--x", files / "x.npy", "--x-hat", tmp_path / "zero.npy"]
    sandbox("measure", *pair, "--csv", tmp_path / "r.csv", "--json", tmp_path / "r.json")
    (report,) = json.loads((tmp_path / "r.json").read_text())["saes"]
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            origin, _, library = row["origin"].partition(" ")
            cell = report[origin][library][row["measure"]] if library else report[origin][row["measure"]]
            cell = {"value": cell} if library else cell
            for column in ("value", "low", "high"):
                assert row[column] == ("" if cell.get(column) is None else str(cell[column]))
            assert row["reason"] == cell.get("reason", "")


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("before")
    path.chmod(0o600)

    def fail() -> None:
        with written_whole(path) as beside:
            beside.write_text("aft")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert path.read_text() == "before"
    with written_whole(path) as beside:
        beside.write_text("after")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("after", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["[/foo]", "a$\\frac$b"])
def test_any_name_can_be_printed_and_drawn(name, files, tmp_path):
    pair = ["--x", files / "x.npy", "--x-hat", files / "x_hat.npy"]
    assert name in sandbox("measure", *pair, "--name", name, "--plot", tmp_path / "r.png").stdout


def test_the_plane_shows_each_tip_where_it_is(x):
    report = measure_pairs(x, shrunk(x))
    with plots.figure(5, 5) as (_, (ax,)):
        plots.plane([report], ax)
        tips = [line.get_xydata()[0] for line in ax.lines if line.get_label().startswith("x_hat")]
    a, b, c = report.moments.means.tolist()
    assert tips[0] == pytest.approx((c / a, (b / a - (c / a) ** 2) ** 0.5), rel=1e-9)


def test_every_output_is_written(files, tmp_path):
    done = sandbox(
        *("measure", "--x", files / "x.npy", "--x-hat", files / "x_hat.npy", "--name", "mine"),
        *("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv", "--plot", tmp_path / "r.png"),
    )
    for key in REGISTRY:
        assert key in done.stdout
    assert "mine shrinks by" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["saes"][0]["name"] == "mine"
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["origin"], row["measure"]) for row in csv.DictReader(file)]
    assert {(origin, key) for origin in ("raw", "centred") for key in REGISTRY} < set(rows)
    assert len(set(rows)) == len(rows)
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json", "r.png"]  # no half-written file


@pytest.mark.parametrize("name", ["x.npy", "x3d.npy", "x.safetensors", "x16.npy", "x_bf16.safetensors"])
def test_every_format_is_read(name, files, x):
    rows = activations(files / name)
    assert rows.tokens == 1000
    assert rows.width == 16
    stored = {"x16.npy": x.half(), "x_bf16.safetensors": x.bfloat16()}.get(name, x)
    for size in (7, 1000):
        assert torch.equal(torch.cat([chunk.x for chunk in rows.chunks(size)]), stored)


@pytest.mark.parametrize("ids", ["ids.npy", "ids.safetensors"])
@pytest.mark.parametrize("batch_size", [64, 4096])
def test_files_tensors_and_any_batch_size_agree(ids, batch_size, files, x):
    x_hat = shrunk(x)
    documents = torch.arange(1000) // 50
    expected = Report("", Moments.from_pairs(x, x_hat, documents))
    settings = {"documents": files / ids, "batch_size": batch_size}
    for report in (
        measure_pairs(files / "x.npy", files / "x_hat.npy", **settings),
        measure(shrunk, files / "x.safetensors", **settings),
        measure_pairs(x, x_hat, documents=documents, batch_size=batch_size),
    ):
        assert report.documents == 20
        for origin in ("raw", "centred"):
            for key, estimate in getattr(expected, origin).items():
                got = getattr(report, origin)[key]
                assert got.value == pytest.approx(estimate.value, rel=1e-9)

                assert (got.low, got.high) == pytest.approx((estimate.low, estimate.high), rel=1e-9)


def test_l0_counts_nonzero_latents():
    sae = checkpoints.load(embedded("minilm-relu"))
    x = torch.cat([chunk.x for chunk in activations(embedded("activations")).chunks(1000)]).float()
    with torch.no_grad():
        expected = (sae.encode(x) > 0).sum().item() / len(x)
    assert measure(embedded("minilm-relu"), embedded("activations"), device="cpu").l0 == pytest.approx(expected)


def test_dropped_tokens_are_said_and_leave_l0_alone():
    sae = checkpoints.load(embedded("minilm-relu"))
    x = torch.cat([chunk.x for chunk in activations(embedded("activations")).chunks(1000)]).float()[:500]
    harmed = torch.cat((x, x[:3] * torch.nan))
    report = measure(sae, harmed, drop_nonfinite=True)
    assert (report.tokens, report.dropped) == (500, 3)
    assert "3 not finite, dropped" in report.facts()
    assert report.l0 == pytest.approx(measure(sae, x).l0)


def test_an_sae_that_works_in_place_changes_nothing(x):
    before = x.clone()
    report = measure(lambda t: t.mul_(0.5), x, batch_size=100)
    assert report.raw["relative_reconstruction_bias"].value == 0.5
    assert torch.equal(x, before)


class Signed(torch.nn.Module):
    """An SAE with latents of either sign, and dropout that must be off while it is measured."""

    def __init__(self):
        super().__init__()
        self.noise = torch.nn.Dropout(0.5)

    def encode(self, x):
        return self.noise(x * (x.abs() > 1))

    def decode(self, feature_acts):
        return feature_acts

    def forward(self, x):
        return self.decode(self.encode(x))


def test_negative_latents_count_and_modules_are_measured_in_evaluation_mode(x):
    sae = Signed()
    report = measure(sae, x)
    kept = x.abs() > 1
    assert report.l0 == pytest.approx(kept.sum().item() / len(x))
    assert report.raw["scale_x"].value == pytest.approx((x[kept].square().sum() / x.square().sum()).item(), rel=1e-5)
    assert sae.training
    assert sae.noise.training


class Odd(torch.nn.Module):
    """A module whose decode(encode(x)) differs from its forward pass."""

    def encode(self, x):
        return x.relu()

    def decode(self, feature_acts):
        return feature_acts

    def forward(self, x):
        return 0.5 * x


def test_latents_are_only_counted_where_they_make_the_reconstruction(x):
    report = measure(Odd(), x)
    assert report.raw["relative_reconstruction_bias"].value == 0.5
    assert report.l0 is None
    assert "L0 unknown" in report.facts()


REFUSED = {
    "nothing to measure": (["measure"], "or --x with --x-hat; found none of them"),
    "half a pair": (["measure", "--x", "x.npy"], "found --x"),
    "two sources": (["measure", *EMBEDDED, "--x", "x.npy"], "found --sae --activations --x"),
    "no such SAE": (["measure", "--sae", "none", "--activations", "x.npy"], "none: there is no such file or folder"),
    "no such file": (["measure", "--x", "none.npy", "--x-hat", "x.npy"], "none.npy: there is no such file"),
    "no such embedded": (
        ["measure", "--sae", "embedded:none", "--activations", "x.npy"],
        "nothing embedded is named",
    ),
    "another format": (
        ["measure", "--x", "x.csv", "--x-hat", "x.npy"],
        "read from .npy, .safetensors, .pt, .pth files",
    ),
    "not what it says": (["measure", "--x", "text.npy", "--x-hat", "x.npy"], "text.npy is not a .npy file"),
    "nor this": (["measure", "--x", "text.safetensors", "--x-hat", "x.npy"], "cannot be read as safetensors"),
    "cut short": (["measure", "--x", "cut.npy", "--x-hat", "x.npy"], "cut.npy is cut short"),
    "pickled": (["measure", "--x", "object.npy", "--x-hat", "x.npy"], "have dtype object"),
    "whole numbers": (["measure", "--x", "ids.npy", "--x-hat", "x.npy"], "have dtype I64"),
    "Fortran order": (["measure", "--x", "fortran.npy", "--x-hat", "x.npy"], "stored in Fortran order"),
    "two tensors": (["measure", "--x", "two.safetensors", "--x-hat", "x.npy"], "holds 2 tensors"),
    "empty": (["measure", "--x", "empty.npy", "--x-hat", "x.npy"], "with at least one token, is needed"),
    "other lengths": (["measure", "--x", "x.npy", "--x-hat", "short.npy"], "they must agree"),
    "nan": (["measure", "--x", "nan.npy", "--x-hat", "x.npy"], "1 of 1000 tokens of x have a NaN"),
    "another width": (["measure", *EMBEDDED[:2], "--activations", "x.npy"], "dimension 384, but x.npy has 16"),
    "documents too few": (["measure", *EMBEDDED, "--documents", "ids.npy"], "1000 document ids for"),
    "device": (["measure", *EMBEDDED, "--device", "tpu"], "choose auto or cpu"),
    "dtype": (["measure", *EMBEDDED, "--dtype", "int8"], "choose float32, float64, bfloat16"),
    "plot without an ending": (["measure", *EMBEDDED, "--plot", "plot"], "a plot is written as .png, .svg or .pdf"),
    "nowhere to write": (["measure", *EMBEDDED, "--json", "none/r.json"], "cannot write none/r.json"),
    "an output over its input": (
        ["measure", "--x", "x.npy", "--x-hat", "x_hat.npy", "--json", "x.npy"],
        "is an input and would be overwritten",
    ),
    "one output over another": (["measure", *EMBEDDED, "--json", "r", "--csv", "r"], "r is named for two outputs"),
    "an output in an SAE": (
        ["measure", "--sae", "sae", "--activations", "x.npy", "--json", "sae/cfg.json"],
        "is in an input folder",
    ),
    "an output among shards": (
        ["measure", "--x", "shards", "--x-hat", "x.npy", "--csv", "shards/0.npy"],
        "is in an input folder",
    ),
    "CSV on standard output": (["measure", *EMBEDDED, "--csv", "-"], "only --json can write to standard output"),
    "a file for each process, and one process": (["measure", "--x", "x{rank}.npy", "--x-hat", "x.npy"], "use torchrun"),
    "a device without numbers": (["measure", *EMBEDDED, "--device", "meta"], "choose auto or cpu"),
    "too large a batch": (["measure", *EMBEDDED, "--published", "9" * 30], "Invalid value for '--published'"),
    "strict, and nothing to refuse": (["measure", *EMBEDDED, "--strict", "--no-preflight"], "leave out --no-preflight"),
    "rescale as strict": (
        ["rescale", *EMBEDDED, "--out", "new", "--strict", "--no-preflight"],
        "leave out --no-preflight",
    ),
    "latents of two": (["measure", *EMBEDDED, "--sae", "embedded:minilm-relu", "--latents", "l.npz"], "one --sae"),
    "latents of no kind": (["measure", *EMBEDDED, "--latents", "l.csv"], "written as .npz or .parquet"),
    "a name too few": (
        ["measure", *EMBEDDED, "--sae", "embedded:minilm-relu", "--name", "a"],
        "give one name per SAE",
    ),
    "a model without a layer": (["measure", *EMBEDDED[:2], "--model", "m", "--text", "t.txt"], "--layer or --hook"),
    "no such kind": (
        ["rescale", *EMBEDDED, "--out", "new", "--kind", "best"],
        "choose scalar, scale-shift",
    ),
    "from no L1": (["rescale", *EMBEDDED, "--out", "new", "--from-l1"], "gated SAE does not grow with its latents"),
    "from L1 and a fit": (
        ["rescale", *EMBEDDED, "--out", "new", "--from-l1", "--kind", "per-latent"],
        "leave out --kind per-latent",
    ),
    "L1 and a fit": (["rescale", *EMBEDDED, "--out", "new", "--l1", "1"], "--l1 needs --from-l1"),
    "a share of all": (["rescale", *EMBEDDED, "--out", "new", "--share", "1"], "share is 1"),
    "a folder that is there": (["rescale", *EMBEDDED, "--out", "shards"], "already exists"),
    "a folder to write to": (["measure", *EMBEDDED, "--csv", "."], "is a folder"),
    "seed": (["simulate", "--seed", "99999999999999999999"], "Invalid value for '--seed'"),
    "an option that is not there": (["measure", "--frobnicate"], "No such option: --frobnicate"),
    "a command that is not there": (["frobnicate"], "No such command 'frobnicate'"),
    "no claim": (["prove", "C99"], "there is no claim 'C99'"),
    "no claim named": (["prove"], "name a claim"),
    "angle": (["simulate", "--angle", "200"], "--angle is 200"),
    "no number": (["simulate", "--n", "many"], "Invalid value for '--n'"),
    "no pairs": (["simulate", "--n", "0"], "n is 0"),
}


@pytest.fixture(scope="module")
def bad(files, x):
    """A folder with good files and every kind of bad file."""
    (files / "x.csv").write_text("1,2\n")
    (files / "text.npy").write_text("nothing of the kind")
    (files / "text.safetensors").write_text("nothing of the kind")
    (files / "cut.npy").write_bytes((files / "x.npy").read_bytes()[:-100])
    np.save(files / "object.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    np.save(files / "fortran.npy", np.asfortranarray(x.numpy()))
    np.save(files / "empty.npy", np.zeros((0, 16), np.float32))
    np.save(files / "short.npy", x[:10].numpy())
    np.save(files / "nan.npy", torch.cat((x[:-1], x[:1] * torch.nan)).numpy())
    save_file({"x": x, "y": x.clone()}, files / "two.safetensors")
    (files / "shards").mkdir()
    np.save(files / "shards" / "0.npy", x.numpy())
    (files / "sae").mkdir()
    (files / "sae" / "cfg.json").write_text("{}")
    return files


def test_undefined_measures_make_a_plot_too(files, tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((1000, 16), np.float32))
    zero = tmp_path / "zero.npy"
    done = sandbox("measure", "--x", zero, "--x-hat", zero, "--plot", tmp_path / "r.png")
    assert (
        done.stderr
        == "sandbox: warning: zero: x is zero in every token of the sample: there is nothing to reconstruct\n"
    )
    assert "shrinkage is undefined, because" in done.stdout


def test_a_report_prints_and_embedded_names_work_from_python():
    report = measure("embedded:minilm-gated", "embedded:activations", device="cpu")
    assert report.name == "minilm-gated"
    for key in REGISTRY:
        assert key in str(report)
    assert " ".join(report.in_words().split()) in " ".join(str(report).split())  # however wide the page is


def test_an_interrupt_is_one_line_and_status_130(tmp_path):
    command = [sys.executable, "-m", "sandbox", "simulate", "--n", "2000000000"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    time.sleep(6)
    running.send_signal(signal.SIGINT)
    _, line = running.communicate(timeout=60)
    assert running.returncode == 130
    assert line.splitlines()[-1] == "sandbox: stopped"
    assert "Traceback" not in line


def test_a_reader_that_leaves_and_a_narrow_encoding_are_no_errors(tmp_path):
    command = f"{sys.executable} -m sandbox prove --all | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("C1")
    assert done.stderr == ""
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "sandbox", "prove", "C1"]
    done = subprocess.run(command, capture_output=True, text=True, env=ascii_only, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_status_2(name, bad):
    arguments, line = REFUSED[name]
    before = sorted(bad.iterdir())
    done = sandbox(*arguments, cwd=bad, expect=2)
    assert line in done.stderr
    assert done.stderr.startswith("sandbox: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert sorted(bad.iterdir()) == before  # nothing was left half-written
