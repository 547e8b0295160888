"""What each setting of SAELens' cfg.json is taken for, and what the rules of exact layouts let pass; no files."""

from pathlib import Path

import pytest
import torch

from sandbox.checkpoints import reading
from sandbox.checkpoints.layout import FLAG, Contents, Option, Variant, Weight, free, is_number
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
        assert found.notes == ("apply_b_dec_to_input is not set: yes, by SAELens' default",)
    else:
        refused(config, "apply_b_dec_to_input is not set: one of True, False is needed")


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
    refused(
        SIX | {"architecture": architecture, "rescale_acts_by_decoder_norm": True},
        "rescale_acts_by_decoder_norm is True",
    )


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
    side_by_side = ("x is the concatenated outputs of all heads",)
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
    with pytest.raises(InputError, match="architecture is 'standard', but training_architecture is 'batchtopk'"):
        notes("standard", "batchtopk")
    with pytest.raises(InputError, match="architecture is 'jumprelu', but training_architecture is 'gated'"):
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
        (SIX | {"architecture": "gated", "k": 7}, "k is 7, but a gated SAE has no k"),
        ({"metadata": {"sae_lens_version": "6.0"}}, "architecture is None"),
        (SIX | {"architecture": ["transcoder"]}, r"architecture is \['transcoder'\]"),
        (SIX | {"architecture": "transcoder", "k": 7}, "k is 7, but a transcoder SAE has no k"),
        (SIX | {"architecture": "crosscoder"}, "architecture is 'crosscoder'; supported: standard, .*, transcoder"),
    ],
)
def test_another_activation_is_refused(config, words):
    with pytest.raises(InputError, match=words):
        architecture_of(CFG, config)


# --- rules for every layout -----------------------------------------------------------------------------------------


def test_exactly_the_tensors_of_the_variant_and_those_that_are_unused():
    variant = Variant("a toy", {"a": Weight("a", ""), "c": Weight("c", "")})
    reading.check_names(CFG, ["a", "b", "c"], variant, ("b", "d"))
    with pytest.raises(InputError, match=r"holds b, but no a, c; a toy has exactly a, c; nothing"):
        reading.check_names(CFG, ["b"], variant, ("b",))
    with pytest.raises(InputError, match="d, e may change x̂: a toy has exactly a, c"):
        reading.check_names(CFG, ["e", "a", "c", "d"], variant, ("b",))


def test_settings_that_are_known_with_values_that_are_read():
    options = {"act": Option(("relu", None))} | free("seed")
    reading.check_settings(CFG, {"act": "relu", "seed": 3}, options)
    reading.check_settings(CFG, {"act": None}, options)
    reading.check_settings(CFG, {}, options)
    with pytest.raises(InputError, match=r"act is 'gelu', which changes x̂ .* \(supported: 'relu', None\)"):
        reading.check_settings(CFG, {"act": "gelu"}, options)
    with pytest.raises(InputError, match="lr may change x̂; unknown settings are refused"):
        reading.check_settings(CFG, {"lr": 3}, options)
    reading.check_settings(CFG, {"lr": 3}, options, unlisted=True)


def test_a_setting_that_is_required_or_repeats_another():
    with pytest.raises(InputError, match="act is not set: one of 'relu' is needed; nothing is guessed"):
        reading.check_settings(CFG, {}, {"act": Option(("relu",), required=True)})
    with pytest.raises(InputError, match="k is not set; nothing is guessed"):
        reading.check_settings(CFG, {"k": None}, {"k": Option(required=True)})
    options = {"out": Option(same_as="in", reason="as a toy")} | free("in")
    for settings in ({}, {"in": "a"}, {"in": "a", "out": "a"}, {"in": "a", "out": None}):
        reading.check_settings(CFG, settings, options)
    with pytest.raises(InputError, match="out is 'b', but in is 'a', as a toy"):
        reading.check_settings(CFG, {"in": "a", "out": "b"}, options)


def test_a_flag_is_true_or_false():
    reading.check_settings(CFG, {"on": True}, {"on": FLAG})
    reading.check_settings(CFG, {"on": False}, {"on": FLAG})
    for settings in ({}, {"on": 1}, {"on": 0.0}, {"on": None}):
        with pytest.raises(InputError, match="on is"):
            reading.check_settings(CFG, settings, {"on": FLAG})


def test_sizes_that_are_set_are_those_of_the_weights():
    options = {"d_in": Option(size="i"), "d_sae": Option((None,), size="s")} | free("k")
    reading.check_sizes(CFG, {"d_in": 3, "d_sae": None, "k": 5}, options, {"i": 3, "s": 9})
    for settings in ({"d_in": 4}, {"d_in": None}):
        with pytest.raises(InputError, match=f"d_in is {settings['d_in']}, but 3 in the weights"):
            reading.check_sizes(CFG, settings, options, {"i": 3, "s": 9})


def test_the_odd_one_out_sets_no_size():
    tensors = {name: Weight(name, axes) for name, axes in {"a": "is", "b": "si", "c": "s", "d": "is"}.items()}
    stored = {"a": torch.ones(3, 8), "b": torch.ones(3, 8), "c": torch.ones(8), "d": torch.ones(3)}
    assert reading.sizes_of(stored, tensors) == {"i": 3, "s": 8}


def test_k_is_from_1_to_d_sae():
    def count(k):
        return Contents(CFG, {}, CFG, {"k": k}, d_sae=8).count("k")

    assert (count(1), count(8)) == (1, 8)
    for k in (0, 9, 2.0, True, None):
        with pytest.raises(InputError, match="a whole number from 1 to d_sae = 8"):
            count(k)


def test_weights_are_finite_floats_of_the_shapes_that_fit():
    def read(tensor, weight):
        return reading.by_role(CFG, {"a": tensor}, {"a": weight}, {"i": 2, "s": 3})

    found = read(torch.arange(6.0).reshape(2, 3).half(), Weight("W_dec", "is"))
    assert found["W_dec"].dtype == torch.float32
    assert found["W_dec"].tolist() == [[0, 3], [1, 4], [2, 5]]  # transposed
    assert read(torch.ones(2, 3), Weight("W_enc", "is"))["W_enc"].shape == (2, 3)
    assert read(torch.tensor(3), Weight("k", "", whole=True))["k"] == 3
    assert read(torch.full((9,), torch.nan), Weight("", "s")) == {}
    for bad, words in (
        (torch.ones(3, 2), r"a is torch.float32 of shape \(3, 2\), .* floats of shape \(2, 3\)"),
        (torch.ones(2, 3).int(), "a is torch.int32"),
        ([1.0], r"a is \[1.0\]"),
        (torch.full((2, 3), torch.nan), "a holds a NaN"),
        (torch.full((2, 3), torch.inf), "a holds a NaN or an infinity"),
    ):
        with pytest.raises(InputError, match=words):
            read(bad, Weight("W_enc", "is"))
    for bad in (torch.tensor(2.5), torch.tensor([3]), 3):
        with pytest.raises(InputError, match="whole numbers of shape"):
            read(bad, Weight("k", "", whole=True))


def test_a_number_is_finite_and_no_truth_value():
    assert [is_number(value) for value in (0, -3, 1.5)] == [True] * 3
    assert [is_number(value) for value in (True, "1", None, [1.0], float("nan"), float("inf"))] == [False] * 6
