"""Each difference between the training data in an SAE's settings and the origin of the activations is found."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sandbox import InputError, cli, look, measure
from sandbox.activations import activations
from sandbox.activations.live import live
from sandbox.activations.origin import Origin
from sandbox.checkpoints import read
from sandbox.checkpoints.origin import trained_on
from sandbox.measuring.preflight import provenance
from sandbox.measuring.preflight.hooks import spot
from sandbox.measuring.preflight.provenance import is_same_model
from tests.helpers.models import SENTENCE, save_model

D = 32
PLACES = ("hook", "model", "model_loaded")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A llama with three blocks, a text, and a dataset of activations in SAELens' cache format."""
    import datasets

    folder = tmp_path_factory.mktemp("provenance")
    save_model(folder / "tiny-llama-2b", "llama")
    (folder / "text.txt").write_text("\n\n".join([SENTENCE] * 20))
    rows = np.random.default_rng(0).standard_normal((16, 8, D)).astype(np.float32)
    column = datasets.Array2D((8, D), "float32")
    features = datasets.Features({"blocks.2.hook_resid_pre": column})
    table = datasets.Dataset.from_dict({"blocks.2.hook_resid_pre": list(rows)}, features=features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.save_to_disk(folder / "dataset")
    return folder


def sae_at(path, **metadata):
    """A SAELens folder whose settings name the activations it was trained on."""
    generator = torch.Generator().manual_seed(0)
    W_dec = torch.nn.functional.normalize(torch.randn(4 * D, D, generator=generator), dim=1)
    weights = {"W_enc": 0.3 * W_dec.T.contiguous(), "W_dec": W_dec, "b_dec": torch.zeros(D)}
    path.mkdir()
    save_file(weights | {"b_enc": torch.zeros(4 * D)}, path / "sae_weights.safetensors")
    settings = {"architecture": "standard", "d_in": D, "d_sae": 4 * D, "apply_b_dec_to_input": True}
    settings |= {"dtype": "float32", "device": "cpu"}
    (path / "cfg.json").write_text(json.dumps(settings | {"metadata": {"sae_lens_version": "6.0.0"} | metadata}))
    return path


def origins(findings) -> list[str]:
    return [finding.key for finding in findings if finding.key in PLACES]


# --- names -----------------------------------------------------------------------------------------------------------

SAME = (
    {"blocks.2.hook_resid_pre", "blocks.1.hook_resid_post", "model.layers.1", "transformer.h.1", "encoder.layer.1"},
    {"gpt_neox.layers.4", "blocks.5.hook_resid_pre", "resid_post_layer_4", "model.layers.4.output"},
    {"blocks.0.hook_mlp_out", "h.0.mlp", "mlp_out_layer_0"},
    {"blocks.3.hook_attn_out", "model.layers.3.self_attn"},
    {"blocks.3.attn.hook_z"},
    {"blocks.0.hook_resid_pre"},
)
"""Each set holds the names of the same hook point; different sets, of different hook points."""


def test_the_libraries_names_for_one_place_are_one_and_those_of_others_differ():
    for names in SAME:
        for name in names:
            for others in SAME:
                for other in others:
                    assert spot(name).differs(spot(other)) == (others is not names), (name, other)


def test_a_name_of_one_library_alone_tells_blocks_apart_and_nothing_more():
    norm = spot("blocks.3.ln1.hook_normalized")
    assert not norm.differs(spot("model.layers.3.input_layernorm"))
    assert not norm.differs(spot("blocks.3.hook_resid_pre"))
    assert norm.differs(spot("model.layers.4.input_layernorm"))
    assert norm.differs(spot("blocks.5.hook_resid_pre"))
    assert spot("activations") is spot("embeddings") is spot("layer 3") is None


def test_a_model_is_known_by_its_name_in_a_path():
    for path in (
        "google/gemma-2-2b",
        "/models/Gemma_2_2B",
        "/hub/models--google--gemma-2-2b/snapshots/0123abcd",
        "unpacked/my_gemma_2_2b/model",
    ):
        assert is_same_model("google/gemma-2-2b", path)
    for path in ("google/gemma-2-2b-it", "gemma-2-9b", "model", "/models/"):
        assert not is_same_model("google/gemma-2-2b", path)
    assert is_same_model("gpt2-small", "openai-community/gpt2")
    assert not is_same_model("gpt2-small", "openai-community/gpt2-medium")
    assert is_same_model("meta-llama/Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-8B")


def test_nothing_is_found_where_one_side_says_nothing():
    assert provenance(None, Origin("layer 1", "h.1")) == provenance(Origin("cfg.json", "h.1"), None) == []
    assert provenance(Origin("cfg.json", model="gpt2"), Origin("layer 1", "h.1")) == []
    assert provenance(Origin("cfg.json", "a place of its own"), Origin("layer 1", "h.1")) == []


# --- settings --------------------------------------------------------------------------------------------------------


def test_what_the_settings_say_is_read_in_every_way_that_the_libraries_have(tmp_path):
    new = read(sae_at(tmp_path / "new", hook_name="blocks.2.hook_resid_pre", model_name="gpt2"))
    assert trained_on(new) == Origin("cfg.json", "blocks.2.hook_resid_pre", "gpt2", {})
    old = sae_at(tmp_path / "old")
    settings = json.loads((old / "cfg.json").read_text())
    del settings["metadata"]
    named = {"hook_point": "blocks.1.hook_resid_pre", "model_from_pretrained_kwargs": {"center_writing_weights": True}}
    (old / "cfg.json").write_text(json.dumps(settings | named))
    loaded = {"center_writing_weights": True}
    assert trained_on(read(old)) == Origin("cfg.json", "blocks.1.hook_resid_pre", "", loaded)
    assert trained_on(read(sae_at(tmp_path / "silent"))) is None

    settings = {"trainer": {"lm_name": "EleutherAI/pythia-70m", "layer": 3, "submodule_name": "resid_post"}}
    assert trained_on(SimpleNamespace(cfg=settings)) == Origin(
        "its cfg", "resid_post_layer_3", "EleutherAI/pythia-70m", {}
    )


def test_an_object_of_saelens_says_where_it_was_trained(folder, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sae_lens

        sae = sae_lens.SAE.load_from_disk(sae_at(tmp_path / "sae", hook_name="blocks.2.hook_resid_pre"))
    assert origins(look(sae, folder / "dataset")) == []
    sae.cfg.metadata.hook_name = "blocks.1.hook_resid_pre"
    assert origins(look(sae, folder / "dataset")) == ["hook"]


# --- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook_name", "arguments", "expected"),
    [
        ("blocks.2.hook_resid_pre", {"layer": 1}, []),
        ("blocks.1.hook_resid_post", {"hook": "layers.1"}, []),
        ("blocks.2.hook_resid_pre", {"layer": 2}, ["hook"]),
        ("model.layers.1", {"layer": 1}, []),
        ("model.layers.1", {"hook": "layers.2"}, ["hook"]),
        ("blocks.1.hook_mlp_out", {"hook": "layers.1.mlp"}, []),
        ("blocks.1.hook_mlp_out", {"layer": 1}, ["hook"]),
    ],
)
def test_live_activations_of_another_place_are_found(folder, tmp_path, hook_name, arguments, expected):
    where = {"layer": None, "text": folder / "text.txt", "device": "cpu"} | arguments
    source = live(folder / "tiny-llama-2b", where.pop("layer"), **where)
    findings = look(
        sae_at(tmp_path / "sae", hook_name=hook_name, model_name="owner/tiny-llama-2b"), source, device="cpu"
    )
    assert origins(findings) == expected
    if expected:
        assert hook_name in findings[0].message
        assert source.origin.hook in findings[0].message
        assert "--layer 1" in findings[0].message or "mlp" in hook_name


def test_another_model_and_another_way_of_loading_it_are_found(folder, tmp_path):
    source = live(folder / "tiny-llama-2b", 1, folder / "text.txt", device="cpu")
    for at, (model, loaded, expected) in enumerate(
        [
            ("owner/tiny-llama-2b", {"center_writing_weights": False, "dtype": "bfloat16"}, []),
            ("owner/tiny-llama-2b", {"center_writing_weights": True}, ["model_loaded"]),
            ("owner/tiny-llama-2b-it", {"revision": "step1000"}, ["model", "model_loaded"]),
        ]
    ):
        named = {"hook_name": "blocks.2.hook_resid_pre", "model_name": model, "model_from_pretrained_kwargs": loaded}
        findings = look(sae_at(tmp_path / str(at), **named), source, device="cpu")
        assert origins(findings) == expected
        for finding in findings[: len(expected)]:
            assert model in finding.message or next(iter(loaded)) in finding.message


def test_the_column_of_a_dataset_says_where_it_is_from(folder, tmp_path):
    right, wrong = (
        sae_at(tmp_path / name, hook_name=hook)
        for name, hook in (("right", "model.layers.1"), ("wrong", "blocks.6.hook_resid_pre"))
    )
    assert activations(folder / "dataset").origin.hook == "blocks.2.hook_resid_pre"
    assert origins(look(right, folder / "dataset", device="cpu")) == []
    assert origins(look(wrong, folder / "dataset", device="cpu")) == ["hook"]
    with pytest.raises(InputError, match=r"blocks\.6\.hook_resid_pre.*column blocks\.2\.hook_resid_pre"):
        measure(wrong, folder / "dataset", device="cpu", strict=True)


def test_the_command_warns_and_with_strict_refuses(folder, tmp_path, capsys):
    sae = sae_at(tmp_path / "sae", hook_name="blocks.2.hook_resid_pre", model_name="tiny-llama-2b")
    options = ["--sae", sae, "--model", folder / "tiny-llama-2b", "--text", folder / "text.txt", "--layer", 2]
    arguments = [*map(str, ["measure", *options, "--device", "cpu", "--published", 0])]
    cli.app(arguments, standalone_mode=False)
    assert "the SAE was trained on the residual stream after block 1" in capsys.readouterr().err
    with pytest.raises(InputError, match="here with --layer 1"):
        cli.app([*arguments, "--strict"], standalone_mode=False)
