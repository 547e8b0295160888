"""A real causal language model, if `make build/smollm2` has fetched it: it predicts English, and replacing it costs."""

import random
from pathlib import Path

import pytest
import torch

from sandbox.downstream import loss

SMOLLM2 = Path(__file__).parents[2] / "build/smollm2"
TEXT = [path for path in sorted((Path(__file__).parents[2] / "docs").glob("*.md")) if path.stat().st_size > 4000]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SMOLLM2.exists(), reason="`make build/smollm2` fetches the model"),
]


def losses(folder: Path, words: list[list[str]]):
    for number, document in enumerate(words):
        (folder / f"{number}.txt").write_text(" ".join(document))
    options = {"whole_files": True, "context": 64, "tokens": 300, "fit_tokens": 1000, "search_tokens": 0}
    return loss(SMOLLM2, 14, folder, lambda x: 0.8 * x, device="cpu", libraries=False, outliers_above=10, **options)


def test_it_predicts_english_better_than_shuffled_words_and_a_shorter_stream_costs(tmp_path):
    words = [TEXT[i % len(TEXT)].read_text("utf-8").split()[100 * i : 100 * i + 100] for i in range(6)]
    for name in ("english", "shuffled"):
        (tmp_path / name).mkdir()
    english = losses(tmp_path / "english", words)
    shuffled = losses(tmp_path / "shuffled", [random.Random(0).sample(document, len(document)) for document in words])
    assert english.clean.value is not None
    assert shuffled.clean.value is not None
    assert english.clean.value + 1 < shuffled.clean.value
    (sae,) = english.saes
    assert sae.cost("zero").value > sae.cost("x_hat").value
    assert torch.tensor(sae.cost("least_error").value).abs() < 0.01  # 0.8·x stretched by 1.25 is x
