"""Releases of ReLU SAEs that hold little but weights are computed as published, and only under their names."""

import json

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from sae_lens.loading import pretrained_sae_loaders as loaders

from sandbox import InputError, checkpoints
from sandbox.cli.inputs import Inputs
from tests.helpers.checkpoint_files import agrees, other_decoder, some, tensors

D, LATENTS = 16, 48
X = some(200, D, seed=4, scale=2)
W_ENC, W_DEC, B_ENC, B_DEC = some(D, LATENTS), some(LATENTS, D, seed=2), some(LATENTS, seed=1), some(D, seed=3)
HEADS = "gpt2-small_L0_Hcat_z_lr1.20e-03_l11.80e+00_ds24576_bs4096_dc1.00e-06_rsanthropic_rie25000_nr4_v9"

FILES = {
    "Llama-3.1-8B-Instruct-SAE-l19.pth": "Goodfire",
    "Llama-3.3-70B-Instruct-SAE-l50.pt": "Goodfire",
    "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt": "qresearch",
    "DeepSeek-R1-Distill-Llama-70B-SAE-l48.pt": "qresearch",
    "Llama-3.2-1B-Instruct-SAE-l9.pt": "qresearch",
    f"{HEADS}.pt": "Kissane and Krzyzanowski's",
}
NAMES = {
    "Goodfire": ("encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias"),
    "qresearch": ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"),
}
LOADERS = {
    "Goodfire": loaders.get_goodfire_huggingface_loader,
    "qresearch": loaders.deepseek_r1_sae_huggingface_loader,
    "Kissane and Krzyzanowski's": loaders.connor_rob_hook_z_huggingface_loader,
}


def written(folder, file, dtype=torch.float32):
    """A file as the publisher stores it."""
    folder.mkdir(exist_ok=True)
    publisher = FILES[file]
    if publisher in NAMES:
        values = (W_ENC.T, B_ENC, W_DEC.T, B_DEC)
        held = dict(zip(NAMES[publisher], values, strict=True))
    else:
        held = {"W_enc": W_ENC, "b_enc": B_ENC, "W_dec": W_DEC, "b_dec": B_DEC}
        settings = {"act_size": D, "dict_size": LATENTS, "act_name": "blocks.0.attn.hook_z", "l1_coeff": 1.8}
        (folder / file.replace(".pt", "_cfg.json")).write_text(json.dumps(settings))
    torch.save({name: torch.tensor(value.copy(), dtype=dtype) for name, value in held.items()}, folder / file)
    return folder / file


def reference(W_enc, b_enc, W_dec, b_dec, subtracts) -> np.ndarray:
    """ReLU between two affine maps."""
    z = X.astype(np.float64) - (b_dec if subtracts else 0)
    return np.maximum(z @ W_enc.astype(np.float64) + b_enc, 0) @ W_dec.astype(np.float64) + b_dec


@pytest.mark.parametrize("file", FILES)
def test_the_reconstruction_is_the_publishers(file, tmp_path):
    path, subtracts = written(tmp_path / "sae", file), file.startswith("gpt2")
    for named in (path, path.parent):
        checkpoint = checkpoints.read(named)
        assert checkpoint.layout == FILES[file]
        agrees(checkpoint.sae(torch.from_numpy(X)), reference(W_ENC, B_ENC, W_DEC, B_DEC, subtracts))
    W_dec, b_dec = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", W_dec, b_dec)
    changed = checkpoint.sae.with_decoder(W_dec, b_dec)
    torch.testing.assert_close(checkpoints.load(tmp_path / "out")(torch.from_numpy(X)), changed(torch.from_numpy(X)))


@pytest.mark.parametrize("file", [next(f for f in FILES if FILES[f] == publisher) for publisher in LOADERS])
def test_it_is_saelens_too(file, tmp_path, monkeypatch):
    path = written(tmp_path, file)
    repository = "Goodfire/Llama-3.1-8B-Instruct-SAE-l19" if FILES[file] == "Goodfire" else "owner/repository"

    def download(repo_id, filename, **_):
        return str(tmp_path / filename)

    monkeypatch.setattr(loaders, "hf_hub_download", download)
    config, state, _ = LOADERS[FILES[file]](repository, file)
    theirs = StandardSAE(StandardSAEConfig(D, LATENTS, apply_b_dec_to_input=config["apply_b_dec_to_input"]))
    theirs.load_state_dict({name: value.float().contiguous() for name, value in state.items()})
    torch.testing.assert_close(checkpoints.load(path)(torch.from_numpy(X)), theirs(torch.from_numpy(X)))


def test_a_file_of_another_name_is_not_taken_for_one_of_them(tmp_path):
    for publisher in NAMES:
        file = next(f for f in FILES if FILES[f] == publisher)
        written(tmp_path, file).rename(tmp_path / f"{publisher}.pt")
    with pytest.raises(InputError, match="this is an SAE of Goodfire: only two of its files are known to be ReLU SAEs"):
        checkpoints.read(tmp_path / "Goodfire.pt")
    with pytest.raises(InputError, match="may be those of AutoEncoderNew, or of another library"):
        checkpoints.read(tmp_path / "qresearch.pt")


def test_settings_are_those_of_the_same_name(tmp_path):
    path = written(tmp_path, f"{HEADS}.pt")
    assert "x is the concatenated outputs of all heads" in checkpoints.read(path).describe()
    assert str(tmp_path / f"{HEADS}_cfg.json") in Inputs().files(saes=[str(path)])  # no output may overwrite it
    settings = tmp_path / f"{HEADS}_cfg.json"
    settings.write_text(json.dumps({"act_size": D, "dict_size": 7}))
    with pytest.raises(InputError, match=f"dict_size is 7, but {LATENTS} in the weights"):
        checkpoints.read(path)
    settings.rename(tmp_path / "other_cfg.json")
    with pytest.raises(InputError, match="this is weights without settings, as of Neel Nanda's AutoEncoder"):
        checkpoints.read(path)


@pytest.mark.parametrize("file", [next(f for f in FILES if FILES[f] == publisher) for publisher in LOADERS])
def test_every_tensor_is_checked(file, tmp_path):
    written(tmp_path, file)
    tensors(file, lambda held: held.update(more=torch.ones(2)))(tmp_path)
    with pytest.raises(InputError, match="more may change x̂: an SAE of"):
        checkpoints.read(tmp_path)
    path = written(tmp_path, file)
    name = next(iter(torch.load(path, weights_only=True)))
    tensors(file, lambda held: held[name].__setitem__((0, 0), torch.inf))(tmp_path)
    with pytest.raises(InputError, match=f"{name} holds a NaN or an infinity"):
        checkpoints.read(tmp_path)
