"""Settlement's walks: over merchants and their trades, chunk by chunk; what a day's statements say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant, business_date, business_day
from tongbao.ledger.account import merchant_pending
from tongbao.service.platform import Platform
from tongbao.service.settle import Gathered, MarkSettlementDay, ReleaseReserve, SettleChunk, Sums
from tongbao.store.schema import SETTLEMENT, SETTLEMENT_DAY, SHARE, TRADE
from tongbao.trade.calendar import CalendarDay, Days, next_settlement, own_days, settled_day, write_day
from tongbao.trade.record import Trade
from tongbao.trade.settlement import CHUNK, Settlement, SettlementDay, SettlementLine, Share

MERCHANTS: Final = 100
"""Merchants that one page of the walk has."""

TRIES: Final = 5
"""How often a chunk is added up anew before what moved is left to the next batch."""

TAKERS: Final = ("refund", "chargeback")
"""Kinds of entry that take a trade's money back begin so; splits have a column of their own."""


async def calendar_days(platform: Platform) -> Days:
    """The days that operators added."""
    return own_days(CalendarDay(row[0], bool(row[1]), *row[2:]) for row in await platform.database.read("calendar.all"))


async def settle_due(platform: Platform) -> int:
    """Settle the business date that is due, if that was not done, and release reserves whose days are over. Returns how
    many merchants had something settled or released."""
    now = platform.world.clock.business()
    done = await release_reserves(platform)
    day = write_day(settled_day(now, await calendar_days(platform)))
    known: list[SettlementDay] = await platform.database.load(SETTLEMENT_DAY, [(day,)])
    if known and known[0].state == "done":
        return done
    first = await platform.database.read("settle.merchants", {"beyond": "", "most": 1})
    if not first:
        return done
    return done + await settle_day(platform, day)


async def settle_day(platform: Platform, day: int) -> int:
    """Settle one business date (``20260302``) to every merchant; done before, it changes nothing. Returns how many
    merchants got money. Raises Refused BILL_DATE_INVALID for a day that has not ended."""
    if day >= business_day(platform.world.clock.business()):
        raise Refused("BILL_DATE_INVALID", "only a day that has ended is settled")
    await platform.submit(MarkSettlementDay(day, False))
    after, merchants, total = "", 0, 0
    while rows := await platform.database.read("settle.merchants", {"beyond": after, "most": MERCHANTS}):
        for (merchant_id,) in rows:
            made = await settle_merchant(platform, merchant_id, "daily", str(day), day)
            if made is not None:
                merchants, total = merchants + 1, total + made.amount
        after = rows[-1][0]
    await platform.submit(MarkSettlementDay(day, True, merchants, total))
    return merchants


async def settle_early(platform: Platform, merchant_id: str, request_no: str) -> Settlement:
    """Settle what a merchant has by now, at his request and for the fee agreed (D0). The same request number again is
    the same settlement. Raises Refused NO_PRIVILEGE, MERCHANT_FUNDS where there is nothing."""
    day = business_day(platform.world.clock.business())
    made = await settle_merchant(platform, merchant_id, "early", f"D0-{request_no}", day)
    if made is None:
        raise Refused("MERCHANT_FUNDS", "there is nothing to settle")
    return made


async def settle_merchant(platform: Platform, merchant_id: str, kind: str, number: str, day: int) -> Settlement | None:
    """One merchant's batch, from where it stopped to its end; None where there was nothing. Batches that stopped before
    are ended first."""
    for _, stopped in await platform.database.read("settle.open", {"merchant_id": merchant_id}):
        if stopped != number:
            (older,) = await platform.database.load(SETTLEMENT, [(merchant_id, stopped)])
            await _run(platform, merchant_id, older.kind, stopped, older.day)
    return await _run(platform, merchant_id, kind, number, day)


async def _run(platform: Platform, merchant_id: str, kind: str, number: str, day: int) -> Settlement | None:
    known = await find_settlement(platform, merchant_id, number)
    (since,) = (await platform.database.read("settle.last_day", {"merchant_id": merchant_id}))[0]
    chunk, cursor = (known.chunks, known.cursor) if known else (0, "")
    while known is None or known.state != "done":
        made = await _chunk(platform, SettleChunk(merchant_id, number, kind, day, chunk + 1, (), cursor, False), since)
        if made is None:
            return None
        if made.state != "done" and (made.chunks, made.cursor) == (chunk, cursor):
            return None
        chunk, cursor = made.chunks, made.cursor
        known = await find_settlement(platform, merchant_id, number)
        if known is None:
            return None
    return known


