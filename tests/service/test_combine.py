"""Combined orders: all parts or none, whoever comes first, and nobody is richer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

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
    make_merchant,
    refusal,
)
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import buyer_balance, merchant_pending
from tongbao.service import checkout
from tongbao.service.combine import CloseTogether
from tongbao.service.combine_act import find_combined, parts_of
from tongbao.service.create import Asker
from tongbao.service.escrow import OperatorClose, TimerDue
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.wallet import issue_code, pay_by_code
from tongbao.store.schema import EVENT
from tongbao.wire.movement import RefundFound, RefundTrade
from tongbao.wire.vocabulary import (
    CloseCombined,
    CombinedFound,
    CombinedPart,
    CreateCombined,
    QueryCombined,
    TradeOpened,
    TradeState,
)

pytestmark = pytest.mark.slow
OTHER, STRANGER, SECOND = "2088000000000017", "2088000000000025", "2088000000000091"
KEYS = ((MERCHANT, "C1"), (OTHER, "C2"), (OTHER, "C3"))
WHOLE = CreateCombined(
    merchant=MERCHANT,
    out_trade_no="W1",
    parts=(
        CombinedPart(out_trade_no="C1", subject="茶", amount=Money(1_000)),
        CombinedPart(out_trade_no="C2", subject="壶", amount=Money(2_000), merchant=OTHER, provided=True),
        CombinedPart(out_trade_no="C3", subject="杯", amount=Money(30), merchant=OTHER),
    ),
    notify_url="http://shop.example/notify",
)
NAMED = ((MERCHANT, "C1", False), (OTHER, "C2", True), (OTHER, "C3", False))
CLOSE = CloseCombined(merchant=MERCHANT, out_trade_no="W1", parts=NAMED)


async def _merchants(house: House) -> None:
    """Another merchant who agreed to the first as his provider, and one who did not."""
    for number, agreed in ((OTHER, {"providers": [MERCHANT]}), (STRANGER, {})):
        merchant = make_merchant(number, refund_days=90, settings=json.dumps(agreed))
        await house.submit(RegisterMerchant(merchant, "maker"))
        await house.submit(ChangeMerchant(number, "approved", "checker", "papers seen"))


async def _opened(house: House) -> None:
    await _merchants(house)
    opened = await house.ask(WHOLE)
    assert isinstance(opened, TradeOpened)
    assert "/wallet/trades/" in opened.cashier_url


async def _pay(house: House, buyer: str = BUYER, part: int = 0) -> str:
    """The buyer opens one of the parts in his wallet, and agrees."""
    merchant, number = KEYS[part]
    trade = await house.trade(number, merchant)
    return await refusal(
        checkout.pay_from_balance(house.platform, trade, await house.platform.buyer(buyer), PAY_PASSWORD)
    )


async def _states(house: House) -> list[str]:
    return [(await house.trade(number, merchant)).state for merchant, number in KEYS]


async def _pending(house: House) -> list[int]:
    """What was paid for, per merchant, before fees."""
    fees = {MERCHANT: 0, OTHER: 0}
    for merchant, number in KEYS:
        fees[merchant] += (await house.trade(number, merchant)).fee
    return [await house.platform.balance(merchant_pending(one, "CNY")) + fee for one, fee in fees.items()]


def test_one_payment_pays_all(stage: Stage) -> None:
    """Every part is paid at one moment, each merchant has his own sum, the buyer is poorer by the whole; one event."""

    async def scene(house: House) -> tuple[str, list[int], int, list[TradeState | None], list[str]]:
        await _opened(house)
        before = await house.platform.balance(buyer_balance(BUYER, "CNY"))
        first = await _pay(house, part=1)
        spent = before - await house.platform.balance(buyer_balance(BUYER, "CNY"))
        found = await house.ask(QueryCombined(merchant=MERCHANT, out_trade_no="W1"))
        assert isinstance(found, CombinedFound)
        told = await house.platform.database.load(EVENT, [(MERCHANT, "combined:W1", 1)])
        silent = await house.platform.database.load(EVENT, [(*key, 1) for key in KEYS])
        targets = [event.target for event in (*told, *silent)]
        assert await _pay(house) == "TRADE_NOT_PAYABLE"
        return first, await _pending(house), spent, [part.state for part in found.combined.parts], targets

    said, pending, spent, states, targets = stage.play(scene)
    assert (said, pending, spent) == ("", [1_000, 2_030], 3_030)
    assert set(states) <= {TradeState.PAID, TradeState.FINISHED}
    assert targets == ["http://shop.example/notify", "", "", ""]


def test_all_or_none_where_the_money_does_not_suffice(stage: Stage) -> None:
    """A balance that would pay two of three parts pays none."""

    async def scene(house: House) -> tuple[str, list[str], int]:
        await _opened(house)
        await house.add_buyer(make_buyer(SECOND), 3_029)
        said = await _pay(house, SECOND)
        return said, await _states(house), await house.platform.balance(buyer_balance(SECOND, "CNY"))

    assert stage.play(scene) == ("INSUFFICIENT_FUNDS", ["unpaid"] * 3, 3_029)


def test_T61_the_agreement_is_over_the_whole(stage: Stage) -> None:
    """A wrong pay password pays nothing, and no part can be paid, handed to a bank or closed alone."""

    async def scene(house: House) -> tuple[list[str], list[str]]:
        await _opened(house)
        trade = await house.trade("C1")
        buyer = await house.platform.buyer(BUYER)
        code = await issue_code(house.platform, BUYER, "28")
        told = [
            await refusal(checkout.pay_from_balance(house.platform, trade, buyer, "000000")),
            await refusal(pay_by_code(house.platform, MERCHANT, "C1", code)),
            await refusal(house.start("C1")),
            await refusal(house.close("C1")),
        ]
        return told, await _states(house)

    told, states = stage.play(scene)
    assert told == ["PASSWORD_WRONG", "TRADE_NOT_PAYABLE", "TRADE_NOT_PAYABLE", "STATE_CONFLICT"]
    assert states == ["unpaid"] * 3


def test_T42_closing_and_paying_at_once(stage: Stage) -> None:
    """Whoever comes first wins: whether the merchant closes all or an operator one part, all are paid or none."""

    async def scene(house: House) -> tuple[list[str], int]:
        await _opened(house)
        before = await house.platform.balance(buyer_balance(BUYER, "CNY"))
        part = OperatorClose(OTHER, "C3", "anna", "asked by the buyer")
        tries = [_pay(house), _pay(house, part=2), refusal(house.submit(part)), refusal(house.ask(CLOSE))]
        await asyncio.gather(*tries)
        return await _states(house), before - await house.platform.balance(buyer_balance(BUYER, "CNY"))

    states, spent = stage.play(scene)
    paid = [state in ("paid", "finished") for state in states]
    assert (all(paid), spent) == (True, 3_030) or (not any(paid) and spent == 0)


def test_T42_an_operator_who_closes_a_part_ends_the_whole(stage: Stage) -> None:
    """After one part was closed, nothing is paid; the rest can still be closed, again and again."""

    async def scene(house: House) -> tuple[str, list[str], str]:
        await _opened(house)
        await house.submit(OperatorClose(OTHER, "C3", "anna", "asked by the buyer"))
        said = await _pay(house)
        await house.ask(CLOSE)
        return said, await _states(house), await refusal(house.ask(CLOSE))

    assert stage.play(scene) == ("TRADE_NOT_PAYABLE", ["closed"] * 3, "")


def test_the_time_to_pay_ends_for_all(stage: Stage) -> None:
    """When it is over no part is paid any more; the clock closes each of them."""

    async def scene(house: House) -> tuple[str, list[str]]:
        await _opened(house)
        house.clock.advance(16 * DAY)
        said = await _pay(house)
        for merchant, number in KEYS:
            await house.submit(TimerDue(merchant, number))
        return said, await _states(house)

    assert stage.play(scene) == ("TRADE_NOT_PAYABLE", ["closed"] * 3)


def test_T49_two_buyers_pay_once(stage: Stage) -> None:
    """Of two buyers who agree in the same moment one pays, the other keeps his money."""

    async def scene(house: House) -> tuple[list[str], list[int]]:
        await _opened(house)
        await house.add_buyer(make_buyer(SECOND), 1_000_000)
        told = await asyncio.gather(_pay(house), _pay(house, SECOND, 1), _pay(house, part=2))
        return sorted(told), await _pending(house)

    assert stage.play(scene) == (["", "TRADE_NOT_PAYABLE", "TRADE_NOT_PAYABLE"], [1_000, 2_030])


def test_T28_the_same_number_asks_for_the_same(stage: Stage) -> None:
    """The equal request finds the first; another one, or a part that stands elsewhere, is refused and opens nothing."""

    async def scene(house: House) -> tuple[bool, list[str], str]:
        await _opened(house)
        first, again = await house.ask(WHOLE), await house.ask(WHOLE)
        assert isinstance(first, TradeOpened)
        assert isinstance(again, TradeOpened)
        dearer = replace(WHOLE.parts[0], amount=Money(1_001))
        fresh = CombinedPart(out_trade_no="NEW", subject="茶", amount=Money(5))
        wrong = (
            replace(WHOLE, parts=(dearer, *WHOLE.parts[1:])),
            replace(WHOLE, parts=WHOLE.parts[:2]),
            replace(WHOLE, out_trade_no="W2", parts=(fresh, WHOLE.parts[0])),
            replace(WHOLE, out_trade_no="W3", parts=(fresh, fresh)),
        )
        told = [await refusal(house.ask(intent)) for intent in wrong]
        alone = await refusal(house.ask(make_intent("C1", amount=1_000)))
        return first.trade_no == again.trade_no, [*told, alone], await refusal(house.trade("NEW"))

    same, told, missing = stage.play(scene)
    assert (same, missing) == (True, "TRADE_NOT_FOUND")
    assert told == ["TRADE_FROZEN", "TRADE_FROZEN", "TRADE_FROZEN", "FIELD_INVALID", "TRADE_FROZEN"]


def test_T57_only_merchants_who_agreed_take_part(stage: Stage) -> None:
    """A merchant who has not agreed makes the whole fail, whichever way he is named; so does an unknown one."""

    async def scene(house: House) -> tuple[list[str], str]:
        await _merchants(house)
        part = CombinedPart(out_trade_no="S1", subject="茶", amount=Money(5), merchant=STRANGER)
        ways = (part, replace(part, provided=True), replace(part, merchant="2088000000000999"))
        whole = [replace(WHOLE, parts=(WHOLE.parts[0], named)) for named in ways]
        return [await refusal(house.ask(intent)) for intent in whole], await refusal(house.trade("C1"))

    assert stage.play(scene) == (["NO_PRIVILEGE", "NO_PRIVILEGE", "UNKNOWN_MERCHANT"], "TRADE_NOT_FOUND")


def test_a_close_names_every_part(stage: Stage) -> None:
    """Closing names all parts and nothing else; a paid whole is not closed."""

    async def scene(house: House) -> list[str]:
        await _opened(house)
        wrong = (NAMED[:2], (*NAMED, NAMED[0]), (*NAMED[:2], (OTHER, "C9", False)))
        told = [await refusal(house.ask(replace(CLOSE, parts=parts))) for parts in wrong]
        await _pay(house)
        told.append(await refusal(house.ask(CLOSE)))
        combined = await find_combined(house.platform, MERCHANT, "W1")
        parts = await parts_of(house.platform, combined)
        told.append(await refusal(house.submit(CloseTogether(Asker(MERCHANT, PROTOCOL), "W1", parts, parts))))
        return told

    assert stage.play(scene) == [*["FIELD_INVALID"] * 3, "TRADE_STATE", "TRADE_STATE"]


def test_a_part_is_refunded_alone(stage: Stage) -> None:
    """A part's money goes back out of its own merchant's; the others stay paid."""

    async def scene(house: House) -> tuple[int, list[int]]:
        await _opened(house)
        await _pay(house)
        before = await house.platform.balance(buyer_balance(BUYER, "CNY"))
        refunded = await house.ask(RefundTrade(merchant=OTHER, refund_no="R1", out_trade_no="C3", amount=Money(30)))
        assert isinstance(refunded, RefundFound)
        back = await house.platform.balance(buyer_balance(BUYER, "CNY")) - before
        return back, [(await house.trade(number, merchant)).refunded for merchant, number in KEYS]

    assert stage.play(scene) == (30, [0, 0, 30])
