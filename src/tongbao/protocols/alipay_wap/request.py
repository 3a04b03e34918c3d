"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.codec import Fields, read_document, write_document
from tongbao.wire.field import check_lengths, invalid, read_address, required
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    ConfirmNotification,
    CreateTrade,
    EnterTrade,
    Expiry,
    Intent,
    Presentation,
    Product,
    QueryTrade,
)

TOTAL_MAX: Final = Money(10_000_000_000)
MINUTES_MAX: Final = 21_600
"""Fifteen days, as in the siblings of this interface."""

_MINUTES: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_TOKEN: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_NUMBER: Final = re.compile(r"2088[0-9]{12}", re.ASCII)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)


def _check_common(fields: Fields) -> None:
    if required(fields, "format") != m.FORMAT:
        raise invalid("format", f"is not {m.FORMAT}")
    if required(fields, "v") != m.VERSION:
        raise invalid("v", f"is not {m.VERSION}")


def _expiry(text: str) -> Expiry | None:
    if not text:
        return None
    if _MINUTES.fullmatch(text) is None or int(text) > MINUTES_MAX:
        raise invalid("pay_expire", f"is no number of minutes up to {MINUTES_MAX}", "EXPIRY_INVALID")
    return Expiry(int(text) * 60)


def _amount(leaves: Fields) -> Money:
    try:
        amount = parse_major(required(leaves, "total_fee"))
    except InvalidAmount as error:
        raise invalid("total_fee", str(error), "AMOUNT_INVALID") from error
    if amount.minor <= 0:
        raise invalid("total_fee", "is not above zero", "AMOUNT_NOT_POSITIVE")
    if amount > TOTAL_MAX:
        raise invalid("total_fee", f"is above {TOTAL_MAX.text()}", "AMOUNT_INVALID")
    return amount


def _read_create(fields: Fields) -> CreateTrade:
    _check_common(fields)
    required(fields, "req_id")
    leaves = read_document(required(fields, "req_data"), "req_data", m.CREATE_ROOT)
    check_lengths(leaves, m.LENGTHS)
    required(leaves, "call_back_url")
    seller = required(leaves, "seller_account_name")
    return CreateTrade(
        merchant=fields["partner"],
        out_trade_no=required(leaves, "out_trade_no"),
        product=Product.INSTANT,
        subject=required(leaves, "subject"),
        amount=_amount(leaves),
        seller=Party(seller) if _NUMBER.fullmatch(seller) else Party("", seller),
        notify_url=read_address(leaves, "notify_url"),
        return_url=read_address(leaves, "call_back_url"),
        show_url=read_address(leaves, "merchant_url"),
        expiry=_expiry(leaves.get("pay_expire", "")),
        presentation=Presentation.H5,
    )


def _write_create(intent: CreateTrade, now: Instant) -> dict[str, str]:
    if intent.product is not Product.INSTANT or intent.presentation is not Presentation.H5:
        raise LocalProtocolError("presentation", "the interface knows trades in a phone's browser only")
    if intent.seller.id and intent.seller.login:
        raise LocalProtocolError("seller", "the payee is named by his login or by his number, not by both")
    expiry = intent.expiry
    if expiry is not None and (expiry.at is not None or expiry.seconds < 60 or expiry.seconds % 60):
        raise LocalProtocolError("expiry", "pay_expire counts whole minutes", "EXPIRY_INVALID")
    data = {
        "subject": intent.subject,
        "out_trade_no": intent.out_trade_no,
        "total_fee": intent.amount.text(),
        "seller_account_name": intent.seller.login or intent.seller.id,
        "call_back_url": intent.return_url,
        "notify_url": intent.notify_url,
        "merchant_url": intent.show_url,
        "pay_expire": str(expiry.seconds // 60) if expiry is not None else "",
    }
    mark = hashlib.sha256(intent.out_trade_no.encode("utf-8")).hexdigest()[:12]
    return {
        "service": m.CREATE,
        "format": m.FORMAT,
        "v": m.VERSION,
        "sec_id": m.ALGORITHM,
        "req_id": f"{china_compact(now)}{now % 1_000:03}{mark}",
        "req_data": write_document(m.CREATE_ROOT, data),
    }


def _read_enter(fields: Fields) -> EnterTrade:
    _check_common(fields)
    leaves = read_document(required(fields, "req_data"), "req_data", m.ENTER_ROOT)
    return EnterTrade(merchant=fields["partner"], code=read_token(leaves))


def read_token(leaves: Fields) -> str:
    """The token that names a prepared trade."""
    token = required(leaves, "request_token")
    if _TOKEN.fullmatch(token) is None:
        raise invalid("request_token", "is no word of letters and digits")
    return token


def _read_query(fields: Fields) -> QueryTrade:
    trade_no, number = fields.get("trade_no", ""), fields.get("out_trade_no", "")
    if not trade_no and not number:
        raise RemoteProtocolError("trade_no", "is missing, and so is out_trade_no", "FIELD_MISSING")
    return QueryTrade(merchant=fields["partner"], trade_no=trade_no, out_trade_no=number)


def notification_id(text: str) -> str:
    """The id as we issued it, also where a client encoded it once too often."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def read_intent(service: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    required(fields, "partner")
    check_lengths(fields, m.LENGTHS)
    if service == m.CREATE:
        return _read_create(fields)
    if service == m.ENTER:
        return _read_enter(fields)
    if service == m.QUERY:
        return _read_query(fields)
    return ConfirmNotification(
        merchant=fields["partner"], notification_id=notification_id(required(fields, "notify_id"))
    )


def write_intent(intent: Intent, now: Instant) -> dict[str, str]:
    """Service and fields, without the partner. Raises LocalProtocolError naming the field."""
    if isinstance(intent, CreateTrade):
        return _write_create(intent, now)
    if isinstance(intent, EnterTrade):
        return {
            "service": m.ENTER,
            "format": m.FORMAT,
            "v": m.VERSION,
            "sec_id": m.ALGORITHM,
            "req_data": write_document(m.ENTER_ROOT, {"request_token": intent.code}),
        }
    if isinstance(intent, QueryTrade):
        numbers = {"trade_no": intent.trade_no, "out_trade_no": intent.out_trade_no}
        return {"service": m.QUERY, "_input_charset": "utf-8", **numbers}
    if isinstance(intent, ConfirmNotification):
        return {"service": m.CONFIRM, "notify_id": intent.notification_id}
    raise LocalProtocolError("intent", f"{type(intent).__name__} cannot be said here", "UNKNOWN_SERVICE")
