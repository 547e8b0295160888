"""Configurations of SAELens 0 to 5 are read as SAELens 6 reads them; what it drops although it changed x̂ is refused.

Each dictionary below is what that version's own cfg.to_dict() held (sae_lens/sae.py, sae_training/config.py).
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.checkpoints.test_saelens import agree
from tests.helpers.by_saelens import D_IN, D_SAE, TRAINING, loaded, made, sae_lens, tokens, written

FIVE = json.loads("""{
    "d_in": 24, "d_sae": 96, "dtype": "torch.float32", "device": "cuda", "model_name": "gpt2-small",
    "hook_name": "blocks.3.hook_resid_pre", "hook_layer": 3, "hook_head_index": null, "activation_fn_str": "relu",
    "activation_fn_kwargs": {}, "apply_b_dec_to_input": false, "finetuning_scaling_factor": false,
    "sae_lens_training_version": "5.11.0", "prepend_bos": true, "dataset_path": "text", "context_size": 128,
    "dataset_trust_remote_code": true, "normalize_activations": "none", "neuronpedia_id": null,
    "model_from_pretrained_kwargs": {}, "seqpos_slice": [null]
}""")
TRAINED_BY_FIVE = FIVE | json.loads("""{
    "l1_coefficient": 5.0, "lp_norm": 1.0, "use_ghost_grads": false, "normalize_sae_decoder": true,
    "noise_scale": 0.1, "decoder_orthogonal_init": false, "init_encoder_as_decoder_transpose": true,
    "mse_loss_normalization": null, "decoder_heuristic_init": false, "decoder_heuristic_init_norm": 0.1,
    "scale_sparsity_penalty_by_decoder_norm": false, "jumprelu_init_threshold": 0.1, "jumprelu_bandwidth": 0.05
}""")
THREE = {key: value for key, value in FIVE.items() if "kwargs" not in key} | {"normalize_activations": False}
ZERO = json.loads("""{
    "model_name": "gpt2-small", "hook_point": "blocks.3.hook_resid_pre", "hook_point_layer": 3, "d_in": 24,
    "hook_point_head_index": null, "dataset_path": "text", "is_dataset_tokenized": false, "context_size": 128,
    "use_cached_activations": false, "cached_activations_path": "", "expansion_factor": 4, "seed": 42,
    "device": "mps", "dtype": "torch.float32", "b_dec_init_method": "geometric_median", "lr": 4e-4, "d_sae": 96,
    "from_pretrained_path": null, "l1_coefficient": 8e-5, "lp_norm": 1, "lr_scheduler_name": null,
    "train_batch_size": 4096, "use_ghost_grads": false, "feature_sampling_window": 1000, "log_to_wandb": true
}""")
TOPK = FIVE | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 9}}
READ = {
    "5 standard": ("standard", FIVE | {"architecture": "standard"}),
    "5 standard with b_dec": ("standard", FIVE | {"architecture": "standard", "apply_b_dec_to_input": True}),
    "5 gated": ("gated", FIVE | {"architecture": "gated"}),
    "5 jumprelu": ("jumprelu", FIVE | {"architecture": "jumprelu"}),
    "5 topk": ("topk", TOPK | {"architecture": "topk"}),
    "5 topk as an activation function": ("topk", TOPK | {"architecture": "standard"}),
    "5 layer norm": ("gated", FIVE | {"architecture": "gated", "normalize_activations": "layer_norm"}),
    "5 trained": ("standard", TRAINED_BY_FIVE | {"architecture": "standard"}),
    "3": ("standard", THREE),
    "3 normalised": ("standard", THREE | {"normalize_activations": True}),
    "0": ("standard", ZERO),
}


def of_old(folder, architecture, config):
    """Weights as SAELens saves them to this day, and the configuration that it saved then."""
    sae = written(folder, architecture)
    (folder / "cfg.json").write_text(json.dumps(config))
    return sae


def with_tensors(folder, **tensors):
    path = folder / "sae_weights.safetensors"
    save_file(load_file(path) | tensors, path)


@pytest.mark.parametrize("version", READ)
def test_an_old_configuration_means_what_saelens_takes_it_for(version, tmp_path):
    architecture, config = READ[version]
    of_old(tmp_path / "in", architecture, config)
    theirs, checkpoint = loaded(tmp_path / "in"), checkpoints.read(tmp_path / "in")
    agree(checkpoint.sae, theirs, tokens())
    checkpoint.write(tmp_path / "out", checkpoint.sae.W_dec, checkpoint.sae.b_dec)
    agree(checkpoint.sae, loaded(tmp_path / "out"), tokens())
    assert checkpoint.sae.architecture == architecture
    assert ("by SAELens' default" in checkpoint.describe()) == ("apply_b_dec_to_input" not in config)
    assert ("x is not scaled here" in checkpoint.describe()) == (config.get("normalize_activations") is True)


def test_the_name_of_the_hook_told_that_heads_are_taken_apart(tmp_path):
    of_old(tmp_path, "standard", FIVE | {"hook_name": "blocks.3.attn.hook_z"})
    checkpoint = checkpoints.read(tmp_path)
    agree(checkpoint.sae, loaded(tmp_path), tokens(), shape=(-1, 4, D_IN // 4))
    assert "outputs of all heads" in checkpoint.describe()


@pytest.mark.parametrize("name", ["finetuning_scaling_factor", "scaling_factor"])
def test_a_fine_tuned_scale_of_the_latents_is_folded_into_the_decoder(name, tmp_path):
    sae = of_old(tmp_path / "in", "standard", FIVE | {"finetuning_scaling_factor": True})
    scale = torch.rand(D_SAE, generator=torch.Generator().manual_seed(3)) + 0.5
    with_tensors(tmp_path / "in", **{name: scale})
    checkpoint, x = checkpoints.read(tmp_path / "in"), tokens()
    checkpoint.write(tmp_path / "out", checkpoint.sae.W_dec, checkpoint.sae.b_dec)
    with torch.no_grad():
        latents = torch.relu(x @ sae.W_enc + sae.b_enc)
        x_hat = (latents * scale) @ sae.W_dec + sae.b_dec  # sae.py until 5: encode_standard, decode
        for found in (checkpoint.sae, loaded(tmp_path / "out")):
            torch.testing.assert_close(found(x), x_hat, rtol=1e-5, atol=1e-5)
    assert "fine-tuned scale" in checkpoint.describe()


def test_a_fine_tuned_scale_of_1_is_no_scale(tmp_path):
    of_old(tmp_path, "standard", FIVE)
    with_tensors(tmp_path, scaling_factor=torch.ones(D_SAE))
    agree(checkpoints.load(tmp_path), loaded(tmp_path), tokens())


def test_a_threshold_kept_as_its_logarithm_is_read(tmp_path):
    sae = made("jumprelu", TRAINING)
    sae.threshold.data.abs_().add_(0.1)
    sae.save_model(tmp_path)
    weights = load_file(tmp_path / "sae_weights.safetensors")
    weights["log_threshold"] = weights.pop("threshold").log()
    save_file(weights, tmp_path / "sae_weights.safetensors")
    agree(checkpoints.load(tmp_path), sae_lens.TrainingSAE.load_from_disk(tmp_path), tokens())


CHANGED = {
    "tanh": ({"activation_fn_str": "tanh-relu"}, "activation_fn is 'tanh-relu' in a standard SAE"),
    "tanh under its older name": ({"activation_fn": "tanh-relu"}, "activation_fn is 'tanh-relu' and 'relu'"),
    "a signed topk": (TOPK | {"activation_fn_kwargs": {"k": 9, "signed": True}}, "activation_fn_kwargs is .*'signed'"),
    "two values of k": (TOPK | {"k": 8}, "k is 8 and 9"),
    "a gated topk": (TOPK | {"architecture": "gated"}, "activation_fn is 'topk' in a gated SAE"),
    "a scale without its tensor": (
        {"finetuning_scaling_factor": True},
        "standard SAE has exactly .*finetuning_scaling",
    ),
    "no version": ({"sae_lens_version": "new"}, "sae_lens_version is 'new'"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_saelens_6_drops_or_mistakes_is_refused(change, tmp_path):
    changes, line = CHANGED[change]
    of_old(tmp_path, "standard", FIVE | changes)
    with pytest.raises(InputError, match=line):
        checkpoints.read(tmp_path)


@pytest.mark.parametrize("name", ["finetuning_scaling_factor", "scaling_factor"])
def test_a_scale_that_the_configuration_denies_is_refused(name, tmp_path):
    of_old(tmp_path, "standard", FIVE)
    with_tensors(tmp_path, **{name: torch.full((D_SAE,), 2.0)})
    with pytest.raises(InputError, match="standard SAE has exactly"):
        checkpoints.read(tmp_path)
