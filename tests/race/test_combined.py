"""Races for combined orders between two nodes on one database: each order is paid whole or not at all, once."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.support.platform import BUYER, MERCHANT, PAY_PASSWORD, PROTOCOL, House, Stage, make_intent, refusal
from tongbao.kernel.money import Money
from tongbao.ledger.account import buyer_balance
from tongbao.service import checkout
from tongbao.service.combine import CloseTogether, PayTogether
from tongbao.service.combine_act import find_combined, parts_of
from tongbao.service.create import Asker
from tongbao.service.escrow import OperatorClose
from tongbao.service.password import TOGETHER
from tongbao.service.pay import PayFromBalance
from tongbao.wire.vocabulary import CombinedPart, CreateCombined

pytestmark = pytest.mark.slow
ROUNDS = 12
SUMS = (300, 20, 1)


def _whole(n: int) -> CreateCombined:
    parts = tuple(CombinedPart(out_trade_no=f"P{n}-{m}", subject="茶", amount=Money(fen)) for m, fen in enumerate(SUMS))
    return CreateCombined(merchant=MERCHANT, out_trade_no=f"W{n}", parts=parts)


async def _attack(nodes: tuple[House, House], n: int, chance: random.Random) -> None:
    """Everybody at once, each through either node: two openings, three payments, a close, an operator, a till."""
    one, two = nodes
    opened = await asyncio.gather(*[refusal(node.ask(_whole(n))) for node in nodes])
    assert opened == ["", ""]
    combined = await find_combined(one.platform, MERCHANT, f"W{n}")
    parts = await parts_of(one.platform, combined)
    words = [
        await checkout.authorise(node.platform, BUYER, TOGETHER, combined, PAY_PASSWORD) for node in (one, two, one)
    ]
    pays = [PayTogether(MERCHANT, f"W{n}", parts, BUYER, word) for word in words]
    tries = [node.submit(pay) for node, pay in zip((one, two, one), pays, strict=True)]
    tries.append(two.submit(PayTogether(MERCHANT, f"W{n}", parts, BUYER, words[0])))
    tries.append(one.submit(PayFromBalance(MERCHANT, f"P{n}-1", BUYER, words[0])))
    if chance.random() < 0.6:
        tries.append(one.submit(CloseTogether(Asker(MERCHANT, PROTOCOL), f"W{n}", parts, parts)))
    if chance.random() < 0.6:
        tries.append(two.submit(OperatorClose(MERCHANT, f"P{n}-2", "anna", "asked by the buyer")))
    tries.append(two.ask(make_intent(f"P{n}-0", amount=SUMS[0])))
    chance.shuffle(tries)
    await asyncio.gather(*[refusal(one_try) for one_try in tries])


@pytest.mark.parametrize("seed", range(3))
def test_T42_two_nodes_pay_and_close_at_once(postgresql_stage: Stage, seed: int) -> None:
    """Of all who try, the first wins whole: the sums that left the buyer are those of the orders that are paid."""

    async def main() -> None:
        chance, paid = random.Random(seed), 0
        async with postgresql_stage.open_house() as left, postgresql_stage.open_house(lane=1, seed=2) as right:
            await left.furnish(money=100_000)
            for n in range(ROUNDS):
                await _attack((left, right), n, chance)
                states = [(await left.trade(f"P{n}-{m}")).state for m in range(len(SUMS))]
                assert len({state == "finished" for state in states}) == 1, states
                paid += states[0] == "finished"
            spent = 100_000 - await left.platform.balance(buyer_balance(BUYER, "CNY"))
            assert spent == sum(SUMS) * paid
            assert await left.audit() == []

    asyncio.run(main())
