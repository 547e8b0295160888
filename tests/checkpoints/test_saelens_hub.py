"""`saelens:RELEASE/ID` is what SAELens fetches, unless it makes another SAE of it; without a network, one line.

The fixture `cache` (conftest.py) stands for the hub.
"""

import gc
import json
import sys

import pytest
import torch
from dictionary_learning.dictionary import AutoEncoderNew
from safetensors.torch import save_file

from sandbox import checkpoints
from sandbox.checkpoints import hub
from sandbox.errors import InputError
from tests.checkpoints.test_saelens import agree
from tests.helpers.by_saelens import D_IN, D_SAE, TRANSCODERS, loaded, tokens, written

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


def test_a_transcoder_of_saelens_own_is_read_by_its_name(cache):
    theirs = written(cache(RES_JB), "skip_transcoder", TRANSCODERS)
    checkpoint = checkpoints.read(f"saelens:{RES_JB}")
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.sae(tokens()), theirs(tokens()), rtol=1e-5, atol=1e-5)
    assert checkpoint.describe().startswith("SAELens standard transcoder, d_in 24, d_out 20, d_sae 96")


QWEN = "mwhanna-qwen3-0.6b-transcoders-lowl0/layer_0"
CLT = "mntss-gemma-2-2b-2.5m-clt-as-per-layer/layer_0"


def drawn(*shape, seed=0):
    return 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("skips", [False, True])
def test_a_converted_transcoder_must_be_of_its_kind(skips):
    made = "jumprelu_skip_transcoder" if skips else "jumprelu_transcoder"
    config = {"architecture": made, "apply_b_dec_to_input": False}
    hub._check("saelens:x", "gemma_3", config, None, "transcoder_all/layer_0", skips)
    with pytest.raises(InputError, match=f"at its source, but SAELens' gemma_3 converts it to {made}"):
        hub._check("saelens:x", "gemma_3", config, None, "transcoder_all/layer_0", not skips)
    with pytest.raises(InputError, match="it is jumprelu at its source"):
        hub._check("saelens:x", "gemma_3", config, None, "resid_post/layer_0", skips)


@pytest.mark.filterwarnings("ignore::UserWarning")  # SAELens' own, of how to load the model
def test_an_mlp_transcoder_of_qwen_is_what_saelens_makes_of_it(cache):
    folder = cache(QWEN)  # in the directory of this release, the name is that of a file
    file = folder.parent / folder.name
    file.rmdir()
    weights = {"W_enc": drawn(D_SAE, D_IN), "W_dec": drawn(D_SAE, D_IN, seed=1)}
    save_file(weights | {"b_enc": drawn(D_SAE), "b_dec": drawn(D_IN)}, file)
    sizes = {"d_model": {"value": D_IN}, "d_feature": {"value": D_SAE}, "batch_size": {"value": 8}}
    (file.parent / "wandb-config.yaml").write_text(json.dumps(sizes))
    (file.parent / "config.yaml").write_text(json.dumps({"model_name": "Qwen/Qwen3-0.6B"}))
    sae = checkpoints.load(f"saelens:{QWEN}")
    x = tokens()
    y_hat = torch.relu(x @ weights["W_enc"].T + drawn(D_SAE)) @ weights["W_dec"] + drawn(D_IN)
    torch.testing.assert_close(sae(x), y_hat, rtol=1e-5, atol=1e-5)
    assert sae.transcodes


def test_one_layer_of_a_cross_layer_transcoder_is_refused_before_anything_is_fetched():
    with pytest.raises(InputError, match=f"^--sae saelens:{CLT}: .* no layer's output is that sum: ŷ .* name a trans"):
        checkpoints.read(f"saelens:{CLT}")


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
