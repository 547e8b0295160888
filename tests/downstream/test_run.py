"""`sandbox loss`: fits on some documents, measures on the others, resumes, and refuses what makes no sense."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox.activations.live import live
from sandbox.activations.live.contexts import LONGEST, Contexts
from sandbox.activations.split import Split
from sandbox.downstream import loss, spliced
from sandbox.downstream import measure as engine
from sandbox.downstream.search import GRID, search
from sandbox.errors import InputError
from sandbox.measuring.one_pass import Stopped
from sandbox.measuring.rescale import rescale
from tests.helpers.models import KINDS, make_texts, save_model
from tests.helpers.runs import assert_same, by_torchrun, sandbox

D, CONTEXT = 32, 12
FEW = {"context": CONTEXT, "search_tokens": 100, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models, a text, and an SAE that shrinks."""
    folder = tmp_path_factory.mktemp("downstream")
    for kind in KINDS:
        save_model(folder / kind, kind)
    (folder / "text.txt").write_text("\n\n".join(make_texts() * 4) + "\n", encoding="utf-8")
    x = next(live(folder / "llama", 1, folder / "text.txt", context=CONTEXT, device="cpu").chunks(400)).x
    W_dec = torch.nn.functional.normalize(x[:96] - x.mean(0), dim=1)
    weights = {"W_enc": 0.8 * W_dec.T.contiguous(), "W_dec": W_dec, "b_dec": x.mean(0)}
    (folder / "sae").mkdir()
    save_file(
        weights | {"b_enc": torch.full((96,), -0.6 * x.norm(dim=1).mean())}, folder / "sae/sae_weights.safetensors"
    )
    config = {"architecture": "standard", "d_in": D, "d_sae": 96, "apply_b_dec_to_input": True}
    (folder / "sae/cfg.json").write_text(json.dumps(config))
    return folder


def command(folder, *more) -> list[str]:
    """A run of `sandbox loss` on the small model."""
    parts = ["loss", "--model", folder / "llama", "--layer", 1, "--text", folder / "text.txt", "--context", CONTEXT]
    return [*map(str, [*parts, "--sae", folder / "sae", "--device", "cpu", "--search-tokens", 100, *more])]


def test_corrections_are_those_of_rescale_on_the_documents_fitted_on(folder):
    chosen = Split(0.5, 0)
    x, ids = [], []
    for chunk in live(folder / "llama", 1, folder / "text.txt", context=CONTEXT, device="cpu").chunks(100):
        x.append(chunk.x)
        ids.append(chunk.documents)
    x, ids = torch.cat(x), np.concatenate(ids)
    # rescale splits as well, and on these ids the same: fit on its half, which is all that the loss fits on
    corrections = {
        kind: rescale(folder / "sae", x, kind=kind, documents=ids, device="cpu") for kind in ("scalar", "per-latent")
    }
    report = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW)
    (sae,) = report.saes
    assert sae.factors["least_error"] == pytest.approx(corrections["scalar"].factor.item(), rel=1e-5)
    assert report.fitted_on == chosen.chosen(ids).sum()
    assert report.documents == len(set(ids[~chosen.chosen(ids)].tolist()))
    corrections["per-latent"].write(folder / "corrected")
    (alone,) = loss(folder / "llama", 1, folder / "text.txt", folder / "corrected", **FEW).saes
    assert alone.loss("x_hat").value == pytest.approx(sae.loss("per-latent").value, rel=1e-6)
    assert set(load_file(folder / "corrected/sae_weights.safetensors")) >= {"W_dec", "b_dec"}


def test_documents_do_not_change_sides_with_their_order(folder, tmp_path):
    report = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW)
    assert 0 < report.tokens < sum(len(words.split()) for words in make_texts() * 4) * 3
    with pytest.raises(InputError, match="share is 1"):
        loss(folder / "llama", 1, folder / "text.txt", folder / "sae", share=1, **FEW)


