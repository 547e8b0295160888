"""What any decoder can win back: least squares against NumPy's, and each kind at least as good as the one before."""

import json

import numpy as np
import pytest
import torch

from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.errors import InputError
from sandbox.measuring.ceilings import KINDS, UNCORRECTED, ceilings
from sandbox.measuring.least_squares import LeastSquares, solve
from sandbox.measuring.normal_equations import NormalEquations, check_memory
from sandbox.measuring.rescale import corrected_saes, rescale

N, D_IN, D_SAE, DEAD = 2400, 5, 12, 3
IDS = np.arange(N) // 20
FITTED = torch.from_numpy(Split(0.5, 0).chosen(IDS))


def little(folder, normalisation=None) -> Checkpoint:
    """An SAE whose correlated latents overlap, one of them dead."""
    generator = torch.Generator().manual_seed(1)
    W_enc, b_enc = torch.randn(D_IN, D_SAE, generator=generator), 0.1 * torch.ones(D_SAE)
    b_enc[DEAD] = -1e6
    W_dec = torch.linalg.pinv(W_enc) * torch.linspace(0.6, 1.5, D_SAE)[:, None]
    b_dec = 0.2 * torch.randn(D_IN, generator=generator)
    sae = SAE(W_enc, W_dec, b_dec, b_enc, normalisation=normalisation, subtract_b_dec=True)
    return Checkpoint(sae, "little", Files(folder, folder), lambda _: pytest.fail("nothing is written"))


X = 2 * torch.randn(N, D_IN, generator=torch.Generator().manual_seed(2)) + 0.5
SETTINGS = {"documents": IDS, "device": "cpu", "batch_size": 700}


def loss(sae: SAE, x) -> float:
    with torch.no_grad():
        return (x - sae(x)).double().square().sum().item()


def least_squares(sae: SAE, x) -> tuple[np.ndarray, np.ndarray]:
    """NumPy's joint factors and decoder (b_dec last), of the latents that are ever active."""
    sae, x = sae.double(), x.double()
    with torch.no_grad():
        _, scale, shift = sae.normalise(x)
        scale, f = scale.expand(len(x), 1), sae.encode(x)
    f = f[:, [j for j in range(D_SAE) if j != DEAD]] * scale
    rows = sae.W_dec[[j for j in range(D_SAE) if j != DEAD]]
    t = x - shift - scale * sae.b_dec
    contributions = (f[:, :, None] * rows).permute(0, 2, 1).reshape(-1, len(rows))
    factors = np.linalg.lstsq(contributions.numpy(), t.reshape(-1).numpy(), rcond=None)[0]
    return factors, np.linalg.lstsq(torch.cat((f, scale), 1).numpy(), t.numpy(), rcond=None)[0]


@pytest.mark.parametrize("normalisation", [None, LayerNorm(), ConstantNorm()])
def test_without_a_ridge_both_kinds_are_those_of_numpy(normalisation, tmp_path):
    checkpoint = little(tmp_path, normalisation)
    settings = SETTINGS | {"ridge": 0.0, "dtype": "float64"}
    joint, decoder = (rescale(checkpoint, X, kind=kind, **settings) for kind in ("joint", "decoder"))
    alive = [j for j in range(D_SAE) if j != DEAD]
    factors, rows = least_squares(little(tmp_path, normalisation).sae, X[FITTED])
    np.testing.assert_allclose(joint.factor[alive], factors, rtol=1e-6)
    np.testing.assert_allclose(decoder.W_dec[alive], rows[:-1], rtol=1e-4, atol=1e-5)  # stored in float32
    np.testing.assert_allclose(decoder.b_dec - checkpoint.sae.b_dec, rows[-1], rtol=1e-4, atol=1e-5)


def test_a_latent_that_is_never_active_keeps_its_row(tmp_path):
    checkpoint = little(tmp_path)
    joint, decoder = (rescale(checkpoint, X, kind=kind, **SETTINGS) for kind in ("joint", "decoder"))
    assert joint.factor[DEAD] == decoder.factor[DEAD] == 1
    assert torch.equal(joint.W_dec[DEAD], checkpoint.sae.W_dec[DEAD])
    assert torch.equal(decoder.W_dec[DEAD], checkpoint.sae.W_dec[DEAD])
    assert torch.equal(joint.b_dec, checkpoint.sae.b_dec)


@pytest.mark.parametrize("ridge", [None, 0.0, 100.0])
def test_each_kind_is_at_least_as_good_as_its_start_where_it_is_fitted(ridge, tmp_path):
    saes = corrected_saes(little(tmp_path), X, KINDS, ridge=ridge, **SETTINGS)
    scalar, per_latent, joint, decoder = (loss(saes[kind], X[FITTED]) for kind in KINDS)
    assert decoder <= joint * (1 + 1e-6)
    assert joint <= scalar * (1 + 1e-6)
    if not ridge:
        assert joint < per_latent < scalar  # the latents overlap: what each needs alone is not what all need together


