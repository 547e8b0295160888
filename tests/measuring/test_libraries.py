"""SAE objects of other libraries: the right part of what they return is x̂, and their own errors name the SAE."""

import sys
import warnings
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import linear, normalize

from sandbox import InputError, look, measure
from sandbox.measuring.forward import Forward
from sandbox.measuring.libraries import decoder_of

with warnings.catch_warnings():  # the libraries' own imports may warn
    warnings.simplefilter("ignore")
    import sae_lens
    from sae_lens import TemporalSAE, TemporalSAEConfig
    from sparsify import SparseCoder, SparseCoderConfig

D, LATENTS, N = 8, 24, 200
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))


def some(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.5


class EndToEnd(nn.Module):
    """As e2e_sae's SAE: returns x̂ and the latents, and decodes with columns of norm 1."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(D, LATENTS), nn.ReLU())
        self.decoder = nn.Linear(LATENTS, D)

    @property
    def dict_elements(self):
        return normalize(self.decoder.weight, dim=0)

    def forward(self, x):
        latents = self.encoder(x)
        return linear(latents, self.dict_elements, self.decoder.bias), latents


class Overcomplete(nn.Module):
    """As overcomplete's SAE: returns pre-codes, codes and x̂; encode returns the first two."""

    def __init__(self):
        super().__init__()
        self.encoder, self.dictionary = nn.Linear(D, LATENTS), nn.Parameter(some(LATENTS, D, seed=1))

    def get_dictionary(self):
        return self.dictionary

    def encode(self, x):
        pre_codes = self.encoder(x)
        return pre_codes, pre_codes.relu()

    def decode(self, codes):
        return codes @ self.dictionary

    def forward(self, x):
        pre_codes, codes = self.encode(x)
        return pre_codes, codes, self.decode(codes)


class Saev(nn.Module):
    """As saev's SparseAutoencoder: one x̂ per Matryoshka prefix, of which the last is of the whole dictionary."""

    def __init__(self):
        super().__init__()
        self.W_enc, self.W_dec = nn.Parameter(some(D, LATENTS, seed=1)), nn.Parameter(some(LATENTS, D, seed=2))
        self.b_dec = nn.Parameter(some(D, seed=3))

    def forward(self, x):
        latents = (x @ self.W_enc).relu()
        half = latents[:, : LATENTS // 2] @ self.W_dec[: LATENTS // 2] + self.b_dec
        whole = latents @ self.W_dec + self.b_dec
        return SimpleNamespace(f_x=latents, x_hats=torch.stack([half, whole], dim=1))


OBJECTS = {
    "e2e_sae": (EndToEnd, lambda sae, x: sae(x)[0], lambda sae, x: sae(x)[1]),
    "overcomplete": (Overcomplete, lambda sae, x: sae(x)[2], lambda sae, x: sae(x)[1]),
    "saev": (Saev, lambda sae, x: sae(x).x_hats[:, 1], lambda sae, x: sae(x).f_x),
}


@pytest.fixture(params=OBJECTS)
def library(request, monkeypatch):
    """An object whose class is defined in a package of that name, with its x̂ and latents by hand."""
    kind, x_hat, latents = OBJECTS[request.param]
    monkeypatch.setitem(sys.modules, request.param, ModuleType(request.param))
    monkeypatch.setattr(kind, "__module__", f"{request.param}.nn.modeling")
    torch.manual_seed(0)
    return kind().requires_grad_(False), x_hat, latents


def test_x_hat_and_the_latents_are_found_in_what_the_library_returns(library):
    sae, x_hat, latents = library
    forward = Forward(sae, "auto", "float32")
    forward.try_on(X)
    passed = forward(X)
    torch.testing.assert_close(passed.x_hat, x_hat(sae, X))
    assert torch.equal(passed.l0, (latents(sae, X) != 0).sum(-1))
    torch.testing.assert_close(latents(sae, X) @ forward.W_dec + forward.b_dec, x_hat(sae, X))
    report = measure(sae, X, latents=True)
    assert report.moments.b == pytest.approx(float(x_hat(sae, X).double().square().sum(-1).mean()), rel=1e-5)
    assert report.latents.count.tolist() == (latents(sae, X) > 0).sum(0).tolist()


def test_a_class_of_the_users_own_may_inherit_from_a_librarys(library):
    sae, x_hat, _ = library
    sae.__class__ = type("Mine", (type(sae),), {"__module__": "mine"})
    torch.testing.assert_close(Forward(sae, "auto", "float32").run(X)[0], x_hat(sae, X))


def test_a_class_of_the_library_without_x_hat_is_refused(monkeypatch):
    class Codebook(nn.Module):
        def forward(self, x):
            return x.sum(-1), None

    monkeypatch.setattr(Codebook, "__module__", "e2e_sae.models.sparsifiers")
    with pytest.raises(InputError, match=r"the SAE gave \(64,\) for x of shape"):
        measure(Codebook(), X)
    assert decoder_of(Codebook()) is None


def test_an_older_output_of_saev_is_refused(monkeypatch):
    monkeypatch.setattr(Saev, "__module__", "saev.nn.modeling")
    monkeypatch.setattr(Saev, "forward", lambda self, x: (x, x, None))
    with pytest.raises(InputError, match=r"the SAE gave tuple .*, alone, such as measure\(lambda x: sae\(x\)\[0\]"):
        measure(Saev(), X)


@pytest.mark.parametrize("multi_topk", [False, True])
def test_an_object_of_sparsify_is_decoded_from_its_k_latents(multi_topk):
    torch.manual_seed(0)
    sae = SparseCoder(D, SparseCoderConfig(num_latents=LATENTS, k=3, multi_topk=multi_topk)).requires_grad_(False)
    sae.b_dec.copy_(some(D, seed=4))
    latents = sae.encode(X)
    expected = sae.decode(latents.top_acts, latents.top_indices)
    report = measure(sae, X)
    assert report.moments.b == pytest.approx(float(expected.double().square().sum(-1).mean()), rel=1e-5)
    assert report.l0 <= 3


# --- SAELens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iterations", [None, 3])
def test_matching_pursuit_is_measured_as_an_object(iterations):
    config = sae_lens.MatchingPursuitSAEConfig(D, LATENTS, residual_threshold=0.5, max_iterations=iterations)
    sae = sae_lens.MatchingPursuitSAE(config)
    sae.W_dec.data[:] = normalize(some(LATENTS, D, seed=1), dim=-1)
    expected = sae(X).detach()
    report = measure(sae, X)
    assert report.moments.c == pytest.approx(float((X * expected).double().sum(-1).mean()), rel=1e-5)
    assert report.l0 == pytest.approx(float((sae.encode(X) != 0).sum(-1).double().mean()))


def temporal():
    return TemporalSAE(TemporalSAEConfig(D, LATENTS, n_heads=4, bottleneck_factor=2, kval_topk=3))


@pytest.mark.parametrize("x", [X, X.reshape(-1, 10, D)], ids=["tokens", "texts"])
def test_a_temporal_sae_is_refused_because_its_tokens_are_not_alone(x):
    for run in (measure, look):
        with pytest.raises(InputError, match="TemporalSAE is a temporal SAE: its x̂ of a token also depends on"):
            run(temporal(), x)


class Picky(nn.Module):
    def forward(self, x):
        raise ValueError("not enough values to unpack\nat line 3")


class Wordless(nn.Module):
    def forward(self, x):
        raise AssertionError


FAILING = {
    Picky: "Picky: its forward pass fails on x of shape .* with ValueError: not enough values to unpack; it must map",
    Wordless: r"Wordless: its forward pass fails on x of shape \(64, 8\) with AssertionError; it must map",
}


@pytest.mark.parametrize("kind", FAILING)
@pytest.mark.parametrize("run", [measure, look])
def test_an_error_of_the_saes_own_becomes_one_line_that_names_it(kind, run):
    with pytest.raises(InputError, match=FAILING[kind]) as raised:
        run(kind(), X)
    assert raised.value.__cause__ is not None
    assert "\n" not in str(raised.value)


def test_an_error_in_the_middle_of_a_run_names_the_sae_too():
    def late(x):
        if float(x.abs().max()) > 50:
            raise KeyError("a code that is too large")
        return x * 0.9

    x = torch.cat([X, X * 100])
    with pytest.raises(
        InputError, match=r"late: its forward pass fails on .* with KeyError: 'a code that is too large'"
    ):
        measure(late, x, batch_size=N, look=False)


def test_a_failing_encode_hides_latents_but_not_x_hat():
    class Half(nn.Module):
        def encode(self, x):
            raise ValueError("give a mask")

        def decode(self, latents):
            return latents

        def forward(self, x):
            return x * 0.5

    report = measure(Half(), X)
    assert report.l0 is None
    assert report.moments.b == pytest.approx(report.moments.a / 4)
