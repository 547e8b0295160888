"""Nothing in SAELens' layout falls back to another SAE: what is not known to the last setting and tensor is refused."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox import checkpoints
from sandbox.checkpoints.saelens_settings import OPTIONS, READ, REFUSED
from sandbox.errors import InputError
from tests.helpers.by_saelens import BY_BATCH, D_SAE, INFERENCE, TRAINING, made, registry, written

SAVED = dict.fromkeys(INFERENCE, INFERENCE) | dict.fromkeys(BY_BATCH, TRAINING)


def config_with(**changes):
    def change(folder):
        path = folder / "cfg.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def weights_with(change):
    def rewrite(folder):
        path = folder / "sae_weights.safetensors"
        weights = load_file(path)
        change(weights)
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)

    return rewrite


DAMAGE = {
    "no configuration": (lambda f: (f / "cfg.json").unlink(), "this is weights without settings"),
    "no weights": (lambda f: (f / "sae_weights.safetensors").unlink(), r"\(found: cfg.json\)"),
    "not JSON": (lambda f: (f / "cfg.json").write_text("{"), "cannot be read as JSON"),
    "a list": (lambda f: (f / "cfg.json").write_text("[]"), "holds a list"),
    "not safetensors": (lambda f: (f / "sae_weights.safetensors").write_bytes(b"x" * 99), "cannot be read as safetens"),
    "another architecture": (config_with(architecture="jumprelu"), "a jumprelu SAE has exactly"),
    "no architecture": (config_with(architecture=None), "architecture is None"),
    "a list of them": (config_with(architecture=["standard"]), r"architecture is \['standard'\]"),
    "the wrong architecture": (config_with(architecture="gated"), "a gated SAE has exactly"),
    "topk without k": (config_with(architecture="topk"), "k is missing; a topk SAE needs"),
    "k of too many": (config_with(architecture="topk", k=97), "k is 97; a whole number from 1 to d_sae = 96"),
    "k that is no number": (config_with(architecture="topk", k=9.5), "k is 9.5"),
    "another training": (
        config_with(metadata={"sae_lens_version": "6.0.0", "training_architecture": "batchtopk"}),
        "training_architecture is 'batchtopk'",
    ),
    "k of another": (config_with(k=9), "k is 9, but a standard SAE has no k"),
    "metadata that is none": (config_with(metadata=3), "metadata is 3"),
    "a whitening": (config_with(normalize_activations="covariance_whitening"), "still expects whitened activations"),
    "another normalisation": (config_with(normalize_activations="constant_scalar_rescale"), "is not supported"),
    "a normalisation of old": (config_with(normalize_activations=True), "normalize_activations is True"),
    "another activation": (config_with(activation_fn="topk"), "activation_fn is 'topk'"),
    "an unknown setting": (config_with(top_secret_scale=3.0), "top_secret_scale may change x̂; unknown settings"),
    "fine-tuned": (config_with(finetuning_scaling_factor=True), "finetuning_scaling_factor is True"),
    "reshaped": (config_with(reshape_activations="hook_q"), "reshape_activations is 'hook_q'"),
    "rescaled": (config_with(rescale_acts_by_decoder_norm=True), "rescale_acts_by_decoder_norm is True"),
    "an error term": (config_with(use_error_term=True), "use_error_term is True"),
    "no convention": (config_with(apply_b_dec_to_input=None), "apply_b_dec_to_input is not set"),
    "d_sae that does not fit": (config_with(d_sae=97), "d_sae is 97, but 96 in the weights"),
    "a shape that does not fit": (weights_with(lambda w: w.update(b_enc=torch.ones(95))), r"b_enc is .* \(95,\)"),
    "transposed": (weights_with(lambda w: w.update(W_enc=w["W_enc"].T)), r"W_enc is .* \(96, 24\)"),
    "nan": (weights_with(lambda w: w["W_dec"].fill_(torch.nan)), "W_dec holds a NaN"),
    "whole numbers": (weights_with(lambda w: w.update(b_dec=torch.ones(24).long())), "b_dec is torch.int64"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    written(tmp_path, "standard")
    harm, line = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("architecture", SAVED)
def test_no_architecture_falls_back_to_another(architecture, tmp_path):
    written(tmp_path, architecture, SAVED[architecture])
    unharmed = {path: path.read_bytes() for path in tmp_path.iterdir()}
    names = set(load_file(tmp_path / "sae_weights.safetensors"))

    def refused(line, harm):
        for path, held in unharmed.items():
            path.write_bytes(held)
        checkpoints.load(tmp_path)
        harm(tmp_path)
        with pytest.raises(InputError, match=line):
            checkpoints.load(tmp_path)

    refused("architecture is 'next_year'", config_with(architecture="next_year"))
    refused("has exactly", weights_with(lambda weights: weights.update(more=torch.ones(D_SAE))))
    for name in names:
        refused("has exactly", weights_with(lambda weights, name=name: weights.pop(name)))
    told_apart = "has exactly|but a standard SAE has no k"  # by its tensors; topk, whose are standard's, by its k
    if architecture != "standard":
        refused(told_apart, config_with(architecture="standard", rescale_acts_by_decoder_norm=False))


def test_each_architecture_that_saelens_has_is_read_or_refused_for_a_reason():
    theirs = {**registry.SAE_CLASS_REGISTRY, **registry.SAE_TRAINING_CLASS_REGISTRY}
    assert set(theirs) == {*READ, *REFUSED}
    for architecture in READ:
        for kinds in (registry.SAE_CLASS_REGISTRY, registry.SAE_TRAINING_CLASS_REGISTRY):
            settings = dataclasses.fields(kinds[architecture][1]) if architecture in kinds else ()
            assert {field.name for field in settings} <= set(OPTIONS)


@pytest.mark.parametrize("architecture", REFUSED)
def test_an_sae_of_another_kind_is_refused_by_its_name(architecture, tmp_path):
    written(tmp_path, "standard")
    config_with(architecture=architecture)(tmp_path)
    with pytest.raises(
        InputError, match=f"architecture is '{architecture}', which is not supported: {REFUSED[architecture][:20]}"
    ):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("architecture", BY_BATCH)
def test_a_batch_of_tokens_is_never_taken_for_one(architecture, tmp_path):
    sae = made(architecture, TRAINING)
    sae.topk_threshold.zero_()  # as it is until the first step of training
    sae.save_model(tmp_path)
    with pytest.raises(InputError, match="topk_threshold is 0: training has not set it"):
        checkpoints.load(tmp_path)


def test_a_decoder_row_of_zeros_has_no_norm_to_rescale_by(tmp_path):
    sae = made("topk", rescale_acts_by_decoder_norm=True)
    sae.W_dec.data[3] = 0
    sae.save_model(tmp_path)
    assert sae(torch.ones(1, 24)).isnan().all()
    with pytest.raises(InputError, match="1 latents have a decoder row of norm 0"):
        checkpoints.load(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: there is no such file or folder"):
        checkpoints.load(tmp_path / "nowhere")
