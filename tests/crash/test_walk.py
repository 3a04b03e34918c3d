"""F01, F02: a process that dies at any step leaves books that are whole, and a client who repeats himself is safe."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a process that dies takes no page with it, so syncing proves nothing."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tongbao-crash-", dir=memory) as name:
        yield Path(name)


def walk(template: Path, folder: Path, stride: int) -> dict[str, Any]:
    """The walk's own report."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.walk", str(template), str(folder), str(stride)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["wrong"] == {}, done.stderr
    return report


def test_F01_F02_a_walk_in_long_steps(sqlite_template: Path, folder: Path) -> None:
    """Deaths here and there: acknowledged stands, nothing doubled, the same commands lead to the same end."""
    assert walk(sqlite_template, folder, 61)["steps"] > 8


@pytest.mark.slow
def test_F01_F02_every_step_is_survived(sqlite_template: Path, folder: Path) -> None:
    """A death before every step of every transaction of the flow: after a step is before the next one."""
    report = walk(sqlite_template, folder, 2)
    assert report["steps"] > 6 * report["commands"]
