"""F32: every instant belongs to exactly one Chinese business day; texts are read strictly."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongbao.kernel.time import (
    DAY,
    Instant,
    business_date,
    business_day,
    china_compact,
    china_text,
    next_midnight,
    parse_china,
)

INSTANTS = st.integers(0, 4_102_444_800_000 - 1).map(Instant)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-02-28 23:59:59", 20260228),
        ("2026-03-01 00:00:00", 20260301),
        ("2028-02-29 00:00:00", 20280229),
        ("2028-02-29 23:59:59", 20280229),
        ("2028-03-01 00:00:00", 20280301),
        ("2026-12-31 23:59:59", 20261231),
        ("2027-01-01 00:00:00", 20270101),
        ("2026-04-30 23:59:59", 20260430),
    ],
)
def test_F32_a_second_belongs_to_one_day(text: str, day: int) -> None:
    """Month ends, the leap day, the turn of the year: the last second and the first."""
    assert business_day(parse_china(text)) == day
    assert china_text(parse_china(text)) == text


@given(INSTANTS)
def test_F32_days_follow_each_other(instant: Instant) -> None:
    """Midnight is the first instant of the next day; a millisecond before it is still today."""
    midnight = next_midnight(instant)
    assert 0 < midnight - instant <= DAY
    assert business_date(Instant(midnight - 1)) == business_date(instant)
    assert business_date(midnight) == business_date(instant) + timedelta(days=1)


@given(INSTANTS)
def test_text_and_back(instant: Instant) -> None:
    """Both spellings give the second back."""
    second = Instant(instant // 1_000 * 1_000)
    assert parse_china(china_text(instant)) == parse_china(china_compact(instant)) == second


def test_the_epoch() -> None:
    """1970 began at eight in the morning in China."""
    assert (china_text(Instant(0)), business_date(Instant(0))) == ("1970-01-01 08:00:00", date(1970, 1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-30 00:00:00",
        "2026-2-3 0:0:0",
        "2026-02-28T00:00:00",
        "2026-02-28 24:00:00",
        "２０２６-02-28 00:00:00",
        "20260228",
        "2026-02-28 00:00:00\n",
        " 2026-02-28 00:00:00",
        "2027-02-29 00:00:00",
        "2026-02-28 00:00:60",
    ],
)
def test_F33_other_texts_are_refused(text: str) -> None:
    """No guessing."""
    with pytest.raises(ValueError):
        parse_china(text)
