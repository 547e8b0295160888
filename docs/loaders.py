"""`make docs`: docs/loaders.md, which SAEs of SAELens' directory can be measured. Needs SAELens, but no network."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from sandbox.checkpoints import LAYOUTS
from sandbox.checkpoints.hub import REFUSED_CONVERTERS
from sandbox.checkpoints.saelens_settings import READ, REFUSED

PAGE = Path(__file__).with_suffix(".md")
TESTS = "tests/checkpoints"
BY_NAME = f"{TESTS}/test_loaders.py"


class Loader(NamedTuple):
    """What one of SAELens' loaders reads. Loaders that read both SAEs and transcoders are two of these.

    Attributes:
        name:          in NAMED_PRETRAINED_SAE_LOADERS, or `conversion_func` in its directory
        what:          in a few words
        architectures: that it makes
        layout:        name of the layout that reads its files without SAELens, or ""
        tests:         of that layout
        note:          what to know before measuring, or why its files cannot be read
    """

    name: str
    what: str
    architectures: tuple[str, ...]
    layout: str = ""
    tests: str = ""
    note: str = ""

    @property
    def transcodes(self) -> bool:
        """Whether x̂ reconstructs other activations than x."""
        return bool(set(self.architectures) & set(TRANSCODERS))

    @property
    def by_name(self) -> bool:
        """Whether `saelens:RELEASE/ID` is read."""
        return self.name not in REFUSED_CONVERTERS and set(self.architectures) <= set(READ)

    @property
    def raw(self) -> bool:
        """Whether its files are read without SAELens."""
        reads = {layout.name for layout in LAYOUTS}
        return self.layout in reads and (not self.transcodes or self.by_name)

    @property
    def reason(self) -> str:
        """Why it cannot be read by name."""
        reasons = REFUSED | REFUSED_CONVERTERS
        return next((reasons[name] for name in (self.name, *self.architectures) if name in reasons), "")


TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
"""SAELens' architectures whose x̂ reconstructs other activations than x."""

LOADERS = (
    Loader("gemma_3", "Gemma Scope 2", ("jumprelu",), "Gemma Scope", "test_gemma_scope.py"),
    Loader(
        *("gemma_3", "Gemma Scope 2, transcoders", ("jumprelu_transcoder", "jumprelu_skip_transcoder")),
        *("Gemma Scope", "test_gemma_scope.py"),
    ),
    Loader(
        *("gemma_2", "Gemma Scope", ("jumprelu",), "Gemma Scope", "test_gemma_scope.py"),
        "The eight SAEs of token embeddings: by name x is the embedding times √d (TransformerLens' hook_embed), from "
        "files it is a row of the embedding matrix.",
    ),
    Loader(
        *("gemma_2_transcoder", "Gemma Scope, transcoders", ("jumprelu_transcoder",)),
        *("Gemma Scope", "test_gemma_scope.py", "Keep the folders' names: nothing else tells its files from an SAE's."),
    ),
    Loader(
        *("dictionary_learning_1", "dictionary_learning", ("standard", "gated", "topk", "jumprelu")),
        *("dictionary_learning", "test_dictionary_learning.py"),
    ),
    Loader(
        *("qwen_scope", "Qwen-Scope", ("topk",), "Qwen-Scope", "test_qwen_scope.py"),
        "k is in the repository's name alone: files need `--k`.",
    ),
    Loader(
        *("sae_lens", "SAELens", ("standard", "gated", "jumprelu", "topk"), "SAELens", "test_saelens.py"),
        "Read mistral-7b-res-wg, gpt2-small-mlp-tm and gemma-2b-res-jb by name: SAELens' directory has a normalisation "
        "or a scale of x that their files do not state.",
    ),
    Loader(
        *("mwhanna_transcoder", "Hanna's transcoders", ("transcoder",)),
        note="No layout reads its files: their tensors are those of other libraries' SAEs.",
    ),
    Loader(
        *("llama_scope", "Llama Scope", ("jumprelu",), "Llama Scope", "test_llama_scope.py"),
        "By name, too, thresholds count the norms of the decoder, which SAELens ignores.",
    ),
    Loader(
        *("llama_scope_r1_distill", "Llama Scope for R1-Distill", ("jumprelu",), "llamascopium"),
        "test_llamascopium.py",
    ),
    Loader("mntss_clt_layer_transcoder", "a cross-layer transcoder", ("transcoder",)),
    Loader(
        *("connor_rob_hook_z", "Kissane and Krzyzanowski", ("standard",), "Kissane and Krzyzanowski's"),
        *("test_relu_releases.py", "x is the concatenated outputs of all heads."),
    ),
    Loader(
        *("temporal", "temporal SAEs", ("temporal",)),
    ),
    Loader("goodfire", "Goodfire", ("standard",), "Goodfire", "test_relu_releases.py", "Keep the files' names."),
    Loader("deepseek_r1", "qresearch", ("standard",), "qresearch", "test_relu_releases.py", "Keep the file's name."),
    Loader(
        *("sparsify", "sparsify", ("topk",), "sparsify", "test_sparsify.py"),
        "No release uses this loader: name a file or a folder.",
    ),
)
"""Every loader of SAELens 6.54, by number of SAEs."""


