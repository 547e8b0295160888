"""A correction removes shrinkage from documents it was not fitted on, and leaves the latents unchanged."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.optimize import minimize_scalar
from torch.utils.data import DataLoader

from sandbox import checkpoints
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.checkpoints.activation_functions import Gate
from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.files import Files
from sandbox.checkpoints.normalisation import ConstantNorm, LayerNorm
from sandbox.cli import app
from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.correction import SHIFTED, Correction, Evaluated, _share
from sandbox.measuring.fits import FITS, FROM_L1
from sandbox.measuring.measure import measure
from sandbox.measuring.rescale import passes, rescale
from sandbox.moments.moments import Moments
from sandbox.report import Report, estimate
from sandbox.system.files import check_new_folder

with warnings.catch_warnings():  # SAELens' own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    import sae_lens

GAMMA, LOSS = "relative_reconstruction_bias", "relative_loss"
FITTED = [kind for kind in FITS if kind != FROM_L1]
REAL = {"source": embedded("activations"), "documents": embedded("documents"), "device": "cpu"}


@pytest.fixture(scope="module")
def relu():
    return rescale(embedded("minilm-relu"), **REAL)


@pytest.fixture(scope="module")
def held_out():
    """Tokens and IDs of the held-out documents, from the split alone."""
    ids = np.load(embedded("documents"))
    in_test = ~Split(0.5, 0).chosen(ids)
    return load_file(embedded("activations"))["activations"][torch.from_numpy(in_test)].float(), ids[in_test]


def test_the_relu_sae_shrinks_no_more_on_documents_held_out(relu):
    assert relu.before.gamma.high < 0.95
    assert relu.after.gamma.low <= 1 <= relu.after.gamma.high
    assert relu.after.report.l0 == relu.before.report.l0
    assert relu.before.report.documents + relu.fitted == 100
    # what a factor fitted elsewhere misses is second order in its error, which is a part in 500 here
    assert 0.99 < relu.recovered.value <= 1


def test_the_share_recovered_is_that_of_the_best_factor_for_the_held_out_part(relu, held_out):
    """Compared with the losses at the two factors, and the lowest loss that a numerical search finds."""
    x, _ = held_out
    sae = checkpoints.load(embedded("minilm-relu"))
    with torch.no_grad():
        feature_acts = sae.encode(x)
        part = (feature_acts @ sae.W_dec).double()

    def loss(factor: float) -> float:
        return (x - sae.b_dec - factor * part).square().sum().item()

    best = loss(minimize_scalar(loss, bracket=(1, 1.1)).x)
    share = (loss(1) - loss(relu.factor.item())) / (loss(1) - best)
    assert relu.recovered.value == pytest.approx(share, abs=1e-5)


def test_the_factor_is_the_best_one_on_the_documents_that_it_was_fitted_on(relu):
    ids = np.load(embedded("documents"))
    fitted = Split(0.5, 0).chosen(ids)
    x = load_file(embedded("activations"))["activations"][torch.from_numpy(fitted)].float()
    sae = checkpoints.load(embedded("minilm-relu"))
    with torch.no_grad():
        moments = Moments.from_pairs(x - sae.b_dec, sae(x) - sae.b_dec)
    assert relu.factor.item() == pytest.approx(estimate(moments, REGISTRY["scale_x_hat"]).value, rel=1e-6)
    assert torch.equal(relu.b_dec, sae.b_dec)  # the bias is no part of what shrinks
    torch.testing.assert_close(relu.W_dec, sae.W_dec * relu.factor.float(), rtol=1e-6, atol=0)


def test_the_gated_sae_has_nothing_to_recover():
    gated = rescale(embedded("minilm-gated"), **REAL)
    assert gated.factor.item() == pytest.approx(1, abs=0.005)
    assert gated.recovered.value is None
    assert gated.recovered.reason == "γ about the decoder bias is 1 within ±1 %: nothing to recover"
    assert "nothing to recover" in gated.in_words()


@pytest.mark.parametrize("kind", ["scalar", "scale-shift", "per-latent"])
def test_saelens_loads_the_corrected_sae_and_gives_the_reported_numbers(kind, relu, held_out, tmp_path):
    correction = relu if kind == "scalar" else rescale(embedded("minilm-relu"), kind=kind, **REAL)
    out = tmp_path / "corrected"
    check_new_folder(out)
    correction.write(out)
    x, ids = held_out
    theirs = sae_lens.SAE.load_from_disk(out)
    with torch.no_grad():
        feature_acts = theirs.encode(x)
        moments = Moments.from_pairs(x, theirs.decode(feature_acts), ids)
    reported = correction.after.report
    for key in (GAMMA, LOSS, "norm_ratio"):  # 1536 products in float32, summed in another order
        assert estimate(moments, REGISTRY[key]).value == pytest.approx(reported.raw[key].value, rel=1e-5)
    # where the bias moved, so did that of the encoder: rounding may turn a latent on or off in one token of many
    assert (feature_acts != 0).sum().item() / len(x) == pytest.approx(reported.l0, abs=0.002)
    assert reported.l0 == pytest.approx(correction.before.report.l0, abs=0.002)
    ours = measure(out, x, documents=ids, device="cpu")
    assert ours.raw[GAMMA].value == pytest.approx(reported.raw[GAMMA].value, rel=1e-6)
    with pytest.raises(InputError, match="corrected already exists: name a new folder"):
        correction.write(out)
    with pytest.raises(InputError, match="corrected already exists: name a new folder"):
        check_new_folder(out)


D_IN, D_SAE, N = 6, 15, 1200
NORMALISATIONS = {"none": None, "layer norm": LayerNorm(), "constant norm": ConstantNorm()}


def little(folder, normalisation=None, gated=False, subtract=True) -> Checkpoint:
    """An SAE with random weights in memory that reconstructs the tokens of `tokens`, except for their length."""
    generator = torch.Generator().manual_seed(3)
    W_enc = torch.randn(D_IN, D_SAE, generator=generator)
    b_dec, other = torch.randn(2, D_IN, generator=generator)
    W_dec = torch.linalg.pinv(W_enc) * torch.linspace(0.7, 1.6, D_SAE)[:, None] + 0.02 * other
    gate = Gate(*(0.2 * torch.randn(3, D_SAE, generator=generator))) if gated else None
    settings = {"activation": gate, "normalisation": normalisation, "subtract_b_dec": subtract}
    sae = SAE(W_enc, W_dec, 0.3 * b_dec, None if gated else 0.1 * torch.ones(D_SAE), **settings)
    return Checkpoint(sae, "little", Files(folder, folder), lambda changed: pytest.fail("nothing is written here"))


@pytest.fixture(scope="module")
def tokens():
    generator = torch.Generator().manual_seed(4)
    x = 2 * torch.randn(N, D_IN, generator=generator) + 0.5
    return x, np.sort(torch.randint(0, 60, (N,), generator=generator).numpy())


def fitted_part(tokens):
    x, ids = tokens
    return x[torch.from_numpy(Split(0.5, 0).chosen(ids))]


def loss_on(x, sae: SAE) -> float:
    with torch.no_grad():
        return (x - sae(x)).double().square().sum().item()


@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("normalised", NORMALISATIONS)
def test_every_kind_is_at_least_as_good_as_one_factor_where_it_is_fitted(normalised, gated, subtract, tokens, tmp_path):
    checkpoint = little(tmp_path, NORMALISATIONS[normalised], gated, subtract)
    losses = {"none": loss_on(fitted_part(tokens), checkpoint.sae)}
    for kind in FITTED:
        made = rescale(checkpoint, tokens[0], documents=tokens[1], kind=kind, device="cpu", batch_size=500)
        losses[kind] = loss_on(fitted_part(tokens), checkpoint.sae.with_decoder(made.W_dec, made.b_dec))
        assert made.after.report.l0 == pytest.approx(made.before.report.l0, abs=0.005)  # a rounding in 600 tokens
    assert losses["scale-shift"] < losses["scalar"] < losses["none"]
    assert losses["decoder"] < losses["joint"] < losses["per-latent"] < losses["scalar"]


@pytest.mark.parametrize("normalised", NORMALISATIONS)
def test_scale_and_shift_are_those_of_least_squares(normalised, tokens, tmp_path):
    """Compared with a linear system that has one column for the scale and one for each entry of b_dec."""
    checkpoint = little(tmp_path, NORMALISATIONS[normalised])
    made = rescale(checkpoint, tokens[0], documents=tokens[1], kind="scale-shift", device="cpu", dtype="float64")
    x, sae = fitted_part(tokens).double(), checkpoint.sae.double()
    with torch.no_grad():
        _, scale, shift = sae.normalise(x)
        scale = scale.expand(len(x), 1)
        part = sae.encode(x) @ sae.W_dec * scale
    columns = torch.cat((part.reshape(-1, 1), (scale[:, :, None] * torch.eye(D_IN).double()).reshape(-1, D_IN)), 1)
    right = torch.linalg.lstsq(columns, (x - shift).reshape(-1)).solution
    assert made.factor.item() == pytest.approx(right[0].item(), rel=1e-6)
    torch.testing.assert_close(made.b_dec.double(), right[1:], rtol=1e-5, atol=1e-6)  # stored in float32


@pytest.mark.parametrize("normalised", NORMALISATIONS)
def test_the_one_factor_is_that_of_least_squares(normalised, tokens, tmp_path):
    checkpoint = little(tmp_path, NORMALISATIONS[normalised])
    made = rescale(checkpoint, tokens[0], documents=tokens[1], device="cpu", dtype="float64")
    x, sae = fitted_part(tokens).double(), checkpoint.sae.double()
    with torch.no_grad():
        bias = sae.decode(torch.zeros(len(x), D_SAE).double(), x)
        part, rest = (sae(x) - bias).reshape(-1, 1), (x - bias).reshape(-1)
    assert made.factor.item() == pytest.approx(torch.linalg.lstsq(part, rest).solution.item(), rel=1e-6)


def test_latents_that_never_share_a_direction_get_their_own_best_factors(tmp_path):
    """With an orthonormal decoder latents do not interact, and the corrected SAE is exact."""
    shrunk = torch.tensor([0.5, 0.8, 1.0, 1.25])
    sae = SAE(torch.eye(4), torch.diag(shrunk), torch.zeros(4), subtract_b_dec=False)
    x = torch.rand(3000, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    checkpoint = Checkpoint(sae, "diagonal", Files(tmp_path, tmp_path), lambda _: pytest.fail("nothing is written"))
    made = rescale(checkpoint, x, kind="per-latent", device="cpu")
    torch.testing.assert_close(made.factor, 1 / shrunk.double(), rtol=1e-5, atol=0)
    assert made.after.report.raw[LOSS].value == pytest.approx(0, abs=1e-9)


def test_an_sae_without_shrinkage_keeps_its_latents(tmp_path):
    sae = SAE(torch.eye(4), torch.eye(4), torch.zeros(4), subtract_b_dec=False)
    x = torch.rand(3000, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    checkpoint = Checkpoint(sae, "identity", Files(tmp_path, tmp_path), lambda _: pytest.fail("nothing is written"))
    made = rescale(checkpoint, x, kind="per-latent", device="cpu")
    torch.testing.assert_close(made.factor, torch.ones(4).double(), rtol=1e-9, atol=0)


L1 = 0.6


def soft(folder, l1=L1, decoder=1.0) -> Checkpoint:
    """Soft thresholds on orthogonal rows: the exact minimum of the squared error and l1·Σ f_j‖d_j‖."""
    lengths = torch.tensor([0.5, 1.0, 2.0, 3.0])
    sae = SAE(
        torch.diag(1 / lengths), decoder * torch.diag(lengths), torch.zeros(4), -l1 / 2 / lengths, subtract_b_dec=False
    )
    return Checkpoint(sae, "soft", Files(folder, folder), lambda _: pytest.fail("nothing is written"))


@pytest.fixture(scope="module")
def positive():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3000, 4, generator=generator) * torch.tensor([1.0, 2.0, 4.0, 8.0]), np.arange(3000) // 30


def test_from_l1_gives_rows_that_never_overlap_the_factors_of_least_squares(positive, tmp_path):
    x, ids = positive
    seen: list[int] = []
    options = {"documents": ids, "kind": "from-l1", "l1": L1, "device": "cpu", "progress": seen.append}
    made = rescale(soft(tmp_path), x, **options)
    assert sum(seen) == passes("from-l1") * len(x)
    part, sae = fitted_part(positive), soft(tmp_path).sae
    with torch.no_grad():
        u = sae.encode(part) @ sae.W_dec
    torch.testing.assert_close(made.factor, ((u * part).sum(0) / (u * u).sum(0)).double(), rtol=1e-5, atol=0)
    assert made.factor.min() > 1.02
    assert torch.equal(made.b_dec, sae.b_dec)


def test_from_l1_corrects_the_relu_sae_as_well_as_a_fit_to_its_errors(relu):
    """Whole-way factors overshoot: each would be right alone."""
    made, fitted = (rescale(embedded("minilm-relu"), kind=kind, **REAL) for kind in ("from-l1", "per-latent"))
    losses = [correction.after.report.raw[LOSS].value for correction in (made, fitted, relu)]
    assert losses[0] < losses[2] < made.before.report.raw[LOSS].value
    assert losses[0] == pytest.approx(losses[1], rel=0.005)
    assert made.recovered.value > 1.3
    x, ids = load_file(embedded("activations"))["activations"].float(), np.load(embedded("documents"))
    part, sae = fitted_part((x, ids)), checkpoints.load(embedded("minilm-relu"))
    with torch.no_grad():
        f = sae.encode(part)
        u, v = f @ sae.W_dec, (f * (made.factor - 1).float()) @ sae.W_dec
    error = part - sae.b_dec - u

    def loss(times: float) -> float:
        return (error - times * v).double().square().sum().item()

    assert minimize_scalar(loss, bracket=(0.5, 1.5)).x == pytest.approx(1, abs=0.1)  # by the law alone
    whole = measure(sae, part, latents=True, look=False, l1=1.2).latents.predicted(1.2 / 1.5946)
    fractions = (made.factor - 1) / (whole - 1)
    assert fractions.std() < 1e-3 * fractions.mean()
    assert loss(1 / fractions.mean().item()) > loss(0)


def test_from_l1_refuses_what_the_law_does_not_cover(positive, tmp_path):
    x, ids = positive
    options = {"documents": ids, "kind": "from-l1", "device": "cpu"}
    refused = {
        "states no L1 coefficient: give it with --l1": (soft(tmp_path), None),
        r"has the L1 coefficient 0 \(as given\): choose another kind": (soft(tmp_path), 0.0),
        "the L1 coefficient is nan: it must be a number": (soft(tmp_path), float("nan")),
        "the L1 coefficient is -1: it must be a number": (soft(tmp_path), -1),
        r"the L1 coefficient is 1e\+308: it must be a number": (soft(tmp_path), 1e308),
        "a gated SAE does not grow with its latents": (checkpoints.read(embedded("minilm-gated")), None),
        "normalises each token": (little(tmp_path, LayerNorm()), 1.0),
        "It does not hold. Possible causes: training saw activations multiplied by": (soft(tmp_path), 7 * L1),
        "no rescaling of the decoder corrects this SAE": (soft(tmp_path, decoder=-1.0), L1),
    }
    for line, (checkpoint, l1) in refused.items():
        with pytest.raises(InputError, match=line) as caught:
            rescale(checkpoint, x, l1=l1, **options)
        assert "\n" not in str(caught.value)


def test_where_memory_is_short_the_batch_is_halved(tokens, tmp_path, monkeypatch, capsys):
    """The correction equals that of the whole batch."""
    settings = {"documents": tokens[1], "kind": "per-latent", "device": "cpu", "batch_size": 500}
    whole, encode = rescale(little(tmp_path), tokens[0], **settings), SAE.encode

    def encode_few(self, x):
        if len(x) > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, x)

    monkeypatch.setattr(SAE, "encode", encode_few)
    halved = rescale(little(tmp_path), tokens[0], **settings)
    assert "tokens at a time" in capsys.readouterr().err
    torch.testing.assert_close(halved.factor, whole.factor, rtol=1e-6, atol=0)
    assert halved.after.gamma.value == pytest.approx(whole.after.gamma.value, rel=1e-6)
    assert halved.after.report.l0 == whole.after.report.l0


def test_the_split_depends_on_the_document_and_the_seed_alone():
    ids = np.arange(4000)
    fitted = Split(0.3, 1).chosen(ids)
    order = np.random.default_rng(0).permutation(4000)
    np.testing.assert_array_equal(Split(0.3, 1).chosen(ids[order]), fitted[order])
    np.testing.assert_array_equal(Split(0.3, 1).chosen(ids[order][:7]), fitted[order][:7])
    assert not np.array_equal(Split(0.3, 2).chosen(ids), fitted)
    assert abs(fitted.mean() - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5  # four standard errors of a share
    assert (fitted <= Split(0.5, 1).chosen(ids)).all()  # with a greater share, documents are only added


def test_the_order_of_the_documents_and_the_batches_change_nothing(tokens, tmp_path):
    checkpoint, (x, ids) = little(tmp_path), tokens
    order = torch.randperm(N, generator=torch.Generator().manual_seed(5))
    in_order = rescale(checkpoint, x, documents=ids, kind="per-latent", device="cpu")
    shuffled = rescale(
        checkpoint, x[order], documents=ids[order.numpy()], kind="per-latent", device="cpu", batch_size=77
    )
    torch.testing.assert_close(in_order.factor, shuffled.factor, rtol=1e-6, atol=0)
    assert in_order.after.gamma.value == pytest.approx(shuffled.after.gamma.value, rel=1e-6)


def test_what_was_corrected_stays_as_it_is_and_the_record_is_json(tokens, tmp_path):
    checkpoint, seen = little(tmp_path), []
    before = {name: tensor.clone() for name, tensor in checkpoint.sae.state_dict().items()}
    settings = {"documents": tokens[1], "device": "cpu", "dtype": "bfloat16", "progress": seen.append}
    for kind in FITTED:
        seen.clear()
        made = rescale(checkpoint, tokens[0], kind=kind, **settings)
        assert sum(seen) == passes(kind) * N
        for name, tensor in checkpoint.sae.state_dict().items():
            assert torch.equal(tensor, before[name])
        record = json.loads(json.dumps(made.to_dict(), allow_nan=False))
        assert record["kind"] == kind
        assert record["recovered"]["value"] == made.recovered.value
        assert record["before"]["decoder_bias"][GAMMA]["value"] == made.before.gamma.value
        assert (record["shift"] > 0) == (kind in SHIFTED)
        assert made.table().row_count == 7
        assert f"{made.after.report.raw[LOSS].value:.4f}" in made.in_words()


def test_without_documents_blocks_of_tokens_are_held_out(tokens, tmp_path):
    made = rescale(little(tmp_path), tokens[0], device="cpu")
    assert made.before.report.documents is None
    assert made.fitted + made.before.report.moments.clusters == -(-N // 128)
    assert "Without document IDs, blocks of 128 tokens were split instead" in made.in_words()
    with_ids = rescale(little(tmp_path), tokens[0], documents=tokens[1], device="cpu")
    assert "blocks" not in with_ids.in_words()


def test_tokens_that_are_not_finite_are_refused_or_dropped(tokens, tmp_path):
    x, ids = tokens[0].clone(), tokens[1]
    fitted = Split(0.5, 0).chosen(ids)
    for part in (np.flatnonzero(fitted)[0], np.flatnonzero(~fitted)[0]):
        harmed = x.clone()
        harmed[part, 1] = torch.nan
        for kind in FITTED:
            with pytest.raises(InputError, match=r"1 of .* tokens have a NaN"):
                rescale(little(tmp_path), harmed, documents=ids, kind=kind, device="cpu")
            made = rescale(little(tmp_path), harmed, documents=ids, kind=kind, device="cpu", drop_nonfinite=True)
            kept = np.arange(N) != part
            right = rescale(little(tmp_path), x[kept], documents=ids[kept], kind=kind, device="cpu")
            torch.testing.assert_close(made.factor, right.factor, rtol=1e-6, atol=0)
            assert made.after.report.l0 == pytest.approx(right.after.report.l0)


def test_each_figure_of_the_summary_says_its_origin(relu):
    before, after = relu.before, relu.after
    gammas = f"γ {before.about_bias.raw[GAMMA].value:.3f} ► {after.about_bias.raw[GAMMA].value:.3f}"
    losses = f"relative loss {before.report.raw[LOSS].value:.4f} ► {after.report.raw[LOSS].value:.4f}"
    assert f"{gammas} (about the decoder bias), {losses} (raw, paired difference " in relu.in_words()
    assert "); recovers " in relu.in_words()


def evaluated(x, x_hat, groups=4, bias=0.0):
    report = Report("sae", Moments.from_pairs(x, x_hat, np.arange(len(x)) % groups))
    return Evaluated(report, Report("sae", Moments.from_pairs(x - bias, x_hat - bias, np.arange(len(x)) % groups)))


def corrected(before, after, checkpoint):
    sae = checkpoint.sae
    factor = torch.tensor(1.25, dtype=torch.float64)
    return Correction("scalar", checkpoint, sae.W_dec, sae.b_dec, factor, 0.5, 0, 7, before, after)


def test_where_nothing_was_lost_nothing_is_said_to_be_recovered(tmp_path):
    """γ = 1 exactly: with an interval, and in a single document, which gives no interval."""
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    checkpoint = little(tmp_path)
    for groups, reason in ((4, "1 within ±1 %: nothing"), (1, "already has the best length: nothing")):
        made = corrected(evaluated(x, x, groups), evaluated(x, 0.9 * x, groups), checkpoint)
        assert made.recovered.value is None
        assert reason in made.recovered.reason
        assert f"{made.recovered.reason}." in made.in_words()


def test_where_x_hat_turns_away_the_reason_is_that_of_gamma(tmp_path):
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = corrected(evaluated(x, -x), evaluated(x, x), little(tmp_path))
    assert made.recovered.value is None
    assert "c ≤ 0" in made.recovered.reason
    assert "γ undefined ► 1.000" in made.in_words()


def test_the_share_recovered_is_of_what_one_factor_could(tmp_path):
    """x̂ = x/2 + orthogonal noise: the factor 2 recovers everything but the noise."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=generator, dtype=torch.float64)
    x_hat = 0.5 * x + 0.02 * torch.randn(400, 6, generator=generator, dtype=torch.float64)
    checkpoint, a = little(tmp_path), (x * x).sum()
    for factor in (1.0, 1.5, 1.9):
        made = corrected(evaluated(x, x_hat, bias=0.0), evaluated(x, factor * x_hat), checkpoint)
        best = (x * x_hat).sum() / (x_hat * x_hat).sum()
        lost = [((x - s * x_hat) ** 2).sum() / a for s in (1, factor, best)]
        assert made.recovered.value == pytest.approx(((lost[0] - lost[1]) / (lost[0] - lost[2])).item(), abs=1e-12)
    assert "recovers 99." in made.in_words()
    assert "% of what one factor could" in made.in_words().replace(" %", "%")


