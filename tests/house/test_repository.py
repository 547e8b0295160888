"""What git keeps: a tracked file that is also ignored is deleted, without a word, by the next merge elsewhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (shutil.which("git") and (ROOT / ".git").exists()), reason="not in a git repository")
def test_nothing_that_is_ignored_is_tracked():
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""
