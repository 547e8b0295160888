"""docs/browsers.md lists exactly the tests that run in every engine, and docs/hosts.md names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_browsers_lists_each_test_that_runs_in_every_engine():
    page = (ROOT / "docs/browsers.md").read_text(encoding="utf-8")
    listed = re.findall(r"`(test_\w+)` \|", page)
    files = [ROOT / file for file in re.findall(r"`(tests/\S+\.py)`", page)]
    assert set(files) == set(ROOT.glob("tests/**/test_engines.py"))
    assert listed == [name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)]


def test_the_table_of_hosts_names_tests_that_there_are():
    files = re.findall(r"`(tests/\S+\.py)`", (ROOT / "docs/hosts.md").read_text(encoding="utf-8"))
    assert len(files) == 5
    assert all((ROOT / file).is_file() for file in files)
