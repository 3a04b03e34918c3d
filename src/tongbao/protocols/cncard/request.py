"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import Fields, read_money, write_money
from tongbao.protocols.cncard.grammar import check_pay, date_in, is_date, is_order
from tongbao.wire.field import check_address, check_lengths, invalid, required
from tongbao.wire.vocabulary import CreateTrade, Intent, Product, QueryTrade

_BANK: Final = re.compile(r"[0-9]{0,8}", re.ASCII)
_HOME: Final = re.compile(r"\[reURL:=([^\]]*)\]", re.ASCII)
"""How our client tells the platform the page for the buyer, which old shops name in their acknowledgement only."""


def _address(name: str, url: str) -> str:
    if not check_address(name, url).isascii():
        raise invalid(name, "holds more than ASCII", "URL_NOT_ALLOWED")
    return url


def _order(fields: Fields) -> str:
    number = required(fields, "c_order")
    if not is_order(number):
        raise invalid("c_order", "holds more than letters, digits, _ and -")
    if not is_date(required(fields, "c_ymd")):
        raise invalid("c_ymd", "is no date")
    return number


def _addresses(fields: Fields) -> tuple[str, str]:
    """(address of notices, address of return)."""
    for name, words in (("c_retflag", ("0", "1")), ("notifytype", ("", "0", "1")), ("c_language", ("", "0", "1"))):
        if fields.get(name, "") not in words:
            raise invalid(name, "is neither 0 nor 1")
    url = _address("c_returl", fields.get("c_returl", ""))
    if fields["c_retflag"] == "0":
        return "", ""
    if not url:
        raise invalid("c_returl", "is missing", "FIELD_MISSING")
    if fields.get("notifytype") != "1":
        return "", url
    home = _HOME.fullmatch(fields.get("c_memo2", ""))
    return url, _address("c_memo2", home[1]) if home else ""


def _read_pay(fields: Fields) -> CreateTrade:
    money = read_money(fields)
    if money.minor <= 0:
        raise invalid("c_orderamount", "is not above zero", "AMOUNT_NOT_POSITIVE")
    if required(fields, "c_moneytype") != "0":
        raise invalid("c_moneytype", "is not 0, yuan", "CURRENCY_NOT_ALLOWED")
    bank = fields.get("c_paygate", "")
    if _BANK.fullmatch(bank) is None:
        raise invalid("c_paygate", "is not digits", "BANK_UNKNOWN")
    number = _order(fields)
    required(fields, "c_retflag")
    notices, home = _addresses(fields)
    check_pay(fields)
    return CreateTrade(
        merchant=fields["c_mid"],
        out_trade_no=number,
        product=Product.INSTANT,
        subject=f"订单 {number}",
        amount=money,
        notify_url=notices,
        return_url=home,
        bank=m.BANK_OF.get(bank, ""),
        passback=fields.get("c_memo1", ""),
    )


def _write_pay(intent: CreateTrade) -> dict[str, str]:
    if intent.method is not None or intent.methods:
        raise LocalProtocolError("method", "the gateway cannot be told the way of paying")
    if intent.bank and intent.bank not in m.BANK_CODE:
        raise LocalProtocolError("bank", "the gateway has no code for that bank")
    if "]" in intent.return_url:
        raise LocalProtocolError("return_url", "a ] would end it", "URL_NOT_ALLOWED")
    url = intent.notify_url or intent.return_url
    return {
        "c_order": intent.out_trade_no,
        "c_orderamount": write_money(intent.amount),
        "c_moneytype": "0",
        "c_retflag": "1" if url else "0",
        "c_returl": url,
        "c_paygate": m.BANK_CODE.get(intent.bank, ""),
        "c_memo1": intent.passback,
        "c_memo2": f"[reURL:={intent.return_url}]" if intent.notify_url and intent.return_url else "",
        "notifytype": ("1" if intent.notify_url else "0") if url else "",
        "c_language": "0",
    }


def read_intent(operation: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    check_lengths(fields, m.LENGTHS)
    if operation == m.PAY:
        return _read_pay(fields)
    _address("c_returl", fields.get("c_returl", ""))
    return QueryTrade(merchant=fields["c_mid"], out_trade_no=_order(fields))


def write_intent(intent: Intent, now: Instant) -> tuple[str, dict[str, str]]:
    """Operation and fields of an intent without the merchant's number. The order's date is that with which its number
    begins, else the Chinese day of ``now``. Raises LocalProtocolError naming the field."""
    if isinstance(intent, CreateTrade):
        operation, fields = m.PAY, _write_pay(intent)
    elif isinstance(intent, QueryTrade):
        if not intent.out_trade_no:
            raise LocalProtocolError("out_trade_no", "the gateway knows trades by the merchant's number only")
        operation, fields = m.QUERY, {"c_order": intent.out_trade_no}
    else:
        raise LocalProtocolError("", f"the gateway has no operation for {type(intent).__name__}", "UNKNOWN_SERVICE")
    return operation, fields | {"c_ymd": date_in(intent.out_trade_no) or china_compact(now)[:8]}
