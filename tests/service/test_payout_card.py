"""A merchant's own card: two persons, a cold day, and money that goes to it by itself once a day."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.platform import MERCHANT, House, Stage, make_merchant, refusal
from tongbao.kernel.record import replace
from tongbao.kernel.time import DAY, HOUR, Instant, business_date
from tongbao.ledger.account import merchant_available, merchant_payout
from tongbao.service.correction import CloseCase
from tongbao.service.payout_act import decide_payout, find_payout
from tongbao.service.payout_card import SetStanding, Standing, VerifyPayoutCard, pay_own_card, put_card, verify_card
from tongbao.service.settlement import settle_day
from tongbao.trade.calendar import write_day
from tongbao.wire.party import Payee

CARD = Payee(name="店主", bank="ICBC", card="6200000000000018")
TOLD = [(f"{MERCHANT}@shop.example", "card:2")]
TERMS = json.dumps({"payout": {"minimum": 10, "most": 60_000, "day": 70_000}})


async def earn(house: House, terms: str = "{}") -> None:
    await house.furnish(merchant=make_merchant(settings=terms))
    await house.open("A", amount=100_000)
    await house.pay("A")
    day = write_day(business_date(house.clock.now))
    house.clock.advance(DAY)
    await settle_day(house.platform, day)


async def card_of(house: House, *, cool: bool = True) -> None:
    """A verified card."""
    version = await put_card(house.platform, MERCHANT, CARD, "maria", "papers")
    await house.submit(VerifyPayoutCard(MERCHANT, version, "carla", "seen"))
    if cool:
        house.clock.advance(DAY)


def nine(house: House) -> None:
    """The time of day at which standing payouts are made."""
    house.clock.now = Instant((house.clock.now + 8 * HOUR) // DAY * DAY + HOUR)


async def stand(house: House) -> tuple[int, int]:
    codes = (merchant_available(MERCHANT, "CNY"), merchant_payout(MERCHANT, "CNY"))
    available, aside = [await house.platform.balance(code) for code in codes]
    return available, aside


def test_T70_a_changed_card_is_cold_for_a_day(stage: Stage) -> None:
    """Entered by one, verified by another; for 24 hours nothing is paid to it; a change begins anew and is
    told by mail."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        version = await put_card(house.platform, MERCHANT, CARD, "maria")
        seen = [await refusal(pay_own_card(house.platform, MERCHANT, "w1", 1_000))]
        seen.append(await refusal(house.submit(VerifyPayoutCard(MERCHANT, version, "maria", ""))))
        seen.append(await refusal(house.submit(VerifyPayoutCard(MERCHANT, version + 1, "carla", "seen"))))
        papers = ("6200000000000026", "6200000000000018")
        seen += [await refusal(verify_card(house.platform, MERCHANT, number, "carla", "seen")) for number in papers]
        seen.append(await refusal(pay_own_card(house.platform, MERCHANT, "w1", 1_000)))
        house.clock.advance(DAY - 1)
        seen.append(await refusal(pay_own_card(house.platform, MERCHANT, "w1", 1_000)))
        house.clock.advance(1)
        seen.append(await refusal(pay_own_card(house.platform, MERCHANT, "w1", 1_000)))
        seen += [await refusal(pay_own_card(house.platform, MERCHANT, "w1", sum_)) for sum_ in (1_000, 1_001)]
        await put_card(house.platform, MERCHANT, CARD, "maria", "lost")
        seen.append(await refusal(pay_own_card(house.platform, MERCHANT, "w2", 1_000)))
        told = [(mail.to, mail.key) for mail in house.journal.mails]
        return [*seen, await stand(house), told]

    expected = ["STATE_CONFLICT", "MAKER_IS_CHECKER", "REVIEW_AGAIN", "REVIEW_AGAIN", ""]
    expected += ["PAYOUT_COOLING", "PAYOUT_COOLING", "", "", "PAYOUT_MISMATCH"]
    assert stage.play(scene, furnished=False) == [*expected, "STATE_CONFLICT", (98_400, 1_000), TOLD]