async def _chunk(platform: Platform, begun: SettleChunk, since: int) -> Gathered | None:
    """Add up and submit the chunk after ``begun.cursor``; None where there is nothing to write, or less than nothing.

    The first chunk also has what refunds took back of earlier batches, and as many lines as make up for that."""
    where: dict[str, object] = {"merchant_id": begun.merchant_id, "since": since, "day": begun.day}
    taken = await _taken_back(platform, where) if begun.chunk == 1 else []
    for turn in range(1, TRIES + 1):
        sums = await add_up(platform, begun.merchant_id, taken)
        cursor, more = begun.cursor, True
        while more:
            page = await platform.database.read("settle.candidates", {**where, "beyond": cursor, "most": CHUNK + 1})
            numbers = [row[0] for row in page[:CHUNK]]
            cursor, more = (numbers[-1] if numbers else cursor), len(page) > CHUNK
            seen = {one.trade.out_trade_no for one in sums}
            sums += await add_up(platform, begun.merchant_id, [number for number in numbers if number not in seen])
            if begun.chunk > 1 or sum(one.left - (one.share.settled if one.share else 0) for one in sums) >= 0:
                break
        if not sums and begun.chunk == 1:
            return None
        command = replace(begun, sums=sums, cursor=cursor, last=not more, patient=turn < TRIES)
        try:
            made: Gathered = await platform.submit(command)
        except Refused as refusal:
            if refusal.code != "MERCHANT_FUNDS":
                raise
            platform.world.log("settle.short", merchant=begun.merchant_id, batch=begun.settlement_no)
            return None
        if not made.again:
            return made
    return None


async def _taken_back(platform: Platform, where: dict[str, object]) -> list[str]:
    """Trades of earlier batches, given back or shared since."""
    taken: list[str] = []
    while True:
        after = taken[-1] if taken else ""
        page = await platform.database.read("settle.taken_back", {**where, "beyond": after, "most": CHUNK})
        taken += [row[0] for row in page]
        if len(page) < CHUNK:
            return taken


async def add_up(platform: Platform, merchant_id: str, numbers: list[str], currency: str = "CNY") -> tuple[Sums, ...]:
    """What each trade has on *pending*: rows first, postings after, so that equal rows later mean equal sums."""
    if not numbers:
        return ()
    keys = [(merchant_id, number) for number in sorted(numbers)]
    trades: list[Trade] = await platform.database.load(TRADE, keys)
    shares: dict[str, Share] = {share.out_trade_no: share for share in await platform.database.load(SHARE, keys)}
    rows = await platform.database.read(
        "settle.sums",
        {"merchant_id": merchant_id, "trades": numbers, "code": merchant_pending(merchant_id, currency)},
    )
    sums: dict[str, list[int]] = {trade.out_trade_no: [0, 0, 0, 0] for trade in trades}
    for number, kind, came, went, fee_back, fee in rows:
        if number not in sums:
            continue
        mine = sums[number]
        mine[1] += fee - fee_back
        rest = came - fee_back - (went - fee)
        if kind.startswith("split"):
            mine[3] -= rest
        elif kind.startswith(TAKERS):
            mine[2] -= rest
        else:
            mine[0] += rest
    return tuple(
        Sums(trade, shares.get(trade.out_trade_no), *sums[trade.out_trade_no])
        for trade in trades
        if any(sums[trade.out_trade_no])
    )


async def release_reserves(platform: Platform) -> int:
    """Release every reserve whose days are over; returns how many."""
    now, done = platform.world.clock.business(), 0
    while rows := await platform.database.read("settle.reserves", {"now": now, "most": MERCHANTS}):
        for merchant_id, number in rows:
            await platform.submit(ReleaseReserve(merchant_id, number))
        done += len(rows)
    return done


async def find_settlement(platform: Platform, merchant_id: str, number: str) -> Settlement | None:
    """One batch of one merchant, or None."""
    found: list[Settlement] = await platform.database.load(SETTLEMENT, [(merchant_id, number)])
    return found[0] if found else None


async def settlements_of_day(platform: Platform, day: int) -> list[Settlement]:
    """Every merchant's batches of a business date."""
    keys = [tuple(row) for row in await platform.database.read("settle.of_day", {"day": day})]
    return await platform.database.load(SETTLEMENT, sorted(keys)) if keys else []


async def settlements_of(platform: Platform, merchant_id: str, most: int = 100) -> list[Settlement]:
    """A merchant's latest batches, the newest first."""
    rows = await platform.database.read("settle.of_merchant", {"merchant_id": merchant_id, "most": most})
    found: list[Settlement] = (
        await platform.database.load(SETTLEMENT, sorted((merchant_id, row[0]) for row in rows)) if rows else []
    )
    return sorted(found, key=lambda batch: (batch.created_at, batch.settlement_no), reverse=True)


async def lines_of(platform: Platform, merchant_id: str, number: str) -> AsyncIterator[SettlementLine]:
    """A batch's lines in order, streamed."""
    after = ""
    while True:
        page = await platform.database.read(
            "settle.lines",
            {"merchant_id": merchant_id, "settlement_no": number, "beyond": after, "most": CHUNK},
        )
        for row in page:
            yield SettlementLine(merchant_id, number, *row)
        if len(page) < CHUNK:
            return
        after = page[-1][0]


class Settler:
    """The worker's settlement duty: looks once at each settlement time, and again only after a failure."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.look_at = Instant(0)

    async def round(self) -> int:
        """Settle what is due now; returns how much was done."""
        now = self.platform.world.clock.business()
        if now < self.look_at:
            return 0
        done = await settle_due(self.platform)
        self.look_at = next_settlement(now, await calendar_days(self.platform))
        return done

    async def next_due(self) -> Instant | None:
        """When settlement is next due, or None while nobody has anything to be settled."""
        if not await self.platform.database.read("settle.waiting"):
            return None
        now = self.platform.world.clock.business()
        return next_settlement(now, await calendar_days(self.platform)) if now >= self.look_at else self.look_at


def today(platform: Platform) -> date:
    """The present business date."""
    return business_date(platform.world.clock.business())
