"""The world's databases: real SQLite that costs a world little to have.

The platform's books are a WAL file in memory with one writing connection a life, since their transactions last over
many steps. A dead process's connection is rolled back, which is all that closing it would do to the books, and goes to
the next life. Readers share one connection, and each smaller book (a shop's, the banks') has a single one: whatever
they do is over within one step. The disk itself is not what is simulated.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from tongbao.sim.loop import Life
from tongbao.store.bankbook import MEMORY, BankBook
from tongbao.store.migrate import migrate_sqlite
from tongbao.store.sqlite import connect

_SETTINGS: Final = ("foreign_keys = ON", "trusted_schema = OFF", "synchronous = OFF", "wal_autocheckpoint = 0")
_STATEMENTS: Final = 512
"""Prepared statements a connection keeps: all there are."""


@cache
def _migrated() -> bytes:
    """Empty books, to be written down again for each world."""
    with tempfile.TemporaryDirectory(prefix="tongbao-sim-") as folder:
        path = Path(folder) / "books.sqlite"
        migrate_sqlite(str(path))
        connection = connect(str(path))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


@cache
def _blank(make: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    return make()


def make_bank_book() -> sqlite3.Connection:
    """The banks' tables, empty."""
    return BankBook.open_connection(MEMORY)


class Disk:
    """All databases of one world. ``changes`` grows with every commit that changed the platform's books."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "books.sqlite")
        Path(self._path).write_bytes(_migrated())
        self._opened: list[sqlite3.Connection] = []
        self._idle: list[sqlite3.Connection] = []
        self.reader = self._open()
        self.changes = 0

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, 0, isolation_level=None, cached_statements=_STATEMENTS)
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        self._opened.append(connection)
        return connection

    def writer(self, life: Life) -> sqlite3.Connection:
        """A connection to the books that is rolled back when the process dies."""
        connection = self._idle.pop() if self._idle else self._open()

        def give_back() -> None:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

        life.closing.append(give_back)
        return connection

    def book(self, make: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        """A smaller database of its own, in memory, as ``make`` builds it. ``make`` is called once in this process."""
        connection = sqlite3.connect(MEMORY, isolation_level=None, cached_statements=_STATEMENTS)
        _blank(make).backup(connection)
        self._opened.append(connection)
        return connection

    def close(self) -> None:
        """The world is over."""
        for connection in self._opened:
            connection.close()
