"""Races for one balance and one trade, on both databases: whoever wins, money is neither made nor lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.platform import (
    BUYER,
    MERCHANT,
    PAY_PASSWORD,
    PROTOCOL,
    House,
    Stage,
    make_buyer,
    make_intent,
    refusal,
)
from tongbao.kernel.time import DAY
from tongbao.service import checkout
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.party import TopUp
from tongbao.service.pay import PayFromBalance

CROWD = 64


def test_T40_one_balance_pays_no_more_than_it_holds(stage: Stage) -> None:
    """64 payments at once out of a balance that suffices for ten: ten succeed, the others lack funds."""

    async def scene(house: House) -> tuple[Counter[str], dict[str, int]]:
        numbers = [f"T{number}" for number in range(CROWD)]
        words = []
        for number in numbers:
            trade = await house.open(number)
            words.append(await checkout.authorise(house.platform, BUYER, "pay", trade, PAY_PASSWORD))
        pays = [PayFromBalance(MERCHANT, number, BUYER, word) for number, word in zip(numbers, words, strict=True)]
        codes = await asyncio.gather(*[refusal(house.submit(pay)) for pay in pays])
        return Counter(codes), await house.balances()

    async def poor(house: House) -> tuple[Counter[str], dict[str, int]]:
        await house.furnish(money=10_999)
        return await scene(house)

    codes, balances = stage.play(poor, furnished=False)
    assert codes == {"": 10, "INSUFFICIENT_FUNDS": CROWD - 10}
    assert balances == {"bank ICBC": -10_999, "buyer": 999, "pending": 9_940, "fee": 60}


def test_T40_one_trade_is_paid_once(stage: Stage) -> None:
    """64 agreements to pay one trade, all sent at once: one payment."""

    async def scene(house: House) -> tuple[Counter[str], int]:
        trade = await house.open("A")
        words = [await checkout.authorise(house.platform, BUYER, "pay", trade, PAY_PASSWORD) for _ in range(CROWD)]
        pays = [PayFromBalance(MERCHANT, "A", BUYER, word) for word in words]
        codes = await asyncio.gather(*[refusal(house.submit(pay)) for pay in pays])
        return Counter(codes), len(await house.payments("A"))

    assert stage.play(scene) == ({"": 1, "TRADE_NOT_PAYABLE": CROWD - 1}, 1)


def test_T40_one_agreement_is_used_once(stage: Stage) -> None:
    """The same agreement sent 64 times at once pays once."""

    async def scene(house: House) -> Counter[str]:
        trade = await house.open("A")
        word = await checkout.authorise(house.platform, BUYER, "pay", trade, PAY_PASSWORD)
        pay = PayFromBalance(MERCHANT, "A", BUYER, word)
        return Counter(await asyncio.gather(*[refusal(house.submit(pay)) for _ in range(CROWD)]))

    assert stage.play(scene) == {"": 1, "TRADE_NOT_PAYABLE": CROWD - 1}


ACTS: dict[str, Callable[[House, str], Awaitable[Any]]] = {
    "balance": lambda house, bank: house.pay("A"),
    "close": lambda house, bank: house.close("A"),
    "expiry": lambda house, bank: _expire(house),
    "bank": lambda house, bank: house.say(bank),
}


async def _expire(house: House) -> Any:
    house.clock.advance(20 * DAY)
    return await house.tick("A")


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(ACTS)), ids="-".join)
def test_T42_pay_close_expiry_and_bank_in_every_order(order: tuple[str, ...], sqlite_stage: Stage) -> None:
    """Whoever comes first ends the trade; the bank's money pays it or goes to suspense, and never both."""

    async def scene(house: House) -> tuple[str, dict[str, int], list[str]]:
        await house.open("A")
        bank = await house.start("A")
        for act in order:
            await refusal(ACTS[act](house, bank))
        states = [payment.state for payment in await house.payments("A")]
        return (await house.trade("A")).state, await house.balances(), states

    state, balances, states = sqlite_stage.play(scene)
    paid = {"bank ICBC": -1_001_000, "pending": 994, "fee": 6}
    expected: dict[str, tuple[str, dict[str, int], list[str]]] = {
        "bank": ("finished", {**paid, "buyer": 1_000_000}, ["captured"]),
        "balance": ("finished", {**paid, "buyer": 999_000, "suspense": 1_000}, ["late", "captured"]),
    }
    closed = ("closed", {"bank ICBC": -1_001_000, "buyer": 1_000_000, "suspense": 1_000}, ["late"])
    assert (state, balances, states) == expected.get(order[0], closed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_T42_all_at_once(seed: int, stage: Stage) -> None:
    """The same acts thrown in together in a random order: one winner, and the books agree with whoever it is."""

    async def scene(house: House) -> tuple[str, dict[str, int]]:
        await house.open("A")
        banks = [await house.start("A", bank=bank) for bank in ("ICBC", "CCB", "ABC")]
        acts = [house.say(bank) for bank in banks] + [house.close("A"), house.pay("A"), house.pay("A")]
        random.Random(seed).shuffle(acts)
        await asyncio.gather(*[refusal(act) for act in acts])
        return (await house.trade("A")).state, await house.balances()

    state, balances = stage.play(scene)
    arrived = 3_000
    assert sum(balance for name, balance in balances.items() if name.startswith("bank")) == -1_000_000 - arrived
    if state == "closed":
        assert balances["suspense"] == arrived
        assert "pending" not in balances
    else:
        assert balances["pending"] + balances["fee"] == 1_000
        assert balances.get("suspense", 0) == arrived - (1_000 if balances["buyer"] == 1_000_000 else 0)


@pytest.mark.parametrize("guesses", [30])
def test_T46_a_burst_of_guesses_is_counted_first(guesses: int, stage: Stage) -> None:
    """30 wrong passwords at once: at most five hashes are computed, and then even the right one is not looked at."""
    stage.threads = True

    async def scene(house: House) -> tuple[Counter[str], str]:
        trade = await house.open("A")
        codes = await asyncio.gather(
            *[
                refusal(checkout.authorise(house.platform, BUYER, "pay", trade, f"{guess:06d}"))
                for guess in range(guesses)
            ]
        )
        return Counter(codes), await refusal(house.pay("A"))

    codes, right = stage.play(scene)
    words = stage.execute("SELECT COUNT(*) FROM authorisation")[0][0]
    assert words == 5
    assert sum(codes.values()) == guesses
    assert set(codes) == {"PASSWORD_WRONG", "PASSWORD_LOCKED"} or set(codes) == {"PASSWORD_LOCKED"}
    assert right == "PASSWORD_LOCKED"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_bank_test_in_small(seed: int, stage: Stage) -> None:
    """Random payments between many at once, read all the while: each full look shows the same total, and no debt."""
    chance = random.Random(seed)
    buyers = [f"20880000000001{number:02d}" for number in range(8)]

    async def look(house: House, stop: asyncio.Event) -> list[int]:
        totals = []
        while not stop.is_set():
            balances = await house.balances()
            totals.append(sum(balances.values()))
            assert all(balance > 0 for name, balance in balances.items() if not name.startswith("bank"))
        return totals

    async def customer(house: House, buyer: str, orders: list[str]) -> None:
        for number in orders:
            await refusal(house.pay(number, buyer=buyer))

    async def scene(house: House) -> list[int]:
        for buyer in buyers:
            await house.add_buyer(make_buyer(buyer), chance.randrange(1_000, 9_000))
        orders: dict[str, list[str]] = {buyer: [] for buyer in buyers}
        for number in range(48):
            await house.open(f"T{number}", amount=chance.randrange(1, 2_000))
            for buyer in chance.sample(buyers, 2):
                orders[buyer].append(f"T{number}")
        stop = asyncio.Event()
        looking = asyncio.create_task(look(house, stop))
        await asyncio.gather(*[customer(house, buyer, numbers) for buyer, numbers in orders.items()])
        stop.set()
        return await looking

    totals = stage.play(scene)
    assert totals
    assert set(totals) == {0}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_intent_test_in_small(seed: int, stage: Stage) -> None:
    """Clients who repeat themselves at random: who was told yes has one effect, who was told no has none."""
    chance = random.Random(seed)

    async def client(house: House, number: str, word: str) -> tuple[str, str]:
        pay = PayFromBalance(MERCHANT, number, BUYER, word)
        codes = await asyncio.gather(*[refusal(house.submit(pay)) for _ in range(chance.randrange(1, 5))])
        return number, "yes" if "" in codes else "no"

    async def scene(house: House) -> list[tuple[str, str, int]]:
        words = {}
        for number in range(40):
            trade = await house.open(f"T{number}", amount=100)
            words[f"T{number}"] = await checkout.authorise(house.platform, BUYER, "pay", trade, PAY_PASSWORD)
        told = await asyncio.gather(*[client(house, number, word) for number, word in words.items()])
        effects = []
        for name, answer in told:
            captured = [payment for payment in await house.payments(name) if payment.state == "captured"]
            effects.append((name, answer, len(captured)))
        return effects

    async def poor(house: House) -> list[tuple[str, str, int]]:
        await house.furnish(money=2_500)
        return await scene(house)

    effects = stage.play(poor, furnished=False)
    assert Counter((answer, many) for _, answer, many in effects) == {("yes", 1): 25, ("no", 0): 15}


@pytest.mark.slow
def test_two_nodes_create_one_trade(postgresql_stage: Stage) -> None:
    """Two lanes get the same numbers at once: each becomes one trade; the other node is told of it, or of its sum."""

    async def run() -> Counter[str]:
        async with postgresql_stage.open_house() as left, postgresql_stage.open_house(lane=1) as right:
            await left.furnish()
            asker = Asker(MERCHANT, PROTOCOL)

            async def create(house: House, number: int, amount: int) -> str:
                command = OpenTrade(asker, make_intent(f"T{number}", amount=amount), house.platform.new_trade_no())
                told = [""]

                async def ask() -> None:
                    told[0] = "created" if (await house.submit(command)).created else "same"

                return await refusal(ask()) or told[0]

            answers = await asyncio.gather(
                *[
                    create(house, number, 1_000 + number % 2 * lane)
                    for number in range(40)
                    for lane, house in ((0, left), (1, right))
                ]
            )
            assert await left.audit() == []
            return Counter(answers)

    assert asyncio.run(run()) == {"created": 40, "same": 20, "TRADE_AMOUNT_MISMATCH": 20}


@pytest.mark.slow
def test_two_nodes_spend_one_balance(postgresql_stage: Stage) -> None:
    """Two lanes pay out of one balance at once: it never goes below zero, and each chain is whole."""

    async def run() -> tuple[Counter[str], int]:
        async with postgresql_stage.open_house() as left, postgresql_stage.open_house(lane=1) as right:
            await left.furnish(money=5_000)
            pays = []
            for number in range(20):
                trade = await left.open(f"T{number}")
                for house in (left, right):
                    word = await checkout.authorise(left.platform, BUYER, "pay", trade, PAY_PASSWORD)
                    pays.append((house, PayFromBalance(MERCHANT, f"T{number}", BUYER, word)))
            codes = await asyncio.gather(*[refusal(house.submit(pay)) for house, pay in pays])
            assert await left.audit() == []
            await right.submit(TopUp(BUYER, 1, "CNY", "ICBC", "after", "teller"))
            return Counter(code or "paid" for code in codes), (await left.balances())["buyer"]

    codes, left_over = asyncio.run(run())
    assert codes["paid"] == 5
    assert left_over == 1
    assert set(codes) <= {"paid", "INSUFFICIENT_FUNDS", "TRADE_NOT_PAYABLE"}
