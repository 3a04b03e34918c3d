"""The world's databases: real SQLite that costs a world little to have.

The platform's books are a WAL file in memory with one writing connection a life, since their transactions last over
many steps. A dead process's connection is rolled back, which is all that closing it would do to the books, and goes to
the next life. Readers share one connection, and each smaller book (a shop's, the banks') has a single one: whatever
they do is over within one step. The disk itself is not what is simulated.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from tongbao.sim.loop import Life
from tongbao.store.migrate import migrate_sqlite
from tongbao.store.sqlite import connect

MEMORY: Final = "file:tongbao-sim?mode=memory"
"""A database that only its connection sees."""


@cache
def _migrated() -> bytes:
    """Empty books, to be written down again for each disk."""
    with tempfile.TemporaryDirectory(prefix="tongbao-sim-") as folder:
        path = Path(folder) / "books.sqlite"
        migrate_sqlite(str(path))
        connection = connect(str(path))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


def _memory() -> str | None:
    """A folder in memory, where the system has one: nothing is to survive."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None


class Book(Protocol):
    """``changes`` grows with every commit that changed something."""

    changes: int


@cache
def _blank(make: Callable[[], Any]) -> Any:
    return make()


class Disk:
    """All databases of one world. ``changes`` grows with every commit that changed the platform's books."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="tongbao-sim-", dir=_memory())
        self._path = f"{self._folder}/books.sqlite"
        Path(self._path).write_bytes(_migrated())
        self._opened: list[Any] = []
        self._idle: list[Any] = []
        self.reader = self._open(self._path)
        self.changes = 0

    def _open(self, path: str) -> Any:
        connection = connect(path, busy_seconds=0)
        connection.execute("PRAGMA synchronous = OFF")
        self._opened.append(connection)
        return connection

    def writer(self, life: Life) -> Any:
        """A connection to the books that is rolled back when the process dies."""
        connection = self._idle.pop() if self._idle else self._open(self._path)

        def give_back() -> None:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

        life.closing.append(give_back)
        return connection

    def book(self, make: Callable[[], Any]) -> Any:
        """A smaller database of its own, in memory, with the tables that ``make`` creates."""
        connection = self._open(MEMORY)
        _blank(make).backup(connection)
        return connection

    def folder(self, name: str) -> Path:
        """A folder for the files of one party, not yet there."""
        return Path(self._folder) / name

    def close(self) -> None:
        """The world is over."""
        for connection in self._opened:
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)
