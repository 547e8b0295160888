"""What a forward pass finds out about an object, what it does when memory runs out, and when two results are equal."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sandbox.checkpoints.autoencoder import SAE
from sandbox.checkpoints.normalisation import ConstantNorm
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward, Pairs, fingerprint
from sandbox.measuring.reconstruct import close, out_of_memory
from sandbox.system.dtypes import dtype_named

X = torch.randn(70, 3, generator=torch.Generator().manual_seed(0))


class Linear(nn.Module):
    """x ► 2·ReLU(x) + (1, 2, 3), as encode and decode, with dropout that is active only in training."""

    def __init__(self, off: float = 0.0):
        super().__init__()
        self.W_dec = nn.Parameter(2 * torch.eye(3))
        self.register_buffer("b_dec", torch.tensor([1.0, 2.0, 3.0]))
        self.off, self.drop = off, nn.Dropout(0.9)

    def encode(self, x):
        return x.relu_()  # in place: the caller's x must not change

    def decode(self, acts):
        return self.drop(acts @ self.W_dec + self.b_dec)

    def forward(self, x):
        return self.decode(self.encode(x)) + self.off


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def opened(sae, **more) -> Forward:
    return Forward(sae, "auto", "float32", **more)


def test_latents_are_seen_where_decode_of_encode_is_the_forward_pass():
    sae, before = opened(Linear().eval()), X.clone()
    assert not sae.sees_latents  # unknown before `try_on`
    sae.try_on(X)
    passed = sae(X)
    torch.testing.assert_close(passed.x_hat, 2 * X.relu() + torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(passed.l0, (X > 0).sum(1).float())
    assert torch.equal(X, before)
    assert sae.sees_latents
    assert torch.equal(sae.W_dec, 2 * torch.eye(3))
    torch.testing.assert_close(sae.b_dec, torch.tensor([1.0, 2.0, 3.0]))
    other = opened(Linear(off=0.1).eval())  # decode(encode(x)) is not the forward pass
    other.try_on(X)
    assert other(X).l0 is None
    assert not other.sees_latents
    assert other.W_dec is other.b_dec is None


def test_the_decoder_is_known_only_where_x_hat_is_made_of_it():
    sae = Linear().eval()
    sae.decode = lambda acts: (acts @ sae.W_dec).sin() + sae.b_dec
    forward = opened(sae)
    forward.try_on(X)
    assert forward.sees_latents
    assert forward.W_dec is forward.b_dec is None


def test_a_function_has_no_latents_and_its_x_hat_must_fit():
    plain = opened(lambda x: 0.5 * x)
    plain.try_on(X)
    assert torch.equal(plain(X).x_hat, 0.5 * X)
    assert plain(X).l0 is None
    for wrong, got in ((lambda x: x[:, :2], r"\(64, 2\)"), (lambda x: (x, x), "tuple")):
        with pytest.raises(InputError, match=f"the SAE gave {got} for x of shape"):
            opened(wrong).try_on(X)
    with pytest.raises(InputError, match="each of the first 64 tokens tried has a NaN"):
        plain.try_on(torch.full((5, 3), math.nan))


@pytest.mark.parametrize(("most", "pieces"), [(70, [70]), (69, [35, 35]), (20, [17, 17, 17, 17, 2]), (1, [1] * 70)])
def test_where_memory_runs_out_pieces_are_halved_and_stay_so(most, pieces, capsys):
    seen = []

    def greedy(x):
        if len(x) > most:
            raise torch.OutOfMemoryError("too much")
        seen.append(len(x))
        return 0.5 * x

    sae = opened(greedy)
    sae._reconstruct._compute = sae._reconstruct._plain
    assert torch.equal(sae(X).x_hat, 0.5 * X)
    assert seen == pieces
    assert torch.equal(sae(X).x_hat, 0.5 * X)
    assert seen == 2 * pieces
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == round(math.log2(70 / pieces[0]))
    assert not messages or messages[-1].endswith(f"continues with {pieces[0]} tokens at a time")


def test_one_token_that_is_too_much_and_other_errors_are_raised():
    def never(x):
        raise MemoryError

    with pytest.raises(MemoryError):
        opened(never, tokens=1)(X)

    def wrong(x):
        raise RuntimeError("a mistake")

    with pytest.raises(
        InputError, match=r"wrong: its forward pass fails on x .* with RuntimeError: a mistake; it must"
    ):
        opened(wrong)(X)
    assert out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not out_of_memory(RuntimeError("a mistake"))


def test_the_look_sees_each_piece_in_its_place():
    sae, seen = opened(Linear().eval(), tokens=32), []

    def look(acts, x, x_hat, window):
        assert torch.equal(acts, x.relu())
        torch.testing.assert_close(x_hat, 2 * acts + torch.tensor([1.0, 2.0, 3.0]))
        assert torch.equal(x, X[window])
        seen.append((window.start, window.stop))

    passed = sae(X, look)
    assert seen == [(0, 32), (32, 64), (64, 70)]
    assert torch.equal(passed.l0, (X > 0).sum(1).float())


def test_a_module_is_evaluated_and_afterwards_as_it_was():
    module = Linear().train()
    module.drop.eval()
    with opened(module).evaluating():
        assert not module.training
    assert module.training
    assert not module.drop.training


def test_sums_in_another_order_are_close_and_other_numbers_are_not():
    values = torch.tensor([1.0, -2.0, math.nan])
    near = torch.finfo(torch.float32).eps
    scale = torch.tensor([1.0, -1.0, math.inf])  # values that are not finite are ignored
    assert close(values, values, scale)
    assert close(values, values * (1 + 8 * near), scale)
    assert not close(values, values + 64 * near, scale)
    assert not close(values, torch.tensor([1.0, -2.0, 0.0]), scale)
    assert close(torch.zeros(3), torch.full((3,), 8 * near), scale)
    assert not close(torch.zeros(3), torch.full((3,), 24 * near), scale)
    assert close(torch.zeros(3), torch.full((3,), 24 * near), 3 * scale)


def test_a_fingerprint_is_of_every_number_and_its_sign():
    digest = fingerprint([X])
    other = X.clone()
    other[3, 1] *= -1
    assert fingerprint([X.clone()]) == digest != fingerprint([other])
    assert fingerprint([X, X]) != digest
    assert len(digest) == 16


def test_pairs_are_both_halves_of_a_row():
    passed = Pairs("pairs", 2, torch.device("cpu"))(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert (passed.x.tolist(), passed.x_hat.tolist(), passed.l0) == ([[1, 2]], [[3, 4]], None)
    assert Pairs.sees_latents is False


def test_a_dtype_is_one_of_three():
    assert [dtype_named(name) for name in ("float32", "float64", "bfloat16")] == [
        torch.float32,
        torch.float64,
        torch.bfloat16,
    ]
    with pytest.raises(InputError, match="dtype is 'float16': choose float32, float64, bfloat16"):
        dtype_named("float16")


def test_an_object_stays_where_it_is_and_computes_in_its_own_dtype():
    sae = Forward(Linear().double().eval(), "cpu", "float32")
    assert (sae.dtype, sae.device.type) == (torch.float64, "cpu")
    assert sae(X).x_hat.dtype == torch.float64
    with pytest.raises(InputError, match=r"the SAE is on cpu, but device is 'meta'|device"):
        Forward(Linear(), "meta", "float32")
    assert Forward(lambda x: x, "auto", "float64").dtype == torch.float64
    setting = SimpleNamespace(normalize_activations="none")
    module = Linear().eval()
    module.cfg = setting
    assert opened(module).scale(X) is None
    setting.normalize_activations = "constant_norm_rescale"
    torch.testing.assert_close(opened(module).scale(X), X.norm(dim=1, keepdim=True) / math.sqrt(3))


class OfNormalised(Linear):
    """The same SAE on tokens rescaled to norm √d, with x̂ rescaled back, as SAELens' constant_norm_rescale does."""

    def encode(self, x):
        self.size = x.norm(dim=-1, keepdim=True) / math.sqrt(3)
        return super().encode(x / self.size)

    def decode(self, acts):
        return super().decode(acts) * self.size


