"""The layout that CONTRIBUTING.md adds as its example recognises, reads, writes and refuses checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox import checkpoints
from sandbox.checkpoints import layout
from sandbox.checkpoints.activation_functions import TopK
from sandbox.cli.inputs import Inputs
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import agrees, other_decoder, settings, some, tensors

D, LATENTS, K = 16, 48, 5
X = some(100, D, seed=4, scale=1)


def documented() -> layout.Layout:
    """The layout in CONTRIBUTING.md, without the lines there that register and try it."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    start, end = text.index("def conventions(contents: Contents)"), text.index("checkpoints.LAYOUTS += (NEWLIB,)")
    names = {**vars(layout), "TopK": TopK}
    exec(text[start:end], names)
    return names["NEWLIB"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An SAE as the library of the example stores it, once its layout was entered."""
    monkeypatch.setattr(checkpoints, "LAYOUTS", (*checkpoints.LAYOUTS, documented()))
    weights = {
        "encoder.weight": some(LATENTS, D),
        "encoder.bias": some(LATENTS, seed=1),
        "W_dec": some(LATENTS, D, seed=2),
        "b_dec": some(D, seed=3),
    }
    path = tmp_path / "in"
    path.mkdir()
    save_file({name: torch.from_numpy(array) for name, array in weights.items()}, path / "sae.safetensors")
    (path / "newlib.json").write_text(json.dumps({"d_in": D, "k": K, "signed": False, "seed": 3}))
    return path


def reference(folder, x):
    """On paper: the k greatest of ReLU(W(x − b_dec) + b), decoded, in float64."""
    p = {name: tensor.double() for name, tensor in load_file(folder / "sae.safetensors").items()}
    x = torch.from_numpy(x).double()
    pre_acts = (x - p["b_dec"]) @ p["encoder.weight"].T + p["encoder.bias"]
    on = pre_acts >= pre_acts.sort(descending=True).values[:, K - 1 : K]
    return (torch.relu(pre_acts * on) @ p["W_dec"] + p["b_dec"]).numpy()


def test_the_documented_layout_is_recognised_and_read(folder):
    checkpoint = checkpoints.read(folder)
    assert (
        checkpoint.describe() == "newlib topk (k = 5), d_in 16, d_sae 48, decoder bias subtracted from the input: yes"
    )
    agrees(checkpoint.sae(torch.from_numpy(X)), reference(folder, X))


def test_it_is_written_back(folder, tmp_path):
    checkpoint = checkpoints.read(folder)
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    expected = checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X))
    agrees(expected, reference(tmp_path / "out", X))
    agrees(checkpoints.load(tmp_path / "out")(torch.from_numpy(X)), reference(tmp_path / "out", X))


def test_no_output_takes_the_place_of_its_settings(folder):
    """Though the command is given the file of weights alone."""
    assert str(folder / "newlib.json") in Inputs().files(saes=[str(folder / "sae.safetensors")])


DAMAGE = {
    "an unknown setting": (
        settings("newlib.json", scale=2.0),
        r"newlib\.json: scale may change x̂",
    ),
    "a value that is not read": (
        settings("newlib.json", signed=True),
        "signed is True, which gives latents both signs",
    ),
    "a missing setting": (settings("newlib.json", k=None), "k is not set"),
    "another size": (settings("newlib.json", d_in=17), "d_in is 17, but 16 in the weights"),
    "k beyond d_sae": (settings("newlib.json", k=49), "k is 49; a whole number from 1 to d_sae = 48"),
    "a missing tensor": (
        tensors("sae.safetensors", lambda w: w.pop("b_dec")),
        r"sae\.safetensors: holds .*, but no b_dec; an SAE of newlib has exactly",
    ),
    "a tensor too many": (tensors("sae.safetensors", lambda w: w.update(scale=some(D))), "scale may change x̂"),
    "another shape": (tensors("sae.safetensors", lambda w: w.update(b_dec=some(17))), r"b_dec is .* \(17,\)"),
    "no settings": (lambda folder: (folder / "newlib.json").unlink(), r"newlib \(sae.safetensors with newlib.json\)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_refusal_follows_from_the_specification(damage, folder):
    harm, line = DAMAGE[damage]
    harm(folder)
    with pytest.raises(InputError, match=line):
        checkpoints.load(folder)
