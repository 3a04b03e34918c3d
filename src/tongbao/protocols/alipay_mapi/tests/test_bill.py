"""The account's rows: no text of a buyer or a shop becomes a formula, and what was written is read back."""

from __future__ import annotations

import csv

import pytest

from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.alipay_mapi.account import read_line, write_line
from tongbao.protocols.alipay_mapi.bill import read_row, write_row
from tongbao.wire.movement import BillLine


@pytest.mark.parametrize(
    "text", ["=1+1", " =1+1", "+1", "-1", "@x", "＝1+1", "＋1", "－1", "＠x", "'x", "苹果", "\t=1"]
)
def test_T64_no_cell_is_a_formula(text: str) -> None:
    """Whatever stands first, half or full width, a spreadsheet sees a text."""
    at = parse_china("2026-01-01 12:00:00")
    line = BillLine(
        kind="payment",
        at=at,
        income=Money(100),
        outcome=Money(0),
        fee=Money(0),
        out_trade_no="T1",
        subject=text,
        memo=text,
    )
    row = write_row(line)
    [cells] = csv.reader([row])
    for cell in (cells[0], cells[11], cells[13]):
        assert cell.lstrip()[0] not in "=+-@＝＋－＠\t"
    assert read_row(row, 1).memo == text.replace("\t", " ")


@pytest.mark.parametrize("memo", ["0 ", " 退款", "  ", ""])
def test_a_line_of_the_account_keeps_the_blanks_of_its_texts(memo: str) -> None:
    """One blank alone is how the platform wrote nothing; every other blank is the text's own."""
    said = BillLine(
        kind="payout",
        at=parse_china("2008-01-01 00:00:00"),
        income=Money(0),
        outcome=Money(1),
        fee=Money(0),
        serial="2015040100001",
        subject=memo,
        memo=memo,
    )
    read = read_line(write_line(said, "2088000000000001"))
    assert (read.memo, read.subject, read.serial) == (memo, memo, said.serial)
