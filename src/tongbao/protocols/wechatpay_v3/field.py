"""Fields of JSON bodies and of queries, read strictly: every error names the field by its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import MINOR_MAX, Money
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3.codec import parse_time
from tongbao.wire.http import split_url

TRADE_NUMBER: Final = re.compile(r"[0-9A-Za-z_\-|*]{1,32}", re.ASCII)
REFUND_NUMBER: Final = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}", re.ASCII)
BILL_NUMBER: Final = re.compile(r"[0-9A-Za-z_\-]{1,32}", re.ASCII)
PLATFORM_NUMBER: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
WORD: Final = re.compile(r"[0-9A-Za-z_.\-@+]{1,128}", re.ASCII)
_SUPPLEMENTARY: Final = re.compile("[\U00010000-\U0010ffff]")


def missing(path: str) -> RemoteProtocolError:
    return RemoteProtocolError(path, "is missing", "FIELD_MISSING")


def invalid(path: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    return RemoteProtocolError(path, reason, code)


@dataclass(frozen=True, slots=True)
class Fields:
    """An object and where it stands. Readers return '' or None for what is absent and not ``needed``."""

    said: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str, longest: int = 128, *, needed: bool = False) -> str:
        """Text of at most so many characters, none of them beyond three bytes of UTF-8."""
        value = self.said.get(name, "")
        if type(value) is not str:  # a number with a fraction is a text of its own kind
            raise invalid(self.at(name), "is no text")
        if len(value) > longest:
            raise invalid(self.at(name), f"is longer than {longest} characters", "TOO_LARGE")
        if not value.isascii() and _SUPPLEMENTARY.search(value):
            raise invalid(self.at(name), "holds characters of four bytes", "BAD_CHARSET")
        if needed and not value:
            raise missing(self.at(name))
        return value

    def number(self, name: str, grammar: re.Pattern[str], *, needed: bool = False) -> str:
        """A number or word that is wholly of a grammar."""
        value = self.text(name, 1_024, needed=needed)
        if value and grammar.fullmatch(value) is None:
            raise invalid(self.at(name), "is too long or has characters that such a number may not have")
        return value

    def money(self, name: str, *, needed: bool = False, smallest: int = 1) -> Money | None:
        """Whole fen."""
        value = self.said.get(name)
        if value is None:
            if needed:
                raise missing(self.at(name))
            return None
        if type(value) is not int or value > MINOR_MAX:
            raise invalid(self.at(name), "is no whole number of fen in range", "AMOUNT_INVALID")
        if value < smallest:
            raise invalid(self.at(name), f"is below {smallest}", "AMOUNT_NOT_POSITIVE")
        return Money(value)

    def flag(self, name: str) -> bool:
        value = self.said.get(name, False)
        if not isinstance(value, bool):
            raise invalid(self.at(name), "is neither true nor false")
        return value

    def time(self, name: str) -> Instant | None:
        value = self.text(name, 64)
        if not value:
            return None
        try:
            return parse_time(value)
        except ValueError as error:
            raise invalid(self.at(name), "is no time of RFC 3339", "EXPIRY_INVALID") from error

    def url(self, name: str, longest: int = 255, *, needed: bool = False) -> str:
        """An absolute address without a query string, which the interface does not take."""
        value = self.text(name, longest, needed=needed)
        if not value:
            return ""
        try:
            split_url(value)
        except ValueError as error:
            raise invalid(self.at(name), str(error), "URL_NOT_ALLOWED") from error
        if "?" in value or "#" in value:
            raise invalid(self.at(name), "holds a query string", "URL_NOT_ALLOWED")
        return value

    def child(self, name: str, *, needed: bool = False) -> Fields:
        value = self.said.get(name)
        if value is None:
            if needed:
                raise missing(self.at(name))
            return Fields({}, self.at(name))
        if not isinstance(value, dict):
            raise invalid(self.at(name), "is no object")
        return Fields(value, self.at(name))

    def children(self, name: str, most: int) -> list[Fields]:
        value = self.said.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid(self.at(name), "is no list of objects")
        if len(value) > most:
            raise invalid(self.at(name), f"has more than {most} members", "TOO_LARGE")
        return [Fields(item, f"{self.at(name)}.{place}") for place, item in enumerate(value)]

    def currency(self, name: str = "currency") -> None:
        if self.text(name, 16) not in ("", "CNY"):
            raise invalid(self.at(name), "is not CNY", "CURRENCY_NOT_ALLOWED")


def filled(said: Mapping[str, Any]) -> dict[str, Any]:
    """The members that say something: neither None, '' nor an empty object or list."""
    return {name: value for name, value in said.items() if value is not None and value not in ("", {}, [])}
