"""The single pass agrees with brute force, for one SAE or several, with and without outliers."""

import gc
import threading

import numpy as np
import pytest
import torch

from sandbox import checkpoints
from sandbox.activations import Chunk, activations
from sandbox.activations.prefetch import prefetch
from sandbox.checkpoints.autoencoder import SAE
from sandbox.data import embedded
from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from sandbox.moments.moments import Moments
from tests.helpers.by_saelens import made
from tests.helpers.runs import N, assert_same, tokens, write_files


@pytest.fixture(scope="module")
def x():
    return tokens()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    write_files(made)
    return made


def test_what_is_counted_is_what_brute_force_finds(x, folder):
    sae = checkpoints.load(folder / "sae-0")
    with torch.no_grad():
        x_hat, l0 = sae(x).double(), (sae.encode(x) > 0).sum(1).double()
    u, v = x.double().norm(dim=1), x_hat.norm(dim=1)
    report = measure(folder / "sae-0", x, documents=np.arange(N) // 37, batch_size=1000, device="cpu")
    expected = {
        "l2_ratio": (v / u).mean(),
        "cossim": torch.cosine_similarity(x.double(), x_hat, dim=1).mean(),
        "l0": l0.mean(),
    }
    slope, intercept = np.polyfit(u, v, 1)
    expected |= {"norm_slope": slope, "norm_intercept": intercept}
    # x̂ is computed in float32, and batches of another size are multiplied in another order
    for key, value in expected.items():
        assert report.statistics[key].value == pytest.approx(float(value), rel=1e-5), key
        assert report.statistics[key].low < report.statistics[key].value < report.statistics[key].high
    lost = (x - x_hat).square().sum() / (x - x.mean(0)).square().sum()
    assert report.explained_variance.value == pytest.approx(1 - lost.item(), rel=1e-5)
    bias = sae.b_dec
    about = Moments.from_pairs(x.double() - bias, x_hat - bias)
    key = "relative_reconstruction_bias"
    assert report.origins["decoder_bias"][key].value == pytest.approx((about.b / about.c).item(), rel=1e-5)
    assert report.documents == N // 37 + 1


def test_intervals_of_statistics_are_those_of_a_jackknife_over_documents(x):
    """The standard error computed independently; both methods are first-order, so they differ in the second order."""
    few = x[:2000]
    ids = np.arange(len(few)) // 20  # 100 documents: each is a group of its own

    def shrink(t):
        return 0.8 * t + 0.1 * t.abs()

    report = measure(shrink, few, documents=ids)
    u, v = few.double().norm(dim=1).numpy(), shrink(few.double()).norm(dim=1).numpy()
    statistics = {
        "l2_ratio": lambda keep: (v / u)[keep].mean(),
        "norm_slope": lambda keep: np.polyfit(u[keep], v[keep], 1)[0],
        "norm_intercept": lambda keep: np.polyfit(u[keep], v[keep], 1)[1],
    }
    for key, statistic in statistics.items():
        left_out = np.array([statistic(ids != document) for document in range(100)])
        error = (99 / 100 * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
        estimate = report.statistics[key]
        assert (estimate.high - estimate.low) / 2 == pytest.approx(1.984 * error, rel=0.05), (
            key
        )  # t, 99 degrees of freedom


def test_a_norm_that_never_varies_gives_no_line():
    turned = torch.nn.functional.normalize(
        torch.randn(500, 8, generator=torch.Generator().manual_seed(0)).double(), dim=1
    )
    slope = measure(lambda t: 0.9 * t, turned, dtype="float64").statistics["norm_slope"]
    assert slope.value is None
    assert "same norm" in slope.reason


@pytest.fixture(scope="module")
def harmed(x):
    massive = x.clone()
    massive[::500] *= 1000
    return massive


def shrink(t):
    """Long tokens are exact and short ones shrunk, so outliers hide the shrinkage."""
    return torch.where(t.norm(dim=1, keepdim=True) > 500, t, 0.7 * t)


def test_both_are_reported(harmed):
    report = measure(shrink, harmed)
    key = "relative_reconstruction_bias"
    assert report.outliers["tokens"] == N // 500
    assert report.outliers["share_of_a"] > 0.99
    assert report.raw[key].value == pytest.approx(1, abs=1e-3)
    assert report.without_outliers.raw[key].value == pytest.approx(0.7)
    assert any(finding["key"] == "outliers" for finding in report.findings)
    assert "without outliers" in str(report)


def test_they_can_be_excluded(harmed):
    report = measure(shrink, harmed, exclude_outliers=True)
    assert report.tokens == N - N // 500
    assert report.raw["relative_reconstruction_bias"].value == pytest.approx(0.7)
    assert report.statistics["l2_ratio"].value == pytest.approx(0.7)
    assert f"{N // 500} outliers excluded" in report.facts()
    assert report.without_outliers is None


def test_they_are_excluded_from_everything_of_ours_even_without_a_look(harmed, folder):
    """The result equals that of the other tokens alone, including statistics, L0 and latents."""
    settings = {"device": "cpu", "latents": True, "documents": np.arange(N) // 37, "look": False}
    excluded = measure(folder / "sae-0", harmed, exclude_outliers=True, **settings)
    keep = np.arange(N) % 500 > 0
    settings["documents"] = settings["documents"][keep]
    alone = measure(folder / "sae-0", harmed[torch.from_numpy(keep)], **settings)
    assert excluded.outliers["excluded"]
    for ours, expected in ((excluded.raw, alone.raw), (excluded.per_token, alone.per_token)):
        for key in expected:
            assert ours[key].value == pytest.approx(expected[key].value, rel=1e-5), key  # batches are cut elsewhere
    factors = (report.latents.scale_factors() for report in (excluded, alone))
    torch.testing.assert_close(*factors, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_without_any_nothing_is_said(x):
    report = measure(shrink, x)
    assert report.outliers is None
    assert set(report.origins) == {"raw", "centred"}


class Counted:
    """A source that counts its reads of the tokens."""

    def __init__(self, x):
        self.inner, self.read = activations(x), 0
        self.name, self.width, self.tokens, self.device = "counted", x.shape[1], len(x), x.device

    def chunks(self, size, start=0, stop=None):
        for chunk in self.inner.chunks(size, start, stop):
            self.read += len(chunk.x)
            yield chunk

    def sample(self, size):
        return self.inner.sample(size)


def test_several_saes_share_one_read_and_are_measured_as_alone(x, folder):
    source = Counted(x)
    both = measure([folder / "sae-0", folder / "sae-1"], source, device="cpu", batch_size=512)
    assert source.read == N
    assert [report.name for report in both] == ["sae-0", "sae-1"]
    for report in both:
        alone = measure(folder / report.name, x, device="cpu", batch_size=512)
        assert_same(alone.to_dict(), report.to_dict())


def test_saes_of_one_name_are_told_apart(x, folder):
    both = measure([folder / "sae-0", folder / "sae-0"], x, device="cpu")
    assert [report.name for report in both] == ["sae-0 (1)", "sae-0 (2)"]
    with pytest.raises(InputError, match="1 names for 2 SAEs"):
        measure([folder / "sae-0", folder / "sae-1"], x, device="cpu", name=["one"])


def test_few_tokens_are_computed_at_a_time_though_published_batches_are_larger(x):
    seen = []

    def sae(t):
        seen.append(len(t))
        return 0.9 * t

    report = measure(sae, x, batch_size=50, published=1500, look=False)
    assert max(seen) <= 64  # the sample of `try_on`
    assert report.published["SAELens"]["relative_reconstruction_bias"] == pytest.approx(0.9)


def test_latents_of_activations_in_half_precision_do_not_overflow():
    x = torch.full((200, 4), 40_000.0, dtype=torch.float16)
    sae = SAE(torch.eye(4), -torch.eye(4), torch.zeros(4), subtract_b_dec=False)
    assert measure(sae, x, latents=True, look=False).latents.count.tolist() == [200] * 4


@pytest.mark.parametrize("normalised", ["layer_norm", "constant_norm_rescale"])
def test_latents_of_a_saelens_object_that_normalises_are_those_of_its_checkpoint(normalised, x, tmp_path):
    theirs = made("standard", normalize_activations=normalised)
    theirs.save_model(tmp_path)
    of_object, of_folder = (measure(sae, 3 * x, latents=True, look=False) for sae in (theirs, tmp_path))
    assert "decoder_bias" not in of_object.origins
    factors = (report.latents.scale_factors() for report in (of_object, of_folder))
    torch.testing.assert_close(*factors, rtol=1e-3, atol=1e-3, equal_nan=True)


class Hungry(torch.nn.Module):
    """An SAE that runs out of memory with more than `most` tokens at a time."""

    def __init__(self, most: int, error: type[Exception]):
        super().__init__()
        self.most, self.error, self.sizes = most, error, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return 0.9 * x


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_where_memory_is_short_the_batch_is_halved(error, x, capsys):
    sae = Hungry(300, error)
    report = measure(sae, x, batch_size=1000, look=False)
    assert report.tokens == N
    assert report.raw["relative_reconstruction_bias"].value == pytest.approx(0.9)
    assert capsys.readouterr().err.count("out of memory; Hungry continues with") == 2  # 500, then 250, and not again
    assert max(sae.sizes[-20:]) == 250


def test_memory_that_is_short_for_one_token_is_an_error(x):
    with pytest.raises(torch.OutOfMemoryError):
        measure(Hungry(0, torch.OutOfMemoryError), x, look=False)


def test_another_error_is_no_matter_of_memory(x):
    sae = Hungry(100, KeyError)
    with pytest.raises(KeyError):
        measure(sae, x, batch_size=1000, look=False)


def chunks(n):
    return (Chunk(torch.full((2, 3), float(i)), None) for i in range(n))


def test_order():
    got = [chunk.x[0, 0].item() for chunk in prefetch(chunks(50), torch.device("cpu"))]
    assert got == list(range(50))


def test_an_error_in_reading_arrives_in_its_place():
    def broken():
        yield from chunks(3)
        raise InputError("the disk is gone")

    reader = prefetch(broken(), torch.device("cpu"))
    assert [next(reader).x[0, 0].item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="the disk is gone"):
        next(reader)


def test_who_leaves_early_leaves_no_thread():
    before = set(threading.enumerate())  # another test's source may hang, and keep its thread
    reader = prefetch(chunks(1000), torch.device("cpu"))
    next(reader)
    reader.close()
    gc.collect()
    assert not any(thread.name == "prefetch" for thread in set(threading.enumerate()) - before)


def test_the_embedded_pair_passes_the_look():
    for name in ("minilm-relu", "minilm-gated"):
        report = measure(embedded(name), embedded("activations"), device="cpu", strict=True)
        assert not report.findings


def test_strict_refuses_what_the_look_finds(x):
    with pytest.raises(InputError, match="strict: the preflight check failed"):
        measure(lambda t: 5 * t, x, strict=True)


def test_an_option_that_is_not_there_is_named(x):
    with pytest.raises(InputError, match="unexpected keyword argument 'batchsize'; there are name, outliers_above"):
        measure(lambda t: t, x, batchsize=3)