def test_a_decoder_of_normalised_tokens_is_known_and_its_bias_is_none_of_x():
    module = OfNormalised().eval()
    module.cfg = SimpleNamespace(normalize_activations="constant_norm_rescale")
    forward = opened(module)
    forward.try_on(X)
    assert torch.equal(forward.W_dec, 2 * torch.eye(3))
    assert forward.b_dec is None
    module.cfg.normalize_activations = "none"  # then x̂ is not linear in the latents
    forward.try_on(X)
    other = opened(module)
    other.try_on(X)
    assert other.W_dec is None


@pytest.mark.parametrize("normalisation", [None, ConstantNorm()])
def test_an_sae_of_ours_is_known_whole(normalisation):
    sae = SAE(torch.eye(3), 2 * torch.eye(3), torch.ones(3), normalisation=normalisation, subtract_b_dec=False)
    forward = opened(sae)
    forward.try_on(X)
    assert forward.sees_latents
    assert forward.W_dec is sae.W_dec
    torch.testing.assert_close(forward(X).x_hat, sae(X))
    if normalisation is None:
        assert forward.b_dec is sae.b_dec
        assert forward.scale(X) is None
    else:
        assert forward.b_dec is None
        torch.testing.assert_close(forward.scale(X), X.norm(dim=1, keepdim=True) / math.sqrt(3))


def test_what_cannot_be_called_is_refused():
    with pytest.raises(InputError):
        opened(3)
