"""The view of a trade as fields of a return, a notification and a query's answer, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_text
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.field import read_money, read_quantity, write_time
from tongbao.wire.field import invalid, read_time, required
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Consignee,
    Notification,
    Presentation,
    Product,
    Role,
    Shipping,
    TradeState,
    TradeView,
)

SYNC: Final = "trade_status_sync"

_TIMES: Final = {
    "gmt_create": "created_at",
    "gmt_payment": "paid_at",
    "gmt_send_goods": "shipped_at",
    "gmt_close": "ended_at",
    "gmt_last_modified_time": "moved_at",
    "gmt_refund": "refunded_at",
}
_CONSIGNEE: Final = {
    "receive_name": "name",
    "receive_address": "address",
    "receive_zip": "postcode",
    "receive_phone": "phone",
    "receive_mobile": "mobile",
}


def _sum(money: Money | None) -> str:
    return "" if money is None else money.text()


def write_status(view: TradeView) -> str:
    """``trade_status``. A dual trade that was paid directly has no refundable state of its own: it is finished."""
    if view.state is None:
        raise LocalProtocolError("state", "is not known")
    if view.state is TradeState.PAID and view.product in (Product.DUAL, Product.ESCROW):
        return "TRADE_FINISHED"
    return m.STATUS_OF[view.state]


def _refund(view: TradeView) -> str:
    if view.refund_state:
        return m.REFUND_WORD.get(view.refund_state, "")
    return "REFUND_SUCCESS" if view.refunded is not None and view.refunded.minor > 0 else ""


def _basic(view: TradeView) -> dict[str, str]:
    for name in ("out_trade_no", "trade_no", "amount"):
        if not getattr(view, name):
            raise LocalProtocolError(name, "is missing")
    return {
        "out_trade_no": view.out_trade_no,
        "trade_no": view.trade_no,
        "trade_status": write_status(view),
        "subject": view.subject,
        "body": view.body,
        "payment_type": view.echo.get("payment_type", "1"),
        "total_fee": _sum(view.amount),
        "seller_id": view.seller.id,
        "seller_email": view.seller.login,
        "buyer_id": view.buyer.id,
        "buyer_email": view.buyer.login,
    }


def _goods(view: TradeView) -> dict[str, str]:
    """What a notification adds, and the return of an escrow or dual trade."""
    ended = view.state is TradeState.CLOSED or (view.state is not None and write_status(view) == "TRADE_FINISHED")
    fields = {
        "price": _sum(view.price or view.amount),
        "quantity": str(view.quantity or 1),
        "discount": _sum(view.discount or Money(0)),
        "gmt_create": write_time(view.created_at),
        "gmt_payment": write_time(view.paid_at),
        "gmt_close": write_time(view.ended_at or view.paid_at) if ended else "",
        "refund_status": _refund(view),
        "gmt_refund": write_time(view.refunded_at) if _refund(view) else "",
        "is_total_fee_adjust": "N",
        "use_coupon": "N",
    }
    if view.product is None or view.product is Product.INSTANT:
        return fields
    if view.shipping is not None and view.shipping.kind in m.LOGISTICS_OF:
        fields |= {
            "logistics_type": m.LOGISTICS_OF[view.shipping.kind],
            "logistics_fee": view.shipping.fee.text(),
            "logistics_payment": m.FREIGHT_WORD[view.shipping.payer],
            "gmt_logistics_modify": write_time(view.shipped_at or view.created_at),
        }
    fields["gmt_send_goods"] = write_time(view.shipped_at)
    if view.state is not None and view.product is not None:
        fields["buyer_actions"], fields["seller_actions"] = m.ACTIONS.get(view.state, ("", ""))
    for name, ours in _CONSIGNEE.items():
        fields[name] = getattr(view.consignee, ours) if view.consignee else ""
    return fields


def _event(notification: Notification, now: Instant) -> dict[str, str]:
    view = notification.trade
    serial = view.bank_serial if view.echo.get("paymethod") == "bankPay" else ""
    return _basic(view) | {
        "notify_type": SYNC,
        "notify_id": notification.id,
        "notify_time": china_text(now),
        "extra_common_param": view.passback,
        "bank_seq_no": serial,
    }


def write_notification(notification: Notification, now: Instant) -> dict[str, str]:
    """Fields of a notification sent at ``now``; empty ones are still among them."""
    return _event(notification, now) | _goods(notification.trade)


def write_return(notification: Notification, now: Instant) -> dict[str, str]:
    """Fields of a return; empty ones are still among them."""
    view = notification.trade
    fields = _event(notification, now) | {"is_success": "T", "exterface": _service(view)}
    return fields if view.product in (None, Product.INSTANT) else fields | _goods(view)


def _service(view: TradeView) -> str:
    own = (view.product or Product.INSTANT, Presentation.PAGE)
    return view.echo.get("service", "") or m.SERVICE_OF.get(own, "")


def write_trade(view: TradeView) -> dict[str, str]:
    """Leaves of ``<trade>`` in the answer to single_trade_query, where yes and no are T and F."""
    fields = _basic(view) | _goods(view)
    for name in (*_CONSIGNEE, "buyer_actions", "seller_actions", "logistics_type", "logistics_payment"):
        fields.pop(name, None)
    paid = (view.state is not None and view.state is TradeState.FINISHED) or view.state is TradeState.PAID
    kept = view.amount - view.refunded if view.amount and view.refunded else view.amount
    return fields | {
        "flag_trade_locked": "0",
        "gmt_last_modified_time": write_time(view.moved_at),
        "is_total_fee_adjust": "F",
        "use_coupon": "F",
        "to_buyer_fee": _sum(view.refunded or Money(0)),
        "to_seller_fee": _sum(kept if paid else Money(0)),
    }


def write_base(view: TradeView) -> dict[str, str]:
    """Leaves of ``<tradeBase>`` in the answer to send_goods_confirm_by_platform."""
    buyer, seller = m.ACTIONS.get(view.state, ("", "")) if view.state else ("", "")
    return {
        "buyer_account": f"{view.buyer.id}0156" if view.buyer.id else "",
        "buyer_actions": f"[{buyer.replace(',', ', ')}]",
        "buyer_login_email": view.buyer.login,
        "buyer_user_id": view.buyer.id,
        "create_time": write_time(view.created_at),
        "currency": "156",
        "last_modified_time": write_time(view.moved_at),
        "operator_role": "S",
        "out_trade_no": view.out_trade_no,
        "partner_id": view.merchant,
        "seller_account": f"{view.seller.id}0156" if view.seller.id else "",
        "seller_actions": f"[{seller.replace(',', ', ')}]",
        "seller_login_email": view.seller.login,
        "seller_user_id": view.seller.id,
        "total_fee": _sum(view.amount),
        "trade_no": view.trade_no,
        "trade_status": write_status(view),
    }


# --- reading -----------------------------------------------------------------------------------------------------


def read_view(fields: Mapping[str, str]) -> TradeView:
    """What the fields of a return, a notification or an answer say. Raises RemoteProtocolError naming the field."""
    amount = read_money(fields, "total_fee")
    if amount is None:
        raise RemoteProtocolError("total_fee", "is missing", "FIELD_MISSING")
    service = m.SERVICES.get(fields.get("exterface", ""))
    return TradeView(
        out_trade_no=required(fields, "out_trade_no"),
        trade_no=required(fields, "trade_no"),
        state=m.STATE_OF.get(required(fields, "trade_status")),
        product=service.product if service else None,
        subject=fields.get("subject", ""),
        body=fields.get("body", ""),
        amount=amount,
        price=read_money(fields, "price"),
        quantity=read_quantity(fields),
        discount=read_money(fields, "discount", signed=True),
        shipping=_read_shipping(fields),
        consignee=_read_consignee(fields),
        seller=Party(fields.get("seller_id", ""), fields.get("seller_email", "")),
        buyer=Party(fields.get("buyer_id", ""), fields.get("buyer_email", "")),
        refunded=read_money(fields, "to_buyer_fee"),
        refund_state=m.REFUND_STATE.get(fields.get("refund_status", ""), ""),
        bank_serial=fields.get("bank_seq_no", ""),
        passback=fields.get("extra_common_param", ""),
        **{ours: read_time(fields, name) for name, ours in _TIMES.items()},  # type: ignore[arg-type]
    )


def _read_shipping(fields: Mapping[str, str]) -> Shipping | None:
    kind = m.KIND_OF.get(fields.get("logistics_type", ""))
    payer = m.FREIGHT_OF.get(fields.get("logistics_payment", ""))
    fee = read_money(fields, "logistics_fee")
    return None if kind is None or payer is None or fee is None else Shipping(kind, fee, payer)


def _read_consignee(fields: Mapping[str, str]) -> Consignee | None:
    consignee = Consignee(**{ours: fields.get(name, "") for name, ours in _CONSIGNEE.items()})
    return None if consignee == Consignee() else consignee


def read_base(fields: Mapping[str, str]) -> TradeView:
    """What ``<tradeBase>`` says."""
    return TradeView(
        merchant=fields.get("partner_id", ""),
        out_trade_no=fields.get("out_trade_no", ""),
        trade_no=required(fields, "trade_no"),
        state=m.STATE_OF.get(fields.get("trade_status", "")),
        amount=read_money(fields, "total_fee"),
        seller=Party(fields.get("seller_user_id", ""), fields.get("seller_login_email", "")),
        buyer=Party(fields.get("buyer_user_id", ""), fields.get("buyer_login_email", "")),
        created_at=read_time(fields, "create_time"),
        moved_at=read_time(fields, "last_modified_time"),
    )


def read_event(fields: Mapping[str, str], role: Role, unsigned: Mapping[str, str]) -> Notification:
    """The notification or return that verified fields are. Raises RemoteProtocolError naming the field."""
    if required(fields, "notify_type") != SYNC:
        raise invalid("notify_type", "is no notification of a trade")
    if role is Role.RETURN and required(fields, "is_success") != "T":
        raise invalid("is_success", "is not T")
    view = read_view(fields)
    if not view.seller:
        raise RemoteProtocolError("seller_id", "is missing, and so is seller_email", "FIELD_MISSING")
    return Notification(
        id=required(fields, "notify_id"), at=read_time(fields, "notify_time"), trade=view, role=role, unsigned=unsigned
    )
