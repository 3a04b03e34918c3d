"""Settlement: what was paid to a merchant becomes his to spend. One batch per merchant and business date.

A batch gathers lines, one a trade, in chunks; the money of a chunk waits in the merchant's *settling* account until the
last chunk; then one entry makes all of it available, less the reserve for refunds and the fee of an early settlement.
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import round_half_even
from tongbao.kernel.record import record
from tongbao.kernel.time import DAY, Instant
from tongbao.trade.agreement import Agreement

CHUNK: Final = 500
"""Lines one command takes at most."""


@record
class Settlement:
    """One batch of one merchant. Key: (merchant_id, settlement_no); the number is the business date, ``20260302``, or
    for an early settlement the merchant's own request number after ``D0-``.

    ``kind``: ``daily`` or ``early``; ``state``: ``open`` or ``done``. ``chunks`` and ``cursor`` say how far it has
    come, so that it goes on where it stopped. ``amount`` is the sum of the lines; ``fee`` and ``reserve`` come off it.
    ``reserve_until`` is when the reserve is released; None where there is none, or it was.
    """

    merchant_id: str
    settlement_no: str
    kind: str
    day: int
    state: str
    chunks: int
    cursor: str
    lines: int
    amount: int
    fee: int
    reserve: int
    reserve_until: Instant | None
    currency: str
    created_at: Instant
    ended_at: Instant | None


@record
class SettlementLine:
    """One trade in one batch. ``gross`` came in, ``charged`` is the platform's fee, ``refunded`` and ``shared`` went
    to others, ``before`` was settled by earlier batches; ``amount`` is the rest, below zero where a refund took back
    what had been settled."""

    merchant_id: str
    settlement_no: str
    out_trade_no: str
    gross: int
    charged: int
    refunded: int
    shared: int
    before: int
    amount: int


@record
class SettlementDay:
    """One business date over all merchants. ``state``: ``running`` or ``done``."""

    day: int
    state: str
    merchants: int
    amount: int
    started_at: Instant
    ended_at: Instant | None


@record
class Share:
    """What settlement and splits know of one trade. Key: (merchant_id, out_trade_no); made when first needed.

    ``settled`` left *pending* with settlements so far; ``given`` went to receivers, ``returned`` came back from them
    (minor units). ``later``: the trade waits for splits and is not settled before ``finished``. ``waiting``: splits
    that were agreed at its creation are still to be carried out. ``held``: a settlement passed it by.
    """

    merchant_id: str
    out_trade_no: str
    settled: int
    given: int
    returned: int
    splits: int
    later: bool
    finished: bool
    waiting: bool
    held: bool


def new_share(merchant_id: str, out_trade_no: str, *, later: bool = False, waiting: bool = False) -> Share:
    """A trade nobody has settled or shared yet."""
    return Share(merchant_id, out_trade_no, 0, 0, 0, 0, later, False, waiting, False)


def split_total(amount: int, kind: str, agreement: Agreement) -> tuple[int, int]:
    """(fee, reserve) of a batch of ``amount``: the fee of an early one first, the reserve of what is left, rounded half
    to even. Raises Refused NO_PRIVILEGE where early settlement is not agreed."""
    fee = 0
    if kind == "early":
        if agreement.early is None:
            raise Refused("NO_PRIVILEGE", "early settlement is not agreed with this merchant")
        fee = min(agreement.early.of(amount), amount)
    return fee, round_half_even((amount - fee) * agreement.reserve_rate, 10_000)


def reserve_end(agreement: Agreement, now: Instant) -> Instant:
    """When a reserve held back now is released."""
    return Instant(now + agreement.reserve_days * DAY)
