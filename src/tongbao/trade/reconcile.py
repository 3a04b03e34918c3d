"""What the platform's side of reconciliation remembers: bills it has told, banks' statements, lines that do not
agree."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import Instant


class GapState(StrEnum):
    WAITING = "waiting"
    """On one side only: the next day's statement decides."""
    SETTLED = "settled"
    """The other side came."""
    CASE = "case"
    """It did not: a case says what there is to do."""


@record
class Bill:
    """What a merchant was told of one business date. Key: (merchant_id, day, kind, currency). Minor units (I42)."""

    merchant_id: str
    day: int
    kind: str
    currency: str
    opening: int
    income: int
    outcome: int
    fee: int
    lines: int
    made_at: Instant


@record
class Statement:
    """A bank's statement of one business date, compared. Key: (bank, day). ``digest`` names the file (F51);
    ``income`` and ``outcome`` are its sums in minor units."""

    bank: str
    day: int
    digest: str
    lines: int
    income: int
    outcome: int
    matched: int
    waiting: int
    differences: int
    at: Instant


@record
class Gap:
    """A line that stands on one side only. Key: (bank, kind, number, side); ``side`` is ``here`` or ``there``, ``day``
    the statement in which it was missed or found first, ``closed_day`` that which decided, 0 while it waits."""

    bank: str
    kind: str
    number: str
    side: str
    day: int
    amount: int
    currency: str
    at: Instant
    state: str
    case_id: str
    closed_day: int


CHUNK: Final = 200
"""Differences that one command takes at most."""
