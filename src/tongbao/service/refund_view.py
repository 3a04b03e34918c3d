"""What is told of refunds: views, and the events that carry them to the merchant.

A refund's event is its trade's; the snapshot holds the refund as it was then, so that a notification sent later tells
that moment.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tongbao.kernel.money import Money
from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.service.move import move
from tongbao.service.move import record as record_event
from tongbao.service.view import terms_of
from tongbao.store.schema import EVENT
from tongbao.store.table import Row, Table
from tongbao.trade.record import Event, Payment, Trade
from tongbao.trade.refund import STUCK, Refund, is_stuck
from tongbao.trade.state import NotifyState, TradeState
from tongbao.wire.loader import load_protocol
from tongbao.wire.movement import MovementState, RefundView, Split
from tongbao.wire.party import Party

_TOLD: Final = (
    "refund_no",
    "refund_id",
    "batch_no",
    "state",
    "amount",
    "fee",
    "reason",
    "method",
    "bank",
    "splits",
    "code",
    "created_at",
    "ended_at",
)


def dump_splits(splits: tuple[Split, ...], currency: str) -> str:
    """Shares as JSON for a row; their sums in minor units."""
    rows = [
        [one.receiver.id, one.receiver.login, one.amount.minor if one.amount else None, one.rate, one.memo, one.name]
        for one in splits
    ]
    return json.dumps([currency, *rows], ensure_ascii=False) if rows else "[]"


def load_splits(text: str) -> tuple[Split, ...]:
    """The inverse of ``dump_splits``."""
    said = json.loads(text)
    if not said:
        return ()
    currency, *rows = said
    return tuple(
        Split(
            receiver=Party(number, login),
            amount=None if amount is None else Money(amount, currency),
            rate=rate,
            memo=memo,
            name=name,
        )
        for number, login, amount, rate, memo, name in rows
    )


def refund_view(refund: Refund, trade: Trade) -> RefundView:
    """A refund as it stands."""
    return _view(_told(refund, trade.refunded), trade)


def refund_then(trade: Trade, snapshot: str) -> RefundView | None:
    """The refund that an event was about, as it stood then; None where it was about none."""
    said = json.loads(snapshot).get("refund")
    return _view(said, trade) if said else None


def _told(refund: Refund, refunded: int) -> dict[str, Any]:
    said = {name: getattr(refund, name) for name in _TOLD} | {"refunded": refunded}
    return said | {"method": "balance", "bank": ""} if refund.back_to == "buyer" else said


def _view(said: dict[str, Any], trade: Trade) -> RefundView:
    currency, stuck = trade.currency, said["code"] == STUCK
    return RefundView(
        merchant=trade.merchant_id,
        refund_no=said["refund_no"],
        refund_id=said["refund_id"],
        batch_no=said["batch_no"],
        trade_no=trade.trade_no,
        out_trade_no=trade.out_trade_no,
        state=MovementState(said["state"]),
        amount=Money(said["amount"], currency),
        total=Money(trade.amount, currency),
        refunded=Money(said["refunded"], currency),
        fee=Money(said["fee"], currency),
        reason=said["reason"],
        created_at=said["created_at"],
        ended_at=said["ended_at"],
        method=said["method"],
        bank=said["bank"],
        code="" if stuck else said["code"],
        stuck=stuck,
        splits=load_splits(said["splits"]),
    )


def record_refund(
    trade: Trade,
    to: TradeState,
    cause: str,
    now: Instant,
    payment: Payment | None,
    refund: Refund,
    **changes: Any,
) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The rows of a move (or of a detail's change) that a refund made: the trade, and its event with the refund in it.

    The merchant is told of a refund's end as his protocol does it: not at all, by the trade's notification, or by a
    message of the refund's own. Raises Refused TRADE_STATE.
    """
    if str(to) == trade.state:
        moved, rows = record_event(trade, trade.state, to, cause, now, payment, **changes)
        target = _target(moved, refund)
    else:
        moved, rows = move(trade, to, cause, now, payment, **changes)
        target = _event(rows).target or _target(moved, refund)
    snapshot = json.loads(_event(rows).snapshot)
    snapshot["refund"] = _told(refund, moved.refunded)
    if refund.state == "succeeded":
        snapshot["refunded_at"] = now
    text = json.dumps(snapshot, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return moved, _aimed(rows, target, now, text)


def record_claim(trade: Trade, cause: str, now: Instant, **changes: Any) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The rows of a claim's step: the trade with its new ``refund_state``, and an event; the merchant is told where his
    protocol tells of refunds by the trade's notification."""
    moved, rows = record_event(trade, trade.state, TradeState(trade.state), cause, now, None, **changes)
    told = load_protocol(trade.protocol).notifies_refund == "trade"
    return moved, _aimed(rows, terms_of(trade).notify_url if told else "", now, _event(rows).snapshot)


def _event(rows: list[tuple[Table, Row]]) -> Event:
    event: Event = next(row for table, row in rows if table is EVENT)
    return event


def _aimed(rows: list[tuple[Table, Row]], target: str, now: Instant, snapshot: str) -> list[tuple[Table, Row]]:
    """The rows with their event going to ``target``, or to nobody."""
    aimed = replace(
        _event(rows),
        snapshot=snapshot,
        target=target,
        notify_state=str(NotifyState.PENDING if target else NotifyState.SILENT),
        next_at=now if target else None,
    )
    return [(table, aimed if table is EVENT else row) for table, row in rows]


def _target(trade: Trade, refund: Refund) -> str:
    """Where the merchant is told of this refund's end, or that it is stuck; '' where he is not."""
    how = load_protocol(trade.protocol).notifies_refund
    if how == "own" and (refund.state != "accepted" or is_stuck(refund)):
        return refund.notify_url or terms_of(trade).notify_url
    if how == "trade" and refund.state == "succeeded":
        return terms_of(trade).notify_url
    return ""