SHARES = [(0.5, "50.0 % of"), (1.999, "199.9 % of"), (2.0, "2.0 times"), (-0.2, "-20.0 % of")]


@pytest.mark.parametrize(("value", "words"), SHARES)
def test_shares_beyond_two_are_times(value, words):
    assert _share(value) == words


def test_the_command_drops_tokens_that_are_not_finite(tmp_path, capsys):
    harmed = load_file(embedded("activations"))["activations"].float()
    harmed[::500, 3] = torch.nan
    np.save(tmp_path / "x.npy", harmed.numpy())
    command = ["rescale", "--sae", "embedded:minilm-relu", "--activations", str(tmp_path / "x.npy"), "--device", "cpu"]
    with pytest.raises(InputError, match="NaN or an infinity"):
        app([*command, "--out", str(tmp_path / "one")], standalone_mode=False)
    app([*command, "--out", str(tmp_path / "two"), "--drop-nonfinite"], standalone_mode=False)
    assert (tmp_path / "two" / "sae_weights.safetensors").is_file()
    printed = " ".join(capsys.readouterr().out.split())
    assert "not finite, dropped" in printed
    assert "Without document IDs, blocks of 128 tokens were split instead" in printed


REFUSED = {
    "another kind": (
        {"kind": "best"},
        "kind is 'best': choose scalar, scale-shift, per-latent, joint, decoder",
    ),
    "no share": ({"share": 0.0}, "share is 0.0: a fraction between 0 and 1 is needed"),
    "all of them": ({"share": 1.0}, "share is 1.0"),
    "nan": ({"share": float("nan")}, "share is nan"),
    "a seed": ({"seed": -1}, "seed is -1: a whole number from 0"),
    "a dtype": ({"dtype": "int8"}, "dtype is 'int8': choose"),
    "a batch": ({"batch_size": 0}, "batch_size is 0"),
    "one document": ({"documents": np.zeros(N, int)}, "documents: found fewer than two"),
    "one block": ({"documents": None, "source": torch.randn(100, D_IN)}, "blocks of 128 tokens: found fewer than two"),
    "one side": ({"share": 1e-9}, "documents: all 60 would be held out with share 1e-09 and seed 0"),
    "another width": ({"source": torch.randn(N, D_IN + 1)}, "dimension 6, but activations has 7"),
    "nothing left": ({"source": torch.full((N, D_IN), torch.nan), "drop_nonfinite": True}, "nothing is left to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line(name, tokens, tmp_path):
    changed, line = REFUSED[name]
    settings = {"source": tokens[0], "documents": tokens[1], "device": "cpu"} | changed
    with pytest.raises(InputError, match=line) as caught:
        rescale(little(tmp_path), **settings)
    assert "\n" not in str(caught.value)


def test_an_sae_that_points_away_from_x_is_refused(tokens, tmp_path):
    checkpoint = little(tmp_path)
    checkpoint.sae.W_dec *= -1
    with pytest.raises(InputError, match=r"no rescaling of the decoder corrects this SAE, about its bias: .*c ≤ 0"):
        rescale(checkpoint, tokens[0], documents=tokens[1], device="cpu")


def test_activations_that_shuffle_are_refused(tokens, tmp_path):
    """In a different order different tokens would be fitted on, so the held-out tokens would not be held out."""
    shuffled = DataLoader(tokens[0], batch_size=100, shuffle=True, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="gave different tokens, or a different order, when it was read again"):
        rescale(little(tmp_path), shuffled, device="cpu")
    with pytest.raises(InputError, match="can be read only once"):
        rescale(little(tmp_path), (part for part in tokens[0].split(100)), device="cpu")
