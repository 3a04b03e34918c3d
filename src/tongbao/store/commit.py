"""The committer's one transaction, as a generator: load all needs, decide in arrival order, fold, write, commit.

It is written once; the drivers for SQLite, PostgreSQL and the simulation run it. It knows rows, entries and lanes, and
no rule: ``needs`` and ``decide`` come from ``service``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tongbao.kernel.error import BrokenInvariant, Refused, ensure
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant, business_day
from tongbao.ledger.entry import Entry, seal
from tongbao.store.record import AuditRow, EntryRow, Lane, PostingRow
from tongbao.store.schema import AUDIT, ENTRY, LANE, POSTING, STAGES, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.step import Commit, Fenced, Load, Script, Shortfall, Write
from tongbao.store.table import Key, Row, Table

LEASE: int = 30_000
"""How long a lane stays its holder's after a commit, in milliseconds of wire time."""


@record
class Now:
    """The two readings of the clock at which a batch is decided."""

    business: Instant
    wire: Instant


@dataclass(frozen=True, slots=True)
class AuditDraft:
    """A privileged act before it gets its place in the chain."""

    actor: str
    act: str
    subject: str
    reason: str = ""
    before: str = ""
    after: str = ""


@record
class Decision:
    """What a command came to. ``outcome`` may be a ``Refused``: then ``rows`` are only what a refusal keeps."""

    outcome: Any
    rows: Sequence[tuple[Table, Row]] = ()
    entries: Sequence[Entry] = ()
    audits: Sequence[AuditDraft] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The two pure halves of every use case."""

    needs: Callable[[Any, Sheet, int], Iterable[tuple[Table, Key]]]
    """(command, sheet, lane) -> rows it must see, as far as it can tell from what is loaded."""
    decide: Callable[[Any, Sheet, Now, int], Decision]
    """(command, sheet, now, lane) -> decision. May raise Refused."""


@dataclass(slots=True)
class Fold:
    """A batch being folded: rows in memory and the lane's moving end."""

    lane: Lane
    now: Now
    sheet: Sheet = field(default_factory=Sheet)

    def check(self, decision: Decision) -> None:
        """Move the balances, all or none. Raises BrokenInvariant before anything of the command was taken in."""
        self.sheet.post(decision.entries, self.now.business)

    def apply(self, decision: Decision) -> None:
        """Take in what ``check`` let pass."""
        for entry in decision.entries:
            self._append(entry)
        for table, row in decision.rows:
            self.sheet.put(table, row)
        for draft in decision.audits:
            self._audit(draft)

    def _append(self, entry: Entry) -> None:
        lane, at = self.lane, self.now.business
        seq = lane.entry_seq + 1
        head = seal(lane.head, lane.lane, seq, at, entry)
        self.sheet.put(
            ENTRY,
            EntryRow(
                lane.lane, seq, entry.key, entry.kind, entry.merchant_id, entry.out_trade_no, at, business_day(at), head
            ),
        )
        for n, posting in enumerate(entry.postings, 1):
            self.sheet.put(POSTING, PostingRow(lane.lane, seq, n, posting.debit, posting.credit, posting.amount))
        self.lane = replace(lane, entry_seq=seq, head=head)

    def _audit(self, draft: AuditDraft) -> None:
        lane, at = self.lane, self.now.business
        seq = lane.audit_seq + 1
        before, after = digest(draft.before), digest(draft.after)
        head = audit_link(
            lane.audit_head, lane.lane, seq, at, draft.actor, draft.act, draft.subject, draft.reason, before, after
        )
        self.sheet.put(
            AUDIT,
            AuditRow(lane.lane, seq, at, draft.actor, draft.act, draft.subject, draft.reason, before, after, head),
        )
        self.lane = replace(lane, audit_seq=seq, audit_head=head)


