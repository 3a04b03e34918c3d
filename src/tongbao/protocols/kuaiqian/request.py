"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import parse_major
from tongbao.kernel.time import DAY, Instant, china_compact
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import Fields, read_fen, read_time, write_fen
from tongbao.wire.field import invalid, read_address, required
from tongbao.wire.movement import QueryRefund, RefundTrade
from tongbao.wire.vocabulary import CreateTrade, Intent, Product, QueryTrade

MERCHANT: Final = re.compile(r"[0-9A-Za-z]{4,30}", re.ASCII)
ORDER: Final = re.compile(r"[0-9A-Za-z_-]{1,50}", re.ASCII)
MEMBER: Final = re.compile(r"[0-9]{11}", re.ASCII)
QUERY_DAYS: Final = 30
"""How far back our client asks for refunds; both dates are signed and not read."""
_YUAN: Final = re.compile(r"(?:0|[1-9][0-9]{0,9})\.[0-9]{2}", re.ASCII)
_BANK: Final = re.compile(r"[0-9A-Za-z_]{0,12}", re.ASCII)


def _address(fields: Fields, name: str) -> str:
    url = read_address(fields, name)
    if not url.isascii():
        raise invalid(name, "holds more than ASCII", "URL_NOT_ALLOWED")
    return url


def read_order(fields: Fields) -> str:
    """The merchant's number. Raises RemoteProtocolError."""
    number = required(fields, "orderId")
    if ORDER.fullmatch(number) is None:
        raise invalid("orderId", "holds more than 50 letters, digits, - and _")
    return number


def _word(fields: Fields, name: str, *words: str) -> None:
    if fields.get(name, "") not in words:
        code = "FIELD_INVALID" if fields.get(name) else "FIELD_MISSING"
        raise invalid(name, f"is not one of {', '.join(word for word in words if word)}", code)


def _read_pay(fields: Fields) -> CreateTrade:
    _word(fields, "version", m.VERSION)
    _word(fields, "language", "1", "2")
    _word(fields, "redoFlag", "", "0", "1")
    number = read_order(fields)
    if number[0] in "_-":
        raise invalid("orderId", "begins with neither letter nor digit")
    money = read_fen(fields, "orderAmount")
    if money.minor <= 0:
        raise invalid("orderAmount", "is not above zero", "AMOUNT_NOT_POSITIVE")
    read_time(fields, "orderTime")
    way = required(fields, "payType")
    if way not in m.WAYS:
        raise invalid("payType", "is no way of paying", "METHOD_NOT_ALLOWED")
    bank = fields.get("bankId", "")
    if _BANK.fullmatch(bank) is None:
        raise invalid("bankId", "is no bank's code", "BANK_UNKNOWN")
    page, background = _address(fields, "pageUrl"), _address(fields, "bgUrl")
    return CreateTrade(
        merchant=fields["merchantAcctId"],
        out_trade_no=number,
        product=Product.INSTANT,
        subject=fields.get("productName", "") or f"订单 {number}",
        body=fields.get("productDesc", ""),
        amount=money,
        notify_url=background,
        return_url=page,
        method=m.METHOD_OF.get(way),
        bank=m.BANK_OF.get(bank, "") if way in (m.BY_BANK, "14") else "",
        passback=fields.get("ext1", ""),
    )


def _write_pay(intent: CreateTrade, now: Instant) -> dict[str, str]:
    if intent.bank and intent.bank not in m.BANK_CODE:
        raise LocalProtocolError("bank", "the gateway has no code for that bank")
    if intent.bank and intent.method is not None:
        raise LocalProtocolError("method", "the gateway takes a bank or another way of paying, not both")
    way = m.WAY_OF[intent.method] if intent.method is not None else m.BY_BANK if intent.bank else m.ANY_WAY
    return {
        "pageUrl": intent.return_url,
        "bgUrl": intent.notify_url,
        "language": "1",
        "orderId": intent.out_trade_no,
        "orderAmount": write_fen(intent.amount),
        "orderTime": china_compact(now),
        "productName": intent.subject,
        "productDesc": intent.body,
        "ext1": intent.passback,
        "payType": way,
        "bankId": m.BANK_CODE.get(intent.bank, ""),
        "redoFlag": "0",
    }


