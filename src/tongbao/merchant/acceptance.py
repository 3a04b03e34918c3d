"""The acceptance: one core for notifications, returns and inquiries, walked by the shells in ``receiver``.

Steps 1 to 13 are in ``step``; the network calls of step 13 come before the transaction of step 14, never inside it.
Whatever happens, only step 16 says the success word, and only after the commit of step 15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, RemoteProtocolError
from tongbao.kernel.port import Clock
from tongbao.kernel.time import SECOND, Instant, later
from tongbao.merchant import step
from tongbao.merchant.asking import Asking, Ended
from tongbao.merchant.book import OrderBook
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.ending import Endings, is_ending
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.merchant.exchange import INQUIRY_SECONDS, Core, Work, ask, learn, look_into
from tongbao.merchant.movement import MovementTable
from tongbao.merchant.order import Evidence, Job, Order, OrderState, Payment
from tongbao.merchant.record import (
    enqueue,
    find_bound,
    find_disposition,
    show_body,
    write_effect,
    write_inbox,
    write_invalid,
)
from tongbao.merchant.verdict import Accepted, ReturnSeen, Shown, Stop, Verdict, VerdictKind
from tongbao.wire.http import Request, Response, text
from tongbao.wire.vocabulary import (
    PAID_STATES,
    CombinedView,
    Notification,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)
from tongbao.wire.world import NotSent

Apply = Callable[[Transaction, Order, Payment], object]
"""A hook on the merchant's own connection, inside the acceptance transaction; raising undoes everything."""

JobMaker = Callable[[Order, Payment], Job | None]
"""Makes a job for after the commit out of a paid order, or None."""

_RANK: Final = {OrderState.PENDING: 0, OrderState.PAID: 1, OrderState.SHIPPED: 2, OrderState.FINISHED: 3}
_ORDER_STATES: Final = {
    TradeState.PAID: OrderState.PAID,
    TradeState.ESCROWED: OrderState.PAID,
    TradeState.SHIPPED: OrderState.SHIPPED,
    TradeState.FINISHED: OrderState.FINISHED,
}
_SHOWN: Final = {OrderState.PENDING: Shown.CONFIRMING, OrderState.CLOSED: Shown.CLOSED}

INVALID_PER_MINUTE: Final = 600
"""Invalid requests beyond this are counted, not stored (T89)."""


def decide(order: Order, trade: TradeView) -> tuple[OrderState | None, VerdictKind, str]:
    """The order's new state (None: it stays), what to call it, and why. Paid never regresses (T32, F25)."""
    if trade.state is TradeState.UNPAID or trade.state is None:
        return None, VerdictKind.RECORDED, "NOT_PAID_YET"
    if trade.state is TradeState.CLOSED:
        if order.state is OrderState.PENDING:
            return OrderState.CLOSED, VerdictKind.APPLIED, ""
        return None, VerdictKind.RECORDED, "CLOSED_AFTER_PAID" if order.is_paid else "CLOSED_ALREADY"
    if order.state is OrderState.CLOSED:
        return None, VerdictKind.CASE, "PAID_AFTER_CLOSED"
    if order.state is OrderState.PENDING and not trade.is_paid:
        return None, VerdictKind.CASE, "REFUNDED_WHOLE"
    if order.state is OrderState.PENDING and trade.refund_state == "success" and trade.refunded is None:
        # some platforms say that money went back and not how much: it may be all of it
        return None, VerdictKind.CASE, "REFUNDED_UNKNOWN"
    state = _ORDER_STATES[trade.state]
    if _RANK[state] > _RANK[order.state]:
        return state, VerdictKind.APPLIED, ""
    return None, VerdictKind.RECORDED, "OLDER_THAN_KNOWN"


def make_payment(order: Order, trade: TradeView, endpoint: Endpoint, evidence: Evidence, at: Instant) -> Payment:
    """The event: unique per provider, trade and state; a refund said along makes it another event."""
    event = str(trade.state)
    back = 0 if trade.refunded is None else trade.refunded.minor
    if back or trade.refund_state:
        event += f":refund:{trade.refund_state[:40]}:{back}"
    return Payment(
        order_no=order.order_no,
        endpoint=endpoint.name,
        provider=endpoint.provider,
        trade_no=trade.trade_no,
        event=event,
        state=trade.state or TradeState.UNPAID,
        amount=order.amount,
        evidence=evidence,
        at=at,
        buyer=trade.buyer,
        paid_at=trade.paid_at,
    )


