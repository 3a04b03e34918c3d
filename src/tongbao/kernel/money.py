"""Money: integer minor units and a currency. Floats and Decimal never touch it (threats T34-T37)."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import ensure
from tongbao.kernel.record import record

MINOR_MAX: Final = 10**13
"""The largest amount a single field may carry, in minor units (T35)."""

TEXT_LENGTH_MAX: Final = 14
"""Amount texts longer than this are refused before any digit is read (T34)."""

EXPONENT: Final = {"CNY": 2, "USD": 2, "EUR": 2, "HKD": 2, "GBP": 2, "JPY": 0}
"""Digits after the point, by currency (ISO 4217)."""

_MAJOR = re.compile(r"(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,2}))?", re.ASCII)
_SIGNED = re.compile(r"-?(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,2}))?", re.ASCII)
_MINOR = re.compile(r"0|[1-9][0-9]{0,13}", re.ASCII)


class InvalidAmount(ValueError):
    """The text is not an amount in the strict grammar of T34."""


@record
class Money:
    """``minor`` units of ``currency`` (fen for CNY). May be negative as a difference; posted amounts never are."""

    minor: int
    currency: str = "CNY"

    def __post_init__(self) -> None:
        ensure(type(self.minor) is int, "money is counted in whole minor units")
        ensure(self.currency in EXPONENT, f"unknown currency {self.currency!r}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __mul__(self, times: int) -> Money:
        ensure(type(times) is int, "money is multiplied by whole numbers only")
        return Money(self.minor * times, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def _same(self, other: Money) -> None:
        ensure(self.currency == other.currency, f"{self.currency} meets {other.currency}")

    def share(self, basis_points: int) -> Money:
        """``basis_points``/10,000 of this sum, rounded half to even on minor units (T37)."""
        return Money(round_half_even(self.minor * basis_points, 10_000), self.currency)

    def allocate(self, weights: list[int]) -> list[Money]:
        """Split by weights without losing a minor unit: the residue goes one by one to the first parts (I32)."""
        total = sum(weights)
        ensure(total > 0 and min(weights) >= 0, "weights are not negative and not all zero")
        parts = [self.minor * weight // total for weight in weights]
        for index in range(self.minor - sum(parts)):
            parts[index % len(parts)] += 1
        return [Money(part, self.currency) for part in parts]

    def text(self) -> str:
        """The amount in major units with every decimal of the currency: ``12.30``, ``-5.00``, JPY ``12``."""
        digits = EXPONENT[self.currency]
        if digits == 0:
            return str(self.minor)
        sign = "-" if self.minor < 0 else ""
        whole, part = divmod(abs(self.minor), 10**digits)
        return f"{sign}{whole}.{part:0{digits}d}"


def round_half_even(numerator: int, denominator: int) -> int:
    """Integer division rounded half to even; both arguments are integers, ``denominator`` positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = remainder * 2
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def parse_major(text: str, currency: str = "CNY", *, signed: bool = False) -> Money:
    """Read ``12``, ``12.3`` or ``12.30`` in major units (yuan). Raises InvalidAmount on anything else (T34)."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidAmount("longer than 14 characters")
    match = (_SIGNED if signed else _MAJOR).fullmatch(text)
    if match is None:
        raise InvalidAmount("not digits with at most two decimals")
    digits = EXPONENT[currency]
    part = match[2] or ""
    if len(part) > digits:
        raise InvalidAmount(f"{currency} has {digits} decimals")
    minor = int(match[1]) * 10**digits + int(part.ljust(digits, "0") or "0")
    if minor > MINOR_MAX:
        raise InvalidAmount("above the largest amount")
    return Money(-minor if text.startswith("-") else minor, currency)


def parse_minor(text: str, currency: str = "CNY") -> Money:
    """Read a whole number of minor units (fen). Raises InvalidAmount on anything else (T34)."""
    if len(text) > TEXT_LENGTH_MAX or _MINOR.fullmatch(text) is None or int(text) > MINOR_MAX:
        raise InvalidAmount("not a whole number of minor units")
    return Money(int(text), currency)
