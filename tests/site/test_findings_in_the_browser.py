"""What would make a measurement meaningless is found in the browser as by `sandbox measure`, and said in its words."""

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import sandbox
from sandbox.activations import activations
from sandbox.data import FILES
from sandbox.measuring.measure import SAMPLE
from tests.site.node import in_node

N, D = 6000, 24


@pytest.fixture(scope="module")
def pair():
    """Activations with a mean, and good reconstructions: more tokens than a sample has."""
    generator = np.random.default_rng(5)
    x = 3 * generator.standard_normal((N, D)) + generator.standard_normal(D)
    return x, 0.92 * x + 0.6 * generator.standard_normal((N, D))


def changed(values, where, value):
    values = values.copy()
    values[where] = value
    return values


def by_token(x):
    return np.linalg.norm(x, axis=1, keepdims=True)


def layer_norm(x):
    return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)


def unseen():
    """A column of ones at the tokens that the sample leaves out."""
    seen = activations(np.arange(float(N))[:, None]).sample(SAMPLE).long().numpy()
    return changed(np.ones((N, 1)), seen[:, 0], 0)


PAIRS = {
    "nothing": lambda x, h: (x, h),
    "few tokens": lambda x, h: (x[:50], h[:50]),
    "one token": lambda x, h: (x[:1], h[:1]),
    "padding": lambda x, h: (changed(x, slice(0, 70), 0), changed(h, slice(0, 70), 0)),
    "padding that the sample misses": lambda x, h: (changed(x, 4999, 0), h),
    "outliers": lambda x, h: (changed(x, slice(0, 900, 99), 1e4), changed(h, slice(0, 900, 99), 1.1e4)),
    "long tokens": lambda x, h: (changed(x, slice(0, 600, 20), 120), changed(h, slice(0, 600, 20), 100)),
    "long tokens that matter little": lambda x, h: (changed(x, slice(0, N, 150), 30), changed(h, slice(0, N, 150), 20)),
    "the same twice": lambda x, h: (x, x),
    "x̂ is zero": lambda x, h: (x, 0 * x),
    "x̂ is constant": lambda x, h: (x, 0 * x + x.mean(0)),
    "x is zero": lambda x, h: (0 * x, h),
    "x is constant": lambda x, h: (0 * x + 1, h),
    "x̂ four times too short": lambda x, h: (x, h / 4),
    "x̂ of norm √d on average": lambda x, h: (x, h * D**0.5 / by_token(x).mean()),
    "x̂ √d times too long": lambda x, h: (x, h * D**0.5),
    "x̂ by another factor": lambda x, h: (x, h * 77),
    "x̂ in units of each norm": lambda x, h: (x, h / by_token(x)),
    "x̂ in units of each norm, times √d": lambda x, h: (x, D**0.5 * h / by_token(x)),
    "x̂ after LayerNorm": lambda x, h: (20 * x + 9, layer_norm(x) + (h - x) / 20),
    "x̂ without the mean": lambda x, h: (x + 2, h - 0.92 * x.mean(0)),
    "x̂ lacks a vector": lambda x, h: (x, h + np.eye(D)[3] * 2),
    "x̂ lacks a vector where the sample does not look": lambda x, h: (x, h + 2 * unseen()),
    "x̂ of other tokens": lambda x, h: (x, h[::-1]),
    "x̂ of other tokens, and a large mean": lambda x, h: (x + 5, h[::-1] + 5),
    "x̂ is −x": lambda x, h: (x, -h),
    "γ that no SAE has": lambda x, h: (x, 0.65 * x),
    "x̂ of a very noisy SAE": lambda x, h: (x, h + 30 * np.sin(np.arange(N * D).reshape(N, D))),
}
DTYPES = {
    "float16 that is cut off": lambda x, h: (changed(x.astype(np.float16), 7, 65504), h.astype(np.float16)),
    "float16 near its end": lambda x, h: (changed(x.astype(np.float16), 7, 6e4), changed(h.astype(np.float16), 7, 5e4)),
    "the same to rounding in float16": lambda x, h: (x.astype(np.float16), (x * (1 + 1e-3)).astype(np.float16)),
    "the same in float32 and float64": lambda x, h: (x, x.astype(np.float32)),
}


