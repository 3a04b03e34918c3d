"""The plugin of this repository: tests of one group share one process of an xdist run."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import os
from pathlib import Path
import pytest

@pytest.fixture
def browser():
    return None

def say(group):
    with open(Path(__file__).with_name("said"), "a") as said:
        said.write(group + " " + os.environ["PYTEST_XDIST_WORKER"] + "\\n")

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("n", range(6))
def test_named(n):
    say("named")

@pytest.mark.parametrize("n", range(5))
def test_by_its_fixture(browser, n):
    say("fixture")

@pytest.mark.parametrize("server", ["sqlite", "mysql", "mysql", "mysql", "mysql"])
def test_by_its_parameter(server):
    say(server)
"""


@pytest.mark.slow
def test_tests_of_a_group_share_a_process(tmp_path: Path) -> None:
    """By their mark, by a costly fixture or by the server that they run on; the groups are shared out."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.support.plugin"]')
    (tmp_path / "test_some.py").write_text(TESTS)
    options = ["-n", "2", "--dist=loadgroup", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-q", "test_some.py"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    where: dict[str, set[str]] = defaultdict(set)
    for line in (tmp_path / "said").read_text().splitlines():
        group, worker = line.split()
        where[group].add(worker)
    assert {group: len(workers) for group, workers in where.items()} == dict.fromkeys(where, 1)
    assert len(set().union(*where.values())) == 2
