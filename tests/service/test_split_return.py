"""Returns of shares: never more than the receiver was given and has, once, and never what a refund took already."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.service.test_split import AGENT, ask, paid, part, prepare, stand
from tests.support.platform import (
    MERCHANT,
    OTHER,
    PROTOCOL,
    House,
    Stage,
    make_buyer,
    make_intent,
    make_merchant,
    refusal,
)
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import merchant_available
from tongbao.service.act import act
from tongbao.service.agree import ChangeAgreement
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.settlement import settle_day
from tongbao.wire.contract import Verified
from tongbao.wire.movement import (
    MovementState,
    QuerySplitReturn,
    QueryUnsplit,
    RefundTrade,
    ReturnSplit,
    SplitFound,
    SplitReturnFound,
    SplitTrade,
    UnsplitFound,
)

STORM = 40


def back(number: str, amount: int, who: str = OTHER, split: str = "s1", **changes: Any) -> ReturnSplit:
    return ReturnSplit(
        merchant=MERCHANT, return_no=number, giver_id=who, amount=Money(amount), split_no=split, **changes
    )


def refund(number: str, amount: int, given: int) -> RefundTrade:
    """A refund of trade A to which the other merchant gives ``given`` back."""
    splits = (part(OTHER, given),)
    return RefundTrade(merchant=MERCHANT, refund_no=number, out_trade_no="A", amount=Money(amount), splits=splits)


async def left(house: House, number: str = "A") -> int:
    found = await house.ask(QueryUnsplit(merchant=MERCHANT, out_trade_no=number))
    assert isinstance(found, UnsplitFound)
    return found.amount.minor


def test_T41_a_return_takes_money_back_once(stage: Stage) -> None:
    """The same number is the same return, also when nothing is left to give; another sum under it is refused."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        made = await house.ask(ask("s1", part(OTHER, 125)))
        assert isinstance(made, SplitFound)
        seen: list[Any] = [await left(house)]
        first = await house.ask(back("b1", 100, memo="too much"))
        rest = await house.ask(back("b2", 25, split="", split_id=made.split.split_id))
        again = await house.ask(back("b1", 100, memo="too much"))
        asked = await house.ask(QuerySplitReturn(merchant=MERCHANT, return_no="b1", split_no="s1"))
        assert isinstance(first, SplitReturnFound)
        assert isinstance(rest, SplitReturnFound)
        told = first.split_return
        seen += [first == again == asked, told.state, told.split_id == rest.split_return.split_id, told.amount]
        seen.append(await refusal(house.ask(back("b1", 99, memo="too much"))))
        seen.append(await refusal(house.ask(back("b3", 1))))
        return [*seen, await left(house), await stand(house)]

    expected = [869, True, MovementState.SUCCEEDED, True, Money(100), "IDEMPOTENCY_CONFLICT", "SPLIT_EXCEEDS"]
    assert stage.play(scene) == [*expected, 994, (994, 0, 0, 0)]


def test_T41_a_return_stays_the_same_when_another_trade_has_a_split_of_that_number(sqlite_stage: Stage) -> None:
    """Asked again after the split's number has come to mean three, it is still the return that was made, wherever its
    trade stands among them."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house, "C")
        await house.ask(ask("s1", part(OTHER, 125), trade="C"))
        first = await house.ask(back("b1", 100))
        for other in "AB":
            await paid(house, other)
            await house.ask(ask("s1", part(OTHER, 50), trade=other))
        again = [first == await house.ask(back("b1", 100)), await refusal(house.ask(back("b1", 99)))]
        return [*again, await refusal(house.ask(back("b2", 1)))]

    assert sqlite_stage.play(scene) == [True, "IDEMPOTENCY_CONFLICT", "SPLIT_NOT_FOUND"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (back("b1", 126), "SPLIT_EXCEEDS"),
        (back("b1", 1, AGENT), "RECEIVER_UNKNOWN"),
        (back("b1", 1, MERCHANT), "RECEIVER_UNKNOWN"),
        (back("b1", 1, split="s2"), "RECEIVER_UNKNOWN"),
        (back("b1", 1, split="s3"), "SPLIT_NOT_FOUND"),
        (back("b1", 1, split_id="0"), "SPLIT_NOT_FOUND"),
        (back("b1", 0), "AMOUNT_INVALID"),
        (back("b1", -1), "AMOUNT_INVALID"),
        (back("", 1), "FIELD_MISSING"),
        (replace(back("b1", 1), merchant=OTHER), "SPLIT_NOT_FOUND"),
        (QuerySplitReturn(merchant=MERCHANT, return_no="b1"), "SPLIT_NOT_FOUND"),
        (QueryUnsplit(merchant=MERCHANT, out_trade_no="B"), "TRADE_STATE"),
        (QueryUnsplit(merchant=OTHER, out_trade_no="A"), "TRADE_NOT_FOUND"),
    ],
)
def test_T38_wrong_returns_are_refused(wrong: Any, code: str, sqlite_stage: Stage) -> None:
    """A person's share, another split's, more than was given, nobody's: nothing moves."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        await house.open("B")
        await house.ask(ask("s1", part(AGENT, 10), part(OTHER, 125)))
        await house.ask(ask("s2", part(AGENT, 10)))
        return [await refusal(house.ask(wrong)), await stand(house)]

    assert sqlite_stage.play(scene) == [code, (849, 0, 20, 125)]


