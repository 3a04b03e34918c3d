"""The business calendar of China: holidays, make-up days, operators' days, and years nobody has announced yet."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tongbao.kernel.time import Instant, parse_china
from tongbao.trade.calendar import (
    HOLIDAYS,
    MAKE_UP,
    CalendarDay,
    Days,
    is_known,
    is_working,
    last_working,
    next_settlement,
    next_working,
    own_days,
    read_day,
    settle_time,
    settled_day,
    write_day,
)


@pytest.mark.parametrize(
    ("day", "after"),
    [
        (date(2025, 1, 24), date(2025, 1, 26)),  # the Sunday before the Spring Festival is worked
        (date(2025, 1, 27), date(2025, 2, 5)),
        (date(2025, 2, 7), date(2025, 2, 8)),
        (date(2025, 9, 30), date(2025, 10, 9)),
        (date(2026, 1, 2), date(2026, 1, 4)),
        (date(2026, 2, 13), date(2026, 2, 14)),
        (date(2026, 2, 14), date(2026, 2, 24)),
        (date(2026, 4, 3), date(2026, 4, 7)),
        (date(2026, 4, 30), date(2026, 5, 6)),
        (date(2026, 6, 18), date(2026, 6, 22)),
        (date(2026, 9, 30), date(2026, 10, 8)),
        (date(2026, 12, 31), date(2027, 1, 1)),  # 2027 is not announced here: weekends only
        (date(2028, 2, 28), date(2028, 2, 29)),
    ],
)
def test_F32_the_next_working_day(day: date, after: date) -> None:
    """T+1 over holidays, month ends and a leap day."""
    assert next_working(day) == after


def test_the_tables_are_consistent() -> None:
    """A make-up day is a weekend day outside the holidays; every year has both; years without say so."""
    for year, days in HOLIDAYS.items():
        assert all(day.year == year for day in days | MAKE_UP[year])
        assert not days & MAKE_UP[year]
        assert all(day.weekday() >= 5 for day in MAKE_UP[year])
        assert {day.strftime("%m-%d") for day in days} >= {"01-01", "05-01", "10-01", "10-02", "10-03"}
    assert [is_known(year) for year in (2025, 2026, 2027)] == [True, True, False]


def test_an_operators_days_are_stronger() -> None:
    """A day off among working days, and a working day on a weekend; the rows are as the table has them."""
    own = own_days(
        [
            CalendarDay(20270208, False, "olga", "Spring Festival", Instant(0)),
            CalendarDay(20270220, True, "olga", "make-up", Instant(0)),
        ]
    )
    assert own == Days(frozenset({date(2027, 2, 8)}), frozenset({date(2027, 2, 20)}))
    assert [is_working(date(2027, 2, day), own) for day in (5, 8, 20, 21)] == [True, False, True, False]
    assert next_working(date(2027, 2, 5), own) == date(2027, 2, 9)
    assert last_working(date(2027, 2, 8), own) == date(2027, 2, 5)


@pytest.mark.parametrize(
    ("now", "settled", "following"),
    [
        ("2026-03-02 05:59:59", "2026-02-28 -1", "2026-03-02"),  # Monday before six: last begun on Saturday the 28th
        ("2026-03-02 06:00:00", "2026-03-01 0", "2026-03-03"),
        ("2026-03-07 12:00:00", "2026-03-05 0", "2026-03-09"),  # a Saturday: Friday's batch was the last
        ("2026-10-05 12:00:00", "2026-09-29 0", "2026-10-08"),
    ],
)
def test_which_day_is_due(now: str, settled: str, following: str) -> None:
    """Settlement begins at six on working days and covers everything up to the day before."""
    at = parse_china(now)
    day, _, shift = settled.partition(" ")
    assert settled_day(at) == date.fromisoformat(day) + timedelta(days=int(shift))
    assert next_settlement(at) == settle_time(date.fromisoformat(following))


def test_days_as_numbers() -> None:
    """Written and read back; what is no day is refused."""
    assert read_day(write_day(date(2026, 1, 31))) == date(2026, 1, 31)
    with pytest.raises(ValueError, match="day"):
        read_day(20260231)
