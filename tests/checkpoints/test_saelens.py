"""Checkpoints that SAELens writes are computed as SAELens computes them, and written so that SAELens agrees."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file

from sandbox import checkpoints
from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from tests.helpers.by_saelens import (
    BY_BATCH,
    D_IN,
    D_OUT,
    D_SAE,
    INFERENCE,
    TRAINING,
    TRANSCODERS,
    loaded,
    made,
    tokens,
    written,
)
from tests.helpers.checkpoint_files import other_decoder, settings, some, tensors

NORMALISATIONS = ["none", "constant_norm_rescale", "layer_norm", "expected_average_only_in"]
CASES = [
    (architecture, {"apply_b_dec_to_input": subtract, "normalize_activations": normalise} | rescale)
    for architecture, subtract, normalise in itertools.product(INFERENCE, [True, False], NORMALISATIONS)
    for rescale in ([{}] if architecture != "topk" else [{"rescale_acts_by_decoder_norm": on} for on in (True, False)])
]
NAMES = ["-".join([architecture, *map(str, options.values())]) for architecture, options in CASES]


def agree(ours, theirs, x, shape=None):
    """Latents and x̂, to float32's rounding of sums over 24 and 96 products."""
    with torch.no_grad():
        latents, x_hat = theirs.encode(x if shape is None else x.reshape(shape)), None
        x_hat = theirs.decode(latents).reshape(x.shape)
        torch.testing.assert_close(ours.encode(x), latents, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours(x), x_hat, rtol=1e-5, atol=1e-5)
    assert 0 < (latents > 0).float().mean() < 1


@pytest.mark.parametrize(("architecture", "options"), CASES, ids=NAMES)
def test_the_reconstruction_is_saelens_own(architecture, options, tmp_path):
    theirs = written(tmp_path, architecture, **options)
    checkpoint = checkpoints.read(tmp_path)
    agree(checkpoint.sae, theirs, tokens())
    assert checkpoint.describe().startswith(f"SAELens {architecture}")
    scaled = options["normalize_activations"] == "expected_average_only_in"
    assert scaled == ("x is not scaled here" in checkpoint.describe())


