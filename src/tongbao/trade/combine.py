"""A combined order: several trades, maybe of several merchants, that one payment pays, all of them or none (合单)."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import Instant

PARTS_MAX: Final = 50
"""Trades of one combined order."""


@record
class Combined:
    """The combined order. Key: (merchant_id, out_trade_no), who asked and his number for it; ``combined_id`` is ours.

    ``amount`` is the sum of its parts, in minor units. ``digest`` tells whether the same number was used for something
    else. It has no state of its own: it can be paid while all of its parts can; ``paid_at`` is when they were.
    """

    merchant_id: str
    out_trade_no: str
    combined_id: str
    protocol: str
    amount: int
    currency: str
    notify_url: str
    echo: str
    digest: str
    created_at: Instant
    paid_at: Instant | None


@record
class CombinedTrade:
    """Part number ``n`` (from 1) of a combined order: a trade of ``part_merchant`` under the number ``part_no``."""

    merchant_id: str
    out_trade_no: str
    n: int
    part_merchant: str
    part_no: str


def combined_name(merchant_id: str, out_trade_no: str) -> str:
    """How a trade's terms name the combined order it is part of."""
    return f"{merchant_id}/{out_trade_no}"
