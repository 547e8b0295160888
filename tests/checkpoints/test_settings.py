"""What each setting of SAELens' cfg.json is taken for, and what the rules of exact layouts let pass; no files."""

from pathlib import Path

import pytest
import torch

from sandbox.checkpoints import strict
from sandbox.checkpoints.layout import checked
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.checkpoints.saelens_settings import UNFOLDED, architecture_of, understood
from sandbox.errors import InputError

CFG = Path("cfg.json")
SIX = {"architecture": "standard", "apply_b_dec_to_input": False, "metadata": {"sae_lens_version": "6.0.0"}}
FIVE = {"architecture": "standard", "sae_lens_version": "5.11.0", "apply_b_dec_to_input": False}


def refused(config, *words):
    with pytest.raises(InputError) as told:
        understood(CFG, config)
    message = str(told.value)
    assert message.startswith("cfg.json: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("version", "old"),
    [(None, True), ("0.3", True), ("5.11.0", True), ("6.0.0", False), ("6", False), ("6.54", False), ("10.0", False)],
)
@pytest.mark.parametrize("place", ["top", "metadata"])
def test_what_is_older_than_6_has_defaults_of_its_own(version, old, place):
    """Since 6, apply_b_dec_to_input must be there; before, it was meant."""
    config = {"architecture": "standard"}
    if version is not None:
        config |= {"sae_lens_version": version} if place == "top" else {"metadata": {"sae_lens_version": version}}
    if old:
        found = understood(CFG, config)
        assert found.subtract_b_dec is True
        assert found.notes == ("apply_b_dec_to_input is not given, so yes, as SAELens takes it",)
    else:
        refused(config, "apply_b_dec_to_input is None; true or false is needed")


def test_a_version_that_is_none_is_refused():
    refused(SIX | {"sae_lens_version": "six"}, "sae_lens_version is 'six'")
    refused(SIX | {"metadata": {"sae_lens_version": 6}}, "sae_lens_version is 6;")
    refused(SIX | {"metadata": []}, "metadata is []")


@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("base", [SIX, FIVE])
def test_what_is_said_of_b_dec_is_taken_as_it_is(base, subtract):
    found = understood(CFG, base | {"apply_b_dec_to_input": subtract})
    assert found.subtract_b_dec is subtract
    assert (found.architecture, found.k, found.normalisation, found.notes) == ("standard", None, None, ())
    assert not found.rescaled
    assert not found.finetuned


def test_a_normalisation_of_each_token_is_read_and_one_of_all_tokens_noted():
    def of(name, base=SIX):
        return understood(CFG, base | {"normalize_activations": name})

    assert isinstance(of("constant_norm_rescale").normalisation, ConstantNorm)
    layer_norm = of("layer_norm").normalisation
    assert isinstance(layer_norm, LayerNorm)
    assert layer_norm.eps == 1e-5
    assert of("none").notes == of(None, FIVE).notes == of(False, FIVE).notes == ()
    for noted in (of("expected_average_only_in"), of("expected_average_only_in", FIVE), of(True, FIVE)):
        assert (noted.normalisation, noted.notes) == (None, (UNFOLDED,))
    refused(SIX | {"normalize_activations": True}, "normalize_activations is True")
    refused(SIX | {"normalize_activations": None}, "normalize_activations is None")


@pytest.mark.parametrize(
    ("changes", "rescaled"),
    [
        ({"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": True}, True),
        ({"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": None}, False),
        ({"architecture": "batchtopk", "rescale_acts_by_decoder_norm": True}, True),
        ({"architecture": "matryoshka_batchtopk", "rescale_acts_by_decoder_norm": True}, True),
        ({"rescale_acts_by_decoder_norm": False}, False),
    ],
)
def test_a_top_k_may_be_rescaled_by_its_decoders_norms(changes, rescaled):
    assert understood(CFG, SIX | changes).rescaled is rescaled


@pytest.mark.parametrize("architecture", ["standard", "gated", "jumprelu"])
def test_no_other_may(architecture):
    refused(SIX | {"architecture": architecture, "rescale_acts_by_decoder_norm": True}, "is True", "of any but a topk")


