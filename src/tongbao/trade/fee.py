"""Fees: a rate in basis points with a minimum and a cap, rounded half to even, never above the sum (T37, I32)."""

from __future__ import annotations

from tongbao.kernel.money import round_half_even


def merchant_fee(amount: int, rate: int, minimum: int, cap: int) -> int:
    """The platform's part of ``amount``, both in minor units; ``rate`` in basis points, ``cap`` 0 for none."""
    fee = max(round_half_even(amount * rate, 10_000), minimum)
    if cap:
        fee = min(fee, cap)
    return min(fee, amount)
