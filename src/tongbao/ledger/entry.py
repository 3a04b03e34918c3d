"""Postings and entries. A posting names one debit, one credit and one sum, so an unbalanced entry cannot be written."""

from __future__ import annotations

import hashlib

from tongbao.kernel.error import ensure
from tongbao.kernel.money import MINOR_MAX
from tongbao.kernel.record import record
from tongbao.kernel.time import Instant


@record
class Posting:
    """``amount`` minor units move from ``debit`` to ``credit``; both accounts are kept in one currency (I01, I05,
    I06)."""

    debit: str
    credit: str
    amount: int

    def __post_init__(self) -> None:
        debit, credit = self.debit, self.credit
        ensure(0 < self.amount <= MINOR_MAX, "a posting moves between 1 and 10^13 minor units")
        ensure(debit != credit, "a posting has two different accounts")
        ensure(debit.rpartition(":")[2] == credit.rpartition(":")[2], "a posting stays in one currency")


@record
class Entry:
    """A keyed set of postings with one cause. ``key`` is unique for ever and derived from the cause (``pay:<trade>``);
    a mistake is corrected by a new entry."""

    key: str
    kind: str
    merchant_id: str
    out_trade_no: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        ensure(bool(self.postings), "an entry has postings")

    def deltas(self) -> dict[str, int]:
        """Change of each account's balance (credits minus debits), in minor units."""
        changes: dict[str, int] = {}
        for posting in self.postings:
            changes[posting.debit] = changes.get(posting.debit, 0) - posting.amount
            changes[posting.credit] = changes.get(posting.credit, 0) + posting.amount
        return changes


def seal(previous: str, lane: int, seq: int, at: Instant, entry: Entry) -> str:
    """The entry's link in its lane's chain: SHA-256 over the previous link and everything the entry says (I07)."""
    parts = [previous, str(lane), str(seq), str(at), entry.key, entry.kind, entry.merchant_id, entry.out_trade_no]
    parts += [f"{posting.debit}>{posting.credit}={posting.amount}" for posting in entry.postings]
    text = "\x1f".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()
