"""Prints the version of each engine: python -m tests.helpers.engines."""

import tempfile
from pathlib import Path

from tests.helpers.engines import ENGINES, missing, start

for name in ENGINES:
    if reason := missing(name):
        print(reason)
        continue
    with tempfile.TemporaryDirectory() as folder, start(name, Path(folder) / name) as engine:
        print(engine.version)
