"""Our own bill: T64, F51. What is written is read back; nothing in it is a formula; a cut file is no bill."""

from __future__ import annotations

import csv
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import MINOR_MAX, Money
from tongbao.kernel.time import Instant
from tongbao.wire.bill import COLUMNS, KINDS, PLAIN, guard, parse_day, unguard
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

HEAD = BillHead(merchant="2088000000000001", day=date(2026, 1, 31))
FORMULA = "=+-@\t\r\n\0＝＋－＠|%\"',; "

texts = st.one_of(
    st.text(f"aZ0中文𠮷{FORMULA}", max_size=12),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.from_regex(r"[0-9]{20,28}", fullmatch=True),
)
sums = st.integers(0, MINOR_MAX)
instants = st.integers(0, 4_000_000_000_000).map(Instant)


@st.composite
def lines(draw: st.DrawFn) -> BillLine:
    """Any line of a bill."""
    currency = draw(st.sampled_from(("CNY", "CNY", "JPY")))
    names = (
        "out_trade_no",
        "trade_no",
        "refund_no",
        "refund_id",
        "serial",
        "subject",
        "method",
        "bank",
        "state",
        "memo",
    )
    said = {name: draw(texts) for name in names}
    return BillLine(
        kind=draw(st.sampled_from(KINDS)),
        at=draw(instants),
        income=Money(draw(sums), currency),
        outcome=Money(draw(sums), currency),
        fee=Money(draw(st.integers(-1_000, MINOR_MAX)), currency),
        amount=draw(st.none() | sums.map(lambda value: Money(value, currency))),
        balance=draw(st.none() | st.integers(-MINOR_MAX, MINOR_MAX).map(lambda value: Money(value, currency))),
        buyer=Party(draw(texts), draw(texts)),
        created_at=draw(st.none() | instants),
        asked_at=None,
        rate=draw(st.none() | st.integers(0, 10_000)),
        echo={},
        **said,
    )


def split(data: bytes, size: int) -> list[bytes]:
    """The same bytes in pieces, as a network brings them."""
    return [data[place : place + size] for place in range(0, len(data), size)]


@pytest.mark.slow
@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(lines(), max_size=6), st.integers(1, 400))
def test_T64_a_bill_is_read_back_as_it_was_written(bill: list[BillLine], size: int) -> None:
    """In whatever pieces it comes."""
    data = b"".join(PLAIN.write(HEAD, bill))
    assert list(PLAIN.read(split(data, size))) == bill


@settings(max_examples=200, deadline=None, derandomize=True)
@given(texts)
def test_T64_no_text_becomes_a_formula(text: str) -> None:
    """A cell begins with a letter or an apostrophe, and the rule has an inverse."""
    cell = guard(text)
    assert not cell or cell[0] == "'" or cell[0].isalpha()
    assert unguard(cell) == text


def test_T64_a_spreadsheet_sees_only_text_and_numbers_of_ours() -> None:
    """Every cell of a nasty line, as another CSV reader sees it."""
    nasty = BillLine(
        kind="payment",
        at=Instant(0),
        income=Money(1),
        outcome=Money(0),
        fee=Money(0),
        out_trade_no="=HYPERLINK(1)",
        subject="＝1+1",
        memo="\t@SUM(A1)",
        serial="00123456789012345678",
    )
    data = b"".join(PLAIN.write(HEAD, [nasty])).decode("utf-8-sig")
    row = dict(zip(COLUMNS, list(csv.reader(data.splitlines()))[1], strict=True))
    assert [row[name] for name in ("out_trade_no", "subject", "memo", "serial", "income")] == [
        "'=HYPERLINK(1)",
        "'＝1+1",
        "'\t@SUM(A1)",
        "'00123456789012345678",
        "0.01",
    ]


LINE = BillLine(kind="payment", at=Instant(0), income=Money(1_000), outcome=Money(0), fee=Money(6), out_trade_no="A")
GOOD = b"".join(PLAIN.write(HEAD, [LINE, LINE]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[: GOOD.rindex(b"total")],
        GOOD[:-20],
        GOOD.replace(b"10.00", b"10.01", 1),
        GOOD.replace(b"10.00", b"10.0", 1),
        GOOD.replace(b"10.00", b"1e1", 1),
        GOOD.replace(b"payment", b"gift", 1),
        GOOD.replace(b"CNY", b"ABC", 1),
        GOOD.replace(b",A,", b",=A,", 1),
        GOOD.replace(b",A,", b",\xff,", 1),
        GOOD.replace(b",A,", b',"A,', 1),
        GOOD.replace(b"08:00:00.000", b"08:00:00", 1),
        GOOD.replace(b"kind", b"Kind", 1),
        GOOD + GOOD.splitlines(keepends=True)[1],
        GOOD.replace(b"payment", b"payment,", 1),
        b"\xef\xbb\xbf" + b"x" * 1_000_000,
    ],
)
def test_F51_a_cut_or_changed_bill_is_refused(data: bytes) -> None:
    """Any damage is a RemoteProtocolError, and never another exception."""
    with pytest.raises(RemoteProtocolError):
        list(PLAIN.read(split(data, 64)))


def test_F51_an_empty_bill_is_a_bill() -> None:
    """Nothing moved, and the file says so."""
    assert list(PLAIN.read([b"".join(PLAIN.write(HEAD, []))])) == []
    assert PLAIN.file_name(HEAD) == "tongbao-2088000000000001-20260131-trade.csv"


def test_F32_a_day_is_written_in_two_ways() -> None:
    """And in no other."""
    assert parse_day("20260131") == parse_day("2026-01-31") == date(2026, 1, 31)
    for wrong in ("2026-1-31", "31.01.2026", "2026-02-30", "", "２０２６０１３１", "202601-31"):
        with pytest.raises(ValueError):
            parse_day(wrong)
