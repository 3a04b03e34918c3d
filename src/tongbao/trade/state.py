"""The state tables: every legal move is a row here, and nothing leaves a final state (I18)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tongbao.kernel.error import Refused


class TradeState(StrEnum):
    UNPAID = "unpaid"
    PAID = "paid"
    """Instant: paid, may still be refunded."""
    ESCROWED = "escrowed"
    """Escrow: the money is held; the merchant ships now."""
    SHIPPED = "shipped"
    FINISHED = "finished"
    CLOSED = "closed"


class PaymentState(StrEnum):
    PENDING = "pending"
    """Waiting for the bank, the outlet or the buyer at the bank's page."""
    CAPTURED = "captured"
    FAILED = "failed"
    LATE = "late"
    """The money came after the trade had ended, or a second time; it goes back."""
    RETURNED = "returned"


class RefundState(StrEnum):
    ACCEPTED = "accepted"
    """The money is aside; a bank was asked and has not said its last word. Or it does not take the money, which waits
    for somebody's word: the refund is stuck."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The bank said no: the money is where it came from again, and a case says so."""


class ClaimState(StrEnum):
    ASKED = "asked"
    """The buyer wants money back; the seller is to answer."""
    REFUSED = "refused"
    RETURNING = "returning"
    """The seller agreed; the buyer is to send the goods back."""
    RETURNED = "returned"
    """The buyer has sent them; the seller is to look."""
    DISPUTED = "disputed"
    """Operators decide, one proposing and another agreeing."""
    AGREED = "agreed"
    """The money goes back."""
    WITHDRAWN = "withdrawn"
    DECIDED = "decided"
    """Two operators have divided the money."""


class InstructionState(StrEnum):
    CREATED = "created"
    """Committed, not known to have been sent."""
    UNKNOWN = "unknown"
    """Sent, no answer: only an inquiry, a statement or a person resolves it."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class NotifyState(StrEnum):
    SILENT = "silent"
    """Nobody is told: no address, or the protocol does not notify this."""
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    BLOCKED = "blocked"
    """The address policy refuses the target; the merchant is told."""


TRADE_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", TradeState.UNPAID),
        (TradeState.UNPAID, TradeState.PAID),
        (TradeState.UNPAID, TradeState.ESCROWED),
        (TradeState.UNPAID, TradeState.FINISHED),
        (TradeState.UNPAID, TradeState.CLOSED),
        (TradeState.PAID, TradeState.FINISHED),
        # all of it went back
        (TradeState.PAID, TradeState.CLOSED),
        (TradeState.ESCROWED, TradeState.CLOSED),
        (TradeState.SHIPPED, TradeState.CLOSED),
        # operators divided the money before anything was shipped
        (TradeState.ESCROWED, TradeState.FINISHED),
        (TradeState.ESCROWED, TradeState.SHIPPED),
        (TradeState.SHIPPED, TradeState.FINISHED),
    }
)

PAYMENT_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", PaymentState.PENDING),
        ("", PaymentState.CAPTURED),
        (PaymentState.PENDING, PaymentState.CAPTURED),
        (PaymentState.PENDING, PaymentState.FAILED),
        (PaymentState.PENDING, PaymentState.LATE),
        (PaymentState.FAILED, PaymentState.LATE),
        (PaymentState.LATE, PaymentState.RETURNED),
    }
)

REFUND_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", RefundState.ACCEPTED),
        ("", RefundState.SUCCEEDED),
        (RefundState.ACCEPTED, RefundState.SUCCEEDED),
        (RefundState.ACCEPTED, RefundState.FAILED),
    }
)

CLAIM_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", ClaimState.ASKED),
        # a second claim after the first came to nothing or to a part
        (ClaimState.WITHDRAWN, ClaimState.ASKED),
        (ClaimState.AGREED, ClaimState.ASKED),
        (ClaimState.ASKED, ClaimState.AGREED),
        (ClaimState.ASKED, ClaimState.RETURNING),
        (ClaimState.ASKED, ClaimState.REFUSED),
        (ClaimState.RETURNING, ClaimState.RETURNED),
        (ClaimState.RETURNED, ClaimState.AGREED),
        (ClaimState.REFUSED, ClaimState.DISPUTED),
        (ClaimState.RETURNED, ClaimState.DISPUTED),
        (ClaimState.ASKED, ClaimState.WITHDRAWN),
        (ClaimState.REFUSED, ClaimState.WITHDRAWN),
        (ClaimState.RETURNING, ClaimState.WITHDRAWN),
        (ClaimState.DISPUTED, ClaimState.WITHDRAWN),
        (ClaimState.DISPUTED, ClaimState.DECIDED),
    }
)

CLAIM_OPEN: Final = frozenset(
    {ClaimState.ASKED, ClaimState.REFUSED, ClaimState.RETURNING, ClaimState.RETURNED, ClaimState.DISPUTED}
)
"""While a claim is in one of these, nobody ships, confirms, releases or refunds past it (T43)."""

INSTRUCTION_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", InstructionState.CREATED),
        (InstructionState.CREATED, InstructionState.UNKNOWN),
        (InstructionState.CREATED, InstructionState.SUCCEEDED),
        (InstructionState.CREATED, InstructionState.FAILED),
        (InstructionState.UNKNOWN, InstructionState.SUCCEEDED),
        (InstructionState.UNKNOWN, InstructionState.FAILED),
        # a bank may report success after having said no, or after we gave up: the money decides
        (InstructionState.FAILED, InstructionState.SUCCEEDED),
    }
)

ENDED: Final = frozenset({TradeState.FINISHED, TradeState.CLOSED})


def move_trade(before: str, after: TradeState) -> TradeState:
    """``after``, if the table has that move; raises Refused TRADE_STATE otherwise."""
    if (before, after) not in TRADE_MOVES:
        raise Refused("TRADE_STATE", f"a trade cannot go from {before or 'nothing'} to {after}")
    return after


def move_payment(before: str, after: PaymentState) -> PaymentState:
    """``after``, if the table has that move; raises Refused PAYMENT_STATE otherwise."""
    if (before, after) not in PAYMENT_MOVES:
        raise Refused("PAYMENT_STATE", f"a payment cannot go from {before or 'nothing'} to {after}")
    return after


def move_refund(before: str, after: RefundState) -> RefundState:
    """``after``, if the table has that move; raises Refused STATE_CONFLICT otherwise."""
    if (before, after) not in REFUND_MOVES:
        raise Refused("STATE_CONFLICT", f"a refund cannot go from {before or 'nothing'} to {after}")
    return after


def move_claim(before: str, after: ClaimState) -> ClaimState:
    """``after``, if the table has that move; raises Refused STATE_CONFLICT otherwise."""
    if (before, after) not in CLAIM_MOVES:
        raise Refused("STATE_CONFLICT", f"a claim cannot go from {before or 'nothing'} to {after}")
    return after


def move_instruction(before: str, after: InstructionState) -> InstructionState:
    """``after``, if the table has that move; raises Refused STATE_CONFLICT otherwise."""
    if (before, after) not in INSTRUCTION_MOVES:
        raise Refused("STATE_CONFLICT", f"an instruction cannot go from {before or 'nothing'} to {after}")
    return after
