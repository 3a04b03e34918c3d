"""Sellers' clerks, unhappy buyers and operators: refunds in storms, and the triangle of an escrow in dispute.

What they are told is kept, and held against what became of it, as a buyer's wishes are (M8).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tongbao.sim.buyer import Intent, buyer_id
from tongbao.sim.loop import Life, pause
from tongbao.sim.platform import BASE
from tongbao.sim.universe import Universe
from tongbao.wire.http import post
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent

TOO_EARLY: Final = frozenset({"TRADE_STATE", "TRADE_NOT_FOUND", "STATE_CONFLICT"})
"""Refusals after which it may be worth asking again: the trade is not paid yet, or not so far."""


@dataclass
class RefundWish:
    """One refund under one number. ``told``: everything that was answered."""

    number: str
    intent: Intent
    amount: int
    at: float
    told: list[str] = field(default_factory=list)


@dataclass
class Quarrel:
    """A buyer wants money back out of escrow; what the seller says, and what operators decide if it comes to that."""

    intent: Intent
    amount: int
    at: float
    agrees: bool
    decided: int


@dataclass
class Sorrow:
    """Everything that is wanted back."""

    wishes: list[RefundWish] = field(default_factory=list)
    quarrels: list[Quarrel] = field(default_factory=list)


class Clerk:
    """One person at a desk. He has no crash: he is the oracle's own memory."""

    def __init__(self, universe: Universe, life: Life, random: Random) -> None:
        self.universe = universe
        self.life = life
        self.random = random

    async def ask(self, act: str, intent: Intent, **fields: Any) -> str:
        """``done``, a refusal's code, or ``unknown``."""
        said = {
            "merchant": intent.shop.merchant,
            "protocol": intent.shop.protocol,
            "order": intent.number,
            "buyer": buyer_id(intent.buyer),
            **fields,
        }
        request = post(f"{BASE}/desk/{act}", json.dumps(said).encode(), "application/json")
        try:
            response = await self.universe.network.send(self.life, request, CALL_LIMITS)
        except (NotSent, NoAnswer):
            return "unknown"
        if response.status >= 500:
            return "unknown"
        word = "done" if response.status == 200 else str(json.loads(response.body)["code"])
        self.universe.note("desk", act, intent.number, word)
        return word

    async def insist(self, act: str, intent: Intent, told: list[str], **fields: Any) -> str:
        """Ask until there is an answer that lasts, six times at most."""
        word = "unknown"
        for _ in range(6):
            word = await self.ask(act, intent, **fields)
            told.append(word)
            if word not in ("unknown", "SYSTEM", *TOO_EARLY):
                return word
            await pause(self.random.uniform(5, 120))
        return word

    async def refund(self, wish: RefundWish) -> None:
        """One refund, asked for under its number until it is known."""
        await pause(wish.at)
        await self.insist("refund", wish.intent, wish.told, number=wish.number, amount=wish.amount)

    async def quarrel(self, case: Quarrel) -> None:
        """The triangle: the buyer asks, the seller answers, operators decide by four eyes."""
        await pause(case.at)
        intent, told = case.intent, list[str]()
        if await self.insist("claim", intent, told, amount=case.amount) != "done":
            return
        await pause(self.random.uniform(1, 200))
        if await self.insist("answer", intent, told, agrees=case.agrees) != "done" or case.agrees:
            return
        await pause(self.random.uniform(1, 200))
        await self.insist("dispute", intent, told)
        await pause(self.random.uniform(1, 200))
        await self.insist("propose", intent, told, amount=case.decided)
        await self.insist("decide", intent, told, amount=case.decided)


def draw_sorrow(universe: Universe, intents: list[Intent]) -> Sorrow:
    """What will be wanted back, drawn from the seed: storms of parallel partial refunds that together may be more than
    was paid, whole refunds, and claims on what escrow holds."""
    plan, random, sorrow = universe.plan, Random(f"sorrow:{universe.plan.seed}"), Sorrow()
    if not plan.sorrow:
        return sorrow
    for intent in intents:
        at, kind = random.uniform(100, 900), random.random()
        if kind < plan.sorrow / 2 and intent.product == "escrow":
            amount = random.choice((intent.asked, max(intent.asked // 3, 1)))
            decided = random.choice((0, amount, max(amount // 2, 1)))
            sorrow.quarrels.append(Quarrel(intent, amount, at, random.random() < 0.4, decided))
        elif kind < plan.sorrow:
            many = random.choice((1, 2, 3, 5))
            part = intent.asked if many == 1 else max(intent.asked // random.choice((1, 2, 3, many)), 1)
            for place in range(many):
                number = f"R{intent.number[1:]}{place}"
                sorrow.wishes.append(RefundWish(number, intent, part, at + random.uniform(0, 2)))
    return sorrow
