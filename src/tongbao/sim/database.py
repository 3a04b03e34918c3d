"""A driver for the platform's database in the simulation: real SQLite, a writing connection per process, and a yield
before and after each step.

Faults: an error before COMMIT, an error after it (F07), a busy database (F09), a crash between any two steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from tongbao.sim.loop import Life, pause, stand, turn
from tongbao.sim.universe import Universe
from tongbao.store.fragment import statements
from tongbao.store.record import Lane
from tongbao.store.schema import LANE
from tongbao.store.sqlite import bind, execute, load
from tongbao.store.step import Commit, CommitUnknown, Conflict, ConnectionLost, Database, Script, Step, Write
from tongbao.store.table import Key, Row, Table

T = TypeVar("T")

BUSY_TRIES: Final = 60
BUSY_SECONDS: Final = 0.05
"""A busy database is tried again so often, with about so long in between: three seconds in all."""


class Books(Database, Protocol):
    """What the oracles look at."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Plain SQL: what is committed."""


class SimDatabase:
    """A ``store.step.Database`` of one life."""

    dialect = "sqlite"

    def __init__(self, universe: Universe, life: Life) -> None:
        self.universe = universe
        self.life = life
        self.connection = universe.disk.writer(life)
        self.reader = universe.disk.reader
        self._before = 0
        self._writing = asyncio.Lock()
        self._lanes: list[Lane] = []
        """Lanes written in the transaction that is open."""

    async def run(self, make: Callable[[], Script[T]]) -> T:
        """Run a fresh script in one write transaction, yielding between any two steps."""
        async with self._writing:
            await self._begin()
            script = make()
            self._lanes.clear()
            try:
                answer = None
                while True:
                    try:
                        step = script.send(answer)
                    except StopIteration as end:
                        result: T = end.value
                        return result
                    await self._moment()
                    if isinstance(step, Commit):
                        await self._commit()
                        await self._moment()
                    else:
                        answer = self.perform(step)
                        if isinstance(step, Write) and step.table is LANE:
                            self._lanes += step.rows
            finally:
                script.close()
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    async def _begin(self) -> None:
        dice = self.universe.dice
        if dice.strikes("busy"):
            await pause(dice.random.uniform(0, 3))
            raise Conflict("the database is busy")
        for _ in range(BUSY_TRIES):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                self._before = self.connection.total_changes
                return
            except Exception as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (5, 6):
                    raise
                await pause(self.universe.random.uniform(0, 2 * BUSY_SECONDS))
        raise Conflict("the database stayed busy")

    async def _moment(self) -> None:
        await turn()
        if self.universe.dice.strikes("crash"):
            self.universe.crash_life(self.life)
            await stand()

    async def _commit(self) -> None:
        dice = self.universe.dice
        await pause(dice.random.uniform(0.0005, 0.01))
        if dice.strikes("before_commit"):
            self.connection.execute("ROLLBACK")
            await pause(dice.random.uniform(0, 2))
            raise CommitUnknown("lost") if dice.random.random() < 0.5 else ConnectionLost("lost")
        self.perform(Commit())
        self.universe.note("commit", self.life)
        if self.connection.total_changes != self._before:
            self.universe.disk.changes += 1
        for lane in self._lanes:
            self._check_token(lane)
        if dice.strikes("after_commit"):
            await pause(dice.random.uniform(0, 2))
            raise CommitUnknown("lost")

    def _check_token(self, lane: Lane) -> None:
        """A lane's tokens only grow: whoever commits under an older one should have been fenced off (F40)."""
        tokens = self.universe.tokens
        if lane.token < tokens.get(lane.lane, 0):
            self.universe.blame(f"F40 {self.life} committed in lane {lane.lane} under an old token")
        tokens[lane.lane] = max(lane.token, tokens.get(lane.lane, 0))

    def perform(self, step: Step) -> Any:
        """One step on the connection."""
        return execute(self.connection, step)

    async def read(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """A named query, on a connection of its own: it sees what is committed."""
        await self._look()
        statement = statements("sqlite")[name]
        rows: list[tuple[Any, ...]] = self.reader.execute(statement.sql, bind(statement, parameters or {})).fetchall()
        return rows

    async def _look(self) -> None:
        await turn()
        if self.universe.dice.strikes("read_fails"):
            raise ConnectionLost("lost while reading")

    async def load(self, table: Table, keys: Sequence[Key]) -> list[Row]:
        """Rows by key."""
        await self._look()
        return load(self.reader, table, keys)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Plain SQL, for the oracles: what is committed."""
        found: list[tuple[Any, ...]] = self.reader.execute(statement).fetchall()
        return found

    async def close(self) -> None:
        """The process's end closes the connection."""
        await turn()
