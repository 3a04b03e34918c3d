"""Each request as two inverse functions: fields to intent, intent to service and fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import china_compact
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.codec import (
    NUMBER,
    REFUND_NUMBER,
    SERIAL,
    WORD,
    invalid,
    missing,
    money,
    number,
    text,
    time,
    total,
    url,
)
from tongbao.wire.movement import (
    CancelTrade,
    FetchBill,
    PayOut,
    QueryPayOut,
    QueryRefund,
    RefundTrade,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import CloseTrade, CreateTrade, Expiry, Intent, Presentation, Product, QueryTrade

Fields = Mapping[str, str]
Written = tuple[m.Service, dict[str, str]]

SERVER_IP: Final = "127.0.0.1"
"""Said for the buyer's address where the request must say one and the intent does not."""

_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,64}", re.ASCII)
_CODE: Final = re.compile(r"1[0-5][0-9]{16}", re.ASCII)
_DAY: Final = re.compile(r"\d{8}", re.ASCII)
_PRODUCT: Final = re.compile(r"[!-~]{1,32}", re.ASCII)
_BILL_TYPES: Final = ("ALL", "SUCCESS", "REFUND", "RECHARGE_REFUND", "REVOKED")


# --- orders ------------------------------------------------------------------------------------------------------


def _currency(fields: Fields, name: str = "fee_type") -> None:
    if fields.get(name, "CNY") not in ("", "CNY"):
        raise invalid(name, "is not CNY", "CURRENCY_NOT_ALLOWED")


def _address(fields: Fields) -> str:
    return number(fields, "spbill_create_ip", _ADDRESS, needed=True)


def _read_order(fields: Fields, mch_id: str) -> Intent:
    kind = text(fields, "trade_type", 16, needed=True)
    if kind not in m.PRESENTED:
        raise invalid("trade_type", f"is none of {', '.join(m.PRESENTED)}")
    presentation = m.PRESENTED[kind]
    if presentation is Presentation.QR:
        number(fields, "product_id", _PRODUCT, needed=True)
    _currency(fields)
    until = time(fields, "time_expire")
    return CreateTrade(
        merchant=mch_id,
        out_trade_no=number(fields, "out_trade_no", NUMBER, needed=True),
        product=Product.INSTANT,
        subject=text(fields, "body", 128, needed=True),
        amount=total(fields, "total_fee"),
        buyer=Party(number(fields, "openid", WORD, needed=presentation is Presentation.WALLET)),
        notify_url=url(fields, "notify_url", needed=True),
        expiry=None if until is None else Expiry(0, until),
        presentation=presentation,
        split_later=fields.get("profit_sharing") == "Y",
        passback=text(fields, "attach", 127),
        client_ip=_address(fields),
        echo=_echo(fields, kind),
    )


def _echo(fields: Fields, kind: str) -> dict[str, str]:
    said = {"appid": fields.get("appid", ""), "trade_type": kind, "sign_type": fields.get("sign_type", "") or m.MD5}
    return said | ({"device_info": fields["device_info"]} if fields.get("device_info") else {})


def _read_micropay(fields: Fields, mch_id: str) -> Intent:
    _currency(fields)
    until = time(fields, "time_expire")
    return CreateTrade(
        merchant=mch_id,
        out_trade_no=number(fields, "out_trade_no", NUMBER, needed=True),
        product=Product.INSTANT,
        subject=text(fields, "body", 128, needed=True),
        amount=total(fields, "total_fee"),
        expiry=None if until is None else Expiry(0, until),
        presentation=Presentation.BARCODE,
        code=number(fields, "auth_code", _CODE, needed=True),
        split_later=fields.get("profit_sharing") == "Y",
        passback=text(fields, "attach", 127),
        client_ip=_address(fields),
        echo=_echo(fields, "MICROPAY"),
    )


def _write_create(intent: CreateTrade) -> Written:
    if intent.expiry is not None and intent.expiry.at is None:
        raise LocalProtocolError("expiry", "is not said as a time of its own (Expiry(0, at))", "EXPIRY_INVALID")
    until = intent.expiry.at if intent.expiry else None
    fields = {
        "body": intent.subject,
        "attach": intent.passback,
        "out_trade_no": intent.out_trade_no,
        "total_fee": str(intent.amount.minor),
        "fee_type": "" if intent.amount.currency == "CNY" else intent.amount.currency,
        "spbill_create_ip": intent.client_ip or SERVER_IP,
        "time_expire": china_compact(until) if until is not None else "",
        "profit_sharing": "Y" if intent.split_later else "",
    }
    if intent.presentation is Presentation.BARCODE:
        return m.MICROPAY, fields | {"auth_code": intent.code}
    kind = m.TYPE_OF.get(intent.presentation)
    if kind is None:
        raise LocalProtocolError("presentation", "is none of qr, wallet, app, h5, barcode", "FIELD_INVALID")
    more = {"notify_url": intent.notify_url, "trade_type": kind, "openid": intent.buyer.id}
    return m.ORDER, fields | more | ({"product_id": intent.out_trade_no} if kind == "NATIVE" else {})


