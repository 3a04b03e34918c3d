"""The chart of accounts. A code is ``owner:id:purpose:currency``; whoever posts names accounts through this file only.

Balances are credits minus debits, so what the platform owes (buyers, merchants, escrow, fees earned) is positive and
what it is owed (money at banks) is negative. Only accounts of the outside world and of suspense may be negative (I04).
Platform accounts are per lane, so that two nodes never meet on one row.
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import Instant


@record
class Account:
    """One account with its cached balance in minor units (I03 compares it with its postings)."""

    code: str
    currency: str
    balance: int
    may_go_negative: bool
    frozen: bool
    opened_at: Instant


def buyer_balance(buyer_id: str, currency: str) -> str:
    """What a buyer can spend."""
    return f"buyer:{buyer_id}:balance:{currency}"


def merchant_pending(merchant_id: str, currency: str) -> str:
    """Paid to a merchant, not settled yet."""
    return f"merchant:{merchant_id}:pending:{currency}"


def merchant_available(merchant_id: str, currency: str) -> str:
    """Settled: a merchant may pay it out."""
    return f"merchant:{merchant_id}:available:{currency}"


def merchant_escrow(merchant_id: str, currency: str) -> str:
    """Held for a merchant until the buyer confirms; every posting on it carries its trade (I15)."""
    return f"merchant:{merchant_id}:escrow:{currency}"


def merchant_settling(merchant_id: str, currency: str) -> str:
    """On its way from pending to available: what the chunks of a settlement gathered before the last one."""
    return f"merchant:{merchant_id}:settling:{currency}"


def merchant_reserve(merchant_id: str, currency: str) -> str:
    """Settled, and held back for refunds until its days are over."""
    return f"merchant:{merchant_id}:reserve:{currency}"


def merchant_payout(merchant_id: str, currency: str) -> str:
    """Set aside for payouts under way, their fees included (I16)."""
    return f"merchant:{merchant_id}:payout:{currency}"


def merchant_refunding(merchant_id: str, currency: str) -> str:
    """Set aside for refunds that a bank was asked for and has not carried out yet (I16)."""
    return f"merchant:{merchant_id}:refunding:{currency}"


def merchant_stuck(merchant_id: str, currency: str) -> str:
    """What refunds have taken from a merchant and their banks do not take: it waits for his word, or for the
    operators' (I16)."""
    return f"merchant:{merchant_id}:stuck:{currency}"


def merchant_receivable(merchant_id: str, currency: str) -> str:
    """What a merchant owes the platform (negative): chargebacks beyond what he had. Later income pays it back."""
    return f"merchant:{merchant_id}:receivable:{currency}"


def platform_loss(lane: int, currency: str) -> str:
    """What the platform has borne itself (negative): receivables written off."""
    return f"platform:{lane}:loss:{currency}"


MERCHANT_OWN: Final = ("pending", "settling", "available", "reserve", "payout", "refunding", "stuck", "receivable")
"""Purposes of the accounts that hold a merchant's own money, and what he owes. What is in escrow is not his yet."""


def merchant_own(merchant_id: str, currency: str) -> tuple[str, ...]:
    """Every account of a merchant's own money, in one currency: what his bills are about."""
    return tuple(f"merchant:{merchant_id}:{purpose}:{currency}" for purpose in MERCHANT_OWN)


def platform_fee(lane: int, currency: str) -> str:
    """Fees earned."""
    return f"platform:{lane}:fee:{currency}"


def platform_suspense(lane: int, currency: str) -> str:
    """Money that came and belongs to no open trade: each sum on it has a case."""
    return f"platform:{lane}:suspense:{currency}"


def bank_clearing(bank: str, lane: int, currency: str) -> str:
    """What a bank owes us (negative): the outside world's side of every bank payment (I45)."""
    return f"bank:{bank}:{lane}:{currency}"


def may_go_negative(code: str) -> bool:
    """Only the outside world's accounts may, where a bank that owes us shows as a debit balance, what a merchant owes
    and what was lost, and a lane's suspense and fees: late money that arrived in one lane, or a fee that was earned in
    one, goes back through whichever lane hears of it. All lanes' suspense together is what the open cases say (S01),
    and all lanes' fees together are never below zero (I04)."""
    if code.startswith("platform:"):
        return code.split(":")[2] in ("suspense", "fee", "loss")
    return code.startswith("bank:") or (code.startswith("merchant:") and ":receivable:" in code)


def currency_of(code: str) -> str:
    """The currency an account is kept in: the last part of its code (I06)."""
    return code.rsplit(":", 1)[1]


def open_account(code: str, now: Instant) -> Account:
    """A new account with nothing on it."""
    return Account(code, currency_of(code), 0, may_go_negative(code), False, now)
