"""A report of Python, and what the site's modules make of the same files, number by number.

Both sides compute; no number is written in a test. Both multiply and total in float64 and differ only in the order of
the sums, which leaves about 1e-15 of a total. Differences of totals (about the means, between leave-one-out estimates)
cancel at most five or six of those digits in the tests' data, so `NEAR` leaves room.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import sandbox
from sandbox.measuring.token_means import LINE

NEAR = 1e-9
NOTHING = 1e-14
"""A measure is of order 1: what is smaller than this is rounding, and either side may have it as 0."""

OF_LINE = 100
"""Times that, in lengths of x, for the line of ‖x̂‖ on ‖x‖: a quotient of differences of means."""


def written(folder: Path, **arrays) -> dict[str, Path]:
    """Each array in a .npy file, or, if it is a tensor, in a .safetensors file."""
    paths = {}
    for name, array in arrays.items():
        is_tensor = isinstance(array, torch.Tensor)
        paths[name] = folder / f"{name}{'.safetensors' if is_tensor else '.npy'}"
        if is_tensor:
            save_file({name: array}, paths[name])
        else:
            np.save(paths[name], array)
    return paths


def by_python(x, x_hat=None, sae=None, documents=None, dropNonfinite=False, l1=None, dtype="float64"):
    options = {"documents": documents, "drop_nonfinite": dropNonfinite, "look": False, "published": 0}
    if sae is None:
        return sandbox.measure_pairs(x, x_hat, **options)
    return sandbox.measure(sae, x, l1=l1, dtype=dtype, **options)


def same(report, answer, near=NEAR):
    """Every key, number, interval and reason of the report, and its sentences."""
    assert "refused" not in answer, answer
    ours, entry = (_counted(facts) for facts in (report.to_dict(), answer["entry"]))
    lines = [{key: results["statistics"].pop(key) for key in LINE} for results in _statistics(ours, entry)]
    compare(ours, entry, "", near, NOTHING)
    compare(lines[0::2], lines[1::2], "line", near, OF_LINE * NOTHING * max(math.sqrt(report.moments.a.item()), 1))
    assert answer["words"] == report.in_words()
    assert answer["law"] == (report.law and report.law.in_words())


def _counted(entry):
    """A copy without where and in which numbers it was computed, and without findings: Python is not asked for them."""
    return {
        key: value for key, value in json.loads(json.dumps(entry)).items() if key not in ("device", "dtype", "findings")
    }


def _statistics(ours, entry):
    """The results of both sides that have statistics, alternating: those of all tokens, then without outliers."""
    for key in ("", "without_outliers"):
        yield from (one[key] if key else one for one in (ours, entry) if not key or key in one)


def compare(ours, theirs, path, near, nothing):
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), path
        for key, value in ours.items():
            compare(value, theirs[key], f"{path}/{key}", near, nothing)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            compare(one, other, f"{path}/{at}", near, nothing)
    elif isinstance(ours, float) and theirs is not None:
        assert theirs == pytest.approx(ours, rel=near, abs=nothing), path
    else:
        assert theirs == ours, path
