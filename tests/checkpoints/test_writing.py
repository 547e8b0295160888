"""How a checkpoint is written again, whatever the layout: which tensors and settings go into which file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sandbox.checkpoints import reading
from sandbox.checkpoints.activation_functions import ReLU
from sandbox.checkpoints.files import Files, write
from sandbox.checkpoints.layout import Conventions, Layout, Weight, free
from sandbox.errors import InputError

TWO = torch.eye(2)
READERS = {
    ".safetensors": load_file,
    ".npz": lambda path: {name: torch.from_numpy(array) for name, array in np.load(path).items()},
    ".pt": lambda path: torch.load(path, weights_only=True),
}
TENSORS = {"W_enc": Weight("W_enc", "is"), "decoder": Weight("W_dec", "is"), "b_dec": Weight("b_dec", "i")}


def checkpoint(folder, weights="weights.safetensors", tensors=TENSORS, conventions=None, **options):
    """A ReLU SAE of two latents, read from its files."""
    layout = Layout(
        name="toy",
        weights=(weights,),
        settings_file="cfg.json",
        tensors=tensors,
        settings=free("seed dtype"),
        conventions=lambda _: Conventions(ReLU(), subtract_b_dec=False, **conventions or {}),
        **options,
    )
    (folder / weights).parent.mkdir(parents=True)
    (folder / "cfg.json").write_text('{"seed": 1, "dtype": "float16"}')
    write(folder / weights, {name: (torch.zeros(2) if name == "b_dec" else TWO.clone()).half() for name in tensors})
    (candidate,) = layout.candidates(Files(folder, folder))
    return reading.read(layout, candidate)


DECODER = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("suffix", READERS)
def test_changed_tensors_and_settings_take_the_place_of_those_of_that_name(suffix, tmp_path):
    name = f"weights{suffix}"
    checkpoint(tmp_path / "in", name, conventions={"written_settings": {"dtype": "float32"}}).write(
        tmp_path / "out", DECODER, torch.zeros(2)
    )
    found = READERS[suffix](tmp_path / "out" / name)
    assert {key: tensor.tolist() for key, tensor in found.items()} == {
        "W_enc": [[1, 0], [0, 1]],
        "decoder": [[1, 3], [2, 4]],
        "b_dec": [0, 0],
    }
    assert (found["W_enc"].dtype, found["decoder"].dtype) == (torch.float16, torch.float32)
    assert json.loads((tmp_path / "out" / "cfg.json").read_text()) == {"seed": 1, "dtype": "float32"}


def test_a_layout_that_rewrites_its_files_has_all_of_them_in_float32(tmp_path):
    written = {"written_tensors": {"W_enc": TENSORS["W_enc"], "D": Weight("W_dec", "si"), "b_dec": TENSORS["b_dec"]}}
    one = checkpoint(tmp_path / "in", conventions=written, rewrites=True)
    one.write(tmp_path / "out", DECODER, torch.zeros(2))
    found = load_file(tmp_path / "out" / "weights.safetensors")
    assert {name: tensor.dtype for name, tensor in found.items()} == dict.fromkeys(
        ("D", "W_enc", "b_dec"), torch.float32
    )
    assert found["D"].tolist() == DECODER.tolist()
    assert (tmp_path / "out" / "cfg.json").read_bytes() == (tmp_path / "in" / "cfg.json").read_bytes()


def test_weights_in_a_folder_of_their_own_stay_there(tmp_path):
    one = checkpoint(tmp_path / "in", "checkpoints/final.safetensors")
    one.write(tmp_path / "out", DECODER, torch.zeros(2))
    assert load_file(tmp_path / "out" / "checkpoints" / "final.safetensors")["decoder"].tolist() == [[1, 3], [2, 4]]
    assert json.loads((tmp_path / "out" / "cfg.json").read_text()) == {"seed": 1, "dtype": "float16"}


def test_units_are_divided_by_and_multiplied_back(tmp_path):
    one = checkpoint(tmp_path / "in", conventions={"units": {"W_dec": 2.0}})
    assert one.sae.W_dec.tolist() == [[0.5, 0], [0, 0.5]]
    one.write(tmp_path / "out", DECODER, torch.zeros(2))
    assert load_file(tmp_path / "out" / "weights.safetensors")["decoder"].tolist() == [[2, 6], [4, 8]]


def test_a_bias_that_the_files_have_no_tensor_for_is_refused(tmp_path):
    one = checkpoint(tmp_path / "in", tensors={name: TENSORS[name] for name in ("W_enc", "decoder")})
    assert one.sae.b_dec.tolist() == [0, 0]
    one.write(tmp_path / "out", DECODER, torch.zeros(2))
    with pytest.raises(InputError, match="has no b_dec, which would no longer be 0; rescale it without a shift"):
        one.write(tmp_path / "shifted", DECODER, torch.ones(2))
    assert not (tmp_path / "shifted").exists()
