"""What C19 to C29 derive in symbols, seen in numbers that nobody derived: lassos, lines, tokens, bins and axes."""

import numpy as np
import pytest
from sympy import Symbol

from sandbox.maths.derivations import prove
from sandbox.maths.symbols import a, b, c, lam

P, V = Symbol("P", real=True), Symbol("V", real=True)
d, phi, psi = (Symbol(name, real=True) for name in ("d", "phi", "psi"))


def at(expression, **numbers) -> float:
    """The value of an expression at numbers, by the names of its symbols."""
    return float(expression.subs({symbol: numbers[symbol.name] for symbol in expression.free_symbols}))


def moments(x, x_hat) -> dict[str, float]:
    return {"a": (x * x).sum(1).mean(), "b": (x_hat * x_hat).sum(1).mean(), "c": (x * x_hat).sum(1).mean()}


def lasso(x, rows, coefficient, steps=20_000):
    """Non-negative latents with the least ‖x − f·rows‖² + coefficient·Σ f·‖row‖, by projected gradient descent."""
    norms, f = np.linalg.norm(rows, axis=1), np.zeros((len(x), len(rows)))
    rate = 0.5 / np.linalg.norm(rows @ rows.T, 2)
    for _ in range(steps):
        f = np.maximum(f - rate * (2 * (f @ rows - x) @ rows.T + coefficient * norms), 0)
    return f


