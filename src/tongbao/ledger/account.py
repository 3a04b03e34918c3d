"""The chart of accounts. A code is ``owner:id:purpose:currency``; whoever posts names accounts through this file only.

Balances are credits minus debits, so what the platform owes (buyers, merchants, escrow, fees earned) is positive and
what it is owed (money at banks) is negative. Only accounts of the outside world and of suspense may be negative (I04).
Platform accounts are per lane, so that two nodes never meet on one row.
"""

from __future__ import annotations

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
    """Only the outside world's accounts may, where a bank that owes us shows as a debit balance, and a lane's suspense:
    late money that arrived in one lane goes back through whichever lane hears of it. All lanes' suspense together is
    what the open cases say (S01)."""
    return code.startswith("bank:") or (code.startswith("platform:") and ":suspense:" in code)


def currency_of(code: str) -> str:
    """The currency an account is kept in: the last part of its code (I06)."""
    return code.rsplit(":", 1)[1]


def open_account(code: str, now: Instant) -> Account:
    """A new account with nothing on it."""
    return Account(code, currency_of(code), 0, may_go_negative(code), False, now)
