"""Single fields of messages: what every module of this folder reads and writes them with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant, china_text
from tongbao.wire.field import invalid, required
from tongbao.wire.party import Party

Fields = Mapping[str, str]

_QUANTITY: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_DAY: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_NUMBER: Final = re.compile(r"2088[0-9]{12}", re.ASCII)


def read_money(fields: Fields, name: str, *, signed: bool = False) -> Money | None:
    """A sum in yuan, or None where the field is absent or empty."""
    text = fields.get(name, "")
    if not text:
        return None
    try:
        return parse_major(text, signed=signed)
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error


def read_positive(fields: Fields, name: str, largest: Money) -> Money | None:
    """A sum in yuan from 0.01 up to ``largest``."""
    money = read_money(fields, name)
    if money is not None and money.minor <= 0:
        raise invalid(name, "is not above zero", "AMOUNT_NOT_POSITIVE")
    if money is not None and largest < money:
        raise invalid(name, f"is above {largest.text()}", "AMOUNT_INVALID")
    return money


def read_quantity(fields: Fields) -> int | None:
    text = fields.get("quantity", "")
    if not text:
        return None
    if _QUANTITY.fullmatch(text) is None:
        raise invalid("quantity", "is not a positive whole number")
    return int(text)


def write_time(instant: Instant | None) -> str:
    return "" if instant is None else china_text(instant)


def read_day(fields: Fields, name: str) -> date:
    """A day as ``yyyyMMdd``."""
    match = _DAY.fullmatch(required(fields, name))
    try:
        if match is None:
            raise ValueError("not eight digits")
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        raise invalid(name, "is no day") from error


def read_party(text: str) -> Party:
    """An account as one word: 16 digits from 2088 on are its number, all else is its login."""
    return Party(text) if _NUMBER.fullmatch(text) else Party("", text)


def write_party(party: Party, name: str) -> str:
    """The same word. Raises LocalProtocolError where number and login would both have to be said."""
    if party.id and party.login:
        raise LocalProtocolError(name, "an account is named by its login or by its number, not by both")
    return party.login or party.id


def bare(text: str, marks: str) -> str:
    """A text as part of a list whose borders are ``marks``: they are left out of it."""
    return "".join([letter for letter in text if letter not in marks])
