"""The account of what was not tested is kept, and becomes a failure where everything is required."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.missing import MARK, count, summarise

SUITE = """
from tests.support.missing import missing

def test_a(): missing("Atlantis")
def test_b(): missing("Atlantis")
def test_c(): pass
"""


def run_suite(folder: Path, require: str) -> tuple[int, str]:
    """Run a small suite with two missing things in a process of its own."""
    (folder / "test_small.py").write_text(SUITE)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.plugin", "-p", "no:cacheprovider", "-n", "2", "."]
    environment = {**os.environ, "PYTHONPATH": str(root), "TONGBAO_REQUIRE_ALL": require}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_reasons_are_counted() -> None:
    """Only skips for something missing are counted, by what was missing."""
    reasons = [f"Skipped: {MARK}Chromium", f"Skipped: {MARK}Chromium", "Skipped: not on Windows", f"{MARK}MariaDB"]
    assert count(reasons) == Counter({"Chromium": 2, "MariaDB": 1})
    assert summarise(Counter()) == []
    assert summarise(count(reasons))[-1].startswith("    3 tests of this project did NOT run here")


@pytest.mark.slow
def test_missing_is_skipped_and_told(tmp_path: Path) -> None:
    """Without the requirement the run is green and says how many tests did not run, also across processes."""
    status, output = run_suite(tmp_path, "")
    assert status == 0, output
    assert "NOT TESTED ON THIS MACHINE" in output
    assert "    2 not run: no Atlantis" in output


@pytest.mark.slow
def test_missing_is_a_failure_where_all_is_required(tmp_path: Path) -> None:
    """With the requirement the same run is red."""
    status, output = run_suite(tmp_path, "1")
    assert status == 1, output
    assert "2 failed, 1 passed" in output
