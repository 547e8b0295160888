"""How a checkpoint is written again, whatever the layout: which tensors and settings go into which file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.folder import Place
from sandbox.checkpoints.layout import Checkpoint, Stored
from sandbox.errors import InputError

TWO = torch.eye(2)
READERS = {
    ".safetensors": load_file,
    ".npz": lambda path: {name: torch.from_numpy(array) for name, array in np.load(path).items()},
    ".pt": lambda path: torch.load(path, weights_only=True),
}


def checkpoint(folder, stored: Stored) -> Checkpoint:
    """One of two latents, whose files become `stored`; a folder with cfg.json and what lies there already."""
    folder.mkdir(exist_ok=True)
    (folder / "cfg.json").write_text('{"seed": 1, "dtype": "float16"}')
    sae = SAE(TWO, TWO, torch.zeros(2), subtract_b_dec=False)
    return Checkpoint(sae, "a layout", Place(folder, folder), lambda _: stored)


@pytest.mark.parametrize("suffix", READERS)
def test_changed_tensors_and_settings_take_the_place_of_those_of_that_name(suffix, tmp_path):
    name, held = f"weights{suffix}", {"W_enc": TWO.clone(), "W_dec": TWO}
    one = checkpoint(tmp_path / "in", Stored(name, {"W_dec": 3 * TWO}, "cfg.json", {"dtype": "float32"}))
    if suffix == ".safetensors":
        save_file(held, tmp_path / "in" / name)
    elif suffix == ".npz":
        np.savez(tmp_path / "in" / name, W_enc=held["W_enc"].numpy(), W_dec=held["W_dec"].numpy())
    else:
        torch.save(held, tmp_path / "in" / name)
    one.write(tmp_path / "out", TWO, torch.zeros(2))
    found = READERS[suffix](tmp_path / "out" / name)
    assert {key: tensor.tolist() for key, tensor in found.items()} == {
        "W_enc": [[1, 0], [0, 1]],
        "W_dec": [[3, 0], [0, 3]],
    }
    assert json.loads((tmp_path / "out" / "cfg.json").read_text()) == {"seed": 1, "dtype": "float32"}


def test_of_a_whole_set_nothing_else_is_kept(tmp_path):
    stored = Stored("weights.safetensors", {"W_dec": 3 * TWO}, "cfg.json", {"dtype": "float32"}, whole=True)
    one = checkpoint(tmp_path / "in", stored)
    save_file({"W_enc": TWO.clone(), "W_dec": TWO}, tmp_path / "in" / "weights.safetensors")
    one.write(tmp_path / "out", TWO, torch.zeros(2))
    assert list(load_file(tmp_path / "out" / "weights.safetensors")) == ["W_dec"]
    assert json.loads((tmp_path / "out" / "cfg.json").read_text()) == {"dtype": "float32"}


def test_weights_in_a_folder_of_their_own_stay_there(tmp_path):
    one = checkpoint(tmp_path / "in", Stored("weights/final.safetensors", {"W_dec": 3 * TWO}))
    (tmp_path / "in" / "weights").mkdir()
    save_file({"W_dec": TWO}, tmp_path / "in" / "weights" / "final.safetensors")
    one.write(tmp_path / "out", TWO, torch.zeros(2))
    assert load_file(tmp_path / "out" / "weights" / "final.safetensors")["W_dec"].tolist() == [[3, 0], [0, 3]]
    assert json.loads((tmp_path / "out" / "cfg.json").read_text()) == {"seed": 1, "dtype": "float16"}


def test_a_tensor_that_is_not_there_is_nothing_to_write_to(tmp_path):
    one = checkpoint(tmp_path / "in", Stored("weights.safetensors", {"decoder": TWO}))
    save_file({"W_dec": TWO}, tmp_path / "in" / "weights.safetensors")
    with pytest.raises(InputError, match="holds no decoder to write to"):
        one.write(tmp_path / "out", TWO, torch.zeros(2))
    assert not (tmp_path / "out").exists()
