"""Batches of refunds: each line by the rule for all refunds, told of once when the last has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.platform import MERCHANT, OTHER, PLENTY, House, Stage, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import HOUR, Instant
from tongbao.service.notice import about, event_key
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.refund_act import batch_view, open_batch_url, run_refund_lines
from tongbao.service.refund_batch import ConfirmRefundBatch
from tongbao.store.schema import EVENT, REFUND_BATCH
from tongbao.wire.movement import BatchTaken, QueryRefund, RefundBatch, RefundItem

SHOP = make_merchant(refund_days=30)


def batch(*lines: tuple[str, int], number: str = "b1", **changes: Any) -> RefundBatch:
    """A batch as a message says it."""
    items = tuple(RefundItem(trade_no=trade, amount=Money(amount), reason="late") for trade, amount in lines)
    values = {"notify_url": "http://shop.example/batch", "echo": {"charset": "gbk"}, **changes}
    return RefundBatch(merchant=MERCHANT, batch_no=number, items=items, **values)


async def paid(house: House) -> dict[str, str]:
    """A trade paid from a balance and one paid through a bank: their numbers."""
    await house.furnish(merchant=SHOP)
    for number in ("A", "B"):
        await house.open(number)
    await house.pay("A")
    await house.say(await house.start("B"))
    return {number: (await house.trade(number)).trade_no for number in ("A", "B")}


async def lines(house: House, number: str = "b1") -> list[tuple[str, str]]:
    """State and code of every line."""
    view = await batch_view(house.platform, MERCHANT, number)
    return [(str(one.state), one.code) for one in view.refunds]


def test_a_batch_runs_to_its_end(stage: Stage) -> None:
    """A good line, one at a bank, one too many, one of a stranger: nobody stops anybody, and one event tells it all."""

    async def scene(house: House) -> list[Any]:
        numbers = await paid(house)
        asked = batch((numbers["A"], 400), (numbers["B"], 1_000), (numbers["A"], 601), ("9" * 28, 5))
        taken = [await house.ask(asked), await house.ask(asked)]
        other = await refusal(house.ask(batch((numbers["A"], 401))))
        seen: list[Any] = [taken, other, await lines(house)]
        seen.append([await run_refund_lines(house.platform) for _ in range(2)])
        seen.append(await lines(house))
        events = await house.platform.database.load(EVENT, [(MERCHANT, "refunds:b1", 1)])
        payment = (await house.payments("B"))[0].payment_no
        await house.say(f"{payment}R0001")
        seen += [len(events), [await run_refund_lines(house.platform) for _ in range(2)], await lines(house)]
        (event,) = await house.platform.database.load(EVENT, [(MERCHANT, "refunds:b1", 1)])
        told = (await about(house.platform, event))["batch"]
        found: Any = await house.ask(QueryRefund(merchant=MERCHANT, batch_no="b1", trade_no=numbers["B"]))
        assert found.refunds == (told.refunds[1],)
        assert await event_key(house.platform, json.loads(event.snapshot)["id"]) == (MERCHANT, "refunds:b1")
        seen += [told.echo, told.refunds[0].refunded, told.refunds[0].batch_no, (await house.balances())["buyer"]]
        return seen

    assert stage.play(scene, furnished=False) == [
        [BatchTaken("b1"), BatchTaken("b1")],
        "REFUND_MISMATCH",
        [("accepted", "")] * 4,
        [4, 0],
        [("succeeded", ""), ("accepted", ""), ("failed", "REFUND_EXCEEDS"), ("failed", "TRADE_NOT_FOUND")],
        0,
        [1, 0],
        [("succeeded", ""), ("succeeded", ""), ("failed", "REFUND_EXCEEDS"), ("failed", "TRADE_NOT_FOUND")],
        {"charset": "gbk"},
        Money(400),
        "b1",
        PLENTY - 600,
    ]


@pytest.mark.parametrize("agrees", [True, False])
def test_a_batch_that_a_browser_carried_waits_for_a_yes(agrees: bool, sqlite_stage: Stage) -> None:
    """Nothing moves before the merchant agrees on the platform's page; its link is ours, and does not live long."""

    async def scene(house: House) -> list[Any]:
        numbers = await paid(house)
        taken: Any = await house.ask(batch((numbers["A"], 400), asks_password=True))
        word = taken.confirm_url.rsplit("/", 1)[1]
        seen: list[Any] = [await run_refund_lines(house.platform)]
        opened = await open_batch_url(house.platform, word)
        codes = [await refusal(open_batch_url(house.platform, word[:-1] + "x"))]
        await house.submit(ConfirmRefundBatch(MERCHANT, opened.batch_no, "owner", agrees))
        codes.append(await refusal(house.submit(ConfirmRefundBatch(MERCHANT, opened.batch_no, "owner", agrees))))
        codes.append(await refusal(house.submit(ConfirmRefundBatch(MERCHANT, "b9", "owner", agrees))))
        house.clock.wire_now = Instant(house.clock.wire_now + HOUR)
        codes.append(await refusal(open_batch_url(house.platform, word)))
        seen += [codes, await run_refund_lines(house.platform), (await house.trade("A")).refunded]
        return [*seen, (await house.platform.database.load(REFUND_BATCH, [(MERCHANT, "b1")]))[0].agreed_by]

    codes = ["CASHIER_LINK_INVALID", "STATE_CONFLICT", "BATCH_NOT_FOUND", "CASHIER_LINK_INVALID"]
    assert sqlite_stage.play(scene, furnished=False) == [0, codes, int(agrees), 400 if agrees else 0, "owner"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (batch(), "BATCH_INVALID"),
        (batch(("1" * 28, 0)), "AMOUNT_NOT_POSITIVE"),
        (batch(("1" * 28, 1), number=""), "BATCH_INVALID"),
        (batch(("1" * 28, 1), notify_url="ftp://x"), "URL_NOT_ALLOWED"),
        (batch(*[("1" * 28, 1)] * 1_001), "BATCH_INVALID"),
        (QueryRefund(merchant=MERCHANT, batch_no="b1"), "BATCH_NOT_FOUND"),
    ],
)
def test_a_batch_that_is_not_taken(asked: Any, code: str, sqlite_stage: Stage) -> None:
    """By name, and nothing is kept of it."""

    async def scene(house: House) -> list[Any]:
        return [await refusal(house.ask(asked)), await house.platform.database.load(REFUND_BATCH, [(MERCHANT, "b1")])]

    assert sqlite_stage.play(scene) == [code, []]


def test_T84_a_batch_of_another_merchant_is_not_seen(sqlite_stage: Stage) -> None:
    """A line that names another merchant's trade finds none."""

    async def scene(house: House) -> list[tuple[str, str]]:
        await house.furnish(merchant=SHOP)
        await house.submit(RegisterMerchant(make_merchant(OTHER, refund_days=30), "maker"))
        await house.submit(ChangeMerchant(OTHER, "approved", "checker", ""))
        trade = await house.open("K", merchant=OTHER)
        await house.pay("K", merchant=OTHER)
        await house.ask(batch((trade.trade_no, 5)))
        await run_refund_lines(house.platform)
        return await lines(house)

    assert sqlite_stage.play(scene, furnished=False) == [("failed", "TRADE_NOT_FOUND")]
