"""How refunds and payouts end for the shop: a notification is believed like one of a payment, step by step.

Steps 1 to 10 are those of every message. Then: 11, it names nobody else; 12, every line is one of ours, with the very
sum that was asked for; 13, the platform itself says so; 14 and 15, one transaction; 16, the word of success. How the
shop asks for them is in ``asking``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tongbao.kernel.money import Money
from tongbao.kernel.port import Clock
from tongbao.kernel.time import SECOND, Instant, later
from tongbao.merchant.asking import Ended, answer, query
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.merchant.errand import Errands
from tongbao.merchant.exchange import Core, Work, ask
from tongbao.merchant.line import Line, agrees, ended_since, line_of, match_lines, told_lines, told_of
from tongbao.merchant.movement import ENDED, STUCK, Movement, MovementKind, MovementTable, ended
from tongbao.merchant.verdict import Stop, VerdictKind
from tongbao.wire.movement import BatchHead, BatchView, QueryPayOutBatch
from tongbao.wire.vocabulary import Confirmed, ConfirmNotification, Notification


def is_ending(notification: Notification, endpoint: Endpoint) -> bool:
    """Whether a message is about a refund, a payout or a batch, and not (also) about a trade's state."""
    if notification.batch is not None or notification.payout is not None:
        return True
    return notification.refund is not None and endpoint.configuration.manifest.notifies_refund == "own"


def check_recipient(notification: Notification, endpoint: Endpoint) -> None:
    """Step 11: every name it says is ours. Where it names nobody, the key is ours alone, or the platform is asked."""
    ours = endpoint.configuration
    said = {notification.trade.merchant}
    if ours.seller:  # else the payee has a number of his own in this protocol, and nobody told us which
        said.add(notification.trade.seller.id)
    if notification.batch is not None:
        said |= {notification.batch.merchant, notification.batch.payer.id}
    for view in (notification.refund, notification.payout):
        if view is not None:
            said.add(view.merchant)
    said.discard("")
    if said - {ours.merchant, ours.seller.id}:
        raise Stop(11, "WRONG_RECIPIENT", "it is for another merchant")
    shared = all(isinstance(key.material, bytes) for key in ours.keys.ring.verify)
    if not said and not shared and not endpoint.confirms:
        raise Stop(11, "WRONG_RECIPIENT", "it names nobody, and the key is not this merchant's alone")


