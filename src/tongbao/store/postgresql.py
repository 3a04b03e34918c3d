"""PostgreSQL through asyncpg: one write connection per committer, a pool for scripts of workers, a pool for reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar, cast

import asyncpg

from tongbao.kernel.error import ConfigurationError
from tongbao.store.fragment import Statement, statements
from tongbao.store.step import (
    Ahead,
    Commit,
    CommitUnknown,
    Conflict,
    ConnectionLost,
    Load,
    Observer,
    Query,
    Script,
    Shortfall,
    Step,
    Together,
    Write,
)
from tongbao.store.table import Key, Row, Table, join_columns

T = TypeVar("T")

SESSION: Final = {
    "lock_timeout": "2s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "application_name": "tongbao",
}

PLANS: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Of a writing connection. Statements by key are planned once: their plan does not depend on how many keys there are,
nor on how full the table was when it was made, and planning them anew costs as much as writing a dozen payments."""

LOOKING: Final = frozenset(("outbox.claim", "once.forget"))
"""Named queries of scripts that look for no key: a plan that knows nothing of what they are asked reads the table."""

QUERY_PLANS: Final = "SET LOCAL plan_cache_mode TO auto; SET LOCAL enable_seqscan TO on;"
"""Before one of these, for the rest of its transaction."""

_LOST = (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)
_CONFLICT = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
_GOING = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError)


def _ignore(moment: str, step: Step) -> None:
    """The observer nobody asked for."""


async def _load(connection: Any, table: Table, keys: Sequence[Key], *, lock: bool) -> list[Row]:
    columns = [list(column) for column in zip(*keys, strict=True)]
    sql = table.postgresql["load"]
    if lock and not table.locked:
        sql += " FOR UPDATE"
    return table.rows(await connection.fetch(sql, *columns))


async def _write(connection: Any, step: Write) -> int:
    values = step.table.update_of if step.kind == "update" else step.table.values_of
    columns = [list(column) for column in zip(*[values(row) for row in step.rows], strict=True)]
    tag: str = await connection.execute(step.table.postgresql[step.kind], *columns)
    return int(tag.rsplit(" ", 1)[1])


@cache
def _loads_sql(tables: tuple[Table, ...]) -> str:
    """One statement for loads of these tables, done in this order; each row says which load it answers."""
    parts, before = [], 0
    for number, table in enumerate(tables):
        parts.append(f"SELECT {number} AS load, rows.* FROM ({table.load_joined(before)}) AS rows (row)")
        before += len(table.key)
    return " UNION ALL ".join(parts)


@cache
def _writes_sql(writes: tuple[tuple[Table, str], ...]) -> str:
    """One statement for writes of these tables, done in this order; it answers with how many rows each changed."""
    parts, counts, before = [], [], 0
    for number, (table, kind) in enumerate(writes):
        parts.append(f"write_{number} AS ({table.write_joined(kind, before)})")
        counts.append(f"(SELECT COUNT(*) FROM write_{number})")
        before += len(table.write_columns[kind])
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"


async def _load_together(connection: Any, loads: Sequence[Load]) -> list[list[Row]]:
    joined: list[str] = []
    for load in loads:
        columns = join_columns(load.table.key_columns, load.keys)
        if columns is None:
            return [await _load(connection, load.table, load.keys, lock=load.lock) for load in loads]
        joined += columns
    found: list[list[Any]] = [[] for _ in loads]
    for number, row in await connection.fetch(_loads_sql(tuple([load.table for load in loads])), *joined):
        found[number].append(row)
    return [load.table.rows(rows) for load, rows in zip(loads, found, strict=True)]


async def _write_together(connection: Any, writes: Sequence[Write]) -> list[int]:
    joined: list[str] = []
    for write in writes:
        table, kind = write.table, write.kind
        values = table.update_of if kind == "update" else table.values_of
        columns = join_columns(table.write_columns[kind], [values(row) for row in write.rows])
        if columns is None:
            return [await _write(connection, write) for write in writes]
        joined += columns
    sql = _writes_sql(tuple([(write.table, write.kind) for write in writes]))
    return list(await connection.fetchrow(sql, *joined))


