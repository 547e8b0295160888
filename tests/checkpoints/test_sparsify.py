"""Checkpoints that sparsify writes are computed as sparsify computes them; whatever else is there is refused."""

import json
import os
import warnings

import pytest
import torch

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import agrees, other_decoder, settings, some, tensors

with warnings.catch_warnings():  # sparsify's own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from sparsify import SparseCoder, SparseCoderConfig

D, LATENTS = 16, 64
X = torch.from_numpy(some(200, D, seed=4, scale=1))

OPTIONS = {
    "topk": {},
    "groupmax": {"activation": "groupmax", "k": 4},  # groups of 16: not as many as they are long
    "decoder not normalised": {"normalize_decoder": False},
    "multi-topk": {"multi_topk": True},
    "latents counted": {"num_latents": LATENTS, "expansion_factor": 32},
    "k of 1": {"k": 1},
    "a transcoder": {"transcode": True},
    "a transcoder with a skip connection": {"transcode": True, "skip_connection": True},
    "an SAE with a skip connection": {"skip_connection": True},
}


def written_by_sparsify(folder, **options) -> SparseCoder:
    """An SAE with a random value in every tensor, saved by the library."""
    config = {"expansion_factor": 4, "k": 8} | options
    coder = SparseCoder(D, SparseCoderConfig(**config))
    with torch.no_grad():
        for seed, weights in enumerate(coder.parameters()):
            weights.copy_(torch.from_numpy(some(*weights.shape, seed=seed)))
    coder.save_to_disk(folder)
    return coder


def x_hat(coder: SparseCoder, x: torch.Tensor):
    """Its decoding of its encoding, and, but for multi-topk, what its forward gives, too."""
    with torch.no_grad():
        top = coder.encode(x)
        decoded = coder.decode(top.top_acts, top.top_indices)
        if coder.W_skip is not None:
            decoded = decoded + x @ coder.W_skip.mT
        if not coder.cfg.multi_topk:
            torch.testing.assert_close(coder(x).sae_out, decoded)
    return decoded.numpy()


@pytest.mark.parametrize("option", OPTIONS)
def test_the_reconstruction_is_sparsifys_own(option, tmp_path):
    theirs = written_by_sparsify(tmp_path, **OPTIONS[option])
    ours = checkpoints.load(tmp_path)
    agrees(ours(X), x_hat(theirs, X))
    top = theirs.encode(X)
    latents = torch.zeros(len(X), LATENTS).scatter_(-1, top.top_indices, top.top_acts.detach())
    agrees(ours.encode(X), latents.numpy())
    assert ours.transcodes == theirs.cfg.transcode
    assert ours.subtract_b_dec != theirs.cfg.transcode
    assert (ours.W_skip is not None) == theirs.cfg.skip_connection


def test_with_multi_topk_their_forward_has_four_times_as_many_latents_and_that_is_said(tmp_path):
    theirs = written_by_sparsify(tmp_path, multi_topk=True)
    checkpoint = checkpoints.read(tmp_path)
    assert "forward's has 4k latents, for multi_topk" in checkpoint.describe()
    checkpoint.sae.activation.k = 4 * 8
    agrees(checkpoint.sae(X), theirs(X).sae_out.detach().numpy())


def test_the_conventions_are_said(tmp_path):
    written_by_sparsify(tmp_path, activation="groupmax")
    described = "sparsify groupmax (k = 8), d_in 16, d_sae 64, decoder bias subtracted from the input: yes"
    assert checkpoints.read(tmp_path).describe() == described


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", ["topk", "groupmax"])
@pytest.mark.parametrize("kind", [{}, {"transcode": True, "skip_connection": True}])
def test_sparsify_loads_a_changed_decoder(activation, dtype, kind, tmp_path):
    written_by_sparsify(tmp_path / "in", activation=activation, **kind).to(dtype).save_to_disk(tmp_path / "in")
    checkpoint = checkpoints.read(tmp_path / "in")
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    theirs = SparseCoder.load_from_disk(tmp_path / "out")
    expected = x_hat(theirs, X)
    agrees(checkpoint.sae.with_decoder(*decoder)(X), expected)
    agrees(checkpoints.load(tmp_path / "out")(X), expected)


