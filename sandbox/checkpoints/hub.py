"""SAEs by their names in SAELens' directory, `saelens:RELEASE/ID`: SAELens downloads and converts them.

SAELens (loading/pretrained_sae_loaders.py) has a converter for each foreign layout. A converter that mistakes the
architecture would silently change x̂, so its result is checked against the source; `hub_repairs` puts right two others.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
import weakref
from contextlib import redirect_stdout
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sandbox.checkpoints import reading
from sandbox.checkpoints.checkpoint import Checkpoint
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.hub_repairs import repair
from sandbox.checkpoints.saelens import SAELENS
from sandbox.checkpoints.saelens_settings import architecture_of, understood
from sandbox.errors import InputError

PREFIX = "saelens:"

CONVERTED = {
    "connor_rob_hook_z": "standard",
    "deepseek_r1": "standard",
    "goodfire": "standard",
    "gemma_2": "jumprelu",
    "gemma_2_transcoder": "jumprelu_transcoder",
    "gemma_3": "jumprelu",
    "llama_scope": "jumprelu",
    "llama_scope_r1_distill": "jumprelu",
    "mwhanna_transcoder": "transcoder",
    "qwen_scope": "topk",
}
"""The architecture that each of SAELens' converters must produce, for converters with only one kind of SAE."""

SUMMED = (
    "SAELens adds up the decoders of one layer's latents of a cross-layer transcoder for all later layers, and no "
    "layer's output is that sum: ŷ reconstructs nothing"
)
REFUSED_CONVERTERS = {"mntss_clt_layer_transcoder": SUMMED}
"""Converters whose result cannot be measured, and why."""

DICTIONARIES = {
    "AutoEncoder": "standard",
    "GatedAutoEncoder": "gated",
    "AutoEncoderTopK": "topk",
    "JumpReluAutoEncoder": "jumprelu",
    "BatchTopKSAE": "jumprelu",
    "MatryoshkaBatchTopKSAE": "jumprelu",
    "MatroyshkaBatchTopKSAE": "jumprelu",
    "AutoEncoderNew": "standard",
}
"""The architecture that its converter of dictionary_learning must produce from each class (`dict_class`)."""

MISREAD = {
    # not among the converter's names, which makes it a ReLU SAE without its threshold
    "MatroyshkaBatchTopKSAE": {"architecture": "jumprelu"},
    # taken for an AutoEncoder, which subtracts the bias that it adds
    "AutoEncoderNew": {"apply_b_dec_to_input": False},
}
"""Settings to override where that converter (SAELens 6.54) misreads a class."""


def read(name: str) -> Checkpoint:
    """The SAE of this name in SAELens' directory, in SAELens' layout, in float32.

    Args:   name: saelens:RELEASE/ID; RELEASE ends at the first slash
    Raises: InputError if SAELens is not installed, has no such name, cannot download it, or converts it wrongly
    """
    try:
        with warnings.catch_warnings():  # SAELens' own imports warn
            warnings.simplefilter("ignore")
            import sae_lens
            from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory
    except ModuleNotFoundError as error:
        raise InputError(f"--sae {name}: reading from the hub needs SAELens ({error}): pip install sae-lens") from error
    release, _, sae_id = name.removeprefix(PREFIX).partition("/")
    directory = get_pretrained_saes_directory()
    if release not in directory:
        raise InputError(f"--sae {name}: SAELens has no release {release!r}{_near(release, directory)}")
    if sae_id not in directory[release].saes_map:
        ids = directory[release].saes_map
        raise InputError(f"--sae {name}: release {release} has no SAE {sae_id!r}{_near(sae_id, ids)}")
    if (reason := _refused(directory[release].conversion_func or "", directory[release].saes_map[sae_id])) is not None:
        raise InputError(f"--sae {name}: {reason}; name a transcoder of one layer, or an SAE")
    files, kind, repairs = _fetched(name, release, sae_id)
    checkpoint = read_saved(files)
    notes = (*checkpoint.notes, f"fetched by SAELens {sae_lens.__version__}", *repairs)
    if kind not in ("sae_lens", "dictionary_learning_1", *CONVERTED):
        notes = (*notes, f"converted by its {kind}, whose choice of architecture is not verified")
    return replace(checkpoint, notes=notes)


