"""Llama Scope's files are computed as OpenMOSS' own loader computes them; whatever else is there is refused."""

import json
from itertools import product

import numpy as np
import pytest
import safetensors.numpy
import torch

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import agrees, other_decoder, settings, some, tensors

D, LATENTS = 16, 48
X = some(200, D, seed=4, scale=2)
FINAL = "checkpoints/final.safetensors"

PUBLISHED = {
    "dtype": "torch.bfloat16",
    "hook_point_in": "blocks.15.hook_resid_post",
    "hook_point_out": "blocks.15.hook_resid_post",
    "use_decoder_bias": True,
    "apply_decoder_bias_to_pre_encoder": False,
    "expansion_factor": 3,
    "d_model": D,
    "d_sae": LATENTS,
    "act_fn": "jumprelu",
    "jump_relu_threshold": 0.35546875,
    "norm_activation": "dataset-wise",
    "dataset_average_activation_norm": {"in": 10.8125, "out": 10.8125},
    "sparsity_include_decoder_norm": True,
    "use_glu_encoder": False,
    "top_k": 5,
}

OPTIONS = {
    "as published": {},
    "no norm": {"norm_activation": "none"},
    "folded already": {"norm_activation": "inference"},
    "a threshold of 0": {"jump_relu_threshold": 0},
    "every token": {"norm_activation": "token-wise"},
    "two norms": {"dataset_average_activation_norm": {"in": 10.8125, "out": 8}},
    "relu": {"act_fn": "relu"},
    "top k": {"act_fn": "topk", "jump_relu_threshold": 0.0},
    "top k of every token": {"act_fn": "topk", "jump_relu_threshold": 0.0, "norm_activation": "token-wise"},
    "no decoder bias": {"use_decoder_bias": False},
    "no hook point out": {"hook_point_out": None},
}
SWITCHES = list(product([False, True], repeat=2))


def written(folder, weights=FINAL, **options):
    """An SAE as the library stores it."""
    config = PUBLISHED | options
    held = {
        "encoder.weight": some(LATENTS, D),
        "encoder.bias": some(LATENTS, seed=1),
        "decoder.weight": some(D, LATENTS, seed=2),
        "decoder.bias": some(D, seed=3),
    }
    if not config["use_decoder_bias"]:
        del held["decoder.bias"]
    (folder / weights).parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(held, folder / weights)
    (folder / "hyperparams.json").write_text(json.dumps(config))


def reference(folder, x: np.ndarray, weights=FINAL) -> np.ndarray:
    """As it was trained, nothing folded: x scaled first, each latent judged in the loader's units, x̂ scaled back."""
    s = json.loads((folder / "hyperparams.json").read_text())
    p = {name: w.astype(np.float64) for name, w in safetensors.numpy.load_file(folder / weights).items()}
    rows = []
    for token in x.astype(np.float64):
        into = out = unit = 1.0  # unit: of pre-activations in training, in those of the threshold
        if s["norm_activation"] == "dataset-wise":
            into, out = (np.sqrt(D) / s["dataset_average_activation_norm"][end] for end in ("in", "out"))
            unit = into
        elif s["norm_activation"] == "token-wise":
            into = out = np.sqrt(D) / np.sqrt((token**2).sum())
        z = token * into
        bias = p.get("decoder.bias", np.zeros(D))
        if s["apply_decoder_bias_to_pre_encoder"]:
            z = z - bias * (into / out)  # in the units of x
        pre_acts = p["encoder.weight"] @ z + p["encoder.bias"]
        judged = pre_acts / unit
        if s["sparsity_include_decoder_norm"]:
            columns = p["decoder.weight"] * (into / out if s["norm_activation"] == "dataset-wise" else 1)
            judged = judged * np.sqrt((columns**2).sum(0))
        if s["act_fn"] == "relu":
            on = judged > 0
        elif s["act_fn"] == "jumprelu":
            on = judged > s["jump_relu_threshold"]
        else:
            on = (judged > 0) & (judged >= np.sort(judged)[-s["top_k"]])
        rows.append((p["decoder.weight"] @ np.where(on, pre_acts, 0) + bias) / out)
    return np.array(rows)


@pytest.mark.parametrize(("norms", "subtracted"), SWITCHES)
@pytest.mark.parametrize("option", OPTIONS)
def test_the_reconstruction_is_the_published_one(option, norms, subtracted, tmp_path):
    switches = {"sparsity_include_decoder_norm": norms, "apply_decoder_bias_to_pre_encoder": subtracted}
    written(tmp_path, **OPTIONS[option] | switches)
    expected = reference(tmp_path, X)
    checkpoint = checkpoints.read(tmp_path)
    agrees(checkpoint.sae(torch.from_numpy(X)), expected)
    assert 0 < (checkpoint.sae.encode(torch.from_numpy(X)) > 0).double().mean() < 0.9

    if "use_decoder_bias" not in OPTIONS[option]:
        decoder = other_decoder(checkpoint.sae)
        checkpoint.write(tmp_path / "out", *decoder)
        changed = reference(tmp_path / "out", X)
        agrees(checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X)), changed)
        agrees(checkpoints.load(tmp_path / "out")(torch.from_numpy(X)), changed)
        assert np.abs(changed - expected).max() > 0.1


