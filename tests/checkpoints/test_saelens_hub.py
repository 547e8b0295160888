"""`saelens:RELEASE/ID` is what SAELens fetches, unless it makes another SAE of it; without a network, one line.

The fixture `cache` (conftest.py) stands for the hub.
"""

import gc
import json
import sys

import pytest
import torch
from dictionary_learning.dictionary import AutoEncoderNew

from sandbox import checkpoints
from sandbox.checkpoints import hub
from sandbox.errors import InputError
from tests.checkpoints.test_saelens import agree
from tests.helpers.by_saelens import D_IN, D_SAE, loaded, tokens, written

RES_JB = "gpt2-small-res-jb/blocks.0.hook_resid_pre"  # SAELens' own layout, of version 0
BATCHTOPK = "saebench_gemma-2-2b_width-2pow12_date-0108/blocks.12.hook_resid_post__trainer_0"  # dictionary_learning's
MISTRAL = "mistral-7b-res-wg/blocks.8.hook_resid_pre"  # SAELens' directory says that it normalises, its files do not


def dictionary(folder, dict_class):
    """A JumpReLU-like SAE as dictionary_learning saves it, of a class by that name."""
    trainer = {"dict_class": dict_class, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 12, "lm_name": "m"}
    (folder / "config.json").write_text(json.dumps({"trainer": trainer | {"k": 9}, "buffer": {"ctx_len": 128}}))
    generator = torch.Generator().manual_seed(0)
    shapes = {"encoder.weight": (D_SAE, D_IN), "decoder.weight": (D_IN, D_SAE), "encoder.bias": (D_SAE,)}
    drawn = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights = drawn | {"b_dec": torch.randn(D_IN, generator=generator), "threshold": torch.tensor(0.7)}
    torch.save(weights, folder / "ae.pt")
    return weights


def test_an_sae_of_saelens_own_is_read_by_its_name_and_written(cache, tmp_path, capsys):
    theirs = written(cache(RES_JB), "standard")
    checkpoint = checkpoints.read(f"saelens:{RES_JB}")
    agree(checkpoint.sae, theirs, tokens())
    assert "fetched by SAELens 6" in checkpoint.describe()
    assert checkpoint.name == "gpt2-small-res-jb--blocks.0.hook_resid_pre"
    assert capsys.readouterr().out == ""
    checkpoint.write(tmp_path / "out", checkpoint.sae.W_dec, checkpoint.sae.b_dec)
    agree(checkpoint.sae, loaded(tmp_path / "out"), tokens())


def test_what_was_fetched_is_kept_as_long_as_it_is_needed(cache):
    written(cache(RES_JB), "gated")
    checkpoint = checkpoints.read(f"saelens:{RES_JB}")
    folder = checkpoint.files.folder.parent
    assert folder.exists()
    del checkpoint
    gc.collect()
    assert not folder.exists()


def test_what_the_directory_adds_to_the_files_counts(cache):
    theirs = written(cache(MISTRAL), "standard", normalize_activations="none")
    theirs.cfg.normalize_activations = "constant_norm_rescale"
    theirs._setup_activation_normalization()
    agree(checkpoints.load(f"saelens:{MISTRAL}"), theirs, tokens())


@pytest.mark.parametrize("dict_class", ["BatchTopKSAE", "MatryoshkaBatchTopKSAE", "MatroyshkaBatchTopKSAE"])
def test_a_batch_topk_dictionary_keeps_its_threshold(dict_class, cache):
    weights, x = dictionary(cache(BATCHTOPK), dict_class), tokens()
    sae = checkpoints.load(f"saelens:{BATCHTOPK}")
    pre_acts = (x - weights["b_dec"]) @ weights["encoder.weight"].T + weights["encoder.bias"]
    torch.testing.assert_close(sae.encode(x), pre_acts * (pre_acts > 0.7), rtol=1e-5, atol=1e-5)
    assert sae.architecture == "jumprelu"


def test_an_auto_encoder_new_subtracts_nothing_and_keeps_its_bias(cache):
    folder, x = cache(BATCHTOPK), tokens()
    weights = dictionary(folder, "AutoEncoderNew")
    weights["decoder.bias"] = weights.pop("b_dec")
    del weights["threshold"]
    torch.save(weights, folder / "ae.pt")
    theirs = AutoEncoderNew.from_pretrained(folder / "ae.pt")
    sae = checkpoints.load(f"saelens:{BATCHTOPK}")
    torch.testing.assert_close(sae.encode(x), theirs.encode(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sae(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_dictionary_that_saelens_takes_for_relu_is_refused(cache):
    dictionary(cache(BATCHTOPK), "AutoEncoderNewest")
    with pytest.raises(
        InputError, match="does not support dictionary_learning's AutoEncoderNewest, and converts it to standard"
    ):
        checkpoints.read(f"saelens:{BATCHTOPK}")


def test_a_converter_that_comes_to_another_architecture_is_refused():
    config = {"architecture": "standard", "apply_b_dec_to_input": False}  # of a JumpReLU SAE: a fall-back
    with pytest.raises(InputError, match="it is jumprelu at its source, but SAELens' gemma_2 converts it to standard"):
        hub._check("saelens:gemma-scope-2b-pt-res/x", "gemma_2", config, None)


def test_an_activation_function_that_saelens_drops_is_refused(cache):
    folder = cache(RES_JB)
    written(folder, "standard")
    config = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "torch.float32", "activation_fn_str": "tanh-relu"}
    (folder / "cfg.json").write_text(json.dumps(config))
    assert isinstance(loaded(folder).activation_fn, torch.nn.ReLU)  # that is the trap
    with pytest.raises(InputError, match="activation_fn is 'tanh-relu'"):
        checkpoints.read(f"saelens:{RES_JB}")


def test_a_transcoder_is_refused_before_it_is_made(cache):
    folder = cache(RES_JB)
    written(folder, "standard")
    (folder / "cfg.json").write_text(
        json.dumps(json.loads((folder / "cfg.json").read_text()) | {"architecture": "transcoder"})
    )
    with pytest.raises(InputError, match="its x̂ is in another space than x"):
        checkpoints.read(f"saelens:{RES_JB}")


NAMES = {
    "gpt2-small-res-jn/blocks.0.hook_resid_pre": "no release 'gpt2-small-res-jn'; similar names: gpt2-small-res-jb",
    "gpt2-small-res-jb/blocks.99.hook_resid_pre": "no SAE 'blocks.99.hook_resid_pre'; similar names: blocks.9.",
    "gpt2-small-res-jb": "release gpt2-small-res-jb has no SAE ''; similar names: blocks.0.hook_resid_pre",
    "owner/repository": "no release 'owner'; similar names: ",
}


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_name_is_refused_with_those_near_it_and_needs_no_network(name):
    with pytest.raises(InputError, match=NAMES[name]):
        checkpoints.read(f"saelens:{name}")


def test_without_a_network_one_line_says_so(cache):
    with pytest.raises(InputError, match="SAELens could not fetch it: ") as refusal:
        checkpoints.read(f"saelens:{RES_JB}")
    assert "\n" not in str(refusal.value)
    assert "offline" in str(refusal.value) or "connection" in str(refusal.value)


def test_without_saelens_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sae_lens", None)  # as an import of what is not installed
    with pytest.raises(InputError, match="pip install sae-lens"):
        checkpoints.read(f"saelens:{RES_JB}")