def read_saved(files: Files) -> Checkpoint:
    """The checkpoint that `saved` wrote."""
    (candidate,) = SAELENS.candidates(files)
    return reading.read(SAELENS, candidate)


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, known, n=4, cutoff=0.4) or list(known)[:4]
    return f"; similar names: {', '.join(near)}"


def _fetched(name: str, release: str, sae_id: str) -> tuple[Files, str, list[str]]:
    """The SAE as SAELens downloaded it, in SAELens' layout, with the converter's name and what was repaired."""
    from huggingface_hub import hf_hub_download
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_LOADERS, get_conversion_loader_name

    kind = get_conversion_loader_name(release)
    repairs: list[str] = []

    def converter(
        repo_id: str, folder_name: str, device: str, force_download: bool, cfg_overrides: dict[str, Any] | None
    ) -> Any:
        loader = NAMED_PRETRAINED_SAE_LOADERS[kind]
        dict_class = _dict_class(repo_id, folder_name) if kind == "dictionary_learning_1" else None
        overrides = {**MISREAD.get(dict_class or "", {}), **(cfg_overrides or {})}
        converted = loader(repo_id, folder_name, device, force_download, overrides)
        if dict_class == "AutoEncoderNew":  # the converter looks for its b_dec under three other names
            converted[1]["b_dec"] = _weights(repo_id, folder_name)["decoder.bias"]
        _check(name, kind, converted[0], dict_class, folder_name, skips="W_skip" in converted[1])
        repairs.extend(repair(kind, folder_name, converted[1], lambda path: hf_hub_download(repo_id, path)))
        return converted

    try:
        with redirect_stdout(sys.stderr):  # stdout is for the report alone
            sae = SAE.from_pretrained(release, sae_id, converter=converter)
    except InputError:
        raise
    except Exception as error:  # from SAELens, the hub's client or torch
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"--sae {name}: SAELens could not fetch it: {reason}") from error
    return saved(sae, name.removeprefix(PREFIX)), kind, repairs


def saved(sae: Any, name: str) -> Files:
    """A SAELens object in SAELens' layout, in a temporary folder that is deleted with the last reference to it."""
    for weights in sae.parameters():  # some converters transpose, and safetensors cannot store views
        weights.data = weights.data.contiguous()
    temporary = Path(tempfile.mkdtemp(prefix="sandbox-saelens-"))
    folder = temporary / name.replace("/", "--")  # reports name an SAE after its folder
    try:
        sae.save_model(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    files = Files(name, folder)
    weakref.finalize(files, shutil.rmtree, temporary, ignore_errors=True)
    return files


def _refused(kind: str, folder_name: str) -> str | None:
    """Why what a converter makes of this cannot be measured; None if it can."""
    return SUMMED if kind == "gemma_3" and "clt" in folder_name else REFUSED_CONVERTERS.get(kind)


def _dict_class(repo_id: str, folder_name: str) -> str:
    """The class that dictionary_learning's config.json names."""
    from huggingface_hub import hf_hub_download

    source = hf_hub_download(repo_id, f"{folder_name}/config.json")
    return json.loads(Path(source).read_text(encoding="utf-8"))["trainer"]["dict_class"]


def _weights(repo_id: str, folder_name: str) -> dict[str, Any]:
    """The tensors of dictionary_learning's ae.pt."""
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(repo_id, f"{folder_name}/ae.pt"))
    return Files(path, path).tensors(path.name)


def _check(
    name: str, kind: str, config: dict[str, Any], dict_class: str | None, folder_name: str = "", skips: bool = False
) -> None:
    """Refuse an SAE that SAELens would convert wrongly: it drops settings that its dataclasses do not have."""
    path = Path(name)
    made, expected = architecture_of(path, config)[0], CONVERTED.get(kind)
    if kind == "gemma_3" and "transcoder" in folder_name:
        expected = "jumprelu_skip_transcoder" if skips else "jumprelu_transcoder"
    if kind == "sae_lens":
        understood(path, config)
    if dict_class is not None:
        if dict_class not in DICTIONARIES:
            raise InputError(
                f"--sae {name}: SAELens does not support dictionary_learning's {dict_class}, and converts it to {made}"
            )
        expected = DICTIONARIES[dict_class]
    if expected not in (None, made):
        raise InputError(f"--sae {name}: it is {expected} at its source, but SAELens' {kind} converts it to {made}")