def test_the_conventions_are_said(tmp_path):
    written(tmp_path)
    assert checkpoints.read(tmp_path).describe() == (
        "Llama Scope jumprelu, d_in 16, d_sae 48, decoder bias subtracted from the input: no, "
        "weights times √d / 10.8125 folded in"
    )


@pytest.mark.parametrize("weights", ["sae_weights.safetensors", "final.safetensors", "checkpoints/pruned.safetensors"])
def test_weights_are_found_where_the_library_looks(weights, tmp_path):
    written(tmp_path, weights)
    expected = reference(tmp_path, X, weights)
    agrees(checkpoints.load(tmp_path)(torch.from_numpy(X)), expected)
    agrees(checkpoints.load(tmp_path / weights)(torch.from_numpy(X)), expected)


def test_of_two_files_one_has_to_be_named(tmp_path):
    written(tmp_path)
    written(tmp_path, "checkpoints/pruned.safetensors")
    with pytest.raises(
        InputError, match=r"pruned.safetensors \(Llama Scope\) and .*final.safetensors .*; name one of these files"
    ):
        checkpoints.load(tmp_path)
    agrees(checkpoints.load(tmp_path / FINAL)(torch.from_numpy(X)), reference(tmp_path, X))


def test_without_a_decoder_bias_a_correction_has_no_shift(tmp_path):
    written(tmp_path, use_decoder_bias=False)
    checkpoint = checkpoints.read(tmp_path)
    W_dec, b_dec = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", W_dec, torch.zeros(D))
    expected = reference(tmp_path / "out", X)
    agrees(checkpoint.sae.with_decoder(W_dec, torch.zeros(D))(torch.from_numpy(X)), expected)
    with pytest.raises(InputError, match="rescale it without a shift"):
        checkpoint.write(tmp_path / "shifted", W_dec, b_dec)


def config(**changes):
    return settings("hyperparams.json", **changes)


def weights(change):
    return tensors(FINAL, change)


DAMAGE = {
    "a transcoder": (config(hook_point_out="blocks.15.hook_mlp_out"), "a transcoder, whose output"),
    "a gated linear unit": (config(use_glu_encoder=True), "use_glu_encoder is True"),
    "a gated linear unit unsaid": (weights(lambda w: w.update({"encoder_glu.bias": some(3)})), "encoder_glu.bias may"),
    "a norm of each batch": (config(norm_activation="batch-wise"), "norm_activation is 'batch-wise'"),
    "no norm said": (config(norm_activation=None), "norm_activation is not set"),
    "a norm without its value": (config(dataset_average_activation_norm=None), "activation_norm is None"),
    "half a norm": (config(dataset_average_activation_norm={"in": 3}), "needs positive numbers for in and out"),
    "a norm of 0": (config(dataset_average_activation_norm={"in": 0, "out": 3}), "needs positive numbers"),
    "another activation": (config(act_fn="batchtopk"), "act_fn is 'batchtopk'"),
    "no activation": (config(act_fn=None), "act_fn is not set: one of 'relu'"),
    "no threshold": (config(jump_relu_threshold=None), "jump_relu_threshold is None"),
    "a threshold below 0": (config(jump_relu_threshold=-0.1), "jump_relu_threshold is -0.1"),
    "top k and a threshold": (config(act_fn="topk"), "'topk', but jump_relu_threshold is 0.35546875: set act_fn"),
    "k beyond d_sae": (config(act_fn="topk", jump_relu_threshold=0, top_k=49), "top_k is 49"),
    "no decoder norm said": (
        config(sparsity_include_decoder_norm=None),
        "sparsity_include_decoder_norm is not set: one of True",
    ),
    "no subtraction said": (config(apply_decoder_bias_to_pre_encoder=None), "to_pre_encoder is not set"),
    "no bias said": (config(use_decoder_bias=None), "use_decoder_bias is not set"),
    "a bias that is not there": (weights(lambda w: w.pop("decoder.bias")), "but no decoder.bias"),
    "a bias that should not be there": (config(use_decoder_bias=False), "decoder.bias may change x̂"),
    "another d_model": (config(d_model=17), "d_model is 17, but 16 in the weights"),
    "another d_sae": (config(d_sae=64), "d_sae is 64, but 48 in the weights"),
    "an unknown setting": (config(input_scale=2.0), "input_scale may change x̂"),
    "transposed": (
        weights(lambda w: w.update({"decoder.weight": w["decoder.weight"].T})),
        r"decoder.weight is .* \(48, 16\)",
    ),
    "a column of 0": (weights(lambda w: w["decoder.weight"][:, 3].fill(0)), "1 latents have a decoder row of norm 0"),
    "nan": (weights(lambda w: w["encoder.bias"].fill(np.nan)), "encoder.bias holds a NaN"),
    "no weights": (lambda f: (f / FINAL).unlink(), "matches no supported layout"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    written(tmp_path)
    harm, line = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)
