"""Planted differences: what is planted in a bill is found by its reconciliation, each in its class, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.merchant.test_reconcile import HEAD, own, paid, write_orders
from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.reconcile import reconciling
from tongbao.merchant.rehearse import agree, plant
from tongbao.wire.bill import PLAIN


@pytest.mark.parametrize("each", [1, 4])
def test_F51_what_is_planted_is_found(tmp_path: Path, each: int) -> None:
    """Every class that a bill can have, so many times."""
    names = [f"N{place}" for place in range(3 * each + 2)]
    planted = plant([paid(name) for name in names], each)
    bill = tmp_path / "bill.csv"
    bill.write_bytes(b"".join(PLAIN.write(HEAD, planted.lines)))
    orders = write_orders(tmp_path / "orders.csv", [own(name) for name in names])
    with reconciling(bill, str(orders), day=HEAD.day) as report:
        assert agree(planted, report.open)
        assert len(report.open) == 4 * each
        assert report.summary["matched"] == 2


def test_F51_a_bill_with_too_few_payments_is_not_made_wrong() -> None:
    """Three payments for each difference of a class."""
    with pytest.raises(ConfigurationError):
        plant([paid("A"), paid("B")], 1)