def test_a_folder_of_layers_is_refused_with_their_names(tmp_path):
    for layer in (3, 5):
        written_by_sparsify(tmp_path / f"layers.{layer}")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"a folder of SAEs \(layers.3, layers.5\): name one of them, such as .*layers.3"
    ):
        checkpoints.load(tmp_path)
    assert checkpoints.load(tmp_path / "layers.5").d_sae == LATENTS
    assert checkpoints.load(tmp_path / "layers.5" / "sae.safetensors").d_sae == LATENTS


def test_a_folder_that_fits_two_layouts_is_refused(tmp_path):
    written_by_sparsify(tmp_path)
    (tmp_path / "sae_weights.safetensors").write_bytes((tmp_path / "sae.safetensors").read_bytes())
    with pytest.raises(
        InputError, match=r"several SAEs: sae_weights.safetensors \(SAELens\) and sae.safetensors \(sparsify\)"
    ):
        checkpoints.load(tmp_path)


def config(**changes):
    return settings("cfg.json", **changes)


def weights(change):
    return tensors("sae.safetensors", change)


DAMAGE = {
    "a transcoder in words": (config(transcode="yes"), "transcode is 'yes'"),
    "a skip connection": (config(skip_connection=True), "but no W_skip; a sparsify SAE with a skip connection has"),
    "a skip connection to elsewhere": (
        lambda f: (config(skip_connection=True)(f), weights(lambda w: w.update(W_skip=some(D, D + 1)))(f)),
        r"W_skip is .* \(16, 17\)",
    ),
    "a skip connection unsaid": (weights(lambda w: w.update(W_skip=some(D, D))), "W_skip may change x̂"),
    "another activation": (config(activation="jumprelu"), "activation is 'jumprelu'"),
    "signed": (config(signed=True), "signed is True"),
    "no k": (config(k=None), "k is None"),
    "k of 0": (config(k=0), "k is 0"),
    "k beyond d_sae": (config(k=65), "k is 65; a whole number from 1 to d_sae = 64"),
    "groups that do not come out even": (config(activation="groupmax", k=7), "64 latents do not divide into 7"),
    "another d_in": (config(d_in=17), "d_in is 17, but 16 in the weights"),
    "another d_sae": (config(num_latents=65), "num_latents is 65, but 64"),
    "another expansion": (
        config(expansion_factor=5),
        "expansion_factor is 5 and d_in 16, but the weights have",
    ),
    "an unknown setting": (config(input_scale=2.0), "input_scale may change x̂"),
    "no decoder": (weights(lambda w: w.pop("W_dec")), "but no W_dec"),
    "transposed": (
        weights(lambda w: w.update({"encoder.weight": w["encoder.weight"].T})),
        r"encoder.weight is .* \(16, 64\)",
    ),
    "nan": (weights(lambda w: w["b_dec"].fill(float("nan"))), "b_dec holds a NaN"),
    "not safetensors": (lambda f: (f / "sae.safetensors").write_bytes(b"x" * 99), "cannot be read as safetensors"),
    "a list": (lambda f: (f / "cfg.json").write_text("[]"), "holds a list"),
    "no settings": (lambda f: os.remove(f / "cfg.json"), "matches no supported layout"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    written_by_sparsify(tmp_path)
    harm, line = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)


def test_settings_of_the_first_releases_are_read(tmp_path):
    theirs = written_by_sparsify(tmp_path)
    first = {"expansion_factor": 4, "normalize_decoder": True, "num_latents": 0, "k": 8, "signed": False, "d_in": D}
    (tmp_path / "cfg.json").write_text(json.dumps(first))
    agrees(checkpoints.load(tmp_path)(X), x_hat(theirs, X))