class Endings:
    """The core. Its methods are generators; see ``exchange`` for what they yield."""

    def __init__(
        self,
        endpoints: EndpointTable,
        table: MovementTable,
        database: Database,
        clock: Clock,
        hook: Ended | None,
        crashpoint: Callable[[str], object],
    ) -> None:
        self._endpoints = endpoints
        self._table = table
        self._database = database
        self._clock = clock
        self._hook = hook
        self._crash = crashpoint

    # --- notifications ---------------------------------------------------------------------------------------------

    def accept(self, notification: Notification, endpoint: Endpoint) -> Core[tuple[VerdictKind, str, str]]:
        """Steps 11 to 15; the kind of verdict, its reason, and the event. Raises Stop."""
        check_recipient(notification, endpoint)
        batch = notification.batch
        if batch is not None and batch.head is not None and not batch.payouts:
            return (yield from self._accept_whole(batch, batch.head, endpoint))
        kind, batch_no, _ = told_of(notification)
        lines: list[Line] = yield Work(
            lambda: self._database.read(lambda rows: self._match(rows, notification, endpoint, lock=False))
        )
        event = f"{kind}:{batch_no or lines[0].movement.number}"
        if all(line.is_known for line in lines):
            return VerdictKind.DUPLICATE, "", event
        yield from self._prove(notification, endpoint, lines)
        verdict, reason = yield Work(
            lambda: self._database.run(
                lambda rows: self._apply(rows, self._match(rows, notification, endpoint, lock=True), "NOTIFY"),
                lambda: self._crash("15.before_commit"),
                lambda: self._crash("15.after_commit"),
            )
        )
        return verdict, reason, event

    def _accept_whole(
        self, batch: BatchView, head: BatchHead, endpoint: Endpoint
    ) -> Core[tuple[VerdictKind, str, str]]:
        """The same for a batch that is told of by its sums alone: they must be ours (step 12), and what became of each
        line the platform is asked (step 13), whether or not the endpoint would ask otherwise."""
        rows: list[Movement] = yield Work(
            lambda: self._database.read(lambda found: self._lines_of(found, batch, endpoint))
        )
        if not rows:
            raise Stop(12, "PAYOUT_UNKNOWN", f"no batch {batch.batch_no[:64]} was asked for")
        currency = rows[0].amount.currency
        if head.count != len(rows) or head.total != Money(sum(row.amount.minor for row in rows), currency):
            raise Stop(12, "AMOUNT_MISMATCH", "count or total is not that of the lines that were asked for")
        event = f"{MovementKind.PAYOUT}:{batch.batch_no}"
        if not any(row.is_open for row in rows):
            return VerdictKind.DUPLICATE, "", event
        errands = Errands(endpoint.configuration, self._clock)
        if QueryPayOutBatch not in errands.offered:
            raise Stop(13, "PROOF_UNAVAILABLE", "it names no line, and nobody can be asked")
        found = yield from answer(errands.batch_lines_core(batch.batch_no))
        lines = told_lines(rows, head, found)
        verdict, reason = yield Work(
            lambda: self._database.run(
                lambda transaction: self._apply(transaction, self._locked(transaction, lines), "NOTIFY"),
                lambda: self._crash("15.before_commit"),
                lambda: self._crash("15.after_commit"),
            )
        )
        return verdict, reason, event

    def _lines_of(self, transaction: Transaction, batch: BatchView, endpoint: Endpoint) -> list[Movement]:
        return self._table.of_batch(transaction, endpoint.name, MovementKind.PAYOUT, batch.batch_no)

    def _locked(self, transaction: Transaction, lines: Sequence[Line]) -> list[Line]:
        """The lines with their rows as they stand now, locked."""
        found = []
        for line in lines:
            row = line.movement
            known = self._table.find(transaction, row.endpoint, row.kind, row.batch_no, row.number, lock=True)
            found.append(replace(line, movement=known or row))
        return found

    def _match(
        self, transaction: Transaction, notification: Notification, endpoint: Endpoint, *, lock: bool
    ) -> list[Line]:
        return match_lines(
            notification,
            lambda kind, batch, number: self._table.find(transaction, endpoint.name, kind, batch, number, lock=lock),
        )

    def _prove(self, notification: Notification, endpoint: Endpoint, lines: Sequence[Line]) -> Core[None]:
        """Step 13: is this notification yours, and did the refunds end as it says?"""
        proven = False
        merchant = endpoint.configuration.merchant
        if endpoint.confirms:
            if not notification.id:
                raise Stop(13, "NOT_CONFIRMED", "it carries no id to ask for")
            question = ConfirmNotification(merchant=merchant, notification_id=notification.id)
            outcome = yield from answer(ask(endpoint.configuration, question, self._clock))
            if not isinstance(outcome, Confirmed) or outcome.genuine is not True:
                raise Stop(13, "NOT_CONFIRMED", "the platform does not know this notification, or no longer")
            proven = True
        if endpoint.queries:
            proven = (yield from self._compare(endpoint, lines)) or proven
            if not proven:
                raise Stop(13, "PROOF_UNAVAILABLE", "signatures alone do not suffice, and nobody can be asked")

    def _compare(self, endpoint: Endpoint, lines: Sequence[Line]) -> Core[bool]:
        """Whether the platform could be asked, and its answers agree with every line. A refund that was told as stuck
        may have ended since: then that is written down, and what was told is old news."""
        asked: set[str] = set()
        for line in lines:
            movement = line.movement
            if movement.batch_no in asked:
                continue
            views = yield from query(endpoint, movement, self._clock, whole=True)
            if views is None:
                return False
            if movement.batch_no:
                asked.add(movement.batch_no)
            mine = [other for other in lines if other.movement.batch_no == movement.batch_no or other is line]
            for one in mine if movement.batch_no else [line]:
                if any(agrees(one, view) for view in views):
                    continue
                since = ended_since(one, views)
                if since is None:
                    raise Stop(13, "QUERY_DISAGREES", f"{one.movement.number[:64]} did not end so")
                yield from self._found(since)
        return True

    def _apply(self, transaction: Transaction, lines: Sequence[Line], evidence: str) -> tuple[VerdictKind, str]:
        """Step 14: each line's row moves once; an end that contradicts an earlier one is a case for a person, and so is
        a refund that is stuck, whose row stays open."""
        self._crash("14.locked")
        moved, contradicted, stuck = 0, False, False
        for line in lines:
            movement = line.movement
            if line.is_known:
                continue
            if not movement.is_open:
                contradicted = True
                continue
            now = self._clock.business()
            after = ended(movement, line.state, evidence, now, code=line.code, movement_id=line.movement_id)
            self._table.mark(transaction, after)
            moved += 1
            stuck |= line.stuck
            if line.state in ENDED and self._hook is not None:
                self._hook(transaction, after)
        self._crash("14.applied")
        if contradicted:
            return VerdictKind.CASE, "ENDED_OTHERWISE"
        if stuck:
            return VerdictKind.CASE, STUCK
        return (VerdictKind.APPLIED, "") if moved else (VerdictKind.DUPLICATE, "")

    # --- inquiries -------------------------------------------------------------------------------------------------

    def poll(self, older_than: int, limit: int) -> Core[list[Movement]]:
        """Ask how all refunds and payouts stand that are open for more than ``older_than`` seconds; ``limit`` rows are
        read at once. What cannot be asked about, or gives no clear answer, stays open, and is in nobody's way."""
        before = later(self._clock.business(), -older_than * SECOND)
        last: Movement | None = None
        moved: list[Movement] = []
        while rows := (yield from self._page(before, limit, last)):
            moved += yield from self._poll(rows)
            last = rows[-1]
        return moved

    def _page(self, before: Instant, limit: int, last: Movement | None) -> Core[list[Movement]]:
        return (yield Work(lambda: self._database.read(lambda rows: self._table.waiting(rows, before, limit, last))))  # type: ignore[no-any-return]

    def _poll(self, rows: Sequence[Movement]) -> Core[list[Movement]]:
        moved = []
        for row in rows:
            endpoint = self._endpoints.names.get(row.endpoint)
            if endpoint is None:
                continue
            try:
                views = yield from query(endpoint, row, self._clock)
            except Stop:
                continue
            for view in views or ():
                line = line_of(row, view)
                if line is not None and (line.state in ENDED or line.stuck) and not line.is_known:
                    yield from self._found(line)
                    moved.append(row)
        return moved

    def _found(self, line: Line) -> Core[None]:
        row = line.movement

        def work(transaction: Transaction) -> None:
            known = self._table.find(transaction, row.endpoint, row.kind, row.batch_no, row.number, lock=True)
            if known is not None:
                self._apply(transaction, [replace(line, movement=known)], "QUERY")

        yield Work(lambda: self._database.run(work))
