"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.codec import Fields, read_fen, write_fen
from tongbao.wire.field import invalid, read_address, required
from tongbao.wire.vocabulary import CreateTrade, Intent, Product, QueryTrade

MERCHANT: Final = re.compile(r"[0-9]{10}", re.ASCII)
ORDER: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)
DEAL: Final = re.compile(r"[0-9]{28}", re.ASCII)
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_DATE: Final = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)
_BANK: Final = re.compile(r"[0-9A-Za-z_]{1,16}", re.ASCII)


def day_in(number: str) -> str:
    """The date with which an order's number begins, '' for none."""
    return number[:8] if _is_day(number[:8]) else ""


def _is_day(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def deal_number(merchant: str, day: str, order: str) -> str:
    """The number of a deal, which the merchant makes: his own, the date, and ten digits that follow from the order."""
    tail = int.from_bytes(hashlib.sha256(order.encode()).digest()) % 10**10
    return f"{merchant}{day}{tail:010d}"


def read_order(fields: Fields) -> str:
    """The merchant's number. Raises RemoteProtocolError."""
    number = required(fields, "sp_billno")
    if ORDER.fullmatch(number) is None:
        raise invalid("sp_billno", "is not up to 32 letters, digits, - and _")
    return number


def _check_day(fields: Fields) -> None:
    if not _is_day(required(fields, "date")):
        raise invalid("date", "is no date of 8 digits")


def _read_pay(fields: Fields) -> CreateTrade:
    _check_day(fields)
    number = read_order(fields)
    if number[0] in "_-":
        raise invalid("sp_billno", "begins with neither letter nor digit")
    if DEAL.fullmatch(required(fields, "transaction_id")) is None:
        raise invalid("transaction_id", "is not 28 digits")
    if not fields["transaction_id"].startswith(fields["bargainor_id"]):
        raise invalid("transaction_id", "does not begin with the merchant's number")
    if required(fields, "fee_type") != "1":
        raise invalid("fee_type", "is not 1, CNY", "CURRENCY_NOT_ALLOWED")
    money = read_fen(fields, "total_fee")
    if money.minor <= 0:
        raise invalid("total_fee", "is not above zero", "AMOUNT_NOT_POSITIVE")
    url = read_address(fields, "return_url")
    if not url.isascii() or len(url) > 255:
        raise invalid("return_url", "holds more than 255 characters of ASCII", "URL_NOT_ALLOWED")
    if len(fields.get("attach", "")) > 127:
        raise invalid("attach", "is longer than 127 characters", "TOO_LARGE")
    address = fields.get("spbill_create_ip", "")
    if address and (_ADDRESS.fullmatch(address) is None or any(int(part) > 255 for part in address.split("."))):
        raise invalid("spbill_create_ip", "is no IPv4 address", "CLIENT_IP_INVALID")
    bank = fields.get("bank_type") or m.CASHIER
    if _BANK.fullmatch(bank) is None:
        raise invalid("bank_type", "is no bank's code", "BANK_UNKNOWN")
    return CreateTrade(
        merchant=fields["bargainor_id"],
        out_trade_no=number,
        product=Product.INSTANT,
        subject=fields.get("desc", "")[:32] or f"订单 {number}",
        amount=money,
        notify_url=url,
        bank=m.BANK_OF.get(bank, ""),
        passback=fields.get("attach", ""),
        client_ip=address,
    )


def _write_pay(intent: CreateTrade, merchant: str, now: Instant) -> dict[str, str]:
    if intent.bank and intent.bank not in m.BANK_CODE:
        raise LocalProtocolError("bank", "the interface has no code for that bank")
    day = day_in(intent.out_trade_no) or china_compact(now)[:8]
    return {
        "cmdno": "1",
        "date": day,
        "bank_type": m.BANK_CODE.get(intent.bank, ""),
        "bargainor_id": merchant,
        "transaction_id": deal_number(merchant, day, intent.out_trade_no),
        "sp_billno": intent.out_trade_no,
        "total_fee": write_fen(intent.amount),
        "fee_type": "1",
        "return_url": intent.notify_url,
        "attach": intent.passback,
        "spbill_create_ip": intent.client_ip,
    }


def read_intent(operation: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    if fields.get("cmdno", "") != ("1" if operation == m.PAY else "2"):
        raise invalid("cmdno", "is not the number of this command", "UNKNOWN_SERVICE")
    if operation == m.PAY:
        return _read_pay(fields)
    _check_day(fields)
    if fields.get("output_xml", "1") != "1":
        raise invalid("output_xml", "is not 1: answers are XML")
    return QueryTrade(merchant=fields["bargainor_id"], out_trade_no=read_order(fields))


def write_intent(intent: Intent, merchant: str, charset: str, now: Instant) -> tuple[str, dict[str, str]]:
    """Operation and fields, with empty ones. Raises LocalProtocolError."""
    if isinstance(intent, CreateTrade):
        more = {"cs": charset.lower()} if charset not in ("GBK", "GB2312") else {}
        return m.PAY, _write_pay(intent, merchant, now) | more
    if isinstance(intent, QueryTrade):
        if not intent.out_trade_no:
            raise LocalProtocolError("out_trade_no", "the interface is asked by the merchant's number")
        day = day_in(intent.out_trade_no) or china_compact(now)[:8]
        return m.QUERY, {
            "cmdno": "2",
            "date": day,
            "bargainor_id": merchant,
            "transaction_id": deal_number(merchant, day, intent.out_trade_no),
            "sp_billno": intent.out_trade_no,
            "attach": "1",
            "output_xml": "1",
            "charset": charset,
        }
    raise LocalProtocolError("", f"the interface has no operation for {type(intent).__name__}", "UNKNOWN_SERVICE")
