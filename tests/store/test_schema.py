"""The schema by itself: what no statement may do, whoever sends it; and how it comes to be."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.support.platform import House, Stage
from tests.support.postgresql import start
from tongbao.kernel.error import ConfigurationError
from tongbao.store.fragment import expand
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite, migrations
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.schema import TABLES
from tongbao.store.sqlite import connect

MONEY: Final = re.compile(r"amount|balance|fee|refunded|fee_min|fee_cap")
REFUSALS: Final = (sqlite3.IntegrityError, psycopg.errors.RaiseException, psycopg.IntegrityError)


def simple_day(stage: Stage) -> None:
    """A paid trade, so that every book has a line."""

    async def scene(house: House) -> None:
        await house.open("A")
        await house.pay("A")

    stage.play(scene)


def columns(stage: Stage) -> dict[tuple[str, str], tuple[str, bool]]:
    """(table, column) -> (type in lower case, whether it is NOT NULL), from the database's own catalogue."""
    if stage.dialect == "postgresql":
        rows = stage.execute(
            "SELECT table_name, column_name, data_type, is_nullable = 'NO' FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
    else:
        rows = stage.execute(
            'SELECT m.name, c.name, lower(c.type), c."notnull" OR c.pk > 0 FROM sqlite_master m'
            " JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        )
    return {(table, column): (kind, bool(fixed)) for table, column, kind, fixed in rows}


@pytest.mark.parametrize("table", ["entry", "posting", "audit"])
@pytest.mark.parametrize("act", ["UPDATE {0} SET seq = seq + 100", "DELETE FROM {0}", "TRUNCATE {0}"])
def test_T87_the_books_are_append_only(table: str, act: str, stage: Stage) -> None:
    """No statement changes or removes what was posted, not even one that is no use case of ours."""
    if act.startswith("TRUNCATE") and stage.dialect == "sqlite":
        act = f"UPDATE {{0}} SET {'hash' if table != 'posting' else 'debit'} = ''"
    simple_day(stage)
    with pytest.raises(REFUSALS, match="append-only"):
        stage.execute(act.format(table))


def test_T87_a_replaced_line_is_named(sqlite_stage: Stage) -> None:
    """SQLite's REPLACE passes by the triggers of strange connections; then the chain tells."""

    async def scene(house: House) -> set[str]:
        await house.open("A")
        await house.pay("A")
        sqlite_stage.execute(
            "INSERT OR REPLACE INTO posting SELECT lane, seq, n, debit, credit, amount + 1 FROM posting WHERE seq = 1"
        )
        return {finding.id for finding in await house.audit()}

    assert sqlite_stage.play(scene, audited=False) == {"I03", "I07"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET balance = -1 WHERE code LIKE 'buyer:%'",
        "UPDATE trade SET amount = 0",
        "UPDATE trade SET amount = 10000000000001",
        "UPDATE trade SET fee = amount + 1",
        "UPDATE trade SET state = 'elsewhere'",
        "UPDATE trade SET state = 'unpaid'",
        "UPDATE trade SET paid_attempt = 0",
        "UPDATE trade SET refunded = amount + 1",
        "UPDATE trade SET paid_at = created_at - 1",
        "UPDATE payment SET state = 'failed'",
        "UPDATE payment SET amount = -1",
        "UPDATE payment SET attempt = 100",
        "UPDATE authorisation SET amount = 0",
        "UPDATE authorisation SET state = 'maybe'",
        "UPDATE event SET next_at = NULL",
        "UPDATE merchant SET approved_by = ''",
        "UPDATE merchant SET fee_rate = 10001",
        "UPDATE buyer SET attempts = -1",
        "INSERT INTO posting VALUES (0, 99, 1, 'a', 'a', 1)",
        "INSERT INTO posting VALUES (0, 99, 1, 'a', 'b', 0)",
        "INSERT INTO posting VALUES (0, 99, 1, 'a', 'b', 10000000000001)",
        "INSERT INTO posting VALUES (0, 99, 1, 'a', NULL, 1)",
        "INSERT INTO entry SELECT lane, seq + 99, key, kind, '', '', at, business_day, hash FROM entry",
        "INSERT INTO merchant_key VALUES ('nobody', 'p', 'k', 1, 'MD5', 'both', 'v1:a:b:c', 'active', 0, 0)",
    ],
)
def test_a_constraint_holds(change: str, stage: Stage) -> None:
    """What must never be so is refused by the database itself, besides the rules."""
    simple_day(stage)
    with pytest.raises(REFUSALS):
        stage.execute(change)


def test_I10_a_second_counting_payment_is_refused(stage: Stage) -> None:
    """One payment counts for a trade: by an index, too."""
    simple_day(stage)
    names = (
        "merchant_id, out_trade_no, {}, payment_no, method, bank, flow, state, amount, currency, buyer_id, buyer_login"
    )
    rest = "intent, bank_ref, counts, created_at, ended_at"
    with pytest.raises(REFUSALS):
        stage.execute(f"INSERT INTO payment SELECT {names.format('attempt + 1')}, {rest} FROM payment")


def test_T39_money_columns_are_whole_numbers(stage: Stage) -> None:
    """A walk through the catalogue: every sum is a bigint that is not null, and nothing is numeric or real."""
    found = columns(stage)
    whole = "bigint" if stage.dialect == "postgresql" else "integer"
    money = {name: kind for name, kind in found.items() if MONEY.fullmatch(name[1])}
    assert len(money) >= 10
    assert set(money.values()) == {(whole, True)}
    assert {kind for kind, _ in found.values()} <= {"text", whole, "boolean"}


def test_the_records_are_the_columns(stage: Stage) -> None:
    """Every record has exactly its table's columns, and what may be None there may be NULL here."""
    found = columns(stage)
    for table in TABLES:
        assert {column.name for column in table.columns} == {name for owner, name in found if owner == table.name}


def test_sqlite_tables_are_strict(sqlite_stage: Stage) -> None:
    """No text in a whole number's place (M6)."""
    rows = sqlite_stage.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    )
    assert rows
    assert {strict for _, strict in rows} == {1}


