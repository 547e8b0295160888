"""Which L1 coefficient an SAE's settings state, and when they state none that the law could use."""

from types import SimpleNamespace

import pytest

from sandbox import checkpoints
from sandbox.checkpoints.penalty import Penalty, penalty_of
from sandbox.data import embedded


def saelens(**settings):
    """A SAELens object, as far as its settings go."""
    return SimpleNamespace(cfg=SimpleNamespace(architecture=lambda: "standard", **settings))


@pytest.mark.parametrize(("name", "l1"), [("minilm-relu", 1.2), ("minilm-gated", 0.0)])
def test_an_embedded_checkpoint_states_it(name, l1):
    penalty = penalty_of(checkpoints.read(embedded(name)))
    assert penalty is not None
    assert penalty.l1 == l1
    assert ("l1_coefficient in cfg.json" if l1 else "gated SAE does not grow") in penalty.source


STATED = {
    "SAELens 6": saelens(metadata={"training_architecture_details": {"l1_coefficient": 2, "lp_norm": 1.0}}),
    "SAELens 6, in training": saelens(l1_coefficient=2.0, lp_norm=1),
    "SAELens 5, weighted by the decoder": saelens(l1_coefficient=2.0, scale_sparsity_penalty_by_decoder_norm=True),
    "SAELens 5, decoder of norm 1": saelens(
        l1_coefficient=2.0, scale_sparsity_penalty_by_decoder_norm=False, normalize_sae_decoder=True
    ),
    "dictionary_learning": saelens(trainer={"l1_penalty": 2.0}),
}


@pytest.mark.parametrize("library", STATED)
def test_settings_that_state_a_coefficient(library):
    penalty = penalty_of(STATED[library])
    assert isinstance(penalty, Penalty)
    assert penalty == (2, penalty.source, None)


def jumprelu(**settings):
    """A SAELens object of a JumpReLU SAE; an inference SAE has the settings of training among its metadata."""
    return SimpleNamespace(cfg=SimpleNamespace(architecture="jumprelu", **settings))


TANH = {"jumprelu_sparsity_loss_mode": "tanh", "jumprelu_tanh_scale": 4, "l0_coefficient": 2}


@pytest.mark.parametrize("settings", [TANH, {"metadata": {"training_architecture_details": TANH}}])
def test_the_smooth_step_of_a_jumprelu_sae_has_a_coefficient_and_a_scale(settings):
    penalty = penalty_of(jumprelu(**settings))
    assert penalty == (2.0, "l0_coefficient in its cfg", 4.0)
    assert penalty.l1 is None


NO_SLOPE = {
    "gated": SimpleNamespace(cfg=SimpleNamespace(architecture="gated", l1_coefficient=2.0)),
    "TopK": SimpleNamespace(cfg=SimpleNamespace(architecture="topk", k=32)),
    "BatchTopK": SimpleNamespace(cfg=SimpleNamespace(architecture=lambda: "batchtopk", k=32)),
    "BatchTopK, saved for inference": jumprelu(metadata={"training_architecture": "batchtopk"}),
    "dictionary_learning's BatchTopK": SimpleNamespace(
        cfg=SimpleNamespace(architecture="jumprelu", trainer={"dict_class": "BatchTopKSAE"})
    ),
    "dictionary_learning's JumpReLU": jumprelu(trainer={"dict_class": "JumpReluAutoEncoder"}),
    "JumpReLU, a step": jumprelu(jumprelu_sparsity_loss_mode="step", l0_coefficient=2.0),
    "JumpReLU, as for Gemma Scope 2": jumprelu(jumprelu_sparsity_loss_mode="quadratic", target_l0=20),
}


@pytest.mark.parametrize("architecture", NO_SLOPE)
def test_a_penalty_that_scaling_leaves_alone_counts_as_0(architecture):
    penalty = penalty_of(NO_SLOPE[architecture])
    assert penalty is not None
    assert penalty.l1 == 0
    assert "does not grow with its latents" in penalty.source


NOT_STATED = {
    "nothing": saelens(),
    "JumpReLU, with a penalty that is not stated": jumprelu(),
    "JumpReLU, a smooth step of unknown scale": jumprelu(**{**TANH, "jumprelu_tanh_scale": None}),
    "JumpReLU, a smooth step of a negative coefficient": jumprelu(**{**TANH, "l0_coefficient": -1.0}),
    "Matryoshka": SimpleNamespace(cfg=SimpleNamespace(architecture=lambda: "matryoshka_batchtopk")),
    "Matryoshka, saved for inference": jumprelu(metadata={"training_architecture": "matryoshka_batchtopk"}),
    "dictionary_learning's Matryoshka": jumprelu(trainer={"dict_class": "MatryoshkaBatchTopKSAE"}),
    "true": saelens(l1_coefficient=True),
    "infinity": saelens(l1_coefficient=float("inf")),
    "another power of the latents": saelens(l1_coefficient=2.0, lp_norm=0.5),
    "norms that grow and cost nothing": saelens(
        l1_coefficient=2.0, scale_sparsity_penalty_by_decoder_norm=False, normalize_sae_decoder=False
    ),
    "a negative number": saelens(l1_coefficient=-2.0),
    "not a number": saelens(l1_coefficient="2"),
    "an object without settings": lambda x: x,
}


@pytest.mark.parametrize("case", NOT_STATED)
def test_settings_that_do_not(case):
    assert penalty_of(NOT_STATED[case]) is None