def test_a_refund_and_a_return_do_not_take_twice(sqlite_stage: Stage) -> None:
    """What the one took back the other cannot; a trade that is finished has nothing left to share."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 100), finish=True))
        begin = await left(house)
        wishes = (back("b1", 60), refund("r1", 100, 41), refund("r1", 100, 30), back("b2", 11), back("b2", 10))
        codes = [await refusal(house.ask(wish)) for wish in wishes]
        return [begin, *codes, await left(house), (await stand(house))[2:]]

    expected = [0, "", "SPLIT_EXCEEDS", "", "SPLIT_EXCEEDS", "", 0, (0, 0)]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_a_receiver_who_spent_his_share_is_not_overdrawn(sqlite_stage: Stage) -> None:
    """The return is refused and leaves no trace: what he still has can come back under the same number."""

    async def scene(house: House) -> list[Any]:
        await house.add_buyer(make_buyer(AGENT), 0)
        await house.submit(RegisterMerchant(make_merchant(OTHER, refund_days=30), "maker"))
        await house.submit(ChangeMerchant(OTHER, "approved", "checker", ""))
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 125)))
        await house.open("O", merchant=OTHER)
        await house.pay("O", merchant=OTHER)
        await house.ask(SplitTrade(merchant=OTHER, split_no="o1", splits=(part(AGENT, 994),), out_trade_no="O"))
        await house.ask(RefundTrade(merchant=OTHER, refund_no="o1", out_trade_no="O", amount=Money(100)))
        has = (await stand(house))[3]
        seen = [await refusal(house.ask(back("b1", amount))) for amount in (has + 1, has)]
        return [*seen, 0 < has < 125, (await stand(house))[3]]

    assert sqlite_stage.play(scene) == ["MERCHANT_FUNDS", "", True, 0]


def test_what_a_bank_took_back_is_not_shared(sqlite_stage: Stage) -> None:
    """A chargeback leaves less, or nothing, of its trade to share: never another trade's money."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await house.open("A")
        number = await house.start("A")
        await house.say(number)
        await paid(house, "B")
        seen: list[Any] = []
        for ref, amount in (("cb1", 300), ("cb2", 700)):
            await house.submit(
                TakeChargeback("ICBC", ref, number, MERCHANT, "A", amount, "olga", "otto", "the holder denies it")
            )
            seen += [await left(house), await refusal(house.ask(ask(ref, part(OTHER, 695))))]
        seen.append(await refusal(house.ask(ask("all", finish=True))))
        return [*seen, (await stand(house))[3]]

    assert sqlite_stage.play(scene) == [694, "SPLIT_EXCEEDS", 0, "SPLIT_EXCEEDS", "", 0]


@pytest.mark.parametrize("act", ["return", "refund"])
def test_T41_at_once_the_older_part_gives_what_the_newest_has_not(act: str, sqlite_stage: Stage) -> None:
    """Each was asked for when the newest part had enough for it alone: what is left of all of them is still given."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 150), part(OTHER, 100)))
        wishes = [back(f"b{n}", 60) if act == "return" else refund(f"r{n}", 60, 60) for n in range(5)]
        codes = await asyncio.gather(*[refusal(house.ask(wish)) for wish in wishes])
        return [Counter(codes), (await stand(house))[3], await _sums(sqlite_stage)]

    assert sqlite_stage.play(scene, furnished=False) == [Counter({"": 4, "SPLIT_EXCEEDS": 1}), 10, 240]


def test_I32_a_receiver_who_is_named_twice_gives_back_both(sqlite_stage: Stage) -> None:
    """One part gives two sums of one refund, and knows of both."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 100)))
        twice = replace(refund("r1", 100, 30), splits=(part(OTHER, 30), part(OTHER, 40)))
        codes = [await refusal(house.ask(wish)) for wish in (twice, back("b1", 31), back("b2", 30))]
        return [codes, (await stand(house))[3], await _sums(sqlite_stage)]

    assert sqlite_stage.play(scene, furnished=False) == [["", "SPLIT_EXCEEDS", ""], 0, 100]


