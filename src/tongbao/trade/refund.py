"""Money given back: the records of refunds, of what a trade has given back so far, and of batches; and their sums.

Sums are minor units of ``currency``; times are Instants of business time.
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import round_half_even
from tongbao.kernel.record import record
from tongbao.kernel.time import Instant

REFUNDS_MAX: Final = 300
"""Refunds that one trade may see."""

REFUNDS_OF_MERCHANT: Final = 290
"""How many of them its merchant may make: the rest is kept for claims and decisions, which nobody may use up."""


STUCK: Final = "REFUND_STUCK"
"""The ``code`` of a refund whose bank does not take it, and whose money waits for somebody's word; the merchant's own
books say the same of it."""


@record
class Refund:
    """One refund of one trade. Key: (merchant_id, out_trade_no, n); ``refund_id`` is trade_no and four digits of n.

    ``refund_no`` is the merchant's number, '' where the platform itself gives back. ``cause``: ``merchant``,
    ``cancel``, ``claim`` (the seller agreed, or the clock for him), ``decision`` (an operator's). ``method`` and
    ``bank`` say where the money goes: ``balance`` of ``buyer_id``, or the card that paid. ``from_*`` say whence it was
    taken; together they are ``amount``. ``fee`` is what the platform gave back of its own. ``back_to`` says where the
    money went that a bank did not take: ``escrow`` or the ``merchant``, whose refund has failed; the balance of the
    ``buyer``, who has it in spite of his bank, where a claim or a decision gave it. ``splits`` is JSON: what receivers
    of shares gave back. ``code`` is the refusal code of a failure, or
    ``STUCK`` of an accepted refund that waits.
    """

    merchant_id: str
    out_trade_no: str
    n: int
    refund_id: str
    refund_no: str
    batch_no: str
    cause: str
    state: str
    attempt: int
    method: str
    bank: str
    buyer_id: str
    amount: int
    currency: str
    from_escrow: int
    from_pending: int
    from_reserve: int
    from_available: int
    fee: int
    back_to: str
    reason: str
    notify_url: str
    splits: str
    code: str
    created_at: Instant
    ended_at: Instant | None


@record
class TradeReturn:
    """What became of a trade's money afterwards; the row exists once something did. Key: (merchant_id, out_trade_no).

    ``refunds`` counts refunds; ``refunding`` is what is accepted and not final; ``from_escrow`` what was given back out
    of escrow, ``fee_back`` what the platform gave back of its fee (failed refunds count in neither).
    ``charged_back`` is what banks took back, which the merchant cannot give back a second time. ``extended`` says that
    the buyer has put off the release once.
    """

    merchant_id: str
    out_trade_no: str
    refunds: int
    refunding: int
    from_escrow: int
    fee_back: int
    charged_back: int
    extended: bool
    refunded_at: Instant | None


@record
class RefundBatch:
    """The header of many refunds. Key: (merchant_id, batch_no); ``batch_id`` is ours. ``state``: ``asked`` (the
    merchant must agree on a page of the platform), ``running``, ``done``, ``closed`` (he did not agree). ``digest``
    tells whether the same number was used for something else; ``echo`` is JSON that the protocol wants back;
    ``agreed_by`` who agreed, '' where nobody had to."""

    merchant_id: str
    batch_no: str
    batch_id: str
    protocol: str
    state: str
    lines: int
    ended: int
    digest: str
    notify_url: str
    echo: str
    agreed_by: str
    created_at: Instant
    ended_at: Instant | None


@record
class RefundLine:
    """One line of a batch. Key: (merchant_id, batch_no, n). ``state``: ``waiting``, then as a refund's. ``refund_n`` is
    its refund's n within trade ``out_trade_no``, 0 while there is none; ``code`` why there is none."""

    merchant_id: str
    batch_no: str
    n: int
    trade_no: str
    amount: int
    currency: str
    reason: str
    splits: str
    state: str
    code: str
    out_trade_no: str
    refund_n: int
    ended_at: Instant | None


def refund_number(trade_no: str, n: int) -> str:
    """Our number of a refund: the trade's, and four digits of n. 32 digits in all."""
    return f"{trade_no}{n:04d}"


def refund_n(refund_id: str) -> int:
    """The n of a refund, by our number of it; 0 for what is none."""
    return int(refund_id[-4:]) if refund_id[-4:].isdecimal() and refund_id.isascii() else 0


def is_stuck(refund: Refund) -> bool:
    """Whether its money has left the merchant, and its bank does not take it."""
    return refund.state == "accepted" and refund.code == STUCK


def refund_instruction(payment_no: str, n: int) -> str:
    """The number under which a bank is asked for a refund: the payment's, R, and four digits of n. The refund of late
    money, of which there is one at most, is R alone."""
    return f"{payment_no}R{n:04d}"


def refund_of_instruction(instruction_no: str) -> int:
    """The n of the refund that an instruction is for; 0 for late money's and for what is no refund."""
    digits = instruction_no.rpartition("R")[2]
    return int(digits) if "R" in instruction_no and digits else 0


def fee_to_return(fee: int, base: int, returned: int, fee_back: int) -> int:
    """What the platform gives back of its ``fee`` when ``returned`` of the ``base`` it was taken from has gone back in
    all, ``fee_back`` having been given back before: proportional, rounded half to even on the whole sum so far, so that
    all of the fee is back exactly when all of the base is (T37, I32). Never below zero."""
    if not base:
        return 0
    return max(0, round_half_even(fee * returned, base) - fee_back)


def take_from(amount: int, pending: int, reserve: int, available: int) -> tuple[int, int, int]:
    """How a merchant's ``amount`` is made up: first what is not settled, then what is held back for refunds, then what
    he could pay out. Raises Refused MERCHANT_FUNDS."""
    first = min(amount, pending)
    second = min(amount - first, reserve)
    third = min(amount - first - second, available)
    if first + second + third < amount:
        raise Refused("MERCHANT_FUNDS", f"{amount - first - second - third} are lacking")
    return first, second, third
