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
from tongbao.store.schema import ACCOUNT, AUDIT, ENTRY, LANE, POSTING, STAGES, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.step import Ahead, Commit, Fenced, Load, Script, Shortfall, Together, Write
from tongbao.store.table import Key, Row, Table

LEASE: int = 30_000
"""How long a lane stays its holder's after a commit, in milliseconds of wire time."""

STRIDE: int = 32
"""Commands decided between two looks at what can be written ahead: half of what a hundred callers bring at once."""


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
    sheet: Sheet

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
        row = EntryRow(
            lane.lane, seq, entry.key, entry.kind, entry.merchant_id, entry.out_trade_no, at, business_day(at), head
        )
        self.sheet.append(ENTRY, [row])
        postings = [
            PostingRow(lane.lane, seq, n, posting.debit, posting.credit, posting.amount)
            for n, posting in enumerate(entry.postings, 1)
        ]
        self.sheet.append(POSTING, postings)
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
    commands: Sequence[Any],
    rules: Rules,
    lane: int,
    token: int,
    now: Now,
    ready: Callable[[Batch], None],
    more: Callable[[], bool] = bool,
) -> Script[Batch]:
    """One transaction over ``commands``. Raises Fenced, or Shortfall when another node was first.

    ``ready`` is told what will be answered just before the commit, for the case that its reply is lost (F07); ``more``
    says whether another batch follows at once.
    """
    asking = _Asking(rules, lane, list(commands))
    held = yield from _load_first(asking, token)
    sheet = asking.sheet
    now = Now(max(now.business, held.moved_at), now.wire)
    # another node's clock may be ahead: what follows on a move of its never happens before it (F31, I40)
    now = Now(max([now.business, *(trade.moved_at for trade in sheet.loaded(TRADE))]), now.wire)
    fold = Fold(held, now, sheet)
    outcomes = yield from _decide_all(commands, rules, fold)
    end = replace(fold.lane, batch=fold.lane.batch + 1, lease_until=Instant(now.wire + LEASE), moved_at=now.business)
    yield from _write_sheet(sheet, end)
    batch = Batch(end, outcomes)
    ready(batch)
    yield Commit(more)
    return batch


@dataclass(slots=True)
class _Asking:
    """What the commands of a batch need, asked stage by stage; ``moving`` are those that looked at the sheet: they are
    asked again when more of it is loaded, and only that stage's rows are taken. What the others need does not depend
    on it."""

    rules: Rules
    lane: int
    moving: list[Any]
    sheet: Sheet = field(default_factory=Sheet)
    wanted: dict[Table, set[Key]] = field(default_factory=dict)

    def ask(self, stage: int) -> None:
        sheet, wanted, again, needs = self.sheet, self.wanted, [], self.rules.needs
        for command in self.moving:
            sheet.peeked = False
            needed = list(needs(command, sheet, self.lane))
            if sheet.peeked:
                again.append(command)
                needed = [need for need in needed if need[0].stage == stage]
            for table, key in needed:
                keys = wanted.get(table)
                if keys is None:
                    wanted[table] = {key}
                else:
                    keys.add(key)
        self.moving = again

    def depends(self) -> bool:
        """Whether rows of one statement could be decided over in two states of the books: a command waits to see what
        is loaded, or asks for rows that come and go under another row's lock."""
        return bool(self.moving) or any(table.stage > TRADE.stage and table is not ACCOUNT for table in self.wanted)

    def loads(self, stage: int | None) -> list[Load]:
        """What is to be loaded now, in the order of locks; of all stages where ``stage`` is None."""
        tables = [table for table in self.wanted if stage is None or table.stage == stage]
        loads = []
        for table in sorted(tables, key=lambda table: table.rank):
            keys = sorted([key for key in self.wanted.pop(table) if not self.sheet.knows(table, key)])
            if keys:
                loads.append(Load(table, keys))
        return loads

    def take(self, loads: Sequence[Load], answers: Sequence[Sequence[Row]]) -> None:
        for load, rows in zip(loads, answers, strict=True):
            self.sheet.fill(load.table, load.keys, rows)


def _load_first(asking: _Asking, token: int) -> Script[Lane]:
    """Load whatever the commands need, the lane first. Raises Fenced.

    Where nothing depends on what is loaded, all of it is one statement. It sees the books as they were when it began,
    but for the rows it locked, which it sees as they are; a row that another node put in meanwhile makes the insert of
    ours fall short. Otherwise each stage is a statement of its own and sees what was there when the one before it had
    its locks.
    """
    asking.ask(STAGES[0])
    loads = asking.loads(STAGES[0] if asking.depends() else None)
    lane, *answers = yield Together([Load(LANE, [(asking.lane,)]), *loads])
    if not lane or lane[0].token != token:
        raise Fenced(f"lane {asking.lane} is no longer held with token {token}")
    asking.take(loads, answers)
    for stage in STAGES[1:]:
        if asking.moving:
            asking.ask(stage)
        loads = asking.loads(stage)
        if loads:
            asking.take(loads, (yield Together(loads)))
    held: Lane = lane[0]
    return held


def _write_sheet(sheet: Sheet, end: Lane) -> Script[None]:
    """Write what changed, inserts first, and the lane's end."""
    inserts, updates = _writes(sheet.inserts(), []), _writes([], sheet.updates())
    read = [(write.table, sheet.read_unlocked(write.table, write.rows)) for write in updates]
    unlocked = [(table, rows) for table, rows in read if rows]
    updates.append(Write(LANE, "update", [end]))
    if not unlocked:
        yield from _write([*inserts, *updates])
        return
    if inserts:
        yield from _write(inserts)
    for table, rows in unlocked:
        yield from _hold(table, rows)
    yield from _write(updates)


def _decide_all(commands: Sequence[Any], rules: Rules, fold: Fold) -> Script[list[Any]]:
    """Decide in order; what is under our locks is written while the rest is decided."""
    lane, outcomes = fold.lane.lane, []
    ahead: list[Write] = []
    for start in range(0, len(commands), STRIDE):
        if start:
            inserts, updates = fold.sheet.guarded()
            writes = _writes(inserts, updates)
            if writes:
                _check(ahead, (yield Ahead(writes)))
                ahead = writes
        outcomes += [_decide(command, rules, fold, lane) for command in commands[start : start + STRIDE]]
    if ahead:
        _check(ahead, (yield Ahead([])))
    return outcomes


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
    now = yield Load(table, [table.key_of(row) for row in read], lock=True)
    if list(now) != list(read):
        raise Shortfall(f"a row of {table.name} was changed by another node")


Rows = Sequence[tuple[Table, Sequence[Row]]]


def _writes(inserts: Rows, updates: Rows) -> list[Write]:
    return [
        *[Write(table, "insert", rows) for table, rows in inserts],
        *[Write(table, "update", rows) for table, rows in updates],
    ]


def _write(writes: Sequence[Write]) -> Script[None]:
    _check(writes, (yield Together(writes)))


def _check(writes: Sequence[Write], counts: Sequence[int]) -> None:
    for write, count in zip(writes, counts, strict=True):
        if count != len(write.rows):
            raise Shortfall(f"{write.kind} of {len(write.rows)} {write.table.name} rows took effect for {count}")


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
        yield from _write([Write(LANE, "update", [taken])])
    else:
        taken = Lane(lane, 1, holder, Instant(now.wire + LEASE), 0, 0, "", 0, "", now.business)
        yield from _write([Write(LANE, "insert", [taken])])
    yield Commit()
    ensure(taken.token > 0, "a lane's token only grows")
    return taken
