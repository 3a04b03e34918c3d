"""The account's rows: no text of a buyer or a shop becomes a formula, and what was written is read back."""

from __future__ import annotations

import csv

import pytest

from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
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
