"""Qwen-Scope's files are computed as the publisher's model card does, with the k that the user gives."""

import json

import numpy as np
import pytest
import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sae_lens.loading.pretrained_sae_loaders import qwen_scope_sae_huggingface_loader
from typer.testing import CliRunner

from sandbox import InputError, checkpoints, look, measure
from sandbox.cli import app
from sandbox.measuring.rescale import rescale
from tests.helpers.checkpoint_files import agrees, other_decoder, some, tensors

D, LATENTS, K = 16, 48, 5
X = some(200, D, seed=4, scale=2)
REPOSITORY = "SAE-Res-Qwen3-1.7B-Base-W32K-L0_5"
FILE = "layer3.sae.pt"


def written(folder, name=FILE, b_enc=0.0):
    """An SAE as the publisher stores it; b_enc shifts all pre-activations."""
    folder.mkdir(exist_ok=True)
    weights = {
        "W_enc": some(LATENTS, D),
        "W_dec": some(D, LATENTS, seed=2),
        "b_enc": some(LATENTS, seed=1) + np.float32(b_enc),
        "b_dec": some(D, seed=3),
    }
    torch.save({key: torch.from_numpy(value) for key, value in weights.items()}, folder / name)
    return folder / name


def reference(path, x: np.ndarray, k=K) -> np.ndarray:
    """The model card's get_feature_acts, then the decoder; nothing is subtracted, and there is no ReLU."""
    p = {key: value.double().numpy() for key, value in torch.load(path, weights_only=True).items()}
    rows = []
    for token in x.astype(np.float64):
        pre_acts = p["W_enc"] @ token + p["b_enc"]
        largest = np.argsort(pre_acts)[-k:]
        acts = np.zeros_like(pre_acts)
        acts[largest] = pre_acts[largest]
        rows.append(p["W_dec"] @ acts + p["b_dec"])
    return np.array(rows)


@pytest.mark.parametrize("b_enc", [0.0, -3.0], ids=["mostly positive", "few positive"])
def test_the_reconstruction_is_the_publishers(b_enc, tmp_path):
    path = written(tmp_path / "sae", b_enc=b_enc)
    checkpoint = checkpoints.read(path.parent, k=K)
    agrees(checkpoint.sae(torch.from_numpy(X)), reference(path, X))
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    agrees(checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X)), reference(tmp_path / "out" / FILE, X))


def test_it_is_saelens_where_at_least_k_latents_are_positive(tmp_path, monkeypatch):
    path = written(tmp_path, b_enc=1.0)
    monkeypatch.setattr("sae_lens.loading.pretrained_sae_loaders.hf_hub_download", lambda **_: str(path))
    _, state, _ = qwen_scope_sae_huggingface_loader(f"Qwen/{REPOSITORY}", FILE)
    theirs = TopKSAE(TopKSAEConfig(D, LATENTS, k=K, apply_b_dec_to_input=False))
    theirs.load_state_dict(state)
    sae, x = checkpoints.load(path, k=K), torch.from_numpy(X)
    positive = (x @ sae.W_enc + sae.b_enc > 0).sum(-1) >= K
    assert positive.sum() > len(X) / 2
    torch.testing.assert_close(sae(x[positive]), theirs(x[positive]), rtol=1e-5, atol=1e-5)


def test_conventions_are_stated_and_a_contradiction_of_the_name(tmp_path):
    path = written(tmp_path / REPOSITORY)
    described = checkpoints.read(path, k=K).describe()
    assert described.startswith(f"Qwen-Scope topk (k = {K}), d_in {D}, d_sae {LATENTS}")
    assert described.endswith("the k largest kept, without a ReLU")
    assert checkpoints.read(path, k=6).describe().endswith("although the name of its repository ends with 5")


def test_k_is_asked_for_and_checked(tmp_path):
    path = written(tmp_path)
    for run in (checkpoints.read, lambda path: measure(path, X), lambda path: look(path, X)):
        with pytest.raises(InputError, match=r"layer3.sae.pt: this is Qwen-Scope, whose k is in the .* give --k"):
            run(path)
    for k in (-1, 0, LATENTS + 1, 2.0, True):
        with pytest.raises(InputError, match=rf"k is {k}; a whole number from 1 to d_sae = {LATENTS} is needed"):
            checkpoints.read(path, k=k)


