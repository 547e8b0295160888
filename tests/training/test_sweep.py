"""A sweep trains with SAELens' trainers, measures on documents kept from the training, and goes on where it was."""

import csv
import json
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from sandbox.activations import activations
from sandbox.activations.split import Split
from sandbox.checkpoints import load
from sandbox.cli import figure6 as figure6_command
from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.report import ORIGINS, read_points
from sandbox.report.law import SCALED
from sandbox.training import ARCHITECTURES, Job, Training, figure6, gather, last_seen, plan, train, trainer
from sandbox.training.last_seen import by_last_step, last_step
from sandbox.training.sweep_data import SweepData
from sandbox.training.trainer import BatchSchedule
from tests.helpers.models import make_texts, save_model
from tests.helpers.runs import sandbox

with warnings.catch_warnings():  # SAELens' own imports may warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    import sae_lens

D, FEATURES, N, DOCUMENT = 12, 48, 6000, 30
SHORT = Training(d_sae=48, steps=40, batch=64, lr=1e-3)
BIAS = "relative_reconstruction_bias"


def tokens() -> tuple[np.ndarray, np.ndarray]:
    """Sparse features in random directions, and the document of each token."""
    rng = np.random.default_rng(0)
    strengths = np.maximum(rng.normal(size=(N, FEATURES)) - 1.3, 0)
    return (strengths @ rng.normal(size=(FEATURES, D))).astype(np.float32) + 0.2, np.arange(N) // DOCUMENT


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return gather(tmp_path_factory.mktemp("gathered") / "activations", activations(*tokens()), 0.2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    for name, held in zip(("x.npy", "ids.npy"), tokens(), strict=True):
        np.save(made / name, held)
    return made


def command(files: Path, out: Path, *more: object) -> list[str]:
    given = ["figure6", "--activations", files / "x.npy", "--documents", files / "ids.npy", "--out", out]
    small = ["--held-out", 0.2, "--steps", 40, "--batch", 64, "--seeds", 0, "--device", "cpu", "--workers", 1]
    chosen = ["--coefficients", "relu=0.3,1", "--coefficients", "gated=1"]
    return [*map(str, [*given, *small, *chosen, *more])]


def test_every_document_is_on_one_side_and_every_token_is_there_once(data):
    x, ids = tokens()
    kept, trained = np.load(data.folder / "held-out-documents.npy"), np.load(data.folder / "train-documents.npy")
    assert not set(kept) & set(trained)
    assert set(kept) | set(trained) == set(ids)
    out = Split(0.2, seed=None).chosen(ids)
    np.testing.assert_array_equal(np.load(data.folder / "held-out.npy"), x[out])
    np.testing.assert_array_equal(data.train, x[~out])
    assert data.held_out_documents == len(set(kept)) == pytest.approx(0.2 * N / DOCUMENT, abs=2)  # evenly: off by few


def test_tokens_without_documents_are_split_in_long_stretches(tmp_path):
    x = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float16)
    found = gather(tmp_path / "activations", activations(x), 0.3)
    assert found.held_out_documents is None
    assert found.train.dtype == np.float16
    assert found.tokens + found.held_out_tokens == len(x)
    np.testing.assert_array_equal(np.load(tmp_path / "activations/held-out.npy")[:4096], x[:4096])


def test_ids_of_any_size_are_split_evenly():
    for ids in (np.arange(100_000), np.arange(100_000) + 2**53, np.random.default_rng(0).integers(0, 2**63, 100_000)):
        assert Split(0.05, seed=None).chosen(ids).mean() == pytest.approx(0.05, abs=0.004)  # 5 SE at random


def test_other_activations_of_the_same_name_are_refused(tmp_path):
    x, ids = tokens()
    gather(tmp_path / "activations", activations(x, ids), 0.2)
    for other in (activations(7 * x - 3, ids), activations(x, ids[::-1].copy())):
        with pytest.raises(InputError, match="was gathered from other activations or documents"):
            gather(tmp_path / "activations", other, 0.2)
    (tmp_path / "activations/train.npy").write_bytes((tmp_path / "activations/train.npy").read_bytes()[:1000])
    with pytest.raises(InputError, match="remove it to gather again"):
        gather(tmp_path / "activations", activations(x, ids), 0.2)


