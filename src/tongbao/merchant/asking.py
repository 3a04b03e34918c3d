"""What the shop itself asks of refunds and payouts: that one be made, how one stands, and that one be given up.

The shop's own row is committed before the request leaves, and says afterwards how it stands. How notifications end a
row is in ``ending``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.port import Clock
from tongbao.kernel.time import SECOND, Instant, later
from tongbao.merchant.book import OrderBook
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.merchant.errand import Errands
from tongbao.merchant.exchange import Core, Work
from tongbao.merchant.line import code_of, is_about
from tongbao.merchant.movement import (
    ASKED,
    ENDED,
    GIVEN_UP,
    Movement,
    MovementKind,
    MovementTable,
    ended,
    list_movements,
)
from tongbao.merchant.verdict import Stop
from tongbao.wire.movement import (
    MovementState,
    PayOutView,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    RefundTrade,
    RefundView,
)
from tongbao.wire.world import NotSent

Ended = Callable[[Transaction, Movement], object]
"""A hook on the shop's own connection, inside the transaction, once for each refund or payout that ended; once more for
one that was given up and was made after all."""

GIVE_UP_SECONDS: Final = 600
"""What was asked for less long ago is not given up: its request may be under way."""

UNDECIDED: Final = frozenset(
    (
        "RATE_LIMITED",
        "STALE",
        "SIGN_INVALID",
        "REFUND_MISMATCH",
        "PAYOUT_MISMATCH",
        "IDEMPOTENCY_CONFLICT",
        "ALREADY_EXISTS",
    )
)
"""Refusals of this very request after which the movement may have happened all the same, even if it was asked for once:
its row stays open. (One that leaves open what became of this request is OutcomeUnknown, ``errand.is_open``, and the row
stays open too.) That a number was used before is what some platforms say to the second asking for the very same refund;
that a signature is wrong, to a request which the network delivered twice."""

_NOT_THERE: Final = {
    MovementKind.REFUND: frozenset(("REFUND_NOT_FOUND", "NOT_FOUND")),
    MovementKind.PAYOUT: frozenset(("PAYOUT_NOT_FOUND", "BATCH_NOT_FOUND", "NOT_FOUND")),
}
"""How the platform says that it has no such refund or payout."""


def query(
    endpoint: Endpoint, movement: Movement, clock: Clock, *, whole: bool = False
) -> Core[Sequence[RefundView | PayOutView] | None]:
    """What the platform says of a movement (of its whole batch); None where the protocol has no question for it. Raises
    Stop."""
    errands = Errands(endpoint.configuration, clock)
    merchant = endpoint.configuration.merchant
    if movement.kind is MovementKind.REFUND:
        if QueryRefund not in errands.offered:
            return None
        question = QueryRefund(
            merchant=merchant,
            refund_no="" if movement.batch_no else movement.number,
            batch_no=movement.batch_no,
            trade_no="" if whole and movement.batch_no else movement.trade_no,
            out_trade_no="" if movement.batch_no else movement.order_no,
        )
        return (yield from answer(errands.query_refund_core(question)))  # type: ignore[no-any-return]
    if QueryPayOut not in errands.offered:
        return None
    if whole and movement.batch_no and QueryPayOutBatch in errands.offered:
        found = yield from answer(errands.batch_lines_core(movement.batch_no))
        return found.payouts  # type: ignore[no-any-return]
    payout = QueryPayOut(
        merchant=merchant,
        payout_no="" if whole and movement.batch_no else movement.number,
        batch_no=movement.batch_no,
    )
    return (yield from answer(errands.query_payout_core(payout)))  # type: ignore[no-any-return]


def answer(core: Core[Any]) -> Core[Any]:
    """What a question brings. Raises Stop of step 13 where it brings nothing."""
    try:
        return (yield from core)
    except (NotSent, OutcomeUnknown, LocalProtocolError) as error:
        raise Stop(13, "PROOF_UNAVAILABLE", str(error)) from error
    except Refused as error:
        raise Stop(13, "QUERY_DISAGREES", f"the query was refused: {error.code}") from error
    except RemoteProtocolError as error:
        raise Stop(13, "PROOF_INVALID", str(error)) from error


class Asking:
    """The core. Its methods are generators; see ``exchange`` for what they yield."""

    def __init__(
        self,
        endpoints: EndpointTable,
        book: OrderBook,
        table: MovementTable,
        database: Database,
        clock: Clock,
        hook: Ended | None,
    ) -> None:
        self._endpoints = endpoints
        self._book = book
        self._table = table
        self._database = database
        self._clock = clock
        self._hook = hook

    # --- refunds ---------------------------------------------------------------------------------------------------

    def refund(self, order_no: str, refund_no: str, amount: Money, reason: str, notify_url: str) -> Core[Movement]:
        """Write the refund down, ask for it, and write down the answer. The same number again asks again, with the
        texts of the first time.

        Raises Refused: TRADE_NOT_FOUND, TRADE_STATE (the order is not paid), REFUND_EXCEEDS, REFUND_MISMATCH, or the
        platform's own; OutcomeUnknown and NotSent leave the row open, to be asked again under the same number. Its
        code is then the platform's unproven refusal, if one came. Only a refusal of the first asking ends the row: one
        of a later asking is about that asking, and says nothing of what the first has made.
        """
        endpoint, intent, row, first = yield Work(
            lambda: self._database.run(
                lambda transaction: self._write_down(transaction, order_no, refund_no, amount, reason, notify_url)
            )
        )
        if not row.is_open:
            return row  # type: ignore[no-any-return]
        try:
            view = yield from Errands(endpoint.configuration, self._clock).refund_core(intent)
        except OutcomeUnknown as unknown:
            if unknown.refusal is not None:
                yield from self._note_refusal(row, unknown.refusal.code)
            raise
        except Refused as refusal:
            yield from self._note_refusal(row, refusal.code, ends=first and refusal.code not in UNDECIDED)
            raise
        return (yield from self._note(row, view.state or MovementState.ACCEPTED, code_of(view), view.refund_id))

    def _write_down(
        self, transaction: Transaction, order_no: str, refund_no: str, amount: Money, reason: str, notify_url: str
    ) -> tuple[Endpoint, RefundTrade, Movement, bool]:
        """The row as it stands, and whether it is new."""
        order = self._book.lock(transaction, order_no)
        if order is None:
            raise Refused("TRADE_NOT_FOUND", f"no order {order_no[:64]}")
        endpoint = self._endpoints.of_order(order.endpoint)
        if endpoint is None:
            raise Refused("TRADE_NOT_FOUND", f"no endpoint is called {order.endpoint}")
        if not order.is_paid:
            raise Refused("TRADE_STATE", "the order is not paid")
        if amount.minor <= 0 or amount.currency != order.amount.currency:
            raise Refused("AMOUNT_INVALID", "a refund is above zero, in the order's currency")
        intent = RefundTrade(
            merchant=endpoint.configuration.merchant,
            refund_no=refund_no,
            trade_no=order.trade_no,
            out_trade_no=order.order_no,
            amount=amount,
            total=order.amount,
            reason=reason,
            notify_url=notify_url,
        )
        said: Any = Errands(endpoint.configuration, self._clock).refund_intent(intent)
        asked = list_movements(endpoint, said, self._clock.business(), order.order_no)[0]
        asked = replace(asked, order_no=order.order_no, trade_no=order.trade_no)
        before = self._table.of_order(transaction, order.order_no)
        others = [one for one in before if (one.batch_no, one.number) != (asked.batch_no, asked.number)]
        if sum(one.amount.minor for one in others if one.counts) + amount.minor > order.amount.minor:
            raise Refused("REFUND_EXCEEDS", "more than was paid and not yet asked back")
        [row] = self._table.add(transaction, [asked])
        intent = replace(intent, reason=row.reason or "", notify_url=row.notify_url or "")
        return endpoint, intent, row, len(others) == len(before)

    # --- giving up -------------------------------------------------------------------------------------------------

    def give_up_refund(self, order_no: str, refund_no: str, unproven: bool) -> Core[Movement]:
        """Note a refund as failed that was asked for, never answered with a proof, and, as a person has seen on the
        platform's own site, never made. What the platform knows is not given up. That it has none counts as evidence
        (QUERY) where it is signed. Unsigned it is no answer, for anybody on the way can say it (T82), unless the person
        says ``unproven``: several protocols sign no refusal at all. Then, as where the protocol has no question for it,
        his word is all there is, and the row has no evidence.

        Raises Refused: REFUND_NOT_FOUND, STATE_CONFLICT (the platform took it on, or knows it; or it was asked for in
        the last ten minutes); OutcomeUnknown where the platform does not answer, or not with a proof (``refusal``).
        """
        found: list[Movement] = yield Work(
            lambda: self._database.read(lambda transaction: self._table.of_order(transaction, order_no))
        )
        row = next((one for one in found if (one.batch_no or one.number) == refund_no), None)
        if row is None:
            raise Refused("REFUND_NOT_FOUND", f"no refund {refund_no[:64]} of this order was asked for")
        return (yield from self._give_up(row, unproven))

    def give_up_payout(self, endpoint: str, payout_no: str, batch_no: str, unproven: bool) -> Core[Movement]:
        """The same for a payout that was written down for the endpoint of that name. Raises as ``give_up_refund``, with
        PAYOUT_NOT_FOUND."""
        row: Movement | None = yield Work(
            lambda: self._database.read(
                lambda transaction: self._table.find(transaction, endpoint, MovementKind.PAYOUT, batch_no, payout_no)
            )
        )
        if row is None:
            raise Refused("PAYOUT_NOT_FOUND", f"no payout {payout_no[:64]} was written down")
        return (yield from self._give_up(row, unproven))

    def _give_up(self, row: Movement, unproven: bool) -> Core[Movement]:
        endpoint = self._endpoints.names.get(row.endpoint)
        if endpoint is None:
            raise Refused("NOT_FOUND", f"no endpoint is called {row.endpoint}")
        if not row.is_open:
            return row
        known = Refused("STATE_CONFLICT", f"the platform knows this {row.kind}; poll_movements asks how it ends")
        if row.state != ASKED:
            raise known
        if later(row.asked_at or Instant(0), GIVE_UP_SECONDS * SECOND) > self._clock.business():
            raise Refused("STATE_CONFLICT", f"it was asked for less than {GIVE_UP_SECONDS} seconds ago")
        try:
            views = yield from query(endpoint, row, self._clock)
        except Stop as stop:
            cause = stop.__cause__
            if not isinstance(cause, Refused) or cause.code not in _NOT_THERE[row.kind]:
                raise OutcomeUnknown(f"the platform was asked and did not say: {stop.detail}") from stop
            if not cause.proven and not unproven:
                said = "that there is none is not signed: see on the platform's own site, and then say unproven=True"
                raise OutcomeUnknown(said, refusal=cause) from stop
            views = () if cause.proven else None
        if any(is_about(row, view) for view in views or ()):
            raise known
        evidence = "" if views is None else "QUERY"
        return (yield Work(lambda: self._database.run(lambda rows: self._mark_given_up(rows, row, evidence))))  # type: ignore[no-any-return]

    def _mark_given_up(self, transaction: Transaction, row: Movement, evidence: str) -> Movement:
        known = self._find(transaction, row)
        if not known.is_open:
            return known
        if (known.state, known.asked_at) != (ASKED, row.asked_at):
            raise Refused("STATE_CONFLICT", "it was asked for again, or taken on, meanwhile")
        return self._mark(
            transaction, ended(known, MovementState.FAILED, evidence, self._clock.business(), code=GIVEN_UP)
        )

    # --- rows ------------------------------------------------------------------------------------------------------

    def _note(self, row: Movement, state: MovementState, code: str, movement_id: str) -> Core[Movement]:
        """Write down what the platform answered, unless a notification was quicker. A refund that was given up while
        its answer was under way, and was made, is what the answer says."""

        def work(transaction: Transaction) -> Movement:
            known = self._find(transaction, row)
            made = known.code == GIVEN_UP and state in (MovementState.ACCEPTED, MovementState.SUCCEEDED)
            if not (known.is_open or made):
                return known
            now = self._clock.business()
            return self._mark(transaction, ended(known, state, "ANSWER", now, code=code, movement_id=movement_id))

        return (yield Work(lambda: self._database.run(work)))  # type: ignore[no-any-return]

    def _note_refusal(self, row: Movement, code: str, *, ends: bool = False) -> Core[None]:
        """Write a refusal down, unless the platform took the movement on. It ends the row where ``ends``, if nobody has
        asked again meanwhile, who may be answered otherwise; else the row stays as it is, and says what to look at."""

        def work(transaction: Transaction) -> None:
            known = self._find(transaction, row)
            if known.state != ASKED:
                return
            if ends and known.asked_at == row.asked_at:
                now = self._clock.business()
                self._mark(transaction, ended(known, MovementState.FAILED, "ANSWER", now, code=code))
            else:
                self._table.mark(transaction, replace(known, code=code[:64]))

        yield Work(lambda: self._database.run(work))

    def _find(self, transaction: Transaction, row: Movement) -> Movement:
        """The row as it stands now, locked."""
        return self._table.find(transaction, row.endpoint, row.kind, row.batch_no, row.number, lock=True) or row

    def _mark(self, transaction: Transaction, after: Movement) -> Movement:
        self._table.mark(transaction, after)
        if after.state in ENDED and self._hook is not None:
            self._hook(transaction, after)
        return after
