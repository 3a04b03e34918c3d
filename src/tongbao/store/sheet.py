"""The rows of one batch in memory: loaded once, decided over in arrival order, folded, written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tongbao.kernel.error import BrokenInvariant
from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import Account, open_account
from tongbao.ledger.entry import Entry
from tongbao.store.schema import ACCOUNT
from tongbao.store.table import Key, Row, Table


class Sheet:
    """Rows by table and key. A key that was asked for and does not exist is present with None."""

    def __init__(self) -> None:
        self._rows: dict[Table, dict[Key, Row | None]] = {}
        self._inserted: dict[Table, dict[Key, None]] = {}
        self._updated: dict[Table, dict[Key, None]] = {}
        self.peeked = False
        """Whether somebody looked since this was last set to False."""
        self._unlocked: dict[Table, dict[Key, Row]] = {}

    def knows(self, table: Table, key: Key) -> bool:
        """Whether the row was loaded, found missing, or written in this batch."""
        rows = self._rows.get(table)
        return rows is not None and key in rows

    def get(self, table: Table, *key: object) -> Any:
        """The row as it stands in this batch, or None. Asking for a row that nobody loaded is a programming error."""
        try:
            return self._rows[table][key]
        except KeyError:
            raise BrokenInvariant(f"{table.name} {key} was decided over without being loaded") from None

    def peek(self, table: Table, *key: object) -> Any:
        """As ``get``, but None where the row was not loaded yet: for ``needs``, which is asked before."""
        self.peeked = True
        return self._rows.get(table, {}).get(key)

    def loaded(self, table: Table) -> list[Row]:
        """Every row of a table that this batch has seen or written."""
        return [row for row in self._rows.get(table, {}).values() if row is not None]

    def fill(self, table: Table, keys: Iterable[Key], rows: Iterable[Row]) -> None:
        """Enter what a load answered."""
        mine = self._rows.setdefault(table, {})
        for key in keys:
            mine.setdefault(key, None)
        found = {table.key_of(row): row for row in rows}
        mine.update(found)
        if not table.locked:
            self._unlocked.setdefault(table, {}).update(found)

    def put(self, table: Table, row: Row) -> None:
        """Write a row: an update where it exists, an insert where it does not."""
        key = table.key_of(row)
        mine = self._rows.get(table)
        if mine is None:
            mine = self._rows[table] = {}
        marks = self._inserted.get(table)
        if marks is None:
            marks = self._inserted[table] = {}
        if mine.get(key) is None:
            if not table.blind and key not in mine:
                raise BrokenInvariant(f"{table.name} {key} is written without having been looked for")
            marks[key] = None
        elif key not in marks:
            self._updated.setdefault(table, {})[key] = None
        mine[key] = row

    def append(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows that nobody looks for in this batch and nobody changes: what is only ever appended."""
        mine, marks = self._rows.setdefault(table, {}), self._inserted.setdefault(table, {})
        for row in rows:
            key = table.key_of(row)
            mine[key] = row
            marks[key] = None

    def post(self, entries: Sequence[Entry], now: Instant) -> None:
        """Apply entries to the cached balances, all or none; raises BrokenInvariant where a rule would break (I04)."""
        fresh: dict[str, Account] = {}
        for entry in entries:
            for code, delta in entry.deltas().items():
                account: Account = fresh.get(code) or self.get(ACCOUNT, code) or open_account(code, now)
                balance = account.balance + delta
                if account.frozen:
                    raise BrokenInvariant(f"{code} is frozen")
                if balance < 0 and not account.may_go_negative:
                    raise BrokenInvariant(f"{entry.key} would take {code} below zero")
                fresh[code] = replace(account, balance=balance)
        for account in fresh.values():
            self.put(ACCOUNT, account)

    def inserts(self) -> list[tuple[Table, list[Row]]]:
        """New rows by table, in the order of locks; within a table by key."""
        return self._sorted(self._inserted)

    def updates(self) -> list[tuple[Table, list[Row]]]:
        """Changed rows by table, in the order of locks; within a table by key."""
        return self._sorted(self._updated)

    def guarded(self) -> tuple[list[tuple[Table, list[Row]]], list[tuple[Table, list[Row]]]]:
        """Inserts and updates that may be written before the batch is decided to its end, and are then no longer due:
        rows under a lock that is held, so that no other process waits for them or makes us wait. A balance is left for
        the end, since every command may move it."""
        inserts = {table: self._inserted.pop(table) for table in list(self._inserted) if table.blind}
        due = [table for table in self._updated if table.locked and table is not ACCOUNT]
        return self._sorted(inserts), self._sorted({table: self._updated.pop(table) for table in due})

    def read_unlocked(self, table: Table, rows: Iterable[Row]) -> list[Row]:
        """What rows about to be changed were when they were read, where the table is read without locks."""
        read = self._unlocked.get(table, {})
        return [read[key] for key in map(table.key_of, rows) if key in read]

    def _sorted(self, marks: dict[Table, dict[Key, None]]) -> list[tuple[Table, list[Row]]]:
        tables = sorted((table for table in marks if marks[table]), key=lambda table: table.rank)
        return [(table, [self._rows[table][key] for key in sorted(marks[table])]) for table in tables]
