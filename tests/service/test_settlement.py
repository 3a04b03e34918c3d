"""Settlement: what was paid becomes the merchant's to spend, once per business date, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.platform import MERCHANT, House, Stage, make_merchant, refusal
from tongbao.kernel.time import DAY, HOUR, Instant, business_date
from tongbao.ledger.account import merchant_available, merchant_pending, merchant_reserve
from tongbao.service import settlement
from tongbao.service.party import ChangeMerchant
from tongbao.service.settle import PutCalendarDays
from tongbao.service.settlement import Settler, find_settlement, lines_of, settle_day, settle_early
from tongbao.trade.calendar import next_working, settle_time
from tongbao.trade.settlement import CHUNK

TERMS = json.dumps({"reserve": {"rate": 1000, "days": 7}, "early": {"rate": 50, "minimum": 3}})


async def stand(house: House) -> dict[str, int]:
    """What the merchant has, by purpose, without zeros."""
    names = {"pending": merchant_pending, "available": merchant_available, "reserve": merchant_reserve}
    found = {name: await house.platform.balance(code(MERCHANT, "CNY")) for name, code in names.items()}
    return {name: held for name, held in found.items() if held}


async def buy(house: House, number: str, amount: int = 1_000) -> None:
    await house.open(number, amount=amount)
    await house.pay(number)


def go_to_settlement(house: House) -> None:
    """Move business time to the next settlement."""
    house.clock.now = settle_time(next_working(business_date(house.clock.now)))


def test_what_was_paid_is_settled_on_the_next_working_day(stage: Stage) -> None:
    """Sunday's and Monday's money: each is settled on the working day after; nothing is settled twice."""

    async def scene(house: House) -> list[Any]:
        settler = Settler(house.platform)
        await buy(house, "A")
        seen = [await settler.round(), await stand(house)]
        go_to_settlement(house)
        await buy(house, "B")
        seen += [await settler.round(), await stand(house), await settler.round()]
        seen += [await Settler(house.platform).round()]
        go_to_settlement(house)
        seen += [await settler.round(), await stand(house)]
        batch = await find_settlement(house.platform, MERCHANT, "20260302")
        assert batch is not None
        return [
            *seen,
            batch.lines,
            batch.amount,
            [line.out_trade_no async for line in lines_of(house.platform, MERCHANT, "20260302")],
        ]

    assert stage.play(scene) == [
        0,
        {"pending": 994},
        1,
        {"pending": 994, "available": 994},
        0,
        0,
        1,
        {"available": 1_988},
        1,
        994,
        ["B"],
    ]


def test_a_holiday_puts_settlement_off(stage: Stage) -> None:
    """What an operator declared a day off is one: Sunday's money waits until Tuesday and comes in one batch."""

    async def scene(house: House) -> list[Any]:
        await house.submit(PutCalendarDays((20260302,), False, "olga", "a storm"))
        settler = Settler(house.platform)
        await buy(house, "A")
        house.clock.advance(DAY)
        await buy(house, "B")
        seen: list[Any] = [await settler.round(), await stand(house)]
        house.clock.advance(DAY)
        seen += [await settler.round(), await stand(house)]
        batch = await find_settlement(house.platform, MERCHANT, "20260302")
        return [*seen, batch.lines if batch else 0]

    assert stage.play(scene) == [0, {"pending": 1_988}, 1, {"available": 1_988}, 2]


def test_reserve_and_early_settlement(stage: Stage) -> None:
    """D0 costs its fee, a tenth stays back for a week; the day's own batch has nothing left to do."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(settings=TERMS))
        await buy(house, "A", 10_000)
        early = await settle_early(house.platform, MERCHANT, "r1")
        again = await settle_early(house.platform, MERCHANT, "r1")
        seen: list[Any] = [early == again, early.amount, early.fee, early.reserve, await stand(house)]
        seen.append(await refusal(settle_early(house.platform, MERCHANT, "r2")))
        go_to_settlement(house)
        settler = Settler(house.platform)
        seen += [await settler.round(), await stand(house)]
        house.clock.advance(8 * DAY)
        seen += [await settler.round(), await stand(house)]
        return seen

    # 10000 - 60 fee = 9940; D0 fee half a percent = 50 (49.7); reserve a tenth of 9890
    assert stage.play(scene, furnished=False) == [
        True,
        9_940,
        50,
        989,
        {"available": 8_901, "reserve": 989},
        "MERCHANT_FUNDS",
        0,
        {"available": 8_901, "reserve": 989},
        1,
        {"available": 9_890},
    ]


def test_early_settlement_must_be_agreed(sqlite_stage: Stage) -> None:
    """Without a fee agreed for it there is none, and a day that has not ended is not settled."""

    async def scene(house: House) -> list[str]:
        await buy(house, "A")
        return [
            await refusal(settle_early(house.platform, MERCHANT, "r1")),
            await refusal(settle_day(house.platform, 20260301)),
        ]

    assert sqlite_stage.play(scene) == ["NO_PRIVILEGE", "BILL_DATE_INVALID"]


def test_early_settlement_of_many_trades_must_be_agreed(sqlite_stage: Stage) -> None:
    """Also where one chunk does not hold them all nothing is begun, and the day's own settlement goes on."""

    async def scene(house: House) -> list[Any]:
        for number in range(3):
            await buy(house, f"T{number}")
        refused = await refusal(settle_early(house.platform, MERCHANT, "r1"))
        seen: list[Any] = [refused, await find_settlement(house.platform, MERCHANT, "D0-r1"), await stand(house)]
        go_to_settlement(house)
        return [*seen, await Settler(house.platform).round(), await stand(house)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "CHUNK", 2)
        seen = sqlite_stage.play(scene)
    assert seen == ["NO_PRIVILEGE", None, {"pending": 2_982}, 1, {"available": 2_982}]


