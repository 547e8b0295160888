"""Layouts that are known but cannot be read: recognised by their tensors, so that a refusal says what to do instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from sandbox.checkpoints.files import PICKLED, WEIGHTS, Files

OBJECT = "load it with its library and pass the object to sandbox.measure"
PAIRS = "compute x and x̂ with its library and measure them (--x, --x-hat)"


class KnownLayout(NamedTuple):
    """A layout that cannot be read.

    Attributes:
        name:     what it is, for the message "this is …"
        tensors:  patterns of names; each must match one of the file's
        advice:   what to do
        shaped:   a condition on the tensors, by name
        only:     whether the patterns must match every name of the file
        nameless: whether a file has this layout only if no layout recognises it by its name
    """

    name: str
    tensors: tuple[str, ...]
    advice: str
    shaped: Callable[[Mapping[str, Any]], bool] = lambda _: True
    only: bool = False
    nameless: bool = False

    def matches(self, tensors: Mapping[str, Any]) -> bool:
        """Whether a file with these tensors is of this layout."""
        named = [{name for name in tensors if fnmatchcase(str(name), pattern)} for pattern in self.tensors]
        return all(named) and (not self.only or set().union(*named) == set(tensors)) and self.shaped(tensors)


def _axes(tensors: Mapping[str, Any], name: str) -> int:
    return len(getattr(tensors.get(name), "shape", ()))


def _taller(tensors: Mapping[str, Any], name: str) -> bool:
    """Whether a matrix has more rows than columns."""
    return _axes(tensors, name) == 2 and tensors[name].shape[0] > tensors[name].shape[1]


_PLAIN = ("W_enc", "W_dec", "b_enc", "b_dec")

KNOWN = (
    KnownLayout(
        "a crosscoder (dictionary_learning)",
        ("encoder.weight", "decoder.weight"),
        f"it reconstructs several layers or models at once; {PAIRS}, one of them at a time",
        lambda tensors: _axes(tensors, "encoder.weight") == 3,
    ),
    KnownLayout(
        "a crosscoder",
        ("W_enc", "W_dec"),
        f"it reconstructs several layers or models at once; {PAIRS}, one of them at a time",
        lambda tensors: _axes(tensors, "W_enc") == 3,
    ),
    KnownLayout(
        "a crosscoder (llamascopium)",
        ("W_E", "W_D"),
        f"it reconstructs several layers at once; {PAIRS}, one of them at a time",
        lambda tensors: _axes(tensors, "W_E") == 3 and _axes(tensors, "b_D") != 1,
    ),
    # decoderesearch/circuit-tracer; SAELens' mntss_clt_layer_huggingface_loader
    KnownLayout(
        "a layer of a cross-layer transcoder (circuit-tracer)",
        ("W_enc_*",),
        f"its output is the MLPs' of several layers; {PAIRS}",
    ),
    KnownLayout(
        "a layer of a cross-layer transcoder (circuit-tracer)",
        ("W_dec_*",),
        f"its output is the MLPs' of several layers; {PAIRS}",
    ),
    # ApolloResearch/e2e_sae, models/sparsifiers.py; a file may hold several, each with a prefix
    KnownLayout(
        "an SAE of e2e_sae",
        ("*encoder.0.weight", "*encoder.0.bias", "*decoder.weight", "*decoder.bias"),
        "load it with SAETransformer.from_local_path and pass one of model.saes to sandbox.measure",
        only=True,
    ),
    # KempnerInstitute/overcomplete, sae/dictionary.py
    KnownLayout("an SAE of overcomplete", ("dictionary._weights",), OBJECT),
    # canrager/temporalSAEs; SAELens' temporal_sae_huggingface_loader
    KnownLayout(
        "a temporal SAE (temporalSAEs)", ("D", "b", "attn_layers.*"), f"its x̂ depends on earlier tokens; {PAIRS}"
    ),
    # ai-safety-foundation/sparse_autoencoder
    KnownLayout("an SAE of sparse_autoencoder (AI Safety Foundation)", ("pre_encoder_bias._bias_reference",), OBJECT),
    # goodfire-ai/r1-interpretability, sae.py: BatchTopKTiedSAE
    KnownLayout(
        "Goodfire's SAE of DeepSeek R1",
        ("W", "b_enc", "b_dec"),
        "it keeps the largest latents of a whole batch, so that x̂ of a token depends on the others; choose a threshold "
        "with its library, and measure x and x̂ (--x, --x-hat)",
        only=True,
    ),
    # Goodfire/Hackathon-gpt-oss-20b-SAE-l15
    KnownLayout(
        "a TopK SAE of Goodfire", ("encoder_linear.weight", "decoder.weight"), f"its files do not state k; {OBJECT}"
    ),
    KnownLayout(
        "an SAE of Goodfire",
        ("encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias"),
        "only two of its files are known to be ReLU SAEs (Llama-3.1-8B-Instruct-SAE-l19.pth, "
        f"Llama-3.3-70B-Instruct-SAE-l50.pt); if it is one of them, restore its name, or else {OBJECT}",
        only=True,
        nameless=True,
    ),
    KnownLayout(
        "probably Qwen-Scope",
        _PLAIN,
        "if so, restore its name, layerN.sae.pt, and give --k; if not, load it with its library and pass the object to "
        "sandbox.measure",
        lambda tensors: _taller(tensors, "W_enc"),
        only=True,
        nameless=True,
    ),
    KnownLayout(
        "weights without settings, as of Neel Nanda's AutoEncoder, Kissane and Krzyzanowski's, or others",
        _PLAIN,
        f"they do not say which activation function the SAE has, or whether it subtracts b_dec; {OBJECT}",
        only=True,
        nameless=True,
    ),
)
"""Most specific first."""

SAEV = f"this is an SAE of saev: {OBJECT} (saev.nn.load)"


def named(tensors: Mapping[str, Any], nameless: bool = True) -> str:
    """The layout of a file with these tensors, and what to do; "" if it is not known.

    Args: nameless: whether no layout recognises the file
    """
    tensors = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    layout = next((layout for layout in KNOWN if (nameless or not layout.nameless) and layout.matches(tensors)), None)
    return "" if layout is None else f"this is {layout.name}: {layout.advice}"


def named_in(files: Files) -> str:
    """The same for a file, or for the only file of weights in a folder. Raises InputError for a damaged file."""
    names = [files.file] if files.file is not None else [n for n in files.names if Path(n).suffix in WEIGHTS]
    if len(names) != 1 or Path(names[0]).suffix not in WEIGHTS:
        return ""
    return named(files.tensors(names[0]))


def is_saev(path: Path) -> bool:
    """Whether a file starts with a line of settings in JSON, before pickled weights (saev, nn/modeling.py)."""
    if path.suffix not in PICKLED:
        return False
    with path.open("rb") as file:
        line = file.readline(2**16)
    try:
        header = json.loads(line)
    except ValueError:  # a pickle is no JSON
        return False
    return isinstance(header, dict) and ("cfg" in header or "d_vit" in header)
