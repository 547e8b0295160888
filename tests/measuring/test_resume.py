"""The saved state of a run: restored unchanged, and refused with a reason if it is of another run, version or file."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sandbox.errors import InputError
from sandbox.measuring.norms import Norms
from sandbox.measuring.resume import State, _checksum
from sandbox.measuring.token_means import TokenMeans
from sandbox.measuring.totals import Totals
from sandbox.moments.moments import GROUPS, Moments

RUN = {"--published": 8, "--latents": None, "the file": "x.npy", "tokens": 3.5}


def state(factor=0.5) -> Totals:
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    moments, dots = Moments.with_dots(x, factor * x, torch.arange(2), apart_above=4.0)
    return Totals(
        moments, TokenMeans.from_dots(dots, None, torch.arange(2), GROUPS, 4.0), Norms.from_dots(dots), None, None
    )


def test_a_new_state_has_nothing_in_it(tmp_path):
    assert State() == State.load(tmp_path / "nowhere", RUN) == State(0, (), set())


def test_what_is_saved_is_given_back(tmp_path):
    kept = State(7, (state(0.5), state(0.25)), {9, 2, -3})
    kept.save(tmp_path / "state", RUN)
    loaded = State.load(tmp_path / "state", RUN)
    assert (loaded.position, loaded.documents, len(loaded.totals)) == (7, {9, 2, -3}, 2)
    for back, saved in zip(loaded.totals, kept.totals, strict=True):
        assert list(back.tensors()) == list(saved.tensors())
        for name, tensor in back.tensors().items():
            assert torch.equal(tensor, saved.tensors()[name])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--published": 0}, r"another run: --published was 8, now 0\. To resume"),
        ({"--latents": 3}, r"--latents was unknown, now 3\."),
        ({"more": 1}, r"more was absent, now 1\."),
        (
            {"--published": 0, "--latents": 3, "tokens": 4},
            r"now 0; --latents was unknown, now 3; tokens was 3.5, now 4\.",
        ),
        ({"--published": 0, "--latents": 3, "tokens": 4, "more": 1}, r"tokens was 3.5, now 4; and 1 more\."),
    ],
)
def test_the_state_of_another_run_says_what_differs(changes, words, tmp_path):
    State(7, (), {1}).save(tmp_path / "state", RUN)
    with pytest.raises(InputError, match=words):
        State.load(tmp_path / "state", RUN | changes)
    fewer = {key: value for key, value in RUN.items() if key != "tokens"}
    with pytest.raises(InputError, match=r"tokens was 3.5, now absent\."):
        State.load(tmp_path / "state", fewer)


def rewritten(path, change) -> None:
    """Change the metadata or tensors of a file, but keep its checksum."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)
    change(metadata, tensors)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata, tensors: metadata.update(position="8"),
        lambda metadata, tensors: metadata.pop("checksum"),
        lambda metadata, tensors: tensors.update(documents=torch.tensor([2])),
        lambda metadata, tensors: tensors.update(documents=torch.tensor([1], dtype=torch.int32)),
        lambda metadata, tensors: tensors.update(more=torch.ones(1)),
        lambda metadata, tensors: tensors["0.moments.totals"].view(-1)[:1].add_(1e-12),
    ],
)
def test_what_was_changed_since_it_was_saved_is_damaged(change, tmp_path):
    State(7, (state(),), {1}).save(tmp_path / "state", RUN)
    rewritten(tmp_path / "state", lambda metadata, tensors: None)
    State.load(tmp_path / "state", RUN)
    rewritten(tmp_path / "state", change)
    with pytest.raises(InputError, match="its checksum does not match"):
        State.load(tmp_path / "state", RUN)


def test_another_version_and_another_file_are_refused(tmp_path):
    path = tmp_path / "state"
    State(7, (), {1}).save(path, RUN)
    rewritten(path, lambda metadata, tensors: metadata.update(format="shrinkage-sandbox run, 1"))
    with pytest.raises(InputError, match="a run state of version 1, but this sandbox needs version"):
        State.load(path, RUN)
    rewritten(path, lambda metadata, tensors: metadata.update(format="another run, 1"))
    with pytest.raises(InputError, match="is not the state of a run"):
        State.load(path, RUN)
    path.write_bytes(b"x" * 99)
    with pytest.raises(InputError, match="cannot be read as the state of a run"):
        State.load(path, RUN)


def test_the_checksum_does_not_hang_on_an_order():
    tensors, reordered = {"a": torch.ones(2), "b": torch.zeros(2)}, {"b": torch.zeros(2), "a": torch.ones(2)}
    assert _checksum({"x": "1", "y": "2"}, tensors) == _checksum({"y": "2", "x": "1"}, reordered)
    assert _checksum({"x": "1", "y": "2"}, tensors) != _checksum({"x": "2", "y": "1"}, tensors)
    assert _checksum({}, tensors) != _checksum({}, {"a": torch.zeros(2), "b": torch.ones(2)})
