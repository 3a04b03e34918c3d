"""Escrow to its end: the buyer's claim, the seller's answer, goods that go back, disputes, and all their clocks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, PLENTY, PROTOCOL, House, Stage, make_merchant, refusal
from tongbao.kernel.time import DAY
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.claim import BuyerAskRefund, Claimed, OpenDispute, ReturnGoods, SellerAnswer, WithdrawClaim
from tongbao.service.create import Asker
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.escrow import ExtendRelease
from tongbao.store.schema import CLAIM
from tongbao.trade.claim import ANSWER_TIME, CHECK_TIME, DISPUTE_TIME, EXTENSION, RETURN_TIME, ROUNDS_MAX
from tongbao.trade.record import RELEASE_AFTER

SHOP = make_merchant(refund_days=30)
OF = (MERCHANT, "A")
ME = (*OF, BUYER)


async def held(house: House, *, shipped: bool = False, method: str = "") -> str:
    """An escrow trade; the number of its payment."""
    await house.furnish(merchant=SHOP)
    await house.open("A", "escrow")
    if method:
        await house.say(await house.start("A", method))
    else:
        await house.pay("A")
    if shipped:
        await house.ship("A")
    return (await house.payments("A"))[0].payment_no


async def answer(house: House, agrees: bool, words: str = "") -> Claimed:
    """The seller speaks."""
    said: Claimed = await house.submit(SellerAnswer(Asker(MERCHANT, PROTOCOL), "A", agrees, words))
    return said


async def stand(house: House) -> tuple[str, str, str, int]:
    """Trade, its refunds' word, its claim, and what was given back."""
    trade = await house.trade("A")
    claims = await house.platform.database.load(CLAIM, [OF])
    return trade.state, trade.refund_state, claims[0].state if claims else "", trade.refunded


async def wait(house: House, milliseconds: int) -> None:
    """The clock looks just before and just at the time."""
    house.clock.advance(milliseconds - 1)
    before = await stand(house)
    await house.tick("A")
    assert await stand(house) == before
    house.clock.advance(1)
    await house.tick("A")


def test_before_shipping_the_seller_agrees(stage: Stage) -> None:
    """All of it goes back to the balance and the trade closes; while the claim is open nothing passes it by."""

    async def scene(house: House) -> list[Any]:
        await held(house)
        await house.submit(BuyerAskRefund(*ME, reason="too long"))
        codes = [await refusal(act) for act in (house.ship("A"), house.confirm("A"), house.refund("A", 1))]
        codes.append(await refusal(house.submit(BuyerAskRefund(*ME))))
        seen: list[Any] = [await stand(house)]
        await answer(house, True)
        return [codes, *seen, await stand(house), (await house.balances())["buyer"]]

    assert stage.play(scene, furnished=False) == [
        ["STATE_CONFLICT", "TRADE_STATE", "STATE_CONFLICT", "STATE_CONFLICT"],
        ("escrowed", "asked", "asked", 0),
        ("closed", "success", "agreed", 1_000),
        PLENTY,
    ]


def test_goods_go_back_first(stage: Stage) -> None:
    """Shipped goods are sent back before the money is; a part only is asked for, and the rest is released by its own
    clock, which had stood still."""

    async def scene(house: House) -> list[Any]:
        await held(house, shipped=True)
        house.clock.advance(4 * DAY)
        await house.submit(BuyerAskRefund(*ME, 600, goods=True))
        await answer(house, True)
        house.clock.advance(2 * DAY)
        seen: list[Any] = [await stand(house)]
        await house.submit(ReturnGoods(*ME, "SF", "9"))
        seen.append(await stand(house))
        await answer(house, True)
        seen.append(await stand(house))
        await wait(house, RELEASE_AFTER - 4 * DAY)
        return [*seen, await stand(house), await house.balances()]

    assert stage.play(scene, furnished=False) == [
        ("shipped", "returning", "returning", 0),
        ("shipped", "returned", "returned", 0),
        ("shipped", "success", "agreed", 600),
        ("finished", "success", "agreed", 600),
        {"buyer": PLENTY - 400, "bank ICBC": -PLENTY, "pending": 398, "fee": 2},
    ]


@pytest.mark.parametrize(
    ("goods", "steps", "times", "end"),
    [
        (False, (), [ANSWER_TIME], ("closed", "success", "agreed", 1_000)),
        (True, (), [ANSWER_TIME, RETURN_TIME], ("shipped", "closed", "withdrawn", 0)),
        (True, (), [ANSWER_TIME, RETURN_TIME, RELEASE_AFTER], ("finished", "closed", "withdrawn", 0)),
        (True, ("return",), [CHECK_TIME], ("closed", "success", "agreed", 1_000)),
        (False, ("refuse",), [DISPUTE_TIME], ("shipped", "closed", "withdrawn", 0)),
    ],
)
def test_every_claim_has_a_clock(
    goods: bool, steps: tuple[str, ...], times: list[int], end: tuple[Any, ...], sqlite_stage: Stage
) -> None:
    """Who does not answer has agreed, who does not act has withdrawn; then the release goes on where it stood."""

    async def scene(house: House) -> Any:
        await held(house, shipped=True)
        await house.submit(BuyerAskRefund(*ME, goods=goods))
        if "return" in steps:
            await answer(house, True)
            await house.submit(ReturnGoods(*ME, "SF", "9"))
        if "refuse" in steps:
            await answer(house, False)
        for time in times:
            await wait(house, time)
        return await stand(house)

    assert sqlite_stage.play(scene, furnished=False) == end


