"""On a CUDA device, the moments, the simulator and the real path agree with the CPU."""

import sys

import pytest
import torch

from sandbox import simulate
from sandbox.activations import Chunk, activations
from sandbox.activations.prefetch import prefetch
from sandbox.data import embedded
from sandbox.measuring.forward import Forward
from sandbox.measuring.measure import measure
from sandbox.measuring.one_pass import stream
from sandbox.measuring.published import Published
from sandbox.measuring.ranks import Share
from sandbox.measuring.totals import Counting, counter
from sandbox.moments.moments import Moments
from sandbox.training import ARCHITECTURES, Job, Training, gather, train
from tests.conftest import random_pairs
from tests.helpers.runs import arguments, assert_same, by_torchrun, report_of, run, write_files

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_moments_agree_with_the_cpu(dtype):
    x, x_hat = random_pairs(5000, 96, 0, dtype)
    documents = torch.arange(5000) // 37
    here, there = Moments.from_pairs(x, x_hat, documents), Moments.from_pairs(x.cuda(), x_hat.cuda(), documents)
    assert there.totals.device.type == "cuda"
    for mine, theirs in zip(here, there.to("cpu"), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-9)


def test_nonfinite_tokens_are_left_out():
    x = torch.randn(100, 8, device="cuda")
    x[3, 0] = torch.nan
    x[5, 1] = torch.inf
    moments = Moments.from_pairs(x, x, drop_nonfinite=True)
    assert moments.nonfinite == 2
    assert moments.a.isfinite()


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_the_real_path_agrees(name, dtype, tolerance):
    settings = {"documents": embedded("documents"), "batch_size": 1000}
    here = measure(embedded(name), embedded("activations"), device="cpu", **settings)
    there = measure(embedded(name), embedded("activations"), device="cuda", dtype=dtype, **settings)
    assert there.l0 == pytest.approx(here.l0, rel=tolerance * 10)
    for key, estimate in here.raw.items():
        assert there.raw[key].value == pytest.approx(estimate.value, rel=tolerance, abs=tolerance)


def test_measuring_waits_for_the_device_only_at_the_end():
    x = torch.randn(20_000, 384, device="cuda")
    ids = torch.arange(1000)
    Moments.from_pairs(x[:1000], x[:1000], ids)
    torch.cuda.set_sync_debug_mode("error")
    try:
        total = Moments.from_pairs(x[:1000], x[:1000], ids, drop_nonfinite=True)
        for start in range(1000, 20_000, 1000):
            part = x[start : start + 1000]
            total = total + Moments.from_pairs(part, 0.9 * part, ids, drop_nonfinite=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total.n == 20_000


def test_pairs_have_the_requested_angle_on_the_device():
    x, x_hat = simulate.pairs(1e-3, 0.7, 64, 1000, dtype=torch.float64, device="cuda")
    u, v = (t / t.norm(dim=-1, keepdim=True) for t in (x, x_hat))
    angle = 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))
    torch.testing.assert_close(angle, torch.full_like(angle, 1e-3), rtol=1e-12, atol=1e-15)
    assert simulate.stream(1.0, n=5000, device="cuda").n == 5000


def test_published_figures_agree_with_the_cpu_and_do_not_wait():
    x = torch.randn(96, 6, generator=torch.Generator().manual_seed(0)) + 0.5
    x_hat, l0 = 0.8 * x + 0.1 * x.abs(), torch.arange(len(x))
    there, l0_there = [tensor.cuda() for tensor in (x, x_hat)], l0.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        published = Published.from_tokens(*there, 32, l0_there)
        published += published
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = Published.from_tokens(x, x_hat, 32, l0).values()
    for library, printed in published.values().items():
        assert printed == pytest.approx(expected[library], rel=1e-5)  # float32, summed in another order


SETTINGS = {"documents": embedded("documents"), "batch_size": 1000, "published": 500, "latents": True}


