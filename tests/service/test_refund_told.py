"""What a merchant is told of his refunds, and where: as his protocol does it, and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, House, Stage, make_intent, make_merchant
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import SECOND
from tongbao.service.act import act
from tongbao.service.claim import BuyerAskRefund
from tongbao.service.refund_view import refund_then
from tongbao.service.view import view_then
from tongbao.store.schema import EVENT
from tongbao.trade.record import Event
from tongbao.wire.contract import Verified
from tongbao.wire.loader import load_protocol
from tongbao.wire.movement import CancelTrade, MovementState, QueryRefund, RefundTrade
from tongbao.wire.vocabulary import CloseTrade, QueryTrade, TradeFound

TRADES = "http://shop.example/notify"
OWN = "http://shop.example/refund"


async def events(house: House, number: str) -> list[Event]:
    """A trade's events, in order."""
    trade = await house.trade(number)
    keys = [(MERCHANT, number, seq) for seq in range(1, trade.version + 1)]
    found: list[Event] = await house.platform.database.load(EVENT, keys)
    return found


async def story(house: House, protocol: str) -> list[tuple[str, str]]:
    """Two refunds of a card's payment, one of which the bank refuses: cause and target of each event after paying."""
    await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps([protocol])))
    await act(house.platform, protocol, Verified(make_intent("A"), None))
    await house.say(await house.start("A"))
    payment = (await house.payments("A"))[0].payment_no
    for n, url in enumerate((OWN, ""), 1):
        refund = RefundTrade(merchant=MERCHANT, refund_no=f"r{n}", out_trade_no="A", amount=Money(400), notify_url=url)
        await act(house.platform, protocol, Verified(refund, None))
        house.clock.advance(SECOND)
        await house.say(f"{payment}R000{n}", "succeeded" if n == 1 else "failed", 400)
    return [(event.cause.partition(":")[0], event.target) for event in (await events(house, "A"))[1:]]


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("kuaiqian", ["", "", "", ""]),
        ("alipay_mapi", ["", TRADES, "", ""]),
        ("wechatpay_v3", ["", OWN, "", TRADES]),
    ],
)
def test_a_merchant_is_told_as_his_protocol_does_it(protocol: str, told: list[str], stage: Stage) -> None:
    """Not at all; by the trade's notification, of what succeeded; by a message of the refund's own, of every end. The
    paid trade itself is not told a second time."""

    async def scene(house: House) -> list[tuple[str, str]]:
        return await story(house, protocol)

    last = "refund_stuck" if load_protocol(protocol).refund_may_stick else "refund_failed"
    causes = ["refund_accepted", "refund", "refund_accepted", last]
    assert stage.play(scene, furnished=False) == list(zip(causes, told, strict=True))


