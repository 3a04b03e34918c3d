"""I18, T48: the tables of states: what leads where, and that nothing leaves a final state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tongbao.kernel.error import Refused
from tongbao.trade.record import ATTEMPTS_MAX, payment_number
from tongbao.trade.state import (
    CLAIM_MOVES,
    ENDED,
    INSTRUCTION_MOVES,
    PAYMENT_MOVES,
    REFUND_MOVES,
    TRADE_MOVES,
    ClaimState,
    InstructionState,
    PaymentState,
    RefundState,
    TradeState,
    move_claim,
    move_instruction,
    move_payment,
    move_refund,
    move_trade,
)

TABLES: list[tuple[Any, frozenset[tuple[str, str]], Callable[[str, Any], Any], str]] = [
    (TradeState, TRADE_MOVES, move_trade, "TRADE_STATE"),
    (PaymentState, PAYMENT_MOVES, move_payment, "PAYMENT_STATE"),
    (InstructionState, INSTRUCTION_MOVES, move_instruction, "STATE_CONFLICT"),
    (RefundState, REFUND_MOVES, move_refund, "STATE_CONFLICT"),
]
CIRCLE = (ClaimState, CLAIM_MOVES, move_claim, "STATE_CONFLICT")
"""A claim may come round: it is asked again."""


@pytest.mark.parametrize(("states", "moves", "move", "code"), [*TABLES, CIRCLE])
def test_I18_a_move_is_in_the_table_or_refused(
    states: Any, moves: frozenset[tuple[str, str]], move: Callable[[str, Any], Any], code: str
) -> None:
    """Every pair of states: allowed exactly where the table says so, refused by its own name elsewhere."""
    for before, after in product(["", "nonsense", *states], states):
        if (before, after) in moves:
            assert move(str(before), after) == after
            continue
        with pytest.raises(Refused) as caught:
            move(str(before), after)
        assert caught.value.code == code


@pytest.mark.parametrize(("states", "moves", "move", "code"), TABLES)
def test_I18_every_state_can_be_reached(
    states: Any, moves: frozenset[tuple[str, str]], move: Callable[[str, Any], Any], code: str
) -> None:
    """From nothing, by moves of the table; and no move leads back to where it began."""
    reached = {""}
    while fresh := {after for before, after in moves if before in reached} - reached:
        reached |= fresh
    assert reached == {"", *states}
    for state in states:
        seen: set[str] = set()
        ahead = {after for before, after in moves if before == state}
        while ahead - seen:
            seen |= ahead
            ahead = {after for before, after in moves if before in seen}
        assert state not in seen


def test_I18_nothing_leaves_an_ended_trade() -> None:
    """Finished and closed are final."""
    assert {before for before, _ in TRADE_MOVES} & ENDED == set()


def test_payment_numbers() -> None:
    """The trade's number and two digits: 99 attempts fit."""
    assert payment_number("1" * 28, 7) == "1" * 28 + "07"
    assert len(payment_number("1" * 28, ATTEMPTS_MAX)) == 30
