"""A trade as the fields of a result and as an order in the answer to a query, and back."""

from __future__ import annotations

import re

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import MD5, WORD_OF, Fields, read_fen, read_time, write_fen
from tongbao.protocols.kuaiqian.request import read_order
from tongbao.wire.field import invalid, is_text, required
from tongbao.wire.vocabulary import Notification, Role, TradeState, TradeView


def _say(text: str, codec: str) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return ""
    return text if is_text(text) else ""


def _deal(view: TradeView) -> str:
    number = view.trade_no
    if re.fullmatch(r"[0-9]{1,40}", number, re.ASCII) is None:
        raise LocalProtocolError("trade_no", "is not digits")
    return number


def _result(view: TradeView) -> str:
    if view.state is None or view.state not in m.RESULT_WORD:
        raise LocalProtocolError("state", "the gateway has no word for it")
    return m.RESULT_WORD[view.state]


def write_result(view: TradeView, codec: str, now: Instant) -> dict[str, str]:
    """The fields of a result without its signature; empty ones are left out. Raises LocalProtocolError."""
    if not view.out_trade_no:
        raise LocalProtocolError("out_trade_no", "is missing")
    bank = m.BANK_CODE.get(view.bank, "")
    fields = {
        "merchantAcctId": view.merchant,
        "version": m.VERSION,
        "language": "2" if view.echo.get("language") == "2" else "1",
        "signType": view.echo.get("signType") or WORD_OF[MD5],
        "payType": m.BY_BANK if bank else m.BY_BALANCE,
        "bankId": bank,
        "orderId": view.out_trade_no,
        "orderTime": view.echo.get("orderTime") or china_compact(view.created_at or now),
        "orderAmount": write_fen(view.amount),
        "dealId": _deal(view),
        "bankDealId": _say(view.bank_serial, codec),
        "dealTime": china_compact(view.paid_at or now),
        "payAmount": view.echo.get("payAmount") or write_fen(view.amount),
        "fee": write_fen(view.fee or Money(0)),
        "ext1": _say(view.passback, codec),
        "ext2": _say(view.echo.get("ext2", ""), codec),
        "payResult": _result(view),
    }
    return {name: value for name, value in fields.items() if value}


def read_result(fields: Fields, merchant: str) -> TradeView:
    """What verified fields say. ``payAmount`` may be lower where a coupon was used: it is kept as ``echo``.

    Raises RemoteProtocolError.
    """
    if fields.get("merchantAcctId") != merchant:
        raise invalid("merchantAcctId", "is another merchant")
    if fields.get("version") != m.VERSION:
        raise invalid("version", f"is not {m.VERSION}")
    state = m.RESULT_STATES.get(required(fields, "payResult"))
    if state is None:
        raise invalid("payResult", "is no known word")
    amount = read_fen(fields, "orderAmount")
    paid = read_fen(fields, "payAmount")
    if paid.minor > amount.minor:
        raise invalid("payAmount", "is more than orderAmount", "AMOUNT_INVALID")
    return TradeView(
        merchant=merchant,
        out_trade_no=read_order(fields),
        trade_no=required(fields, "dealId"),
        state=state,
        amount=amount,
        paid_at=read_time(fields, "dealTime") if state is TradeState.PAID else None,
        bank=m.BANK_OF.get(fields.get("bankId", ""), ""),
        bank_serial=fields.get("bankDealId", ""),
        passback=fields.get("ext1", ""),
        echo={"payAmount": fields["payAmount"]},
    )


def read_event(fields: Fields, merchant: str, role: Role) -> Notification:
    """A verified return or notice. It has no id and no time of sending."""
    free = {name: value for name, value in fields.items() if name not in (*m.RESULT_NAMES, m.PROOF)}
    return Notification(id="", at=None, trade=read_result(fields, merchant), role=role, unsigned=free)


def write_item(view: TradeView, now: Instant) -> dict[str, str]:
    """An order in an answer, without its signature. One that is not paid says 00, order accepted."""
    paid = _result(view) == m.PAID
    fields = {
        "orderId": view.out_trade_no,
        "orderAmount": write_fen(view.amount),
        "orderTime": view.echo.get("orderTime") or china_compact(view.created_at or now),
        "dealTime": china_compact(view.paid_at or now) if paid else "",
        "payResult": m.PAID if paid else "00",
        "payType": m.BY_BANK if m.BANK_CODE.get(view.bank) else m.BY_BALANCE,
        "payAmount": write_fen(view.amount) if paid else "0",
        "fee": write_fen(view.fee or Money(0)),
        "dealId": _deal(view),
    }
    return {name: value for name, value in fields.items() if value}


def read_item(fields: Fields, merchant: str) -> TradeView:
    """What a verified order says."""
    state = m.RESULT_STATES.get(required(fields, "payResult"))
    if state is None:
        raise invalid("payResult", "is no known word")
    paid = state is TradeState.PAID
    return TradeView(
        merchant=merchant,
        out_trade_no=read_order(fields),
        trade_no=required(fields, "dealId"),
        state=state,
        amount=read_fen(fields, "orderAmount"),
        paid_at=read_time(fields, "dealTime") if paid else None,
        echo={"payAmount": str(read_fen(fields, "payAmount").minor)} if paid else {},
    )
