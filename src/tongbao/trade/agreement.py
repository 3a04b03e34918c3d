"""What was agreed with a merchant beside his flat fee: rate tables, reserve, early settlement, payouts. As JSON in his
``settings``; read strictly, so that a slip of the pen is refused when it is entered and not when money moves.

::

    {"rates": [{"product": "escrow", "protocol": "", "method": "credit", "rate": 100, "minimum": 1, "cap": 5000}],
     "reserve": {"rate": 500, "days": 7},
     "early": {"rate": 10, "minimum": 100, "cap": 0},
     "payout": {"rate": 0, "minimum": 100, "cap": 100, "most": 5000000, "day": 50000000, "check": 1000000},
     "weak": {"most": 5000000},
     "providers": ["1900000109"],
     "product_urls": {"wechatpay_v2": "https://shop.example/scanned"}}

Rates are basis points; sums are minor units; what is left out is the default. ``providers`` are the numbers of service
providers who may ask for money in this merchant's name. ``product_urls`` are the merchant's addresses, by protocol,
that are asked for an order when a code that names a product is scanned.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import MINOR_MAX, round_half_even
from tongbao.kernel.record import record

RATE_MAX: Final = 10_000

WEAK_MOST: Final = 5_000_000
"""The largest trade, in minor units, that a weak signature (MD5) may ask for unless agreed otherwise (T12)."""


@record
class Rate:
    """A fee: ``rate`` basis points of a sum, at least ``minimum``, at most ``cap`` (0: no cap), in minor units. The
    three names say what it is for; '' is for any."""

    rate: int = 0
    minimum: int = 0
    cap: int = 0
    product: str = ""
    protocol: str = ""
    method: str = ""

    def of(self, amount: int) -> int:
        """The fee of ``amount`` minor units: the rate rounded half to even, then minimum, then cap (T37)."""
        fee = max(round_half_even(amount * self.rate, RATE_MAX), self.minimum)
        return min(fee, self.cap) if self.cap else fee


@record
class Agreement:
    """``reserve_rate`` basis points of each settlement stay back for ``reserve_days`` days. ``early`` None: settlement
    on request is not agreed. ``payout_most``: the largest single payout; ``payout_day``: the most of one business day;
    ``payout_check``: above this more people must agree. 0 is no limit. ``weak_most``: the largest trade that a weak
    signature may ask for (T12)."""

    rates: tuple[Rate, ...] = ()
    reserve_rate: int = 0
    reserve_days: int = 0
    early: Rate | None = None
    payout: Rate = Rate()
    payout_most: int = 0
    payout_day: int = 0
    payout_check: int = 0
    weak_most: int = WEAK_MOST
    providers: tuple[str, ...] = ()
    """Service providers (merchants by number) who may open, look up, close and refund trades of this merchant."""
    product_urls: tuple[tuple[str, str], ...] = ()
    """Pairs of protocol and where the merchant is asked over it when a code of a product is scanned."""

    def product_url(self, protocol: str) -> str:
        """Where the merchant is asked over ``protocol`` when a code of a product is scanned, '' for nowhere."""
        return dict(self.product_urls).get(protocol, "")

    def rate(self, product: str, protocol: str, method: str, flat: Rate) -> Rate:
        """The row that fits and names most; among equals the first; ``flat`` where none fits."""
        best, most = flat, -1
        for row in self.rates:
            said = ((row.product, product), (row.protocol, protocol), (row.method, method))
            if all(name in ("", value) for name, value in said):
                named = sum(1 for name, _ in said if name)
                if named > most:
                    best, most = row, named
        return best


_NUMBERS: Final = {"rate": RATE_MAX, "minimum": MINOR_MAX, "cap": MINOR_MAX}
_PARTS: Final = {
    "reserve": {"rate": RATE_MAX, "days": 366},
    "early": _NUMBERS,
    "payout": {**_NUMBERS, "most": MINOR_MAX, "day": MINOR_MAX, "check": MINOR_MAX},
    "weak": {"most": MINOR_MAX},
}
_NAMES: Final = ("product", "protocol", "method")


def _object(where: str, said: Any, numbers: dict[str, int], names: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Refused("FIELD_INVALID", f"{where}: is not an object")
    for name, value in said.items():
        if name in numbers:
            if type(value) is not int or not 0 <= value <= numbers[name]:
                raise Refused("FIELD_INVALID", f"{where}.{name}: a whole number from 0 to {numbers[name]}")
        elif name not in names:
            raise Refused("FIELD_INVALID", f"{where}.{name}: unknown")
        elif not isinstance(value, str):
            raise Refused("FIELD_INVALID", f"{where}.{name}: is not text")
    return said


def _providers(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(number, str) and number for number in said):
        raise Refused("FIELD_INVALID", "providers: is not a list of merchants' numbers")
    return tuple(said)


def _product_urls(said: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, dict) or not all(isinstance(url, str) and url for url in said.values()):
        raise Refused("FIELD_INVALID", "product_urls: is not an object of addresses by protocol")
    return tuple(said.items())


@lru_cache(1_024)
def read_agreement(text: str) -> Agreement:
    """The agreement in a merchant's ``settings``. Raises Refused FIELD_INVALID naming the field."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise Refused("FIELD_INVALID", "settings: is not JSON") from error
    if not isinstance(said, dict):
        raise Refused("FIELD_INVALID", "settings: is not an object")
    rows = said.get("rates", [])
    if not isinstance(rows, list):
        raise Refused("FIELD_INVALID", "rates: is not a list")
    parts = {name: _object(name, said[name], numbers) for name, numbers in _PARTS.items() if name in said}
    for name in said:
        if name not in (*_PARTS, "rates", "providers", "product_urls"):
            raise Refused("FIELD_INVALID", f"{name}: unknown")
    payout, reserve = parts.get("payout", {}), parts.get("reserve", {})
    return Agreement(
        rates=tuple(Rate(**_object("rates", row, _NUMBERS, _NAMES)) for row in rows),
        reserve_rate=reserve.get("rate", 0),
        reserve_days=reserve.get("days", 0),
        early=Rate(**parts["early"]) if "early" in parts else None,
        payout=Rate(**{name: value for name, value in payout.items() if name in _NUMBERS}),
        payout_most=payout.get("most", 0),
        payout_day=payout.get("day", 0),
        payout_check=payout.get("check", 0),
        weak_most=parts.get("weak", {}).get("most", WEAK_MOST),
        providers=_providers(said.get("providers", [])),
        product_urls=_product_urls(said.get("product_urls", {})),
    )
