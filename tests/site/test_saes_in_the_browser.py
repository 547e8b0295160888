"""SAEs in SAELens' layout give the same report in the browser as in Python, or the same line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox.checkpoints import read
from sandbox.data import FILES
from sandbox.errors import InputError
from tests.checkpoints.test_saelens_before_6 import CHANGED, FIVE, TRAINED_BY_FIVE
from tests.checkpoints.test_saelens_before_6 import READ as OF_OLD
from tests.checkpoints.test_saelens_refusals import DAMAGE, config_with, weights_with
from tests.helpers.by_saelens import D_SAE, INFERENCE, TRAINING, tokens, written
from tests.site.node import in_node
from tests.site.same import by_python, same

EMBEDDED = {"x": FILES["activations"], "documents": FILES["documents"]}


@pytest.fixture(scope="module")
def embedded(modules):
    """Both embedded SAEs by name: their case, and the page's answer."""
    cases = {name: {"sae": FILES[name], **EMBEDDED} for name in ("minilm-relu", "minilm-gated")}
    return dict(zip(cases, zip(cases.values(), in_node(modules, list(cases.values())), strict=True), strict=True))


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
def test_an_embedded_sae_in_float64(embedded, name):
    """The page multiplies in float64, so it agrees with `--dtype float64` as closely as pairs do."""
    case, answer = embedded[name]
    same(by_python(**case), answer)
    assert answer["entry"]["dtype"] == "float64"


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
def test_an_embedded_sae_in_float32_as_by_default(embedded, name):
    """In float32 each number of x̂ has an error of about 1e-7 of its size, and a latent near 0 may be on or off.

    These errors have both signs and average out over 7,123 tokens of 384 numbers: γ agrees to 1e-8, and so do the other
    measures of order 1. A centred c − b is a few thousandths of c, which leaves 1e-5 of the length's loss.
    """
    case, answer = embedded[name]
    report = by_python(**case, dtype="float32")
    for origin, estimates in report.origins.items():
        for key, estimate in estimates.items():
            if key == "length_loss":
                continue
            found = answer["entry"][origin][key]
            assert [found["value"], found["low"], found["high"]] == pytest.approx(
                [estimate.value, estimate.low, estimate.high], rel=1e-6
            ), (origin, key)
        gamma = answer["entry"][origin]["relative_reconstruction_bias"]["value"]
        assert gamma == pytest.approx(estimates["relative_reconstruction_bias"].value, rel=1e-8)


def of_inference(architecture, **changes):
    def make(folder):
        written(folder, architecture)
        config_with(**changes)(folder)

    return make


def of_old(architecture, config):
    def make(folder):
        written(folder, architecture)
        (folder / "cfg.json").write_text(json.dumps(config))

    return make


def in_training(architecture, **changes):
    def make(folder):
        written(folder, architecture, TRAINING)
        config_with(**changes)(folder)

    return make


def finetuned(name):
    def make(folder):
        of_old("standard", FIVE | {"finetuning_scaling_factor": True})(folder)
        path = folder / "sae_weights.safetensors"
        save_file(load_file(path) | {name: torch.rand(D_SAE) + 0.5}, path)

    return make


def stored_in(dtype):
    def make(folder):
        written(folder, "gated")
        weights_with(lambda weights: weights.update({name: one.to(dtype) for name, one in weights.items()}))(folder)

    return make


def with_log_threshold(folder):
    written(folder, "jumprelu", TRAINING)

    def change(weights):
        weights["log_threshold"] = (weights.pop("threshold").abs() + 0.1).log()

    weights_with(change)(folder)


