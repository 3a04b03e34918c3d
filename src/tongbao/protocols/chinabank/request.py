"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.codec import Fields, read_money, write_money
from tongbao.protocols.chinabank.grammar import is_order
from tongbao.wire.field import check_address, check_lengths, invalid, required
from tongbao.wire.http import split_url
from tongbao.wire.vocabulary import CreateTrade, Intent, Product, QueryTrade

_BANK: Final = re.compile(r"[0-9]{0,8}", re.ASCII)
_NOTICES: Final = re.compile(r"\[url:=([^\]]*)\]", re.ASCII)
"""How ``remark2`` holds the address of notices."""


def _notices(fields: Fields) -> str:
    """The address of notices in ``remark2``, '' where it holds none. No signature covers it, so it must be at the host
    of the signed ``v_url``: a buyer cannot send the notices of a shop elsewhere."""
    found = _NOTICES.fullmatch(fields.get("remark2", ""))
    url = check_address("remark2", found[1]) if found else ""
    home = fields.get("v_url", "")
    if url and (not home or split_url(url)[1].lower() != split_url(home)[1].lower()):
        raise invalid("remark2", "is not at the host of v_url", "URL_NOT_ALLOWED")
    return url


def _order(fields: Fields) -> str:
    number = required(fields, "v_oid")
    if not is_order(number):
        raise invalid("v_oid", "holds more than letters, digits and _-#$():;,.")
    return number


def _read_pay(fields: Fields) -> CreateTrade:
    money = read_money(fields)
    if money.minor <= 0:
        raise invalid("v_amount", "is not above zero", "AMOUNT_NOT_POSITIVE")
    if required(fields, "v_moneytype") not in ("CNY", "0"):
        raise invalid("v_moneytype", "is not CNY", "CURRENCY_NOT_ALLOWED")
    bank = fields.get("pmode_id", "")
    if _BANK.fullmatch(bank) is None:
        raise invalid("pmode_id", "is not digits", "BANK_UNKNOWN")
    number = _order(fields)
    home = check_address("v_url", fields.get("v_url", ""))
    return CreateTrade(
        merchant=fields["v_mid"],
        out_trade_no=number,
        product=Product.INSTANT,
        subject=f"订单 {number}",
        amount=money,
        notify_url=_notices(fields),
        return_url=home,
        bank=m.BANK_OF.get(bank, ""),
        passback=fields.get("remark1", ""),
    )


def _write_pay(intent: CreateTrade) -> dict[str, str]:
    if intent.method is not None or intent.methods:
        raise LocalProtocolError("method", "the gateway cannot be told the way of paying")
    if intent.bank and intent.bank not in m.BANK_CODE:
        raise LocalProtocolError("bank", "the gateway has no code for that bank")
    if "]" in intent.notify_url:
        raise LocalProtocolError("notify_url", "a ] would end it", "URL_NOT_ALLOWED")
    return {
        "v_oid": intent.out_trade_no,
        "v_amount": write_money(intent.amount),
        "v_moneytype": "CNY",
        "v_url": intent.return_url,
        "pmode_id": m.BANK_CODE.get(intent.bank, ""),
        "remark1": intent.passback,
        "remark2": f"[url:={intent.notify_url}]" if intent.notify_url else "",
    }


def read_intent(operation: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    check_lengths(fields, m.LENGTHS)
    if operation == m.PAY:
        return _read_pay(fields)
    check_address("v_url", fields.get("v_url", ""))
    return QueryTrade(merchant=fields["v_mid"], out_trade_no=_order(fields))


def write_intent(intent: Intent) -> tuple[str, dict[str, str]]:
    """Operation and fields of an intent without the merchant's number. Raises LocalProtocolError naming the field."""
    if isinstance(intent, CreateTrade):
        return m.PAY, _write_pay(intent)
    if isinstance(intent, QueryTrade):
        if not intent.out_trade_no:
            raise LocalProtocolError("out_trade_no", "the gateway knows trades by the merchant's number only")
        return m.QUERY, {"v_oid": intent.out_trade_no}
    raise LocalProtocolError("", f"the gateway has no operation for {type(intent).__name__}", "UNKNOWN_SERVICE")
