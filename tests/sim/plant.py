"""Faults planted in the platform: the rules, the committer, the database, the worker. Each is a ``Cast``.

Nothing in the program knows of them: they are other objects handed to the play.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tongbao.kernel.error import ensure
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.bank import ReportInstruction
from tongbao.service.channel import Channel
from tongbao.service.command import RULES
from tongbao.service.party import TopUp
from tongbao.service.pay import PayFromBalance
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.sim.database import SimDatabase
from tongbao.sim.platform import Parts
from tongbao.sim.play import Cast
from tongbao.store.commit import Batch, Decision, Now, Rules
from tongbao.store.committer import Committer
from tongbao.store.outbox import ATTEMPT, FINISH
from tongbao.store.schema import ACCOUNT, CASE, EVENT, INSTRUCTION, LANE, PAYMENT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.step import Commit, Database, Load, Query, Script, Step, Write
from tongbao.store.table import Row, Table
from tongbao.wire.world import World
from tongbao.worker.deliver import Deliverer
from tongbao.worker.duty import Worker

Change = Callable[[Any, Decision, int], Decision]
"""(command, the right decision, lane) -> the wrong one."""


def with_rules(decide: Callable[[Any, Any, Now, int], Decision], committer: type[Committer] = Committer) -> Cast:
    """A platform that decides otherwise."""

    def make(
        world: World, database: Database, secrets: Secrets, settings: PlatformSettings, channels: Mapping[str, Channel]
    ) -> Platform:
        platform = Platform(world, database, secrets, settings, channels)
        rules = Rules(RULES.needs, decide)
        platform.committer = committer(
            database, rules, world.clock, settings.lane, settings.holder, by_force=settings.embedded
        )
        return platform

    return Cast(parts=Parts(platform=make))


def changed(change: Change) -> Cast:
    """A platform whose decisions are changed after they were made."""
    return with_rules(lambda command, sheet, now, lane: change(command, RULES.decide(command, sheet, now, lane), lane))


def without(*tables: Table, when: Callable[[Any, Decision], bool] = lambda command, made: True) -> Cast:
    """A platform that forgets to write rows of some tables."""

    def drop(command: Any, made: Decision, lane: int) -> Decision:
        if not when(command, made):
            return made
        return replace(made, rows=[pair for pair in made.rows if pair[0] not in tables])

    return changed(drop)


def reposted(change: Callable[[Entry], list[Entry]]) -> Cast:
    """A platform that posts otherwise."""
    return changed(
        lambda command, made, lane: replace(made, entries=[new for old in made.entries for new in change(old)])
    )


# --- rules ---------------------------------------------------------------------------------------------------------


def capture_twice(entry: Entry) -> list[Entry]:
    """The same postings once more under another key."""
    return [entry, replace(entry, key=f"{entry.key}:again")] if entry.kind == "pay" else [entry]


def forget_fee(entry: Entry) -> list[Entry]:
    """The platform's part stays with the merchant."""
    return [replace(entry, postings=entry.postings[:1])]


def round_up(entry: Entry) -> list[Entry]:
    """One fen more than the trade says."""
    if entry.kind != "pay":
        return [entry]
    first = replace(entry.postings[0], amount=entry.postings[0].amount + 1)
    return [replace(entry, postings=(first, *entry.postings[1:]))]


def wrong_bank(entry: Entry) -> list[Entry]:
    """The money of one bank is booked at another."""
    return [
        replace(entry, postings=tuple(replace(p, debit=p.debit.replace("ICBC", "CCB")) for p in entry.postings))
        if entry.kind == "pay"
        else entry
    ]


def wrong_payee(entry: Entry) -> list[Entry]:
    """Another merchant gets it."""

    def moved(posting: Posting) -> Posting:
        owner, number, *rest = posting.credit.split(":")
        if owner != "merchant" or posting.debit.startswith("merchant"):
            return posting
        return replace(posting, credit=":".join([owner, f"{int(number) + 1:0{len(number)}d}", *rest]))

    return [replace(entry, postings=tuple(map(moved, entry.postings)))] if entry.kind == "topup" else [entry]


def return_twice(entry: Entry) -> list[Entry]:
    """Late money goes back twice."""
    return [entry, replace(entry, key=f"{entry.key}:again")] if entry.kind == "return" else [entry]


