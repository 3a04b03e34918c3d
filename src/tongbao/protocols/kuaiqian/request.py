"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import MD5_WORD, Fields, invalid, read_fen, read_time, required, write_fen
from tongbao.wire.http import split_url
from tongbao.wire.vocabulary import CreateTrade, Intent, Product, QueryTrade

MERCHANT: Final = re.compile(r"[0-9A-Za-z]{4,30}", re.ASCII)
ORDER: Final = re.compile(r"[0-9A-Za-z_-]{1,50}", re.ASCII)
_BANK: Final = re.compile(r"[0-9A-Za-z_]{0,12}", re.ASCII)


def _address(fields: Fields, name: str) -> str:
    url = fields.get(name, "")
    if url:
        try:
            split_url(url)
        except ValueError as error:
            raise invalid(name, str(error), "URL_NOT_ALLOWED") from error
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
    _word(fields, "version", m.VERSION)
    if fields.get("queryType") != "0":
        raise invalid("queryType", "is not 0, by order")
    if fields.get("queryMode") != "1":
        raise invalid("queryMode", "is not 1")
    return QueryTrade(merchant=fields["merchantAcctId"], out_trade_no=read_order(fields))


def write_intent(intent: Intent, merchant: str, charset: str, now: Instant) -> tuple[str, dict[str, str]]:
    """Operation and fields, in the order of the table and without empty ones. Raises LocalProtocolError."""
    fields = {"inputCharset": charset, "version": m.VERSION, "signType": MD5_WORD, "merchantAcctId": merchant}
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
