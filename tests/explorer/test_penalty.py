"""The small lasso of the explorer is a lasso, obeys the law to the last digit, and comes near the closed forms."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sandbox import Explorer
from sandbox.explorer.penalty import FEATURES, penalised, strengths
from sandbox.explorer.presets import presets
from sandbox.simulate.theory import behind_a_threshold

COEFFICIENTS = (0.0, 0.01, 0.2, 1.0, 2.5, 6.0)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_gamma_is_what_the_law_predicts_to_the_last_digits(coefficient):
    for each in penalised(coefficient).values():
        assert each.values["relative_reconstruction_bias"] == pytest.approx(each.predicted, rel=1e-14)


def test_it_minimises_what_a_lasso_minimises():
    """Against a general optimiser, in a rotated dictionary, of which the closed form knows nothing."""
    draw = np.random.default_rng(0)
    f, coefficient = strengths().numpy()[::50], 1.4
    dictionary = np.linalg.qr(draw.normal(size=(len(f), len(f))))[0]
    x = f @ dictionary

    def cost(u):
        error = x - u @ dictionary
        return error @ error + coefficient * u.sum(), -2 * error @ dictionary.T + coefficient

    options = {"ftol": 1e-16, "gtol": 1e-10}
    u = minimize(cost, np.ones(len(f)), jac=True, bounds=[(0, None)] * len(f), options=options).x
    threshold = coefficient / 2
    np.testing.assert_allclose(u, np.where(f > threshold, f - threshold, 0), atol=1e-6)


@pytest.mark.parametrize("coefficient", [0.2, 1.0, 2.5])
@pytest.mark.parametrize("gate", ["soft", "hard"])
def test_its_features_are_nearly_exponential(coefficient, gate):
    each = penalised(coefficient)[gate]
    moments, active = behind_a_threshold(coefficient / 2, gate)
    # 400 quantiles miss the tail beyond the last one
    assert (each.a, each.b, each.c) == pytest.approx(moments, abs=0.02)
    assert each.active == pytest.approx(active, abs=1 / FEATURES)


def test_only_the_lasso_leaves_thales_circle_and_ever_farther():
    both = [penalised(coefficient) for coefficient in COEFFICIENTS]
    biases = {gate: [each[gate].values["relative_reconstruction_bias"] for each in both] for gate in ("soft", "hard")}
    assert biases["hard"] == [1] * len(both)
    assert biases["soft"] == sorted(biases["soft"], reverse=True)
    assert (biases["soft"][0], len(set(biases["soft"]))) == (1, len(both))


def test_the_widget_has_them_at_its_penalty():
    explorer = Explorer(penalty=2)
    assert explorer.penalised == penalised(2)
    assert repr(explorer) == "Explorer(penalty=2.0)"
    assert explorer.angle == 40, "a value set in Python leaves x̂ where it is"
    explorer.preset("penalty")
    soft = explorer.penalised["soft"]
    assert explorer.values["relative_reconstruction_bias"] == pytest.approx(soft.predicted, rel=1e-12)
    assert torch.tensor(explorer.penalised["hard"].values["relative_reconstruction_bias"]) == 1


def test_the_presets_answer_has_the_laws_number():
    [preset] = [preset for preset in presets() if preset.key == "penalty"]
    assert f"{penalised(preset.settings['penalty'])['soft'].predicted:.3g}" in preset.in_words()["answer"]
