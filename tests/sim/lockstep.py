"""The same world over two databases, transaction by transaction: real SQLite, and the real driver of PostgreSQL.

Here a transaction is one step of the world, so that nothing differs between the two but the database. Whatever they
answer otherwise (a row, an order of rows, a refusal) shows in the digest of everything that was done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from tongbao.sim.database import SimDatabase
from tongbao.sim.loop import Life, pause, stand, turn
from tongbao.sim.platform import Parts
from tongbao.sim.play import Cast, Report, run_seed
from tongbao.sim.universe import Universe
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.record import Lane
from tongbao.store.schema import LANE
from tongbao.store.sqlite import run_script
from tongbao.store.step import Commit, CommitUnknown, Conflict, ConnectionLost, Script, Step, Write
from tongbao.store.table import Key, Row, Table

T = TypeVar("T")


class Watch:
    """An observer: which lanes were written, and whether to fail before the commit."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.fails = False

    def __call__(self, moment: str, step: Step) -> None:
        if moment == "before" and isinstance(step, Commit) and self.fails:
            raise ConnectionError("lost")
        if moment == "after" and isinstance(step, Write) and step.table is LANE:
            self.lanes += step.rows


class Whole(SimDatabase):
    """A database whose transactions are one step each. Faults: busy, and lost before or after the commit."""

    def __init__(self, universe: Universe, life: Life) -> None:
        super().__init__(universe, life)
        self.watch = Watch()

    async def run(self, make: Callable[[], Script[T]]) -> T:
        async with self._writing:
            dice = self.universe.dice
            if dice.strikes("busy"):
                await pause(dice.random.uniform(0, 3))
                raise Conflict("the database is busy")
            await pause(dice.random.uniform(0.001, 0.02))
            if dice.strikes("crash"):
                self.universe.crash_life(self.life)
                await stand()
            fails, unknown, late = dice.strikes("before_commit"), dice.random.random() < 0.5, False
            self.watch.lanes, self.watch.fails = [], fails
            try:
                result: T = self.transact(make)
            except (ConnectionError, ConnectionLost) as error:
                raise (CommitUnknown if unknown else ConnectionLost)("lost") from error
            self.universe.note("commit", self.life)
            self.universe.disk.changes += 1
            for lane in self.watch.lanes:
                self._check_token(lane)
            late = dice.strikes("after_commit")
            await turn()
            if late:
                raise CommitUnknown("lost")
            return result

    def transact(self, make: Callable[[], Script[T]]) -> T:
        """The whole transaction."""
        return run_script(self.connection, make(), self.watch)


class Thread:
    """A loop of its own on which the real driver runs, while the world waits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Beside(Whole):
    """The same over PostgreSQL."""

    dialect = "postgresql"

    def __init__(
        self, universe: Universe, life: Life, database: PostgresqlDatabase, watch: Watch, thread: Thread
    ) -> None:
        super().__init__(universe, life)
        self._real, self._thread, self.watch = database, thread, watch

    def transact(self, make: Callable[[], Script[T]]) -> T:
        return self._thread.wait(self._real.run(make))

    async def read(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        await self._look()
        return self._thread.wait(self._real.read(name, parameters))

    async def load(self, table: Table, keys: Sequence[Key]) -> list[Row]:
        await self._look()
        return self._thread.wait(self._real.load(table, keys))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._real._dsn) as connection:
            return connection.execute(statement.encode()).fetchall()


class Recorded:
    """Parts whose oracle's questions and answers are kept."""

    def __init__(self, make: Callable[[Universe, Life], Whole]) -> None:
        self.asked: list[tuple[str, list[tuple[Any, ...]]]] = []
        self._make = make
        self.cast = Cast(parts=Parts(database=make, books=self._books))

    def _books(self, universe: Universe, life: Life) -> Whole:
        found = self._make(universe, life)
        inner = found.rows

        def rows(statement: str) -> list[tuple[Any, ...]]:
            answer = [tuple(row) for row in inner(statement)]
            self.asked.append((statement, sorted(answer, key=repr)))
            return answer

        found.__dict__["rows"] = rows
        return found

    def play(self, seed: int) -> Report:
        return run_seed(seed, "", self.cast)


@contextmanager
def on_postgresql(dsn: str) -> Iterator[Recorded]:
    """A recorder over one PostgreSQL database."""
    thread, watch = Thread(), Watch()
    database = PostgresqlDatabase(dsn, readers=1, writers=1, observe=watch)
    try:
        thread.wait(database.open())
        yield Recorded(lambda universe, life: Beside(universe, life, database, watch, thread))
        thread.wait(database.close())
    finally:
        thread.stop()
