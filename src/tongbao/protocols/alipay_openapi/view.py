"""The view of a trade as fields of a notification, a return and a node, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.field import (
    Content,
    buyer_field,
    filled,
    list_of,
    mask_login,
    read_money,
    read_time,
    required,
    say,
    say_time,
    text_of,
    unmask,
)
from tongbao.protocols.alipay_openapi.payee import say_seller
from tongbao.wire.json import read_json, write_json
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Method, Notification, Role, TradeState, TradeView

SYNC: Final = "trade_status_sync"
_ZERO: Final = "0.00"
RETURN_OF: Final = {m.WAP_PAY: "alipay.trade.wap.pay.return"}
PAGE_RETURN: Final = "alipay.trade.page.pay.return"


def status_of(view: TradeView) -> str:
    """``trade_status``. Raises LocalProtocolError for states that only escrow has."""
    word = m.STATUS_OF.get(view.state) if view.state is not None else None
    if word is None:
        raise LocalProtocolError("state", "has no word in this interface")
    return word


def check_known(view: TradeView) -> None:
    """Raise LocalProtocolError unless the essentials are there."""
    for name in ("out_trade_no", "trade_no", "amount"):
        if not getattr(view, name):
            raise LocalProtocolError(name, "is missing")


def _was_paid(view: TradeView) -> bool:
    return view.paid_at is not None and view.state is not TradeState.UNPAID


def funds_of(view: TradeView, *, camel: bool) -> list[dict[str, str]]:
    """The fund bill: with what the buyer paid; one entry, since trades here are paid in one way."""
    method = view.method or Method.BALANCE
    channel, kind, bank = (
        ("fundChannel", "fundType", "bankCode") if camel else ("fund_channel", "fund_type", "bank_code")
    )
    return [
        filled(
            {
                "amount": say(view.amount),
                channel: m.FUND_WORD[method],
                kind: m.FUND_TYPE.get(method, ""),
                bank: view.bank if method in m.FUND_TYPE else "",
            }
        )
    ]


def read_funds(items: list[Content]) -> dict[str, Any]:
    """Method and bank out of a fund bill, in either spelling of its names."""
    for item in items:
        channel = text_of(item, "fund_channel") or text_of(item, "fundChannel")
        kind = text_of(item, "fund_type") or text_of(item, "fundType")
        method = m.CARD_METHOD.get(kind) if channel == "BANKCARD" else m.FUND_METHOD.get(channel)
        if method is not None:
            return {"method": method, "bank": text_of(item, "bank_code") or text_of(item, "bankCode")}
    return {}


def amounts_of(view: TradeView) -> dict[str, str]:
    """The four sums that stand beside ``total_amount``: whole once paid, nothing before."""
    whole = say(view.amount) if _was_paid(view) else _ZERO
    return {"receipt_amount": whole, "buyer_pay_amount": whole, "invoice_amount": whole, "point_amount": _ZERO}


NO_AMOUNTS: Final = {
    "receipt_amount": _ZERO,
    "buyer_pay_amount": _ZERO,
    "invoice_amount": _ZERO,
    "point_amount": _ZERO,
}


def write_trade(view: TradeView) -> dict[str, Any]:
    """The node of a query."""
    check_known(view)
    return {
        "trade_no": view.trade_no,
        "out_trade_no": view.out_trade_no,
        "trade_status": status_of(view),
        "total_amount": say(view.amount),
        **buyer_field(view.buyer.id, "buyer_user_id"),
        "buyer_logon_id": mask_login(view.buyer.login),
        "buyer_user_type": "PRIVATE" if view.buyer.id else "",
        "send_pay_date": say_time(view.paid_at),
        "fund_bill_list": funds_of(view, camel=False) if _was_paid(view) else [],
        "passback_params": view.passback,
        **amounts_of(view),
    }


def write_payment(view: TradeView) -> dict[str, Any]:
    """The node of a payment by code."""
    said = write_trade(view)
    said["gmt_payment"] = said.pop("send_pay_date")
    for name in ("trade_status", "buyer_user_type", "passback_params"):
        said.pop(name)
    return said


def read_trade(content: Content) -> TradeView:
    """A view out of a node. Raises RemoteProtocolError naming the field."""
    word = text_of(content, "trade_status")
    return TradeView(
        out_trade_no=required(content, "out_trade_no"),
        trade_no=required(content, "trade_no"),
        state=m.STATE_OF.get(word),
        amount=read_money(content, "total_amount"),
        subject=text_of(content, "subject"),
        body=text_of(content, "body"),
        seller=Party(text_of(content, "seller_id"), text_of(content, "seller_email")),
        buyer=_buyer(content),
        created_at=read_time(content, "gmt_create"),
        paid_at=read_time(content, "send_pay_date") or read_time(content, "gmt_payment"),
        ended_at=read_time(content, "gmt_close"),
        refunded=read_money(content, "refund_fee"),
        refunded_at=read_time(content, "gmt_refund"),
        passback=text_of(content, "passback_params"),
        **read_funds(_funds(content)),
    )


def _funds(content: Content) -> list[Content]:
    """``fund_bill_list`` is a list in a node and a JSON text in a notification."""
    value = content.get("fund_bill_list")
    if not isinstance(value, str) or not value:
        return list_of(content, "fund_bill_list")
    return list_of({"fund_bill_list": read_json(value, "fund_bill_list")}, "fund_bill_list")


def _buyer(content: Content) -> Party:
    for name in ("buyer_user_id", "buyer_id", "buyer_open_id"):
        if text_of(content, name):
            return Party(text_of(content, name), unmask(text_of(content, "buyer_logon_id")))
    return Party("", unmask(text_of(content, "buyer_logon_id")))


# --- notifications and returns -----------------------------------------------------------------------------------


def write_notification(notification: Notification, app_id: str, charset: str, now: Instant) -> dict[str, str]:
    """The fields of a trade's notification, unsigned; a refund is told with the trade as it stands then."""
    view, refund = notification.trade, notification.refund
    if notification.batch is not None or notification.payout is not None:
        raise LocalProtocolError("batch", "is not told of in this interface")
    check_known(view)
    paid = _was_paid(view)
    refunded = refund.refunded if refund is not None and refund.refunded is not None else view.refunded
    back = refunded is not None and refunded.minor > 0
    moment = refund.ended_at if refund is not None and refund.ended_at is not None else view.refunded_at
    return {
        "app_id": app_id,
        "auth_app_id": app_id,
        **buyer_field(view.buyer.id, "buyer_id"),
        "buyer_logon_id": mask_login(view.buyer.login),
        "charset": charset,
        "fund_bill_list": write_json(funds_of(view, camel=True)) if paid else "",
        "gmt_close": say_time(view.ended_at),
        "gmt_create": say_time(view.created_at),
        "gmt_payment": say_time(view.paid_at),
        "gmt_refund": say_time(moment, fine=True) if back else "",
        "notify_id": notification.id,
        "notify_time": say_time(now),
        "notify_type": SYNC,
        "out_biz_no": refund.refund_no if refund is not None else "",
        "out_trade_no": view.out_trade_no,
        "passback_params": view.passback,
        "refund_fee": say(refunded) if back else "",
        "seller_id": say_seller(view.seller.id, app_id),
        "seller_email": view.seller.login,
        "subject": view.subject,
        "body": view.body,
        "total_amount": say(view.amount),
        "trade_no": view.trade_no,
        "trade_status": status_of(view),
        "version": "1.0",
        **(amounts_of(view) if paid else {}),
    }


