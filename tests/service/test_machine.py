"""A state machine over the real platform on SQLite, beside a model of a few lines; the auditor after every step."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.support.platform import PLENTY, House, Stage, refusal
from tongbao.kernel.money import round_half_even
from tongbao.kernel.time import DAY
from tongbao.trade.record import EXPIRY_DEFAULT, RELEASE_AFTER

AMOUNT = 1_000
FEE = 6


@dataclass
class Claim:
    """What the model knows of a trade."""

    product: str
    opened: int
    state: str = "unpaid"
    shipped: int = 0
    attempts: dict[str, str] = field(default_factory=dict)
    from_balance: bool = False
    refunded: int = 0
    earned: int = 0
    fee: int = 0


class Platform(RuleBasedStateMachine):
    """Acts in any order, the forbidden ones included; each answer and each balance as the model says."""

    template: Path
    trades = Bundle("trades")
    payments = Bundle("payments")

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Claim] = {}
        self.buyer, self.suspense = PLENTY, 0
        self.folder = tempfile.TemporaryDirectory(prefix="tongbao-machine-")
        self.books = Path(self.folder.name) / "books.sqlite"
        self.stack = AsyncExitStack()
        self.runner = asyncio.Runner()
        self.house: House

    @initialize()
    def begin(self) -> None:
        shutil.copy(self.template, self.books)

        async def enter() -> House:
            house = await self.stack.enter_async_context(Stage("sqlite", str(self.books)).open_house())
            await house.furnish()
            return house

        self.house = self.runner.run(enter())

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def code(self, act: Any) -> str:
        return self.runner.run(refusal(act))

    def payable(self, claim: Claim) -> bool:
        return claim.state == "unpaid" and self.house.clock.now < claim.opened + EXPIRY_DEFAULT

    def take(self, claim: Claim) -> None:
        claim.state = "finished" if claim.product == "instant" else "escrowed"
        if claim.state == "finished":
            claim.earned, claim.fee = AMOUNT - FEE, FEE

    def let_go(self, claim: Claim) -> None:
        """Escrow pays what is left, less the fee on it: 60 basis points, half to even, one fen at least."""
        held = AMOUNT - claim.refunded
        claim.fee = max(round_half_even(held * 60, 10_000), 1)
        claim.state, claim.earned = "finished", held - claim.fee

    @rule(target=trades, product=st.sampled_from(["instant", "escrow", "dual"]))
    def open(self, product: str) -> str:
        number = f"T{len(self.claims)}"
        self.runner.run(self.house.open(number, product))
        self.claims[number] = Claim(product, self.house.clock.now)
        return number

    @rule(number=trades)
    def pay(self, number: str) -> None:
        claim = self.claims[number]
        allowed = self.payable(claim)
        assert self.code(self.house.pay(number)) == ("" if allowed else "TRADE_NOT_PAYABLE")
        if allowed:
            self.buyer -= AMOUNT
            claim.from_balance = True
            self.take(claim)

    @rule(target=payments, number=trades, bank=st.sampled_from(["ICBC", "CCB"]))
    def start(self, number: str, bank: str) -> Any:
        claim = self.claims[number]
        if not self.payable(claim):
            assert self.code(self.house.start(number, bank=bank)) == "TRADE_NOT_PAYABLE"
            return multiple()
        instruction = self.runner.run(self.house.start(number, bank=bank))
        claim.attempts[instruction] = "pending"
        return number, instruction

    @rule(payment=payments, result=st.sampled_from(["succeeded", "failed"]))
    def say(self, payment: tuple[str, str], result: str) -> None:
        number, instruction = payment
        claim = self.claims[number]
        state = claim.attempts[instruction]
        expected = {"captured": "succeeded", "late": "succeeded", "returned": "succeeded"}.get(state, state)
        said = self.runner.run(self.house.say(instruction, result)).what
        if expected == result:
            assert said == "repeated"
        elif expected == "succeeded":
            assert said == "disputed"
        elif result == "failed":
            assert said == "failed"
            claim.attempts[instruction] = "failed"
        elif claim.state == "unpaid" and state == "pending":
            assert said == "captured"
            claim.attempts[instruction] = "captured"
            self.take(claim)
        else:
            assert said == "late"
            claim.attempts[instruction] = "late"
            self.suspense += AMOUNT

    @rule(payment=payments)
    def give_back(self, payment: tuple[str, str]) -> None:
        number, instruction = payment
        claim = self.claims[number]
        refund = f"{instruction[:-1]}R"
        late = claim.attempts[instruction] == "late"
        code = self.code(self.house.say(refund))
        if late:
            claim.attempts[instruction] = "returned"
            self.suspense -= AMOUNT
        assert code == ("" if claim.attempts[instruction] == "returned" else "PAYMENT_NOT_FOUND")

    @rule(number=trades)
    def close(self, number: str) -> None:
        claim = self.claims[number]
        assert self.code(self.house.close(number)) == ("" if claim.state == "unpaid" else "TRADE_STATE")
        if claim.state == "unpaid":
            claim.state = "closed"

    @rule(number=trades)
    def ship(self, number: str) -> None:
        claim = self.claims[number]
        allowed = claim.state in ("escrowed", "shipped")
        assert self.code(self.house.ship(number)) == ("" if allowed else "TRADE_STATE")
        if claim.state == "escrowed":
            claim.state, claim.shipped = "shipped", self.house.clock.now

    @rule(number=trades)
    def confirm(self, number: str) -> None:
        claim = self.claims[number]
        paid = claim.state in ("escrowed", "shipped", "finished")
        expected = "TRADE_STATE" if paid else "TRADE_NOT_FOUND"
        if claim.state == "closed" and claim.refunded:
            expected = "TRADE_STATE"
        assert self.code(self.house.confirm(number)) == ("" if claim.state == "shipped" else expected)
        if claim.state == "shipped":
            self.let_go(claim)

    @rule(number=trades, amount=st.sampled_from([1, 17, 400, AMOUNT]))
    def refund(self, number: str, amount: int) -> None:
        claim = self.claims[number]
        held = claim.state in ("escrowed", "shipped")
        if held and not claim.from_balance:
            return
        if held or (claim.state == "closed" and claim.refunded):
            expected = "" if amount <= AMOUNT - claim.refunded else "REFUND_EXCEEDS"
        else:
            expected = "REFUND_EXPIRED" if claim.state == "finished" else "TRADE_STATE"
        assert self.code(self.house.refund(number, amount)) == expected
        if not expected:
            claim.refunded += amount
            self.buyer += amount
            if claim.refunded == AMOUNT:
                claim.state = "closed"

    @rule(days=st.integers(1, 16))
    def wait(self, days: int) -> None:
        now = self.house.clock.advance(days * DAY)
        for number, claim in self.claims.items():
            self.runner.run(self.house.tick(number))
            if claim.state == "unpaid" and not self.payable(claim):
                claim.state = "closed"
            elif claim.state == "shipped" and now >= claim.shipped + RELEASE_AFTER:
                self.let_go(claim)

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "house"):
            return
        balances = self.runner.run(self.house.balances())
        states = [claim.state for claim in self.claims.values()]
        expected = {
            "buyer": self.buyer,
            "suspense": self.suspense,
            "escrow": sum(
                AMOUNT - one.refunded for one in self.claims.values() if one.state in ("escrowed", "shipped")
            ),
            "pending": sum(claim.earned for claim in self.claims.values()),
            "fee": sum(claim.fee for claim in self.claims.values()),
        }
        assert {name: balances.get(name, 0) for name in expected} == expected
        assert sum(balances.values()) == 0
        trades = [self.runner.run(self.house.trade(number)) for number in self.claims]
        assert [trade.state for trade in trades] == states
        assert self.runner.run(self.house.audit()) == []


@pytest.mark.parametrize(
    ("examples", "steps"), [(5, 15), pytest.param(60, 30, marks=pytest.mark.slow)], ids=["short", "long"]
)
@pytest.mark.slow
def test_the_platform_does_what_the_model_says(examples: int, steps: int, sqlite_template: Path) -> None:
    """Random acts in random order; after each of them states, balances and the audit are right."""

    class Run(Platform):
        template = sqlite_template

    run_state_machine_as_test(Run, settings=settings(max_examples=examples, stateful_step_count=steps))
