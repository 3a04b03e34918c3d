"""SQLite: one writer thread, WAL, synchronous=FULL, readers of their own; checkpoints run off the write path."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, Final, TypeVar

from tongbao.kernel.error import ConfigurationError
from tongbao.store.fragment import Statement, statements
from tongbao.store.step import Conflict, Load, Observer, Query, Script, Step, Write
from tongbao.store.table import Key, Row, Table

T = TypeVar("T")

BUSY_SECONDS: Final = 5
CHECKPOINT_PAGES: Final = 4_000
"""Pages of WAL after which the checkpointer runs; about 16 MB."""
MANY: Final = 32
FEW: Final = 8
"""Rows of one statement."""
STATEMENTS: Final = 512
"""Compiled statements that a connection keeps."""


def connect(path: str, *, busy_seconds: int = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection with the settings the books need; raises ConfigurationError where the database will not have
    them."""
    uri = path.startswith("file:")
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, uri=uri, cached_statements=STATEMENTS
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA synchronous = FULL")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal" and "mode=memory" not in path:
        raise ConfigurationError("database", f"SQLite stays in journal mode {mode}; the books need WAL on a local disk")
    if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise ConfigurationError("database", "SQLite does not keep synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def bind(statement: Statement, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for one execution; lists travel as JSON."""
    return {
        name: json.dumps(list(parameters[name])) if name in statement.lists else parameters[name]
        for name in statement.parameters
    }


def execute(connection: sqlite3.Connection, step: Step) -> Any:
    """One step on one connection, as its answer is defined in ``store.step``."""
    if isinstance(step, Load):
        return load(connection, step.table, step.keys)
    if isinstance(step, Write):
        return write(connection, step.table, step.kind, step.rows)
    if isinstance(step, Query):
        statement = statements("sqlite")[step.name]
        return connection.execute(statement.sql, bind(statement, step.parameters)).fetchall()
    connection.execute("COMMIT")
    return None


def load(connection: sqlite3.Connection, table: Table, keys: Sequence[Key]) -> list[Row]:
    """Rows by key, in the order of the keys."""
    if len(keys) == 1:
        return table.rows(connection.execute(table.sqlite["load"], keys[0]).fetchall())
    found: list[Row] = []
    for start in range(0, len(keys), MANY):
        part = list(keys[start : start + MANY])
        # of few lengths, so that there are few statements
        part += part[-1:] * ((FEW if len(part) <= FEW else MANY) - len(part))
        sql = table.many_lite("load", len(part))
        found += table.rows(connection.execute(sql, list(chain.from_iterable(part))).fetchall())
    by_key = {table.key_of(row): row for row in found}
    return [by_key[key] for key in keys if key in by_key]


def write(connection: sqlite3.Connection, table: Table, kind: str, rows: Sequence[Row]) -> int:
    """Insert or update rows; how many took effect. Many rows go with one statement: between two statements this thread
    would have to wait for all others of the process."""
    values_of = table.update_of if kind == "update" else table.values_of
    values = [values_of(row) for row in rows]
    count = start = 0
    for size in (MANY, FEW):
        while len(values) - start >= size:
            part = list(chain.from_iterable(values[start : start + size]))
            count += connection.execute(table.many_lite(kind, size), part).rowcount
            start += size
    if start < len(values):
        count += connection.executemany(table.sqlite[kind], values[start:]).rowcount
    return count


def run_script(connection: sqlite3.Connection, script: Script[T], observe: Observer) -> T:
    """Drive a script through one BEGIN IMMEDIATE transaction. Raises Conflict on SQLITE_BUSY (F09)."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        answer = None
        while True:
            step = script.send(answer)
            observe("before", step)
            answer = execute(connection, step)
            observe("after", step)
    except StopIteration as end:
        result: T = end.value
        return result
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Conflict(str(error)) from error
        raise
    finally:
        script.close()
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _ignore(moment: str, step: Step) -> None:
    """The observer nobody asked for."""


class SqliteDatabase:
    """A database file (or a shared-cache memory URI) behind one writing and a few reading threads."""

    dialect = "sqlite"

    def __init__(self, path: str, *, readers: int = 2, observe: Observer = _ignore) -> None:
        self.path = path
        self._observe = observe
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, "sqlite-reader")
        self._checkpointer = ThreadPoolExecutor(1, "sqlite-checkpoint")
        self._since_checkpoint = 0

    def _connection(self) -> sqlite3.Connection:
        mine: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if mine is None:
            mine = self._local.connection = connect(self.path)
            self._opened.append(mine)
        return mine

    async def run(self, make: Callable[[], Script[T]]) -> T:
        """Run a fresh script in one write transaction. Raises Conflict, or what the script raises."""
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._writer, self._run, make)
        self._since_checkpoint += 1
        if self._since_checkpoint >= 100:
            self._since_checkpoint = 0
            loop.run_in_executor(self._checkpointer, self._checkpoint)
        return result

    def _run(self, make: Callable[[], Script[T]]) -> T:
        return run_script(self._connection(), make(), self._observe)

    def _checkpoint(self) -> None:
        connection = self._connection()
        pages = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        if pages > CHECKPOINT_PAGES:
            connection.execute("PRAGMA wal_checkpoint(RESTART)")

    async def read(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """A named query on a reading connection."""
        statement = statements("sqlite")[name]
        bound = bind(statement, parameters or {})
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers, lambda: self._connection().execute(statement.sql, bound).fetchall()
        )

    async def load(self, table: Table, keys: Sequence[Key]) -> list[Row]:
        """Rows by key on a reading connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: load(self._connection(), table, keys))

    async def close(self) -> None:
        """Finish what is queued, then close every connection."""
        for pool in (self._writer, self._readers, self._checkpointer):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._opened:
            connection.close()
