"""llamascopium's files, and those of the library before it had this name, are computed as in its training."""

import json
import math
from itertools import product

import numpy as np
import pytest
import safetensors.numpy
import torch
from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.loading import pretrained_sae_loaders as loaders

from sandbox import InputError, checkpoints
from tests.helpers.checkpoint_files import agrees, other_decoder, settings, some, tensors

D, LATENTS = 16, 48
X = some(200, D, seed=4, scale=2)
HOOK = "blocks.15.hook_resid_post"
WEIGHTS, FINAL = "sae_weights.safetensors", "checkpoints/final.safetensors"
NORM = f"dataset_average_activation_norm.{HOOK}"

PUBLISHED = {
    "sae_type": "sae",
    "hook_point_in": HOOK,
    "hook_point_out": HOOK,
    "d_model": D,
    "expansion_factor": 3.0,
    "use_decoder_bias": True,
    "act_fn": "jumprelu",
    "norm_activation": "dataset-wise",
    "sparsity_include_decoder_norm": True,
    "top_k": 5,
    "use_triton_kernel": False,
    "sparsity_threshold_for_triton_spmm_kernel": 0.996,
    "jumprelu_threshold_window": 2.0,
    "use_glu_encoder": False,
}
"""config.json of version 2.0."""

BEFORE = {
    "expansion_factor": 3,
    "jump_relu_threshold": 0.0,
    "apply_decoder_bias_to_pre_encoder": False,
    "force_unit_decoder_norm": False,
}
"""Settings that the library had until 2025."""


def written(folder, weights=WEIGHTS, newer=True, **options):
    """An SAE as the library stores it: of version 2.0, or of early 2025."""
    config = PUBLISHED | ({} if newer else BEFORE) | options
    W_E, W_D = some(D, LATENTS), some(LATENTS, D, seed=2)
    held = {"W_E": W_E, "b_E": some(LATENTS, seed=1), "W_D": W_D, "b_D": some(D, seed=3)}
    threshold = "activation_function.log_jumprelu_threshold"
    if not newer:
        names = ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias")
        held = dict(zip(names, (W_E.T, held["b_E"], W_D.T, held["b_D"]), strict=True))
        threshold = "log_jumprelu_threshold"
    if not config["use_decoder_bias"]:
        del held["b_D" if newer else "decoder.bias"]
    if config["act_fn"] == "jumprelu":
        held[threshold] = some(LATENTS, seed=5, scale=0.5) - 0.5
    held[NORM] = np.array(10.8125, dtype=np.float32)
    (folder / weights).parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file({name: np.asarray(w, order="C") for name, w in held.items()}, folder / weights)
    (folder / "config.json").write_text(json.dumps(config))


def reference(folder, x: np.ndarray, weights=WEIGHTS) -> np.ndarray:
    """As in training: x scaled first, latents judged at that scale, x̂ scaled back."""
    s = json.loads((folder / "config.json").read_text())
    p = {name: w.astype(np.float64) for name, w in safetensors.numpy.load_file(folder / weights).items()}
    newer = "W_E" in p
    W_E, W_D = (p["W_E"], p["W_D"]) if newer else (p["encoder.weight"].T, p["decoder.weight"].T)
    b_E = p["b_E" if newer else "encoder.bias"]
    b_D = p.get("b_D" if newer else "decoder.bias", np.zeros(D))
    log = p.get("activation_function.log_jumprelu_threshold", p.get("log_jumprelu_threshold"))
    rows = []
    for token in x.astype(np.float64):
        factor = {
            "dataset-wise": math.sqrt(D) / float(p[NORM]),
            "token-wise": math.sqrt(D) / np.sqrt((token**2).sum()),
            "inference": 1.0,
        }[s["norm_activation"]]
        z = token * factor - (b_D if s.get("apply_decoder_bias_to_pre_encoder") else 0)
        pre_acts = z @ W_E + b_E
        judged = pre_acts * (np.sqrt((W_D**2).sum(1)) if s["sparsity_include_decoder_norm"] else 1)
        if s["act_fn"] == "jumprelu":
            on = judged > np.exp(log)
        elif s["act_fn"] == "relu":
            on = judged > 0
        else:
            on = (judged > 0) & (judged >= np.sort(judged)[-s["top_k"]])
        rows.append((np.where(on, pre_acts, 0) @ W_D + b_D) / factor)
    return np.array(rows)


NORMS, FUNCTIONS = ("dataset-wise", "token-wise", "inference"), ("jumprelu", "relu", "topk")


@pytest.mark.parametrize(("by_norm", "newer"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize(("norm", "function"), list(product(NORMS, FUNCTIONS)))
def test_the_reconstruction_is_that_of_training(norm, function, by_norm, newer, tmp_path):
    options = {"norm_activation": norm, "act_fn": function, "sparsity_include_decoder_norm": by_norm}
    written(tmp_path, newer=newer, **options)
    expected = reference(tmp_path, X)
    checkpoint = checkpoints.read(tmp_path)
    agrees(checkpoint.sae(torch.from_numpy(X)), expected)
    assert 0 < (checkpoint.sae.encode(torch.from_numpy(X)) > 0).double().mean() < 0.9

    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    changed = reference(tmp_path / "out", X)
    agrees(checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X)), changed)
    agrees(checkpoints.load(tmp_path / "out")(torch.from_numpy(X)), changed)
    assert np.abs(changed - expected).max() > 0.1


