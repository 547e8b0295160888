"""A layout that is known but cannot be read is named, with what to do instead of reading it."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sandbox import InputError, checkpoints
from sandbox.checkpoints import known

D, LATENTS, LAYERS = 6, 20, 3


def shaped(**shapes):
    return {name.replace("__", "."): torch.randn(shape) for name, shape in shapes.items()}


CROSSCODER = shaped(encoder__weight=(LAYERS, D, LATENTS), encoder__bias=(LATENTS,)) | shaped(
    decoder__weight=(LAYERS, LATENTS, D), decoder__bias=(LAYERS, D)
)
E2E = {"encoder.0.weight": (LATENTS, D), "encoder.0.bias": (LATENTS,), "decoder.weight": (D, LATENTS)} | {
    "decoder.bias": (D,)
}
PLAIN = shaped(W_enc=(D, LATENTS), W_dec=(LATENTS, D), b_enc=(LATENTS,), b_dec=(D,))

LAYOUTS = {
    "crosscoder": (CROSSCODER, r"a crosscoder \(dictionary_learning\): it reconstructs several layers"),
    "another crosscoder": (
        shaped(W_enc=(2, D, LATENTS), W_dec=(LATENTS, 2, D), b_enc=(LATENTS,), b_dec=(2, D)),
        "a crosscoder: it reconstructs",
    ),
    "encoder of a CLT": (
        {"W_enc_3": torch.ones(LATENTS, D), "b_enc_3": torch.ones(LATENTS), "b_dec_3": torch.ones(D)},
        "a layer of a cross-layer transcoder",
    ),
    "decoder of a CLT": ({"W_dec_3": torch.ones(LATENTS, 4, D)}, "a layer of a cross-layer transcoder"),
    "e2e_sae": (
        shaped(**{name.replace(".", "__"): shape for name, shape in E2E.items()}),
        "an SAE of e2e_sae: load it",
    ),
    "several of e2e_sae": (
        {f"blocks-{i}-hook_resid_pre.{name}": torch.ones(shape) for i in (2, 6) for name, shape in E2E.items()},
        "an SAE of e2e_sae: load it with SAETransformer",
    ),
    "overcomplete": (
        {"dictionary._weights": torch.ones(LATENTS, D), "encoder.final_block.0.weight": torch.ones(LATENTS, D)},
        "an SAE of overcomplete: load it with its library",
    ),
    "temporal": (
        {"D": torch.ones(LATENTS, D), "b": torch.ones(1, D), "attn_layers.0.q_proj.weight": torch.ones(2, 2)},
        r"a temporal SAE \(temporalSAEs\): its x̂ depends on earlier tokens",
    ),
    "AI Safety Foundation": (
        {"pre_encoder_bias._bias_reference": torch.ones(1, D), "encoder.weight": torch.ones(1, LATENTS, D)},
        r"an SAE of sparse_autoencoder \(AI Safety Foundation\)",
    ),
    "Goodfire's R1": (shaped(W=(D, LATENTS), b_enc=(LATENTS,), b_dec=(D,)), "Goodfire's SAE of DeepSeek R1: it keeps"),
    "Goodfire's TopK": (
        shaped(encoder_linear__weight=(LATENTS, D), decoder__weight=(D, LATENTS)),
        "a TopK SAE of Goodfire: its files do not state k",
    ),
    "Qwen-Scope under another name": (
        shaped(W_enc=(LATENTS, D), W_dec=(D, LATENTS), b_enc=(LATENTS,), b_dec=(D,)),
        "probably Qwen-Scope: if so, restore its name, layerN.sae.pt, and give --k",
    ),
    "plain": (PLAIN, "weights without settings, as of Neel Nanda's AutoEncoder"),
}


@pytest.mark.parametrize("name", ["sae.pt", "sae.safetensors"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_known_layout_is_named_for_its_file_and_its_folder(layout, name, tmp_path):
    stored, message = LAYOUTS[layout]
    (save_file if name.endswith("safetensors") else torch.save)(stored, tmp_path / name)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InputError, match=f"this is {message}"):
            checkpoints.read(path)


def test_a_name_that_another_layout_reads_does_not_hide_it(tmp_path):
    torch.save(CROSSCODER, tmp_path / "ae.pt")  # dictionary_learning's
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": "CrossCoder"}}))
    with pytest.raises(InputError, match=r"ae.pt: this is a crosscoder \(dictionary_learning\)"):
        checkpoints.read(tmp_path)


@pytest.mark.parametrize("header", [{"schema": 5, "cfg": {"d_model": D}}, {"d_vit": D, "exp_factor": 4}])
def test_saevs_file_is_named_by_its_first_line(header, tmp_path):
    with (tmp_path / "sae.pt").open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        torch.save(PLAIN, file)
    with pytest.raises(InputError, match=r"this is an SAE of saev: load it with its library .* \(saev.nn.load\)"):
        checkpoints.read(tmp_path / "sae.pt")


def test_what_is_not_known_meets_the_list_of_layouts(tmp_path):
    torch.save({"fc1": torch.ones(2, 3)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="matches no supported layout"):
        checkpoints.read(tmp_path / "model.pt")
    assert known.named({"fc1": torch.ones(2, 3)}) == known.named({}) == ""
    (tmp_path / "notes.pt").write_bytes(b"17\n")
    assert not known.is_saev(tmp_path / "notes.pt")
