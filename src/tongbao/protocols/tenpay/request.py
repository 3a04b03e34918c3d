"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import SECOND, Instant, china_compact, later
from tongbao.protocols.tenpay import messages as m
from tongbao.protocols.tenpay.codec import Fields, read_fen, read_time, write_fen
from tongbao.wire.field import invalid, read_address, required
from tongbao.wire.movement import QueryRefund, RefundTrade, RequestBill
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    ConfirmNotification,
    CreateTrade,
    Expiry,
    Intent,
    Product,
    QueryTrade,
)

MERCHANT: Final = re.compile(r"[0-9]{4,10}", re.ASCII)
ORDER: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)
NUMBER: Final = re.compile(r"[0-9]{1,32}", re.ASCII)
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_BANK: Final = re.compile(r"[0-9A-Za-z_]{1,16}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

LENGTHS: Final = {
    "body": 32,
    "attach": 127,
    "buyer_id": 64,
    "notify_id": 128,
    "return_url": 255,
    "notify_url": 255,
}
"""Characters that a field may have (whether the old platform counted bytes is unverified)."""


def check_lengths(fields: Fields) -> None:
    """Refuse a field that is longer than the guide allows. Raises RemoteProtocolError."""
    for name, most in LENGTHS.items():
        if len(fields.get(name, "")) > most:
            raise invalid(name, f"is longer than {most} characters", "TOO_LARGE")


def _url(fields: Fields, name: str) -> str:
    """An address; '' means the merchant's registered one."""
    url = read_address(fields, name)
    if not url.isascii():
        raise invalid(name, "holds more than ASCII", "URL_NOT_ALLOWED")
    return url


def _number(fields: Fields, name: str, shape: re.Pattern[str] = ORDER) -> str:
    text = fields.get(name, "")
    if text and shape.fullmatch(text) is None:
        raise invalid(name, "is no number of this kind")
    return text


def _either(fields: Fields) -> tuple[str, str]:
    """The platform's number, which wins, and the merchant's; one of them at least."""
    ours, theirs = (
        _number(fields, "transaction_id", NUMBER),
        _number(fields, "out_trade_no"),
    )
    if not ours and not theirs:
        raise invalid("out_trade_no", "is missing, and so is transaction_id", "FIELD_MISSING")
    return ours, theirs


def _read_expiry(fields: Fields) -> Expiry | None:
    start, end = read_time(fields, "time_start"), read_time(fields, "time_expire")
    if end is None:
        return None
    if start is None:
        return Expiry(0, end)
    if end <= start:
        raise invalid("time_expire", "is not after time_start", "EXPIRY_INVALID")
    return Expiry((end - start) // SECOND)


def _check_parts(fields: Fields) -> None:
    if not fields.get("transport_fee") and not fields.get("product_fee"):
        return
    parts = [read_fen(fields, name) for name in ("transport_fee", "product_fee") if fields.get(name)]
    if sum(part.minor for part in parts) != read_fen(fields, "total_fee").minor:
        raise invalid(
            "total_fee",
            "is not transport_fee and product_fee together",
            "AMOUNT_CONFLICT",
        )


def _read_pay(fields: Fields) -> CreateTrade:
    if fields.get("trade_mode", "1") != "1":
        raise invalid("trade_mode", "only 1, instant, is offered here", "NO_PRIVILEGE")
    if fields.get("fee_type", "") != "1":
        code = "CURRENCY_NOT_ALLOWED" if fields.get("fee_type") else "FIELD_MISSING"
        raise invalid("fee_type", "is not 1, CNY", code)
    number = required(fields, "out_trade_no")
    if ORDER.fullmatch(number) is None or number[0] in "_-":
        raise invalid("out_trade_no", "is not up to 32 letters and digits")
    money = read_fen(fields, "total_fee")
    if money.minor <= 0:
        raise invalid("total_fee", "is not above zero", "AMOUNT_NOT_POSITIVE")
    _check_parts(fields)
    address = fields.get("spbill_create_ip", "")
    if address and (_ADDRESS.fullmatch(address) is None or any(int(part) > 255 for part in address.split("."))):
        raise invalid("spbill_create_ip", "is no IPv4 address", "CLIENT_IP_INVALID")
    bank = fields.get("bank_type") or m.CASHIER
    if _BANK.fullmatch(bank) is None:
        raise invalid("bank_type", "is no bank's code", "BANK_UNKNOWN")
    code, method = m.BANK_OF.get(bank.upper(), ("", None))
    buyer = fields.get("buyer_id", "")
    return CreateTrade(
        merchant=fields["partner"],
        out_trade_no=number,
        product=Product.INSTANT,
        subject=required(fields, "body"),
        amount=money,
        buyer=Party(buyer, "") if buyer.isdigit() else Party("", buyer),
        notify_url=_url(fields, "notify_url"),
        return_url=_url(fields, "return_url"),
        expiry=_read_expiry(fields),
        method=method,
        bank=code,
        passback=fields.get("attach", ""),
        client_ip=address,
    )


def _write_pay(intent: CreateTrade, now: Instant) -> dict[str, str]:
    bank = m.BANK_CODE.get((intent.bank, intent.method), "") if intent.bank or intent.method else m.CASHIER
    if not bank:
        raise LocalProtocolError("bank", "the gateway has no code for that bank and kind of card")
    if intent.buyer.id and intent.buyer.login:
        raise LocalProtocolError("buyer", "the gateway takes the buyer's number or his login, not both")
    expiry = intent.expiry
    times = {}
    if expiry is not None:
        if expiry.at_midnight:
            raise LocalProtocolError("expiry", "the gateway has no word for midnight", "EXPIRY_INVALID")
        end = expiry.at if expiry.at is not None else later(now, expiry.seconds * SECOND)
        times = {"time_expire": china_compact(end)}
        if expiry.at is None:
            times["time_start"] = china_compact(now)
    return {
        "bank_type": bank,
        "body": intent.subject,
        "attach": intent.passback,
        "return_url": intent.return_url,
        "notify_url": intent.notify_url,
        "buyer_id": intent.buyer.id or intent.buyer.login,
        "out_trade_no": intent.out_trade_no,
        "total_fee": write_fen(intent.amount),
        "fee_type": "1",
        "spbill_create_ip": intent.client_ip,
        "trade_mode": "1",
        **times,
    }


def _read_refund(fields: Fields) -> RefundTrade:
    if fields.get("service_version") != "1.1":
        raise invalid("service_version", "a refund is version 1.1")
    ours, theirs = _either(fields)
    amount, total = read_fen(fields, "refund_fee"), read_fen(fields, "total_fee")
    if amount.minor <= 0:
        raise invalid("refund_fee", "is not above zero", "AMOUNT_NOT_POSITIVE")
    if amount > total:
        raise invalid("refund_fee", "is more than total_fee", "REFUND_EXCEEDS")
    required(fields, "op_user_id")
    required(fields, "op_user_passwd")
    required(fields, "out_refund_no")
    return RefundTrade(
        merchant=fields["partner"],
        refund_no=_number(fields, "out_refund_no"),
        trade_no=ours,
        out_trade_no=theirs,
        amount=amount,
        total=total,
    )


def _write_refund(intent: RefundTrade, merchant: str, password: str) -> dict[str, str]:
    if not password:
        raise LocalProtocolError("op_user_passwd", "a refund needs the operator's password in the settings")
    if intent.amount is None or intent.total is None:
        raise LocalProtocolError("amount", "the gateway wants the refund's sum and the trade's")
    return {
        "service_version": "1.1",
        "transaction_id": intent.trade_no,
        "out_trade_no": intent.out_trade_no,
        "out_refund_no": intent.refund_no,
        "total_fee": write_fen(intent.total, "total"),
        "refund_fee": write_fen(intent.amount),
        "op_user_id": merchant,
        "op_user_passwd": hashlib.md5(password.encode(), usedforsecurity=False).hexdigest(),
    }


def _read_refund_query(fields: Fields) -> QueryRefund:
    intent = QueryRefund(
        merchant=fields["partner"],
        refund_no=_number(fields, "out_refund_no"),
        refund_id=_number(fields, "refund_id", NUMBER),
        trade_no=_number(fields, "transaction_id", NUMBER),
        out_trade_no=_number(fields, "out_trade_no"),
    )
    if not (intent.refund_no or intent.refund_id or intent.trade_no or intent.out_trade_no):
        raise invalid("out_trade_no", "none of the four numbers is given", "FIELD_MISSING")
    return intent


def _read_bill(fields: Fields) -> RequestBill:
    text = required(fields, "trans_time")
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise invalid("trans_time", "is no day (yyyy-MM-dd)", "BILL_DATE_INVALID")
    if not required(fields, "stamp").isdigit():
        raise invalid("stamp", "is not seconds since 1970")
    if fields.get("cft_signtype", "0") not in ("0", "1") or fields.get("mchtype", "0") not in ("0", "1", "2"):
        raise invalid("mchtype", "is none of 0, 1, 2")
    kind = fields.get("mchtype", "0")
    return RequestBill(
        merchant=fields["spid"],
        day=day,
        kind="trade",
        scope="" if kind == "0" else kind,
    )


def read_intent(operation: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    check_lengths(fields)
    if operation == m.PAY:
        return _read_pay(fields)
    if operation == m.CONFIRM:
        return ConfirmNotification(merchant=fields["partner"], notification_id=required(fields, "notify_id"))
    if operation == m.QUERY:
        ours, theirs = _either(fields)
        return QueryTrade(merchant=fields["partner"], trade_no=ours, out_trade_no=theirs)
    if operation == m.REFUND:
        return _read_refund(fields)
    if operation == m.REFUND_QUERY:
        return _read_refund_query(fields)
    return _read_bill(fields)


def write_intent(intent: Intent, merchant: str, password: str, now: Instant) -> tuple[str, dict[str, str]]:
    """Operation and fields, without the common ones and with empty ones. Raises LocalProtocolError."""
    if isinstance(intent, CreateTrade):
        return m.PAY, _write_pay(intent, now)
    if isinstance(intent, ConfirmNotification):
        return m.CONFIRM, {"notify_id": intent.notification_id}
    if isinstance(intent, QueryTrade):
        return m.QUERY, {
            "transaction_id": intent.trade_no,
            "out_trade_no": intent.out_trade_no,
        }
    if isinstance(intent, RefundTrade):
        return m.REFUND, _write_refund(intent, merchant, password)
    if isinstance(intent, QueryRefund):
        return m.REFUND_QUERY, {
            "out_refund_no": intent.refund_no,
            "refund_id": intent.refund_id,
            "transaction_id": intent.trade_no,
            "out_trade_no": intent.out_trade_no,
        }
    if isinstance(intent, RequestBill):
        if intent.kind != "trade" or intent.monthly or intent.scope not in ("", "1", "2"):
            raise LocalProtocolError(
                "kind",
                "the gateway has bills of one day's trades only",
                "BILL_NOT_FOUND",
            )
        return m.BILL, {
            "spid": merchant,
            "trans_time": f"{intent.day}",
            "stamp": str(now // SECOND),
            "cft_signtype": "0",
            "mchtype": intent.scope or "0",
        }
    raise LocalProtocolError(
        "",
        f"the gateway has no operation for {type(intent).__name__}",
        "UNKNOWN_SERVICE",
    )