def test_the_scale_brings_the_training_tokens_to_a_norm_of_the_root_of_d(data):
    assert np.linalg.norm(data.scale * data.train, axis=1).mean() == pytest.approx(D**0.5, rel=1e-5)


def test_no_more_tokens_are_read_than_are_asked_for(tmp_path):
    found = gather(tmp_path / "activations", activations(*tokens()), 0.2, 1000)
    np.testing.assert_array_equal(found.train, gather(tmp_path / "all", activations(*tokens()), 0.2).train[:1000])
    assert found.tokens == 1000


def test_outliers_are_left_out_of_both_parts(tmp_path):
    x, ids = tokens()
    x[::DOCUMENT] *= 1000  # the first token of each document, as in many language models
    found = gather(tmp_path / "activations", activations(x, ids), 0.2, outliers_above=100)
    assert found.outliers == N // DOCUMENT
    assert found.tokens + found.held_out_tokens == N - found.outliers
    kept, trained = (np.load(tmp_path / f"activations/{part}-documents.npy") for part in ("held-out", "train"))
    assert set(np.bincount(np.concatenate([kept, trained]))) == {DOCUMENT - 1}
    assert found.scale == pytest.approx(D**0.5 / np.linalg.norm(found.train, axis=1).mean(), rel=1e-5)
    assert gather(tmp_path / "activations", activations(x, ids), 0.2, outliers_above=100) == found
    with pytest.raises(InputError, match="was gathered with outliers_above = 100, not None"):
        gather(tmp_path / "activations", activations(x, ids), 0.2)


def test_few_tokens_of_many_without_documents_are_no_lopsided_split(tmp_path):
    found = gather(tmp_path / "activations", activations(np.ones((40_000, 2), np.float32)), 0.05, 10_000)
    assert (found.tokens, found.held_out_tokens) == (10_000, 4096)  # a stretch is held out as a whole


def test_every_epoch_is_a_permutation_and_every_step_a_function_of_the_seed():
    rows = np.arange(100)[:, None]
    one, other = BatchSchedule(rows, 10, 3), BatchSchedule(rows, 10, 3)
    first = np.concatenate([one[step] for step in range(10)])[:, 0]
    second = np.concatenate([one[step] for step in range(10, 20)])[:, 0]
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any()
    np.testing.assert_array_equal(other[17], one[17])  # reached without those before
    assert (BatchSchedule(rows, 10, 4)[0] != one[0]).any()


def test_each_token_of_the_training_is_in_the_stretch_that_used_it_last(data, tmp_path):
    less_than_a_pass = replace(SHORT, batch=80)
    train(Job("gated", 1.0, 0), less_than_a_pass, data, tmp_path / "sae")
    found = dict(by_last_step(tmp_path / "sae", SweepData.at(data.folder), 4))
    assert [(steps.start, steps.stop) for steps in found] == [(-1, 0), (0, 10), (10, 20), (20, 30), (30, 40)]
    assert [report.tokens for report in found.values()] == [data.held_out_tokens, 800, 800, 800, 800]
    order = np.random.default_rng([0, 0]).permutation(data.tokens)
    measured = measure(tmp_path / "sae", data.training_tokens(np.sort(order[800:1600])), look=False)
    assert found[range(10, 20)].to_dict() == measured.to_dict()


