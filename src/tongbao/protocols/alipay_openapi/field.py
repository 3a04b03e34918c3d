"""Reading and writing of single business fields. Errors name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant, china_text, parse_china
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.wire.field import check_address
from tongbao.wire.vocabulary import Expiry

Content = Mapping[str, Any]
"""Business content: texts, lists and objects; numbers and truth values are texts already."""

TOTAL_MAX: Final = Money(10_000_000_000)
EXPIRY_MIN: Final = 60
EXPIRY_MAX: Final = 15 * 86_400

_EXPIRY: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNIT: Final = {"m": 60, "h": 3_600, "d": 86_400}
_SHORTEST: Final = min(m.LENGTHS.values())
_LONGEST: Final = m.URL_LENGTH * 16
"""Characters of a field that the sheet gives no length."""
_ORDER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


def invalid(name: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    return RemoteProtocolError(name, reason, code)


def text_of(content: Content, name: str) -> str:
    """The field as text, '' where it is absent. Raises RemoteProtocolError for structures and what is too long."""
    if name not in content:
        return ""
    value = content[name]
    if not isinstance(value, str):
        raise invalid(name, "is no text")
    if len(value) > _SHORTEST and len(value) > (most := m.LENGTHS.get(name, _LONGEST)):
        raise RemoteProtocolError(name, f"is longer than {most} characters", "TOO_LARGE")
    return value


def detail_of(content: Content, name: str) -> str:
    """A text for people, cut where it is long: what is said of a wrong signature repeats the request as a whole."""
    value = content.get(name, "")
    return text_of({name: value[:_LONGEST] if isinstance(value, str) else value}, name)


def required(content: Content, name: str) -> str:
    """The text, which may not be missing or empty."""
    value = text_of(content, name)
    if not value:
        raise RemoteProtocolError(name, "is missing", "FIELD_MISSING")
    return value


def part_of(content: Content, name: str) -> Content:
    """An object within the content; {} where it is absent."""
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise invalid(name, "is no object")
    return value


def list_of(content: Content, name: str) -> list[Content]:
    """A list of objects within the content."""
    value = content.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise invalid(name, "is no list of objects")
    return value


def read_order(content: Content, name: str = "out_trade_no") -> str:
    """A merchant's number for something new: letters, digits, _ and - (which the platform takes too)."""
    number = required(content, name)
    if _ORDER.fullmatch(number) is None:
        raise invalid(name, "holds more than letters, digits and _")
    return number


def read_money(content: Content, name: str) -> Money | None:
    """A sum in yuan, or None where the field is absent or empty."""
    text = text_of(content, name)
    if not text:
        return None
    try:
        return parse_major(text)
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error


def read_sum(content: Content, name: str) -> Money:
    """A sum in yuan from 0.01 to 100,000,000."""
    required(content, name)
    money = read_money(content, name)
    if money is None or money.minor <= 0:
        raise invalid(name, "is not above zero", "AMOUNT_NOT_POSITIVE")
    if money > TOTAL_MAX:
        raise invalid(name, f"is above {TOTAL_MAX.text()}", "LIMIT_EXCEEDED")
    return money


def write_sum(money: Money | None, name: str) -> str:
    """A sum that has to be said. Raises LocalProtocolError."""
    if money is None:
        raise LocalProtocolError(name, "is missing", "FIELD_MISSING")
    if money.currency != "CNY":
        raise LocalProtocolError(name, "is not in yuan", "CURRENCY_NOT_ALLOWED")
    return money.text()


def say(money: Money | None) -> str:
    """A sum, or '' where it is not known."""
    return "" if money is None else money.text()


def read_address(content: Content, name: str) -> str:
    """An absolute http(s) address, or ''."""
    return check_address(name, text_of(content, name))


def read_time(content: Content, name: str) -> Instant | None:
    """``yyyy-MM-dd HH:mm:ss``, in Beijing, with or without milliseconds; None where it is absent."""
    text = text_of(content, name)
    if not text:
        return None
    whole, _, rest = text.partition(".")
    try:
        if rest and not (rest.isascii() and rest.isdigit() and len(rest) <= 3):
            raise ValueError
        return Instant(parse_china(whole) + int(rest.ljust(3, "0") or "0"))
    except ValueError as error:
        raise invalid(name, "is not yyyy-MM-dd HH:mm:ss") from error


def say_time(instant: Instant | None, *, fine: bool = False) -> str:
    """The inverse of ``read_time``; with milliseconds where ``fine``."""
    if instant is None:
        return ""
    return f"{china_text(instant)}.{instant % 1_000:03d}" if fine else china_text(instant)


def read_expiry(content: Content) -> Expiry | None:
    """``time_expire`` (a time) wins over ``timeout_express``: ``1m`` to ``15d``, or ``1c`` for the coming midnight."""
    moment = read_time(content, "time_expire")
    if moment is not None:
        return Expiry(0, moment)
    text = text_of(content, "timeout_express")
    if not text:
        return None
    if text == "1c":
        return Expiry(0)
    match = _EXPIRY.fullmatch(text)
    seconds = int(match[1]) * _UNIT[match[2]] if match else 0
    if not EXPIRY_MIN <= seconds <= EXPIRY_MAX:
        raise invalid("timeout_express", "is not from 1m to 15d, nor 1c", "EXPIRY_INVALID")
    return Expiry(seconds)


def write_expiry(expiry: Expiry | None) -> dict[str, str]:
    """The fields of an expiry. Raises LocalProtocolError for parts of a minute."""
    if expiry is None:
        return {}
    if expiry.at is not None:
        return {"time_expire": china_text(expiry.at)}
    if expiry.at_midnight:
        return {"timeout_express": "1c"}
    unit = next((unit for unit in ("d", "h", "m") if expiry.seconds % _UNIT[unit] == 0), "")
    if not unit:
        raise LocalProtocolError("expiry", "timeout_express counts whole minutes", "EXPIRY_INVALID")
    return {"timeout_express": f"{expiry.seconds // _UNIT[unit]}{unit}"}


def filled(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without what says nothing."""
    return {name: value for name, value in content.items() if value not in ("", None, {}, [], ())}


def buyer_field(number: str, usual: str) -> dict[str, str]:
    """A buyer's number under the name it goes by: ``usual`` for a user's number, ``buyer_open_id`` for others."""
    return {usual if number.isdigit() and len(number) <= 28 else "buyer_open_id": number}


def mask_login(login: str) -> str:
    """A login as others are shown it: ``abc***@example.com``, ``132****3029``."""
    name, mark, host = login.partition("@")
    if mark:
        return f"{name[:3]}***@{host}"
    return f"{login[:3]}****{login[-4:]}" if len(login) >= 8 else "***" if login else ""


def unmask(login: str) -> str:
    """The login where it is one, '' where it is masked: half a name proves nobody."""
    return "" if "*" in login else login
