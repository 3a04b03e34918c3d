"""One told ending and the row of ours that it is about: what is compared of the two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tongbao.kernel.money import Money
from tongbao.merchant.movement import ENDED, STUCK, Movement
from tongbao.wire.movement import MovementState, PayOutView, RefundView


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


def is_about(movement: Movement, view: RefundView | PayOutView) -> bool:
    """Whether a view is about a movement of ours: by its number, or by its trade within a batch."""
    if isinstance(view, PayOutView):
        return view.payout_no in ("", movement.number)
    if movement.batch_no:
        return view.trade_no == movement.number
    return view.refund_no in ("", movement.number) and view.trade_no in ("", movement.trade_no)


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
