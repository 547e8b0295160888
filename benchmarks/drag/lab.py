"""A JupyterLab of its own: in a temporary folder, on the loopback address, with real kernels, gone afterwards."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
from playwright.async_api import Page

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 90
RUN_SECONDS = 180

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},  # a save in the middle of a drag is no part of it
}

RUN_ALL = """async () => {
  const app = window.jupyterapp, sleep = () => new Promise((done) => setTimeout(done, 100));
  await app.restored;
  while (!app.shell.currentWidget?.sessionContext) await sleep();
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  app.shell.collapseLeft(); app.shell.collapseRight();
  await app.commands.execute("notebook:run-all-cells");
  const outputs = [...panel.content.widgets].flatMap((cell) => cell.model.outputs?.toJSON() ?? []);
  const error = outputs.find((output) => output.output_type === "error");
  return error ? `${error.ename}: ${error.evalue}` : null;
}"""


class LabError(Exception):
    """JupyterLab did not start, or a notebook's cell failed."""


class Lab:
    """A running JupyterLab: `open` shows one of its notebooks, executed."""

    def __init__(self, address: str, token: str):
        self.address, self.token = address, token

    async def open(self, page: Page, name: str, until: str) -> None:
        """Open a notebook in a page, run its cells, wait until an element is shown."""
        page.set_default_timeout(1000 * RUN_SECONDS)
        place = f"{self.address}/lab/workspaces/{name}/tree/{name}.ipynb"  # its own: pages do not share a layout
        await page.goto(f"{place}?reset&token={self.token}", wait_until="domcontentloaded")
        await page.wait_for_selector(".jp-Notebook .jp-Cell")
        if error := await page.evaluate(RUN_ALL):
            raise LabError(f"a cell of the notebook {name} failed: {error}")
        await page.wait_for_selector(until)
        await page.add_style_tag(content=".jp-toast-container, .Toastify { display: none !important }")
        await page.wait_for_timeout(1000)  # the cells' last messages


@contextmanager
def running(notebooks: Mapping[str, Sequence[str]]) -> Iterator[Lab]:
    """Start a JupyterLab with these notebooks (name: its cells' texts); stop it and its kernels at the end."""
    with tempfile.TemporaryDirectory(prefix="drag-lab-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "notebooks")
        root.mkdir()
        for name, cells in notebooks.items():
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(notebook, root / f"{name}.ipynb")
        for plugin, setting in SETTINGS.items():
            path = Path(folder, "settings", "@jupyterlab", f"{plugin}.jupyterlab-settings")
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(setting))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address, token, log = f"http://127.0.0.1:{port}", secrets.token_hex(), Path(folder, "lab.log")
        server = _start(folder, root, port, token, log)
        try:
            _wait(server, address, log)
            yield Lab(address, token)
        finally:
            _stop(server)


def _start(folder: str, root: Path, port: int, token: str, log: Path) -> subprocess.Popen[bytes]:
    homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(REPOSITORY)]
    # The user's own settings and extensions stay out of the measurement, and untouched by it.
    environment = {**os.environ, **{home: str(Path(folder, home)) for home in homes}, "HOME": folder,
                   "JUPYTERLAB_SETTINGS_DIR": str(Path(folder, "settings")), "JUPYTER_TOKEN": token,
                   "JUPYTERLAB_WORKSPACES_DIR": str(Path(folder, "workspaces")),
                   "PYTHONPATH": os.pathsep.join(path)}  # fmt: skip
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
               f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
               "--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False"]  # fmt: skip
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=output, stderr=output
        )


def _wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    start = time.monotonic()
    while True:
        if server.poll() is not None or time.monotonic() - start > START_SECONDS:
            raise LabError("JupyterLab did not start:\n" + log.read_text()[-2000:])
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its kernels; these have sessions of their own, so stragglers are ended one by one."""
    if server.poll() is not None:
        return
    family = psutil.Process(server.pid).children(recursive=True)
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    for process in psutil.wait_procs(family, timeout=3)[1]:
        process.kill()