def of_python(report):
    """Findings as the page says them: without the option of a command."""
    return [one | {"message": one["message"].removesuffix(" (--exclude-outliers)")} for one in report.findings]


@pytest.mark.parametrize("kinds", [PAIRS, DTYPES], ids=["of tokens", "of dtypes"])
def test_pairs(modules, pair, tmp_path, kinds):
    cases = []
    for name, make in kinds.items():
        folder = tmp_path / name.replace("/", " ")
        folder.mkdir()
        for key, array in zip(("x", "x_hat"), make(*pair), strict=True):
            np.save(folder / f"{key}.npy", array)
        cases.append({key: folder / f"{key}.npy" for key in ("x", "x_hat")})
    seen = set()
    for name, case, answer in zip(kinds, cases, in_node(modules, cases), strict=True):
        found = of_python(sandbox.measure_pairs(case["x"], case["x_hat"], published=0))
        assert answer["entry"]["findings"] == found, name
        seen |= {finding["key"] for finding in found}
    if kinds is PAIRS:
        assert seen >= {"small", "zero_tokens", "outliers", "heavy_tokens", "identical", "zero_x_hat", "constant_x_hat"}
        assert seen >= {"zero", "constant", "x_hat_scale", "x_hat_unit_norm", "x_hat_constant_norm"}
        assert seen >= {"x_hat_layer_norm", "missing_bias", "mean_error", "loss", "folding"}


def with_weights(**changes):
    def make(folder, source):
        weights = load_file(source / "sae_weights.safetensors")
        weights |= {name: change(weights[name]) for name, change in changes.items()}
        save_file(weights, folder / "sae_weights.safetensors")

    return make


SAES = {
    "as it is": with_weights(),
    "no latent is active": with_weights(b_enc=lambda b: b - 1e3),
    "all latents are active": with_weights(b_enc=lambda b: b + 1e3),
    "without b_dec": with_weights(b_dec=lambda b: 0 * b),
    "a folded W_dec": with_weights(W_dec=lambda w: 1.4 * w),
    "W_dec of another SAE": with_weights(W_dec=lambda w: w.flip(0)),
}


INPUT = {"scale", "root_d", "constant_norm", "unit_norm", "layer_norm", "mean_removed", "b_dec_input"}
CAUSES = {"missing_bias", "extra_bias", "folding", "mean_error"}
"""What is named in their place where the spaces of INPUT are not tried."""


def test_saes(modules, tmp_path):
    """Python also runs the SAE on x in some ten other spaces; what it then finds is left out here."""
    source = FILES["minilm-relu"]
    x = next(activations(FILES["activations"]).chunks(700)).x.float().numpy()
    cases = []
    for name, make in SAES.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cfg.json").write_bytes((source / "cfg.json").read_bytes())
        make(folder, source)
        np.save(tmp_path / f"{name}.npy", x)
        cases.append({"x": tmp_path / f"{name}.npy", "sae": folder})
    seen = set()
    for name, case, answer in zip(SAES, cases, in_node(modules, cases), strict=True):
        report = sandbox.measure(case["sae"], case["x"], dtype="float64", published=0)
        found, wanted = answer["entry"]["findings"], of_python(report)
        if elsewhere := {one["key"] for one in wanted} & INPUT:
            keys = [[one["key"] for one in some if one["key"] not in CAUSES | elsewhere] for some in (found, wanted)]
            assert keys[0] == keys[1], name
        else:
            assert found == wanted, name
        seen |= {finding["key"] for finding in found}
    assert seen >= {"l0_none", "l0_all"}