def test_a_frozen_merchant_is_not_settled(sqlite_stage: Stage) -> None:
    """His money stays where it is until he is approved again."""

    async def scene(house: House) -> list[Any]:
        await buy(house, "A")
        await house.submit(ChangeMerchant(MERCHANT, "frozen", "checker", "doubts"))
        go_to_settlement(house)
        seen: list[Any] = [await Settler(house.platform).round(), await stand(house)]
        await house.submit(ChangeMerchant(MERCHANT, "approved", "checker", "none left"))
        house.clock.advance(DAY)
        return [*seen, await Settler(house.platform).round(), await stand(house)]

    assert sqlite_stage.play(scene) == [0, {"pending": 994}, 1, {"available": 994}]


def test_T47_two_workers_settle_once(stage: Stage) -> None:
    """Two workers walk at the same time: one entry, one batch."""

    async def scene(house: House) -> list[Any]:
        for number in range(5):
            await buy(house, f"T{number}")
        go_to_settlement(house)
        await asyncio.gather(*(Settler(house.platform).round() for _ in range(3)))
        batch = await find_settlement(house.platform, MERCHANT, "20260301")
        assert batch is not None
        return [await stand(house), batch.lines, batch.amount]

    assert stage.play(scene) == [{"available": 4_970}, 5, 4_970]


@pytest.mark.slow
def test_a_large_batch_goes_on_where_it_stopped(stage: Stage) -> None:
    """More lines than a chunk: gathered chunk by chunk, made available by one entry, also after a break."""

    async def scene(house: House) -> list[Any]:
        many = CHUNK + 20
        for number in range(many):
            await buy(house, f"T{number:04d}", 100)
        go_to_settlement(house)
        await settle_day(house.platform, 20260301)
        batch = await find_settlement(house.platform, MERCHANT, "20260301")
        assert batch is not None
        rows = await house.platform.database.read("account.like_prefix", {"low": "merchant:", "high": "merchant;"})
        left = {code.split(":")[2]: balance for code, balance in rows if balance}
        return [batch.state, batch.chunks, batch.lines, batch.amount, left]

    assert stage.play(scene) == ["done", 2, 520, 520 * 99, {"available": 520 * 99}]


def test_what_was_taken_back_comes_off_the_next_batch(stage: Stage) -> None:
    """A settled trade is refunded out of what another brought: the next batch is the difference, with both as lines;
    one that would be less than nothing waits for more."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        settler = Settler(house.platform)
        await buy(house, "A")
        go_to_settlement(house)
        seen: list[Any] = [await settler.round()]
        await buy(house, "B", 500)
        await house.refund("A", 400, "r1")
        go_to_settlement(house)
        seen += [await settler.round(), await stand(house)]
        batch = await find_settlement(house.platform, MERCHANT, "20260302")
        seen.append(batch.amount if batch else None)
        seen.append([(one.out_trade_no, one.amount) async for one in lines_of(house.platform, MERCHANT, "20260302")])
        await buy(house, "C", 100)
        await house.refund("A", 600, "r2")
        go_to_settlement(house)
        seen += [await settler.round(), await stand(house)]
        await buy(house, "D", 2_000)
        go_to_settlement(house)
        return [*seen, await settler.round(), await stand(house)]

    # fees: 6 of A (2 and then 4 come back), 3 of B, 1 of C, 12 of D
    assert stage.play(scene, furnished=False) == [
        1,
        1,
        {"available": 1_093},
        99,
        [("A", -398), ("B", 497)],
        0,
        {"available": 596},
        1,
        {"available": 2_584},
    ]


def test_the_worker_says_when(sqlite_stage: Stage) -> None:
    """Nobody waits for settlement while there is nothing to settle; afterwards it is due at six on the working day."""

    async def scene(house: House) -> list[Any]:
        settler = Settler(house.platform)
        seen: list[Any] = [await settler.next_due()]
        await buy(house, "A")
        due = await settler.next_due()
        assert due is not None
        return [*seen, Instant(due - house.clock.now) // HOUR]

    assert sqlite_stage.play(scene) == [None, 22]
