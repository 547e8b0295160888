"""Shared by the tests: random pairs, one thread per worker, and hypothesis without a deadline."""

import os
import shutil

# Before torch is imported: workers whose OpenMP threads wait for each other's cores are many times slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

settings.register_profile("sandbox", deadline=None, max_examples=40, print_blob=True)
settings.load_profile("sandbox")


def pytest_addoption(parser):
    parser.addoption("--typed", action="store_true", help="check the annotations of the core, shapes included")


def pytest_configure(config):
    if config.option.typed:
        from tests.helpers.typechecker import install

        install()


@pytest.fixture(scope="session")
def playwright():
    """The driver of browsers: a process can have only one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture
def make_pairs():
    """A function (n, d, seed, dtype) ► x and x̂, correlated, with a mean that is not 0."""
    return random_pairs


def random_pairs(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) + 0.3
    x_hat = 0.8 * x + 0.4 * torch.randn(n, d, generator=generator, dtype=torch.float64)
    return x.to(dtype), x_hat.to(dtype)


@pytest.fixture(scope="module", params=["chromium", "firefox", "webkit"])
def browser_engine(request, tmp_path_factory):
    """Each of three browsers, started once a file of tests (tests/helpers/engines)."""
    from tests.helpers import engines

    name = request.param
    if reason := engines.missing(name):
        able = shutil.which("apt-get") and os.geteuid() == 0  # as on CI: there `make test-all` installs it
        (pytest.fail if able else pytest.skip)(f"{reason}, or run `make test-all` as root")
    chromium = request.getfixturevalue("chromium") if name == "chromium" else None
    with engines.start(name, tmp_path_factory.mktemp(name), chromium) as engine:
        yield engine


@pytest.fixture
def engine(browser_engine):
    """One of the three browsers; by the end its pages may have logged nothing, and asked only this machine."""
    browser_engine.heard()
    yield browser_engine
    assert [one for one in browser_engine.heard() if not one.startswith("to http://127.0.0.1:")] == []


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores: those with the browser or torchrun wait for other processes half of the time."""
    return (os.cpu_count() or 1) + 1


APART = {
    "tests/house/test_dry_run.py",
    "tests/house/test_gpu_benchmark.py",
    "tests/house/test_surroundings.py",
    "tests/claims/test_check.py",
    "tests/claims/test_claims.py",
    "tests/maths/test_mutants.py",
    "tests/system/test_interrupts.py",
    "tests/system/test_outputs.py",
    "tests/plots/test_figure6_plots.py",
}
"""Long files whose tests share nothing that takes long to make: handed out one by one, they even out the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests run in one worker, so that what they share is made once. Files with many tests come first.

    xdist's own groups do not work with pytest 9.2: --dist loadgroup writes `_nodeid`, which nobody reads any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith("tests/explorer/browser/"):
                return "browser"
            file = nodeid.split("::")[0]
            return nodeid if file in APART else file

    return ByFile(config, log)
