"""Gemma Scope's arrays are computed as its paper and its tutorial say; whatever else is there is refused."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import agrees, other_decoder, settings, some, tensors

D, LATENTS = 16, 48

SECOND_RELEASE = {
    "architecture": "jump_relu",
    "model_name": "google/gemma-3-1b-pt",
    "hf_hook_point_in": "model.layers.7.output",
    "hf_hook_point_out": "model.layers.7.output",
    "width": LATENTS,
    "l0": 10,
    "affine_connection": False,
    "type": "sae",
}


def written(folder, release: int):
    """An SAE as the first or the second release stores it."""
    arrays = {
        "W_enc": some(D, LATENTS),
        "W_dec": some(LATENTS, D),
        "b_enc": some(LATENTS, seed=1),
        "b_dec": some(D, seed=2),
        "threshold": some(LATENTS, seed=3),  # some below 0, where the ReLU still holds
    }
    if release == 1:
        np.savez(folder / "params.npz", **arrays)
    else:
        lower = {name.lower(): array for name, array in arrays.items()}
        safetensors.numpy.save_file(lower, folder / "params.safetensors")
        (folder / "config.json").write_text(json.dumps(SECOND_RELEASE))


def reference(folder, release: int, x: np.ndarray) -> np.ndarray:
    """Equations 1 to 3 of arXiv 2408.05147, token by token and latent by latent, in float64."""
    if release == 1:
        held = np.load(folder / "params.npz")
    else:
        held = safetensors.numpy.load_file(folder / "params.safetensors")
    p = {name.lower(): np.asarray(held[name], np.float64) for name in held}
    x_hat = np.tile(p["b_dec"], (len(x), 1))
    for token, row in enumerate(np.asarray(x, np.float64)):
        for latent in range(len(p["b_enc"])):
            strength = p["w_enc"][:, latent] @ row + p["b_enc"][latent]
            if strength > max(p["threshold"][latent], 0):
                x_hat[token] += strength * p["w_dec"][latent]
    return x_hat


@pytest.mark.parametrize("release", [1, 2])
def test_the_reconstruction_is_the_published_one(release, tmp_path):
    written(tmp_path, release)
    x = some(60, D, seed=4, scale=1)
    checkpoint = checkpoints.read(tmp_path)
    agrees(checkpoint.sae(torch.from_numpy(x)), reference(tmp_path, release, x))
    described = "Gemma Scope jumprelu, d_in 16, d_sae 48, decoder bias subtracted from the input: no"
    assert checkpoint.describe() == described


@pytest.mark.parametrize("release", [1, 2])
def test_a_changed_decoder_is_stored_where_the_reference_finds_it(release, tmp_path):
    (tmp_path / "in").mkdir()
    written(tmp_path / "in", release)
    checkpoint = checkpoints.read(tmp_path / "in")
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    x = torch.from_numpy(some(60, D, seed=4, scale=1))
    expected = reference(tmp_path / "out", release, x.numpy())
    agrees(checkpoint.sae.with_decoder(*decoder)(x), expected)
    agrees(checkpoints.load(tmp_path / "out")(x), expected)
    assert np.abs(expected - reference(tmp_path / "in", release, x.numpy())).max() > 0.1


@pytest.mark.parametrize(("release", "name"), [(1, "layer_7.npz"), (2, "layer_7.safetensors")])
def test_a_file_of_another_name_is_known_by_its_arrays(release, name, tmp_path):
    written(tmp_path, release)
    kept = "params.npz" if release == 1 else "params.safetensors"
    (tmp_path / kept).rename(tmp_path / name)
    assert checkpoints.read(tmp_path / name).layout == "Gemma Scope"
    with pytest.raises(InputError, match="matches no supported layout"):
        checkpoints.read(tmp_path)


def npz(change):
    return 1, tensors("params.npz", change)


def safe(change):
    return 2, tensors("params.safetensors", change)


def config(**changes):
    return 2, settings("config.json", **changes)


DAMAGE = {
    "an array too few": (npz(lambda a: a.pop("threshold")), "but no threshold; .* nothing is guessed"),
    "an array too many": (npz(lambda a: a.update(scaling_factor=np.ones(LATENTS))), "scaling_factor may change x̂"),
    "lower case in .npz": (npz(lambda a: a.update(w_enc=a.pop("W_enc"))), "but no W_enc"),
    "upper case in safetensors": (safe(lambda a: a.update(W_enc=a.pop("w_enc"))), "but no w_enc"),
    "transposed": (npz(lambda a: a.update(W_enc=a["W_enc"].T)), r"W_enc is .* \(48, 16\)"),
    "one threshold": (npz(lambda a: a.update(threshold=np.float32([0.5]))), r"threshold is .* \(1,\)"),
    "nan": (npz(lambda a: a["W_dec"].fill(np.nan)), "W_dec holds a NaN"),
    "whole numbers": (npz(lambda a: a.update(b_dec=np.ones(D, int))), "b_dec is torch.int64"),
    "a pickle": (npz(lambda a: a.update(b_dec=np.array([{}]))), "without executing code"),
    "an affine connection": (safe(lambda a: a.update(affine_skip_connection=some(D, D))), "make it an SAE"),
    "a cross-layer transcoder": (
        safe(lambda a: a.update(w_dec=some(LATENTS, 3, D))),
        r"w_dec has shape \(48, 3, 16\): a cross-layer transcoder reads one layer",
    ),
    "one of the first release's form": (npz(lambda a: a.update(W_dec=some(LATENTS, 3, D))), "a cross-layer transcoder"),
    "a cross-layer transcoder by type": (config(type="clt"), "type is 'clt', which reads or reconstructs several"),
    "a transcoder by type alone": (config(type="transcoder"), "type is 'transcoder', but it reads .*; one is wrong"),
    "a transcoder by its points alone": (
        config(hf_hook_point_out="model.layers.7.mlp"),
        "type is 'sae', but it reads model.layers.7.output and reconstructs model.layers.7.mlp",
    ),
    "a setting that is affine": (config(affine_connection=True), "affine_connection is True, but the weights have no"),
    "another architecture": (config(architecture="topk"), "architecture is 'topk'"),
    "another width": (config(width=64), "width is 64, but 48 in the weights"),
    "an unknown setting": (config(input_scale=2.0), "input_scale may change x̂"),
    "both files": ((2, lambda f: written(f, 1)), "name one of these files"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    (release, harm), line = DAMAGE[damage]
    written(tmp_path, release)
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize(
    ("folder", "release"),
    [
        ("gemma-scope-2b-pt-transcoders/layer_5/width_16k/average_l0_9", 1),
        ("models--google--gemma-scope-2b-pt-transcoders/snapshots/1/layer_5/width_16k/average_l0_9", 1),
        ("transcoders/layer_5/width_16k/average_l0_9", 1),
        ("transcoder", 2),
        ("gemma-scope/2b-pt-transcoders/layer_0/width_1k/average_l0_7", 1),
        ("Gemma-Scope-2b-pt-Transcoders/layer_5/width_16k/average_l0_9", 1),
        ("gemma-scope-study/gemma-scope-2b-pt-transcoders/layer_5/width_16k/average_l0_9", 1),
        ("Transcoders/a/b", 1),
    ],
)
def test_what_only_its_folder_tells_from_an_sae_is_a_transcoder(folder, release, tmp_path):
    path = tmp_path / folder
    path.mkdir(parents=True)
    written(path, release)
    (path / "config.json").unlink(missing_ok=True)
    checkpoint = checkpoints.read(path)
    assert checkpoint.sae.transcodes is True
    assert checkpoint.describe().startswith("Gemma Scope jumprelu transcoder, d_in 16, d_out 16, d_sae 48")
    x = some(60, D, seed=4, scale=1)
    agrees(checkpoint.sae(torch.from_numpy(x)), reference(path, release, x))


def test_a_transcoder_of_the_second_release_adds_its_affine_connection(tmp_path):
    wide = 20  # d_out; in Gemma's transcoders it is d_in, but nothing depends on that
    points = {"hf_hook_point_in": "model.layers.7.pre_feedforward_layernorm.output"}
    points["hf_hook_point_out"] = "model.layers.7.post_feedforward_layernorm.output"
    written(tmp_path, 2)
    affine = some(D, wide, seed=6)
    tensors(
        "params.safetensors",
        lambda a: a.update(w_dec=some(LATENTS, wide), b_dec=some(wide, seed=2), affine_skip_connection=affine),
    )(tmp_path)
    settings("config.json", type="transcoder", affine_connection=True, **points)(tmp_path)
    checkpoint = checkpoints.read(tmp_path)
    x = some(60, D, seed=4, scale=1)
    expected = reference(tmp_path, 2, x) + np.float64(x) @ np.float64(affine)
    agrees(checkpoint.sae(torch.from_numpy(x)), expected)
    assert (checkpoint.sae.transcodes, checkpoint.sae.d_in, checkpoint.sae.d_out) == (True, D, wide)
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    changed = checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(x))
    agrees(checkpoints.load(tmp_path / "out")(torch.from_numpy(x)), changed.double().numpy())


def test_arrays_that_may_be_either_are_what_targets_make_them(tmp_path):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    written(tmp_path / "a" / "b" / "c", 1)
    assert checkpoints.load(tmp_path / "a" / "b" / "c").transcodes is None


@pytest.mark.parametrize(
    "folder",
    [
        "transcoders-and-saes/gemma-scope-2b-pt-res/layer_5/width_16k/average_l0_9",
        "gemma-scope-transcoder-study/gemma-scope-2b-pt-res/layer_0/width_16k/average_l0_9",
        "transcoders/a/b/c/d",
    ],
)
def test_an_sae_in_somebodys_folder_about_transcoders_is_read(folder, tmp_path):
    path = tmp_path / folder
    path.mkdir(parents=True)
    written(path, 1)
    sae = checkpoints.load(path)
    assert sae.d_in == D
    assert not sae.transcodes
