"""Profit sharing: parts of a trade's money go from its merchant to receivers that the platform knows (分润)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import round_half_even
from tongbao.kernel.record import record
from tongbao.kernel.time import Instant

RECEIVERS_MAX: Final = 50
"""Receivers of one split."""


@record
class SplitRow:
    """One split, all its receivers. Key: (merchant_id, out_trade_no, split_no); ``split_id`` is ours.

    ``cause``: ``asked`` by the merchant, agreed at the ``payment``. ``finish``: no more splits follow. ``digest`` tells
    whether the same number was used for something else; ``code`` is the refusal code of a failure.
    """

    merchant_id: str
    out_trade_no: str
    split_no: str
    split_id: str
    amount: int
    currency: str
    state: str
    code: str
    finish: bool
    digest: str
    cause: str
    created_at: Instant


@record
class SplitPart:
    """One receiver's part. ``receiver``: ``merchant`` or ``buyer``; ``returned`` came back with refunds and returns."""

    merchant_id: str
    out_trade_no: str
    split_no: str
    n: int
    receiver: str
    receiver_id: str
    receiver_login: str
    amount: int
    returned: int
    memo: str
    relation: str


@record
class SplitReturn:
    """A receiver's share, or a part of it, back to the merchant whose trade it is. Key: (merchant_id, return_no);
    ``return_id`` is ours. ``digest`` tells whether the same number was used for another return."""

    merchant_id: str
    return_no: str
    return_id: str
    out_trade_no: str
    split_no: str
    giver_id: str
    amount: int
    currency: str
    memo: str
    digest: str
    created_at: Instant


@record
class Wanted:
    """A receiver as he was found, and his part: a sum in minor units, or ``rate`` in basis points of the trade.

    ``giver`` and ``giver_id`` name the receiver further up in the list who passes it on, '' where the merchant gives.
    """

    receiver: str
    receiver_id: str
    receiver_login: str
    amount: int = 0
    rate: int = 0
    memo: str = ""
    relation: str = ""
    giver: str = ""
    giver_id: str = ""


def part_sums(amount: int, wanted: Sequence[Wanted], left: int) -> tuple[int, ...]:
    """Each receiver's sum: what was named, or the rate of the trade's whole ``amount`` rounded half to even (T37), less
    what he passes on; 0 for a part of which nothing is kept.

    ``left`` is what the merchant still has of the trade. Raises Refused AMOUNT_INVALID, SPLIT_EXCEEDS, also where
    somebody passes on more than he received earlier in the list."""
    if len(wanted) > RECEIVERS_MAX:
        raise Refused("FIELD_INVALID", f"more than {RECEIVERS_MAX} receivers")
    sums = tuple(one.amount or round_half_even(amount * one.rate, 10_000) for one in wanted)
    if any(one <= 0 for one in sums):
        raise Refused("AMOUNT_INVALID", "a receiver's part is above zero")
    kept = _pass_on(wanted, sums)
    if sum(kept) > left:
        raise Refused("SPLIT_EXCEEDS", f"{left} minor units are left of the trade")
    return kept


def _pass_on(wanted: Sequence[Wanted], sums: Sequence[int]) -> tuple[int, ...]:
    """What is kept of each part when every giver has paid out of his own, the oldest first (alipay-mapi 3.4)."""
    kept: list[int] = []
    for place, (one, amount) in enumerate(zip(wanted, sums, strict=True)):
        rest = amount if one.giver_id else 0
        for n, earlier in enumerate(wanted[:place]):
            if (earlier.receiver, earlier.receiver_id) == (one.giver, one.giver_id):
                piece = min(rest, kept[n])
                kept[n] -= piece
                rest -= piece
        if rest:
            raise Refused("SPLIT_EXCEEDS", "a receiver passes on more than he was given earlier in the list")
        kept.append(amount)
    return tuple(kept)


def give_back(parts: Sequence[SplitPart], wanted: Sequence[tuple[str, int]]) -> tuple[tuple[SplitPart, int], ...]:
    """How refunds and returns take shares back: for each (receiver_id, sum in minor units) the parts it comes off, the
    newest first.

    Raises Refused RECEIVER_UNKNOWN where he was given nothing of this trade, SPLIT_EXCEEDS where less is left."""
    taken: list[tuple[SplitPart, int]] = []
    gone: dict[tuple[str, int], int] = {}
    for receiver_id, amount in wanted:
        mine = [part for part in parts if part.receiver_id == receiver_id]
        if not mine:
            raise Refused("RECEIVER_UNKNOWN", "this receiver was given nothing of this trade")
        rest = amount
        for part in reversed(mine):
            key = (part.split_no, part.n)
            piece = min(rest, part.amount - part.returned - gone.get(key, 0))
            if piece > 0:
                taken.append((part, piece))
                gone[key] = gone.get(key, 0) + piece
                rest -= piece
        if rest > 0:
            raise Refused("SPLIT_EXCEEDS", "the receiver has less of this trade than he is to give back")
    return tuple(taken)
