"""After the payment, everybody at once: cancelling against money in flight, storms of refunds on two nodes."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, PLENTY, PROTOCOL, House, Stage, make_merchant, refusal
from tongbao.kernel.time import DAY
from tongbao.service.claim import BuyerAskRefund, SellerAnswer, WithdrawClaim
from tongbao.service.create import Asker
from tongbao.service.escrow import OperatorClose
from tongbao.wire.movement import CancelTrade

SHOP = make_merchant(refund_days=30)
STORM = 64


async def _expire(house: House, bank: str) -> Any:
    house.clock.advance(20 * DAY)
    return await house.tick("A")


ACTS: dict[str, Callable[[House, str], Awaitable[Any]]] = {
    "cancel": lambda house, bank: house.ask(CancelTrade(merchant=MERCHANT, out_trade_no="A")),
    "bank": lambda house, bank: house.say(bank),
    "expiry": _expire,
    "operator": lambda house, bank: house.submit(OperatorClose(MERCHANT, "A", "olga", "asked by telephone")),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(ACTS)), ids="-".join)
def test_T42_cancel_expiry_operator_and_bank_in_every_order(order: tuple[str, ...], sqlite_stage: Stage) -> None:
    """One of them wins. Whatever it is, the buyer's money goes back to his bank: as a refund of what was paid, or as
    late money; unless it was paid first and nobody cancelled in time."""

    async def scene(house: House) -> tuple[str, dict[str, int]]:
        await house.furnish(merchant=SHOP)
        await house.open("A")
        bank = await house.start("A")
        for act in order:
            await refusal(ACTS[act](house, bank))
        payment = (await house.payments("A"))[0].payment_no
        for number in (f"{payment}R", f"{payment}R0001"):
            await refusal(house.say(number))
        return (await house.trade("A")).state, await house.balances()

    state, balances = sqlite_stage.play(scene, furnished=False)
    returned = {"bank ICBC": -PLENTY, "buyer": PLENTY}
    kept = {"bank ICBC": -PLENTY - 1_000, "buyer": PLENTY, "pending": 994, "fee": 6}
    assert (state, balances) in (("closed", returned), ("paid", kept))
    if order.index("cancel") > order.index("bank") or order[0] != "bank":
        assert state == "closed"


async def _storm(houses: list[House], seed: int) -> tuple[Counter[str], int]:
    """Partial refunds of one payment through every node, some numbers twice."""
    chance = random.Random(seed)
    asked = []
    for n in range(STORM):
        house = houses[n % len(houses)]
        asked.append(refusal(house.refund("A", 1 + chance.randrange(60), f"r{n % (STORM - 8)}")))
    codes = Counter(await asyncio.gather(*asked))
    return codes, (await houses[0].trade("A")).refunded


@pytest.mark.slow
@pytest.mark.parametrize("method", ["balance", "debit"])
def test_T41_a_refund_storm_on_two_nodes(method: str, postgresql_stage: Stage) -> None:
    """Two nodes with a lane each, one trade: no more goes back than was paid, and at the end exactly all of it; a lane
    may give back a fee that the other earned."""

    async def scene(house: House) -> tuple[bool, str, dict[str, int]]:
        await house.furnish(merchant=SHOP)
        await house.open("A")
        if method == "balance":
            await house.pay("A")
        else:
            await house.say(await house.start("A"))
        async with postgresql_stage.open_house(lane=1, holder="other", embedded=False) as other:
            codes, refunded = await _storm([house, other], 7)
            if refunded < 1_000:
                await other.refund("A", 1_000 - refunded, "rest")
        fine = set(codes) <= {"", "REFUND_EXCEEDS", "REFUND_MISMATCH"}
        return fine, (await house.trade("A")).state, await house.balances()

    fine, state, balances = postgresql_stage.play(scene, furnished=False)
    assert fine
    if method == "balance":
        assert (state, balances["buyer"]) == ("closed", PLENTY)
        assert "pending" not in balances
    else:
        assert (state, balances["refunding"], balances.get("pending", 0)) == ("paid", 1_000, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_T43_everybody_at_once(seed: int, stage: Stage) -> None:
    """Buyer, seller and clock thrown in together in a random order: the books agree with whoever came first."""

    async def scene(house: House) -> tuple[int, bool]:
        await house.furnish(merchant=SHOP)
        await house.open("A", "escrow")
        await house.pay("A")
        await house.ship("A")
        of = (MERCHANT, "A", BUYER)
        acts: list[Awaitable[Any]] = [
            house.confirm("A"),
            house.refund("A", 300, "r1"),
            house.refund("A", 200, "r2"),
            house.submit(BuyerAskRefund(*of, 400)),
            house.submit(BuyerAskRefund(*of)),
            house.submit(WithdrawClaim(*of)),
            house.submit(SellerAnswer(Asker(MERCHANT, PROTOCOL), "A", True)),
            house.submit(SellerAnswer(Asker(MERCHANT, PROTOCOL), "A", False)),
            house.tick("A"),
        ]
        random.Random(seed).shuffle(acts)
        await asyncio.gather(*[refusal(act) for act in acts])
        trade, balances = await house.trade("A"), await house.balances()
        held = trade.amount - trade.refunded if trade.state == "shipped" else 0
        mine = balances.get("pending", 0) + balances.get("fee", 0)
        return balances.get("escrow", 0) - held, balances["buyer"] + mine + held == PLENTY

    assert stage.play(scene, furnished=False) == (0, True)