def _one_number(fields: Fields) -> tuple[str, str]:
    """(transaction_id, out_trade_no): the platform's wins where both are said."""
    serial = number(fields, "transaction_id", SERIAL)
    if serial:
        return serial, ""
    return "", number(fields, "out_trade_no", NUMBER, needed=True)


def _read_query(fields: Fields, mch_id: str) -> Intent:
    serial, own = _one_number(fields)
    return QueryTrade(merchant=mch_id, trade_no=serial, out_trade_no=own)


def _write_query(intent: QueryTrade) -> Written:
    if intent.out_trade_no:
        return m.QUERY, {"out_trade_no": intent.out_trade_no}
    return m.QUERY, {"transaction_id": intent.trade_no}


def _read_close(fields: Fields, mch_id: str) -> Intent:
    return CloseTrade(merchant=mch_id, out_trade_no=number(fields, "out_trade_no", NUMBER, needed=True))


def _write_close(intent: CloseTrade) -> Written:
    return m.CLOSE, {"out_trade_no": intent.out_trade_no}


def _read_reverse(fields: Fields, mch_id: str) -> Intent:
    serial, own = _one_number(fields)
    return CancelTrade(merchant=mch_id, trade_no=serial, out_trade_no=own)


def _write_reverse(intent: CancelTrade) -> Written:
    return m.REVERSE, {"transaction_id": intent.trade_no, "out_trade_no": intent.out_trade_no}


# --- refunds -----------------------------------------------------------------------------------------------------


def _read_refund(fields: Fields, mch_id: str) -> Intent:
    serial, own = _one_number(fields)
    _currency(fields, "refund_fee_type")
    whole, back = total(fields, "total_fee"), total(fields, "refund_fee")
    if whole < back:
        raise invalid("refund_fee", "is more than total_fee")
    return RefundTrade(
        merchant=mch_id,
        refund_no=number(fields, "out_refund_no", REFUND_NUMBER, needed=True),
        trade_no=serial,
        out_trade_no=own,
        amount=back,
        total=whole,
        reason=text(fields, "refund_desc", 80),
        notify_url=url(fields, "notify_url"),
    )


def _write_refund(intent: RefundTrade) -> Written:
    if intent.amount is None or intent.total is None:
        raise LocalProtocolError("total" if intent.amount else "amount", "must be said", "FIELD_MISSING")
    if intent.amount.currency != "CNY":
        raise LocalProtocolError("amount", "is not in CNY", "CURRENCY_NOT_ALLOWED")
    return m.REFUND, {
        "transaction_id": intent.trade_no,
        "out_trade_no": intent.out_trade_no,
        "out_refund_no": intent.refund_no,
        "total_fee": str(intent.total.minor),
        "refund_fee": str(intent.amount.minor),
        "refund_desc": intent.reason,
        "notify_url": intent.notify_url,
    }


_ASKED: Final = (
    ("refund_id", "refund_id", SERIAL),
    ("refund_no", "out_refund_no", REFUND_NUMBER),
    ("trade_no", "transaction_id", SERIAL),
    ("out_trade_no", "out_trade_no", NUMBER),
)
"""Member, field and grammar of what refunds are asked for by; the first that is said wins."""


def _read_query_refund(fields: Fields, mch_id: str) -> Intent:
    offset = fields.get("offset", "") or "0"
    if not (offset.isascii() and offset.isdigit() and len(offset) <= 4):
        raise invalid("offset", "is no number")
    for member, name, grammar in _ASKED:
        if fields.get(name):
            asked: dict[str, Any] = {member: number(fields, name, grammar)}
            return QueryRefund(merchant=mch_id, offset=int(offset), **asked)
    raise missing("out_refund_no")


def _write_query_refund(intent: QueryRefund) -> Written:
    said = {name: getattr(intent, member) for member, name, _ in _ASKED if getattr(intent, member)}
    return m.QUERY_REFUND, said | ({"offset": str(intent.offset)} if intent.offset else {})


