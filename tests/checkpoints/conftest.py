"""The hub's client without a network: a cache in which files lie as it would have downloaded them."""

import pytest
from huggingface_hub import constants

from tests.helpers.by_saelens import directory_of_saes


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A function RELEASE/ID ► the folder of its files in the client's cache, as downloaded."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def folder(name):
        release, _, sae_id = name.partition("/")
        entry, commit = directory_of_saes()[release], "0" * 40
        repository = tmp_path / "cache" / f"models--{entry.repo_id.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(commit)
        files = repository / "snapshots" / commit / entry.saes_map[sae_id]
        files.mkdir(parents=True)
        return files

    return folder
