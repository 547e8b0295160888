"""Outputs take nobody's place, and come whole or not at all: every output option of every command, on a full disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sandbox.errors import InputError
from sandbox.moments.machine_code import compiled
from sandbox.system.files import check_new_folder, folder_written_whole, write_text, written_whole
from sandbox.system.outputs import check_outputs
from tests.helpers.runs import D, sandbox, save_sae


def add_one(numbers):
    numbers[0] += 1


def test_a_disk_too_full_for_machine_code_computes_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    code, numbers, before = compiled(add_one), np.zeros(1), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        code(numbers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert numbers[0] == 1


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    x = np.random.default_rng(0).standard_normal((600, D)).astype(np.float32) + 0.4
    np.save(folder / "x.npy", x)
    np.save(folder / "h.npy", 0.8 * x + 0.2)
    np.save(folder / "ids.npy", np.arange(600) // 20)
    save_sae(folder / "sae", 0)
    return folder


def of_sae(inputs: Path, name: str = "measure") -> list[str]:
    given = [name, "--sae", inputs / "sae", "--activations", inputs / "x.npy", "--documents", inputs / "ids.npy"]
    return [*map(str, given), "--no-preflight"]


def here(command: list[str], folder: Path, limit: int | None = None) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command that is run in this process."""
    done = sandbox(*command, cwd=folder, limit=limit)
    return done.returncode, done.stdout, done.stderr


def in_a_process(command: list[str], **options) -> subprocess.CompletedProcess:
    given = {"capture_output": True, "text": True, "check": False, "timeout": 300} | options
    return subprocess.run([sys.executable, "-m", "sandbox", *command], **given)


OUTPUTS = {
    "measure --json": (of_sae, ["--json", "o.json"], "relative_reconstruction_bias"),
    "measure --csv": (of_sae, ["--csv", "o.csv"], "relative_reconstruction_bias"),
    "measure --plot pdf": (of_sae, ["--plot", "o.pdf"], "relative_reconstruction_bias"),
    "measure --plot png": (of_sae, ["--plot", "o.png"], "relative_reconstruction_bias"),
    "measure --latents npz": (of_sae, ["--latents", "o.npz"], "relative_reconstruction_bias"),
    "measure --latents parquet": (of_sae, ["--latents", "o.parquet"], "relative_reconstruction_bias"),
    "measure --checkpoint": (of_sae, ["--checkpoint", "o", "--every", "0"], "relative_reconstruction_bias"),
    "rescale --out": (lambda f: of_sae(f, "rescale"), ["--out", "o"], "relative_loss"),
    "simulate --json": (lambda _: ["simulate", "--n", "1000"], ["--json", "o.json"], "scale_x"),
    "check --json": (lambda _: ["check", "c/a == c/b"], ["--json", "o.json"], "is FALSE"),
    "check --plot": (lambda _: ["check", "c/a == c/b"], ["--plot", "o.svg"], "is FALSE"),
    "page": (lambda _: ["page"], ["o.html"], ""),
}
SMALL = ("measure --csv", "measure --json", "simulate --json", "check --json")  # of less than 3000 bytes, some


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_one_line_and_leaves_the_report_on_the_screen(name, inputs, tmp_path):
    command, output, shown = OUTPUTS[name]
    for limit in (0, 100, 3000):
        code, printed, said = here([*command(inputs), *output], tmp_path, limit)
        if code == 0:
            assert limit == 3000
            assert name in SMALL
            return
        assert code == 2, said
        assert len(said.strip().splitlines()) == 1, said
        assert f"cannot write {output[0] if name == 'page' else output[1]}: File too large" in said
        assert shown in printed
        assert not list(tmp_path.iterdir())


def test_one_output_that_fails_costs_no_other(inputs, tmp_path):
    command = [*of_sae(inputs), "--plot", "o.png", "--csv", "o.csv", "--json", "o.json"]
    code, _, said = here(command, tmp_path, 20_000)
    assert code == 2, said
    assert "cannot write o.png" in said
    assert {path.name for path in tmp_path.iterdir()} == {"o.csv", "o.json"}


