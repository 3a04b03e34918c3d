"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import Fields, read_money
from tongbao.protocols.yeepay.split import is_order
from tongbao.wire.field import check_lengths, invalid, read_address, required
from tongbao.wire.movement import QueryRefund, RefundTrade
from tongbao.wire.vocabulary import CloseTrade, CreateTrade, Expiry, Intent, Method, Product, QueryTrade

_PERIOD: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_TRADE: Final = re.compile(r"[0-9A-Za-z]{1,50}", re.ASCII)
_UNITS: Final = ("day", "hour", "minute", "second")

CLASSIC: Final = Expiry(m.PERIOD_DEFAULT * m.UNIT[m.UNIT_DEFAULT])
"""Seven days, which the platform gives to requests that say nothing."""


def _order(fields: Fields, name: str) -> str:
    number = required(fields, name)
    if not is_order(number):
        raise invalid(name, "holds more than letters, digits, _ and -")
    return number


def _amount(fields: Fields) -> Money:
    money = read_money(fields, "p3_Amt")
    if money.minor <= 0:
        raise invalid("p3_Amt", "is not above zero", "AMOUNT_NOT_POSITIVE")
    if required(fields, "p4_Cur") not in ("CNY", "RMB"):
        raise invalid("p4_Cur", "is not CNY", "CURRENCY_NOT_ALLOWED")
    return money


def _expiry(fields: Fields) -> Expiry:
    """``pm_Period`` times ``pn_Unit``; what is missing is 7, and day; nothing lasts longer than 180 days."""
    period = fields.get("pm_Period") or str(m.PERIOD_DEFAULT)
    unit = m.UNIT.get(fields.get("pn_Unit") or m.UNIT_DEFAULT)
    if _PERIOD.fullmatch(period) is None:
        raise invalid("pm_Period", "is not a positive whole number", "EXPIRY_INVALID")
    if unit is None:
        raise invalid("pn_Unit", f"is none of {', '.join(m.UNIT)}", "EXPIRY_INVALID")
    return Expiry(min(int(period) * unit, m.EXPIRY_MAX))