@pytest.mark.parametrize("name", ["minilm-relu", "minilm-gated"])
def test_everything_that_is_counted_agrees(name):
    here, there = (
        measure(embedded(name), embedded("activations"), device=device, **SETTINGS) for device in ("cpu", "cuda")
    )
    for key, estimate in here.statistics.items():
        assert there.statistics[key].value == pytest.approx(estimate.value, rel=1e-4, abs=1e-4)
    assert there.explained_variance.value == pytest.approx(here.explained_variance.value, rel=1e-5)
    for library, printed in here.published.items():
        assert there.published[library] == pytest.approx(printed, rel=1e-3)
    assert there.latents.count.sum() == pytest.approx(here.latents.count.sum(), rel=1e-4)
    often = here.latents.count > 100
    close = {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(there.latents.scale_factors()[often], here.latents.scale_factors()[often], **close)


@pytest.mark.parametrize("latents", [False, True])
def test_the_stream_does_not_wait(latents):
    """From a file, through pinned memory and a separate CUDA stream. Waits are errors until the last chunk."""
    sae = Forward(embedded("minilm-gated"), "cuda", "float32")
    source = activations(embedded("activations"), embedded("documents"))
    sae.try_on(source.sample(64).cuda())
    count = counter([sae], Counting(published=500, latents=latents, outlier_limit=1e4))
    stream([sae], source, 1000, count, Share(0, 2000))  # one-time initialisation
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        state = stream([sae], source, 1000, count)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert state.position == source.tokens
    assert state.totals[0].moments.count.sum() == source.tokens


def test_batches_arrive_complete_without_waiting():
    x = torch.randn(50, 4096, 384)
    chunks = (Chunk(part, None) for part in x)
    sums = [chunk.x.double().sum() for chunk in prefetch(chunks, torch.device("cuda"))]
    torch.testing.assert_close(torch.stack(sums).cpu(), x.double().sum((1, 2)), rtol=1e-9, atol=1e-6)


def test_the_batch_is_halved_when_gpu_memory_runs_out(capsys):
    free, _ = torch.cuda.mem_get_info()
    tokens = 4096
    d_sae = int(
        free / 4 / tokens * 0.6
    )  # a batch of latents takes 0.6 of the free memory, and the next step as much again

    def sae(x):
        latents = x.new_ones(len(x), d_sae)
        return 0.9 * x + 0 * (latents + latents).sum(1, keepdim=True)

    report = measure(sae, torch.randn(tokens, 8, device="cuda"), batch_size=tokens, look=False)
    assert report.raw["relative_reconstruction_bias"].value == pytest.approx(0.9)
    assert "out of memory" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs: NCCL requires one per process")
def test_two_processes_make_the_report_of_one(tmp_path):
    write_files(tmp_path)
    command = [argument for argument in arguments(tmp_path) if argument not in ("--device", "cpu")]
    assert_same(report_of(run([sys.executable, "-m", "sandbox", *command])), report_of(by_torchrun(2, command)), 1e-6)


@pytest.mark.parametrize("key", ARCHITECTURES)
def test_a_sweep_trains_on_the_gpu_and_resumes(key, tmp_path):
    pytest.importorskip("sae_lens")
    data = gather(tmp_path / "activations", activations(embedded("activations"), embedded("documents")), 0.2)
    job, settings = Job(key, ARCHITECTURES[key].coefficients[0], 0), Training(d_sae=768, steps=40, batch=512, lr=1e-3)
    steps = iter(range(15))
    with pytest.raises(KeyboardInterrupt):
        train(job, settings, data, tmp_path / "sae", device="cuda", stop=lambda: next(steps, None) is None)
    record = train(job, settings, data, tmp_path / "sae", device="cuda")
    assert record["device"] == torch.cuda.get_device_name()
    (point,) = (point for point in record["points"] if point["finished"] and point["measured_on"] == "held-out")
    here = measure(tmp_path / "sae", data.held_out, device="cpu")
    for name, estimate in here.raw.items():
        assert point["raw"][name]["value"] == pytest.approx(
            estimate.value, rel=1e-3, abs=1e-4
        )  # TF32 may round on the device