def test_T67_a_dispute_takes_four_eyes(stage: Stage) -> None:
    """One operator proposes, another agrees to exactly that; the buyer has his part, the seller his less the fee on it;
    the case is closed and both acts are in the log. No clock runs meanwhile."""

    async def scene(house: House) -> list[Any]:
        await held(house, shipped=True)
        await house.submit(BuyerAskRefund(*ME))
        codes = [await refusal(house.submit(OpenDispute(*ME)))]
        await answer(house, False, "it is new")
        await house.submit(OpenDispute(*ME, "it is not"))
        cases = await house.platform.database.read("case.open", {"most": 9})
        house.clock.advance(99 * DAY)
        await house.tick("A")
        seen: list[Any] = [await stand(house), len(cases)]
        decide = DecideDispute(*OF, 400, True, "otto")
        codes.append(await refusal(house.submit(decide)))
        codes.append(await refusal(house.submit(ProposeDecision(*OF, 1_001, "olga", "x"))))
        await house.submit(ProposeDecision(*OF, 400, "olga", "scratched"))
        codes.append(await refusal(house.submit(DecideDispute(*OF, 400, True, "olga"))))
        codes.append(await refusal(house.submit(DecideDispute(*OF, 500, True, "otto"))))
        await house.submit(DecideDispute(*OF, 400, False, "otto", "look again"))
        codes.append(await refusal(house.submit(decide)))
        await house.submit(ProposeDecision(*OF, 400, "olga", "scratched"))
        await house.submit(decide)
        codes.append(await refusal(house.submit(decide)))
        log = await house.platform.database.read("audit.audit_page", {"lane": 0, "after": 0, "last": 99, "most": 99})
        seen += [await stand(house), await house.balances()]
        seen += [await house.platform.database.read("case.open", {"most": 9}), [row[3] for row in log][-4:]]
        return [codes, *seen]

    codes = ["STATE_CONFLICT", "STATE_CONFLICT", "REFUND_EXCEEDS", "MAKER_IS_CHECKER", "REVIEW_AGAIN"]
    assert stage.play(scene, furnished=False) == [
        [*codes, "STATE_CONFLICT", "TRADE_STATE"],
        ("shipped", "refused", "disputed", 0),
        1,
        ("finished", "success", "decided", 400),
        {"buyer": PLENTY - 600, "bank ICBC": -PLENTY, "pending": 596, "fee": 4},
        [],
        ["dispute.propose", "dispute.send_back", "dispute.propose", "dispute.decide"],
    ]


@pytest.mark.parametrize(("to_buyer", "state"), [(0, "finished"), (1_000, "closed")])
def test_a_decision_may_be_for_one_side(to_buyer: int, state: str, sqlite_stage: Stage) -> None:
    """Before anything was shipped, too."""

    async def scene(house: House) -> Any:
        await held(house)
        await house.submit(BuyerAskRefund(*ME))
        await answer(house, False)
        await house.submit(OpenDispute(*ME))
        await house.submit(ProposeDecision(*OF, to_buyer, "olga", "so"))
        await house.submit(DecideDispute(*OF, to_buyer, True, "otto"))
        return (await stand(house))[0], (await house.trade("A")).refunded

    assert sqlite_stage.play(scene, furnished=False) == (state, to_buyer)


def test_a_bank_that_refuses_what_a_claim_gave(stage: Stage) -> None:
    """The money is the buyer's by right: it goes to his balance, the trade closes, and a case tells it."""

    async def scene(house: House) -> list[Any]:
        payment = await held(house, method="debit")
        await house.submit(BuyerAskRefund(*ME))
        await answer(house, True)
        seen: list[Any] = [await stand(house)]
        await house.say(f"{payment}R0001", "failed")
        cases = await house.platform.database.read("case.open", {"most": 9})
        return [*seen, await stand(house), (await house.balances())["buyer"], len(cases)]

    assert stage.play(scene, furnished=False) == [
        ("escrowed", "paying_back", "agreed", 1_000),
        ("closed", "success", "agreed", 1_000),
        PLENTY + 1_000,
        1,
    ]


async def charge_back(house: House, payment: str, amount: int) -> None:
    """The buyer's bank takes some of his payment back."""
    await house.submit(
        TakeChargeback("ICBC", "cb1", f"{payment}P", *OF, amount, "olga", "otto", "the holder denies it")
    )