# --- bills and transfers -----------------------------------------------------------------------------------------


def _read_bill(fields: Fields, mch_id: str) -> Intent:
    day = number(fields, "bill_date", _DAY, needed=True)
    try:
        when = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as error:
        raise invalid("bill_date", "is no date", "BILL_DATE_INVALID") from error
    scope = fields.get("bill_type", "") or "ALL"
    if scope not in _BILL_TYPES:
        raise invalid("bill_type", f"is none of {', '.join(_BILL_TYPES)}")
    packed = fields.get("tar_type", "")
    if packed not in ("", "GZIP"):
        raise invalid("tar_type", "is not GZIP")
    return FetchBill(merchant=mch_id, day=when, compressed=bool(packed), scope="" if scope == "ALL" else scope)


def _write_bill(intent: FetchBill) -> Written:
    if intent.day is None or intent.kind != "trade":
        raise LocalProtocolError("day", "the interface gives a bill of trades by its day", "FIELD_MISSING")
    packed = {"tar_type": "GZIP"} if intent.compressed else {}
    return m.BILL, {"bill_date": f"{intent.day:%Y%m%d}", "bill_type": intent.scope or "ALL"} | packed


def _read_transfer(fields: Fields, mch_id: str) -> Intent:
    check = text(fields, "check_name", 16, needed=True)
    if check not in ("NO_CHECK", "FORCE_CHECK"):
        raise invalid("check_name", "is neither NO_CHECK nor FORCE_CHECK")
    name = text(fields, "re_user_name", 64, needed=check == "FORCE_CHECK") if check == "FORCE_CHECK" else ""
    number(fields, "spbill_create_ip", _ADDRESS, needed=True)
    return PayOut(
        merchant=mch_id,
        payout_no=number(fields, "partner_trade_no", NUMBER, needed=True),
        payee=Payee(Party(number(fields, "openid", WORD, needed=True)), name),
        amount=total(fields, "amount"),
        memo=text(fields, "desc", 100, needed=True),
    )


def _write_transfer(intent: PayOut) -> Written:
    name = intent.payee.name
    return m.TRANSFER, {
        "partner_trade_no": intent.payout_no,
        "openid": intent.payee.party.id,
        "check_name": "FORCE_CHECK" if name else "NO_CHECK",
        "re_user_name": name,
        "amount": str(intent.amount.minor),
        "desc": intent.memo,
        "spbill_create_ip": SERVER_IP,
    }


def _read_query_transfer(fields: Fields, mch_id: str) -> Intent:
    return QueryPayOut(merchant=mch_id, payout_no=number(fields, "partner_trade_no", NUMBER, needed=True))


def _write_query_transfer(intent: QueryPayOut) -> Written:
    return m.QUERY_TRANSFER, {"partner_trade_no": intent.payout_no}


_READ: Final[dict[str, Callable[[Fields, str], Intent]]] = {
    m.ORDER.path: _read_order,
    m.MICROPAY.path: _read_micropay,
    m.QUERY.path: _read_query,
    m.CLOSE.path: _read_close,
    m.REVERSE.path: _read_reverse,
    m.REFUND.path: _read_refund,
    m.QUERY_REFUND.path: _read_query_refund,
    m.BILL.path: _read_bill,
    m.TRANSFER.path: _read_transfer,
    m.QUERY_TRANSFER.path: _read_query_transfer,
}
_WRITE: Final[dict[type, Callable[[Any], Written]]] = {
    CreateTrade: _write_create,
    QueryTrade: _write_query,
    CloseTrade: _write_close,
    CancelTrade: _write_reverse,
    RefundTrade: _write_refund,
    QueryRefund: _write_query_refund,
    FetchBill: _write_bill,
    PayOut: _write_transfer,
    QueryPayOut: _write_query_transfer,
}


def read_intent(service: m.Service, fields: Fields, mch_id: str) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    number(fields, service.appid, WORD, needed=service.appid == "mch_appid")
    text(fields, "nonce_str", 32, needed=True)
    money(fields, "total_fee", needed=False)
    return _READ[service.path](fields, mch_id)


def write_intent(intent: Intent) -> Written:
    """Service and fields of a request, without who asks. Raises LocalProtocolError."""
    write = _WRITE.get(type(intent))
    if write is None:
        raise LocalProtocolError("", f"the interface has no {type(intent).__name__}", "UNKNOWN_SERVICE")
    return write(intent)
