"""Fees: a rate in basis points with a minimum and a cap, rounded half to even, never above the sum (T37, I32)."""

from __future__ import annotations

from tongbao.trade.agreement import Rate, read_agreement
from tongbao.trade.party import Merchant


def merchant_fee(amount: int, rate: int, minimum: int, cap: int) -> int:
    """The platform's part of ``amount``, both in minor units; ``rate`` in basis points, ``cap`` 0 for none."""
    return min(Rate(rate, minimum, cap).of(amount), amount)


def trade_fee(merchant: Merchant, product: str, protocol: str, method: str, amount: int) -> int:
    """The platform's part of a trade of ``amount`` minor units: the merchant's rate table where a row fits, his flat
    fee otherwise. Raises Refused FIELD_INVALID where his table cannot be read."""
    flat = Rate(merchant.fee_rate, merchant.fee_min, merchant.fee_cap)
    if merchant.settings == "{}":
        return min(flat.of(amount), amount)
    return min(read_agreement(merchant.settings).rate(product, protocol, method, flat).of(amount), amount)