def test_fitting_searching_and_measuring_read_all_over_the_text(folder, monkeypatch):
    read = []

    class Watched(spliced.Live):
        def chunks(self, size, start=0, stop=None):
            read.append([])
            for chunk in super().chunks(size, start, stop):
                read[-1] += chunk.documents.tolist()
                yield chunk

    monkeypatch.setattr(spliced, "Live", Watched)
    few = FEW | {"fit_tokens": 200, "search_tokens": 150, "tokens": 150}
    report = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **few)
    last = max(map(max, read))
    assert len(read) == 4  # to fit, to search twice, to measure
    for documents, most in zip(read, (200, 150, 150, 150), strict=True):
        assert most - 5 * CONTEXT <= len(documents) <= most
        assert len({document * 4 // (last + 1) for document in documents}) == 4  # in each quarter of the text
    assert report.fitted_documents == len(set(read[0]))
    assert f"{len(set(read[0]))} other documents all over the text" in report.facts()


def test_the_text_is_tokenised_once(folder, monkeypatch):
    tokenised, run = [], Contexts._tokenised

    def counting(self, documents):
        tokenised.append(0)
        for one in run(self, documents):
            tokenised[-1] += 1
            yield one

    monkeypatch.setattr(Contexts, "_tokenised", counting)
    loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW)
    assert tokenised == [1, len(make_texts() * 4)]  # one document shows whether the model is causal


def test_the_json_is_complete_and_the_csv_has_the_same_numbers(folder, tmp_path):
    outputs = ["--json", tmp_path / "loss.json", "--csv", tmp_path / "loss.csv", "--plot", tmp_path / "loss.png"]
    done = sandbox(*command(folder, *outputs))
    assert done.returncode == 0, done.stderr
    (sae,) = json.loads((tmp_path / "loss.json").read_text())["saes"]
    assert list(sae["replacements"]) == ["x_hat", "least_error", "least_loss", "per-latent", "mean", "zero"]
    for words in ("x̂ stretched for the least error", "the mean of x", "SAELens", "dictionary_learning"):
        assert words in done.stdout
    rows = [line.split(",") for line in (tmp_path / "loss.csv").read_text().splitlines()]
    values = {(row[1], row[2]): row[3] for row in rows}
    assert float(values["least_error", "gain"]) == sae["replacements"]["least_error"]["gain"]["value"]
    factors = [point["factor"] for point in sae["curve"]["points"]]
    assert factors == sorted(factors)
    assert {*GRID} <= {*factors}
    assert (tmp_path / "loss.png").stat().st_size > 10_000


def test_a_stopped_run_resumes_to_the_same_report(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(spliced, "contexts_at_once", lambda context, vocabulary, device: 5)
    whole = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW).to_dict()
    saved = FEW | {"checkpoint": tmp_path / "state"}
    counted = []

    def stopping(rows, cluster):
        counted.append(len(rows))
        if sum(counted) > 300:  # in the middle of the documents that the loss is measured on
            raise KeyboardInterrupt
        return [engine.LossSums.of(rows, cluster)]

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_count", stopping)
        with pytest.raises(Stopped) as stopped:
            loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **saved)
    (partial,) = stopped.value.reports
    assert not partial.complete
    assert 0 < partial.tokens < whole["tokens"]
    resumed = []
    report = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **saved, tell=resumed.append)
    assert "resumed at token" in resumed[0]
    assert_same({"saes": 0, **_flat(whole)}, {"saes": 0, **_flat(report.to_dict())})
    with pytest.raises(InputError, match=r"state of another run: --share was 0\.5, now 0\.4"):
        loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **saved, share=0.4)


def _flat(report: dict) -> dict:
    (sae,) = report["saes"]
    return {name: {key: each["value"] for key, each in of.items()} for name, of in sae["replacements"].items()}