@pytest.mark.parametrize("norm", NORMS)
def test_the_bias_that_older_files_may_subtract(norm, tmp_path):
    options = {"norm_activation": norm, "apply_decoder_bias_to_pre_encoder": True}
    written(tmp_path, newer=False, **options)
    checkpoint = checkpoints.read(tmp_path)
    agrees(checkpoint.sae(torch.from_numpy(X)), reference(tmp_path, X))
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    agrees(checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X)), reference(tmp_path / "out", X))
    settings("config.json", use_decoder_bias=False)(tmp_path)
    tensors(WEIGHTS, lambda held: held.pop("decoder.bias"))(tmp_path)
    agrees(checkpoints.load(tmp_path)(torch.from_numpy(X)), reference(tmp_path, X))


def test_weights_may_be_in_a_folder_of_their_own(tmp_path):
    written(tmp_path, FINAL)
    agrees(checkpoints.load(tmp_path)(torch.from_numpy(X)), reference(tmp_path, X, FINAL))


def test_it_is_saelens_where_there_is_no_norm(tmp_path, monkeypatch):
    written(tmp_path, newer=False, norm_activation="inference", sparsity_include_decoder_norm=False)
    monkeypatch.setattr(
        loaders, "hf_hub_download", lambda repo_id, filename, **_: str(tmp_path / filename.split("/")[-1])
    )
    _, state, _ = loaders.llama_scope_r1_distill_sae_huggingface_loader("fnlp/Llama-Scope-R1-Distill", "x/L15R")
    theirs = JumpReLUSAE(JumpReLUSAEConfig(D, LATENTS, apply_b_dec_to_input=False))
    theirs.load_state_dict({name: value.contiguous() for name, value in state.items()})
    torch.testing.assert_close(checkpoints.load(tmp_path)(torch.from_numpy(X)), theirs(torch.from_numpy(X)))


def test_the_norm_is_stated(tmp_path):
    written(tmp_path)
    checkpoint = checkpoints.read(tmp_path)
    assert checkpoint.layout == "llamascopium"
    assert checkpoint.describe().endswith("x times √d / 10.8125 folded in")


BROKEN = {
    "sae_type is 'crosscoder', which is no SAE of one layer": settings("config.json", sae_type="crosscoder"),
    "norm_activation is 'batch-wise', which changes x̂": settings("config.json", norm_activation="batch-wise"),
    "act_fn is 'batchtopk', which changes x̂": settings("config.json", act_fn="batchtopk"),
    "use_glu_encoder is True": settings("config.json", use_glu_encoder=True),
    "hook_point_out is 'y', but hook_point_in is .* transcoder": settings("config.json", hook_point_out="y"),
    "hook_point_in is not set": settings("config.json", hook_point_in=None, hook_point_out=None),
    "sparsity_include_decoder_norm is not set": settings("config.json", sparsity_include_decoder_norm=None),
    "apply_decoder_bias_to_pre_encoder is True, which no version with W_E": settings(
        "config.json", apply_decoder_bias_to_pre_encoder=True
    ),
    "force_unit_decoder_norm is True": settings("config.json", force_unit_decoder_norm=True),
    "expansion_factor is 4, but the weights have 48 latents": settings("config.json", expansion_factor=4),
    "d_model is 8, but 16 in the weights": settings("config.json", d_model=8),
    "top_k is 49; a whole number from 1 to d_sae": lambda folder: (
        settings("config.json", act_fn="topk", top_k=49)(folder),
        tensors(WEIGHTS, lambda held: held.pop("activation_function.log_jumprelu_threshold"))(folder),
    ),
    "banana may change x̂; unknown settings": settings("config.json", banana=1),
    "but no dataset_average_activation_norm.blocks.15": tensors(WEIGHTS, lambda held: held.pop(NORM)),
    "log_jumprelu_threshold may change x̂": settings("config.json", act_fn="relu"),
    "but no activation_function.log_jumprelu_threshold": tensors(
        WEIGHTS, lambda held: held.pop("activation_function.log_jumprelu_threshold")
    ),
    "W_E_glu may change x̂": tensors(WEIGHTS, lambda held: held.update(W_E_glu=held["W_E"])),
    "is -3; dataset-wise normalisation needs a positive": tensors(
        WEIGHTS, lambda held: held.update({NORM: np.array(-3, dtype=np.float32)})
    ),
    "b_E is .* require floats of shape": tensors(WEIGHTS, lambda held: held.update(b_E=held["b_E"][1:])),
}


@pytest.mark.parametrize("message", BROKEN)
def test_anything_else_is_refused(message, tmp_path):
    written(tmp_path)
    checkpoints.read(tmp_path)
    BROKEN[message](tmp_path)
    with pytest.raises(InputError, match=message):
        checkpoints.read(tmp_path)


def test_an_unset_norm_does_not_matter_where_nothing_is_scaled(tmp_path):
    written(tmp_path, norm_activation="inference")
    tensors(WEIGHTS, lambda held: held.update({NORM: np.array(np.nan, dtype=np.float32)}))(tmp_path)
    agrees(checkpoints.load(tmp_path)(torch.from_numpy(X)), reference(tmp_path, X))
