"""The simulated banks' own book: one SQLite database that shares nothing with the platform's (I45).

Only SQL and bookkeeping are here; what a bank does with them is decided in the bank's room. Always SQLite: the banks
are simulated, so one process has them, and they never run in production.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Final, TypeVar

from tongbao.kernel.error import ConfigurationError, ensure
from tongbao.kernel.time import Instant, business_day
from tongbao.store.fragment import expand
from tongbao.store.migrate import split_statements
from tongbao.store.sqlite import connect, load
from tongbao.store.table import Row, Table

T = TypeVar("T")

MEMORY: Final = "file:tongbao-bank?mode=memory"
"""A book that is gone with its process."""


@dataclass(frozen=True, slots=True)
class Card:
    """A fictitious card. ``outcome``: ``ok``, ``insufficient``, ``slow``, ``lost``, ``late``, ``closed`` (it pays, and
    takes nothing any more); ``delay`` is milliseconds of business time for slow and late. ``hint`` is the password as
    the page shows it, '' where it does not. ``wrong`` counts reserved password tries since the last right one."""

    number: str
    bank: str
    kind: str
    holder: str
    password_hash: str
    hint: str
    outcome: str
    delay: int
    wrong: int
    locked_until_wire: Instant
    opened_at: Instant


@dataclass(frozen=True, slots=True)
class Order:
    """What the platform asked for, under the platform's number. ``state``: ``open`` (the buyer is to agree),
    ``accepted`` (to be executed at ``act_at``), ``succeeded``, ``failed``. An open order is over at ``act_at``.
    ``pays`` names the payment a refund gives back; ``quiet``: nobody is told the result unless he asks."""

    instruction_no: str
    bank: str
    kind: str
    method: str
    amount: int
    currency: str
    subject: str
    code: str
    pays: str
    notice_url: str
    card: str
    state: str
    reason: str
    bank_ref: str
    quiet: bool
    made_at: Instant
    act_at: Instant | None
    ended_at: Instant | None


@dataclass(frozen=True, slots=True)
class Notice:
    """The outbox row of one result; ``next_at`` None: said, or given up. ``answered`` is what came back last."""

    instruction_no: str
    tries: int
    next_at: Instant | None
    answered: str


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of a bank's book. A debit takes from ``debit``'s balance, a credit adds to ``credit``'s."""

    seq: int
    key: str
    kind: str
    bank: str
    debit: str
    credit: str
    amount: int
    at: Instant
    business_day: int


CARD: Final = Table("bank_card", Card, ("number",), rank=0, stage=0)
ORDER: Final = Table("bank_order", Order, ("instruction_no",), rank=1, stage=0)
NOTICE: Final = Table("bank_notice", Notice, ("instruction_no",), rank=2, stage=0)

_SQL: Final = {
    "cards": "SELECT number FROM bank_card WHERE bank = ? ORDER BY kind DESC, number",
    "all_cards": "SELECT number FROM bank_card ORDER BY bank, kind DESC, number",
    "by_code": "SELECT instruction_no FROM bank_order WHERE code = ?",
    "refunds": "SELECT instruction_no FROM bank_order WHERE pays = ? AND kind = 'refund' ORDER BY made_at",
    "due_orders": "SELECT instruction_no FROM bank_order WHERE act_at <= ? ORDER BY act_at, instruction_no",
    "due_notices": "SELECT instruction_no FROM bank_notice WHERE next_at <= ? ORDER BY next_at, instruction_no",
    "next": "SELECT MIN(at) FROM "
    "(SELECT MIN(act_at) AS at FROM bank_order UNION ALL SELECT MIN(next_at) FROM bank_notice)",
    "account": "INSERT INTO bank_account (code, bank, balance, lowest) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING",
    "balance": "SELECT balance, lowest FROM bank_account WHERE code = ?",
    "seq": "SELECT COALESCE(MAX(seq), 0) + 1 FROM bank_entry",
    "entry": "INSERT INTO bank_entry (seq, key, kind, bank, debit, credit, amount, at, business_day) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "posted": "SELECT amount FROM bank_entry WHERE key = ?",
    "move": "UPDATE bank_account SET balance = balance + ? WHERE code = ?",
    "statement": "SELECT seq, key, kind, bank, debit, credit, amount, at, business_day FROM bank_entry "
    "WHERE bank = ? AND business_day = ? ORDER BY seq",
    "of_kind": "SELECT seq, key, kind, bank, debit, credit, amount, at, business_day FROM bank_entry "
    "WHERE kind = ? ORDER BY seq",
    "sum": "SELECT COALESCE(SUM(balance), 0) FROM bank_account",
    "wrong": "SELECT code FROM bank_account a WHERE balance <> "
    "(SELECT COALESCE(SUM(amount), 0) FROM bank_entry WHERE credit = a.code) - "
    "(SELECT COALESCE(SUM(amount), 0) FROM bank_entry WHERE debit = a.code) ORDER BY code",
}

UNBOUNDED: Final = -(10**17)
"""The lowest balance of an account that stands for the world outside."""