def test_T67_a_large_withdrawal_takes_two(sqlite_stage: Stage) -> None:
    """Above the merchant's limit nothing moves before somebody else agrees; below it one person suffices."""

    async def scene(house: House) -> list[Any]:
        await earn(house, json.dumps({"payout": {"check": 1_000}}))
        await card_of(house)
        platform = house.platform
        small = await pay_own_card(platform, MERCHANT, "w1", 1_000, maker="maria")
        large = await pay_own_card(platform, MERCHANT, "w2", 1_001, maker="maria")
        seen: list[Any] = [small and small.state, large and large.state, await stand(house)]
        seen.append(await refusal(decide_payout(platform, MERCHANT, "w2", "maria", 1_001)))
        seen.append((await decide_payout(platform, MERCHANT, "w2", "carla", 1_001)).state)
        return [*seen, await stand(house)]

    expected = ["sent", "proposed", (98_400, 1_000), "MAKER_IS_CHECKER", "sent", (97_399, 2_001)]
    assert sqlite_stage.play(scene, furnished=False) == expected


@pytest.mark.slow
def test_T70_what_waits_ends_with_its_card(sqlite_stage: Stage) -> None:
    """A withdrawal and a standing payout that wait for a second person go nowhere once another card was entered, also
    when that one is verified and cool; they can be turned down, and the new card is paid to."""

    async def scene(house: House) -> list[Any]:
        await earn(house, json.dumps({"payout": {"check": 1_000}}))
        await card_of(house)
        nine(house)
        platform = house.platform
        await pay_own_card(platform, MERCHANT, "w1", 1_001, maker="maria")
        await house.submit(SetStanding(MERCHANT, "above", 1, 0, "maria", "carla"))
        standing = f"standing-{write_day(business_date(house.clock.now))}"
        seen: list[Any] = [await Standing(platform).round()]
        version = await put_card(platform, MERCHANT, replace(CARD, card="6200000000000026"), "maria", "stolen")
        seen += [await refusal(decide_payout(platform, MERCHANT, number, "carla")) for number in ("w1", standing)]
        await house.submit(VerifyPayoutCard(MERCHANT, version, "carla", "seen"))
        house.clock.advance(2 * DAY)
        seen += [await refusal(decide_payout(platform, MERCHANT, number, "carla")) for number in ("w1", standing)]
        seen += [(await decide_payout(platform, MERCHANT, n, "carla", agrees=False)).state for n in ("w1", standing)]
        await pay_own_card(platform, MERCHANT, "w2", 1_001, maker="maria")
        return [*seen, (await decide_payout(platform, MERCHANT, "w2", "carla", 1_001)).state, await stand(house)]

    expected = [1, *["STATE_CONFLICT"] * 4, "closed", "closed", "sent", (98_399, 1_001)]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_a_standing_payout_once_a_day(stage: Stage) -> None:
    """Daily: all but what is kept and the fee, within the limits, however often one looks; a no gives it back."""

    async def scene(house: House) -> list[Any]:
        await earn(house, TERMS)
        await card_of(house)
        await house.submit(SetStanding(MERCHANT, "daily", 0, 1_000, "maria", "carla"))
        standing = Standing(house.platform)
        nine(house)
        seen: list[Any] = [await standing.round(), await Standing(house.platform).round(), await stand(house)]
        house.clock.advance(DAY)
        seen += [await standing.round(), await stand(house)]
        day = write_day(business_date(house.clock.now))
        payout = await find_payout(house.platform, MERCHANT, "", f"standing-{day}")
        await house.inquire(f"{payout.payout_id}O", {"result": "failed", "reason": "account_unknown"})
        seen += [await stand(house), await house.platform.database.read("case.open", {"most": 9}) == []]
        house.clock.advance(DAY)
        seen += [await standing.round(), await standing.next_due()]
        await house.submit(CloseCase(f"standing:{payout.payout_id}", "otto", "the bank was mistaken"))
        seen.append(await standing.next_due() == house.clock.now + DAY)
        house.clock.advance(DAY)
        return [*seen, await standing.round(), await stand(house)]

    # 99400 to begin with: 60000 at most and a fee of 10, then all but 1000; it rests after the bank's no
    assert stage.play(scene, furnished=False) == [
        1,
        0,
        (39_390, 60_010),
        1,
        (1_000, 98_400),
        *((39_390, 60_010), False),
        *(0, None, True, 1, (1_000, 98_400)),
    ]