@pytest.mark.slow
def test_two_processes_make_the_report_of_one(folder, tmp_path):
    one = json.loads(sandbox(*command(folder, "--json", "-", "--tokens", 400)).stdout)
    more = ["--json", "-", "--tokens", 400, "--checkpoint", tmp_path / "state", "--every", 0]
    done = by_torchrun(2, command(folder, *more))
    assert done.returncode == 0, done.stderr
    assert "resumed" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"state.0-of-2", "state.1-of-2"}
    assert json.loads(done.stdout)["tokens"] == one["tokens"]
    assert_same(_flat(one), _flat(json.loads(done.stdout)), 1e-6)  # one thread each: other rounding


def test_the_search_finds_the_lowest_point_and_says_when_it_is_at_a_bound():
    def losses(factors):
        return [
            (torch.tensor([[2.0 * (f - 1.27) ** 2 + 3 for f in factors[0]]] * 4).double(), torch.ones(4).double()),
            (torch.tensor([[5 - f for f in factors[1]]] * 4).double(), torch.ones(4).double()),
        ]

    bent, falling = search(losses, [[1.07], []])
    assert bent.best == pytest.approx(1.27, abs=1e-3)
    assert 1.07 in bent.factors
    assert not bent.at_bound
    assert falling.best == GRID[-1]
    assert falling.at_bound


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--activations", "x.npy"], "--activations has no part in this"),
        (["--hook", "model.layers.1"], "give either --layer or --hook"),
        (["--tokens", "0"], "--tokens"),
        (["--name", "a", "--name", "b"], "2 names for 1 SAEs"),
        (["--plot", "loss.txt"], "loss.txt"),
        (["--share", "0"], "share is 0"),
    ],
)
def test_bad_options_are_one_line(folder, more, message):
    done = sandbox(*command(folder, *more))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_cannot_be_measured_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="is no causal language model"):
        loss(folder / "bert", 1, folder / "text.txt", torch.relu, **FEW)
    with pytest.raises(InputError, match=r"the model has no module 'model\.layers\.9'"):
        loss(folder / "llama", None, folder / "text.txt", torch.relu, hook="model.layers.9", **FEW)
    with pytest.raises(InputError, match="the SAE reads activations of dimension 384"):
        loss(folder / "llama", 1, folder / "text.txt", "embedded:minilm-relu", **FEW)
    with pytest.raises(InputError, match="the list of SAEs is empty"):
        loss(folder / "llama", 1, folder / "text.txt", [], **FEW)
    (tmp_path / "one.txt").write_text(max(make_texts(), key=len))
    with pytest.raises(InputError, match=r"of 1 documents, [01] are to fit on"):
        loss(folder / "llama", 1, tmp_path / "one.txt", torch.relu, **FEW)


def test_a_batch_that_does_not_fit_is_halved(folder, monkeypatch):
    whole = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW).to_dict()
    rows, sizes = engine.Reader._rows, []

    def short(self, inputs):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 3 or (len(sizes) > 9 and sizes[-1] > 1):  # and later it is shorter still
            raise torch.OutOfMemoryError("simulated")
        return rows(self, inputs)

    monkeypatch.setattr(engine.Reader, "_rows", short)
    halved = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW).to_dict()
    assert max(sizes) > 3
    assert_same(_flat(whole), _flat(halved), 1e-5)


def test_ceilings_are_the_corrections_of_rescale_of_the_same_name(folder, tmp_path):
    x, ids = [], []
    for chunk in live(folder / "llama", 1, folder / "text.txt", context=CONTEXT, device="cpu").chunks(100):
        x.append(chunk.x)
        ids.append(chunk.documents)
    (sae,) = loss(folder / "llama", 1, folder / "text.txt", folder / "sae", ceilings=True, **FEW).saes
    assert list(sae.replacements) == ["x_hat", "least_error", "least_loss", "per-latent", "joint", "decoder"]
    for kind in ("joint", "decoder"):
        made = rescale(folder / "sae", torch.cat(x), kind=kind, documents=np.concatenate(ids), device="cpu")
        made.write(tmp_path / kind)
        (alone,) = loss(folder / "llama", 1, folder / "text.txt", tmp_path / kind, **FEW).saes
        assert alone.loss("x_hat").value == pytest.approx(sae.loss(kind).value, rel=1e-5)


