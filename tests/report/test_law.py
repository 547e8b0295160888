"""What the training penalty explains: predictions that hold, and every cause of one that does not, made to happen."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import sandbox
from sandbox.errors import InputError
from sandbox.report import law as laws

TOKENS, D, L1 = 2000, 8, 1.5


class Lasso(nn.Module):
    """An SAE with orthogonal decoder rows, trained by descent on its latents; to the end if `steps` is None."""

    def __init__(self, W_dec, l1, steps=None, scale=1.0):
        super().__init__()
        self.W_dec, self.b_dec = nn.Parameter(W_dec, False), nn.Parameter(torch.zeros(W_dec.shape[1]), False)
        self.l1, self.steps, self.scale = l1, steps, scale

    def encode(self, x):
        """The latents, in units of x; training sees x times `scale`."""
        norms = self.W_dec.norm(dim=1)
        along = (x * self.scale) @ (self.W_dec / norms[:, None]).T
        end = (along - self.l1 / 2).clamp(min=0)  # the soft threshold is the exact minimum
        share = 1 if self.steps is None else 1 - 0.8**self.steps  # descent covers 0.2 of the way at each step
        return share * end / norms / self.scale

    def decode(self, f):
        return f @ self.W_dec + self.b_dec

    def forward(self, x):
        return self.decode(self.encode(x))


@pytest.fixture(scope="module")
def data():
    draw = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(D, D, generator=draw)).Q
    W_dec = rows * (0.5 + torch.rand(D, 1, generator=draw))
    x = torch.randn(TOKENS, D, generator=draw) * 2
    return x, W_dec, np.arange(TOKENS) // 20


def law_of(data, sae, l1=L1):
    x, _, documents = data
    return sandbox.measure(sae, x, documents=documents, l1=l1, look=False).law


def test_a_trained_sae_is_explained_and_its_coefficient_implied(data):
    law = law_of(data, Lasso(data[1], L1))
    assert law.word == laws.EXPLAINED
    assert law.gamma.value < 0.9
    assert law.predicted.value == pytest.approx(law.gamma.value, abs=1e-5)
    assert law.implied.value == pytest.approx(L1, abs=1e-4)
    assert "It holds: the penalty explains the shrinkage." in law.in_words()


def test_three_numbers_of_the_report_predict_gamma_by_hand(data):
    law = law_of(data, Lasso(data[1], L1))
    assert 1 - L1 * law.penalty.value / (2 * law.inner.value) == pytest.approx(law.gamma.value, abs=1e-5)


def test_training_on_scaled_activations_is_recognised(data):
    x, W_dec, _ = data
    scale = (D**0.5 / x.norm(dim=1).mean()).item()
    law = law_of(data, Lasso(W_dec, L1, scale=scale))
    assert law.word == laws.SCALED
    assert law.scale == pytest.approx(scale, rel=1e-5)
    assert "on activations scaled to a mean norm of √d" in law.in_words()


def test_another_scale_is_named(data):
    law = law_of(data, Lasso(data[1], L1, scale=3.0))
    assert law.word == laws.NOT_EXPLAINED
    assert "training saw activations multiplied by 3," in law.in_words()


BROKEN = {
    "training that has not converged": lambda W_dec: Lasso(W_dec, L1, steps=3),
    "another penalty": lambda W_dec: Lasso(W_dec, 3 * L1),
}


@pytest.mark.parametrize("cause", BROKEN)
def test_a_law_that_does_not_hold_is_said_and_its_causes_named(data, cause):
    law = law_of(data, BROKEN[cause](data[1]))
    assert law.word == laws.NOT_EXPLAINED
    assert law.difference.low > 0 or law.difference.high < 0
    assert "training had not converged, the penalty was another" in law.in_words()


def test_weights_changed_after_training_break_the_law(data):
    sae = Lasso(data[1], L1)

    class Edited(Lasso):
        def encode(self, x):
            return sae.encode(x)

    law = law_of(data, Edited(1.1 * data[1], L1))
    assert law.word == laws.NOT_EXPLAINED
    assert law.gamma.value > law.predicted.value
    assert "the weights were changed afterwards" in law.in_words()


def test_without_a_coefficient_the_moments_imply_one(data):
    law = law_of(data, Lasso(data[1], L1), l1=None)
    assert law.word == laws.NO_COEFFICIENT
    assert law.predicted is None
    assert law.implied.value == pytest.approx(L1, abs=1e-4)
    assert "give it with --l1" in law.in_words()


def test_the_interval_of_the_difference_is_narrower_than_that_of_gamma():
    """γ and its prediction share their tokens, so most of their errors cancel."""
    law = embedded("relu").law
    assert law.difference.high - law.difference.low < law.gamma.high - law.gamma.low


def embedded(kind):
    from sandbox.data import embedded as files

    return sandbox.measure(files(f"minilm-{kind}"), files("activations"), documents=files("documents"), look=False)


def test_the_embedded_saes_obey_the_law():
    """ReLU: its coefficient is stated, of activations scaled to a mean norm of √d. Gated: no slope, γ = 1."""
    relu, gated = embedded("relu").law, embedded("gated").law
    assert (relu.word, relu.l1) == (laws.SCALED, 1.2)
    assert relu.scale == pytest.approx(1.595, abs=2e-3)
    assert relu.predicted.value == pytest.approx(0.9257, abs=1e-4)
    assert relu.gamma.value == pytest.approx(0.9253, abs=1e-4)
    assert (round(relu.penalty.value, 2), round(relu.inner.value, 1)) == (22.83, 115.6), "as in results/README.md"
    assert (gated.word, gated.l1) == (laws.EXPLAINED, 0)
    assert abs(gated.implied.value) < 0.01


@pytest.mark.parametrize("l1", [-1.0, float("nan"), float("inf"), "1", True, 1e308, [1.0, 2.0]])
def test_a_coefficient_that_is_none_is_refused(data, l1):
    with pytest.raises(InputError, match="L1 coefficient"):
        law_of(data, Lasso(data[1], L1, steps=1), l1=l1)


def test_json_csv_and_tables_hold_it(data):
    from sandbox.report import to_csv

    x, W_dec, documents = data
    report = sandbox.measure(Lasso(W_dec, L1), x, documents=documents, l1=L1, look=False)
    entry = report.to_dict()["law"]
    assert entry["word"] == laws.EXPLAINED
    assert entry["implied_l1"]["value"] == report.law.implied.value
    assert {row.split(",")[5] for row in to_csv([report]).splitlines() if ",law," in row} == {
        "penalty",
        "c",
        "implied_l1",
        "gamma",
        "predicted",
        "difference",
    }
    assert "Explained by the penalty" in str(report)
    assert "E[x·x̂]" in str(report)  # brackets are no markup
    assert "Explained by the penalty" in report._repr_html_()


def test_pairs_have_no_law_and_take_no_coefficient(data):
    x, _, documents = data
    assert sandbox.measure_pairs(x, 0.9 * x, documents=documents, look=False).law is None
    with pytest.raises(InputError, match="the L1 coefficient predicts nothing here"):
        sandbox.measure_pairs(x, 0.9 * x, documents=documents, look=False, l1=1.0)


def test_activations_of_zeros_have_no_law(data):
    x, W_dec, documents = data
    assert sandbox.measure(Lasso(W_dec, L1), 0 * x, documents=documents, l1=L1, look=False).law is None


def test_without_an_interval_the_reason_is_given(data):
    x, W_dec, documents = data
    scale = (D**0.5 / x.norm(dim=1).mean()).item()
    report = sandbox.measure(Lasso(W_dec, L1, scale=scale), x, documents=0 * documents, l1=L1, look=False)
    assert report.law.word == laws.CANNOT_TELL
    assert "Cannot tell whether it holds: a single cluster" in report.law.in_words()
    assert report.law.scale == pytest.approx(scale, rel=1e-5), "the nearer prediction all the same"
    dead = sandbox.measure(Lasso(W_dec, 1e6), x, documents=documents, l1=L1, look=False).law
    assert "no latent is active" in dead.in_words()


def test_the_nearer_scale_is_kept_while_training_has_not_converged(data):
    x, W_dec, _ = data
    scale = (D**0.5 / x.norm(dim=1).mean()).item()
    law = law_of(data, Lasso(W_dec, L1, steps=8, scale=scale))
    assert law.word == laws.NOT_EXPLAINED
    assert law.scale == pytest.approx(scale, rel=1e-5)


class SmoothStep(nn.Module):
    """A JumpReLU SAE whose latents, all scaled by one factor, minimise the error and a tanh penalty.

    Training sees x times `k`. Its settings are where SAELens has them.
    """

    def __init__(self, x, W_dec, coefficient, tanh_scale=0.5, k=1.0):
        super().__init__()
        self.W_dec, self.b_dec = nn.Parameter(W_dec.double(), False), nn.Parameter(torch.zeros(D).double(), False)
        settings = {
            "jumprelu_sparsity_loss_mode": "tanh",
            "jumprelu_tanh_scale": tanh_scale,
            "l0_coefficient": coefficient,
        }
        self.cfg = SimpleNamespace(architecture=lambda: "jumprelu", **settings)
        self.factor = torch.ones((), dtype=torch.float64)
        f, x = self.encode(x), x.double()
        u, factor = f * self.W_dec.norm(dim=1), self.factor.clone().requires_grad_()
        for _ in range(50):  # Newton's method
            smooth = torch.tanh(tanh_scale * k * factor * u).sum(1)
            loss = (k**2 * (x - factor * f @ self.W_dec).square().sum(1) + coefficient * smooth).mean()
            (slope,) = torch.autograd.grad(loss, factor, create_graph=True)
            (bend,) = torch.autograd.grad(slope, factor)
            factor = (factor - slope / bend).detach().requires_grad_()
        assert abs(slope.item()) < 1e-12
        self.factor = factor.detach()

    def encode(self, x):
        along = x.double() @ torch.linalg.pinv(self.W_dec)
        return self.factor * torch.where(along > 0.8, along, 0)

    def decode(self, f):
        return f @ self.W_dec + self.b_dec

    def forward(self, x):
        return self.decode(self.encode(x))


def test_a_tanh_penalty_predicts_gamma_by_its_slope(data):
    x, W_dec, documents = data
    law = sandbox.measure(SmoothStep(x, W_dec, 2.0), x, documents=documents, look=False).law
    assert law.word == laws.EXPLAINED
    assert (law.l1, law.training.coefficient, law.training.tanh_scale) == (None, 2.0, 0.5)
    assert law.gamma.value < 0.97
    assert law.predicted.value == pytest.approx(law.gamma.value, abs=1e-9)
    assert 1 - 2.0 * law.penalty.value / (2 * law.inner.value) == pytest.approx(law.gamma.value, abs=1e-9)
    assert law.implied.value == pytest.approx(2.0, abs=1e-6)
    assert "from P, c and λ = 2 (l0_coefficient in its cfg). It holds: the penalty explains" in law.in_words()


def test_the_scale_of_training_enters_the_tanh(data):
    x, W_dec, documents = data
    k = (D**0.5 / x.norm(dim=1, dtype=torch.float64).mean()).item()
    law = sandbox.measure(SmoothStep(x, W_dec, 0.6, k=k), x, documents=documents, look=False).law
    assert law.word == laws.SCALED
    assert law.scale == pytest.approx(k)
    assert law.predicted.value == pytest.approx(law.gamma.value, abs=1e-9)
    assert law.predicted.value < 0.97
    assert law.implied.value == pytest.approx(0.6, abs=1e-6)
    assert "λ = 0.6 (l0_coefficient in its cfg, on activations scaled to a mean norm of √d)" in law.in_words()


def test_json_and_table_name_the_slope_of_a_tanh_penalty(data):
    x, W_dec, documents = data
    report = sandbox.measure(SmoothStep(x, W_dec, 2.0), x, documents=documents, look=False)
    entry = report.to_dict()["law"]
    assert (entry["l1"], entry["l0_coefficient"], entry["tanh_scale"]) == (None, 2.0, 0.5)
    assert entry["implied_l0_coefficient"]["value"] == report.law.implied.value
    assert "implied_l1" not in entry
    assert "mean slope of Σ tanh(0.5·f_j‖d_j‖)" in str(report)
    assert report.l1 is None, "C20 is about L1"


def test_a_coefficient_that_is_given_makes_the_penalty_l1(data):
    x, W_dec, documents = data
    law = sandbox.measure(SmoothStep(x, W_dec, 2.0), x, documents=documents, l1=0.1, look=False).law
    assert (law.l1, law.source) == (0.1, "as given")
    assert law.penalty.value == pytest.approx(law_of(data, SmoothStep(x, W_dec, 0.0), l1=0.0).penalty.value, rel=0.1)


def test_a_known_scale_is_used_where_gamma_cannot_tell(data):
    x, W_dec, documents = data
    scale = (D**0.5 / x.norm(dim=1).mean()).item()
    report = sandbox.measure(Lasso(W_dec, 1e-3, scale=scale), x, documents=documents, l1=1e-3, look=False)
    assert report.law.scale == 1, "the penalty is so weak that both predictions hold"
    known = replace(report, training=report.training._replace(scaled=True)).law
    assert known.scale == pytest.approx(scale, rel=1e-5)
    assert abs(known.difference.value) < abs(report.law.difference.value)
