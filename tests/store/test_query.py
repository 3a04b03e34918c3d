"""Conformance: every named query and every generated statement runs on both databases, with the same result."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.history import live
from tests.support.platform import BUYER, MERCHANT, PROTOCOL, Stage
from tests.support.postgresql import Server
from tests.support.world import START
from tongbao.kernel.time import DAY
from tongbao.store.fragment import compile_statement, expand, statements
from tongbao.store.schema import TABLES
from tongbao.store.step import Commit, Query, Script, Write
from tongbao.store.table import Table

LATER: Final = START + 20 * DAY
LIMITS: Final = {"most": 500, "after": 0, "start": 0, "last": 1_000, "low": "", "high": "z"}
KEY: Final = {"merchant_id": MERCHANT, "out_trade_no": "G", "seq": 1, "n": 9, "lane": 0, "case_id": "c1"}
WORDS: Final = {
    "trade_no": "",
    "login": f"{BUYER}@buyer.example",
    "buyer_id": BUYER,
    "protocol": PROTOCOL,
    "name": "setting",
    "value": "text",
    "environment": "test",
    "notify_state": "delivered",
    "kind": "notification_abandoned",
    "subject": "s",
    "note": "n",
    "answer_class": "SUCCESS",
    "answer": "success",
    "refund_no": "c1",
    "batch_no": "rb1",
    "bank": "ICBC",
    "bank_ref": "none",
    "batch_id": "none",
    "owner": "operations",
}
NUMBERS: Final = {"attempts": 3, "token": 2, "status": 200, "milliseconds": 5}
SETTLING: Final = {
    "beyond": "",
    "since": 0,
    "day": 20_260_301,
    "code": f"merchant:{MERCHANT}:pending:CNY",
    "settlement_no": "20260301",
    "payout_id": "",
    "combined_id": "",
    "batch_no": "",
    "number": 0,
    "split_no": "",
    "split_id": "",
}
BILLS: Final[dict[str, Any]] = {
    "seq_from": 1,
    "seq_end": 99,
    "n_after": 0,
    "prefix": f"merchant:{MERCHANT}:",
    "codes": [f"merchant:{MERCHANT}:pending:CNY"],
    "ids": ["none"],
    "numbers": ["none"],
    "moved_after": 0,
    "number_after": "",
}
TIMES: Final = dict.fromkeys(("now", "now_wire", "until", "at", "unknown_before", "rot_before", "future"), LATER)
LISTS: Final = {"merchants": [MERCHANT], "trades": ["A"], "words": [BUYER], "states": ["proposed"]}
PARAMETERS: Final[dict[str, Any]] = {
    **LIMITS,
    **KEY,
    **WORDS,
    **NUMBERS,
    **SETTLING,
    **BILLS,
    **TIMES,
    **LISTS,
    "next_at": None,
}
"""What the queries are asked with. A query with a parameter of a new name needs a line here."""

MAY_BE_EMPTY: Final = (
    "audit.",
    "combined.",
    "setting.",
    "outbox.",
    "operator.",
    "merchant_operator.",
    "migration.",
    "merchant.by_login",
    "settle.",
    "calendar.",
    "payout.",
    "split.",
    "refund.of_trade",
    "refund.batch_",
    "instruction.by_ref",
    "receivable.",
    "claim.disputed",
    "authorisation.asked",
    "bill.refund_numbers",
    "statement.",
    "gap.",
    "story.",
)


@pytest.fixture(scope="module")
def sqlite_books(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The history in SQLite."""
    path = tmp_path_factory.mktemp("conformance") / "books.sqlite"
    shutil.copy(sqlite_template, path)
    stage = Stage("sqlite", str(path))
    stage.play(live, furnished=False)
    return stage


@pytest.fixture(scope="module")
def postgresql_books(postgresql_server: Server, postgresql_template: str) -> Iterator[Stage]:
    """The same history in PostgreSQL."""
    with postgresql_server.database(postgresql_template) as dsn:
        stage = Stage("postgresql", dsn)
        stage.play(live, furnished=False)
        yield stage


