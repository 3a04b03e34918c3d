"""Many rows with one statement: whatever a text holds, it comes back as it was; counts tell what took effect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.platform import Stage
from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.store.record import Answer, Case
from tongbao.store.schema import ANSWER, CASE
from tongbao.store.step import Ahead, Commit, Load, Script, Shortfall, Together, Write, one_by_one
from tongbao.store.table import MARK, join_columns

ODD = ["", "-", MARK, f"a{MARK}", f"{MARK}b", "{}", '{""}', '"', "\\", "NULL", "测试", "a\nb", "'", ",", "$1", "\x1e"]


def play(stage: Stage, script: Script[Any]) -> Any:
    """Run one script."""

    async def whole() -> Any:
        async with stage.open_database() as database:
            return await database.run(lambda: script if stage.dialect == "postgresql" else one_by_one(script))

    return asyncio.run(whole())


def answer(key: str, outcome: str = "o") -> Answer:
    return Answer("odd", key, "h", outcome, Instant(1))


def case(number: int, closed: int | None) -> Case:
    at = None if closed is None else Instant(closed)
    return Case(f"c{number:03d}", "manual", "m", "t", "s", number, "CNY", "open", "", Instant(1), at)


@pytest.mark.parametrize("texts", [[odd] for odd in ODD] + [ODD, [odd for odd in ODD if MARK not in odd]])
def test_a_text_comes_back_as_it_was(texts: list[str], stage: Stage) -> None:
    """In keys and in values, alone and among others."""
    rows = sorted([answer(text, text) for text in texts], key=ANSWER.key_of)

    def script() -> Script[Any]:
        first = yield Together([Write(ANSWER, "insert", rows)])
        changed = [replace(row, outcome=row.outcome + "x") for row in rows]
        updated = yield Together([Write(ANSWER, "update", changed)])
        loaded = yield Together([Load(ANSWER, [ANSWER.key_of(row) for row in rows])])
        yield Commit()
        return [*first, *updated, loaded[0] == changed]

    assert play(stage, script()) == [len(rows), len(rows), True]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 33, 70])
def test_rows_of_any_number(count: int, stage: Stage) -> None:
    """Numbers and what is absent, through insert, update and load, with keys that are not there."""
    rows = [case(n, None if n % 3 else n) for n in range(count)]

    def script() -> Script[Any]:
        counts = yield Together([Write(CASE, "insert", rows)])
        ends = [replace(row, closed_at=None if row.closed_at else Instant(9)) for row in rows]
        counts += yield Together([Write(CASE, "update", [*ends, case(999, 1)])])
        keys = [CASE.key_of(row) for row in (*rows, case(998, 1))]
        (loaded,) = yield Together([Load(CASE, keys)])
        yield Commit()
        return [*counts, loaded == ends]

    assert play(stage, script()) == [count, count, True]


def test_what_is_written_ahead_is_heard_one_step_later(stage: Stage) -> None:
    """Each ``Ahead`` answers for the one before it, and the last one is empty."""

    def script() -> Script[Any]:
        said = [(yield Ahead([Write(ANSWER, "insert", [answer("a"), answer("b")])]))]
        said.append((yield Ahead([Write(ANSWER, "update", [answer("c")]), Write(CASE, "insert", [case(1, 1)])])))
        said.append((yield Ahead([])))
        yield Commit()
        return said

    assert play(stage, script()) == [[], [2], [0, 1]]


@pytest.mark.parametrize("many", [1, 40])
def test_a_key_that_is_there_already_falls_short(many: int, stage: Stage) -> None:
    """The driver says so itself, or counts what took effect."""

    def script() -> Script[Any]:
        yield Together([Write(ANSWER, "insert", [answer("k7")])])
        counts = yield Together([Write(ANSWER, "insert", [answer(f"k{n}") for n in range(7, 7 + many)])])
        if counts != [many]:
            raise Shortfall
        yield Commit()

    with pytest.raises(Shortfall):
        play(stage, script())


def test_a_text_that_holds_the_mark_makes_its_columns_arrays() -> None:
    """There is then nothing to join."""
    rows = [ANSWER.values_of(answer("a")), ANSWER.values_of(answer(f"b{MARK}"))]
    assert join_columns(ANSWER.columns, rows[:1]) == ["odd", "a", "h", "o", "1"]
    assert join_columns(ANSWER.columns, rows) is None
