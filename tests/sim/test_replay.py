"""The small second ledger."""

from __future__ import annotations

from tongbao.sim.replay import replay

TOP_UP = (0, 1, "topup:1", "topup", "bank:ICBC:0:CNY", "buyer:1:balance:CNY", 500)
PAY = (0, 2, "pay:1", "pay", "buyer:1:balance:CNY", "merchant:2:pending:CNY", 200)


def test_entries_add_up_to_balances() -> None:
    """Credits less debits."""
    balances, wrong = replay([TOP_UP, PAY])
    assert wrong == []
    assert balances == {"bank:ICBC:0:CNY": -500, "buyer:1:balance:CNY": 300, "merchant:2:pending:CNY": 200}


def test_what_an_entry_may_not_do_is_named() -> None:
    """A kind that takes from where it may not, a key used twice, a gap, a buyer below zero."""
    taken = (0, 3, "pay:2", "topup", "merchant:2:pending:CNY", "buyer:1:balance:CNY", 1)
    assert replay([TOP_UP, PAY, taken])[1] == ["topup moves money from merchant:2:pending:CNY to buyer:1:balance:CNY"]
    assert replay([TOP_UP, (0, 2, *TOP_UP[2:])])[1] == ["topup:1 was posted twice"]
    assert replay([TOP_UP, (0, 3, *PAY[2:])])[1] == ["lane 0 jumps from 1 to 3"]
    assert replay([(0, 1, *PAY[2:])])[1] == ["buyer:1:balance:CNY ends at -200"]
