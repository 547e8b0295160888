"""Every setting of every layout, of every wrong type: the same reconstruction, or one line that refuses it."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sandbox.checkpoints import load
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import some

D, S = 6, 12
X = torch.from_numpy(some(20, D, seed=5, scale=1.0))
E, W = (torch.from_numpy(some(S, D, seed=seed)) for seed in (1, 2))
B, C = torch.from_numpy(some(S, seed=3)).abs(), torch.from_numpy(some(D, seed=4))

WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "minus one": -1,
    "a fraction": 2.5,
    "a huge number": 10**400,
    "infinity": math.inf,
    "not a number": math.nan,
    "an empty text": "",
    "a text": "x",
    "digits": "9" * 5000,
    "an empty list": [],
    "a list": [1],
    "an empty dict": {},
    "a dict": {"a": 1},
    "a list of dicts": [{"k": [1]}],
}


def saelens(folder: Path, weights: dict[str, torch.Tensor], config: dict[str, Any]) -> str:
    save_file({"W_enc": E.T.contiguous(), "W_dec": W, "b_dec": C} | weights, folder / "sae_weights.safetensors")
    common = {"d_in": D, "d_sae": S, "dtype": "float32", "normalize_activations": "none", "reshape_activations": "none"}
    return text(folder / "cfg.json", common | config)


def standard(folder: Path) -> str:
    new = {"sae_lens_version": "6.1.0", "apply_b_dec_to_input": True, "metadata": {"training_architecture": "standard"}}
    return saelens(folder, {"b_enc": B}, {"architecture": "standard"} | new)


def old_topk(folder: Path) -> str:
    named = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}, "finetuning_scaling_factor": False}
    return saelens(folder, {"b_enc": B}, {"architecture": "topk", "hook_name": "a"} | named)


def topk(folder: Path) -> str:
    new = {"sae_lens_version": "6.1.0", "apply_b_dec_to_input": True, "k": 3, "rescale_acts_by_decoder_norm": True}
    return saelens(folder, {"b_enc": B}, {"architecture": "topk", "use_error_term": False} | new)


def llama(folder: Path) -> str:
    weights = {"encoder.weight": E, "encoder.bias": B, "decoder.weight": W.T.contiguous(), "decoder.bias": C}
    save_file(weights, folder / "sae_weights.safetensors")
    config = {"norm_activation": "dataset-wise", "dataset_average_activation_norm": {"in": 2.0, "out": 3.0}}
    config |= {"sparsity_include_decoder_norm": True, "use_decoder_bias": True, "act_fn": "jumprelu", "top_k": 3}
    config |= {"apply_decoder_bias_to_pre_encoder": False, "jump_relu_threshold": 0.25, "d_model": D, "d_sae": S}
    config |= {"hook_point_in": "a", "hook_point_out": "a", "use_glu_encoder": False}
    return text(folder / "hyperparams.json", config)


def sparsify(folder: Path) -> str:
    save_file({"encoder.weight": E, "encoder.bias": B, "W_dec": W, "b_dec": C}, folder / "sae.safetensors")
    config = {"d_in": D, "k": 3, "expansion_factor": 2, "activation": "topk", "signed": False, "multi_topk": False}
    return text(folder / "cfg.json", config | {"transcode": False, "skip_connection": False, "num_latents": 0})


def gemma(folder: Path) -> str:
    weights = {"w_enc": E.T.contiguous(), "w_dec": W, "b_enc": B, "b_dec": C, "threshold": B.clone()}
    save_file(weights, folder / "params.safetensors")
    config = {"architecture": "jump_relu", "affine_connection": False, "type": "sae", "width": S, "l0": 3}
    return text(folder / "config.json", config | {"hf_hook_point_in": "a", "hf_hook_point_out": "a"})


def dictionary(folder: Path) -> str:
    weights = {"encoder.weight": E, "encoder.bias": B, "decoder.weight": W.T.contiguous(), "b_dec": C}
    torch.save(weights | {"k": torch.tensor(3), "threshold": torch.tensor(-1.0)}, folder / "ae.pt")
    trainer = {"dict_class": "AutoEncoderTopK", "trainer_class": "TopKTrainer", "k": 3, "activation_dim": D}
    return text(
        folder / "config.json", {"trainer": trainer | {"dict_size": S}, "buffer": {"io": "out", "d_submodule": D}}
    )


LAYOUTS: dict[str, Callable[[Path], str]] = {
    one.__name__: one for one in (standard, old_topk, topk, llama, sparsify, gemma, dictionary)
}


def text(path: Path, config: dict[str, Any]) -> str:
    path.write_text(json.dumps(config))
    return path.name


def places(config: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from places(value, (*before, key))


def held(config: dict[str, Any], place: tuple[str, ...]) -> Any:
    for key in place:
        config = config[key]
    return config


def found(folder: Path) -> torch.Tensor | str:
    """The reconstruction, or the line that refuses it; a warning is neither."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        try:
            return load(folder)(X)
        except InputError as error:
            line = str(error)
    assert line.isprintable()  # and so one line
    assert len(line) <= 1100
    return line