def test_no_decoder_is_better_held_out_than_the_one_fitted_there(tmp_path):
    """The unregularised optimum of the held-out documents themselves bounds every kind."""
    held_out = ~FITTED
    other = little(tmp_path).sae
    _, rows = least_squares(other, X[held_out])
    alive = [j for j in range(D_SAE) if j != DEAD]
    W_dec = other.W_dec.clone()
    W_dec[alive] = torch.from_numpy(rows[:-1])
    best = loss(other.with_decoder(W_dec, other.b_dec + torch.from_numpy(rows[-1])), X[held_out].double())
    for sae in corrected_saes(little(tmp_path), X, KINDS, **SETTINGS).values():
        assert loss(sae, X[held_out]) >= best


def test_the_ceilings_compare_all_kinds_on_the_same_documents(tmp_path):
    made = ceilings(little(tmp_path), X, **SETTINGS)
    assert list(made.rows) == [UNCORRECTED, *KINDS]
    saes = corrected_saes(little(tmp_path), X, KINDS, **SETTINGS)
    before = loss(little(tmp_path).sae, X[~FITTED])
    for kind, sae in saes.items():
        share = 1 - loss(sae, X[~FITTED]) / before
        won = made.rows[kind]["won_back"]
        assert won.value == pytest.approx(share, abs=1e-5)
        assert won.low < won.value < won.high
        alone = rescale(little(tmp_path), X, kind=kind, **SETTINGS)
        assert alone.won_back.value == pytest.approx(won.value, abs=1e-6)
        row = made.rows[kind]
        change = row["relative_loss"].value - made.rows[UNCORRECTED]["relative_loss"].value
        assert row["minus_uncorrected"].value == pytest.approx(change)
    record = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert record["ceilings"]["joint"]["ridge"] == made.corrections["joint"].ridge > 0
    assert made.table().row_count == 5
    assert "joint factors" in made.in_words()


def equations(f, t, fold) -> NormalEquations:
    total = NormalEquations.zeros(f.shape[1], t.shape[1], torch.device("cpu"))
    for some in np.array_split(np.arange(len(f)), 3):
        total.add(f[some], torch.ones(len(some), 1), t[some], fold[some])
    return total


def test_the_totals_are_those_of_dense_products_without_tokens_that_are_not_finite():
    generator = torch.Generator().manual_seed(5)
    f, t = torch.randn(300, 40, generator=generator).relu(), torch.randn(300, 6, generator=generator)
    fold = np.arange(300) % 2
    t[7, 2], f[9, 3] = torch.nan, torch.inf
    kept = np.setdiff1d(np.arange(300), (7, 9))
    totals = equations(f, t, fold)
    dense = NormalEquations.zeros(40, 6, torch.device("cpu"))
    dense._add_on_device(f, torch.ones(300, 1), t, fold)
    for part in (0, 1):
        own = kept[fold[kept] == part]
        phi = torch.cat((f[own], torch.ones(len(own), 1)), 1).double()
        for made, rtol in ((totals, 1e-12), (dense, 1e-5)):
            torch.testing.assert_close(made.products[part], phi.mT @ phi, rtol=rtol, atol=rtol)
            torch.testing.assert_close(made.pulls[part], phi.mT @ t[own].double(), rtol=rtol, atol=30 * rtol)
            torch.testing.assert_close(made.count[part], (phi != 0).double().sum(0))
            assert made.energy[part].item() == pytest.approx(t[own].double().square().sum().item(), rel=rtol)


def test_with_one_fold_the_ridge_is_fixed():
    generator = torch.Generator().manual_seed(5)
    f, t = torch.randn(300, 4, generator=generator).relu(), torch.randn(300, 6, generator=generator)
    W_dec = torch.randn(4, 6, generator=generator).double()
    fitted = LeastSquares(equations(f, t, np.zeros(300, int)), W_dec)
    assert fitted.joint().ridge == fitted.decoder().ridge == 1000


def test_a_singular_system_has_the_solution_of_least_norm():
    matrix, right = torch.ones(3, 3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)
    torch.testing.assert_close(solve(matrix, right), torch.full((3, 2), 1 / 3, dtype=torch.float64))


def test_too_many_latents_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match=r"kind joint needs 51\.6 GB of memory .* limit is 16 GB: raise it with --mem"):
        check_memory("joint", 32768, 64, 16)
    for changed, line in (
        ({"memory": 1e-9}, "the limit is 1e-09 GB"),
        ({"memory": 0.0}, "memory is 0"),
        ({"ridge": -1.0}, "ridge is -1"),
        ({"ridge": float("nan")}, "ridge is nan"),
    ):
        with pytest.raises(InputError, match=line):
            rescale(little(tmp_path), X, kind="decoder", **SETTINGS, **changed)