def test_an_activation_that_is_not_finite_is_refused(folder, monkeypatch):
    run = spliced.Splice.clean

    def broken(self, inputs):
        clean = run(self, inputs)
        clean.x[:1, 1] = torch.nan
        return clean

    monkeypatch.setattr(spliced.Splice, "check", lambda self, inputs: None)
    monkeypatch.setattr(spliced.Splice, "clean", broken)
    with pytest.raises(InputError, match="activations have a nan or an infinity"):
        loss(folder / "llama", 1, folder / "text.txt", folder / "sae", **FEW)


def test_a_state_that_cannot_be_written_is_refused_at_once_or_said_at_the_end(folder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot write"):
        loss(folder / "llama", 1, folder / "text.txt", folder / "sae", checkpoint="/proc/nowhere/state", **FEW)

    def full(self, path, run):
        raise InputError(f"cannot write {path}: the disk is full")

    monkeypatch.setattr(engine.State, "save", full)
    with pytest.raises(engine.NotSaved, match="the disk is full") as unsaved:
        loss(folder / "llama", 1, folder / "text.txt", folder / "sae", checkpoint=tmp_path / "state", **FEW)
    assert unsaved.value.reports[0].complete


def test_a_dead_sae_has_a_cost_and_no_correction(folder, tmp_path):
    (tmp_path / "dead").mkdir()
    weights = load_file(folder / "sae/sae_weights.safetensors")
    weights["b_enc"] = torch.full((96,), -1e6)
    save_file(weights, tmp_path / "dead/sae_weights.safetensors")
    (tmp_path / "dead/cfg.json").write_text((folder / "sae/cfg.json").read_text())
    saes = [tmp_path / "dead", folder / "sae"]
    dead, alive = loss(folder / "llama", 1, folder / "text.txt", saes, look=False, **FEW).saes
    assert list(dead.replacements) == ["x_hat", "least_loss"]
    assert "per-latent" in alive.replacements
    assert dead.cost("x_hat").value is not None
    assert "per-latent" not in dead.to_dict()["replacements"]


def test_a_module_that_runs_twice_is_refused(folder, monkeypatch):
    load = spliced.load

    def shared(*arguments, **options):
        model, missing, tokenizer = load(*arguments, **options)
        model.model.layers[2].mlp = model.model.layers[1].mlp
        return model, missing, tokenizer

    monkeypatch.setattr(spliced, "load", shared)
    with pytest.raises(InputError, match="more than once"):
        loss(folder / "llama", None, folder / "text.txt", torch.relu, hook="model.layers.1.mlp", **FEW)


def test_the_help_shows_no_option_that_the_command_refuses():
    shown = sandbox("loss", "--help").stdout
    assert "--model" in shown
    assert "--activations" not in shown
    assert "--activations" in sandbox("measure", "--help").stdout


def test_the_help_promises_only_what_the_command_takes(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # so that no sentence is cut
    shown = sandbox("loss", "--help").stdout
    assert f"at most {LONGEST}" in shown
    assert "module whose output to replace" in shown
    assert ".input" not in shown
    assert ".input" in sandbox("measure", "--help").stdout
    with pytest.raises(InputError, match=r"similar names: .*layers"):
        loss(folder / "llama", None, folder / "text.txt", torch.relu, hook="model.layers.1.input", **FEW)


def test_a_missing_input_is_named_by_the_options_of_this_command():
    done = sandbox("loss")
    assert done.returncode == 2
    assert "give --model, --layer or --hook, --text, and one or more --sae" in done.stderr
    assert "--activations" not in done.stderr