def json_of(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_setting_of_a_wrong_type_is_refused_or_says_nothing(layout, tmp_path):
    """Of the setting's own type, a value may be meant, and what is missing has a default: neither is compared."""
    name = LAYOUTS[layout](tmp_path)
    path = tmp_path / name
    config, right = json.loads(path.read_text()), found(tmp_path)
    assert isinstance(right, torch.Tensor)
    refused = 0
    for place in places(config):
        for kind, value in WRONG.items():
            broken = copy.deepcopy(config)
            held(broken, place[:-1])[place[-1]] = value
            path.write_text(json.dumps(broken))
            result = found(tmp_path)
            refused += isinstance(result, str)
            if isinstance(result, torch.Tensor):
                assert result.isfinite().all()
                if value is not None and json_of(value) != json_of(held(config, place)):
                    assert torch.equal(result, right), (place, kind)
    assert refused > 20


@pytest.mark.parametrize("layout", LAYOUTS)
def test_settings_that_are_none_are_refused(layout, tmp_path):
    path = tmp_path / LAYOUTS[layout](tmp_path)
    for words in ("", "[]", "null", "3", '"x"', "{", "[" * 100_000, '{"a":' * 100_000, "\x00", "9" * 5000, "NaN"):
        path.write_text(words)
        assert isinstance(found(tmp_path), str), words[:9]
    path.write_bytes(b"\xff\xfe{}")
    assert isinstance(found(tmp_path), str)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_that_are_not_finite_are_refused(layout, tmp_path):
    LAYOUTS[layout](tmp_path)
    (path,) = (one for one in tmp_path.iterdir() if one.suffix != ".json")
    for name in ("W_dec", "w_dec", "decoder.weight", "b_enc", "encoder.bias", "b_dec", "decoder.bias"):
        for value in (np.nan, np.inf, -np.inf, 1e300):  # the last is finite in float64 alone
            LAYOUTS[layout](tmp_path)
            weights = torch.load(path) if path.suffix == ".pt" else dict(load_safetensors(path))
            if name not in weights:
                continue
            weights[name] = weights[name].double()
            weights[name].view(-1)[0] = value
            torch.save(weights, path) if path.suffix == ".pt" else save_file(weights, path)
            assert "NaN or an infinity" in found(tmp_path), (name, value)


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def test_weights_that_leave_float32_where_they_are_folded_are_refused(tmp_path):
    """log_threshold is finite, and its exponential is not."""
    new = {"sae_lens_version": "6.1.0", "apply_b_dec_to_input": True}
    saelens(tmp_path, {"b_enc": B, "log_threshold": torch.full((S,), 100.0)}, {"architecture": "jumprelu"} | new)
    assert "NaN or an infinity" in found(tmp_path)


@pytest.mark.parametrize(
    ("version", "old"),
    [("5.10.7", True), ("5.9", True), ("0.1", True), ("6.0.0", False), ("6", False), ("10.0.0", False), ("7.1", False)],
)
def test_six_is_the_first_new_version(version, old, tmp_path):
    """What SAELens took for granted before, apply_b_dec_to_input among it, has to be said since."""
    saelens(tmp_path, {"b_enc": B}, {"architecture": "standard", "sae_lens_version": version})
    assert isinstance(found(tmp_path), torch.Tensor) == old
    if not old:
        assert "apply_b_dec_to_input is not set" in found(tmp_path)


def test_openai_states_with_broken_entries(tmp_path):
    weights = {"encoder.weight": E, "pre_bias": C, "latent_bias": B, "decoder.weight": W.T.contiguous()}
    state = weights | {"activation": "TopK", "activation_state_dict": {"k": 3, "postact_fn": "ReLU"}}
    torch.save(state, tmp_path / "autoencoder.pt")
    right = found(tmp_path)
    assert isinstance(right, torch.Tensor)
    for place in places(state):
        for kind, value in WRONG.items():
            broken = copy.deepcopy(state)
            held(broken, place[:-1])[place[-1]] = value
            torch.save(broken, tmp_path / "autoencoder.pt")
            result = found(tmp_path)
            assert isinstance(result, str) or torch.equal(result, right), (place, kind)
