"""docs/loaders.md counts the installed SAELens' directory, names every loader, and says truly what is read by name."""

import json
import re
import runpy
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.helpers.by_saelens import D_IN, D_SAE, randomised, registry, sae_lens, tokens
from tests.helpers.checkpoint_files import agrees

ROOT = Path(__file__).parents[2]
MODULE = runpy.run_path(str(ROOT / "docs" / "loaders.py"))
LOADERS, PAGE = MODULE["LOADERS"], (ROOT / "docs" / "loaders.md").read_text(encoding="utf-8")
OUTPUT = {"d_out": 16, "apply_b_dec_to_input": False}
FURTHER = {"topk": {"k": 9}, **dict.fromkeys(MODULE["TRANSCODERS"], OUTPUT)}
DICT_CLASSES = {
    "standard": "AutoEncoder",
    "gated": "GatedAutoEncoder",
    "topk": "AutoEncoderTopK",
    "jumprelu": "BatchTopKSAE",
}
LLAMA_SCOPE = {
    "act_fn": "jumprelu",
    "norm_activation": "dataset-wise",
    "use_decoder_bias": True,
    "apply_decoder_bias_to_pre_encoder": False,
    "sparsity_include_decoder_norm": False,
}


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading."""
    (table,) = re.findall(rf"^## {heading}\n\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_page_is_what_its_script_writes():
    assert MODULE["page"]() == PAGE, "docs/loaders.md is out of date: run python docs/loaders.py"


def test_the_page_counts_saelens_directory():
    directory = yaml.load(files("sae_lens").joinpath("pretrained_saes.yaml").read_text(), yaml.CSafeLoader)
    by_loader, by_release = Counter(), Counter()
    for release, entry in directory.items():
        by_loader[entry.get("conversion_func") or "sae_lens"] += len(entry["saes"])
        by_release[release] += len(entry["saes"])
    counted = Counter()
    for name, _, _, count in rows("Loaders"):
        counted[name.split("`")[1]] += number(count)
    assert counted == by_loader
    assert {release: number(count) for release, _, _, count, _ in rows("Releases")} == by_release
    assert f"has {sum(by_release.values()):,} SAEs and transcoders in {len(by_release)} releases" in PAGE


def test_no_loader_of_saelens_is_left_out():
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_LOADERS

    assert {loader.name for loader in LOADERS} == set(NAMED_PRETRAINED_SAE_LOADERS)


def test_the_totals_are_those_of_the_rows():
    for column, words in ((1, "of them by name"), (2, "from their own files")):
        total = sum(number(row[3]) for row in rows("Loaders") if row[column].startswith(("yes", "with")))
        (said,) = re.findall(rf"([\d,]+) \([\d.]+ %\)(?:[\w ]*?) {words}", PAGE)
        assert number(said) == total


@pytest.mark.parametrize("loader", [loader for loader in LOADERS if loader.raw], ids=lambda loader: loader.what)
def test_a_layout_that_reads_a_loaders_files_has_its_tests(loader):
    assert (ROOT / MODULE["TESTS"] / loader.tests).is_file()


CASES = [(loader, kind) for loader in LOADERS if loader.name != "sparsify" for kind in loader.architectures]


@pytest.mark.parametrize(("loader", "architecture"), CASES, ids=[f"{case[0].what}-{case[1]}" for case in CASES])
def test_a_loaders_architectures_are_read_by_name_as_the_page_says(loader, architecture, tmp_path, monkeypatch):
    """SAELens' loader is replaced by one that makes a small SAE of the same architecture; all else is as by name."""
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_LOADERS

    release, sae_id = next(entry[:2] for entry in MODULE["entries"]() if entry.loader == loader)
    settings = LLAMA_SCOPE | {"trainer": {"dict_class": DICT_CLASSES.get(architecture)}}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(tmp_path / "settings.json"))
    if loader.by_name:
        make, config = registry.get_sae_class(architecture)
        theirs = randomised(make(config(d_in=D_IN, d_sae=D_SAE, **FURTHER.get(architecture, {}))))
        made = (theirs.cfg.to_dict(), theirs.state_dict(), None)
    else:
        theirs, made = None, ({"architecture": architecture, "sae_lens_version": sae_lens.__version__}, {}, None)
    monkeypatch.setitem(NAMED_PRETRAINED_SAE_LOADERS, loader.name, lambda *_: made)

    if theirs is None:
        of_architecture = f"{architecture!r}, which is not supported: " if architecture in MODULE["REFUSED"] else ""
        with pytest.raises(InputError, match=of_architecture + re.escape(loader.reason)):
            checkpoints.read(f"saelens:{release}/{sae_id}")
    else:
        with torch.no_grad():
            agrees(checkpoints.load(f"saelens:{release}/{sae_id}")(tokens()), theirs(tokens()).numpy())