def write_return(notification: Notification, app_id: str, charset: str, now: Instant) -> dict[str, str]:
    """The fields with which the buyer's browser goes home: no state, so nobody books money by them."""
    view = notification.trade
    check_known(view)
    return {
        "charset": charset,
        "out_trade_no": view.out_trade_no,
        "method": RETURN_OF.get(view.echo.get("method", ""), PAGE_RETURN),
        "total_amount": say(view.amount),
        "trade_no": view.trade_no,
        "auth_app_id": app_id,
        "version": "1.0",
        "app_id": app_id,
        "seller_id": say_seller(view.seller.id, app_id),
        "timestamp": say_time(now),
    }


def read_event(fields: Mapping[str, str], role: Role, unsigned: Mapping[str, str]) -> Notification:
    """The inverse of both. Raises RemoteProtocolError naming the field."""
    if role is Role.NOTIFICATION and required(fields, "notify_type") != SYNC:
        raise RemoteProtocolError("notify_type", f"is not {SYNC}", "UNKNOWN_SERVICE")
    view = replace(read_trade(fields), merchant=required(fields, "app_id"))
    if view.amount is None:
        raise RemoteProtocolError("total_amount", "is missing", "FIELD_MISSING")
    refund = None
    if fields.get("out_biz_no") and view.refunded is not None:
        refund = RefundView(
            refund_no=fields["out_biz_no"],
            trade_no=view.trade_no,
            out_trade_no=view.out_trade_no,
            state=MovementState.SUCCEEDED,
            total=view.amount,
            refunded=view.refunded,
            ended_at=view.refunded_at,
        )
    at = read_time(fields, "notify_time" if role is Role.NOTIFICATION else "timestamp")
    return Notification(id=fields.get("notify_id", ""), at=at, trade=view, role=role, refund=refund, unsigned=unsigned)