def digest(text: str) -> str:
    """SHA-256 of a text, '' for ''."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def audit_link(previous: str, *parts: object) -> str:
    """One link of the audit log's chain (I37)."""
    text = "\x1f".join(f"{len(str(part))}:{part}" for part in (previous, *parts))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit decided, in the order of the commands: an outcome, or the exception that command ran into."""

    lane: Lane
    outcomes: list[Any]


def commit_batch(
    commands: Sequence[Any], rules: Rules, lane: int, token: int, now: Now, ready: Callable[[Batch], None]
) -> Script[Batch]:
    """One transaction over ``commands``. Raises Fenced, or Shortfall when another node was first.

    ``ready`` is told what will be answered just before the commit, for the case that its reply is lost (F07).
    """
    held = yield Load(LANE, [(lane,)])
    if not held or held[0].token != token:
        raise Fenced(f"lane {lane} is no longer held with token {token}")
    now = Now(max(now.business, held[0].moved_at), now.wire)
    fold = Fold(held[0], now)
    moving = list(commands)
    wanted: dict[int, dict[Table, set[Key]]] = {}
    for stage in STAGES:
        moving = _ask(stage, moving, rules, fold, wanted)
        yield from _load_stage(wanted.pop(stage, {}), fold)
    # another node's clock may be ahead: what follows on a move of its never happens before it (F31, I40)
    fold.now = now = Now(max([now.business, *(trade.moved_at for trade in fold.sheet.loaded(TRADE))]), now.wire)
    outcomes = [_decide(command, rules, fold, lane) for command in commands]
    for table, rows in fold.sheet.inserts():
        yield from _write(table, "insert", rows)
    for table, rows in fold.sheet.updates():
        yield from _hold(table, fold.sheet.read_unlocked(table, rows))
        yield from _write(table, "update", rows)
    end = replace(fold.lane, batch=fold.lane.batch + 1, lease_until=Instant(now.wire + LEASE), moved_at=now.business)
    yield from _write(LANE, "update", [end])
    batch = Batch(end, outcomes)
    ready(batch)
    yield Commit()
    return batch


def _ask(
    stage: int, commands: list[Any], rules: Rules, fold: Fold, wanted: dict[int, dict[Table, set[Key]]]
) -> list[Any]:
    """Enter what these commands need. Returns those that looked at the sheet: they are asked again when more of it is
    loaded, and only this stage's rows are taken; what the others need does not depend on it."""
    sheet, lane, again = fold.sheet, fold.lane.lane, []
    for command in commands:
        sheet.peeked = False
        needed = list(rules.needs(command, sheet, lane))
        if sheet.peeked:
            again.append(command)
            needed = [need for need in needed if need[0].stage == stage]
        for table, key in needed:
            wanted.setdefault(table.stage, {}).setdefault(table, set()).add(key)
    return again


def _load_stage(wanted: dict[Table, set[Key]], fold: Fold) -> Script[None]:
    for table in sorted(wanted, key=lambda table: table.rank):
        keys = sorted(key for key in wanted[table] if not fold.sheet.knows(table, key))
        if not keys:
            continue
        rows = yield Load(table, keys)
        fold.sheet.fill(table, keys, rows)


def _decide(command: Any, rules: Rules, fold: Fold, lane: int) -> Any:
    try:
        decision = rules.decide(command, fold.sheet, fold.now, lane)
        fold.check(decision)
    except Refused as refusal:
        return refusal
    except BrokenInvariant as broken:
        return broken
    fold.apply(decision)
    return decision.outcome


def _hold(table: Table, read: Sequence[Row]) -> Script[None]:
    """Lock rows that were read without a lock and are to be changed: if another node changed them since, look again."""
    if read:
        now = yield Load(table, [table.key_of(row) for row in read], lock=True)
        if list(now) != list(read):
            raise Shortfall(f"a row of {table.name} was changed by another node")


def _write(table: Table, kind: str, rows: Sequence[Row]) -> Script[None]:
    count = yield Write(table, kind, rows)
    if count != len(rows):
        raise Shortfall(f"{kind} of {len(rows)} {table.name} rows took effect for {count}")


def read_lane(lane: int) -> Script[Lane]:
    """A lane as it stands once nobody is committing to it: its row is locked for the look."""
    found = yield Load(LANE, [(lane,)])
    yield Commit()
    row: Lane = found[0]
    return row


def take_lane(lane: int, holder: str, now: Now, *, by_force: bool) -> Script[Lane]:
    """Lease a lane with a fresh fencing token. ``by_force`` takes it from a living holder (embedded: one process).

    Raises Fenced when somebody else holds it and his lease has not run out.
    """
    found = yield Load(LANE, [(lane,)])
    if found:
        old: Lane = found[0]
        if not by_force and old.holder not in ("", holder) and old.lease_until > now.wire:
            raise Fenced(f"lane {lane} is held by {old.holder}")
        taken = replace(old, token=old.token + 1, holder=holder, lease_until=Instant(now.wire + LEASE))
        yield from _write(LANE, "update", [taken])
    else:
        taken = Lane(lane, 1, holder, Instant(now.wire + LEASE), 0, 0, "", 0, "", now.business)
        yield from _write(LANE, "insert", [taken])
    yield Commit()
    ensure(taken.token > 0, "a lane's token only grows")
    return taken