class Desk:
    """One transaction's view of the book. Handed to the function given to ``BankBook.transact`` and dead after it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _one(self, table: Table, key: str) -> Row | None:
        found = load(self._connection, table, [(key,)])
        return found[0] if found else None

    def _keys(self, query: str, *parameters: object) -> list[str]:
        return [row[0] for row in self._connection.execute(_SQL[query], parameters)]

    def card(self, number: str) -> Card | None:
        found: Card | None = self._one(CARD, number)
        return found

    def cards(self, bank: str) -> list[Card]:
        """A bank's cards; every bank's for ''. Debit cards first."""
        keys = self._keys("cards", bank) if bank else self._keys("all_cards")
        return load(self._connection, CARD, [(key,) for key in keys])

    def order(self, number: str) -> Order | None:
        found: Order | None = self._one(ORDER, number)
        return found

    def order_by_code(self, code: str) -> Order | None:
        found = self._keys("by_code", code)
        return self.order(found[0]) if found else None

    def refunds_of(self, number: str) -> list[Order]:
        return load(self._connection, ORDER, [(key,) for key in self._keys("refunds", number)])

    def notice(self, number: str) -> Notice | None:
        found: Notice | None = self._one(NOTICE, number)
        return found

    def due_orders(self, now: Instant) -> list[str]:
        return self._keys("due_orders", now)

    def due_notices(self, now: Instant) -> list[str]:
        return self._keys("due_notices", now)

    def next_due(self) -> Instant | None:
        """When the next order or notice is due, or None."""
        return next((Instant(row[0]) for row in self._connection.execute(_SQL["next"]) if row[0] is not None), None)

    def add(self, table: Table, row: Row) -> bool:
        """Insert; False when the key was there already."""
        return self._connection.execute(table.sqlite["insert"], table.values_of(row)).rowcount == 1

    def save(self, table: Table, row: Row) -> None:
        """Update by key."""
        self._connection.execute(table.sqlite["update"], table.update_of(row))

    def open_account(self, code: str, bank: str, lowest: int) -> None:
        """An account with a balance of nothing that never falls below ``lowest``; unchanged if it is there."""
        self._connection.execute(_SQL["account"], (code, bank, lowest))

    def balance(self, code: str) -> int:
        """Minor units; 0 for an account that was never opened."""
        return next((int(row[0]) for row in self._connection.execute(_SQL["balance"], (code,))), 0)

    def available(self, code: str) -> int:
        """What may still be taken from an account."""
        return next((int(row[0] - row[1]) for row in self._connection.execute(_SQL["balance"], (code,))), 0)

    def posted(self, key: str) -> int:
        """Minor units of the entry with this key; 0 where there is none."""
        return next((int(row[0]) for row in self._connection.execute(_SQL["posted"], (key,))), 0)

    def post(self, key: str, kind: str, bank: str, debit: str, credit: str, amount: int, at: Instant) -> int:
        """One entry of one posting: balanced by construction, once per ``key``. Its number in the book."""
        ensure(amount > 0, "a posting is above zero")
        seq = int(self._connection.execute(_SQL["seq"]).fetchone()[0])
        line = (seq, key, kind, bank, debit, credit, amount, at, business_day(at))
        self._connection.execute(_SQL["entry"], line)
        for change, code in ((-amount, debit), (amount, credit)):
            ensure(self._connection.execute(_SQL["move"], (change, code)).rowcount == 1, f"no account {code}")
        return seq

    def statement(self, bank: str, day: int) -> list[Line]:
        """A bank's entries of one business day, ``20260131``."""
        return [Line(*row) for row in self._connection.execute(_SQL["statement"], (bank, day))]

    def entries_of(self, kind: str) -> list[Line]:
        """Every bank's entries of one kind."""
        return [Line(*row) for row in self._connection.execute(_SQL["of_kind"], (kind,))]

    def imbalance(self) -> list[str]:
        """What is wrong with the book, in words; empty when it is balanced."""
        total = int(self._connection.execute(_SQL["sum"]).fetchone()[0])
        wrong = [f"balance of {code} differs from its entries" for code in self._keys("wrong")]
        return [f"all balances together are {total}", *wrong] if total else wrong


class BankBook:
    """The book behind one thread. ``path``: a file, or ``MEMORY``. Raises ConfigurationError for a newer file."""

    def __init__(self, path: str = MEMORY) -> None:
        self._thread = ThreadPoolExecutor(1, "bank-book")
        self._connection = self._thread.submit(self._open, path).result()

    def _open(self, path: str) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        folder = resources.files("tongbao.store").joinpath("bank_migration")
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
        done = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if done > len(files):
            connection.close()
            raise ConfigurationError("bank_book", f"its version {done} is newer than this program knows")
        for number, file in enumerate(files[done:], done + 1):
            connection.execute("BEGIN IMMEDIATE")
            for statement in split_statements(expand(file.read_text("utf-8"), "sqlite")[0]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        return connection

    async def transact(self, act: Callable[[Desk], T]) -> T:
        """Run ``act`` in one transaction and return what it returns; whatever it raises rolls back."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, act)

    def _transact(self, act: Callable[[Desk], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = act(Desk(self._connection))
            self._connection.execute("COMMIT")
            return result
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._connection.close)
        await asyncio.to_thread(self._thread.shutdown)
