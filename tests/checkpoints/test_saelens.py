"""Checkpoints that SAELens writes are computed as SAELens computes them; whatever else is there is refused."""

import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.sae import checkpoints
from sandbox.sae.measure import measure

with warnings.catch_warnings():  # SAELens' own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from sae_lens import SAE, GatedSAE, GatedSAEConfig, StandardSAE, StandardSAEConfig

KINDS = {"standard": (StandardSAE, StandardSAEConfig), "gated": (GatedSAE, GatedSAEConfig)}


def written_by_saelens(folder, architecture: str, **options):
    """A SAELens SAE with a random, non-trivial value in every tensor, saved by SAELens."""
    make, config = KINDS[architecture]
    sae = make(config(d_in=24, d_sae=96, **options))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in sae.parameters():
            weights.copy_(0.3 * torch.randn(weights.shape, generator=generator))
    sae.save_model(folder)
    return sae


@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("architecture", KINDS)
def test_the_reconstruction_is_saelens_own(architecture, subtract, tmp_path):
    theirs = written_by_saelens(tmp_path, architecture, apply_b_dec_to_input=subtract)
    ours = checkpoints.load(tmp_path)
    x = torch.randn(500, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(x), theirs.encode(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
        assert (ours.encode(x) > 0).any()
    assert ours.describe().startswith(f"{architecture}, d_in 24, d_sae 96")


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
def test_saelens_loads_the_embedded_saes_and_agrees(name):
    theirs, ours = SAE.load_from_disk(embedded(name)), checkpoints.load(embedded(name))
    x = load_file(embedded("activations"))["activations"][:300].float()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)  # 1536 products, summed in another order


def test_a_saelens_object_is_measured_as_it_is(tmp_path):
    theirs = written_by_saelens(tmp_path, "gated")
    x = torch.randn(3000, 24, generator=torch.Generator().manual_seed(1))
    of_object, of_folder = measure(theirs, x), measure(tmp_path, x, device="cpu")
    assert of_object.l0 == of_folder.l0 > 0
    defined = {key: one.value for key, one in of_folder.raw.items() if one.value is not None}
    assert {"scale_x", "cosine", "norm_ratio"} <= set(defined)
    assert {key: of_object.raw[key].value for key in defined} == pytest.approx(defined, rel=1e-4)


@pytest.mark.parametrize("normalised", ["layer_norm", "constant_norm_rescale"])
def test_a_saelens_object_that_normalises_is_measured_as_it_is(normalised, tmp_path):
    theirs = written_by_saelens(tmp_path, "standard", normalize_activations=normalised)
    x = torch.randn(1000, 24, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        expected = (theirs(x) * x).sum() / x.square().sum()
    assert measure(theirs, x, batch_size=100).raw["scale_x"].value == pytest.approx(expected.item(), rel=1e-4)
    with pytest.raises(InputError, match=f"normalize_activations is '{normalised}'"):
        checkpoints.load(tmp_path)


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
    "no configuration": (lambda f: (f / "cfg.json").unlink(), "no layout that is read here"),
    "no weights": (lambda f: (f / "sae_weights.safetensors").unlink(), r"\(found: cfg.json\)"),
    "not JSON": (lambda f: (f / "cfg.json").write_text("{"), "cannot be read as JSON"),
    "a list": (lambda f: (f / "cfg.json").write_text("[]"), "holds a list"),
    "not safetensors": (lambda f: (f / "sae_weights.safetensors").write_bytes(b"x" * 99), "cannot be read as safetens"),
    "another architecture": (config_with(architecture="jumprelu"), "architecture is 'jumprelu'"),
    "no architecture": (config_with(architecture=None), "architecture is None"),
    "the wrong architecture": (config_with(architecture="gated"), "a gated SAE has exactly"),
    "a normalisation": (config_with(normalize_activations="layer_norm"), "changes x̂ and is not read here"),
    "another activation": (config_with(activation_fn="topk"), "activation_fn is 'topk'"),
    "an unknown setting": (config_with(top_secret_scale=3.0), "top_secret_scale may change x̂ and is not known"),
    "noise": (config_with(noise_scale=0.1), "noise_scale is 0.1"),
    "fine-tuned": (config_with(finetuning_scaling_factor=True), "finetuning_scaling_factor is True"),
    "reshaped": (config_with(reshape_activations="hook_z"), "reshape_activations is 'hook_z'"),
    "rescaled": (config_with(rescale_acts_by_decoder_norm=True), "rescale_acts_by_decoder_norm is True"),
    "no convention": (config_with(apply_b_dec_to_input=None), "apply_b_dec_to_input is None"),
    "d_sae that does not fit": (config_with(d_sae=97), "d_sae is 96 in the weights but 97"),
    "a tensor too many": (weights_with(lambda w: w.update(threshold=torch.ones(96))), "of another architecture"),
    "a tensor too few": (weights_with(lambda w: w.pop("b_enc")), "of another architecture"),
    "a shape that does not fit": (weights_with(lambda w: w.update(b_enc=torch.ones(95))), r"b_enc is .* \(95,\)"),
    "transposed": (weights_with(lambda w: w.update(W_enc=w["W_enc"].T)), r"W_enc is .* \(96, 24\)"),
    "nan": (weights_with(lambda w: w["W_dec"].fill_(torch.nan)), "W_dec holds a NaN"),
    "whole numbers": (weights_with(lambda w: w.update(b_dec=torch.ones(24).long())), "b_dec is torch.int64"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    written_by_saelens(tmp_path, "standard")
    harm, line = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: there is no such file or folder"):
        checkpoints.load(tmp_path / "nowhere")
