"""The buyer's claim in an escrow trade, from asking to an operator's decision; corrections and chargebacks."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import DAY, Instant

ANSWER_TIME: Final = 5 * DAY
"""A seller who has not answered a claim by then has agreed."""

DISPUTE_TIME: Final = 7 * DAY
"""A buyer who was refused and has not opened a dispute by then has withdrawn."""

RETURN_TIME: Final = 7 * DAY
"""A buyer who was to send the goods back and has not by then has withdrawn."""

CHECK_TIME: Final = 10 * DAY
"""A seller who has not spoken about goods that were sent back by then has agreed."""

ROUNDS_MAX: Final = 3
"""Claims of one trade: each stops the release's clock, so that there must be a last one."""

EXTENSION: Final = 3 * DAY
"""By how much a buyer may put off the release, once."""


@record
class Claim:
    """A buyer wants money back that escrow still holds. Key: (merchant_id, out_trade_no); ``round`` counts claims.

    ``goods``: he has them and is to send them back. ``left_over`` is how much of the release term was left when the
    claim stopped it (milliseconds), 0 for a trade that was not shipped. ``proposal`` is what one operator
    (``proposed_by``) would give the buyer; another (``decided_by``) agrees. ``refund_n`` is the refund it came to.
    """

    merchant_id: str
    out_trade_no: str
    round: int
    state: str
    amount: int
    currency: str
    goods: bool
    reason: str
    answer: str
    carrier: str
    tracking_no: str
    left_over: int
    disputed_by: str
    proposal: int
    proposed_by: str
    proposal_reason: str
    decided_by: str
    refund_n: int
    opened_at: Instant
    moved_at: Instant


@record
class Correction:
    """An entry that one operator proposes and another posts. Key: correction_id. ``kind``: ``correct``, ``write_off``,
    ``late`` (late money goes to the buyer's balance because his bank does not take it)."""

    correction_id: str
    kind: str
    case_id: str
    merchant_id: str
    out_trade_no: str
    debit: str
    credit: str
    amount: int
    currency: str
    reason: str
    state: str
    maker: str
    checker: str
    proposed_at: Instant
    decided_at: Instant | None


@record
class Chargeback:
    """A bank has taken money back. Key: (bank, bank_ref). ``from_*`` and ``short`` say who bears it: the merchant out
    of what he has, and what he owes the platform for now."""

    bank: str
    bank_ref: str
    instruction_no: str
    merchant_id: str
    out_trade_no: str
    amount: int
    currency: str
    from_pending: int
    from_reserve: int
    from_available: int
    short: int
    at: Instant