class BlindSheet:
    """A sheet on which every trade looks unpaid."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def get(self, table: Table, *key: object) -> Any:
        row = self._sheet.get(table, *key)
        return replace(row, state="unpaid", paid_attempt=0) if table is TRADE and row is not None else row

    def peek(self, table: Table, *key: object) -> Any:
        return self._sheet.peek(table, *key)


def capture_without_state_check(command: Any, sheet: Any, now: Now, lane: int) -> Decision:
    """Paid or closed, money is taken; the entry's key no longer names the trade alone."""
    if not isinstance(command, PayFromBalance):
        return RULES.decide(command, sheet, now, lane)
    blind: Any = BlindSheet(sheet)
    made = RULES.decide(command, blind, now, lane)
    return replace(
        made, entries=[replace(entry, key=f"{entry.key}:{made.outcome.payment_no}") for entry in made.entries]
    )


def late_as_captured(command: Any, made: Decision, lane: int) -> Decision:
    """Money for a closed trade counts as its payment."""
    if not isinstance(command, ReportInstruction) or getattr(made.outcome, "what", "") != "late":
        return made
    rows = [
        (table, replace(row, state="captured", counts=True) if table is PAYMENT else row)
        for table, row in made.rows
        if table is not CASE and not (table is INSTRUCTION and row.kind == "refund")
    ]
    return replace(made, rows=rows)


def late_without_return(command: Any, made: Decision, lane: int) -> Decision:
    """Money for a closed trade rests in suspense, with its case, and nobody sends it back."""
    return replace(
        made, rows=[(table, row) for table, row in made.rows if table is not INSTRUCTION or row.reason != "late"]
    )


def top_up_without_key(command: Any, made: Decision, lane: int) -> Decision:
    """Every repeat of a top-up is another one."""
    global_number = id(made)
    if not isinstance(command, TopUp):
        return made
    return replace(made, entries=[replace(entry, key=f"{entry.key}:{global_number}") for entry in made.entries])


def suspense_of_own_lane(command: Any, sheet: Any, now: Now, lane: int) -> Decision:
    """A lane may only give back what it took in itself."""
    made = RULES.decide(command, sheet, now, lane)
    for entry in made.entries:
        for posting in entry.postings:
            if ":suspense:" in posting.debit:
                account = sheet.get(ACCOUNT, posting.debit)
                ensure(account is not None and account.balance >= posting.amount, "suspense below zero")
    return made


def balance_unchecked(command: Any, sheet: Any, now: Now, lane: int) -> Decision:
    """Who has not enough is served all the same, from what is there."""
    if not isinstance(command, PayFromBalance):
        return RULES.decide(command, sheet, now, lane)

    class Rich(BlindSheet):
        def get(self, table: Table, *key: object) -> Any:
            row = self._sheet.get(table, *key)
            return replace(row, balance=10**9) if table is ACCOUNT and row is not None else row

    rich: Any = Rich(sheet)
    return RULES.decide(command, rich, now, lane)


# --- committer -----------------------------------------------------------------------------------------------------


class Optimist(Committer):
    """Takes every unknown commit for done."""

    async def _happened(self, batch: Batch) -> bool:
        return True


class LateEvents(Platform):
    """Writes events in a transaction of their own, after the money's."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.late: list[Row] = []
        rules = Rules(RULES.needs, self._decide)
        self.committer = Committer(
            self.database, rules, self.world.clock, self.settings.lane, self.settings.holder, by_force=False
        )

    def _decide(self, command: Any, sheet: Any, now: Now, lane: int) -> Decision:
        made = RULES.decide(command, sheet, now, lane)
        self.late += [row for table, row in made.rows if table is EVENT]
        return replace(made, rows=[pair for pair in made.rows if pair[0] is not EVENT])

    async def submit(self, command: Any) -> Any:
        outcome = await super().submit(command)
        late, self.late = self.late, []
        if late:
            await self.database.run(lambda: _write_events(late))
        return outcome


def _write_events(rows: list[Row]) -> Script[None]:
    for row in rows:
        yield Write(EVENT, "insert", [row])
    yield Commit()


# --- database ------------------------------------------------------------------------------------------------------


class StaleDatabase(SimDatabase):
    """Reads an account once and writes what follows from that for ever."""

    def perform(self, step: Step) -> Any:
        kept: dict[str, Row] = self.__dict__.setdefault("kept", {})
        answer = super().perform(step)
        if isinstance(step, Load) and step.table is ACCOUNT:
            return [kept.setdefault(row.code, row) for row in answer]
        return answer


class UnfencedDatabase(SimDatabase):
    """A committer that takes its own token for the lane's."""

    def perform(self, step: Step) -> Any:
        answer = super().perform(step)
        if isinstance(step, Write) and step.table is LANE:
            self.__dict__["mine"] = step.rows[0].token
        if isinstance(step, Load) and step.table is LANE and "mine" in self.__dict__:
            return [replace(row, token=self.__dict__["mine"]) for row in answer]
        return answer


