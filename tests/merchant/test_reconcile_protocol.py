"""A bill in any protocol's own format is compared with the orders, whatever its charset and packing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.merchant.test_reconcile import DAY_ONE, NOON, own, write_orders
from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.reconcile import bill_of, reconciling
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