@pytest.mark.parametrize(("architecture", "read"), [("standard", True), ("jumprelu", True), ("gated", False)])
def test_a_finetuned_scale_is_of_old_and_of_all_but_gated(architecture, read):
    changes = {"architecture": architecture, "finetuning_scaling_factor": True}
    refused(SIX | changes, "finetuning_scaling_factor is True")
    if read:
        assert understood(CFG, FIVE | changes).finetuned
    else:
        refused(FIVE | changes, "finetuning_scaling_factor is True")


def test_an_error_term_changes_x_hat_and_none_does_not():
    assert understood(CFG, SIX | {"use_error_term": False}) == understood(CFG, SIX | {"use_error_term": None})
    refused(SIX | {"use_error_term": 0.5}, "use_error_term is 0.5")


@pytest.mark.parametrize("hook", ["blocks.3.attn.hook_z", "h.3.attn_z"])
def test_heads_are_noted(hook):
    side_by_side = ("x is the outputs of all heads side by side",)
    assert understood(CFG, FIVE | {"hook_name": hook}).notes == side_by_side
    assert understood(CFG, FIVE | {"hook_point": hook}).notes == side_by_side
    assert understood(CFG, FIVE | {"hook_name": "blocks.3.hook_resid_pre"}).notes == ()
    assert understood(CFG, SIX | {"hook_name": hook}).notes == ()  # since 6 it is a setting
    assert understood(CFG, SIX | {"reshape_activations": "hook_z"}).notes == side_by_side
    assert understood(CFG, FIVE | {"hook_name": hook, "reshape_activations": "none"}).notes == ()
    refused(SIX | {"reshape_activations": "hook_q"}, "reshape_activations is 'hook_q'")


def test_what_was_trained_by_batch_says_so():
    def notes(architecture, trained):
        metadata = {"sae_lens_version": "6.0.0", "training_architecture": trained}
        return understood(CFG, SIX | {"architecture": architecture, "metadata": metadata}).notes

    assert notes("jumprelu", "batchtopk") == ("trained as batchtopk",)
    assert notes("jumprelu", "jumprelu") == notes("standard", "standard") == notes("standard", "next year's") == ()
    assert notes("batchtopk", "batchtopk")[0].startswith("a training checkpoint of batchtopk")
    with pytest.raises(InputError, match="architecture is 'standard', but metadata says that 'batchtopk' was trained"):
        notes("standard", "batchtopk")
    with pytest.raises(InputError, match="architecture is 'jumprelu', but metadata says that 'gated' was trained"):
        notes("jumprelu", "gated")


@pytest.mark.parametrize(
    ("config", "read"),
    [
        (FIVE | {"activation_fn_str": "relu"}, ("standard", None)),
        (FIVE | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 1}}, ("topk", 1)),
        ({"activation_fn_str": "relu"}, ("standard", None)),  # before there were any others
        (SIX | {"architecture": "topk", "k": 7}, ("topk", 7)),
        (
            SIX | {"architecture": "topk", "k": 7, "activation_fn": "topk", "activation_fn_kwargs": {"k": 7}},
            ("topk", 7),
        ),
        (SIX | {"activation_fn": "relu", "activation_fn_kwargs": {}}, ("standard", None)),
    ],
)
def test_the_architecture_and_k(config, read):
    assert architecture_of(CFG, config) == read


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SIX | {"activation_fn": "topk"}, "activation_fn is 'topk' in a standard SAE"),
        (FIVE | {"activation_fn_str": "topk", "activation_fn": "relu"}, "activation_fn is 'relu' and 'topk'"),
        (SIX | {"activation_fn_kwargs": {"k": 7}}, "activation_fn_kwargs is {'k': 7}"),
        (SIX | {"activation_fn_kwargs": [1]}, r"activation_fn_kwargs is \[1\]"),
        (SIX | {"architecture": "topk", "k": 7, "activation_fn_kwargs": {"k": 8}}, "k is 7 and 8"),
        (SIX | {"architecture": "topk", "k": True}, "k is True"),
        (SIX | {"architecture": "topk", "k": 0}, "k is 0"),
        (SIX | {"architecture": "topk"}, "k is missing"),
        (SIX | {"architecture": "gated", "k": 7}, "k is 7, but a gated SAE keeps no number"),
        ({"metadata": {"sae_lens_version": "6.0"}}, "architecture is None"),
        (SIX | {"architecture": ["transcoder"]}, r"architecture is \['transcoder'\]"),
        (SIX | {"architecture": "transcoder"}, "which is not read: x̂ lies in another space"),
    ],
)
def test_another_activation_is_refused(config, words):
    with pytest.raises(InputError, match=words):
        architecture_of(CFG, config)