class ForgetfulDatabase(SimDatabase):
    """Says committed, and one time in twenty has rolled back."""

    def perform(self, step: Step) -> Any:
        if isinstance(step, Commit) and self.universe.dice.on and self.universe.random.random() < 0.05:
            return self.connection.execute("ROLLBACK")
        return super().perform(step)


class OutboxDatabase(SimDatabase):
    """Changes what the end of deliveries writes: one by one by named queries, or set by set as rows of ``table``."""

    name = ""
    table: Table = FINISH

    def perform(self, step: Step) -> Any:
        if isinstance(step, Query) and step.name == self.name:
            return self.changed(step)
        if isinstance(step, Write) and step.table is self.table:
            rows = [row for row in map(self.rewritten, step.rows) if row is not None]
            super().perform(Write(step.table, step.kind, rows))
            return len(step.rows)
        return super().perform(step)

    def changed(self, step: Query) -> Any:
        """What is done instead of the query."""
        return []

    def rewritten(self, row: Row) -> Row | None:
        """What is written instead of the row; None for nothing."""
        return None


class NoAttempts(OutboxDatabase):
    """Deliveries are not written down."""

    name = "outbox.attempt"
    table = ATTEMPT


class NoCases(OutboxDatabase):
    """Abandoned notifications have no case."""

    name = "outbox.case"
    table = CASE

    def rewritten(self, row: Row) -> Row | None:
        return None if row.kind.startswith("notif") else row


class NoLease(OutboxDatabase):
    """A worker past its lease writes its result all the same."""

    name = "outbox.finish"

    def _token(self, *key: object) -> int:
        found = self.connection.execute(
            "SELECT lease_token FROM event WHERE merchant_id = ? AND out_trade_no = ? AND seq = ?", key
        ).fetchone()
        return int(found[0])

    def changed(self, step: Query) -> Any:
        token = self._token(*(step.parameters[name] for name in ("merchant_id", "out_trade_no", "seq")))
        return super(OutboxDatabase, self).perform(Query(step.name, {**step.parameters, "token": token}))

    def rewritten(self, row: Row) -> Row:
        return replace(row, lease_token=self._token(row.merchant_id, row.out_trade_no, row.seq))


class FirstTryOnly(OutboxDatabase):
    """A notification that failed once is dropped."""

    name = "outbox.finish"

    def changed(self, step: Query) -> Any:
        parameters = dict(step.parameters)
        if parameters["notify_state"] == "pending":
            parameters |= {"notify_state": "delivered", "next_at": None}
        return super(OutboxDatabase, self).perform(Query(step.name, parameters))

    def rewritten(self, row: Row) -> Row:
        return replace(row, notify_state="delivered", next_at=None) if row.notify_state == "pending" else row


class HastyRetry(OutboxDatabase):
    """The protocol's timetable is not kept."""

    name = "outbox.finish"

    def changed(self, step: Query) -> Any:
        parameters = dict(step.parameters)
        if parameters["next_at"] is not None:
            parameters["next_at"] -= 200_000
        return super(OutboxDatabase, self).perform(Query(step.name, parameters))

    def rewritten(self, row: Row) -> Row:
        return replace(row, next_at=row.next_at - 200_000) if row.next_at is not None else row


# --- worker --------------------------------------------------------------------------------------------------------


class MarksFirst(Deliverer):
    """Marks as delivered, then sends."""

    async def _send(self, claimed: Any) -> Any:
        sent = asyncio.create_task(super()._send(claimed))
        self.__dict__.setdefault("sending", []).append(sent)
        return "SUCCESS", None


def marks_first(platform: Platform) -> Worker:
    """A worker with that deliverer."""
    worker = Worker(platform)
    worker.deliverer = MarksFirst(platform)
    return worker


class Lazy(Worker):
    """Never asks a bank."""

    async def run_inquiries(self) -> int:
        return 0


class Timeless(Worker):
    """Never looks at the clock."""

    async def run_timers(self) -> int:
        return 0


class Poisoned(Worker):
    """Whose inquiries fail for ever, and keep the deliveries from their turn."""

    async def run_deliveries(self) -> int:
        rows = await self._platform.database.read("instruction.due", {"now": 10**15, "most": 1})
        return 0 if rows else await super().run_deliveries()
