"""Books in memory: the rules alone, decided over rows in a dictionary, so that thousands of stories cost a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.store.commit import Now
from tongbao.store.schema import ACCOUNT
from tongbao.store.sheet import Sheet
from tongbao.store.table import Key, Table

ROUNDS = 5


@dataclass
class Memory:
    """All rows by table and key. A command that is accepted gives new books; the old ones stay as they were."""

    now: Instant
    rows: dict[Table, dict[Key, Any]] = field(default_factory=dict)

    def get(self, table: Table, *key: object) -> Any:
        """A row, or None."""
        return self.rows.get(table, {}).get(key)

    def all(self, table: Table) -> list[Any]:
        """Every row of a table."""
        return list(self.rows.get(table, {}).values())

    def at(self, now: int) -> Memory:
        """The same books at another time."""
        return Memory(Instant(now), self.rows)

    def put(self, table: Table, row: Any) -> Memory:
        """With one row more, or another."""
        return Memory(self.now, {**self.rows, table: {**self.rows.get(table, {}), table.key_of(row): row}})

    def submit(self, command: Any) -> tuple[Memory, Any]:
        """The books after a command, and its outcome; refused, they are the same books."""
        sheet = Sheet()
        for _ in range(ROUNDS):
            for table, key in list(command.needs(sheet, 0)):
                if not sheet.knows(table, key):
                    row = self.get(table, *key)
                    sheet.fill(table, [key], [] if row is None else [row])
        try:
            decision = command.decide(sheet, Now(self.now, self.now), 0)
            if isinstance(decision.outcome, Refused):
                return self, decision.outcome
            sheet.post(decision.entries, self.now)
        except Refused as refused:
            return self, refused
        for table, row in decision.rows:
            sheet.put(table, row)
        rows = dict(self.rows)
        for table, changed in (*sheet.inserts(), *sheet.updates()):
            rows[table] = {**rows.get(table, {}), **{table.key_of(row): row for row in changed}}
        return Memory(self.now, rows), decision.outcome

    def balances(self) -> dict[str, int]:
        """Every balance that is not zero."""
        return {account.code: account.balance for account in self.all(ACCOUNT) if account.balance}