@pytest.mark.parametrize(
    ("amount", "goods", "ended"),
    [
        (300, False, ("shipped", "success", "agreed", 700)),
        (1_000, False, ("shipped", "closed", "withdrawn", 0)),
        (1_000, True, ("shipped", "refused", "disputed", 0)),
    ],
)
def test_what_a_bank_took_back_is_not_given_twice(
    amount: int, goods: bool, ended: tuple[Any, ...], sqlite_stage: Stage
) -> None:
    """A chargeback while a claim is open comes off what the seller's yes, or his silence, gives the buyer."""

    async def scene(house: House) -> tuple[Any, ...]:
        payment = await held(house, shipped=True, method="debit")
        await house.submit(BuyerAskRefund(*ME, goods=goods))
        if goods:
            await answer(house, True)
            await house.submit(ReturnGoods(*ME, "SF", "9"))
        await charge_back(house, payment, amount)
        await wait(house, CHECK_TIME if goods else ANSWER_TIME)
        if ended[2] == "agreed":
            await house.say(f"{payment}R0001", amount=1_000 - amount)
        return await stand(house)

    assert sqlite_stage.play(scene, furnished=False) == ended


def test_operators_do_not_give_twice_either(sqlite_stage: Stage) -> None:
    """A chargeback between proposal and decision: it is to be looked at again, and at most the rest is proposed."""

    async def scene(house: House) -> list[Any]:
        payment = await held(house, method="debit")
        await house.submit(BuyerAskRefund(*ME))
        await answer(house, False)
        await house.submit(OpenDispute(*ME))
        await house.submit(ProposeDecision(*OF, 500, "olga", "half"))
        await charge_back(house, payment, 600)
        codes = [
            await refusal(house.submit(DecideDispute(*OF, 500, True, "otto"))),
            await refusal(house.submit(ProposeDecision(*OF, 401, "olga", "more"))),
        ]
        await house.submit(ProposeDecision(*OF, 400, "olga", "the rest"))
        await house.submit(DecideDispute(*OF, 400, True, "otto"))
        return [codes, (await stand(house))[3]]

    assert sqlite_stage.play(scene, furnished=False) == [["REVIEW_AGAIN", "REFUND_EXCEEDS"], 400]


def test_the_buyer_withdraws_and_puts_off(stage: Stage) -> None:
    """A withdrawn claim leaves the release where it stood; putting it off works once, and for the buyer only."""

    async def scene(house: House) -> list[Any]:
        await held(house, shipped=True)
        house.clock.advance(DAY)
        await house.submit(BuyerAskRefund(*ME))
        house.clock.advance(3 * DAY)
        codes = [await refusal(house.submit(ExtendRelease(*ME)))]
        await house.submit(WithdrawClaim(*ME))
        await house.submit(ExtendRelease(*ME))
        codes += [await refusal(house.submit(ExtendRelease(*OF, buyer))) for buyer in (BUYER, "2088000000000098")]
        codes.append(await refusal(house.submit(WithdrawClaim(*ME))))
        await wait(house, RELEASE_AFTER - DAY + EXTENSION)
        return [codes, await stand(house)]

    assert stage.play(scene, furnished=False) == [
        ["STATE_CONFLICT", "STATE_CONFLICT", "TRADE_NOT_FOUND", "STATE_CONFLICT"],
        ("finished", "closed", "withdrawn", 0),
    ]


def test_there_is_a_last_claim(sqlite_stage: Stage) -> None:
    """Asking and withdrawing again and again does not hold the seller's money for ever."""

    async def scene(house: House) -> list[str]:
        await held(house, shipped=True)
        codes = []
        for _ in range(ROUNDS_MAX + 1):
            codes.append(await refusal(house.submit(BuyerAskRefund(*ME))))
            await refusal(house.submit(WithdrawClaim(*ME)))
        return codes

    assert sqlite_stage.play(scene, furnished=False) == [*[""] * ROUNDS_MAX, "LIMIT_EXCEEDED"]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (BuyerAskRefund(*ME, 0), "REFUND_EXCEEDS"),
        (BuyerAskRefund(*ME, 1_001), "REFUND_EXCEEDS"),
        (BuyerAskRefund(*ME, goods=True), "TRADE_STATE"),
        (BuyerAskRefund(*OF, "2088000000000098"), "BUYER_UNKNOWN"),
        (BuyerAskRefund(MERCHANT, "B", BUYER), "TRADE_NOT_FOUND"),
        (WithdrawClaim(*ME), "STATE_CONFLICT"),
        (SellerAnswer(Asker(MERCHANT, PROTOCOL), "A", True), "STATE_CONFLICT"),
        (ProposeDecision(*OF, 1, "olga", "x"), "STATE_CONFLICT"),
    ],
)
def test_T48_what_nobody_may_claim(ask: Any, code: str, sqlite_stage: Stage) -> None:
    """Each refusal by its name."""

    async def scene(house: House) -> str:
        await held(house)
        return await refusal(house.submit(ask))

    assert sqlite_stage.play(scene, furnished=False) == code
