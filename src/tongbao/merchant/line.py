"""One told ending and the row of ours that it is about: what is compared of the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tongbao.kernel.money import Money
from tongbao.merchant.movement import ENDED, STUCK, Movement, MovementKind
from tongbao.merchant.verdict import Stop
from tongbao.wire.movement import BatchHead, BatchView, MovementState, PayOutView, RefundView
from tongbao.wire.vocabulary import Notification


@dataclass(frozen=True, slots=True)
class Line:
    """One told ending, and the row of ours that it is about."""

    movement: Movement
    state: MovementState
    amount: Money | None
    code: str
    movement_id: str
    stuck: bool = False

    @property
    def is_known(self) -> bool:
        """Whether our row says it already, or more: that a refund is stuck is old news once it has arrived, or is ours
        again. One that was refused (failed) cannot be stuck."""
        if self.stuck and self.movement.state in (MovementState.SUCCEEDED, MovementState.CLOSED):
            return True
        return self.movement.state == self.state and (not self.stuck or self.movement.code == STUCK)


def id_of(view: RefundView | PayOutView) -> str:
    """The platform's number of it."""
    return view.refund_id if isinstance(view, RefundView) else view.payout_id


def is_stuck(view: RefundView | PayOutView) -> bool:
    """Whether it is a refund that waits for a person to say where the money is to go."""
    return isinstance(view, RefundView) and view.stuck


def code_of(view: RefundView | PayOutView) -> str:
    """What our row is to say of it beside its state."""
    return STUCK if is_stuck(view) else view.code


def line_of(movement: Movement, view: RefundView | PayOutView) -> Line | None:
    """What a view says of a movement of ours, of the very sum; None where it is about another, or says no state."""
    if view.state is None or not is_about(movement, view) or view.amount not in (None, movement.amount):
        return None
    return Line(movement, view.state, view.amount, code_of(view), id_of(view), is_stuck(view))


def told_of(notification: Notification) -> tuple[MovementKind, str, Sequence[RefundView | PayOutView]]:
    """Kind, batch and lines of what is told."""
    batch = notification.batch
    if batch is not None:
        kind = MovementKind.PAYOUT if batch.payouts or batch.head is not None else MovementKind.REFUND
        return kind, batch.batch_no, batch.payouts or batch.refunds
    if notification.payout is not None:
        return MovementKind.PAYOUT, notification.payout.batch_no, (notification.payout,)
    return MovementKind.REFUND, "", (notification.refund,) if notification.refund is not None else ()


def match_lines(notification: Notification, rows: Callable[[MovementKind, str, str], Movement | None]) -> list[Line]:
    """Step 12: each line is a movement of ours, of the very sum. ``rows`` finds one by kind, batch and number.
    Raises Stop."""
    kind, batch_no, views = told_of(notification)
    what = "REFUND" if kind is MovementKind.REFUND else "PAYOUT"
    if not views:
        raise Stop(12, "FIELD_MISSING", "it tells of nothing")
    lines = []
    for view in views:
        own = view.refund_no if isinstance(view, RefundView) else view.payout_no
        number = view.trade_no if isinstance(view, RefundView) and (batch_no or not own) else own
        if not number:
            raise Stop(12, "FIELD_MISSING", "it names no number of ours")
        movement = rows(kind, batch_no, number)
        if movement is None:
            raise Stop(12, f"{what}_UNKNOWN", f"no {kind} {number[:64]} was asked for")
        if view.amount is None:
            raise Stop(12, "AMOUNT_MISSING", "it says no sum")
        if view.amount.currency != movement.amount.currency:
            raise Stop(12, "CURRENCY_MISMATCH", f"told in {view.amount.currency}")
        if view.amount.minor != movement.amount.minor:
            raise Stop(12, "AMOUNT_MISMATCH", f"told {view.amount.text()}, asked for {movement.amount.text()}")
        if isinstance(view, RefundView):
            _match_trade(view, movement)
        if view.state is None:
            raise Stop(12, "FIELD_MISSING", "it says no state")
        told_id = view.refund_id if isinstance(view, RefundView) else view.payout_id
        if movement.movement_id and told_id and movement.movement_id != told_id:
            raise Stop(12, f"{what}_UNKNOWN", "it is another one of the platform's")
        lines.append(Line(movement, view.state, view.amount, code_of(view), told_id, is_stuck(view)))
    if len({line.movement.number for line in lines}) != len(lines):
        raise Stop(12, "DUPLICATE_PARAM", "it tells of one number twice")
    return lines


def is_about(movement: Movement, view: RefundView | PayOutView) -> bool:
    """Whether a view is about a movement of ours: by its number, or by its trade within a batch."""
    if isinstance(view, PayOutView):
        return view.payout_no in ("", movement.number)
    if movement.batch_no:
        return view.trade_no == movement.number
    return view.refund_no in ("", movement.number) and view.trade_no in ("", movement.trade_no)


def _match_trade(view: RefundView, movement: Movement) -> None:
    """Step 12: the refund is of the very trade that it was asked for. Raises Stop."""
    for said, known in ((view.trade_no, movement.trade_no), (view.out_trade_no, movement.order_no)):
        if said and known and said != known:
            raise Stop(12, "ORDER_HAS_ANOTHER_TRADE", "the refund is of another trade")


def agrees(line: Line, view: RefundView | PayOutView) -> bool:
    """Whether the platform's own answer says the same as what was told."""
    same_sum = view.amount is None or view.amount == line.amount
    same_end = view.state == line.state and is_stuck(view) == line.stuck
    return is_about(line.movement, view) and same_sum and same_end


def ended_since(line: Line, views: Iterable[RefundView | PayOutView]) -> Line | None:
    """How a refund that was told as stuck has ended since, by the platform's own answer; None where it has not."""
    for view in views if line.stuck else ():
        found = line_of(line.movement, view)
        if found is not None and found.state in ENDED:
            return found
    return None


def told_lines(rows: Sequence[Movement], head: BatchHead, found: BatchView) -> list[Line]:
    """Step 13 of a batch told by its sums: how each of our lines ended by the platform's own answer, which must come to
    the very counts and sums that were told. Raises Stop."""
    told = {view.payout_no: view for view in found.payouts}
    lines = []
    for row in rows:
        view = told.get(row.number)
        if view is None or view.state not in ENDED or view.amount not in (None, row.amount):
            raise Stop(13, "QUERY_DISAGREES", f"{row.number[:64]} did not end so")
        lines.append(Line(row, MovementState(view.state), row.amount, view.code, view.payout_id))
    paid = [line for line in lines if line.state is MovementState.SUCCEEDED]
    total = Money(sum(line.movement.amount.minor for line in paid), rows[0].amount.currency)
    if len(paid) != head.paid_count or head.paid not in (None, total):
        raise Stop(13, "QUERY_DISAGREES", "other lines were paid than was told")
    return lines