@pytest.mark.slow
def test_T67_a_standing_payout_takes_two_persons(sqlite_stage: Stage) -> None:
    """Nobody sets or changes the rule alone, anybody stops it; above the merchant's limit what it makes waits for a
    second person, and no other follows meanwhile."""

    async def scene(house: House) -> list[Any]:
        await earn(house, json.dumps({"payout": {"check": 50_000}}))
        await card_of(house)
        nine(house)
        rule = (MERCHANT, "above", 1, 0, "maria")
        seen: list[Any] = [await refusal(house.submit(SetStanding(*rule, who))) for who in ("", "maria", "carla")]
        standing = Standing(house.platform)
        day = business_date(house.clock.now)
        for _ in range(2):
            seen += [await standing.round(), await stand(house)]
            house.clock.advance(DAY)
        number = f"standing-{write_day(day)}"
        seen.append(await refusal(decide_payout(house.platform, MERCHANT, number, "maria", 99_400)))
        seen += [(await decide_payout(house.platform, MERCHANT, number, "carla", 99_400)).state, await stand(house)]
        await house.submit(SetStanding(MERCHANT, "off", 0, 0, "maria"))
        return [*seen, await standing.next_due()]

    assert sqlite_stage.play(scene, furnished=False) == [
        *("MAKER_IS_CHECKER", "MAKER_IS_CHECKER", ""),
        *(1, (99_400, 0), 0, (99_400, 0)),
        *("MAKER_IS_CHECKER", "sent", (0, 99_400), None),
    ]


def test_a_standing_payout_above_a_threshold(sqlite_stage: Stage) -> None:
    """It waits for the threshold, looks every hour, and pays once a day."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await card_of(house)
        nine(house)
        await house.submit(SetStanding(MERCHANT, "above", 99_401, 0, "maria", "carla"))
        standing = Standing(house.platform)
        seen: list[Any] = [await standing.round()]
        await house.submit(SetStanding(MERCHANT, "above", 99_400, 0, "maria", "carla"))
        seen.append(await standing.round())
        house.clock.advance(HOUR)
        return [*seen, await standing.round(), await stand(house)]

    assert sqlite_stage.play(scene, furnished=False) == [0, 0, 1, (0, 99_400)]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "threshold"), [("daily", 0), ("above", 1)])
def test_a_standing_payout_waits_for_the_time_of_day(rule: str, threshold: int, sqlite_stage: Stage) -> None:
    """Neither rule pays before nine in the morning in China, when the day's settlement is made; both do at nine."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await card_of(house)
        await house.submit(SetStanding(MERCHANT, rule, threshold, 0, "maria", "carla"))
        house.clock.advance(DAY)
        nine(house)
        due = house.clock.now
        standing, seen = Standing(house.platform), []
        for at in (due - 9 * HOUR, due - 1, due):
            house.clock.now = Instant(at)
            seen += [await standing.round(), await standing.next_due() == due]
        return seen

    assert sqlite_stage.play(scene, furnished=False) == [0, True, 0, True, 1, False]


@pytest.mark.parametrize(
    ("rule", "threshold", "keep", "code"),
    [("sometimes", 0, 0, "FIELD_INVALID"), ("above", 0, 0, "FIELD_INVALID"), ("daily", 0, -1, "FIELD_INVALID")],
)
def test_a_rule_that_is_none(rule: str, threshold: int, keep: int, code: str, sqlite_stage: Stage) -> None:
    """Only the three rules, with sums that are some."""

    async def scene(house: House) -> str:
        await card_of(house)
        return await refusal(house.submit(SetStanding(MERCHANT, rule, threshold, keep, "maria", "carla")))

    assert sqlite_stage.play(scene) == code