def ask(stage: Stage, name: str) -> list[tuple[Any, ...]]:
    """One query's rows, in a transaction that is taken back."""
    found: list[tuple[Any, ...]] = []

    def script() -> Script[None]:
        values = {**PARAMETERS, "trade_no": stage.execute("SELECT MIN(trade_no) FROM trade")[0][0]}
        values["refund_id"] = stage.execute(f"SELECT refund_id FROM refund WHERE merchant_id = '{MERCHANT}'")[0][0]
        found.extend((yield Query(name, values)))

    async def whole() -> None:
        async with stage.open_database() as database:
            await database.run(script)

    asyncio.run(whole())
    return sorted([tuple(row) for row in found], key=repr)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(statements("sqlite")))
def test_a_named_query_answers_alike(name: str, sqlite_books: Stage, postgresql_books: Stage) -> None:
    """The same rows of the same types from both, and some rows where there is something to see."""
    lite, post = ask(sqlite_books, name), ask(postgresql_books, name)
    assert lite == post
    assert [[type(value) for value in row] for row in lite] == [[type(value) for value in row] for row in post]
    assert lite or name.startswith(MAY_BE_EMPTY)


def all_rows(stage: Stage, table: Table) -> list[Any]:
    """Every row of a table, by way of its keys."""
    keys = [tuple(row) for row in stage.execute(f"SELECT {', '.join(table.key)} FROM {table.name}")]

    async def whole() -> list[Any]:
        async with stage.open_database() as database:
            return await database.load(table, sorted(keys)) if keys else []

    return asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_loads_alike(table: Table, sqlite_books: Stage, postgresql_books: Stage) -> None:
    """The generated load gives the same records from both, in the order of the keys."""
    lite = all_rows(sqlite_books, table)
    assert lite == all_rows(postgresql_books, table)
    assert [table.key_of(row) for row in lite] == sorted(table.key_of(row) for row in lite)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_written_alike(table: Table, stage: Stage, sqlite_books: Stage) -> None:
    """An insert takes effect, and nothing is kept besides; update takes effect; what comes back is what was written."""
    rows = all_rows(sqlite_books, table)
    assert rows

    def script(kind: str, wanted: list[Any]) -> Callable[[], Script[int]]:
        def write() -> Script[int]:
            count: int = yield Write(table, kind, wanted)
            yield Commit()
            return count

        return write

    async def whole() -> list[int]:
        async with stage.open_database() as database:
            counts = [await database.run(script(kind, rows)) for kind in ("insert", "keep")]
            if table.name not in ("entry", "posting", "audit"):
                counts.append(await database.run(script("update", rows)))
            return counts

    if table.name in ("merchant_key", "merchant_operator"):
        _lend_merchants(stage, sqlite_books)
    counts = asyncio.run(whole())
    assert counts == [len(rows), 0, len(rows)][: len(counts)]
    assert all_rows(stage, table) == rows


def _lend_merchants(stage: Stage, books: Stage) -> None:
    merchant = next(table for table in TABLES if table.name == "merchant")
    rows = all_rows(books, merchant)

    def script() -> Script[None]:
        yield Write(merchant, "insert", rows)
        yield Commit()

    async def whole() -> None:
        async with stage.open_database() as database:
            await database.run(script)

    asyncio.run(whole())


def test_an_unknown_fragment_is_an_error() -> None:
    """The list of fragments is closed."""
    with pytest.raises(KeyError):
        expand("SELECT {something}", "sqlite")


def test_lists_travel_to_both() -> None:
    """A list parameter becomes an array or JSON; a colon in a text or a comment is no parameter."""
    sql = "SELECT 'a:b' -- not :this\n WHERE x {in many} AND y = :one AND z = :one"
    assert compile_statement("q", sql, "postgresql").sql.endswith("x = ANY($1) AND y = $2 AND z = $2")
    assert compile_statement("q", sql, "sqlite").parameters == ("many", "one")
    assert compile_statement("q", sql, "sqlite").lists == {"many"}


def test_a_list_parameter_works_in_sqlite() -> None:
    """``{in x}`` matches the members of a JSON list."""
    statement = compile_statement("q", "SELECT value FROM json_each('[1, 2, 3]') WHERE value {in many}", "sqlite")
    connection = sqlite3.connect(":memory:")
    assert connection.execute(statement.sql, {"many": "[3, 1]"}).fetchall() == [(1,), (3,)]
    connection.close()