def test_a_notification_tells_its_own_moment(stage: Stage) -> None:
    """The first refund's event says what was given back then, though more has been since."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=9))
        await house.open("A")
        await house.pay("A")
        at = house.clock.advance(SECOND)
        await house.refund("A", 400, "r1", reason="scratched")
        house.clock.advance(SECOND)
        await house.refund("A", None, "r2")
        trade = await house.trade("A")
        paid, first, last = await events(house, "A")
        view, refund = view_then(trade, first.snapshot, ""), refund_then(trade, first.snapshot)
        end = view_then(trade, last.snapshot, "")
        assert refund_then(trade, paid.snapshot) is None
        assert refund is not None
        assert (view.refunded_at, refund.ended_at, refund.state) == (at, at, MovementState.SUCCEEDED)
        seen: list[Any] = [view.refunded, view.is_paid, view.refund_state, refund.reason, refund.refunded]
        return [*seen, str(view.state), end.is_paid, str(end.state)]

    expected = [Money(400), True, "success", "scratched", Money(400), "paid", False, "closed"]
    assert stage.play(scene, furnished=False) == expected


def test_a_claim_is_told_by_the_trades_notification(sqlite_stage: Stage) -> None:
    """Where the protocol has words for it."""

    async def scene(house: House) -> tuple[str, str, str]:
        await house.open("A", "escrow")
        await house.pay("A")
        await house.submit(BuyerAskRefund(MERCHANT, "A", BUYER))
        event = (await events(house, "A"))[-1]
        view = view_then(await house.trade("A"), event.snapshot, "")
        return event.cause, event.target, view.refund_state

    assert sqlite_stage.play(scene) == ("claim_asked", TRADES, "asked")


def test_every_protocol_says_how_it_tells() -> None:
    """The word is one of three."""
    names = ("alipay_mapi", "alipay_openapi", "wechatpay_v3", "yeepay", "kuaiqian")
    assert {load_protocol(name).notifies_refund for name in names} == {"", "trade", "own"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wechatpay_v2", "wechatpay_v3"])
def test_what_was_given_back_whole_is_no_order_that_was_never_paid(name: str, sqlite_stage: Stage) -> None:
    """Refunded by the merchant: REFUND. Taken back by a reversal: REVOKED. In both he still reads what was paid."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps([name])))
        write_state = import_module(f"tongbao.protocols.{name}.view").write_state
        seen = []
        back = RefundTrade(merchant=MERCHANT, refund_no="r1", out_trade_no="A", amount=Money(1_000))
        for number, intent in (("A", back), ("B", CancelTrade(merchant=MERCHANT, out_trade_no="B"))):
            await act(house.platform, name, Verified(make_intent(number), None))
            await house.pay(number)
            await act(house.platform, name, Verified(intent, None))
            query = QueryTrade(merchant=MERCHANT, out_trade_no=number)
            found = await act(house.platform, name, Verified(query, None))
            assert isinstance(found, TradeFound)
            with pytest.raises(Refused) as caught:
                await act(house.platform, name, Verified(CloseTrade(merchant=MERCHANT, out_trade_no=number), None))
            state = str(found.trade.state)
            seen.append((write_state(found.trade), state, found.trade.was_paid, caught.value.state))
        return seen

    ends = [(word, "closed", True, "paid") for word in ("REFUND", "REVOKED")]
    assert sqlite_stage.play(scene, furnished=False) == ends


def test_a_refund_without_a_number_has_the_merchants_number_of_the_trade(stage: Stage) -> None:
    """However the trade was named: asked for, and asked again, by the number that the shop knows. Before it is paid,
    and when it is closed without, the refusal says in which state it is."""

    async def scene(house: House) -> list[Any]:
        name = "alipay_openapi"
        await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps([name])))

        async def ask(intent: Any) -> Any:
            return await act(house.platform, name, Verified(intent, None))

        async def state(number: str) -> tuple[str, str]:
            with pytest.raises(Refused) as caught:
                await ask(RefundTrade(merchant=MERCHANT, refund_no="", out_trade_no=number, amount=Money(1)))
            return caught.value.code, caught.value.state

        await ask(make_intent("A"))
        seen: list[Any] = [await state("A")]
        await house.pay("A")
        whole = RefundTrade(merchant=MERCHANT, refund_no="", amount=Money(1_000), total=Money(1_000))
        seen.append((await ask(replace(whole, trade_no=(await house.trade("A")).trade_no))).changed)
        seen.append((await ask(replace(whole, refund_no="A", out_trade_no="A"))).changed)
        found = await ask(QueryRefund(merchant=MERCHANT, refund_no="A", out_trade_no="A"))
        seen.append([one.refund_no for one in found.refunds])
        await ask(make_intent("C"))
        await ask(CloseTrade(merchant=MERCHANT, out_trade_no="C"))
        return [*seen, await state("C")]

    assert stage.play(scene, furnished=False) == [
        ("TRADE_STATE", "unpaid"),
        True,
        False,
        ["A"],
        ("TRADE_STATE", "closed"),
    ]