def test_k_is_refused_where_it_is_not_needed(tmp_path):
    with pytest.raises(InputError, match="this is SAELens, which does not need --k"):
        checkpoints.read("embedded:minilm-relu", k=5)
    with pytest.raises(InputError, match="saelens:a/b: it states its own k"):
        checkpoints.read("saelens:a/b", k=5)
    path = written(tmp_path)
    with pytest.raises(InputError, match="has been read already"):
        measure(checkpoints.read(path, k=5), X, k=5)
    with pytest.raises(InputError, match="given 3 times for 2 SAEs"):
        measure([path, path], X, k=[5, 5, 5])


BROKEN = {
    "W_(enc|dec) is .* require floats": lambda held: held.update(W_enc=held["W_enc"].T.contiguous()),
    "holds .*, but no b_dec; an SAE of Qwen-Scope has exactly": lambda held: held.pop("b_dec"),
    "threshold may change x̂": lambda held: held.update(threshold=torch.ones(3)),
    "b_enc holds a NaN": lambda held: held["b_enc"].__setitem__(0, torch.nan),
    "b_enc is torch.int64": lambda held: held.update(b_enc=held["b_enc"].long()),
}


@pytest.mark.parametrize("message", BROKEN)
def test_anything_else_in_the_file_is_refused(message, tmp_path):
    written(tmp_path)
    tensors(FILE, BROKEN[message])(tmp_path)
    with pytest.raises(InputError, match=message):
        checkpoints.read(tmp_path, k=K)


def test_several_layers_in_a_folder_are_listed(tmp_path):
    written(tmp_path), written(tmp_path, "layer4.sae.pt")
    with pytest.raises(InputError, match=r"holds several SAEs: layer3.sae.pt \(Qwen-Scope\) and layer4"):
        checkpoints.read(tmp_path, k=K)


def test_measure_takes_one_k_or_one_for_each(tmp_path):
    path = written(tmp_path)
    a, b = measure([path, path], X, k=[3, 7])
    assert (a.l0, b.l0) == (3, 7)
    assert [report.l0 for report in measure([path, path], X, k=4)] == [4, 4]
    three = checkpoints.read(path, k=3)
    assert [report.l0 for report in measure([three, path], X, k=[None, 7])] == [3, 7]
    assert a.raw["norm_ratio"].value == measure(three, X).raw["norm_ratio"].value


def test_the_correction_takes_k(tmp_path):
    path = written(tmp_path / "sae")
    tensors(FILE, lambda held: held.update(W_dec=held["W_enc"].T.contiguous()))(path.parent)
    fixed = rescale(path, X, documents=np.arange(len(X)) // 10, k=K)
    fixed.write(tmp_path / "out")
    assert checkpoints.read(tmp_path / "out", k=K).sae.architecture == "topk"


def test_the_commands_take_k(tmp_path):
    path = written(tmp_path / "sae")
    tensors(FILE, lambda held: held.update(W_dec=held["W_enc"].T.contiguous()))(path.parent)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "ids.npy", np.arange(len(X)) // 10)
    inputs = ["--sae", str(path), "--activations", str(tmp_path / "x.npy")]
    run = CliRunner().invoke(app, ["measure", *inputs, "--k", "5", "--json", str(tmp_path / "r.json")])
    assert run.exit_code == 0, run.output
    assert json.loads((tmp_path / "r.json").read_text())["saes"][0]["l0"] == K
    out = ["--documents", str(tmp_path / "ids.npy"), "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(app, ["rescale", *inputs, *out, "--k", "5"])
    assert run.exit_code == 0, run.output
    assert (tmp_path / "out" / FILE).exists()


def test_the_loss_takes_k(tmp_path):
    path = written(tmp_path)
    inputs = ["loss", "--sae", str(path), "--model", str(tmp_path), "--layer", "0", "--text", str(tmp_path / "a.txt")]
    for options, message in ((["--k", "99"], "k is 99"), (["--k", "5", "--k", "5"], "given 2 times")):
        run = CliRunner().invoke(app, [*inputs, *options])
        assert message in f"{run.output} {run.exception}".replace("\n", " ")