class Entry(NamedTuple):
    """An SAE in SAELens' directory, with what reads it."""

    release: str
    sae_id: str
    loader: Loader


@cache
def entries() -> tuple[Entry, ...]:
    """Every SAE in the installed SAELens' directory. Raises KeyError for a loader that is not in LOADERS."""
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    loaders = {(loader.name, loader.transcodes): loader for loader in LOADERS}
    only = {loader.name: loader for loader in LOADERS}
    found = []
    for release, lookup in get_pretrained_saes_directory().items():
        name = lookup.conversion_func or "sae_lens"
        for sae_id, path in lookup.saes_map.items():
            loader = loaders[name, "transcoder" in path] if name == "gemma_3" else only[name]
            found.append(Entry(release, sae_id, loader))
    return tuple(found)


def page() -> str:
    """The page in Markdown."""
    found = entries()
    saes: dict[Loader, int] = defaultdict(int)
    releases: dict[str, dict[Loader, int]] = defaultdict(lambda: defaultdict(int))
    for entry in found:
        saes[entry.loader] += 1
        releases[entry.release][entry.loader] += 1
    counts = {loader: len({entry.release for entry in found if entry.loader is loader}) for loader in LOADERS}
    named = sum(saes[loader] for loader in LOADERS if loader.by_name)
    raw = sum(saes[loader] for loader in LOADERS if loader.raw)
    lines = [
        "# Which public SAEs can be measured",
        "",
        f"The directory of SAELens {version('sae-lens')} has {len(found):,} SAEs and transcoders in {len(releases)} "
        f"releases.\n`sandbox measure --sae saelens:RELEASE/ID` reads {_share(named, found)} of them by name, and "
        f"{_share(raw, found)} from their own files.",
        "Search this page for your release; the loader after it says how it is tested.",
        "",
        f"`docs/loaders.py` writes this page from the installed SAELens, and `{BY_NAME}` recounts it.",
        "",
        "## Loaders",
        "",
        "| loader | by name | from files | SAEs |",
        "| --- | --- | --- | ---: |",
    ]
    lines += [
        f"| `{loader.name}`<br>{loader.what} | {_named(loader, saes)} | {_files(loader)} | {saes[loader]:,} |"
        for loader in LOADERS
    ]
    lines += [
        "",
        "## Releases",
        "",
        "| release | by name | from files | SAEs | loader |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for release in sorted(releases, key=str.lower):
        lines += [
            f"| {release} | {_named(loader, saes)} | {_files(loader)} | {count:,} | `{loader.name}` |"
            for loader, count in releases[release].items()
        ]
    lines += ["", "## Tests and notes", ""]
    for loader in LOADERS:
        tests = [f"[by name](../{BY_NAME})"] if saes[loader] else []
        tests += [f"[files](../{TESTS}/{loader.tests})"] if loader.raw else []
        words = [f"{counts[loader]} release{'' if counts[loader] == 1 else 's'}.", f"Tests: {', '.join(tests)}."]
        words += [f"Not by name: {loader.reason}."] if loader.reason else []
        words += [loader.note] if loader.note else []
        lines += [f"- `{loader.name}` ({loader.what}): {' '.join(words)}"]
    return "\n".join(lines) + "\n"


def _share(count: int, of: tuple[Entry, ...]) -> str:
    return f"{count:,} ({100 * count / len(of):.2f} %)"


def _named(loader: Loader, saes: dict[Loader, int]) -> str:
    if not saes[loader]:
        return "–"
    return ("with `--targets`" if loader.transcodes else "yes") if loader.by_name else "no"


def _files(loader: Loader) -> str:
    if not loader.raw:
        return "no"
    option = "--targets" if loader.transcodes else "--k" if loader.layout == "Qwen-Scope" else ""
    return f"with `{option}`" if option else "yes"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {' '.join(page().splitlines()[2:4])}")