@dataclass(slots=True)
class _Walk:
    """What is known so far about one message, for its verdict and its record."""

    request: Request
    step: int = 1
    sha256: str = ""
    endpoint: Endpoint | None = None
    order_no: str = ""
    trade_no: str = ""
    event: str = ""

    def verdict(self, kind: VerdictKind, reason: str = "", detail: str = "") -> Verdict:
        return Verdict(
            kind=kind,
            step=self.step,
            reason=reason,
            detail=detail,
            endpoint=self.endpoint.name if self.endpoint else "",
            order_no=self.order_no,
            trade_no=self.trade_no,
            event=self.event,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the shop adds. ``apply`` runs once per order, when it is first proven paid; ``moved`` on every later change
    (shipped, finished, closed); ``ended`` once per refund or payout that ended; ``after_commit`` makes jobs of a paid
    order. ``crashpoint`` is for tests that stop the process at named places."""

    apply: Apply | None = None
    moved: Apply | None = None
    ended: Ended | None = None
    after_commit: Sequence[JobMaker] = ()
    crashpoint: Callable[[str], object] = lambda name: None


class Acceptance:
    """The core. Its methods are generators; see ``exchange`` for what they yield."""

    def __init__(
        self, endpoints: Iterable[Endpoint], book: OrderBook, database: Database, clock: Clock, hooks: Hooks
    ) -> None:
        self.endpoints = EndpointTable(endpoints)
        self._book = book
        self._database = database
        self._clock = clock
        self._hooks = hooks
        table = MovementTable()
        self.asking = Asking(self.endpoints, book, table, database, clock, hooks.ended)
        self.endings = Endings(self.endpoints, table, database, clock, hooks.ended, hooks.crashpoint)
        self._minute = -1
        self._invalid = 0
        self._polled = ""

    # --- notifications ---------------------------------------------------------------------------------------------

    def notification(self, request: Request) -> Core[Accepted]:
        """Walk the sixteen steps for one notification."""
        walk = _Walk(request)
        try:
            verdict = yield from self._walk(walk)
        except Stop as stop:
            walk.step = stop.step
            verdict = walk.verdict(VerdictKind.REFUSED, stop.reason, stop.detail)
        except Exception as error:  # noqa: BLE001 - whatever broke, the answer is no and the platform repeats (T04)
            verdict = walk.verdict(VerdictKind.FAILED, "SYSTEM", type(error).__name__)
        if verdict.kind in (VerdictKind.REFUSED, VerdictKind.FAILED):
            yield from self._record(walk, verdict)
        return Accepted(self._step_16_answer(walk, verdict), verdict)

    def _walk(self, walk: _Walk) -> Core[Verdict]:
        step.step_01_cap_size(walk.request)
        raw = step.step_02_keep_raw(walk.request)
        walk.sha256, walk.step = raw.sha256, 3
        step.step_04_refuse_duplicates(step.step_03_parse_strictly(raw))
        walk.step = 5
        endpoint = walk.endpoint = step.step_05_find_endpoint(walk.request, self.endpoints)
        step.step_06_pin_algorithm(endpoint)
        step.step_07_pick_keys(endpoint)
        walk.step = 8
        now = self._clock.wire()
        try:
            verified = step.step_08_verify(raw, endpoint, now)
        except Stop as stop:
            if not (yield from self._may_learn(stop.reason, raw.request, endpoint)):
                raise
            verified = step.step_08_verify(raw, endpoint, now)
        notification = step.step_09_drop_unsigned(verified)
        walk.order_no, walk.trade_no = notification.trade.out_trade_no, notification.trade.trade_no
        step.step_10_check_freshness(notification, endpoint, now)
        if is_ending(notification, endpoint):
            return (yield from self._end(walk, notification, endpoint))
        if notification.combined is not None:
            return (yield from self._walk_parts(walk, notification, notification.combined, endpoint))
        step.step_11_check_recipient(notification, endpoint)
        return (yield from self._take(walk, notification, endpoint))

    def _may_learn(self, reason: str, request: Request, endpoint: Endpoint) -> Core[bool]:
        """Whether to verify once more after step 8 has failed: the platform's key may be known by now."""
        configuration = endpoint.configuration
        if reason == "KEY_UNKNOWN" and configuration.trust is not None:
            yield from learn(configuration, self._clock, seconds=INQUIRY_SECONDS)
            return True

        def has(number: str) -> bool:
            order = self._database.read(lambda transaction: self._book.find(transaction, number))
            return order is not None and order.endpoint in ("", endpoint.name)

        return reason == "SIGN_INVALID" and (yield from look_into(configuration, request, self._clock, has))

    def _walk_parts(
        self, walk: _Walk, notification: Notification, combined: CombinedView, endpoint: Endpoint
    ) -> Core[Verdict]:
        """The rest of the steps for each order of a combined one. Orders of other merchants count where the shop's own
        order names that merchant as its seller. The answer is yes once all of them are taken in; a repeat finds those
        that were taken before."""
        verdicts: list[Verdict] = []
        walk.step = 11
        if combined.merchant != endpoint.configuration.merchant:
            raise Stop(11, "WRONG_RECIPIENT", "it is for another merchant")
        for part in combined.parts:
            one = replace(notification, combined=None, trade=part)
            walk.order_no, walk.trade_no = part.out_trade_no, part.trade_no
            foreign = part.merchant != combined.merchant
            if not foreign:
                step.step_11_check_recipient(one, endpoint)
            verdicts.append((yield from self._take(walk, one, endpoint, foreign=foreign)))
        return next((one for one in verdicts if one.kind is VerdictKind.APPLIED), verdicts[-1])

    def _take(
        self, walk: _Walk, notification: Notification, endpoint: Endpoint, *, foreign: bool = False
    ) -> Core[Verdict]:
        """Steps 12 to 15 for one order."""
        walk.step = 12
        order, known = yield Work(lambda: self._database.read(self._look_up(notification.trade, endpoint)))
        if foreign and not order.seller:
            raise Stop(12, "SELLER_MISMATCH", "another merchant got the money, and the order names no seller")
        payment = self._payment(order, notification, endpoint)
        walk.event = payment.event
        if known in ("applied", "recorded"):
            walk.step = 16
            return walk.verdict(VerdictKind.DUPLICATE)
        walk.step = 13
        yield from step.step_13_prove(notification, endpoint, self._clock)
        return (yield from self._commit(walk, notification.trade, endpoint, payment))

    def _end(self, walk: _Walk, notification: Notification, endpoint: Endpoint) -> Core[Verdict]:
        """The same steps for a refund, a payout or a batch; a return never ends one."""
        if notification.role is not Role.NOTIFICATION:
            raise Stop(11, "RETURN_IS_NO_EVIDENCE", "a browser's return proves nothing")
        walk.step = 14
        kind, reason, walk.event = yield from self.endings.accept(notification, endpoint)
        walk.step = 16
        return walk.verdict(kind, reason)

    def _payment(self, order: Order, notification: Notification, endpoint: Endpoint) -> Payment:
        payment = make_payment(order, notification.trade, endpoint, Evidence.NOTIFY, self._clock.business())
        return replace(payment, notification_id=notification.id)

    def _look_up(self, trade: TradeView, endpoint: Endpoint) -> Callable[[Transaction], tuple[Order, str]]:
        """Step 12 before the transaction: the same checks are made again under the lock."""

        def work(transaction: Transaction) -> tuple[Order, str]:
            found = self._book.find(transaction, trade.out_trade_no) if trade.out_trade_no else None
            bound = find_bound(transaction, trade.out_trade_no, endpoint.provider, trade.trade_no)
            order = step.step_12_match_order(trade, found, endpoint, bound)
            payment = make_payment(order, trade, endpoint, Evidence.NOTIFY, Instant(0))
            return order, find_disposition(transaction, payment)

        return work

    def _commit(self, walk: _Walk, trade: TradeView, endpoint: Endpoint, payment: Payment) -> Core[Verdict]:
        """Steps 14 and 15: one transaction and its commit; a Stop inside (the order changed meanwhile) rolls back."""
        walk.step = 14
        crash = self._hooks.crashpoint
        kind, reason = yield Work(
            lambda: self._database.run(
                lambda transaction: self._step_14_apply(transaction, trade, endpoint, payment, walk.sha256),
                lambda: crash("15.before_commit"),
                lambda: crash("15.after_commit"),
            )
        )
        walk.step = 16
        return walk.verdict(kind, reason)

    def _step_14_apply(
        self, transaction: Transaction, trade: TradeView, endpoint: Endpoint, payment: Payment, body_sha256: str
    ) -> tuple[VerdictKind, str]:
        """Lock the order, look again, then write inbox, order, effect, the shop's own rows and the jobs."""
        crash = self._hooks.crashpoint
        locked = self._book.lock(transaction, payment.order_no)
        bound = find_bound(transaction, payment.order_no, endpoint.provider, payment.trade_no)
        order = step.step_12_match_order(trade, locked, endpoint, bound)
        crash("14.locked")
        known = find_disposition(transaction, payment)
        if known in ("applied", "recorded"):
            return VerdictKind.DUPLICATE, ""
        state, kind, reason = decide(order, trade)
        write_inbox(transaction, payment, kind, reason, body_sha256, known=bool(known))
        crash("14.inbox")
        if state is None:
            return kind, reason
        first_paid = trade.state in PAID_STATES and not order.is_paid
        if first_paid:
            write_effect(transaction, payment, str(OrderState.PAID))
        if state is not OrderState.PAID:
            write_effect(transaction, payment, str(state))
        self._book.mark(transaction, order, state, payment)
        crash("14.marked")
        moved = replace(order, state=state, trade_no=payment.trade_no, trade_state=str(payment.state))
        if first_paid:
            moved = replace(moved, evidence=payment.evidence, paid_at=payment.paid_at or payment.at)
            if self._hooks.apply is not None:
                self._hooks.apply(transaction, moved, payment)
            for make in self._hooks.after_commit:
                job = make(moved, payment)
                if job is not None:
                    enqueue(transaction, job, payment.at)
        elif self._hooks.moved is not None:
            self._hooks.moved(transaction, moved, payment)
        crash("14.applied")
        return kind, reason

    def _step_16_answer(self, walk: _Walk, verdict: Verdict) -> Response:
        """The protocol's word for yes only for what is committed (or was before); its word for no otherwise."""
        self._hooks.crashpoint("16.before_answer")
        endpoint = walk.endpoint or self.endpoints.by_path(walk.request.raw_path)
        if endpoint is None:
            return text("not found", status=404)
        configuration = endpoint.configuration
        onward = configuration.manifest.onward
        if verdict.accepted and onward is not None and configuration.return_url:
            return onward.write(configuration.return_url)
        return configuration.manifest.client.acknowledge(verdict.accepted)

    def _record(self, walk: _Walk, verdict: Verdict) -> Core[None]:
        """Keep an invalid request with its reason; failing to do so changes nothing about the answer."""
        minute = int(self._clock.monotonic()) // 60
        if minute != self._minute:
            self._minute, self._invalid = minute, 0
        self._invalid += 1
        if self._invalid > INVALID_PER_MINUTE:
            return
        payload = walk.request.body or walk.request.raw_query
        endpoint = walk.endpoint or self.endpoints.by_path(walk.request.raw_path)
        values = {
            "endpoint": endpoint.name if endpoint else "",
            "step": verdict.step,
            "reason": verdict.reason[:64],
            "detail": verdict.detail[:400],
            "order_no": verdict.order_no[:64],
            "body_sha256": walk.sha256 or step.step_02_keep_raw(walk.request).sha256,
            "body": show_body(payload, _secrets(endpoint)),
            "at": self._clock.business(),
        }
        try:
            yield Work(lambda: self._database.run(lambda transaction: write_invalid(transaction, values)))
        except Exception:  # noqa: BLE001 - the database is down, which the answer says already
            return

    # --- returns ---------------------------------------------------------------------------------------------------

    def returned(self, request: Request, *, inquire: bool) -> Core[ReturnSeen]:
        """Read what a browser brought. It shows an order and marks nothing; with ``inquire`` the platform is asked."""
        walk = _Walk(request)
        try:
            endpoint, trade = self._read_return(walk)
        except Stop as stop:
            walk.step = stop.step
            yield from self._record(walk, walk.verdict(VerdictKind.REFUSED, stop.reason, stop.detail))
            return ReturnSeen("", Shown.UNKNOWN, stop.reason)
        number = trade.out_trade_no
        order = yield Work(lambda: self._database.read(lambda transaction: self._book.find(transaction, number)))
        if order is None or (order.endpoint and order.endpoint != endpoint.name):
            return ReturnSeen("", Shown.UNKNOWN, "ORDER_UNKNOWN")
        if inquire and order.state is OrderState.PENDING:
            yield from self.inquire(number)
            order = yield Work(lambda: self._database.read(lambda transaction: self._book.find(transaction, number)))
        if order is None:
            return ReturnSeen("", Shown.UNKNOWN, "ORDER_UNKNOWN")
        return ReturnSeen(number, _SHOWN.get(order.state, Shown.PAID))

    def _read_return(self, walk: _Walk) -> tuple[Endpoint, TradeView]:
        step.step_01_cap_size(walk.request)
        raw = step.step_02_keep_raw(walk.request)
        walk.sha256 = raw.sha256
        step.step_04_refuse_duplicates(step.step_03_parse_strictly(raw))
        endpoint = self.endpoints.by_return_path(walk.request.raw_path)
        if endpoint is None:
            raise Stop(5, "UNKNOWN_SERVICE", "no endpoint has this return path")
        walk.endpoint = endpoint
        configuration = endpoint.configuration
        try:
            seen = configuration.manifest.client.decode_return(raw.request, configuration.keys, self._clock.wire())
        except RemoteProtocolError as error:
            raise Stop(8, error.code, str(error)) from error
        except Exception as error:
            raise Stop(8, "SIGN_INVALID", f"verification broke: {type(error).__name__}") from error
        return endpoint, seen.trade

    # --- inquiries -------------------------------------------------------------------------------------------------

    def inquire(self, order_no: str) -> Core[Verdict]:
        """Ask the platform how an order's trade stands; the signed answer is evidence of its own (QUERY)."""
        walk = _Walk(Request("GET", "https", "", b"/"), step=12, order_no=order_no)
        try:
            return (yield from self._inquire(walk))
        except Stop as stop:
            walk.step = stop.step
            return walk.verdict(VerdictKind.REFUSED, stop.reason, stop.detail)
        except Exception as error:  # noqa: BLE001 - an inquiry that broke proves nothing and is made again later
            return walk.verdict(VerdictKind.FAILED, "SYSTEM", type(error).__name__)

    def _inquire(self, walk: _Walk) -> Core[Verdict]:
        order: Order | None = yield Work(
            lambda: self._database.read(lambda transaction: self._book.find(transaction, walk.order_no))
        )
        if order is None:
            raise Stop(12, "ORDER_UNKNOWN", "no such order")
        endpoint = walk.endpoint = self.endpoints.of_order(order.endpoint)
        if endpoint is None:
            raise Stop(12, "WRONG_ENDPOINT", f"no endpoint is called {order.endpoint}")
        walk.step = 13
        trade = yield from self._query(order, endpoint)
        walk.trade_no = trade.trade_no
        if trade.state is TradeState.UNPAID:
            return walk.verdict(VerdictKind.RECORDED, "NOT_PAID_YET")
        notification = Notification(id="", at=None, trade=trade)
        step.step_11_check_recipient(notification, endpoint)
        known = yield Work(lambda: self._database.read(self._look_up(trade, endpoint)))
        payment = make_payment(known[0], trade, endpoint, Evidence.QUERY, self._clock.business())
        walk.event = payment.event
        if known[1] in ("applied", "recorded"):
            return walk.verdict(VerdictKind.DUPLICATE)
        return (yield from self._commit(walk, trade, endpoint, payment))

    def _query(self, order: Order, endpoint: Endpoint) -> Core[TradeView]:
        question = QueryTrade(
            merchant=endpoint.configuration.merchant, out_trade_no=order.order_no, trade_no=order.trade_no
        )
        try:
            outcome: Any = yield from ask(endpoint.configuration, question, self._clock)
        except (NotSent, OutcomeUnknown, LocalProtocolError) as error:
            raise Stop(13, "PROOF_UNAVAILABLE", str(error)) from error
        except RemoteProtocolError as error:
            raise Stop(13, "PROOF_INVALID", str(error)) from error
        if isinstance(outcome, Rejection):
            raise Stop(13, outcome.code, f"{outcome.wire_code} {outcome.detail}".strip())
        if not isinstance(outcome, TradeFound) or outcome.trade.out_trade_no != order.order_no:
            raise Stop(13, "QUERY_DISAGREES", "the query speaks of another trade")
        return outcome.trade

    def poll(self, older_than: int, limit: int) -> Core[list[Verdict]]:
        """Inquire about ``limit`` pending orders that were created more than ``older_than`` seconds ago."""
        before = later(self._clock.business(), -older_than * SECOND)
        numbers = yield Work(lambda: self._database.read(lambda transaction: self._turn(transaction, before, limit)))
        if numbers:
            # before the questions: where a caller gives up on slow ones, the next call goes on all the same
            self._polled = numbers[-1]
        verdicts: list[Verdict] = []
        for number in numbers:
            verdict = yield from self.inquire(number)
            verdicts.append(verdict)
        return verdicts

    def _turn(self, transaction: Transaction, before: Instant, limit: int) -> list[str]:
        """Whose turn it is: the newest with half of the limit, so that a fresh order never waits for old ones; then
        those that follow the order where the last call stopped, and after the oldest those below the newest."""
        numbers = list(self._book.waiting(transaction, before, (limit + 1) // 2))
        for after in (self._polled, ""):
            if len(numbers) < limit:
                # as many as the limit, for those that are among the newest are dropped
                older = self._book.waiting(transaction, before, limit, after)
                numbers += [number for number in older if number not in numbers][: limit - len(numbers)]
        return numbers


def _secrets(endpoint: Endpoint | None) -> tuple[bytes, ...]:
    if endpoint is None:
        return ()
    return tuple(key.material for key in endpoint.configuration.keys.ring.verify if isinstance(key.material, bytes))
