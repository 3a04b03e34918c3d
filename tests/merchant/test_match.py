"""The engine of comparisons lives as long as its process."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tongbao.merchant.match import Class, Line, Matcher, Side

pytest.importorskip("duckdb")


def _lines(many: int) -> Iterator[Line]:
    return (Line(kind="payment", key=f"{number:032}", amount=number) for number in range(many))


def _broken() -> Iterator[Line]:
    yield from _lines(3)
    raise ValueError("no kind")


def _compare(folder: Path, here: int, there: int, memory: str = "400MB") -> tuple[int, int]:
    folder.mkdir(exist_ok=True)
    with Matcher(folder, memory=memory, threads=1) as matcher:
        matcher.add_lines(Side.HERE, _lines(here))
        matcher.add_lines(Side.THERE, _lines(there))
        match = matcher.match()
        return match.many(Class.MATCHED), match.many(Class.MISSING_THERE)


def test_comparisons_side_by_side_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Two are open at once, one was left in the middle of its differences, and one broke."""
    (tmp_path / "one").mkdir()
    with pytest.raises(ValueError, match="no kind"), Matcher(tmp_path / "one", threads=1) as matcher:
        matcher.add_lines(Side.HERE, _broken())
    with Matcher(tmp_path / "one", threads=1) as matcher:
        matcher.add_lines(Side.HERE, _lines(2_000))
        differences = matcher.match().differences()
        assert next(differences).key == f"{0:032}"
        assert _compare(tmp_path / "two", 5, 4) == (4, 1)
        assert next(differences).key == f"{1:032}"
    assert _compare(tmp_path / "one", 2, 2) == (2, 0)


@pytest.mark.slow
def test_what_does_not_fit_in_memory_is_spilled_where_nobody_else_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit far below the lists, in a folder of its own; also when the first comparison's folder has gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert _compare(tmp_path / "one", 3, 3, memory="30MB") == (3, 0)
    (tmp_path / "one").rmdir()
    (spill,) = tmp_path.glob("tongbao-spill-*")
    assert spill.stat().st_mode & 0o777 == 0o700
    assert _compare(tmp_path / "two", 300_000, 300_000, memory="30MB") == (300_000, 0)


def test_an_engine_that_breaks_is_not_used_again(tmp_path: Path) -> None:
    """Whatever is the matter with it, the next comparison has another; nothing of the first one is left."""
    with Matcher(tmp_path, memory="50MB", threads=1) as matcher:
        matcher._engine.execute("USE memory")
        matcher._engine.execute(f"DETACH {matcher._book}")  # so that leaving it fails
    assert _compare(tmp_path / "two", 2, 1, memory="50MB") == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no process")
def test_a_forked_process_starts_an_engine_of_its_own(tmp_path: Path) -> None:
    """The parent's has threads that do not live on there."""
    assert _compare(tmp_path / "one", 2, 1) == (1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if _compare(tmp_path / "two", 3, 2) == (2, 1) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _compare(tmp_path / "three", 2, 2) == (2, 0)


@pytest.mark.slow
def test_a_forked_process_ends_well(tmp_path: Path) -> None:
    """It closes nothing of its parent's at its end, by whatever way it ends."""
    program = f"""
import os, sys
from pathlib import Path
from tests.merchant.test_match import _compare
place = Path({str(tmp_path)!r})
assert _compare(place / "one", 2, 1) == (1, 1)
child = os.fork()
if not child:
    sys.exit(3)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert _compare(place / "two", 200_000, 200_000, memory="30MB") == (200_000, 0)
sys.exit(0 if code == 3 else 1)
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], check=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert not list(tmp_path.glob("tongbao-spill-*"))
