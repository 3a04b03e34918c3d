"""Notifications: the envelope, and what is sealed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.batch import read_event_batch, write_event_batch
from tongbao.protocols.wechatpay_v3.codec import (
    content_key,
    read_body,
    reveal,
    seal_fresh,
    unseal,
    write_body,
    write_time,
)
from tongbao.protocols.wechatpay_v3.combine import read_combined, write_combined
from tongbao.protocols.wechatpay_v3.field import Fields, invalid
from tongbao.protocols.wechatpay_v3.view import (
    check_apps,
    read_owner,
    read_refund,
    read_trade,
    read_transfer,
    write_event_refund,
    write_event_trade,
    write_event_transfer,
)
from tongbao.wire.contract import Credentials
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import PAID_STATES, CombinedView, Notification, TradeView

ENVELOPE: Final = "encrypt-resource"
_REFUND_EVENTS: Final = frozenset(m.REFUND_EVENT.values())
_BATCH_EVENTS: Final = frozenset(m.BATCH_EVENT.values())


def _content(notification: Notification, mchid: str) -> tuple[str, dict[str, Any], Instant | None]:
    """Kind, plain content and time of what is told. Raises LocalProtocolError where there is no such message."""
    if notification.batch is not None:
        if notification.batch.refunds:
            raise LocalProtocolError("batch", "the interface has no batches of refunds")
        return write_event_batch(notification.batch, mchid)
    if notification.combined is not None:
        content = write_combined(notification.combined, mchid, paid=True)
        return m.TRANSACTION_EVENT, content, notification.combined.parts[0].paid_at
    if notification.payout is not None:
        payout = notification.payout
        if payout.ended_at is None:
            raise LocalProtocolError("payout", "has not ended")
        return m.TRANSFER_EVENT, write_event_transfer(payout, mchid), payout.ended_at
    if notification.refund is not None:
        told = write_event_refund(notification.refund, mchid)
        event = m.REFUND_EVENT.get(told["refund_status"])
        if event is None:
            raise LocalProtocolError("refund", "has not ended")
        return event, told, notification.refund.ended_at or notification.happened_at
    return m.TRANSACTION_EVENT, write_event_trade(notification.trade, mchid), notification.trade.paid_at


def write_event(notification: Notification, mchid: str, secret: bytes, now: Instant) -> bytes:
    """The body of a notification. Raises LocalProtocolError."""
    kind, content, at = _content(notification, mchid)
    resource = {"original_type": m.ORIGINAL[kind], "algorithm": m.AEAD}
    envelope = {
        "id": notification.id,
        "create_time": write_time(at if at is not None else now),
        "resource_type": ENVELOPE,
        "event_type": kind,
        "summary": m.SUMMARY[kind],
        "resource": resource | seal_fresh(write_body(content), m.ORIGINAL[kind], secret),
    }
    return write_body(envelope)


def read_event(said: Mapping[str, Any], credentials: Credentials, at: Instant) -> Notification:
    """The notification of a verified envelope. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    number = fields.text("id", 64, needed=True)
    kind = fields.text("event_type", 64, needed=True)
    if fields.text("resource_type", 32) != ENVELOPE:
        raise invalid("resource_type", f"is not {ENVELOPE}")
    resource = fields.child("resource", needed=True)
    if kind not in m.ORIGINAL or resource.text("original_type", 32) != m.ORIGINAL[kind]:
        raise invalid("event_type", "is none that is known, or not that of the resource")
    mchid = credentials.merchant
    content = read_body(unseal(resource.said, content_key(credentials.ring)), "resource")
    check_apps(Fields(content), credentials)
    if "combine_mchid" in content:
        return Notification(id=number, at=at, combined=_read_combined(content, kind, credentials))
    merchant, provider = read_owner(Fields(content))
    if merchant != mchid or provider != credentials.values.get("sp_mchid", ""):
        raise RemoteProtocolError("mchid", "is another merchant's", "SELLER_UNKNOWN")
    if kind == m.TRANSACTION_EVENT:
        return Notification(id=number, at=at, trade=read_trade(content))
    if kind in _REFUND_EVENTS:
        refund = read_refund(content, mchid)
        if m.REFUND_EVENT.get(content["refund_status"]) != kind:
            raise invalid("refund_status", "is not what event_type says")
        trade = TradeView(
            merchant=mchid,
            out_trade_no=refund.out_trade_no,
            trade_no=refund.trade_no,
            amount=refund.total,
            seller=Party(mchid),
        )
        return Notification(id=number, at=at, trade=trade, refund=refund)
    if kind in _BATCH_EVENTS:
        return Notification(id=number, at=at, batch=read_event_batch(content, mchid, kind))
    return Notification(id=number, at=at, payout=read_transfer(content, mchid, _reveal(credentials)))


def _read_combined(content: Mapping[str, Any], kind: str, credentials: Credentials) -> CombinedView:
    if kind != m.TRANSACTION_EVENT:
        raise invalid("event_type", "is not what a combined order has")
    if credentials.values.get("sp_mchid"):
        raise RemoteProtocolError("combine_mchid", "is another merchant's", "SELLER_UNKNOWN")
    view = read_combined(content, credentials.merchant)
    if any(part.state not in PAID_STATES for part in view.parts):
        raise invalid("sub_orders", "holds an order that is not paid")
    return view


def _reveal(credentials: Credentials) -> Any:
    return lambda text: reveal(text, credentials.ring.sign, "user_name")
