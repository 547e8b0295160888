"""Every part in a process of its own, within its time; then gpu.json, gpu.md and a short table."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

try:
    import torch
except ModuleNotFoundError:
    print(
        f"benchmarks.gpu: {sys.executable} has no torch: make demo installs it, or name a Python that has it "
        "(make gpu PYTHON=…)",
        file=sys.stderr,
    )
    sys.exit(2)

from benchmarks.gpu.place import Place
from benchmarks.gpu.row import Row
from benchmarks.gpu.written import ROOT, claims_in_words, keep, write

PARTS = {
    "floor": 40,
    "agreement": 60,
    "moments": 60,
    "tests": 150,
    "forward": 170,
    "reading": 60,
    "memory": 40,
    "simulator": 40,
    "training": 60,
    "ranks": 30,
}
"""In the order in which they run, the surest first; and the seconds that each has at most."""

MINUTES = 9.0
TRY = "on a machine with an NVIDIA GPU run make gpu; --device cpu tries the program here, on small sizes"
LEAST = 10  # seconds that a part needs to begin with
LIBRARIES = ("torch", "triton", "numpy", "numba", "scipy", "sympy")


def main() -> int:
    """Run the parts; exit status 1 if a claim fails or a part does not end."""
    arguments = _arguments()
    if arguments.keep:
        try:
            print(f"kept as {keep(arguments.out).relative_to(ROOT)}; the README says so")
        except (OSError, ValueError) as error:
            print(f"benchmarks.gpu: {error}", file=sys.stderr)
            return 2
        return 0
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"benchmarks.gpu: no CUDA device here (torch {torch.__version__}); {TRY}", file=sys.stderr)
        return 2
    if arguments.part:  # this process runs one part
        for row in import_module(f"benchmarks.gpu.{arguments.part}").rows(
            Place(arguments.device, small=arguments.device == "cpu")
        ):
            print(row.line(), flush=True)
        return 0
    begun, rows = time.monotonic(), []
    parts = arguments.only or list(PARTS)
    chosen = f" --only {' '.join(arguments.only)}" if arguments.only else ""
    result: dict[str, Any] = {
        "command": f"python -m benchmarks.gpu --device {arguments.device}{chosen}",
        "device": arguments.device,
        "on": _machine(arguments.device),
    }
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=arguments.out):  # refuse now rather than after the first minutes
            pass
    except OSError as error:
        print(
            f"benchmarks.gpu: {arguments.out} cannot be written to ({error.strerror}): name another --out",
            file=sys.stderr,
        )
        return 2
    for part in parts:
        left = 60 * arguments.minutes - (time.monotonic() - begun)
        for row in _of_part(part, arguments.device, min(PARTS[part], left)):
            rows.append(row)
            print(f"{row.verdict:6}{row.figure:>14}  {row.limit:>8}  {row.part}: {row.case}  {row.words}", flush=True)
        result["seconds"] = time.monotonic() - begun
        result["left_out"] = [part for part in PARTS if part not in {row.part for row in rows if row.case == "time"}]
        result["rows"] = [row.to_dict() for row in rows]
        write(arguments.out, result)  # after each part, so that nothing measured is lost
    _print_table(rows)
    print(f"written: {arguments.out}/gpu.json, {arguments.out}/gpu.md")
    if arguments.device == "cuda" and not result["left_out"]:
        print(f"to keep them: {sys.executable} -m benchmarks.gpu --keep --out {arguments.out}")
    return 0 if all(row.holds is not False for row in rows) else 1


def _arguments() -> argparse.Namespace:
    about = "Check this project's claims about speed, memory and agreement with the CPU on one NVIDIA GPU."
    parts = "\n".join(f"  {part:10} {limit:4} s at most" for part, limit in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=about,
        epilog=f"Parts, in the order in which they run:\n{parts}\n\nCUDA_VISIBLE_DEVICES chooses the card.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/gpu"), help="folder for gpu.json and gpu.md (build/gpu)"
    )
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="cpu: try the program without a GPU, on small sizes"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="these parts, separated by spaces")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for all parts together, at most ({MINUTES:g})")
    parser.add_argument(
        "--keep", action="store_true", help="put a whole run from --out into results/gpu and the README; run nothing"
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.minutes > 0:
        parser.error(f"--minutes is {arguments.minutes:g}: more than 0 is needed")
    return arguments


def _of_part(part: str, device: str, limit: float) -> Iterator[Row]:
    """A part's rows as they come, and another if it fails or runs out of time."""
    if limit < LEAST:
        yield Row(part, "the whole part", None, goal=0, words="left out: the time was over; give more --minutes")
        return
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, "--device", device]
    environment = os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}
    begun = time.monotonic()
    with TemporaryFile("w+", encoding="utf-8") as errors:  # a pipe that fills up would block the part
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": errors, "text": True, "start_new_session": True}
        child = subprocess.Popen(command, cwd=ROOT, env=environment, **options)
        timer = Timer(limit, _kill, (child,))
        timer.daemon = True
        timer.start()
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if (row := Row.of_line(line)) is not None:
                    yield row
            status = child.wait()
        finally:
            timer.cancel()
            _kill(child)
            child.communicate()
        errors.seek(0)
        spent, stderr = time.monotonic() - begun, errors.read()
    if status:
        why = f"stopped after {spent:.0f} seconds" if spent >= limit else _reason(stderr)
        yield Row(part, "the whole part", None, goal=0, words=why)
    yield Row(part, "time", spent, "s")


def _kill(child: subprocess.Popen[str]) -> None:
    """Kill a part and every process that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _reason(stderr: str) -> str:
    """The error line of a failed program: CUDA appends advice to its errors, so it need not be the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no error message"]
    return next((line for line in reversed(lines) if "Error:" in line or "error:" in line), lines[-1])[:300]


def _machine(device: str) -> dict[str, str]:
    """The card, its driver, and the libraries."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = "missing"
    if device == "cpu":
        return {"card": f"CPU, {platform.machine()}", "Python": platform.python_version(), **libraries}
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    facts: dict[str, Any] = {
        "driver": (driver.stdout.strip().splitlines() or ["unknown"])[0],
        "CUDA": torch.version.cuda,
    }
    return {"card": torch.cuda.get_device_name(), **facts, "Python": platform.python_version(), **libraries}


def _print_table(rows: list[Row]) -> None:
    """How many of each part's claims hold, and which do not."""
    print()
    for part in dict.fromkeys(row.part for row in rows):
        here = [row for row in rows if row.part == part]
        failed = [row for row in here if row.holds is False]
        print(f"{part:10} {claims_in_words(here):24} {'; '.join(f'{row.case}: {row.figure}' for row in failed)[:150]}")
    print(claims_in_words(rows))


if __name__ == "__main__":
    sys.exit(main())
