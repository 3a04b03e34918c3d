"""A bill in words: whose and of which day it is, and its lines. ``movement`` hands these words on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.wire.party import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class BillHead:
    """Whose bill, of which business date (UTC+8; a month by its first day), of which kind (see ``RequestBill``).
    ``provider``: of a merchant's trades, those alone that this service provider asked for; '' for all."""

    merchant: str
    day: date
    kind: str = "trade"
    monthly: bool = False
    scope: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One movement in a bill. ``kind``: ``payment``, ``refund``, ``fee``, ``fee_return``, ``split``, ``payout``,
    ``payout_return``, ``settlement``, ``adjustment``, ``chargeback``.

    ``income`` and ``outcome`` are the merchant's, one of them zero; ``fee`` is what the platform kept of it;
    ``balance`` the account's after the line, where the kind of bill has one; ``at`` is business time;
    ``serial`` the line's own number, unique in the bill.
    """

    kind: str
    at: Instant
    income: Money
    outcome: Money
    fee: Money
    out_trade_no: str = ""
    trade_no: str = ""
    refund_no: str = ""
    refund_id: str = ""
    amount: Money | None = None
    """The trade's whole sum, where the line belongs to one."""
    balance: Money | None = None
    serial: str = ""
    subject: str = ""
    buyer: Party = field(default_factory=Party)
    method: str = ""
    bank: str = ""
    state: str = ""
    created_at: Instant | None = None
    asked_at: Instant | None = None
    """When a refund was asked for."""
    rate: int | None = None
    """Fee rate in parts of 10,000."""
    memo: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)
    """What the trade's protocol wants back with it (``CreateTrade.echo``)."""