PLACES = {"a name too long": "o" * 300, "under a file": "file/o", "a loop": "loop", "the system's": "/proc/o"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_cannot_be_written_is_refused_before_any_work(name, inputs, tmp_path):
    command, output, _ = OUTPUTS[name]
    old = output[0] if name == "page" else output[1]
    ending = Path(old).suffix
    (tmp_path / "file").write_text("")
    (tmp_path / f"loop{ending}").symlink_to(f"loop{ending}")
    before = set(tmp_path.iterdir())
    for place in PLACES.values():
        to = place + ending
        code, printed, said = here([*command(inputs), *[to if one == old else one for one in output]], tmp_path)
        assert code == 2, said
        assert len(said.strip().splitlines()) == 1, said
        assert "cannot write" in said
        assert not printed
    assert set(tmp_path.iterdir()) == before


def test_an_input_is_known_by_its_file_and_not_by_its_name(inputs, tmp_path):
    for name in ("x[1].npy", "x1.npy"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("x[1].npy")
    os.link(tmp_path / "x[1].npy", tmp_path / "hard")
    (tmp_path / "s[1]").mkdir()
    (tmp_path / "s[1]" / "cfg.json").write_text("{}")
    os.link(tmp_path / "s[1]" / "cfg.json", tmp_path / "other.json")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "shard.npy").symlink_to(tmp_path / "x1.npy")
    refused = {
        ("x[1].npy", "x[1].npy"),
        ("link", "x[1].npy"),
        ("hard", "x[1].npy"),
        ("x[1].npy", "link"),
        ("s[1]/../x[1].npy", "hard"),
        ("s[1]/cfg.json", "s[1]"),
        ("other.json", "s[1]"),
        ("x1.npy", "x?.npy"),
        ("x1.npy", "linked"),
        ("hard", "x[[]1].npy"),
    }
    for output, given in refused:
        with pytest.raises(InputError, match="would be overwritten"):
            check_outputs([tmp_path / output], [tmp_path / given])
    check_outputs([tmp_path / "x1.npy"], [tmp_path / "x[1].npy"])  # a file of that name is no pattern
    check_outputs([tmp_path / "s[1]" / "new.json"], [tmp_path / "s[1]"])


@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.pdf", "latents.npz", "latents.parquet"])
@pytest.mark.parametrize("there", ["new", "old", "other.txt"])
def test_the_format_is_that_of_the_name_given_wherever_a_link_leads(name, there, inputs, tmp_path):
    """matplotlib and NumPy look at the name they write to, and of a link's target without an ending knew nothing."""
    if there == "old":
        (tmp_path / there).write_text("what was here before")
    (tmp_path / name).symlink_to(there)
    option = f"--{name.partition('.')[0]}"
    sae, x = inputs / "sae", inputs / "x.npy"
    status, _, said = here(["measure", "--sae", str(sae), "--activations", str(x), option, name], tmp_path)
    assert status == 0, said[-300:]
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".npz": b"PK", ".parquet": b"PAR1"}
    assert (tmp_path / there).read_bytes().startswith(begins[Path(name).suffix])
    assert (tmp_path / name).is_symlink()
    assert sorted(os.listdir(tmp_path)) == sorted({name, there})


def test_two_outputs_are_told_apart_as_files(tmp_path):
    (tmp_path / "a").write_text("")
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("new")
    for pair in (("a", "b"), ("c", "new"), ("new", "./new")):
        with pytest.raises(InputError, match="is named for two outputs"):
            check_outputs([tmp_path / one for one in pair])


def test_the_command_line_overwrites_neither_activations_nor_settings(inputs, tmp_path):
    command = of_sae(inputs)
    before = (inputs / "sae" / "cfg.json").read_bytes()
    done = sandbox(*command, "--json", str(inputs / "sae" / "cfg.json"))
    assert (done.returncode, (inputs / "sae" / "cfg.json").read_bytes()) == (2, before)
    command[2] = str(inputs / "sae" / "sae_weights.safetensors")  # the file alone, with its settings beside it
    done = sandbox(*command, "--csv", str(inputs / "sae" / "cfg.json"))
    assert (done.returncode, (inputs / "sae" / "cfg.json").read_bytes()) == (2, before)
    done = sandbox(*command, "--checkpoint", str(inputs / "x.npy"))
    assert done.returncode == 2
    assert "would be overwritten" in done.stderr


def test_a_sweep_does_not_write_into_the_folder_that_it_reads(inputs, tmp_path):
    (tmp_path / "link").symlink_to(inputs)
    code, _, said = here(["figure6", "--activations", str(inputs), "--out", str(tmp_path / "link")], tmp_path)
    assert code == 2
    assert "is an input and would be overwritten" in said