@pytest.mark.slow
def test_a_return_of_a_settled_trade_is_settled_in_its_turn(stage: Stage) -> None:
    """What came back is pending, and the next settlement takes it, once."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260301)
        await house.ask(ask("s1", part(OTHER, 94)))
        await house.ask(back("b1", 90))
        seen: list[Any] = [await stand(house)]
        for day in (20260302, 20260303):
            house.clock.advance(DAY)
            await settle_day(house.platform, day)
            seen.append(await stand(house))
        return seen

    assert stage.play(scene) == [(90, 900, 0, 4), (0, 990, 0, 4), (0, 990, 0, 4)]


@pytest.mark.slow
def test_T57_a_provider_returns_shares_of_his_orders_alone(sqlite_stage: Stage) -> None:
    """In the name of a merchant who agreed, of orders that he asked for; of the merchant's own he knows nothing."""

    async def scene(house: House) -> list[str]:
        await prepare(house)
        agreed = json.dumps({"providers": [OTHER]})
        await house.submit(ChangeAgreement(MERCHANT, agreed, "maker", "checker", "a contract"))
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 10)))
        wishes = (make_intent("P"), back("b1", 1), QueryUnsplit(merchant=MERCHANT, out_trade_no="A"))
        seen = [await refusal(_through(house, wish)) for wish in wishes]
        await house.pay("P")
        mine = (ask("p1", part(OTHER, 10), trade="P"), back("b2", 10, split="p1"))
        seen += [await refusal(_through(house, wish)) for wish in mine]
        await house.ask(back("b3", 1))
        asked = [QuerySplitReturn(merchant=MERCHANT, return_no=number) for number in ("b2", "b3")]
        return seen + [await refusal(_through(house, wish)) for wish in asked]

    assert sqlite_stage.play(scene) == ["", "TRADE_NOT_FOUND", "TRADE_NOT_FOUND", "", "", "", "TRADE_NOT_FOUND"]


async def _through(house: House, intent: Any) -> Any:
    """What the other merchant is answered as the service provider of this one."""
    return await act(house.platform, PROTOCOL, Verified(intent, None, provider=OTHER))


async def _storm(houses: list[House], seed: int) -> Counter[str]:
    """Returns and refunds of one share through every node, some numbers twice."""
    chance = random.Random(seed)
    asked = []
    for n in range(STORM):
        house, amount = houses[n % len(houses)], 1 + chance.randrange(40)
        wish = back(f"b{n % (STORM - 8)}", 20) if n % 2 else refund(f"r{n}", amount, amount)
        asked.append(refusal(house.ask(wish)))
    return Counter(await asyncio.gather(*asked))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_T41_returns_and_refunds_at_once(seed: int, stage: Stage) -> None:
    """Over two nodes where the database takes them: together they take the share and not a fen more, and the books
    agree."""

    async def scene(house: House) -> tuple[set[str], int, int]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house)
        await house.ask(ask("s1", part(OTHER, 150), part(OTHER, 100)))
        if stage.dialect == "sqlite":
            codes = await _storm([house], seed)
        else:
            async with stage.open_house(lane=1, holder="other", embedded=False) as other:
                codes = await _storm([house, other], seed)
        gone, rest = await _sums(stage), await house.platform.balance(merchant_available(OTHER, "CNY"))
        await refusal(house.ask(back("last", rest or 1)))
        return (
            set(codes) - {"", "SPLIT_EXCEEDS"},
            gone + rest,
            await house.platform.balance(merchant_available(OTHER, "CNY")),
        )

    assert stage.play(scene, furnished=False) == (set(), 250, 0)


async def _sums(stage: Stage) -> int:
    """What the parts say came back."""
    return int(stage.execute("SELECT SUM(returned) FROM split_part")[0][0])