def read_intent(operation: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    if operation == m.PAY:
        return _read_pay(fields)
    if operation == m.REFUND:
        return _read_refund(fields)
    if operation == m.REFUND_QUERY:
        return _read_refund_query(fields)
    _word(fields, "version", m.VERSION)
    if fields.get("queryType") != "0":
        raise invalid("queryType", "is not 0, by order")
    if fields.get("queryMode") != "1":
        raise invalid("queryMode", "is not 1")
    return QueryTrade(merchant=fields["merchantAcctId"], out_trade_no=read_order(fields))


def _read_refund(fields: Fields) -> RefundTrade:
    _word(fields, "version", m.REFUND_VERSION)
    _word(fields, "command_type", m.REFUND_COMMAND)
    read_time(fields, "postdate")
    for name in ("orderid", "txOrder"):
        if ORDER.fullmatch(required(fields, name)) is None:
            raise invalid(name, "holds more than 50 letters, digits, - and _")
    if _YUAN.fullmatch(required(fields, "amount")) is None:
        raise invalid("amount", "is no sum of yuan with two decimals", "AMOUNT_INVALID")
    money = parse_major(fields["amount"])
    if money.minor <= 0:
        raise invalid("amount", "is not above zero", "AMOUNT_NOT_POSITIVE")
    return RefundTrade(
        merchant=f"{fields['merchant_id']}01", refund_no=fields["txOrder"], out_trade_no=fields["orderid"], amount=money
    )


def _write_refund(intent: RefundTrade, merchant: str, now: Instant) -> dict[str, str]:
    if not merchant.endswith("01") or MEMBER.fullmatch(merchant[:-2]) is None:
        raise LocalProtocolError("merchant", "a refund names the member code: 11 digits before the 01 of the account")
    if intent.amount is None or not intent.out_trade_no:
        raise LocalProtocolError("amount", "a refund names its sum and the merchant's number of the order")
    return {
        "merchant_id": merchant[:-2],
        "version": m.REFUND_VERSION,
        "command_type": m.REFUND_COMMAND,
        "txOrder": intent.refund_no,
        "amount": intent.amount.text(),
        "postdate": china_compact(now),
        "orderid": intent.out_trade_no,
    }


def _read_refund_query(fields: Fields) -> QueryRefund:
    _word(fields, "version", m.VERSION)
    for name in ("startDate", "endDate"):
        if re.fullmatch(r"[0-9]{8}", required(fields, name), re.ASCII) is None:
            raise invalid(name, "is no date of 8 digits")
    for name in ("orderId", "rOrderId"):
        if fields.get(name) and ORDER.fullmatch(fields[name]) is None:
            raise invalid(name, "holds more than 50 letters, digits, - and _")
    if not fields.get("orderId") and not fields.get("rOrderId"):
        raise invalid("orderId", "is missing, and so is rOrderId", "FIELD_MISSING")
    if fields.get("requestPage", "1") != "1":
        raise invalid("requestPage", "there is one page")
    return QueryRefund(
        merchant=fields["merchantAcctId"],
        refund_no=fields.get("orderId", ""),
        out_trade_no=fields.get("rOrderId", ""),
    )


def write_intent(
    intent: Intent, merchant: str, charset: str, sign_type: str, now: Instant
) -> tuple[str, dict[str, str]]:
    """Operation and fields, in the order of the table and without empty ones. Raises LocalProtocolError."""
    fields = {"inputCharset": charset, "version": m.VERSION, "signType": sign_type, "merchantAcctId": merchant}
    if isinstance(intent, RefundTrade):
        return m.REFUND, _write_refund(intent, merchant, now)
    if isinstance(intent, QueryRefund):
        fields |= {
            "startDate": china_compact(Instant(max(0, now - QUERY_DAYS * DAY)))[:8],
            "endDate": china_compact(now)[:8],
            "orderId": intent.refund_no,
            "requestPage": "1",
            "rOrderId": intent.out_trade_no,
        }
        return m.REFUND_QUERY, {name: fields[name] for name in m.REFUND_QUERY_NAMES if fields.get(name)}
    if isinstance(intent, CreateTrade):
        fields |= _write_pay(intent, now)
        return m.PAY, {name: fields[name] for name in m.PAY_NAMES if fields.get(name)}
    if isinstance(intent, QueryTrade):
        if not intent.out_trade_no:
            raise LocalProtocolError("out_trade_no", "the gateway is asked by the merchant's number only")
        fields |= {"queryType": "0", "queryMode": "1", "orderId": intent.out_trade_no}
        return m.QUERY, {name: fields[name] for name in m.QUERY_NAMES if fields.get(name)}
    raise LocalProtocolError("", f"the gateway has no operation for {type(intent).__name__}", "UNKNOWN_SERVICE")


def check_lengths(fields: Fields) -> None:
    """Refuse a field that no reader would take."""
    for name, value in fields.items():
        if len(value.encode()) > 4_096:
            raise RemoteProtocolError(name, "is longer than 4096 bytes", "TOO_LARGE")