def test_an_argument_of_nothing_is_refused(inputs, tmp_path):
    for empty in (["--activations", ""], ["--activations="]):
        done = sandbox("measure", "--sae", inputs / "sae", *empty, cwd=inputs)
        assert done.returncode == 2
        assert "is a variable unset?" in done.stderr
    with pytest.raises(InputError, match="path is empty"):
        write_text("", "x")


def test_what_a_kill_left_goes_with_the_next_save_and_what_is_being_written_stays(tmp_path):
    script = f"""
import sys, time
from sandbox.system.files import folder_written_whole, written_whole
with written_whole({str(tmp_path / "st")!r}) as a, folder_written_whole({str(tmp_path / "out")!r}) as b:
    a.write_text("half"); (b / "weights").write_text("half"); print("there", flush=True); time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "there\n"
        write_text(tmp_path / "st", "whole")
        assert len(list(tmp_path.glob(".*.part-*"))) == 2  # the other writer is at work
        writer.send_signal(signal.SIGKILL)
    (tmp_path / ".st-of-mine").write_text("kept")
    write_text(tmp_path / "st", "whole")
    with folder_written_whole(tmp_path / "out") as beside:
        (beside / "weights").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"st", "out", ".st-of-mine"}
    assert (tmp_path / "out" / "weights").read_text() == "whole"


def test_an_empty_folder_that_cannot_be_replaced_is_refused_before_any_work(tmp_path, monkeypatch):
    """Replaced, the current folder would be one that no shell in it sees; a mount cannot be."""
    monkeypatch.chdir(tmp_path)
    for name in (".", str(tmp_path)):
        with pytest.raises(InputError, match=r"is the current folder.*name a new folder in it"):
            check_new_folder(name)
    monkeypatch.chdir("/")
    check_new_folder(tmp_path)
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == tmp_path)
    with pytest.raises(InputError, match="is a mounted disk"):
        check_new_folder(tmp_path)


def test_what_is_no_matter_of_files_stays_an_error_of_the_program(tmp_path):
    with pytest.raises(TypeError), written_whole(tmp_path / "o"):
        raise TypeError("a mistake")
    assert not list(tmp_path.iterdir())


def test_half_a_pair_in_a_name_is_written_out(tmp_path):
    write_text(tmp_path / "o.csv", "n\udcff")
    assert (tmp_path / "o.csv").read_text() == "n\\udcff"


def test_a_report_reaches_the_reader_even_where_the_run_could_not_be_saved(inputs, tmp_path):
    command = [*of_sae(inputs), "--checkpoint", "st", "--every", "0", "--json", "-"]
    code, printed, said = here(command, tmp_path, 100)
    assert code == 2, said
    assert json.loads(printed)["saes"][0]["tokens"] == 600


def test_a_reader_that_goes_ends_the_program_as_sigpipe_does(inputs, tmp_path):
    command = [sys.executable, "-m", "sandbox", *of_sae(inputs), "--json", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as running:
        running.stdout.close()
        said = running.stderr.read()
        assert running.wait(60) == 141
    assert said == b""
    command = [sys.executable, "-m", "sandbox", *of_sae(inputs), "--json", "o.json"]  # the file is written all the same
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141
    assert (tmp_path / "o.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", [["prove", "C1"], ["check", "c/a == c/b"], ["check", "c/a == c/b", "--json", "-"]])
def test_a_screen_that_is_full_is_one_line(command):
    with Path("/dev/full").open("w") as full:
        done = in_a_process(command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "sandbox: standard output cannot be written to: No space left on device\n"


@pytest.mark.parametrize("command", [["prove", "C2"], ["check", "rho <= 1"], ["measure", "--no-preflight"]])
def test_a_screen_without_greek_letters_proves_and_measures_the_same(command, inputs):
    """SymPy asks standard output, as it is imported, whether to write ρ or rho."""
    if command[0] == "measure":
        command += ["--x", str(inputs / "x.npy"), "--x-hat", str(inputs / "h.npy")]
    ran = in_a_process(command, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "?" in ran.stdout  # what stands for a letter that the screen lacks


def test_a_shell_without_standard_output_is_no_traceback(inputs):
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m sandbox prove C1 >&-'], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