def schema_of(stage: Stage) -> Any:
    """Everything the database knows of its own shape."""
    if stage.dialect == "sqlite":
        return sorted(
            stage.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"), key=repr
        )
    indexes = stage.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    checks = stage.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1")
    return sorted(columns(stage).items()), indexes, checks


def migrate(stage: Stage, target: int | None = None) -> list[int]:
    if stage.dialect == "sqlite":
        return migrate_sqlite(stage.where, target)
    return asyncio.run(migrate_postgresql(stage.where, target))


@pytest.fixture
def empty_stage(stage: Stage, request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """A database of the same kind as ``stage``, without any table."""
    if stage.dialect == "sqlite":
        return Stage("sqlite", str(tmp_path / "empty.sqlite"))
    return Stage("postgresql", request.getfixturevalue("postgresql_dsn"))


@pytest.mark.parametrize("version", range(len(migrations()) + 1))
def test_F06_migrations_from_every_version_end_alike(version: int, empty_stage: Stage, stage: Stage) -> None:
    """From empty and from each earlier version the same schema comes out; a second run has nothing to do."""
    known = [migration.version for migration in migrations()]
    assert migrate(empty_stage, version) == known[:version]
    assert migrate(empty_stage) == known[version:]
    assert migrate(empty_stage) == []
    assert schema_of(empty_stage) == schema_of(stage)


def test_F06_a_newer_schema_is_refused(stage: Stage) -> None:
    """A database that a later program has migrated is left alone."""
    stage.execute("INSERT INTO migration VALUES (9999, 'later')")
    with pytest.raises(ConfigurationError, match="9999 is newer"):
        migrate(stage)


def test_F12_sqlite_without_a_log_is_refused() -> None:
    """A database that cannot have WAL cannot hold the books."""
    with pytest.raises(ConfigurationError, match="journal mode"):
        connect(":memory:")


def test_sqlite_keeps_its_settings(sqlite_stage: Stage) -> None:
    """WAL, synchronous FULL, foreign keys, no trusted schema: on each connection."""
    connection = connect(sqlite_stage.where)
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    connection.close()
    assert values == ["wal", 2, 1, 0]


@pytest.mark.slow
def test_F12_postgresql_without_synchronous_commit_is_refused(postgresql_stage: Stage) -> None:
    """Acknowledged must mean durable."""
    name = postgresql_stage.where.rsplit("/", 1)[1]
    postgresql_stage.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with pytest.raises(ConfigurationError, match="synchronous_commit=off"):
        asyncio.run(PostgresqlDatabase(postgresql_stage.where).open())


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_F12_a_careless_postgresql_is_refused(setting: str) -> None:
    """A server that does not sync is no place for money."""
    with start({setting: "off"}) as server, pytest.raises(ConfigurationError, match=f"{setting}=off"):
        asyncio.run(PostgresqlDatabase(server.dsn).open())


def test_an_unreachable_postgresql_is_named() -> None:
    """The operator hears what is wrong, without a trace."""
    with pytest.raises(ConfigurationError, match="cannot connect"):
        asyncio.run(PostgresqlDatabase("postgresql://nobody@127.0.0.1:1/nothing").open())


def test_statements_are_split_as_sqlite_sees_them() -> None:
    """A trigger keeps the semicolons in its body."""
    sql = expand("{append_only entry}", "sqlite")[0]
    assert sql.count("CREATE TRIGGER") == 2
