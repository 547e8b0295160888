"""What each activation function, normalisation and SAE does to numbers that can be followed on paper."""

import math

import pytest
import torch
from torch import tensor

from sandbox.checkpoints.activation_functions import Gate, GroupMax, JumpReLU, ReLU, TopK
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.errors import InputError

PRE = tensor([[-1.0, 0.0, 2.0, 3.0]])


def a_gate(d_sae: int, seed: int = 0) -> Gate:
    generator = torch.Generator().manual_seed(seed)
    return Gate(*(torch.randn(d_sae, generator=generator) for _ in range(3)))


def test_a_relu_keeps_what_is_positive():
    assert ReLU()(PRE.clone()).tolist() == [[0, 0, 2, 3]]


def test_a_gate_opens_above_0_and_its_magnitude_is_a_relu_of_its_own():
    # gate: 2 − 2 is not above 0; 2 − 1.5 is. magnitude: 3·2 + 0.5, and 3·2 − 7 below 0
    gate = Gate(tensor([-2.0, -1.5, -1.5, 3.0]), tensor([0.5, 0.5, -7.0, 0.5]), torch.full((4,), math.log(3)))
    found = gate(tensor([[2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, -1.0]]))
    torch.testing.assert_close(found, tensor([[0, 6.5, 0, 6.5], [0, 6.5, 0, 0]]))


def test_a_gate_that_is_moved_does_with_less_what_it_did_before():
    gate, shift = a_gate(50), torch.linspace(-2, 2, 50)
    pre_acts = torch.randn(20, 50, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(gate.moved(shift)(pre_acts - shift), gate(pre_acts), rtol=1e-5, atol=1e-5)


def test_a_jump_is_above_the_threshold_and_above_0():
    thresholds = tensor([2.0, 1.9, -1.0, 0.0])
    assert JumpReLU(thresholds)(tensor([[2.0, 2.0, -0.5, 0.0]])).tolist() == [[0, 2, 0, 0]]
    assert JumpReLU(tensor(2.0))(PRE.clone()).tolist() == [[0, 0, 0, 3]]


def test_top_k_keeps_the_k_greatest_and_none_below_0():
    assert TopK(1)(PRE).tolist() == [[0, 0, 0, 3]]
    assert TopK(2)(PRE).tolist() == [[0, 0, 2, 3]]
    assert TopK(2)(-PRE).tolist() == [[1, 0, 0, 0]]  # of 1, 0, −2, −3


def test_a_group_keeps_its_greatest():
    assert GroupMax(2)(tensor([[1.0, 3.0, 2.0, -4.0, -2.0, -3.0]])).tolist() == [[0, 3, 0, 0, 0, 0]]
    assert GroupMax(3)(tensor([[1.0, 3.0, 2.0, -4.0, 5.0, 4.0]])).tolist() == [[0, 3, 2, 0, 5, 0]]


def test_a_constant_norm_is_the_root_of_d():
    z, scale, shift = ConstantNorm()(tensor([[3.0, 4.0], [0.6, 0.8]]))
    torch.testing.assert_close(z.norm(dim=1), torch.full((2,), math.sqrt(2)))
    torch.testing.assert_close(scale, tensor([[5.0], [1.0]]) / math.sqrt(2))
    assert shift == 0


def test_a_layer_norm_divides_by_n_minus_1_and_adds_eps_to_what_it_divides_by():
    x = tensor([[1.0, 2.0, 6.0]])  # mean 3, squares 4 + 1 + 9, over 2: the standard deviation is √7
    z, scale, shift = LayerNorm(eps=0.5)(x)
    torch.testing.assert_close(z, tensor([[-2.0, -1.0, 3.0]]) / (math.sqrt(7) + 0.5))
    torch.testing.assert_close(scale, tensor([[math.sqrt(7)]]))
    torch.testing.assert_close(shift, tensor([[3.0]]))


def an_sae(**more) -> SAE:
    return SAE(tensor([[1.0, -1.0], [2.0, 0.0]]), tensor([[1.0, 0.0], [0.0, 3.0]]), tensor([0.5, -1.0]), **more)


def test_an_sae_on_paper():
    x = tensor([[1.5, 1.0]])
    plain = an_sae(b_enc=tensor([0.25, 2.0]), subtract_b_dec=False)
    assert plain.encode(x).tolist() == [[3.75, 0.5]]  # 1.5 + 2 + 0.25, −1.5 + 2
    assert plain(x).tolist() == [[4.25, 0.5]]
    about = an_sae(b_enc=tensor([0.25, 2.0]), subtract_b_dec=True)
    assert about.encode(x).tolist() == [[5.25, 1.0]]  # of (1, 2): 1 + 4 + 0.25, −1 + 2
    assert about(x).tolist() == [[5.75, 2.0]]
    wide = SAE(torch.ones(2, 3), torch.ones(3, 2), torch.ones(2), subtract_b_dec=True)
    assert (wide.d_in, wide.d_sae, wide.architecture) == (2, 3, "standard")
    z, scale, shift = wide.normalise(x)  # nothing is
    assert torch.equal(z * scale + shift, x)
    assert (z is x, scale.item(), shift) == (True, 1, 0)


def test_a_normalised_sae_needs_x_to_decode_and_gives_x_its_own_scale_back():
    sae, x = an_sae(normalisation=ConstantNorm(), subtract_b_dec=False), tensor([[3.0, 4.0]])
    acts = sae.encode(x)
    torch.testing.assert_close(acts, tensor([[11.0, 0.0]]) * math.sqrt(2) / 5)
    torch.testing.assert_close(sae(x), tensor([[11.0, 0.0]]) + tensor([[0.5, -1.0]]) * 5 / math.sqrt(2))
    with pytest.raises(InputError, match=r"decode needs x"):
        sae.decode(acts)


@pytest.mark.parametrize("subtract_b_dec", [True, False])
@pytest.mark.parametrize("b_enc", [None, tensor([0.3, -0.2])])
@pytest.mark.parametrize("activation", [ReLU(), TopK(1), JumpReLU(tensor(0.4)), a_gate(2)])
def test_another_decoder_leaves_the_latents_as_they_are(activation, b_enc, subtract_b_dec):
    sae = an_sae(b_enc=b_enc, activation=activation, subtract_b_dec=subtract_b_dec)
    W_dec, b_dec = tensor([[2.0, 1.0], [0.0, -1.0]]), tensor([-2.0, 4.0])
    other, x = sae.with_decoder(W_dec, b_dec), torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(other.encode(x), sae.encode(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(other(x), sae.encode(x) @ W_dec + b_dec, rtol=1e-5, atol=1e-5)


def test_an_sae_says_what_it_is():
    assert an_sae(subtract_b_dec=True).describe() == (
        "standard, d_in 2, d_sae 2, decoder bias subtracted from the input: yes"
    )
    assert an_sae(activation=TopK(1), normalisation=LayerNorm(), subtract_b_dec=False).describe() == (
        "topk (k = 1), d_in 2, d_sae 2, decoder bias subtracted from the input: no, "
        "layer norm of every token, undone on decode"
    )
