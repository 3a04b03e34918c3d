"""Migrations: numbered SQL files, each applied once in one transaction (F06); an unknown version refuses to start.

These run before the committer exists, on a plain connection of their own.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg

from tongbao.kernel.error import ConfigurationError
from tongbao.store.fragment import expand
from tongbao.store.sqlite import connect

_FILE = re.compile(r"(\d{4})_([a-z_]+)\.sql")
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS migration (version {bigint} NOT NULL PRIMARY KEY, name text NOT NULL) {strict}"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``store/migration``."""

    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All migrations in order, without gaps."""
    found = []
    for file in resources.files("tongbao.store").joinpath("migration").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError("migration", "the migration files are not numbered 1, 2, 3 ...")
    return found


def pending(applied: set[int], target: int | None = None) -> list[Migration]:
    """What is left to do up to ``target``. Raises ConfigurationError when the database is newer than this program."""
    known = migrations()
    unknown = applied - {migration.version for migration in known}
    if unknown:
        raise ConfigurationError("database", f"its schema version {max(unknown)} is newer than this program knows")
    return [m for m in known if m.version not in applied and (target is None or m.version <= target)]


def migrate_sqlite(path: str, target: int | None = None) -> list[int]:
    """Bring a SQLite file up to date; returns the versions applied now."""
    connection = connect(path)
    try:
        connection.execute(expand(_LEDGER, "sqlite")[0])
        applied = {row[0] for row in connection.execute("SELECT version FROM migration")}
        todo = pending(applied, target)
        for migration in todo:
            _apply_sqlite(connection, migration)
        return [migration.version for migration in todo]
    finally:
        connection.close()


def _apply_sqlite(connection: sqlite3.Connection, migration: Migration) -> None:
    sql = expand(migration.sql, "sqlite")[0]
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement in split_statements(sql):
            connection.execute(statement)
        connection.execute("INSERT INTO migration VALUES (?, ?)", (migration.version, migration.name))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def split_statements(sql: str) -> list[str]:
    """Single statements, as SQLite itself sees their ends (triggers hold semicolons)."""
    found = []
    buffer = ""
    for line in sql.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            found.append(buffer)
            buffer = ""
    return found


async def migrate_postgresql(dsn: str, target: int | None = None) -> list[int]:
    """Bring a PostgreSQL database up to date; returns the versions applied now. One process at a time (F41)."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock(7305437)")
        await connection.execute(expand(_LEDGER, "postgresql")[0])
        applied = {row[0] for row in await connection.fetch("SELECT version FROM migration")}
        todo = pending(applied, target)
        for migration in todo:
            async with connection.transaction():
                await connection.execute(expand(migration.sql, "postgresql")[0])
                await connection.execute("INSERT INTO migration VALUES ($1, $2)", migration.version, migration.name)
        return [migration.version for migration in todo]
    finally:
        await connection.close()
