"""A trade and its refunds as the fields of results, notifications and answers, and back."""

from __future__ import annotations

import re

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.tenpay import messages as m
from tongbao.protocols.tenpay.codec import Fields, read_fen, read_time, write_fen
from tongbao.protocols.tenpay.request import NUMBER, ORDER
from tongbao.wire.field import invalid, is_text, required
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.vocabulary import Method, Product, TradeState, TradeView


def say(text: str, codec: str, most: int) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return ""
    return text if is_text(text) and len(text) <= most and "&" not in text else ""


def common(charset: str) -> dict[str, str]:
    """What every message carries."""
    return {
        "sign_type": "MD5",
        "service_version": "1.0",
        "input_charset": charset.upper(),
        "sign_key_index": "1",
    }


def _deal(number: str) -> str:
    if NUMBER.fullmatch(number) is None:
        raise LocalProtocolError("trade_no", "is not digits")
    return number


def write_trade(view: TradeView, codec: str, now: Instant) -> dict[str, str]:
    """The fields that tell of a trade, with empty ones. Raises LocalProtocolError."""
    if view.product not in (None, Product.INSTANT):
        raise LocalProtocolError("product", "only instant trades are told")
    if view.state is None or view.state not in m.STATE_WORD:
        raise LocalProtocolError("state", "the gateway has no word for it")
    if not view.out_trade_no:
        raise LocalProtocolError("out_trade_no", "is missing")
    paid = m.STATE_WORD[view.state] == m.PAID
    method = Method(view.method) if view.method in (Method.DEBIT, Method.CREDIT) else None
    bank = m.BANK_CODE.get((view.bank, method)) or m.BANK_CODE.get((view.bank, None)) or m.CASHIER
    return {
        "trade_mode": "1",
        "trade_state": m.STATE_WORD[view.state],
        "partner": view.merchant,
        "bank_type": bank,
        "bank_billno": say(view.bank_serial, codec, 32),
        "total_fee": write_fen(view.amount),
        "fee_type": "1",
        "transaction_id": _deal(view.trade_no),
        "out_trade_no": view.out_trade_no,
        "attach": say(view.passback, codec, 127),
        "time_end": china_compact(view.paid_at or now) if paid else "",
        "transport_fee": view.echo.get("transport_fee", "0"),
        "product_fee": view.echo.get("product_fee", "0"),
        "discount": "0",
    }


def read_trade(fields: Fields, merchant: str) -> TradeView:
    """The trade that a message tells of. Raises RemoteProtocolError naming the field."""
    if required(fields, "partner") != merchant:
        raise invalid("partner", "the message is another merchant's")
    if required(fields, "trade_mode") != "1" or fields.get("fee_type", "1") != "1":
        raise invalid("trade_mode", "is no instant trade in yuan")
    state = m.STATES.get(required(fields, "trade_state"))
    if state is None:
        raise invalid("trade_state", "is no state of an instant trade")
    number, deal = required(fields, "out_trade_no"), required(fields, "transaction_id")
    if ORDER.fullmatch(number) is None:
        raise invalid("out_trade_no", "is no number of this kind")
    if NUMBER.fullmatch(deal) is None:
        raise invalid("transaction_id", "is not digits")
    amount = read_fen(fields, "total_fee")
    if fields.get("discount"):
        # a discount is the platform's gift: what was asked for is the sum of both
        amount += read_fen(fields, "discount")
    bank, method = m.BANK_OF.get(fields.get("bank_type", "").upper(), ("", None))
    back = fields.get("is_refund", "false").lower()
    if back not in ("true", "false"):
        raise invalid("is_refund", "is neither true nor false")
    return TradeView(
        merchant=merchant,
        out_trade_no=number,
        trade_no=deal,
        state=state,
        product=Product.INSTANT,
        amount=amount,
        paid_at=read_time(fields, "time_end") if state is TradeState.PAID else None,
        refund_state="success" if back == "true" else "",
        method=method,
        bank=bank,
        bank_serial=fields.get("bank_billno", ""),
        passback=fields.get("attach", ""),
    )


def _channel(view: RefundView) -> str:
    return "0" if view.method in ("", "balance", "outlet") else "1"


def _refund_fields(view: RefundView) -> dict[str, str]:
    if view.state is None or not view.refund_no or NUMBER.fullmatch(view.refund_id) is None:
        raise LocalProtocolError("refund_id", "state or numbers of the refund are missing")
    return {
        "out_refund_no": view.refund_no,
        "refund_id": view.refund_id,
        "refund_channel": _channel(view),
        "refund_fee": write_fen(view.amount),
    }


def write_refund(view: RefundView) -> dict[str, str]:
    """The fields of the answer to a refund."""
    return {
        "partner": view.merchant,
        "transaction_id": _deal(view.trade_no),
        "out_trade_no": view.out_trade_no,
        **_refund_fields(view),
        "refund_status": m.REFUND_WORD[view.state or MovementState.ACCEPTED],
    }


def read_refund(fields: Fields, merchant: str) -> RefundView:
    """The refund that an answer tells of. Raises RemoteProtocolError."""
    if required(fields, "partner") != merchant:
        raise invalid("partner", "the answer is another merchant's")
    return _read_one(fields, merchant, "", "refund_status")


def _read_one(fields: Fields, merchant: str, tail: str, word: str) -> RefundView:
    state = m.REFUND_STATES.get(required(fields, word + tail))
    if state is None:
        raise invalid(word + tail, "is no state of a refund")
    ours, theirs = required(fields, "transaction_id"), fields.get("out_trade_no", "")
    number, name = (
        required(fields, f"refund_id{tail}"),
        required(fields, f"out_refund_no{tail}"),
    )
    for field, text, shape in (
        ("transaction_id", ours, NUMBER),
        (f"refund_id{tail}", number, NUMBER),
        (f"out_refund_no{tail}", name, ORDER),
    ):
        if shape.fullmatch(text) is None:
            raise invalid(field, "is no number of this kind")
    return RefundView(
        merchant=merchant,
        refund_no=name,
        refund_id=number,
        trade_no=ours,
        out_trade_no=theirs,
        state=state,
        amount=read_fen(fields, f"refund_fee{tail}"),
    )


def write_refunds(views: tuple[RefundView, ...]) -> dict[str, str]:
    """The fields of the answer to a query for refunds: the trade's numbers, a count, and each with its index."""
    if not views:
        raise LocalProtocolError("refunds", "there is none to tell of")
    first = views[0]
    fields = {
        "partner": first.merchant,
        "transaction_id": _deal(first.trade_no),
        "out_trade_no": first.out_trade_no,
        "refund_count": str(len(views)),
    }
    for index, view in enumerate(views):
        fields |= {f"{name}_{index}": value for name, value in _refund_fields(view).items()}
        fields[f"refund_state_{index}"] = m.REFUND_WORD[view.state or MovementState.ACCEPTED]
    return fields


def read_refunds(fields: Fields, merchant: str) -> tuple[RefundView, ...]:
    """The refunds that an answer tells of. Raises RemoteProtocolError."""
    if required(fields, "partner") != merchant:
        raise invalid("partner", "the answer is another merchant's")
    count = required(fields, "refund_count")
    if re.fullmatch(r"[1-9][0-9]?", count, re.ASCII) is None:
        raise invalid("refund_count", "is no count from 1 to 99")
    return tuple(_read_one(fields, merchant, f"_{index}", "refund_state") for index in range(int(count)))