STATED = {"metadata": {"sae_lens_version": "6.0.0", "training_architecture_details": {"l1_coefficient": 0.3}}}
TANH = {"jumprelu_sparsity_loss_mode": "tanh", "l0_coefficient": 0.02, "jumprelu_tanh_scale": 0.7}
SAES = {
    **{name: of_inference(name) for name in INFERENCE},
    **{
        f"{name}, normalised by {by}": of_inference(name, normalize_activations=by)
        for name, by in (
            ("standard", "layer_norm"),
            ("gated", "constant_norm_rescale"),
            ("standard", "expected_average_only_in"),
        )
    },
    "without b_dec in the input": of_inference("topk", apply_b_dec_to_input=False),
    "topk in units of decoder norms": of_inference("topk", rescale_acts_by_decoder_norm=True),
    "an L1 coefficient": of_inference("standard", **STATED),
    "batchtopk": in_training("batchtopk", rescale_acts_by_decoder_norm=False),
    "matryoshka": in_training("matryoshka_batchtopk"),
    "a tanh penalty": in_training("jumprelu", **TANH),
    "a counting penalty": in_training("jumprelu", jumprelu_sparsity_loss_mode="step"),
    "a logarithm of the threshold": with_log_threshold,
    "fine-tuned": finetuned("finetuning_scaling_factor"),
    "fine-tuned, older": finetuned("scaling_factor"),
    "float16": stored_in(torch.float16),
    "bfloat16": stored_in(torch.bfloat16),
    "float64": stored_in(torch.float64),
    "old with an L1 penalty": of_old("standard", TRAINED_BY_FIVE | {"architecture": "standard"}),
    **{f"of SAELens {name}": of_old(architecture, config) for name, (architecture, config) in OF_OLD.items()},
}


def test_every_sae_gives_the_same_report(modules, tmp_path):
    """Where a scale is folded into the weights, a norm in float32 may round otherwise: 1e-7 of a weight, averaged."""
    np.save(tmp_path / "x.npy", 1.7 * tokens().double().numpy() + 0.2)
    cases = []
    for name, make in SAES.items():
        folder = tmp_path / name
        folder.mkdir()
        make(folder)
        cases.append({"x": tmp_path / "x.npy", "sae": folder})
    for case, answer in zip(cases, in_node(modules, cases), strict=True):
        report = by_python(**case)
        same(report, answer, near=1e-6 if "decoder norms" in report.description else 1e-9)
        assert answer["entry"]["sae"] == report.description == read(case["sae"]).describe()


def test_a_coefficient_that_the_reader_gives(modules, embedded, tmp_path):
    """It replaces the one of the checkpoint."""
    case, answer = embedded["minilm-relu"]
    (given,) = in_node(modules, [{**case, "l1": 2.4}])
    same(by_python(**case, l1=2.4), given)
    assert given["entry"]["law"]["l1"] == 2 * answer["entry"]["law"]["l1"]
    (refused,) = in_node(modules, [{**case, "l1": -1}])
    assert refused == {"refused": "the L1 coefficient is -1: it must be a number from 0 to 1e30"}


OWN_WORDS = {"no configuration", "no weights", "not JSON", "not safetensors"}
"""Where the browser has no other layout to look for, or its own parser's words follow the same beginning."""


def lines(modules, tmp_path, monkeypatch, make):
    """The line of Python and that of the page for an SAE in the folder "sae"."""
    monkeypatch.chdir(tmp_path)
    make(Path("sae"))
    np.save("x.npy", tokens(20).numpy())
    (answer,) = in_node(modules, [{"x": "x.npy", "sae": "sae"}])
    with pytest.raises(InputError) as refused:
        by_python("x.npy", sae="sae")
    return str(refused.value), answer["refused"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_sae_is_refused_in_the_same_line(modules, tmp_path, monkeypatch, damage):
    def make(folder):
        written(folder, "standard")
        DAMAGE[damage][0](folder)

    python, page = lines(modules, tmp_path, monkeypatch, make)
    if damage in ("no configuration", "no weights"):
        assert "cfg.json beside sae_weights.safetensors" in page
    elif damage in OWN_WORDS:
        assert page.startswith(python[: python.index(": ") + 2])
    else:
        assert page == python


@pytest.mark.parametrize("change", CHANGED)
def test_an_old_sae_that_saelens_6_mistakes_is_refused_in_the_same_line(modules, tmp_path, monkeypatch, change):
    python, page = lines(modules, tmp_path, monkeypatch, of_old("standard", FIVE | CHANGED[change][0]))
    assert page == python