@pytest.fixture(scope="module")
def trained():
    """Activations, an overcomplete dictionary with rows of any length, and its latents at the optimum."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(12, 6)) * draw.uniform(0.5, 2, size=(12, 1))
    x = draw.normal(size=(400, 6)) * draw.lognormal(size=(400, 1))
    return x, rows, lasso(x, rows, 1.5), 1.5


def test_an_l1_penalty_shrinks_by_exactly_its_share(trained):
    x, rows, f, coefficient = trained
    held = moments(x, f @ rows)
    penalty = (f @ np.linalg.norm(rows, axis=1)).mean()
    gamma = held["b"] / held["c"]
    assert gamma < 0.9
    assert at(prove("C19").results["predicted"], **{"lambda": coefficient}, P=penalty, **held) == pytest.approx(gamma)
    assert at(prove("C19").results["implied"], P=penalty, **held) == pytest.approx(coefficient)


def test_each_latent_obeys_the_law_by_itself(trained):
    x, rows, f, coefficient = trained
    error = x - f @ rows
    for j, row in enumerate(rows):
        given = f[:, j : j + 1] * row
        best = 1 + (given * error).sum() / (given * given).sum()
        numbers = {"phi": f[:, j].mean(), "psi": (f[:, j] ** 2).mean(), "d": np.linalg.norm(row), "lambda": coefficient}
        assert at(prove("C20").results["predicted"], **numbers) == pytest.approx(best)
        assert best > 1


def test_total_least_squares_is_the_principal_axis_and_lies_beyond_r():
    draw = np.random.default_rng(1)
    for factor in (0.5, 2.0):
        x = draw.normal(size=(500, 3))
        x_hat = factor * x + draw.normal(size=x.shape) * 0.4
        held = moments(x, x_hat)
        principal = np.linalg.svd(np.stack((x.ravel(), x_hat.ravel()), 1), full_matrices=False)[2][0]
        slope = at(prove("C22").results["total_least_squares"], **held)
        assert slope == pytest.approx(principal[1] / principal[0])
        r = (held["b"] / held["a"]) ** 0.5
        assert held["c"] / held["a"] < min(r, slope) <= max(r, slope) < held["b"] / held["c"]
        assert abs(slope - 1) > abs(r - 1)


def test_the_three_parts_are_what_factors_of_their_own_would_save():
    draw = np.random.default_rng(2)
    x = draw.normal(size=(300, 4))
    x_hat = draw.uniform(0.3, 1.2, size=(300, 1)) * x + 0.3 * draw.normal(size=x.shape)
    held = moments(x, x_hat)
    bs, cs = (x_hat * x_hat).sum(1), (x * x_hat).sum(1)
    own = ((x - (cs / bs)[:, None] * x_hat) ** 2).sum(1).mean()  # every token by its own best factor
    common = ((x - held["c"] / held["b"] * x_hat) ** 2).sum(1).mean()
    results = prove("C23").results
    total = (cs**2 / bs).mean()
    assert at(results["tokens_loss"], V=total, **held) == pytest.approx(own / held["a"])
    assert at(results["factors_loss"], V=total, **held) == pytest.approx((common - own) / held["a"])


def test_the_means_of_bins_do_not_shrink_from_any_side_of_the_cosine():
    draw = np.random.default_rng(5)
    x = draw.normal(size=(900, 3)) + 1
    bins = draw.integers(3, size=900)
    x_hat = np.stack([x[bins == k].mean(0) for k in range(3)])[bins]
    held = moments(x, x_hat)
    assert held["b"] / held["c"] == pytest.approx(1)
    assert held["c"] / (held["a"] * held["b"]) ** 0.5 < 0.95


def test_gamma_is_the_mean_over_the_axes_of_any_basis_weighted_by_their_c():
    draw = np.random.default_rng(6)
    x = draw.normal(size=(400, 5)) * np.arange(1, 6)
    x_hat = x * np.linspace(0.4, 1.6, 5) + 0.2 * draw.normal(size=x.shape)
    held = moments(x, x_hat)
    axes = np.linalg.qr(draw.normal(size=(5, 5)))[0]
    bs, cs = ((x_hat @ axes) ** 2).mean(0), ((x @ axes) * (x_hat @ axes)).mean(0)
    assert np.average(bs / cs, weights=cs) == pytest.approx(held["b"] / held["c"])


def test_c_less_b_changes_with_the_origin_by_the_mean_error():
    draw = np.random.default_rng(7)
    x = draw.normal(size=(400, 3))
    x_hat, m = 0.7 * x + 0.3, np.array([1.0, -2.0, 0.5])
    held, about = moments(x, x_hat), moments(x - m, x_hat - m)
    change = (about["c"] - about["b"]) - (held["c"] - held["b"])
    assert change == pytest.approx(-m @ (x - x_hat).mean(0))
    assert abs(change) > 0.1


@pytest.mark.parametrize(("power", "sign"), [(-0.3, 1), (0, 0), (0.3, -1)])
def test_an_intercept_has_the_opposite_sign_of_how_the_cosine_goes_with_the_norm(power, sign):
    """x̂ is the projection of x onto a ray at an angle, so γ is 1 for every token, and nothing is added anywhere."""
    norms = np.random.default_rng(3).uniform(1, 4, size=1000)
    cosines = 0.7 * norms**power / 4 ** max(power, 0)
    _, intercept = np.polyfit(norms, cosines * norms, 1)
    assert np.sign(np.round(intercept, 9)) == sign


def test_a_paired_difference_is_as_sharp_as_its_correlation_says():
    draw = np.random.default_rng(4)
    first, second, kappa = 0.5, 0.8, 0.9
    errors = draw.multivariate_normal(
        (0, 0), [[first**2, kappa * first * second], [kappa * first * second, second**2]], size=400_000
    )
    expected = next(step for step in prove("C27").steps if step.definition).terms[1]
    named = {"sigma1": first, "sigma2": second, "kappa": kappa}
    assert np.var(errors[:, 0] - errors[:, 1]) == pytest.approx(at(expected, **named), rel=0.02)


def test_a_value_published_by_equation_10_gives_the_bias_back():
    """As the first version computed it, from pooled losses: E‖x‖² is the loss of x̂ = 0, L that of x̂."""
    draw = np.random.default_rng(8)
    x = draw.normal(size=(500, 4))
    x_hat = 0.6 * x + 0.3 * draw.normal(size=(500, 4))
    held, loss = moments(x, x_hat), ((x - x_hat) ** 2).sum(1).mean()
    published = np.sqrt(held["b"] / (held["a"] - loss))
    assert abs(published - held["b"] / held["c"]) > 0.01
    assert at(prove("C29").results["bias"], g=published) == pytest.approx(held["b"] / held["c"])


def test_the_letters_are_those_of_the_derivations():
    assert prove("C19").results["predicted"].free_symbols == {lam, P, c}
    assert prove("C19").results["implied"].free_symbols == {b, c, P}
    assert prove("C20").results["predicted"].free_symbols == {lam, d, phi, psi}
    assert prove("C23").results["factors_loss"].free_symbols == {a, b, c, V}
