"""The fused pass gives what array operations give: interpreted on the CPU, compiled without a device, and on one."""

import math
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from sandbox.moments import fused
from sandbox.moments.totalling import total_on_device

ROOT = Path(__file__).parents[2]
HALF, BRAIN, SINGLE, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64
GROUPS = 4  # the last has no tokens
BESIDE = Path(sys.prefix) / "triton"  # where the Makefile puts Triton, so that no other library takes it for a GPU
needs_triton = pytest.mark.skipif(
    not BESIDE.exists() and find_spec("triton") is None, reason="Triton is not installed, nor beside the environment"
)


def pairs(n, d, dtype, hat_dtype, device="cpu", room=0):
    """Rows that are NaN, infinite and far out among others, and may be part of wider ones."""
    generator = torch.Generator().manual_seed(d)
    x = (torch.randn(n, d + room, generator=generator, dtype=DOUBLE) + 0.3).to(dtype).to(device)[:, :d]
    x_hat = (torch.randn(n, d, generator=generator, dtype=DOUBLE) - 0.2).to(hat_dtype).to(device)
    x[n // 2 :: 11] *= 30
    x[1, 0], x_hat[2, d - 1], x_hat[n - 1, 0] = math.nan, math.inf, -math.inf
    return x, x_hat


def in_runs(n, longest):
    """A group for each token, the same for runs of up to `longest` of them."""
    random = np.random.default_rng(longest)
    return np.repeat(random.integers(0, GROUPS - 1, n), random.integers(1, longest + 1, n))[:n]


def totals(x, x_hat, group, parts, ordered):
    order = np.argsort(group, kind="stable")[::-1] if ordered else None
    run = group if order is None else group[order]
    first = np.flatnonzero(np.diff(run, prepend=-1))
    limit = 100.0 * x.shape[1] if parts == 2 else math.inf
    start = np.append(first, len(run))
    mine = fused.fused_totals(x, x_hat, start, run[first], order, GROUPS, parts, limit)
    return mine, total_on_device(x, x_hat, group, GROUPS, parts, limit)


def assert_alike(x, x_hat, group, parts=1, ordered=False):
    mine, others = totals(x, x_hat, group, parts, ordered)
    # Sums of x and products of x and x̂ may cancel: the rounding is that of what is added.
    room = 1e-14 * len(x) * x[x.isfinite()].abs().max().item() * x.shape[1]
    for one, other in zip(mine, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=room, equal_nan=True)
    again, _ = totals(x, x_hat, group, parts, ordered)
    for one, other in zip(mine, again, strict=True):
        assert one.cpu().numpy().tobytes() == other.cpu().numpy().tobytes()


def _let_triton_index():
    """Let Triton 3.6 make a number of an array with one element, which numpy 2.4 does not."""
    import triton.runtime.interpreter as interpreter

    patch = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    interpreter._patch_lang_tensor = patched


def interpret():
    """Every shape of the kernels, on the CPU; in a process of its own, because Triton must know before it starts."""
    _let_triton_index()
    assert_alike(*pairs(40, 1, SINGLE, SINGLE), in_runs(40, 20))
    assert_alike(*pairs(60, 2, BRAIN, BRAIN), in_runs(60, 1), parts=2)
    assert_alike(*pairs(60, 7, HALF, DOUBLE, room=3), in_runs(60, 3), parts=2, ordered=True)
    group = np.arange(60) % 2  # short runs, but long ones in the order
    assert_alike(*pairs(60, 64, SINGLE, SINGLE), group, ordered=True)
    assert_alike(*pairs(90, 64, BRAIN, SINGLE), in_runs(90, 50), parts=2)
    assert_alike(*pairs(70, 64, DOUBLE, DOUBLE), in_runs(70, 40))
    assert_alike(*pairs(30, 384, BRAIN, BRAIN, room=16), in_runs(30, 30))
    assert_alike(*pairs(24, 768, SINGLE, SINGLE), in_runs(24, 20), parts=2)
    assert_alike(*pairs(20, 1000, HALF, HALF), in_runs(20, 20))
    held = fused._constants
    fused._constants = lambda *args: ({**held(*args)[0], "TWICE": True}, 1)  # as for the longest rows
    assert_alike(*pairs(40, 64, BRAIN, SINGLE), in_runs(40, 20), parts=2)


def interpret_little():
    """The kernels on one small shape, in both parts."""
    _let_triton_index()
    assert_alike(*pairs(60, 7, HALF, DOUBLE, room=3), in_runs(60, 3), parts=2, ordered=True)


def with_triton(call: str, **environment: str) -> None:
    """Call a function of this file in a process that finds Triton."""
    environment = {**os.environ, "PYTHONPATH": str(BESIDE), **environment}
    script = f"from tests.moments import test_fused; test_fused.{call}"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert not ran.returncode, ran.stderr


@needs_triton
def test_it_agrees_with_array_operations_on_a_small_shape():
    with_triton("interpret_little()", TRITON_INTERPRET="1")


@pytest.mark.slow  # half a minute: Triton interprets the kernels
@needs_triton
def test_it_agrees_with_array_operations():
    with_triton("interpret()", TRITON_INTERPRET="1")


def test_only_those_pay_for_triton_who_use_it():
    script = "import sys; from sandbox.moments import fused; import torch; x = torch.zeros(1, 1); "
    script += "assert not fused.supported(x, x); assert 'triton' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


@needs_triton
@pytest.mark.parametrize("dtype", [SINGLE, BRAIN])
@pytest.mark.parametrize("d", [768, 4096, 8192])
def test_registers_hold_a_tile(d, dtype, tmp_path):
    """Compiled for an H100, nothing is spilled, and rows come in pieces of 16 bytes while others are added."""
    with_triton(f"compile_for_an_h100({d}, {str(dtype)!r}, {str(tmp_path)!r})", TRITON_CACHE_DIR=str(tmp_path))


def compile_for_an_h100(d: int, name: str, folder: str) -> None:
    """What the test above asserts, where Triton is found."""
    import triton

    dtype, beside = getattr(torch, name.removeprefix("torch.")), Path(folder)
    ptxas = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"
    kernel, _ = fused._kernels()
    held, warps = fused._constants(d, dtype, dtype)
    constants = {**held, "X_UNIT": 16, "HAT_UNIT": 16, "ORDERED": False, "PARTS": 2, "TILE": fused.TILE}
    kind = "*fp32" if dtype == SINGLE else "*bf16"
    signature = {"x": kind, "x_hat": kind, "order": "*i64", "plan": "*i64", "partial": "*fp64", "dots": "*fp64"}
    signature |= {"x_step": "i32", "hat_step": "i32", **dict.fromkeys(constants, "constexpr")}
    aligned = {(i,): [["tt.divisibility", 16]] for i in (0, 1, 3, 4, 5)}
    source = triton.compiler.ASTSource(kernel, signature, constants, aligned)
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    text = triton.compile(source, target=target, options={"num_warps": warps}).asm["ptx"]
    assert re.search(r"cp\.async\.cg\.shared\.global .*, 0x10,", text)
    (beside / "kernel.ptx").write_text(text)
    architecture = re.search(r"\.target (\w+)", text)[1]
    command = [str(ptxas), "-v", f"--gpu-name={architecture}", "kernel.ptx", "-o", "kernel.cubin"]
    told = subprocess.run(command, cwd=beside, capture_output=True, text=True, check=True).stderr
    assert " 0 bytes spill stores, 0 bytes spill loads" in told, told


ON_A_DEVICE = [
    *((d, dtype, dtype) for d in (1, 7, 64, 384, 768, 1000, 2304, 4096, 8192) for dtype in (SINGLE, BRAIN)),
    *((7, HALF, DOUBLE), (768, BRAIN, SINGLE), (1000, HALF, DOUBLE)),
]
"""Each is compiled there four times, a second each."""


@pytest.mark.gpu
@pytest.mark.parametrize(("d", "dtype", "hat_dtype"), ON_A_DEVICE)
def test_it_agrees_on_a_device(d, dtype, hat_dtype):
    x, x_hat = pairs(2500, d, dtype, hat_dtype, "cuda", room=8)
    assert fused.supported(x, x_hat)
    for parts in (1, 2):
        assert_alike(x, x_hat, in_runs(2500, 300), parts)
        assert_alike(x, x_hat, in_runs(2500, 3), parts)
        assert_alike(x, x_hat, in_runs(2500, 3), parts, ordered=True)


@pytest.mark.gpu
def test_nothing_waits_for_the_device():
    x, x_hat = pairs(2500, 384, SINGLE, SINGLE, "cuda")
    run = in_runs(2500, 3)
    first = np.flatnonzero(np.diff(run, prepend=-1))
    arguments = (x, x_hat, np.append(first, 2500), run[first], np.arange(2500), GROUPS, 2, 1e4)
    fused.fused_totals(*arguments)
    torch.cuda.set_sync_debug_mode("error")
    try:
        fused.fused_totals(*arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
