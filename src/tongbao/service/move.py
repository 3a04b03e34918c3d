"""One move of a trade: the state table, the new row, its event, and whether the merchant is told (I18-I20)."""

from __future__ import annotations

from functools import cache
from typing import Any

from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.service.view import combined_of, notify_address, take_snapshot
from tongbao.store.schema import EVENT, TRADE
from tongbao.store.table import Row, Table
from tongbao.trade.record import Event, Payment, Trade
from tongbao.trade.state import NotifyState, TradeState, move_trade
from tongbao.wire.contract import Manifest
from tongbao.wire.loader import load_protocol


@cache
def _manifest(protocol: str) -> Manifest:
    return load_protocol(protocol)


def _is_told(trade: Trade, before: str, to: TradeState) -> bool:
    """Whether the merchant's protocol tells him: the move is in its list, and new to who hears only its words. A trade
    that is final as soon as it is paid is told as paid."""
    if combined_of(trade):
        return False  # the combined order is told of as a whole
    manifest = _manifest(trade.protocol)
    said = manifest.said_as.get(f"{trade.product}:{to}", manifest.said_as.get(to))
    at_once = before == TradeState.UNPAID and to is TradeState.FINISHED
    told = {str(to), str(TradeState.PAID)} if at_once else {str(to)}
    return any((trade.product, state) in manifest.notifies for state in told) and said != before


def move(
    trade: Trade, to: TradeState, cause: str, now: Instant, payment: Payment | None = None, **changes: Any
) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The trade after entering ``to``, and the rows to write: the trade and its event. Raises Refused TRADE_STATE."""
    move_trade(trade.state, to)
    return record(trade, trade.state, to, cause, now, payment, **changes)


def record(
    trade: Trade, before: str, to: TradeState, cause: str, now: Instant, payment: Payment | None, **changes: Any
) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The rows of a move that the caller has already found legal (or of the first event of a new trade)."""
    moved: Trade = replace(trade, state=str(to), version=trade.version + 1, moved_at=now, **changes)
    target = ""
    if _is_told(moved, before, to):
        target = notify_address(moved)
    event = Event(
        moved.merchant_id,
        moved.out_trade_no,
        moved.version,
        before,
        str(to),
        cause,
        now,
        take_snapshot(moved, payment),
        target,
        str(NotifyState.PENDING if target else NotifyState.SILENT),
        0,
        0,
        now if target else None,
        0,
        None,
    )
    return moved, [(TRADE, moved), (EVENT, event)]