def _write_expiry(expiry: Expiry | None) -> dict[str, str]:
    if expiry is None or expiry == CLASSIC:
        return {}
    if expiry.at_midnight:
        raise LocalProtocolError("expiry", "pm_Period counts from the order's creation", "EXPIRY_INVALID")
    unit = next(unit for unit in _UNITS if expiry.seconds % m.UNIT[unit] == 0)
    return {"pm_Period": str(expiry.seconds // m.UNIT[unit]), "pn_Unit": unit}


def _channel(fields: Fields) -> tuple[str, Method | None]:
    code = fields.get("pd_FrpId", "")
    if not code:
        return "", None
    if code not in m.CHANNEL_OF:
        raise invalid("pd_FrpId", "is no channel of the directory", "BANK_UNKNOWN")
    return m.CHANNEL_OF[code]


def _write_channel(intent: CreateTrade) -> str:
    if not intent.bank and intent.method is None:
        return ""
    code = m.CHANNEL_CODE.get((intent.bank, intent.method))
    if code is None and intent.method is None:
        code = m.CHANNEL_CODE.get((intent.bank, Method.DEBIT))
    if code is None:
        raise LocalProtocolError(
            "bank" if intent.bank else "method", "the gateway has no code for that bank or way of paying"
        )
    return code


# --- the requests --------------------------------------------------------------------------------------------------


def _read_buy(fields: Fields) -> CreateTrade:
    for name in ("p9_SAF", "pr_NeedResponse"):
        if fields.get(name, "") not in ("", "0", "1"):
            raise invalid(name, "is neither 0 nor 1")
    bank, method = _channel(fields)
    if fields.get("pd_FrpId") == m.ONE_CLICK:
        required(fields, "p5_Pid")
    home = read_address(fields, "p8_Url")
    return CreateTrade(
        merchant=fields["p1_MerId"],
        out_trade_no=_order(fields, "p2_Order"),
        product=Product.INSTANT,
        subject=fields.get("p5_Pid") or m.NAMELESS,
        amount=_amount(fields),
        body=fields.get("p7_Pdesc", ""),
        notify_url=read_address(fields, "pb_ServerNotifyUrl") or home,
        return_url=home,
        expiry=_expiry(fields),
        method=method,
        bank=bank,
        passback=fields.get("pa_MP", ""),
    )


def _write_buy(intent: CreateTrade) -> dict[str, str]:
    own = "" if intent.notify_url == intent.return_url else intent.notify_url
    return {
        "p0_Cmd": m.BUY,
        "p2_Order": intent.out_trade_no,
        "p3_Amt": intent.amount.text(),
        "p4_Cur": intent.amount.currency,
        "p5_Pid": intent.subject,
        "p7_Pdesc": intent.body,
        "p8_Url": intent.return_url,
        "p9_SAF": "0",
        "pa_MP": intent.passback,
        "pb_ServerNotifyUrl": own,
        "pd_FrpId": _write_channel(intent),
        "pr_NeedResponse": "1",
        **_write_expiry(intent.expiry),
    }


def _read_query(fields: Fields) -> QueryTrade:
    if fields.get("pv_Ver", "") not in ("", m.NEW_VERSION):
        raise invalid("pv_Ver", f"is not {m.NEW_VERSION}")
    if fields.get("p3_ServiceType", "") not in ("", m.ORDER_SERVICE):
        raise invalid("p3_ServiceType", "only orders can be asked for")
    return QueryTrade(merchant=fields["p1_MerId"], out_trade_no=_order(fields, "p2_Order"))


def _read_cancel(fields: Fields) -> CloseTrade:
    if fields.get("pv_Ver", "") not in ("", "1"):
        raise invalid("pv_Ver", "is not 1")
    return CloseTrade(merchant=fields["p1_MerId"], out_trade_no=_order(fields, "pb_TrxId"), role="seller")


def _trade(fields: Fields) -> str:
    """The platform's number of a trade."""
    number = required(fields, "pb_TrxId")
    if _TRADE.fullmatch(number) is None:
        raise invalid("pb_TrxId", "holds more than letters and digits")
    return number


def _read_refund(fields: Fields, now: Instant) -> RefundTrade:
    """A refund without a number of the shop's, as before 2016, is one of its own: trade and time of arrival name it."""
    trade_no = _trade(fields)
    given = bool(fields.get("p2_Order"))
    return RefundTrade(
        merchant=fields["p1_MerId"],
        refund_no=_order(fields, "p2_Order") if given else f"{trade_no[:30]}-{now}",
        trade_no=trade_no,
        amount=_amount(fields),
        reason=fields.get("p5_Desc", ""),
    )


def _read_refund_query(fields: Fields) -> QueryRefund:
    return QueryRefund(merchant=fields["p1_MerId"], refund_no=_order(fields, "p2_Order"), trade_no=_trade(fields))


def read_intent(command: str, fields: Fields, now: Instant) -> Intent:
    """The intent of a request that arrived at ``now``. Raises RemoteProtocolError naming the field."""
    check_lengths(fields, m.LENGTHS)
    if command == m.BUY:
        return _read_buy(fields)
    if command == m.REFUND:
        return _read_refund(fields, now)
    if command == m.REFUND_QUERY:
        return _read_refund_query(fields)
    return _read_query(fields) if command == m.QUERY else _read_cancel(fields)


def _write_refund(intent: RefundTrade) -> dict[str, str]:
    for name in ("refund_no", "trade_no", "amount"):
        if not getattr(intent, name):
            raise LocalProtocolError(name, "is missing: the gateway gives back a named sum of a trade it numbered")
    amount = intent.amount or Money(0)
    return {
        "p0_Cmd": m.REFUND,
        "p2_Order": intent.refund_no,
        "pb_TrxId": intent.trade_no,
        "p3_Amt": amount.text(),
        "p4_Cur": amount.currency,
        "p5_Desc": intent.reason,
    }


def write_intent(intent: Intent, version: str) -> dict[str, str]:
    """Fields of an intent without the merchant's number; empty ones are among them. ``version`` is that of the query.

    Raises LocalProtocolError naming the field.
    """
    if isinstance(intent, CreateTrade):
        return _write_buy(intent)
    if isinstance(intent, QueryTrade | CloseTrade):
        if not intent.out_trade_no:
            raise LocalProtocolError("out_trade_no", "the gateway knows trades by the merchant's number only")
        if isinstance(intent, CloseTrade):
            return {"p0_Cmd": m.CANCEL, "pb_TrxId": intent.out_trade_no}
        added = {} if version == m.OLD_VERSION else {"pv_Ver": m.NEW_VERSION, "p3_ServiceType": m.ORDER_SERVICE}
        return {"p0_Cmd": m.QUERY, "p2_Order": intent.out_trade_no, **added}
    if isinstance(intent, RefundTrade):
        return _write_refund(intent)
    if isinstance(intent, QueryRefund):
        return {"p0_Cmd": m.REFUND_QUERY, "p2_Order": intent.refund_no, "pb_TrxId": intent.trade_no}
    raise LocalProtocolError("", f"the gateway has no command for {type(intent).__name__}", "UNKNOWN_SERVICE")