def test_the_tokens_by_their_last_step_are_written_beside_the_sweep(tmp_path, monkeypatch, capsys):
    gathered = gather(tmp_path / "activations", activations(*tokens()), 0.2)
    train(Job("gated", 1.0, 0), SHORT, gathered, tmp_path / "saes" / "gated-1-seed-0")
    monkeypatch.setattr(sys, "argv", ["last_seen", str(tmp_path), "gated-1-seed-0"])
    with pytest.raises(SystemExit) as ended:
        last_seen.main()
    assert not ended.value.code
    with (tmp_path / "last-seen.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = dict(last_seen.by_last_step(tmp_path / "saes/gated-1-seed-0", gathered))
    assert {int(row["steps"]) for row in rows} == {40}
    for row in (row for row in rows if row["origin"] == "decoder_bias"):
        report = found[range(int(row["first"]), int(row["last"]) + 1)]
        assert int(row["tokens"]) == report.tokens <= gathered.held_out_tokens
        assert float(row["value"]) == pytest.approx(report.origins["decoder_bias"][BIAS].value, rel=1e-6)
    monkeypatch.setattr(sys, "argv", ["last_seen", str(tmp_path), "gated-2-seed-0"])
    with pytest.raises(SystemExit) as stopped:
        last_seen.main()
    assert stopped.value.code == 2
    assert "is not a finished SAE" in capsys.readouterr().err
    with pytest.raises(InputError, match="holds no activations of a sweep"):
        SweepData.at(tmp_path / "elsewhere")


def test_a_token_counts_where_it_was_used_last():
    batches, used = BatchSchedule(np.empty((100, 0)), 30, 1), last_step(100, 30, 8, 1)
    assert set(used[batches.rows(7)]) == {7}
    later = np.concatenate([batches.rows(step) for step in range(3, 8)])
    np.testing.assert_array_equal(used == 2, np.isin(np.arange(100), np.setdiff1d(batches.rows(2), later)))


def test_activations_of_another_sweep_are_not_taken_for_those_of_the_training(data, tmp_path):
    x, ids = tokens()
    other = gather(tmp_path / "activations", activations(2 * x, ids), 0.2)
    train(Job("topk", 4.0, 0), replace(SHORT, steps=4), data, tmp_path / "sae")
    with pytest.raises(InputError, match="was not trained on"):
        next(by_last_step(tmp_path / "sae", other))


@pytest.mark.parametrize("key", ARCHITECTURES)
def test_training_that_is_broken_off_ends_in_the_same_weights(key, data, tmp_path):
    job = Job(key, ARCHITECTURES[key].coefficients[0], 0)
    whole = train(job, SHORT, data, tmp_path / "whole")
    for at in (7, 19):  # before and after a look on the way
        steps = iter(range(1, at))
        with pytest.raises(KeyboardInterrupt):
            train(job, SHORT, data, tmp_path / "broken", stop=lambda held=steps: next(held, None) is None)
        assert not (tmp_path / "broken").exists()
        assert (tmp_path / "broken.unfinished").exists()
    broken = train(job, SHORT, data, tmp_path / "broken")
    one, other = (load_file(tmp_path / name / "sae_weights.safetensors") for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole["points"] == broken["points"]
    assert not (tmp_path / "broken.unfinished").exists()
    assert train(job, SHORT, data, tmp_path / "broken") == broken  # it is not trained again


@pytest.mark.parametrize("key", ARCHITECTURES)
@pytest.mark.filterwarnings("ignore")  # SAELens' own
def test_what_is_written_is_what_was_trained_and_saelens_reads_it(key, data, tmp_path, monkeypatch):
    trained, write = [], trainer._Run.write
    monkeypatch.setattr(trainer._Run, "write", lambda run, folder: (trained.append(run), write(run, folder)))
    record = train(Job(key, ARCHITECTURES[key].coefficients[0], 1), SHORT, data, tmp_path / "sae")
    x = torch.from_numpy(np.load(data.folder / "held-out.npy"))
    theirs = sae_lens.SAE.load_from_disk(str(tmp_path / "sae"))
    with torch.no_grad():
        in_training = trained[-1].trainer.sae(x * data.scale) / data.scale  # before the scale was folded in
        torch.testing.assert_close(theirs(x), in_training, rtol=1e-4, atol=1e-4)  # float32, another order
        torch.testing.assert_close(load(tmp_path / "sae")(x), theirs(x), rtol=1e-5, atol=1e-5)  # float32's rounding
    again = measure(tmp_path / "sae", data.folder / "held-out.npy", documents=data.folder / "held-out-documents.npy")
    (point,) = (one for one in record["points"] if one["finished"] and one["measured_on"] == "held-out")
    for origin in ORIGINS:
        assert point[origin] == {name: one.to_dict() for name, one in again.by_origin[origin].items()}
    assert point["l0"] == again.l0
    assert [one["steps"] for one in record["points"]] == [10, 20, 30, 40, 40]


def gated_pair(x: torch.Tensor) -> tuple:
    """The gated SAE of the paper and SAELens' own, in float64 with the same random weights, rows of norm 1."""
    made = []
    for key in ("gated", "gated_saelens"):
        sae_class, settings = ARCHITECTURES[key].classes()
        sae = sae_class(settings(d_in=D, d_sae=30, l1_coefficient=0.7, dtype="float64"))
        made.append(sae)
    generator = torch.Generator().manual_seed(0)
    state = {
        name: 0.3 * torch.randn(held.shape, generator=generator, dtype=torch.float64)
        for name, held in made[0].state_dict().items()
    }
    state["W_dec"] /= state["W_dec"].norm(dim=1, keepdim=True)
    for sae in made:
        sae.load_state_dict(state)
    return tuple(made)


def losses(sae, x: torch.Tensor) -> dict[str, torch.Tensor]:
    from sae_lens.saes.sae import TrainStepInput

    step = TrainStepInput(x, {"l1": 0.7}, None, 0, False)
    return sae.training_forward_pass(step).losses


@pytest.fixture(scope="module")
def x():
    return torch.randn(200, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_both_gated_saes_have_the_same_losses_and_part_in_what_those_train(x):
    ours, theirs = gated_pair(x)
    found, expected = losses(ours, x), losses(theirs, x)
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=0)  # another order of float64 sums
    beyond = [name for name in found if name != "mse_loss"]
    for sae, reaches in ((ours, False), (theirs, True)):
        held = losses(sae, x)
        sum(held[name] for name in beyond).backward()
        assert sae.r_mag.grad is None
        assert sae.b_mag.grad is None
        assert (sae.W_dec.grad is not None) is reaches  # the decoder is trained by the reconstruction alone, or not
        assert sae.b_dec.grad is not None  # by way of the gate, which takes it from x


def test_the_decoder_of_the_paper_keeps_rows_of_norm_1(x):
    ours, _ = gated_pair(x)
    with torch.no_grad():
        ours.W_dec *= 3
    losses(ours, x)
    torch.testing.assert_close(ours.W_dec.norm(dim=1), torch.ones(30, dtype=torch.float64))


@pytest.mark.parametrize("which", [0, 1])
def test_where_the_magnitudes_are_settled_gamma_about_the_decoder_bias_is_1(which, x):
    """r_mag and b_mag are trained by the reconstruction loss alone, and together they scale f: C10 about b_dec."""
    sae = gated_pair(x)[which]
    sum(losses(sae, x).values()).backward()
    slope = (sae.r_mag.grad + sae.b_mag.detach() * sae.b_mag.grad).sum()
    with torch.no_grad():
        x_hat = sae(x)
        inner = ((x_hat - sae.b_dec) * (x - x_hat)).sum(1).mean()
    assert slope == pytest.approx(-2 * inner.item(), rel=1e-12)  # 0 where the loss does not fall: then γ is 1


@pytest.mark.parametrize("which", [0, 1])
def test_what_holds_the_mean_error_at_0(which, x):
    """Where b_mag and b_gate are settled, b_dec settles at E[x − x̂] = 0; SAELens' loss adds the gate's error."""
    sae = gated_pair(x)[which]
    sum(losses(sae, x).values()).backward()
    with torch.no_grad():
        by_the_encoder = sae.W_enc @ (sae.r_mag.exp() * sae.b_mag.grad + sae.b_gate.grad)  # 0 where those are settled
        via_gate = torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_gate) @ sae.W_dec + sae.b_dec
        error = (x - sae(x)).mean(0) + which * (x - via_gate).mean(0)
    torch.testing.assert_close(sae.b_dec.grad + by_the_encoder, -2 * error, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def swept(files, tmp_path_factory):
    """What a sweep of two workers wrote, and how it ended."""
    out = tmp_path_factory.mktemp("swept") / "out"
    return out, sandbox(*command(files, out, "--workers", 2))


def test_the_command_trains_measures_and_draws_and_does_it_once(files, swept):
    out, done = swept
    assert done.returncode == 0, done.stderr
    assert "gated-1-seed-0: L0" in done.stderr
    points = read_points(out)
    finished = [one for one in points if one.finished and one.measured_on == "held-out"]
    assert [one.name for one in finished] == ["relu-0.3-seed-0", "relu-1-seed-0", "gated-1-seed-0"]
    with (out / "figure-6.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(held) for one in points for held in one.origins.values())
    row = next(one for one in rows if one["measure"] == BIAS)
    assert float(row["value"]) == points[0][BIAS].value
    assert list(out.glob("*.png"))
    assert list(out.glob("*.svg"))
    before = {path: path.stat().st_mtime_ns for path in (out / "saes").rglob("*") if path.is_file()}
    more = sandbox(*command(files, out, "--seeds", "0,1", "--json", "-"))
    assert more.returncode == 0, more.stderr
    assert len(json.loads(more.stdout)["saes"]) == 6
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())  # nothing was trained again
    assert more.stderr.count("already finished") == 3
    fewer = sandbox(*command(files, out))
    assert "3 more finished SAEs" in fewer.stderr
    assert {one.seed for one in read_points(out)} == {0}


def test_a_model_and_its_text_take_the_place_of_activations(tmp_path):
    model, text = save_model(tmp_path / "model", "gpt2"), tmp_path / "text.txt"
    text.write_text("\n\n".join(make_texts() * 10), "utf-8")
    given = ["figure6", "--model", model, "--layer", 1, "--text", text, "--context", 12, "--out", tmp_path / "out"]
    small = ["--latents", 40, "--steps", 8, "--batch", 32, "--seeds", 0, "--held-out", 0.2, "--device", "cpu"]
    chosen = ["--architecture", "jumprelu", "--coefficients", "jumprelu=1", "--json", tmp_path / "found.json"]
    done = sandbox(*given, *small, *chosen, "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["activations"]["source"] == f"{model}, h.1 in float32, on {text} in contexts of 12"
    assert found["activations"]["held_out_documents"] == pytest.approx(0.2 * 150, abs=3)
    assert found["command"] == " ".join(map(str, ["sandbox", *given, *small, *chosen, "--workers", 1]))
    assert [one["settings"]["architecture"] for one in found["saes"]] == ["jumprelu"]


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        (1, signal.SIGTERM),
        pytest.param(1, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(2, signal.SIGINT, marks=pytest.mark.slow),
        (2, signal.SIGTERM),
    ],
)
def test_a_signal_saves_all_that_is_in_training(workers, number, files, tmp_path):
    line = [
        sys.executable,
        "-m",
        "sandbox",
        *command(files, tmp_path / "out", "--steps", 100_000, "--workers", workers),
    ]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 200
    while len(held := list((tmp_path / "out/saes").glob("*.unfinished/run.json"))) < workers:
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(number)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 128 + number, said
    assert "run the same command to resume" in said
    assert "stopped" in said
    assert "Traceback" not in said
    assert all(json.loads(one.read_text())["seconds"] > 0 for one in held)  # saved again, after the first step


def test_where_there_is_no_screen_a_line_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(figure6_command, "MINUTE", -1)
    moves = []
    moved = figure6_command._also_in_lines(lambda label, total: moves.append)("training", 8)
    moved(2)
    moved(4)
    assert moves == [2, 4]
    assert capsys.readouterr().err == "sandbox: training: 25%\nsandbox: training: 75%\n"


def test_a_saving_that_is_broken_off_loses_nothing_that_was_saved(data, tmp_path, monkeypatch):
    """The state is saved at every step, and one saving after the other is broken off, at each of its files in turn."""
    job, broken = Job("relu", 1.0, 0), 0
    save, text = torch.save, trainer.write_text

    def dies(*given):
        nonlocal broken
        broken += 1
        if broken % 7 == 0:  # of three calls a saving: each of them in turn
            raise MemoryError
        return (save if torch.is_tensor(given[0]) or isinstance(given[0], dict) else text)(*given)

    whole = train(job, SHORT, data, tmp_path / "whole")
    monkeypatch.setattr(torch, "save", dies)
    monkeypatch.setattr(trainer, "write_text", dies)
    for _ in range(100):
        with suppress(MemoryError):
            found = train(job, SHORT, data, tmp_path / "broken", every=0)
            break
    assert broken > 60
    assert found["points"] == whole["points"]
    one, other = (load_file(tmp_path / name / "sae_weights.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_interrupt_while_it_is_measured_loses_nothing(data, tmp_path, monkeypatch):
    job = Job("relu", 1.0, 0)
    whole = train(job, SHORT, data, tmp_path / "whole")
    for goes_well, points in ((2, 2), (1, 3)):  # so many measurements: the third look, then the first of the finished
        looks = iter(range(goes_well))

        def broken_off(*given, left=looks, **options):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return measure(*given, **options)

        monkeypatch.setattr(trainer, "measure", broken_off)
        with pytest.raises(KeyboardInterrupt):
            train(job, SHORT, data, tmp_path / "broken", every=1e9)
        saved = json.loads((tmp_path / "broken.unfinished/run.json").read_text())
        assert len(saved["points"]) == points
    monkeypatch.setattr(trainer, "measure", measure)
    assert train(job, SHORT, data, tmp_path / "broken")["points"] == whole["points"]


def test_an_sae_that_diverges_is_named(data, tmp_path):
    with pytest.raises(InputError, match="relu-1-seed-0 has diverged: weights are not finite after 10 steps"):
        train(Job("relu", 1.0, 0), replace(SHORT, lr=1e30), data, tmp_path / "sae")


def test_two_runs_do_not_write_to_one_folder(files, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out/.lock"), pytest.raises(InputError, match="another run is writing"):
        figure6(torch.ones(5000, 4), tmp_path / "out", device="cpu")


def test_other_settings_in_the_same_folder_are_refused(files, swept):
    for option, words in (("--steps", "steps = 40"), ("--held-out", "share = 0.2"), ("--latents", "d_sae = 48")):
        value = 0.5 if option == "--held-out" else 30
        done = sandbox(*command(files, swept[0], option, value))
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--architecture", "vae", "--coefficients", "vae=1"], "there is no architecture 'vae'"),
        (["--coefficients", "relu=much"], "relu=0.5,1,2"),
        (["--seeds", "one"], "seeds 'one'"),
        (["--model", "somewhere"], "give --activations, or --model"),
    ],
)
def test_bad_input_is_one_line(more, words, files, tmp_path):
    done = sandbox(*command(files, tmp_path / "out", *more))
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"coefficients": {"topk": [5]}}, "coefficients are given for topk"),
        ({"architectures": ["topk"], "coefficients": {"topk": [2.5]}}, "coefficient 2.5 of topk: a whole number"),
        ({"coefficients": {"relu": [-1]}}, "coefficient -1 of relu"),
        ({"architectures": ["topk"]}, "coefficient 20 of topk exceeds the number of latents, 16"),
        ({"seeds": [-1]}, "seed -1"),
        ({"held_out": 0}, "share is 0: a fraction between 0 and 1 is needed"),
        ({"lr": 0}, "lr above 0"),
        ({"batch": 100_000}, "fewer than one batch"),
        ({"steps": 0}, "must be 1 or more"),
        ({"device": "abacus"}, "device 'abacus'"),
        ({"source": torch.zeros(5000, 4)}, "every token to train on is zero"),
        ({"source": torch.zeros(50, 4), "documents": None}, "no stretch of 4096 tokens is left to train on"),
        ({"documents": None}, r"5000 tokens are too few stretches of 4096 tokens .*: 82% would be held out, not 5%"),
        ({"documents": torch.arange(5000) // 4000}, "5000 tokens are too few documents: 80% would be held out"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(given, words, tmp_path):
    documents = torch.arange(5000) // 50
    settings = {"source": torch.ones(5000, 4), "documents": documents, "workers": 1, "device": "cpu"} | given
    with pytest.raises(InputError, match=words):
        figure6(settings.pop("source"), tmp_path / "out", **settings)


def test_nothing_is_trained_on_what_is_not_finite(tmp_path):
    x, ids = tokens()
    x[100, 3] = np.nan
    with pytest.raises(InputError, match="token 100 has a NaN"):
        gather(tmp_path / "activations", activations(x, ids), 0.2)
    assert not (tmp_path / "activations").exists()


def test_from_python_the_points_come_back(tmp_path):
    x, ids = tokens()
    points = figure6(
        x, tmp_path, documents=ids, architectures=["topk"], coefficients={"topk": [4]}, seeds=[0],
        steps=8, batch=32, device="cpu", held_out=0.1,
    )  # fmt: skip
    assert [one.measured_on for one in points if one.finished] == ["held-out", "training"]
    assert points == read_points(tmp_path)
    assert all(one.l0 <= 4 for one in points)


def test_a_plan_goes_seed_by_seed():
    names = [job.name for job in plan(["relu", "gated"], {"relu": [1, 2], "gated": [3]}, [0, 1])]
    assert names[:3] == ["relu-1-seed-0", "relu-2-seed-0", "gated-3-seed-0"]
    assert len(names) == 6


@pytest.mark.filterwarnings("ignore")  # SAELens' own
def test_a_jumprelu_sae_that_saelens_trained_obeys_the_law(tmp_path):
    """For real: random features, all gradients of SAELens' own loss, at the end a checkpoint on disk."""
    from sae_lens.saes.sae import TrainStepInput

    k = 1.6
    torch.manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(16, 8), dim=1)
    x = (torch.rand(1024, 16) < 0.15) * torch.rand(1024, 16) @ features
    x = x * 8**0.5 / x.norm(dim=1).mean() / k
    cfg = sae_lens.JumpReLUTrainingSAEConfig(
        d_in=8,
        d_sae=16,
        jumprelu_sparsity_loss_mode="tanh",
        jumprelu_ste_to_input=True,
        jumprelu_bandwidth=0.5,
        l0_coefficient=0.3,
        jumprelu_tanh_scale=0.5,
        pre_act_loss_coefficient=3e-6,
    )
    sae = sae_lens.JumpReLUTrainingSAE(cfg)
    optimiser = torch.optim.Adam(sae.parameters(), lr=2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 800)
    dead = torch.zeros(16, dtype=torch.bool)
    for _ in range(800):
        step = sae.training_forward_pass(TrainStepInput(k * x, {"l0": cfg.l0_coefficient}, dead, 0, False))
        optimiser.zero_grad()
        step.loss.backward()
        optimiser.step()
        schedule.step()
    sae.fold_activation_norm_scaling_factor(k)
    sae.save_inference_model(tmp_path)
    law = measure(tmp_path, x, documents=np.arange(1024) // 10, device="cpu", look=False).law
    assert law.source == "l0_coefficient in cfg.json"
    assert law.gamma.high < 0.985
    assert law.word == SCALED
    assert law.predicted.value == pytest.approx(law.gamma.value, abs=1e-3)
    assert law.implied.value == pytest.approx(0.3, rel=0.02)
