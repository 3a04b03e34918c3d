"""The engine of comparisons lives as long as its process."""

from __future__ import annotations

import os
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
def test_what_does_not_fit_in_memory_is_spilled_beside_the_folder(tmp_path: Path) -> None:
    """A limit far below the lists; and nothing else is left behind."""
    assert _compare(tmp_path / "one", 300_000, 300_000, memory="30MB") == (300_000, 0)
    assert {path.name for path in tmp_path.iterdir()} <= {"one", "one-spill"}


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
