"""The business calendar: which days banks work in China. Public holidays and make-up working days are data.

The State Council names them late in each year for the next. Years that are not here fall back to weekends only, and
``is_known`` says so; an operator adds days (``Days``) as soon as they are announced.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import DAY, HOUR, Instant, business_date

SETTLE_HOUR: Final = 6 * HOUR
"""Settlement runs on working days from 06:00 in China on."""

_OFFSET: Final = 8 * HOUR
_EPOCH: Final = date(1970, 1, 1)


def _span(first: date, days: int) -> frozenset[date]:
    return frozenset(first + timedelta(days=n) for n in range(days))


HOLIDAYS: Final[dict[int, frozenset[date]]] = {
    2025: _span(date(2025, 1, 1), 1)
    | _span(date(2025, 1, 28), 8)
    | _span(date(2025, 4, 4), 3)
    | _span(date(2025, 5, 1), 5)
    | _span(date(2025, 5, 31), 3)
    | _span(date(2025, 10, 1), 8),
    2026: _span(date(2026, 1, 1), 3)
    | _span(date(2026, 2, 15), 9)
    | _span(date(2026, 4, 4), 3)
    | _span(date(2026, 5, 1), 5)
    | _span(date(2026, 6, 19), 3)
    | _span(date(2026, 9, 25), 3)
    | _span(date(2026, 10, 1), 7),
}
"""Days off, weekends within them included (the State Council's notices of November 2024 and November 2025)."""

MAKE_UP: Final[dict[int, frozenset[date]]] = {
    2025: frozenset({date(2025, 1, 26), date(2025, 2, 8), date(2025, 4, 27), date(2025, 9, 28), date(2025, 10, 11)}),
    2026: frozenset(
        {
            date(2026, 1, 4),
            date(2026, 2, 14),
            date(2026, 2, 28),
            date(2026, 5, 9),
            date(2026, 9, 20),
            date(2026, 10, 10),
        }
    ),
}
"""Days of weekends on which China works, to make up for the holidays."""


@record
class CalendarDay:
    """A day an operator added. ``day`` as ``20270101``; ``working`` says whether banks work; the later entry counts."""

    day: int
    working: bool
    actor: str
    reason: str
    at: Instant


@record
class Days:
    """An operator's own days, beside the tables and stronger than they."""

    off: frozenset[date] = frozenset()
    on: frozenset[date] = frozenset()


def own_days(rows: Iterable[CalendarDay]) -> Days:
    """The days that operators added."""
    kept = list(rows)
    return Days(
        frozenset(read_day(row.day) for row in kept if not row.working),
        frozenset(read_day(row.day) for row in kept if row.working),
    )


def is_known(year: int) -> bool:
    """Whether the public holidays of ``year`` are in the tables; weekends alone count in other years."""
    return year in HOLIDAYS


def is_working(day: date, own: Days | None = None) -> bool:
    """Whether banks work on ``day`` in China."""
    if own is not None and (day in own.on or day in own.off):
        return day in own.on
    if day in MAKE_UP.get(day.year, ()):
        return True
    return day.weekday() < 5 and day not in HOLIDAYS.get(day.year, ())


def next_working(day: date, own: Days | None = None) -> date:
    """The first working day after ``day``: when what was paid on ``day`` is settled (T+1)."""
    found = day + timedelta(days=1)
    while not is_working(found, own):
        found += timedelta(days=1)
    return found


def last_working(day: date, own: Days | None = None) -> date:
    """``day`` itself where banks work on it, else the last working day before it."""
    while not is_working(day, own):
        day -= timedelta(days=1)
    return day


def write_day(day: date) -> int:
    """``20260131``: how tables store a day."""
    return day.year * 10_000 + day.month * 100 + day.day


def read_day(number: int) -> date:
    """The inverse of ``write_day``. Raises ValueError."""
    return date(number // 10_000, number // 100 % 100, number % 100)


def settle_time(day: date) -> Instant:
    """When settlement begins on a working day."""
    return Instant((day - _EPOCH).days * DAY - _OFFSET + SETTLE_HOUR)


def settled_day(now: Instant, own: Days | None = None) -> date:
    """The last business date that is due for settlement at ``now``: the day before the latest working day whose
    settlement has begun. Everything up to it belongs to that batch, the days off before it included."""
    today = business_date(now)
    if now < settle_time(today):
        today -= timedelta(days=1)
    return last_working(today, own) - timedelta(days=1)


def next_settlement(now: Instant, own: Days | None = None) -> Instant:
    """When the next settlement begins."""
    today = business_date(now)
    if now < settle_time(today) and is_working(today, own):
        return settle_time(today)
    return settle_time(next_working(today, own))
