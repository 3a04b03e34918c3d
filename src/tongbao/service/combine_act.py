"""What may be asked about combined orders, and how they are shown, paid and told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.service.combine import CloseTogether, OpenCombined, Part
from tongbao.service.create import Asker, Opened
from tongbao.service.platform import Platform
from tongbao.service.refund_act import with_return
from tongbao.service.view import combined_of, view_now
from tongbao.service.wallet import meant_buyer, told_buyer, told_view
from tongbao.store.schema import COMBINED, TRADE
from tongbao.trade.combine import Combined
from tongbao.trade.record import Trade
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseCombined,
    CombinedFound,
    CombinedView,
    CreateCombined,
    Done,
    Outcome,
    QueryCombined,
    TradeOpened,
    TradeView,
)


async def find_combined(platform: Platform, merchant_id: str, out_trade_no: str) -> Combined:
    """A merchant's combined order by his number. Raises Refused TRADE_NOT_FOUND."""
    found: list[Combined] = await platform.database.load(COMBINED, [(merchant_id, out_trade_no)])
    if not found:
        raise Refused("TRADE_NOT_FOUND", "no such combined order")
    return found[0]


async def whole_of(platform: Platform, trade: Trade) -> Combined | None:
    """The combined order that a trade is part of, None where it stands alone."""
    merchant_id, _, out_trade_no = combined_of(trade).partition("/")
    return await find_combined(platform, merchant_id, out_trade_no) if merchant_id else None


async def parts_of(platform: Platform, combined: Combined) -> tuple[Part, ...]:
    """Merchant and number of each part, in order."""
    where = {"merchant_id": combined.merchant_id, "out_trade_no": combined.out_trade_no}
    rows = await platform.database.read("combined.parts", where)
    return tuple((merchant_id, out_trade_no) for merchant_id, out_trade_no in rows)


async def trades_of(platform: Platform, combined: Combined) -> list[Trade]:
    """The parts as they stand, in order."""
    parts = await parts_of(platform, combined)
    found: list[Trade] = await platform.database.load(TRADE, sorted(parts))
    by_key = {(trade.merchant_id, trade.out_trade_no): trade for trade in found}
    return [by_key[part] for part in parts]


async def combined_view(platform: Platform, combined: Combined) -> CombinedView:
    """A combined order as who asked for it is told it; the buyer under the number that he knows."""
    trades = await trades_of(platform, combined)
    buyer_id = trades[0].buyer_id
    told = told_buyer(platform, combined.protocol, combined.merchant_id, buyer_id)
    views = await asyncio.gather(*(_see(platform, trade) for trade in trades))
    return CombinedView(
        merchant=combined.merchant_id,
        out_trade_no=combined.out_trade_no,
        parts=tuple(views),
        buyer=Party(told, trades[0].buyer_login if buyer_id else ""),
        echo=json.loads(combined.echo),
    )


async def _see(platform: Platform, trade: Trade) -> TradeView:
    merchant = await platform.merchant(trade.merchant_id)
    view = told_view(platform, trade, view_now(trade, await platform.payment_of(trade), merchant.login))
    return await with_return(platform, trade, view)


async def _create(platform: Platform, asker: Asker, intent: CreateCombined) -> Outcome:
    meant = meant_buyer(platform, asker.protocol, intent.merchant, intent.buyer)
    numbers = tuple(platform.new_trade_no() for _ in intent.parts)
    command = OpenCombined(asker, replace(intent, buyer=meant), platform.new_trade_no(), numbers)
    opened: Opened = await platform.submit(command)
    code = platform.seal.trade_code(opened.trade_no)
    return TradeOpened(opened.trade_no, wallet_url(platform, opened.trade_no), code)


def wallet_url(platform: Platform, trade_no: str) -> str:
    """The wallet's page of a trade, which shows the whole combined order that it is part of."""
    return f"{platform.settings.base_url}/wallet/trades/{platform.seal.trade_code(trade_no)}"


async def _query(platform: Platform, asker: Asker, intent: QueryCombined) -> Outcome:
    combined = await find_combined(platform, asker.merchant_id, intent.out_trade_no)
    return CombinedFound(await combined_view(platform, combined))


async def _close(platform: Platform, asker: Asker, intent: CloseCombined) -> Outcome:
    combined = await find_combined(platform, asker.merchant_id, intent.out_trade_no)
    parts = await parts_of(platform, combined)
    named = tuple((merchant_id or asker.merchant_id, number) for merchant_id, number, _ in intent.parts)
    await platform.submit(CloseTogether(asker, combined.out_trade_no, parts, named))
    return Done()


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    CreateCombined: _create,
    QueryCombined: _query,
    CloseCombined: _close,
}
