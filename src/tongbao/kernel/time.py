"""Instants and the Chinese business day.

An Instant is whole milliseconds since 1970-01-01T00:00Z. China is a fixed +08:00, so the
calendar needs no zone database. Two readings of the clock exist, and each use names which it means:
*business* time (expiry, retries, settlement) can be advanced; *wire* time (signatures, sessions) never moves.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NewType

Instant = NewType("Instant", int)

CHINA: Final = timezone(timedelta(hours=8))
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_OFFSET: Final = 8 * HOUR
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=CHINA) - timedelta(hours=-8)
_TEXT = re.compile(r"(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})", re.ASCII)


def later(instant: Instant, milliseconds: int) -> Instant:
    """The instant ``milliseconds`` after (or, negative, before) ``instant``."""
    return Instant(instant + milliseconds)


def china(instant: Instant) -> datetime:
    """The aware Chinese wall-clock reading of ``instant``."""
    return _EPOCH + timedelta(milliseconds=instant)


def china_text(instant: Instant) -> str:
    """``yyyy-MM-dd HH:mm:ss`` in China; milliseconds are cut."""
    return china(instant).strftime("%Y-%m-%d %H:%M:%S")


def china_compact(instant: Instant) -> str:
    """``yyyyMMddHHmmss`` in China; milliseconds are cut."""
    return china(instant).strftime("%Y%m%d%H%M%S")


def parse_china(text: str) -> Instant:
    """Read ``yyyy-MM-dd HH:mm:ss`` or ``yyyyMMddHHmmss`` as Chinese time. Raises ValueError on anything else."""
    if _TEXT.fullmatch(text) is None:
        match = _COMPACT.fullmatch(text)
        if match is None:
            raise ValueError("not yyyy-MM-dd HH:mm:ss")
        text = "{}-{}-{} {}:{}:{}".format(*match.groups())
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    return Instant(_day_start(text[:10]) + ((hour * 60 + minute) * 60 + second) * SECOND)


@lru_cache(64)
def _day_start(text: str) -> int:
    """The milliseconds at the beginning of ``yyyy-MM-dd``: messages come in crowds of one day."""
    return (datetime.fromisoformat(text).replace(tzinfo=CHINA) - _EPOCH) // _MILLISECOND


def business_date(instant: Instant) -> date:
    """The day in UTC+8 to which whatever happened at ``instant`` belongs (F32)."""
    return china(instant).date()


def business_day(instant: Instant) -> int:
    """The same day as a number, ``20260131``: how tables store it."""
    return _number_day((instant + _OFFSET) // DAY)


@lru_cache(64)
def _number_day(day: int) -> int:
    """The number of the ``day``-th day since 1970."""
    date = (_EPOCH + timedelta(days=day)).date()
    return date.year * 10_000 + date.month * 100 + date.day


def next_midnight(instant: Instant) -> Instant:
    """The first Chinese midnight after ``instant``."""
    return Instant(((instant + _OFFSET) // DAY + 1) * DAY - _OFFSET)
