"""Faults planted in refunds and disputes. Each is a ``Cast``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.sim.plant import with_rules
from tongbao.kernel.record import replace
from tongbao.ledger.entry import Entry
from tongbao.service.command import RULES
from tongbao.service.refund import RequestRefund
from tongbao.sim.clerk import Clerk, RefundWish
from tongbao.sim.loop import pause
from tongbao.sim.play import Cast
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Table


def is_refund(command: object, made: object) -> bool:
    """Whether a seller gives something back."""
    return isinstance(command, RequestRefund)


def refund_twice(entry: Entry) -> list[Entry]:
    """The money of a refund moves twice."""
    return [entry, replace(entry, key=f"{entry.key}:again")] if entry.kind == "refund" else [entry]


def bank_refund_twice(entry: Entry) -> list[Entry]:
    """What a bank has carried out is booked twice."""
    return [entry, replace(entry, key=f"{entry.key}:again")] if entry.kind == "refunded" else [entry]


@dataclass
class Forgetful:
    """A sheet on which nothing has gone back yet."""

    sheet: Sheet

    def get(self, table: Table, *key: object) -> Any:
        row = self.sheet.get(table, *key)
        return replace(row, refunded=0) if table is TRADE and row is not None else row

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sheet, name)


def more_than_was_paid(command: Any, sheet: Any, now: Now, lane: int) -> Decision:
    """Each refund is held against the whole sum, whatever went back before."""
    if not isinstance(command, RequestRefund):
        return RULES.decide(command, sheet, now, lane)
    blind: Any = Forgetful(sheet)
    return RULES.decide(command, blind, now, lane)


class NewNumber(Clerk):
    """A clerk who takes a new number when he was not told what became of the last one."""

    async def refund(self, wish: RefundWish) -> None:
        await pause(wish.at)
        for place in range(3):
            word = await self.ask("refund", wish.intent, number=f"{wish.number}{'xyz'[:place]}", amount=wish.amount)
            wish.told.append(word)
            if word != "unknown":
                return
            await pause(self.random.uniform(5, 60))


MORE_THAN_PAID = with_rules(more_than_was_paid)
NEW_NUMBER = Cast(clerk=NewNumber)
