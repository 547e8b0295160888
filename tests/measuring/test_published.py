"""What SAELens, SAEBench, dictionary_learning and sparsify would print, compared with their own code or its formula."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sandbox.errors import InputError
from sandbox.measuring import published as published_module
from sandbox.measuring.published import LIBRARIES, Published
from sandbox.system.dtypes import FLOATS

with warnings.catch_warnings():  # their own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from dictionary_learning.dictionary import AutoEncoder
    from dictionary_learning.evaluation import evaluate
    from sae_lens.evals import get_sparsity_and_variance_metrics
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.synthetic.evals import ShrinkageCalculator
    from sae_lens.training.activation_scaler import ActivationScaler
    from sparsify import SparseCoder, SparseCoderConfig
    from transformer_lens.hook_points import HookedRootModule, HookPoint

B, D, D_SAE = 32, 6, 12

# Where the squares overflow float16, and where the mean is far from 0, too.
SETTINGS = [
    (torch.float64, 1.0),
    (torch.float32, 1.0),
    (torch.bfloat16, 1.0),
    (torch.float16, 1.0),
    (torch.float16, 100.0),
]


def zero(d: int) -> Published:
    """Totals of no batches."""
    none = torch.zeros(0, 1, d)
    return Published.from_batch(none, none)


def activations(dtype: torch.dtype, scale: float = 1.0) -> torch.Tensor:
    """Three batches with a nonzero mean and some longer vectors."""
    x = torch.randn(3 * B, D, generator=torch.Generator().manual_seed(0)) + 0.5
    x[::7] *= 8
    return (scale * x).to(dtype)


def same(printed: dict[str, float], library: dict[str, float], dtype: torch.dtype):
    """Equal up to the last digit of the dtype, because sums may be taken in a different order."""
    left_out = {"l1", "l1_loss", "frac_alive"}  # of the latents alone: nothing of x̂ is in them
    assert set(printed) == set(library) - left_out
    for metric, value in printed.items():
        assert value == pytest.approx(library[metric], rel=2 * torch.finfo(dtype).eps, abs=0, nan_ok=True), metric


class Lookup(HookedRootModule):
    """A model with one hook and known activations: token i has activation x_i."""

    def __init__(self, x):
        super().__init__()
        self.embed = nn.Embedding.from_pretrained(x)
        self.hook_embed = HookPoint()
        self.setup()

    def forward(self, tokens, prepend_bos, stop_at_layer):
        return self.hook_embed(self.embed(tokens))


class Sequences:
    """Every token once, in order, in batches of 4 prompts with 8 tokens each."""

    def __init__(self, tokens):
        self.batches = iter(torch.arange(tokens).reshape(-1, 4, 8))

    def get_batch_tokens(self, prompts):
        assert prompts == 4
        return next(self.batches)


def saelens_sae(dtype: torch.dtype, scale: float) -> StandardSAE:
    generator = torch.Generator().manual_seed(1)
    name = str(dtype).removeprefix("torch.")
    sae = StandardSAE(StandardSAEConfig(d_in=D, d_sae=D_SAE, dtype=name, device="cpu", apply_b_dec_to_input=False))
    sae.cfg.metadata.hook_name = "hook_embed"
    weights = {
        "W_enc": 0.5 * torch.randn(D, D_SAE, generator=generator),
        "W_dec": 0.3 * torch.randn(D_SAE, D, generator=generator),
        "b_enc": torch.full((D_SAE,), -0.2 * scale),
        "b_dec": torch.full((D,), 0.1 * scale),
    }
    sae.load_state_dict({name: value.to(dtype) for name, value in weights.items()})
    return sae.eval()


# In the last two, model and SAE differ in dtype, and results that use both have the wider one.
@pytest.mark.parametrize(
    ("dtype", "scale", "sae_dtype"),
    [(dtype, scale, dtype) for dtype, scale in SETTINGS]
    + [(torch.bfloat16, 1.0, torch.float32), (torch.float16, 100.0, torch.float32)],
)
@torch.no_grad()
def test_saelens_prints_it(dtype, scale, sae_dtype):
    x, sae = activations(dtype, scale), saelens_sae(sae_dtype, scale)
    theirs, _ = get_sparsity_and_variance_metrics(
        sae,
        Lookup(x),
        Sequences(len(x)),
        ActivationScaler(),
        n_batches=3,
        compute_l2_norms=True,
        compute_sparsity_metrics=True,
        compute_variance_metrics=True,
        compute_featurewise_density_statistics=False,
        eval_batch_size_prompts=4,
        model_kwargs={},
    )
    published, calculator = zero(D), ShrinkageCalculator()
    for batch in x.split(B):
        feature_acts = sae.encode(batch)
        x_hat = sae.decode(feature_acts)
        calculator.add_batch(x_hat, batch)
        published += Published.from_batch(batch, x_hat, (feature_acts != 0).sum(-1))
    same(published.values()["SAELens"], theirs | {"shrinkage": calculator.compute()}, sae_dtype)


# The last token of all is alone in its batch. float16 rounds 1e-6 to 9.5e-7.
@pytest.mark.parametrize("norms", [(3, 1.01e-6, 0.9e-6, 0, 2), (5, 4, 3, 2, 0), (0, 9e-7, 0, 0, 0)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_saelens_skips_tokens_of_norm_1e_minus_6_and_less_in_its_shrinkage(norms, dtype):
    x = torch.tensor([[0.0, norm] for norm in norms]).to(dtype)
    x_hat = x / 2 + 0.25
    calculator, published = ShrinkageCalculator(), zero(2)
    for part, part_hat in zip(x.split(2), x_hat.split(2), strict=True):
        calculator.add_batch(part_hat, part)
        published += Published.from_batch(part, part_hat)
    printed = published.values()["SAELens"]["shrinkage"]
    assert printed == pytest.approx(calculator.compute(), rel=1e-15, abs=0)


@pytest.mark.parametrize(("dtype", "scale"), SETTINGS)
@torch.no_grad()
def test_dictionary_learning_prints_it(dtype, scale):
    x = activations(dtype, scale)
    batches = [*x.split(B), x[:5]]  # a short one counts as much as a whole one
    dictionary = AutoEncoder(D, D_SAE)
    dictionary.load_state_dict(
        {
            "bias": torch.full((D,), 0.1 * scale),
            "encoder.weight": 0.5 * torch.randn(D_SAE, D, generator=torch.Generator().manual_seed(1)),
            "encoder.bias": torch.full((D_SAE,), -0.2 * scale),
            "decoder.weight": 0.3 * torch.randn(D, D_SAE, generator=torch.Generator().manual_seed(2)),
        }
    )
    dictionary = dictionary.to(dtype)
    theirs = evaluate(dictionary, iter(batches), n_batches=len(batches))
    published = zero(D)
    for batch in batches:
        x_hat, feature_acts = dictionary(batch, output_features=True)
        published += Published.from_batch(batch, x_hat, (feature_acts != 0).sum(-1))
    # Half precision: to the digit, since a batch's numbers become Python floats; its variance is summed in float32.
    same(published.values()["dictionary_learning"], theirs, torch.promote_types(dtype, torch.float32))


def saebench_by_hand(batches: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, float]:
    """SAEBench 0.6.0 (not a dependency of the tests), sae_bench/evals/core/main.py lines 538 to 628, in float64."""
    rows: dict[str, list[float]] = {}
    bias, square, square_of_number, residual = [], [], [], []
    for x, x_hat, l0 in batches:
        mean = x.mean(0)
        for u, v, active in zip(x, x_hat, l0, strict=True):  # lines 539-600: of each token
            error = np.sum((u - v) ** 2)
            token = {
                "l2_norm_in": np.sqrt(u @ u),
                "l2_norm_out": np.sqrt(v @ v),
                "l2_ratio": np.sqrt(v @ v) / (np.sqrt(u @ u) if np.sqrt(u @ u) >= 1e-4 else 1),
                "l0": active,
                "mse": error / len(x),  # line 570: over the tokens of the batch, and below the mean over tokens again
                "explained_variance_legacy": 1 - error / np.sum((u - mean) ** 2),
                "cossim": (u @ v) / np.sqrt((u @ u) * (v @ v)),
            }
            for name, value in token.items():
                rows.setdefault(name, []).append(value)
        bias.append(np.sum(x_hat**2) / np.sum(x * x_hat))  # line 549
        square.append(np.sum(x**2) / len(x))  # line 582
        square_of_number.append(np.mean(x**2))  # lines 585 and 618: concatenated over dimensions, then one mean
        residual.append(np.sum((x - x_hat) ** 2) / len(x))  # line 588
    variance = np.mean(square) - np.mean(square_of_number) ** 2  # line 621
    return {name: float(np.mean(values)) for name, values in rows.items()} | {
        "relative_reconstruction_bias": float(np.mean(bias)),
        "explained_variance": float(1 - np.mean(residual) / variance),
    }


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saebench_prints_it(dtype, scale):
    x = activations(dtype, scale)
    x[3] = 0  # its ratio has a guard, and its cosine is left to be nan
    x_hat = 0.8 * x + 0.1 * x.abs() + scale / 10
    l0 = torch.arange(len(x)) % 4  # its mean, 1.5, is exact in the float32 that it is held in
    batches = list(zip(x.split(B), x_hat.split(B), l0.split(B), strict=True))
    published = sum((Published.from_batch(*three) for three in batches), zero(D))
    with np.errstate(invalid="ignore"):
        by_hand = saebench_by_hand([tuple(tensor.double().numpy() for tensor in batch) for batch in batches])
    printed = published.values()["SAEBench"]
    assert printed["cossim"] != printed["cossim"]
    # float32: explained_variance_legacy sums quotients of either sign, some a hundred times their mean
    near = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    assert printed == pytest.approx(by_hand, rel=near, nan_ok=True)


# The last adds up more than float16 can hold, but in the denominator alone: it prints 0.
@pytest.mark.parametrize(
    ("dtype", "scale", "sae_dtype"),
    [(dtype, scale, dtype) for dtype, scale in SETTINGS] + [(torch.float16, 100.0, torch.float32)],
)
@torch.no_grad()
def test_sparsify_prints_it(dtype, scale, sae_dtype):
    torch.manual_seed(0)
    sae = SparseCoder(D, SparseCoderConfig(num_latents=D_SAE, k=2), dtype=sae_dtype)
    theirs, published = [], zero(D)
    for batch in activations(dtype, scale).split([B, B, B - 5, 5]):  # a short one counts as much as a whole one
        output = sae(batch)
        theirs.append(float(output.fvu))
        published += Published.from_batch(batch, output.sae_out)
    same(published.values()["sparsify"], {"fvu": sum(theirs) / len(theirs)}, sae_dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_many_batches_at_once_are_the_batches_one_by_one(dtype):
    x = torch.cat((activations(dtype), activations(dtype)[:5]))
    x_hat = (0.8 * x + 0.1 * x.abs()).to(dtype)
    l0 = torch.arange(len(x))
    at_once = Published.from_tokens(x, x_hat, B, l0).values()
    parts = (Published.from_batch(*three) for three in zip(x.split(B), x_hat.split(B), l0.split(B), strict=True))
    one_by_one = sum(parts, zero(D)).values()
    for library in LIBRARIES:
        same(at_once[library], one_by_one[library], dtype)


def test_tokens_beyond_a_piece_are_batched_as_before(monkeypatch):
    x = torch.cat((activations(torch.float64), activations(torch.float64)[:5]))
    expected = Published.from_tokens(x, 0.9 * x + 0.1, 8).values()
    for numbers in (1, 8 * D, 24 * D + 1):  # less than a batch, one, three and a little
        monkeypatch.setattr(published_module, "PIECE", numbers)
        for library, printed in Published.from_tokens(x, 0.9 * x + 0.1, 8).values().items():
            assert printed == pytest.approx(expected[library], rel=1e-13)  # float64, summed in another order


def test_the_batches_add_up_in_any_order_and_none_adds_nothing():
    x = activations(torch.float64)
    first, second, third = (Published.from_batch(batch, 0.9 * batch + 0.1) for batch in x.split(B))
    none = zero(D)
    forwards, backwards = none + first + (second + third), (third + second) + first + none
    for name in ("sums", "entries", "sum_x"):
        # a sum of three in another order moves by two roundings
        torch.testing.assert_close(getattr(forwards, name), getattr(backwards, name), rtol=1e-15, atol=1e-13)
    assert none.values() == {library: {} for library in LIBRARIES}


def test_what_was_not_seen_is_left_out():
    x = activations(torch.float32)
    values = Published.from_tokens(x, 0.5 * x, B).values()
    assert set(values.pop("sparsify")) == {"fvu"}
    for metrics in values.values():
        assert "l0" not in metrics
        assert metrics["relative_reconstruction_bias"] == pytest.approx(0.5, rel=1e-6)


def test_a_batch_of_one_token_gives_what_they_print_without_a_warning():
    x = activations(torch.float32)[:1]
    values = Published.from_batch(x, 0.5 * x).values()
    assert np.isnan(values["dictionary_learning"]["frac_variance_explained"])
    assert values["SAELens"]["explained_variance_legacy"] == -np.inf  # the token is its own mean
    assert values["sparsify"]["fvu"] == np.inf


def test_a_variance_of_nothing_is_called_0_or_1_by_saelens():
    x = torch.ones(B, D)
    assert Published.from_batch(x, x).values()["SAELens"]["explained_variance"] == 1
    assert Published.from_batch(x, 0.5 * x).values()["SAELens"]["explained_variance"] == 0


@pytest.mark.parametrize(("variance", "flat"), [(0.99e-10, True), (1.01e-10, False), (3e-10, False)])
@pytest.mark.parametrize("error", [0.99e-10, 1.01e-10, 3e-10])
def test_saelens_calls_less_than_1e_minus_10_nothing(variance, flat, error):
    """`ExplainedVarianceCalculator.compute`: x is ±√variance, x̂ is off by √error (squared units)."""
    x = torch.tensor([[variance**0.5], [-(variance**0.5)]], dtype=torch.float64)
    printed = Published.from_batch(x, x + error**0.5).values()["SAELens"]["explained_variance"]
    assert printed == pytest.approx(float(error < 1e-10) if flat else 1 - error / variance, rel=1e-6)


@pytest.mark.parametrize("library", ["SAELens", "SAEBench"])
def test_a_norm_below_1e_minus_4_counts_as_1_in_their_ratio(library):
    for norm, ratio in ((0.99e-4, 3.0), (1.01e-4, 3 / 1.01e-4)):
        x = torch.tensor([[norm, 0.0]], dtype=torch.float64)
        x_hat = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
        assert Published.from_batch(x, x_hat).values()[library]["l2_ratio"] == pytest.approx(ratio)


def test_batches_along_several_axes_are_as_many_batches():
    x = activations(torch.float64)[: 2 * 3 * 16]
    at_once = Published.from_batch(x.reshape(2, 3, 16, D), 0.9 * x.reshape(2, 3, 16, D) + 0.1).values()
    for library, printed in Published.from_tokens(x, 0.9 * x + 0.1, 16).values().items():
        assert at_once[library] == pytest.approx(printed)


def test_a_batch_may_be_one_token_and_x_is_summed_in_its_own_dtype():
    x = activations(torch.float64)[:8] + 1 / 3
    one_each = Published.from_tokens(x, x.float(), 1)
    assert torch.equal(one_each.sum_x, Published.from_batch(x[:, None], x[:, None]).sum_x)
    torch.testing.assert_close(one_each.sum_x, x.sum(0), rtol=1e-14, atol=0)
    assert one_each.entries[0].sum() == 8


def test_two_tokens_by_hand():
    """x is (3, 4) and (0, 2), x̂ is (3, 0) and (0, 1): every metric of the four libraries, worked out by hand."""
    x, x_hat = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).double(), torch.tensor([[3.0, 0.0], [0.0, 1.0]]).double()
    values = Published.from_batch(x, x_hat, torch.tensor([1, 2])).values()
    shared = {
        "l2_norm_in": 3.5,
        "l2_norm_out": 2.0,
        "l2_ratio": (3 / 5 + 1 / 2) / 2,
        "relative_reconstruction_bias": (9 + 1) / (9 + 2),
        "l0": 1.5,
        # the mean is (1.5, 3): both tokens are 1.5² + 1² away from it, and x̂ is off by 4² and by 1²
        "explained_variance_legacy": 1 - (16 + 1) / 2 / 3.25,
        "cossim": (3 / 5 + 1) / 2,
    }
    theirs = {"mse": 8.5, "explained_variance": 1 - 17 / 6.5, "shrinkage": shared["l2_ratio"]}
    assert values["SAELens"] == pytest.approx(shared | theirs)
    assert values["sparsify"] == {"fvu": pytest.approx(17 / 6.5)}
    # E‖x‖² = 14.5; the mean squares of the two numbers are 4.5 and 10, their mean 7.25
    assert values["SAEBench"] == pytest.approx(shared | {"mse": 4.25, "explained_variance": 1 - 8.5 / (14.5 - 7.25**2)})
    # x − x̂ is (0, 4), (0, 1): variance 4.5; that of x is 4.5 + 2
    theirs = {"l2_loss": 2.5, "frac_variance_explained": 1 - 4.5 / 6.5}
    same_name = {key: shared[key] for key in ("l0", "cossim", "l2_ratio", "relative_reconstruction_bias")}
    assert values["dictionary_learning"] == pytest.approx(theirs | same_name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: Published.from_batch(x, x[:3]), "the same"),
        (lambda x: Published.from_batch(x[0], x[0]), r"\(\.\.\., tokens, d\)"),
        (lambda x: Published.from_batch(x.int(), x), "x has dtype torch.int32"),
        (lambda x: Published.from_batch(x, x, torch.ones(5)), "one count per token"),
        (lambda x: Published.from_tokens(x, x, 0), "batches of 0 tokens"),
        (lambda x: Published.from_tokens(x, x[:3], 2), "the same number of tokens"),
        (lambda x: Published.from_batch(x, x) + zero(2), "do not merge"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(activations(torch.float32)[:8])
