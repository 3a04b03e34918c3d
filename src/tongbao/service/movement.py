"""The ledger as a stream: what moved between two instants, in order, with constant memory. It only looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tongbao.kernel.time import DAY, Instant, parse_china
from tongbao.store.step import Database

PAGE: Final = 1_000
"""Postings that are in memory at once, for each lane."""


@dataclass(frozen=True, slots=True)
class Move:
    """One posting with the entry it is part of. (lane, seq, n) names it for ever. ``amount`` in minor units."""

    lane: int
    seq: int
    n: int
    at: Instant
    key: str
    kind: str
    merchant_id: str
    out_trade_no: str
    debit: str
    credit: str
    amount: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries ``first`` up to, and without, ``end`` of one lane."""

    lane: int
    first: int
    end: int


def bounds(first: date, last: date | None = None) -> tuple[Instant, Instant]:
    """The instants at which a business date (UTC+8), or a run of them, begins and is over."""
    low = parse_china(f"{first:%Y-%m-%d} 00:00:00")
    high = parse_china(f"{last or first:%Y-%m-%d} 00:00:00")
    return low, Instant(high + DAY)


async def find_stretches(database: Database, low: Instant, high: Instant) -> list[Stretch]:
    """Where in every lane the entries of ``low`` up to ``high`` stand."""
    lanes = await database.read("bill.lanes")
    return [
        Stretch(lane, await _first_at(database, lane, last, low), await _first_at(database, lane, last, high))
        for lane, last, *_ in lanes
    ]


async def _first_at(database: Database, lane: int, last: int, at: Instant) -> int:
    """Number of the first entry at ``at`` or later; ``last`` + 1 where there is none. Times of a lane never go back."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        rows = await database.read("bill.entry_at", {"lane": lane, "seq": middle})
        if rows and rows[0][0] >= at:
            high = middle
        else:
            low = middle + 1
    return low


async def walk(database: Database, low: Instant, high: Instant, prefix: str = "") -> AsyncIterator[Move]:
    """Postings from ``low`` up to ``high`` that touch an account whose code begins with ``prefix``, by time, then by
    lane and place. Postings of one entry follow one another."""
    heads: list[tuple[Move, AsyncIterator[Move]]] = []
    for stretch in await find_stretches(database, low, high):
        source = walk_lane(database, stretch, prefix)
        first = await anext(source, None)
        if first is not None:
            heads.append((first, source))
    while heads:
        index = min(range(len(heads)), key=lambda place: (heads[place][0].at, heads[place][0].lane))
        move, source = heads[index]
        yield move
        # the whole entry leaves together, whatever another lane did in the same millisecond
        following = await anext(source, None)
        while following is not None and following.seq == move.seq:
            yield following
            following = await anext(source, None)
        if following is None:
            del heads[index]
        else:
            heads[index] = (following, source)


async def walk_lane(database: Database, stretch: Stretch, prefix: str) -> AsyncIterator[Move]:
    """The postings of one stretch, page by page."""
    after, after_n = stretch.first, 0
    while True:
        where = {"lane": stretch.lane, "seq_from": after, "n_after": after_n, "seq_end": stretch.end, "prefix": prefix}
        page = await database.read("bill.page", {**where, "most": PAGE})
        for seq, n, at, *rest in page:
            yield Move(stretch.lane, seq, n, Instant(at), *rest)
        if len(page) < PAGE:
            return
        after, after_n = page[-1][0], page[-1][1]


async def balance_at(database: Database, codes: Sequence[str], low: Instant) -> dict[str, int]:
    """What these accounts held together just before ``low``, by currency: what they hold now, less what moved since."""
    stand = await database.read("bill.stand", {"codes": list(codes)})
    held: dict[str, int] = {}
    for _, _, currency, balance in stand:
        if currency:
            held[currency] = held.get(currency, 0) + balance
    for lane, last, currency, _ in stand:
        if currency:
            continue
        first = await _first_at(database, lane, last, low)
        where = {"lane": lane, "seq_from": first, "seq_end": last + 1, "codes": list(codes)}
        for name, change in await database.read("bill.change", where):
            held[name] = held.get(name, 0) - change
    return held