# --- rules for every layout -----------------------------------------------------------------------------------------


def test_exactly_what_is_needed_and_what_may_be():
    strict.exactly(CFG, ["a", "b"], ["a"], ["b", "c"])
    with pytest.raises(InputError, match=r"holds \['b'\], but no a, c; nothing"):
        strict.exactly(CFG, ["b"], ["c", "a"], ["b"])
    with pytest.raises(InputError, match="d, e may change x̂"):
        strict.exactly(CFG, ["e", "a", "d"], ["a"], ["b"])


def test_settings_that_are_known_with_values_that_are_read():
    understood_values = {"act": ("relu", None)}
    strict.known(CFG, {"act": "relu", "seed": 3}, understood_values, ["seed"])
    strict.known(CFG, {}, understood_values, [])
    with pytest.raises(InputError, match=r"act is 'gelu', .* \(only 'relu', None is\)"):
        strict.known(CFG, {"act": "gelu"}, understood_values, [])
    with pytest.raises(InputError, match="seed may change x̂ and is not known"):
        strict.known(CFG, {"seed": 3}, understood_values, [])


def test_sizes_that_are_set_are_those_of_the_weights():
    strict.same_sizes(CFG, {"d_in": 3, "d_sae": None}, {"d_in": 3, "d_sae": 9, "k": 2})
    with pytest.raises(InputError, match="d_in is 4, but 3 in the weights"):
        strict.same_sizes(CFG, {"d_in": 4}, {"d_in": 3})


def test_a_flag_is_true_or_false():
    assert strict.flag(CFG, {"on": True}, "on") is True
    assert strict.flag(CFG, {"on": False}, "on") is False
    for config in ({}, {"on": 1}, {"on": None}):
        with pytest.raises(InputError, match="true or false is needed"):
            strict.flag(CFG, config, "on")


def test_k_is_from_1_to_d_sae():
    assert (strict.kept(CFG, 1, 8), strict.kept(CFG, 8, 8)) == (1, 8)
    for k in (0, 9, 2.0, True, None):
        with pytest.raises(InputError, match="a whole number from 1 to d_sae = 8"):
            strict.kept(CFG, k, 8)


def test_weights_are_finite_floats_of_the_shapes_that_fit():
    found = checked(CFG, {"a": torch.ones(2, 3).half(), "b": torch.ones(4)}, {"a": (2, 3)})
    assert {name: tensor.dtype for name, tensor in found.items()} == {"a": torch.float32}
    for bad, words in (
        (torch.ones(3, 2), r"a is torch.float32 of shape \(3, 2\)"),
        (torch.ones(2, 3).int(), "a is torch.int32"),
        ([1.0], r"a is \[1.0\]"),
        (torch.full((2, 3), torch.nan), "a holds a NaN"),
        (torch.full((2, 3), torch.inf), "a holds a NaN or an infinity"),
    ):
        with pytest.raises(InputError, match=words):
            checked(CFG, {"a": bad}, {"a": (2, 3)})


def test_a_number_is_finite_and_no_truth_value():
    assert [strict.is_number(one) for one in (0, -3, 1.5)] == [True] * 3
    assert [strict.is_number(one) for one in (True, "1", None, [1.0], float("nan"), float("inf"))] == [False] * 6
