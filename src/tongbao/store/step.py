"""The steps that generators yield to a database driver, and what drivers and committer raise at each other.

A generator is run inside one transaction: every ``Load``, ``Write`` and ``Query`` is sent its rows or its count, and
``Commit`` ends the transaction. Leaving the generator without a Commit rolls back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tongbao.store.table import Key, Row, Table

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Load:
    """Rows of ``table`` by ``keys`` (sorted), locked where the table or ``lock`` says so. Answer: list of records."""

    table: Table
    keys: Sequence[Key]
    lock: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """``insert``, ``keep`` (an insert of what is not there yet) or ``update`` rows of ``table``. Answer: how many rows
    took effect. Where an insert's key is there already a driver may raise Shortfall instead."""

    table: Table
    kind: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Query:
    """A hand-written query by name. Answer: list of tuples; for a change without RETURNING, an empty list."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """Make it durable. ``more`` is asked when the commit is sent: whether another script follows at once, whose
    transaction a driver may begin in the same turn."""

    more: Callable[[], bool] = bool


@dataclass(frozen=True, slots=True)
class Together:
    """Loads, or writes, none of which waits for the answer of another: a driver may send them as one statement, which
    does them in this order. Answer: the list of their answers."""

    steps: Sequence[Load] | Sequence[Write]


@dataclass(frozen=True, slots=True)
class Ahead:
    """Writes whose answer is not waited for: the database does them while the next commands are decided. Answer: what
    the ``Ahead`` before it came to, as for ``Together``; the last one of a script is empty, so that all are heard."""

    steps: Sequence[Write]


Step = Load | Write | Query | Commit | Together | Ahead
Script = Generator[Step, Any, T]


def one_by_one(script: Script[T]) -> Script[T]:
    """The same script for a driver that knows single steps only."""
    answer: Any = None
    before: list[Any] = []
    while True:
        try:
            step = script.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        if isinstance(step, Together | Ahead):
            answers = []
            for single in step.steps:
                answer = yield single
                answers.append(answer)
            answer = answers
            if isinstance(step, Ahead):
                answer, before = before, answers
        else:
            answer = yield step


Observer = Callable[[str, Step], None]
"""Called ``before`` and ``after`` every step: crash points, yields of the simulation, traces."""


class Shortfall(Exception):  # noqa: N818
    """Fewer rows took effect than were written: another node was first. Roll back, reload, decide again."""


class Conflict(Exception):  # noqa: N818
    """The database gave up this transaction (serialization, deadlock, busy); it may be run again (F09)."""


class ConnectionLost(Exception):  # noqa: N818
    """The connection broke before COMMIT was sent: nothing happened."""


class CommitUnknown(Exception):  # noqa: N818
    """The connection broke during COMMIT: whether it happened must be looked up (F07)."""


class Fenced(Exception):  # noqa: N818
    """Another committer has taken this lane: stop (F40)."""


class Database(Protocol):
    """What the rest of the platform knows of a database. ``dialect`` is ``sqlite`` or ``postgresql``."""

    dialect: str

    def run(self, make: Callable[[], Script[T]]) -> Awaitable[T]:
        """Run a fresh script in one write transaction."""
        ...

    def read(self, name: str, parameters: Mapping[str, Any] | None = None) -> Awaitable[list[tuple[Any, ...]]]:
        """A named query outside the committer, from the read pool. Never used to decide about money (T49)."""
        ...

    def load(self, table: Table, keys: Sequence[Key]) -> Awaitable[list[Row]]:
        """Rows by key, unlocked, from the read pool."""
        ...

    def close(self) -> Awaitable[None]: ...
