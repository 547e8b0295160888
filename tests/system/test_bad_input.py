"""Each kind of bad input to the Python functions is refused with one line that says what to do."""

import numpy as np
import pytest
import torch

from sandbox import simulate
from sandbox.errors import InputError
from sandbox.maths.derivations import claims, prove
from sandbox.maths.measures import measure_named
from sandbox.measuring.measure import measure, measure_pairs
from sandbox.moments.moments import Moments
from sandbox.report import estimate

x = torch.ones(10, 4)
bad = torch.ones(10, 4)
bad[3, 1] = torch.nan
bad[5, 0] = torch.inf

MOMENTS = {
    "shapes that differ": (lambda: Moments.from_pairs(x, x[:5]), r"\(10, 4\) and x_hat \(5, 4\)"),
    "no tokens": (lambda: Moments.from_pairs(x[:0], x[:0]), "no tokens"),
    "no dimensions": (lambda: Moments.from_pairs(x[:, :0], x[:, :0]), "no tokens"),
    "whole numbers": (lambda: Moments.from_pairs(x.long(), x.long()), "x has dtype torch.int64"),
    "whole numbers in numpy": (lambda: Moments.from_pairs(x.long().numpy(), x.numpy()), "x has dtype int64"),
    "complex": (lambda: Moments.from_pairs(x.to(torch.complex64), x), "x has dtype torch.complex64"),
    "a number": (lambda: Moments.from_pairs(torch.tensor(1.0), torch.tensor(1.0)), "single number"),
    "words": (lambda: Moments.from_pairs(np.array(["a"]), x.numpy()), "x has dtype <U1"),
    "nan and infinity": (lambda: Moments.from_pairs(x, bad), "2 of 10 tokens have a NaN or an infinity"),
    "cluster of floats": (lambda: Moments.from_pairs(x, x, torch.ones(10)), "cluster has dtype float32"),
    "cluster too short": (lambda: Moments.from_pairs(x, x, torch.arange(9)), r"cluster has shape \(9,\)"),
    "batch_dims too many": (lambda: Moments.from_pairs(x, x, batch_dims=2), "batch_dims is 2"),
    "no groups": (lambda: Moments.from_pairs(x, x, groups=0), "groups is 0"),
    "moments of other width": (
        lambda: Moments.from_pairs(x, x) + Moments.from_pairs(x[:, :2], x[:, :2]),
        "do not merge",
    ),
    "a grid where one is needed": (
        lambda: estimate(Moments.from_pairs(x, x, batch_dims=1), measure_named("cosine")),
        "estimate takes moments without batch axes",
    ),
}
SIMULATE = {
    "one dimension": ({"angle": 1.0, "d": 1}, "d is 1"),
    "no pairs": ({"angle": 1.0, "n": 0}, "n is 0"),
    "degrees": ({"angle": 89.9}, "radians"),
    "negative ratio": ({"angle": 1.0, "norm_ratio": -1.0}, "norm ratio is negative"),
    "nan angle": ({"angle": float("nan")}, "angle lies outside"),
    "unknown norm": ({"angle": 1.0, "norm": "gauss"}, "choose fixed, chi, log-normal"),
    "correlation of a fixed norm": ({"angle": 1.0, "correlation": 0.5}, "log-normal norm and an angle"),
    "correlation beyond 1": ({"angle": 1.0, "correlation": 2.0}, "between -1 and 1"),
    "scale": ({"angle": 1.0, "scale": 0.0}, "scale must be positive"),
    "no icdf": ({"angle": torch.distributions.Beta(2.0, 2.0)}, "Beta has no icdf"),
    "device": ({"angle": 1.0, "device": "tpu"}, "choose auto or cpu"),
}
MEASURE = {
    "no callable": (lambda: measure(3, x), "sae is a int"),
    "x̂ of another shape": (lambda: measure(lambda t: t[:, :2], x), r"gave \(10, 2\) for x of shape \(10, 4\)"),
    "not even a tensor": (lambda: measure(lambda t: (t, t), x), "gave tuple"),
    "nan": (lambda: measure(lambda t: t, bad), "2 of 10 tokens"),
    "all nan": (lambda: measure_pairs(x * torch.nan, x, drop_nonfinite=True), "nothing is left"),
    "a list": (
        lambda: measure(lambda t: t, [[1.0, 2.0]]),
        "activations, piece 1 is a float: activations must be float16",
    ),
    "whole numbers": (lambda: measure(lambda t: t, x.long()), "activations has dtype torch.int64"),
    "one axis": (lambda: measure(lambda t: t, x[0]), r"activations has shape \(4,\)"),
    "documents too few": (lambda: measure(lambda t: t, x, documents=torch.arange(3)), "3 document ids for 10 tokens"),
    "documents of floats": (lambda: measure(lambda t: t, x, documents=torch.ones(10)), "documents has dtype"),
    "pairs that differ": (lambda: measure_pairs(x, x[:5]), "must agree"),
    "a module elsewhere": (lambda: measure(torch.nn.Linear(4, 4), x, device="meta"), "move it first"),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_refuse(name):
    call, line = MOMENTS[name]
    with pytest.raises(InputError, match=line):
        call()


@pytest.mark.parametrize("name", SIMULATE)
def test_simulate_refuses(name):
    settings, line = SIMULATE[name]
    with pytest.raises(InputError, match=line):
        simulate.pairs(**settings)


@pytest.mark.parametrize("name", MEASURE)
def test_measure_refuses(name):
    call, line = MEASURE[name]
    with pytest.raises(InputError, match=line):
        call()


def test_what_is_not_there_is_named_with_what_is():
    numbers = f"claims run from C1 to C{len(claims())}"
    with pytest.raises(InputError, match=rf"^there is no claim 'C99': {numbers} \(sandbox prove --list\)$"):
        prove("C99")
    with pytest.raises(InputError, match=f"no claim 'scale': did you mean scale-x.*{numbers}"):
        prove("scale")
    with pytest.raises(InputError, match="no measure 'gamma'; the measures are scale_x, "):
        measure_named("gamma")


def test_a_damaged_moments_file_is_refused(tmp_path):
    path = tmp_path / "moments.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read as saved Moments"):
        Moments.load(path)


def test_nonfinite_tokens_are_dropped_and_counted_when_asked():
    moments = Moments.from_pairs(x, bad, drop_nonfinite=True)
    assert moments.nonfinite == 2
    assert moments.n == 8
    assert moments.a == 4