def _arguments(statement: Statement, parameters: Mapping[str, Any]) -> list[Any]:
    return [list(parameters[name]) if name in statement.lists else parameters[name] for name in statement.parameters]


async def _query(connection: Any, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    statement = statements("postgresql")[name]
    rows = await connection.fetch(statement.sql, *_arguments(statement, parameters))
    return [tuple(row) for row in rows]


class _Ahead:
    """The write that is under way while the script goes on; one at a time."""

    def __init__(self, tell: Observer) -> None:
        self._tell = tell
        self._step = Ahead([])
        self._task: asyncio.Task[list[int]] | None = None

    async def follow(self, connection: Any, step: Ahead) -> list[int]:
        """Wait for the write under way, and start this one. Answers with what the former came to."""
        counts = await self._task if self._task is not None else []
        self._tell("after", self._step)
        self._step, self._task = step, None
        if step.steps:
            self._tell("before", step)
            self._task = asyncio.ensure_future(_write_together(connection, step.steps))
            await asyncio.sleep(0)  # by then it is on its way
        return counts

    async def drop(self) -> None:
        """The script has ended early: what is under way must end before the connection can be used."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


async def _leave(connection: object) -> None:
    """Nothing is reset when a connection goes back to its pool: no statement of ours changes a session, and what may
    be left of a transaction was ended before. The driver's own reset is a turn to the server for each batch and each
    read."""


class PostgresqlDatabase:
    """A PostgreSQL database. ``open`` connects and checks durability; ``run`` is for one committer and for scripts."""

    dialect = "postgresql"

    def __init__(
        self,
        dsn: str,
        *,
        readers: int = 4,
        writers: int = 3,
        observe: Observer = _ignore,
        session: Mapping[str, str] | None = None,
    ) -> None:
        """``session``: settings of its connections besides, or instead of, ``SESSION`` and ``PLANS``."""
        self._dsn = dsn
        self._session = SESSION | dict(session or {})
        self._write_session = SESSION | PLANS | dict(session or {})
        self._observe = observe
        self._limits = (readers, writers)
        self._read_pool: Any = None
        self._write_pool: Any = None
        self._begun: Any = None
        """A writing connection between two scripts: the transaction of the next was begun with the commit of the
        last, and the script that follows at once takes it."""
        self._closing = False

    async def open(self, *, check: bool = True) -> None:
        """Connect both pools. Raises ConfigurationError where acknowledged commits would not be durable (F12)."""
        readers, writers = self._limits
        try:
            self._read_pool = await asyncpg.create_pool(
                self._dsn, min_size=1, max_size=readers, server_settings=self._session, reset=_leave
            )
            self._write_pool = await asyncpg.create_pool(
                self._dsn,
                min_size=1,
                max_size=writers,
                server_settings=self._write_session,
                reset=_leave,
                max_cached_statement_lifetime=0,
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise ConfigurationError("database", f"cannot connect to PostgreSQL: {type(error).__name__}") from error
        if check:
            try:
                await self._check_durability()
            except ConfigurationError:
                await self.close()
                raise

    async def _check_durability(self) -> None:
        async with self._read_pool.acquire() as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                if await connection.fetchval(f"SHOW {setting}") == "off":
                    raise ConfigurationError("database", f"PostgreSQL runs with {setting}=off")

    async def run(self, make: Callable[[], Script[T]]) -> T:
        """Run a fresh script in one transaction. Raises Conflict, ConnectionLost, CommitUnknown, or the script's
        own."""
        connection, self._begun = self._begun, None
        begun = connection is not None
        if connection is None:
            try:
                connection = await self._write_pool.acquire()
            except _LOST + _GOING as error:
                raise ConnectionLost(str(error)) from error
        try:
            return await self._drive(connection, make(), begun=begun)
        finally:
            if self._begun is connection and self._closing:
                self._begun = None
            if self._begun is not connection:
                await self._release(connection)

    async def _release(self, connection: Any) -> None:
        """Back to the pool, but never dirty. A connection that broke has left the pool and says nothing more."""
        try:
            if connection.is_in_transaction():
                connection.terminate()
            await self._write_pool.release(connection)
        except _LOST:
            return

    async def _drive(self, connection: Any, script: Script[T], *, begun: bool) -> T:
        ahead = _Ahead(self._tell)
        committing = False
        try:
            if not begun:
                await connection.execute("BEGIN;")
            answer: Any = None
            while True:
                step = script.send(answer)
                if isinstance(step, Ahead):
                    answer = await ahead.follow(connection, step)
                    continue
                self._tell("before", step)
                if isinstance(step, Commit):
                    committing, more = True, step.more()
                    # one statement, so that whatever goes wrong with it says what became of the commit
                    tag = await connection.execute("COMMIT AND CHAIN;" if more else "COMMIT;")
                    committing = False
                    if tag != "COMMIT":
                        raise Conflict("the transaction was broken before its commit")
                    self._begun = connection if more else self._begun
                    answer = None
                else:
                    if isinstance(step, Query) and step.name in LOOKING:
                        await connection.execute(QUERY_PLANS)
                    answer = await self._execute(connection, step)
                self._tell("after", step)
        except StopIteration as end:
            result: T = end.value
            return result
        except asyncpg.UniqueViolationError as error:
            raise Shortfall(f"a row of {error.table_name} was put in by another node") from error
        except _CONFLICT as error:
            raise Conflict(str(error)) from error
        except _LOST + _GOING as error:
            raise (CommitUnknown if committing else ConnectionLost)(str(error)) from error
        except asyncpg.PostgresError as error:
            if committing:
                raise CommitUnknown(str(error)) from error
            raise
        finally:
            script.close()
            await ahead.drop()
            await self._roll_back(connection)

    def _tell(self, moment: str, step: Step) -> None:
        for single in step.steps if isinstance(step, Together | Ahead) else (step,):
            self._observe(moment, single)

    async def _roll_back(self, connection: Any) -> None:
        try:
            if connection.is_in_transaction() and self._begun is not connection:
                await connection.execute("ROLLBACK;")
        except (*_LOST, *_GOING, asyncpg.PostgresError):
            # the connection is thrown away by _release; the server rolls back by itself
            return

    async def _execute(self, connection: Any, step: Step) -> Any:
        if isinstance(step, Together):
            if isinstance(step.steps[0], Load):
                return await _load_together(connection, cast("Sequence[Load]", step.steps))
            return await _write_together(connection, cast("Sequence[Write]", step.steps))
        if isinstance(step, Load):
            return await _load(connection, step.table, step.keys, lock=step.lock)
        if isinstance(step, Write):
            return (await _write_together(connection, [step]))[0]
        if isinstance(step, Query):
            return await _query(connection, step.name, step.parameters)
        raise TypeError(f"no such step: {step!r}")

    async def read(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """A named query on a reading connection."""
        async with self._read_pool.acquire() as connection:
            return await _query(connection, name, parameters or {})

    async def load(self, table: Table, keys: Sequence[Key]) -> list[Row]:
        """Rows by key, unlocked, on a reading connection."""
        columns = [list(column) for column in zip(*keys, strict=True)]
        sql = table.postgresql["load"].replace(" FOR UPDATE", "")
        async with self._read_pool.acquire() as connection:
            return table.rows(await connection.fetch(sql, *columns))

    async def close(self) -> None:
        """Close both pools."""
        self._closing = True
        if self._begun is not None:
            connection, self._begun = self._begun, None
            await self._release(connection)
        for pool in (self._read_pool, self._write_pool):
            if pool is not None:
                await pool.close()
