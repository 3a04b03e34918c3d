"""A trade as the document of a notification, as a return, and as the leaves of a query's answer, and back."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant, china_text
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.codec import Fields
from tongbao.wire.field import invalid, read_time, required
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import PAID_STATES, Notification, Product, Role, TradeState, TradeView

SYNC: Final = "trade_status_sync"

_TIMES: Final = {
    "gmt_create": "created_at",
    "gmt_payment": "paid_at",
    "gmt_close": "ended_at",
    "gmt_last_modified_time": "moved_at",
    "gmt_refund": "refunded_at",
}


def _time(instant: Instant | None) -> str:
    return "" if instant is None else china_text(instant)


def write_trade(view: TradeView) -> dict[str, str]:
    """The leaves that notification and query's answer share. Raises LocalProtocolError naming what is missing."""
    for name in ("out_trade_no", "trade_no", "amount", "state"):
        if not getattr(view, name):
            raise LocalProtocolError(name, "is missing")
    if view.product not in (None, Product.INSTANT) or view.state not in m.STATUS_OF:
        raise LocalProtocolError("product", "the interface knows trades that are paid at once only")
    amount = view.amount or Money(0)
    return {
        "payment_type": "1",
        "subject": view.subject,
        "trade_no": view.trade_no,
        "buyer_email": view.buyer.login,
        "gmt_create": _time(view.created_at),
        "quantity": "1",
        "out_trade_no": view.out_trade_no,
        "seller_id": view.seller.id,
        "trade_status": m.STATUS_OF[view.state or TradeState.UNPAID],
        "total_fee": amount.text(),
        "gmt_payment": _time(view.paid_at),
        "seller_email": view.seller.login,
        "gmt_close": _time(view.ended_at),
        "price": amount.text(),
        "buyer_id": view.buyer.id,
    }


def write_notice(notification: Notification, now: Instant) -> dict[str, str]:
    """Leaves of ``<notify>``; those that say nothing are among them."""
    return write_trade(notification.trade) | {
        "notify_type": SYNC,
        "notify_time": china_text(now),
        "notify_id": notification.id,
        "is_total_fee_adjust": "N",
        "use_coupon": "N",
    }


def write_answer(view: TradeView) -> dict[str, str]:
    """Leaves of ``<trade>`` in the answer to the query."""
    back = view.refunded or Money(0)
    return write_trade(view) | {
        "gmt_last_modified_time": _time(view.moved_at),
        "gmt_refund": _time(view.refunded_at) if back.minor else "",
        "refund_status": "REFUND_SUCCESS" if back.minor else "",
        "to_buyer_fee": back.text(),
    }


def write_return(view: TradeView) -> dict[str, str]:
    """Fields of a return, which is made for a paid trade only and tells no sum."""
    if view.state not in PAID_STATES or not view.trade_no or not view.out_trade_no:
        raise LocalProtocolError("state", "there is a return for paid trades only")
    return {
        "out_trade_no": view.out_trade_no,
        "request_token": m.TOKEN_WORD,
        "result": "success",
        "trade_no": view.trade_no,
    }


def _read_money(leaves: Fields, name: str) -> Money | None:
    text = leaves.get(name, "")
    if not text:
        return None
    try:
        return parse_major(text)
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error


def read_trade(leaves: Fields) -> TradeView:
    """What the leaves of ``<notify>`` or ``<trade>`` say. Raises RemoteProtocolError naming the leaf."""
    amount = _read_money(leaves, "total_fee")
    if amount is None:
        raise RemoteProtocolError("total_fee", "is missing", "FIELD_MISSING")
    return TradeView(
        out_trade_no=required(leaves, "out_trade_no"),
        trade_no=required(leaves, "trade_no"),
        state=m.STATE_OF.get(required(leaves, "trade_status")),
        subject=leaves.get("subject", ""),
        amount=amount,
        seller=Party(leaves.get("seller_id", ""), leaves.get("seller_email", "")),
        buyer=Party(leaves.get("buyer_id", ""), leaves.get("buyer_email", "")),
        refunded=_read_money(leaves, "to_buyer_fee"),
        **{ours: read_time(leaves, name) for name, ours in _TIMES.items()},  # type: ignore[arg-type]
    )


def read_notice(leaves: Fields) -> Notification:
    """The notification that a verified document is."""
    if required(leaves, "notify_type") != SYNC:
        raise invalid("notify_type", "is no notification of a trade")
    view = read_trade(leaves)
    if not view.seller:
        raise RemoteProtocolError("seller_id", "is missing, and so is seller_email", "FIELD_MISSING")
    return Notification(id=required(leaves, "notify_id"), at=read_time(leaves, "notify_time"), trade=view)


def read_return(fields: Fields, unsigned: Fields) -> Notification:
    """The return that verified fields are: two numbers, and neither sum nor state."""
    if required(fields, "result") != "success":
        raise invalid("result", "is not success")
    view = TradeView(out_trade_no=required(fields, "out_trade_no"), trade_no=required(fields, "trade_no"))
    return Notification(id="", at=None, trade=view, role=Role.RETURN, unsigned=unsigned)