@pytest.mark.parametrize("architecture", TRANSCODERS)
def test_a_transcoder_is_saelens_own_and_is_written_so_that_saelens_agrees(architecture, tmp_path):
    theirs = written(tmp_path / "in", architecture, TRANSCODERS)
    checkpoint = checkpoints.read(tmp_path / "in")
    x = tokens()
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.sae.encode(x), theirs.encode(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(checkpoint.sae(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert 0 < (theirs.encode(x) > 0).float().mean() < 1
    kind = "jumprelu" if "jumprelu" in architecture else "standard"
    described = f"SAELens {kind} transcoder, d_in 24, d_out 20, d_sae 96, decoder bias subtracted from the input: no"
    skip = ", a skip, W_skip·x, is part of ŷ" * ("skip" in architecture)
    assert checkpoint.describe() == described + skip
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    with torch.no_grad():
        expected = loaded(tmp_path / "out")(x)
    torch.testing.assert_close(checkpoint.sae.with_decoder(*decoder)(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(checkpoints.load(tmp_path / "out")(x), expected, rtol=1e-5, atol=1e-5)


TRANSCODER_DAMAGE = {
    "no skip": (tensors("sae_weights.safetensors", lambda t: t.pop("W_skip")), "but no W_skip; a skip_transcoder has"),
    "a skip of another shape": (
        tensors("sae_weights.safetensors", lambda t: t.update(W_skip=some(D_IN, D_OUT))),
        r"W_skip is .* \(24, 20\)",
    ),
    "another d_out": (settings("cfg.json", d_out=D_IN), "d_out is 24, but 20 in the weights"),
    "b_dec taken from x": (settings("cfg.json", apply_b_dec_to_input=True), "apply_b_dec_to_input is True"),
    "x normalised": (settings("cfg.json", normalize_activations="layer_norm"), "normalize_activations is 'layer_norm'"),
    "heads": (settings("cfg.json", reshape_activations="hook_z"), "reshape_activations is 'hook_z'"),
    "an SAE by its settings": (settings("cfg.json", architecture="standard"), "a standard SAE has exactly"),
}


@pytest.mark.parametrize("damage", TRANSCODER_DAMAGE)
def test_what_is_not_exactly_a_transcoder_is_refused(damage, tmp_path):
    written(tmp_path, "skip_transcoder", TRANSCODERS)
    harm, words = TRANSCODER_DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=words):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("normalise", NORMALISATIONS)
@pytest.mark.parametrize("architecture", INFERENCE)
def test_heads_that_saelens_takes_apart_are_read_side_by_side(architecture, normalise, tmp_path):
    theirs = written(tmp_path, architecture, reshape_activations="hook_z", normalize_activations=normalise)
    checkpoint = checkpoints.read(tmp_path)
    agree(checkpoint.sae, theirs, tokens(), shape=(-1, 4, D_IN // 4))
    assert "outputs of all heads" in checkpoint.describe()


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("architecture", TRAINING)
def test_a_training_checkpoint_is_what_saelens_makes_of_it_for_inference(architecture, subtract, rescale, tmp_path):
    options = {"rescale_acts_by_decoder_norm": rescale} if "topk" in architecture else {}
    sae = written(tmp_path / "training", architecture, TRAINING, apply_b_dec_to_input=subtract, **options)
    sae.save_inference_model(tmp_path / "inference")
    theirs = loaded(tmp_path / "inference")
    for folder in ("training", "inference"):
        checkpoint = checkpoints.read(tmp_path / folder)
        agree(checkpoint.sae, theirs, tokens())
        assert (architecture in checkpoint.describe()) == (architecture in (checkpoint.sae.architecture, *BY_BATCH))
    assert checkpoint.sae.architecture == ("jumprelu" if architecture in BY_BATCH else architecture)


@pytest.mark.parametrize(("architecture", "options"), CASES, ids=NAMES)
def test_another_decoder_is_written_so_that_saelens_agrees(architecture, options, tmp_path):
    theirs = written(tmp_path / "in", architecture, **options)
    saelens_agrees_on_what_is_written(theirs, tmp_path)


@pytest.mark.parametrize("architecture", BY_BATCH)
def test_a_training_checkpoint_is_written_for_inference(architecture, tmp_path):
    sae = written(tmp_path / "in", architecture, TRAINING)
    sae.save_inference_model(tmp_path / "inference")
    saelens_agrees_on_what_is_written(loaded(tmp_path / "inference"), tmp_path)


def saelens_agrees_on_what_is_written(theirs, tmp_path):
    checkpoint = checkpoints.read(tmp_path / "in")
    generator = torch.Generator().manual_seed(2)
    W_dec = 0.3 * torch.randn(D_SAE, D_IN, generator=generator)
    b_dec = torch.randn(D_IN, generator=generator)
    checkpoint.write(tmp_path / "out", W_dec, b_dec)
    found, x = loaded(tmp_path / "out"), tokens()
    with torch.no_grad():
        # b_enc takes back what another b_dec does to the input: sums of numbers ten times as large
        torch.testing.assert_close(found.encode(x), theirs.encode(x), rtol=1e-5, atol=5e-5)
        changed = checkpoint.sae.with_decoder(W_dec, b_dec)
        torch.testing.assert_close(found(x), changed(x), rtol=1e-5, atol=5e-5)
    assert torch.equal(found.W_dec, W_dec)
    assert torch.equal(found.b_dec, b_dec)
    assert found.cfg.dtype == "float32"
    agree(checkpoints.load(tmp_path / "out"), found, x)


def test_what_lies_beside_the_weights_is_copied_and_half_precision_is_widened(tmp_path):
    written(tmp_path / "in", "topk", dtype="float16")
    (tmp_path / "in" / "sparsity.safetensors").write_bytes(b"as it is")
    checkpoint = checkpoints.read(tmp_path / "in")
    checkpoint.write(tmp_path / "out", checkpoint.sae.W_dec, checkpoint.sae.b_dec)
    assert (tmp_path / "out" / "sparsity.safetensors").read_bytes() == b"as it is"
    assert json.loads((tmp_path / "out" / "cfg.json").read_text())["dtype"] == "float32"
    agree(checkpoint.sae, loaded(tmp_path / "out"), tokens())


def test_a_scale_that_the_trainer_has_not_folded_in_is_told(tmp_path):
    written(tmp_path, "standard", TRAINING, normalize_activations="expected_average_only_in")
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 0.25, "has_whitening": false}')
    assert "activation_scaler.json states that factor: 0.25" in checkpoints.read(tmp_path).describe()


def test_thresholds_that_never_bind_are_told(tmp_path):
    sae = made("jumprelu")
    sae.threshold.data = -sae.threshold.abs()
    sae.save_model(tmp_path)
    checkpoint = checkpoints.read(tmp_path)
    agree(checkpoint.sae, sae, tokens())
    assert "in effect a ReLU SAE" in checkpoint.describe()


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
def test_saelens_loads_the_embedded_saes_and_agrees(name):
    theirs, ours = loaded(embedded(name)), checkpoints.load(embedded(name))
    x = load_file(embedded("activations"))["activations"][:300].float()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)  # 1536 products, summed in another order


def test_a_saelens_object_is_measured_as_it_is(tmp_path):
    theirs = written(tmp_path, "gated")
    x = tokens(3000)
    of_object, of_folder = measure(theirs, x), measure(tmp_path, x, device="cpu")
    assert of_object.l0 == of_folder.l0 > 0
    defined = {key: one.value for key, one in of_folder.raw.items() if one.value is not None}
    assert {"scale_x", "cosine", "norm_ratio"} <= set(defined)
    assert {key: of_object.raw[key].value for key in defined} == pytest.approx(defined, rel=1e-4)


@pytest.mark.parametrize("normalised", ["layer_norm", "constant_norm_rescale"])
def test_a_saelens_object_that_normalises_is_measured_as_it_is(normalised, tmp_path):
    theirs = written(tmp_path, "standard", normalize_activations=normalised)
    x = tokens(1000) * 3
    with torch.no_grad():
        expected = (theirs(x) * x).sum() / x.square().sum()
    for sae in (theirs, tmp_path):
        found = measure(sae, x, batch_size=100, device="cpu").raw["scale_x"].value
        assert found == pytest.approx(expected.item(), rel=1e-4)
