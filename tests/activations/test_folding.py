"""SAEs folded wrongly: a factor that reached some of the weights and not others, at any size of activations."""

import pytest
import torch
from safetensors.torch import load_file

from sandbox import checkpoints, look
from sandbox.data import embedded
from sandbox.measuring.preflight import preflight

X = load_file(embedded("activations"))["activations"].float()[::14]
SCALES = (0.3, 3.0, 10.0)
"""Activations of norm 3.7, 37 and 123; those of norm 12 need no factor to speak of."""


def folded(scale: float, W_dec: float = 1, b_dec: float = 1, subtract: bool = True):
    """The embedded SAE for activations `scale` times as large, with factors that should not be there."""
    sae = checkpoints.load(embedded("minilm-relu"))
    if not subtract:  # the same SAE, with what b_dec does to the latents in b_enc
        sae.b_enc -= sae.b_dec @ sae.W_enc
        sae.subtract_b_dec = False
    sae.W_enc /= scale
    sae.W_dec *= scale * W_dec
    sae.b_dec *= scale * b_dec
    return sae


def factor(scale: float) -> float:
    """√d / mean ‖x‖, by which SAELens scales activations in training."""
    return float(384**0.5 / (scale * X).norm(dim=-1).mean())


@pytest.mark.parametrize("scale", SCALES)
def test_weights_that_were_folded_right_give_no_finding(scale):
    assert look(folded(scale), scale * X) == []


@pytest.mark.parametrize("scale", SCALES)
def test_a_decoder_bias_that_was_left_out_is_found(scale):
    assert look(folded(scale, b_dec=factor(scale)), scale * X)
    found = look(folded(scale, b_dec=factor(scale), subtract=False), scale * X)
    assert found[0].key == {0.3: "scale", 3.0: "missing_bias", 10.0: "folding"}[scale]
    if scale == 10:
        said = float(found[0].message.split("b_dec times ")[1].split()[0])
        assert said == pytest.approx(1 / factor(scale), rel=0.05)


@pytest.mark.parametrize("scale", SCALES)
def test_a_decoder_that_was_left_out_is_found(scale):
    assert look(folded(scale, factor(scale), factor(scale)), scale * X)


@pytest.mark.parametrize(("times", "found"), [(0.75, True), (0.9, False), (1.1, False), (1.3, True)])
def test_a_gamma_that_no_sae_in_use_has_says_to_check_the_folding(times, found):
    sae = checkpoints.load(embedded("minilm-relu"))  # γ is 0.93

    def run(x):
        feature_acts = sae.encode(x)
        return times * sae.decode(feature_acts), feature_acts

    keys = [one.key for one in preflight(run, X)]
    assert keys == ["folding"] * found or (found and "missing_bias" in keys)


@pytest.mark.parametrize(("share", "found"), [(0.03, False), (0.1, True)])
def test_a_constant_vector_that_holds_a_share_of_the_loss_is_found(share, found):
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 4096, 24, generator=generator)
    x_hat = 0.95 * x + 0.3 * noise
    lost = (x - x_hat).square().sum(-1).mean()
    x_hat += (share / (1 - share) * lost / 24) ** 0.5
    keys = [one.key for one in preflight(None, x, x_hat=x_hat)]
    assert keys == ["missing_bias"] * found
