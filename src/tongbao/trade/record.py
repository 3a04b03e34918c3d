"""The records of trade and payment, exactly as they are stored: frozen, primitive fields, one table each.

Sums are minor units of ``currency``; times are Instants of business time unless a name says ``wire``; an absent time
is None; text that was not given is ''.
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import DAY, Instant

EXPIRY_DEFAULT: Final = 15 * DAY
"""An unpaid trade without a term of its own closes after this (the classic interface's default)."""

RELEASE_AFTER: Final = 10 * DAY
"""Escrow is released this long after shipping unless the buyer confirms first."""


@record
class Trade:
    """The merchant's claim to one sum. Key: (merchant_id, out_trade_no); trade_no is ours, unique.

    ``terms`` is the frozen remainder of the merchant's request as JSON (see service), ``terms_hash`` its SHA-256 (I41).
    ``flow`` is how the buyer paid a trade: '' until paid, then ``instant`` or ``escrow``. ``version`` counts its
    events.
    ``due_at`` is when the clock next acts on it: expiry, release or the end of the refund term; None for never.
    ``attempts`` counts its payments; ``paid_attempt`` is the one that counts (I10), 0 for none.
    """

    merchant_id: str
    out_trade_no: str
    trade_no: str
    protocol: str
    product: str
    state: str
    flow: str
    amount: int
    currency: str
    fee: int
    refunded: int
    refund_state: str
    buyer_id: str
    buyer_login: str
    carrier: str
    tracking_no: str
    attempts: int
    paid_attempt: int
    version: int
    created_at: Instant
    paid_at: Instant | None
    shipped_at: Instant | None
    ended_at: Instant | None
    moved_at: Instant
    due_at: Instant | None
    terms: str
    terms_hash: str


@record
class Payment:
    """One attempt to pay a trade. Key: (merchant_id, out_trade_no, attempt); payment_no is trade_no and attempt.

    ``intent`` is what the buyer wanted, as his browser named it: one captured payment per intent (I31).
    ``counts`` says that this is the trade's payment.
    """

    merchant_id: str
    out_trade_no: str
    attempt: int
    payment_no: str
    method: str
    bank: str
    flow: str
    state: str
    amount: int
    currency: str
    buyer_id: str
    buyer_login: str
    intent: str
    bank_ref: str
    counts: bool
    created_at: Instant
    ended_at: Instant | None


@record
class Instruction:
    """What we asked of a bank, under our own number, which is also the bank's idempotency key.

    ``kind``: ``pay`` or ``refund``. ``inquire_at`` is when we ask again; None when nothing is open. ``tries`` counts
    inquiries. ``code`` is the outlet's cash code where there is one.
    """

    instruction_no: str
    merchant_id: str
    out_trade_no: str
    attempt: int
    kind: str
    bank: str
    method: str
    amount: int
    currency: str
    state: str
    bank_ref: str
    reason: str
    code: str
    tries: int
    created_at: Instant
    moved_at: Instant
    inquire_at: Instant | None


@record
class Event:
    """One move of a trade and, where somebody is told, the outbox row of its notification: money and outbox are one
    row of one transaction (I20). Key: (merchant_id, out_trade_no, seq). ``snapshot`` is the trade's moving part then,
    as JSON; ``from_state`` equals ``to_state`` where only a detail changed. ``resends`` counts how often a person made
    it due again, outside the protocol's timetable (I23)."""

    merchant_id: str
    out_trade_no: str
    seq: int
    from_state: str
    to_state: str
    cause: str
    at: Instant
    snapshot: str
    target: str
    notify_state: str
    attempts: int
    resends: int
    next_at: Instant | None
    lease_token: int
    lease_until: Instant | None


def payment_number(trade_no: str, attempt: int) -> str:
    """Our number of a payment: the trade's, and two digits of the attempt."""
    return f"{trade_no}{attempt:02d}"


ATTEMPTS_MAX: Final = 99
"""Payments one trade may see; the number has two digits for them."""
