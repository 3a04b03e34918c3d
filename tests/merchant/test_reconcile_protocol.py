"""A bill in any protocol's own format is compared with the orders, whatever its charset and packing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.merchant.test_reconcile import DAY_ONE, NOON, own, write_orders
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.match import Matcher, Side
from tongbao.merchant.reconcile import add_whole, bill_of, reconciling
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

WITH_BILL = [name for name in protocol_names() if load_protocol(name).bill is not None]


def line(number: str, amount: int) -> BillLine:
    """A payment with everything that a bill may want to say."""
    return BillLine(
        kind="payment",
        at=NOON,
        income=Money(amount),
        outcome=Money(0),
        fee=Money(0),
        out_trade_no=number,
        trade_no=f"2026030122001400001000{number[-6:]}",
        amount=Money(amount),
        balance=Money(amount * 9),
        serial=f"1000{number[-6:]}",
        subject="青瓷茶具",
        buyer=Party("2088000000000099", "b***@example.com"),
        method="balance",
        state="paid",
        created_at=NOON,
    )


@pytest.mark.parametrize("name", WITH_BILL)
def test_F51_a_bill_of_any_protocol_is_compared(name: str, tmp_path: Path) -> None:
    """One order agrees, one has another sum, one is missing on each side."""
    merchant = load_protocol(name).merchant_example
    head, end = BillHead(merchant=merchant, day=DAY_ONE), bill_of(name)
    lines = [line("20260301000001", 1_000), line("20260301000002", 999), line("20260301000003", 500)]
    try:
        data = b"".join(end.write(head, lines))
    except LocalProtocolError:
        head = replace(head, kind="account")
        data = b"".join(end.write(head, lines))
    bill = tmp_path / end.file_name(head)
    bill.write_bytes(data)
    rows = [own("20260301000001"), own("20260301000002"), own("20260301000004")]
    orders = write_orders(tmp_path / "orders.csv", rows)
    with reconciling(bill, str(orders), protocol=name, day=DAY_ONE) as report:
        assert report.open == [
            ("amount_differs", "20260301000002"),
            ("missing_here", "20260301000003"),
            ("missing_there", "20260301000004"),
        ]
        assert report.summary["matched"] == 1


WITH_SHAPE = [name for name in WITH_BILL if getattr(load_protocol(name).bill, "shape", None) is not None]


@pytest.mark.parametrize("name", ["", *WITH_SHAPE])
def test_F51_a_file_that_is_read_whole_says_what_its_reader_says(name: str, tmp_path: Path) -> None:
    """Where a bill's shape is known the engine reads the file itself: the same lines and sums, and never a cut one."""
    end = bill_of(name)
    head = BillHead(merchant="2088000000000001", day=DAY_ONE, kind="account")
    back = replace(line("20260301000002", 0), kind="refund", outcome=Money(1_234), refund_no="", subject='鎔,"|\\')
    fee = replace(line("20260301000003", 0), kind="fee", outcome=Money(7))
    data = b"".join(end.write(head, [line("20260301000001", 1_000), back, fee]))
    path, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    path.write_bytes(data)
    rows = data.split(b"\n")
    cut.write_bytes(b"\n".join(row for row in rows if b"20260301000002" not in row))
    orders = write_orders(tmp_path / "orders.csv", [])
    with reconciling(path, str(orders), protocol=name) as report:
        assert report.match.read[Side.THERE] == (3, 1_000 + 1_234 + 7)
        assert report.open == [("missing_here", "20260301000001"), ("missing_here", "20260301000002")]
    for number, (file, fits) in enumerate(((path, True), (cut, False))):
        place = tmp_path / str(number)
        place.mkdir()
        with Matcher(place) as matcher:
            assert add_whole(matcher, file, end.shape, packed=False) is fits  # type: ignore[attr-defined]
    with pytest.raises(RemoteProtocolError), reconciling(cut, str(orders), protocol=name):
        pass
