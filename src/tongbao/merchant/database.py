"""Transactions on the shop's own database, over any DB-API connection: sqlite3, psycopg, PyMySQL.

The shop owns the connections; we open one transaction at a time on one of them and hand the same connection to the
shop's hooks. Statements are written once with ``:name`` parameters and turned into the driver's own style here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final, Protocol, TypeVar

from tongbao.kernel.error import ConfigurationError

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a whole transaction is tried when the database asks for it (F09). Nothing outside happens inside it."""

_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_RETRY_STATES: Final = frozenset({"40001", "40P01", "55P03"})
_RETRY_NUMBERS: Final = frozenset({1205, 1213, 1020})
_SQLITE_BUSY: Final = frozenset({5, 6, 517, 261})


class Dialect(StrEnum):
    """The three families of databases the order book speaks to; MariaDB is ``mysql`` here."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


class Cursor(Protocol):
    """What we need of a DB-API cursor."""

    @property
    def description(self) -> Any: ...

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: Any, parameters: Any = ..., /) -> Any: ...

    def fetchall(self) -> Sequence[Any]: ...

    def close(self) -> Any: ...


class Connection(Protocol):
    """What we need of a DB-API connection."""

    def cursor(self) -> Any: ...

    def commit(self) -> Any: ...

    def rollback(self) -> Any: ...

    def close(self) -> Any: ...


@cache
def _translate(statement: str, style: str) -> str:
    return statement if style == "named" else _PARAMETER.sub(r"%(\1)s", statement)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One open transaction. ``connection`` is the shop's own DB-API connection, for the hooks, which never commit."""

    connection: Any
    dialect: Dialect
    style: str

    def execute(self, statement: str, parameters: Mapping[str, object] | None = None) -> int:
        """Run a statement with ``:name`` parameters and no literal colons; returns how many rows it touched."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(_translate(statement, self.style), dict(parameters or {}))
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def rows(self, statement: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Run a SELECT with ``:name`` parameters; returns every row as a mapping by lower-case column name."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(_translate(statement, self.style), dict(parameters or {}))
            names = [column[0].lower() for column in cursor.description]
            found = cursor.fetchall()
        finally:
            cursor.close()
        return [dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=True)) for row in found]

    @property
    def for_update(self) -> str:
        """The row lock clause; on SQLite the whole transaction holds the write lock already (BEGIN IMMEDIATE)."""
        return "" if self.dialect is Dialect.SQLITE else " FOR UPDATE"

    @property
    def skip_locked(self) -> str:
        """As ``for_update``, but leaving out rows another worker holds."""
        return "" if self.dialect is Dialect.SQLITE else " FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True, slots=True)
class Database:
    """How to reach the shop's database. ``connect`` returns a connection that is not inside a transaction; it is called
    in the thread that uses it. ``release`` gives it back (default: close it), so that a pool fits.

    ``style`` is ``named`` (sqlite3) or ``pyformat`` (psycopg, PyMySQL, and Django's cursors on every database).
    """

    dialect: Dialect
    connect: Callable[[], Any]
    release: Callable[[Any], object] | None = None
    style: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dialect", Dialect(self.dialect))
        style = self.style or ("named" if self.dialect is Dialect.SQLITE else "pyformat")
        if style not in ("named", "pyformat"):
            raise ConfigurationError("style", "is not named or pyformat")
        object.__setattr__(self, "style", style)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self.connect()
        try:
            yield connection
        finally:
            if self.release is None:
                connection.close()
            else:
                self.release(connection)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work``, which only reads, and give everything back."""
        with self._connection() as connection:
            try:
                return work(Transaction(connection, self.dialect, self.style))
            finally:
                _roll_back(connection)

    def run(
        self,
        work: Callable[[Transaction], T],
        before_commit: Callable[[], object] | None = None,
        after_commit: Callable[[], object] | None = None,
    ) -> T:
        """Run ``work`` in one transaction and commit it; the whole of it again, at most five times, where the database
        says that another transaction was in the way (F09). Any other error rolls back and is raised."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._connection() as connection:
                    return self._once(connection, work, before_commit, after_commit)
            except Exception as error:
                if attempt == ATTEMPTS or not is_retriable(error):
                    raise
        raise AssertionError("unreachable")

    def _once(
        self,
        connection: Any,
        work: Callable[[Transaction], T],
        before_commit: Callable[[], object] | None,
        after_commit: Callable[[], object] | None,
    ) -> T:
        transaction = Transaction(connection, self.dialect, self.style)
        try:
            self._begin(transaction)
            result = work(transaction)
            if before_commit is not None:
                before_commit()
            connection.commit()
        except BaseException:
            _roll_back(connection)
            raise
        if after_commit is not None:
            after_commit()
        return result

    def _begin(self, transaction: Transaction) -> None:
        if self.dialect is Dialect.SQLITE:
            if getattr(transaction.connection, "in_transaction", False):
                raise ConfigurationError("connect", "gave a connection that is inside a transaction already")
            transaction.execute("BEGIN IMMEDIATE")
        elif self.dialect is Dialect.MYSQL:
            transaction.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            transaction.execute("START TRANSACTION")


def _roll_back(connection: Any) -> None:
    try:
        connection.rollback()
    except Exception:  # noqa: BLE001 - the connection is broken; the first error is the one to report
        return


def is_retriable(error: BaseException) -> bool:
    """Whether the whole transaction should be repeated: deadlock, serialization, a busy file, a unique race."""
    if getattr(error, "sqlstate", None) in _RETRY_STATES:
        return True
    if getattr(error, "sqlite_errorcode", None) in _SQLITE_BUSY:
        return True
    kinds = {kind.__name__ for kind in type(error).__mro__}
    first = error.args[0] if error.args else None
    if "OperationalError" in kinds and isinstance(first, int) and first in _RETRY_NUMBERS:
        return True
    return "IntegrityError" in kinds
