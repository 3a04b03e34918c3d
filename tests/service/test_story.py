"""The story of one yuan: every part of an order in one reading, and the money's places add up to what came."""

from __future__ import annotations

from typing import Any

from tests.support.platform import MERCHANT, House, Stage
from tests.support.world import START
from tongbao.cli.story import text
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, business_date, business_day
from tongbao.service.bill_act import make_bill
from tongbao.service.channel import StatementLine
from tongbao.service.reconcile import reconcile_bank
from tongbao.service.story import Story, dump_story, tell
from tongbao.wire.movement import BillHead, RefundTrade

TODAY = business_date(START)


def brief(story: Story) -> list[Any]:
    """Stations and places."""
    return [{one.name: one.state for one in story.stations}, {one.name: one.amount for one in story.places}]


def test_I29_a_paid_order_passes_its_stations(stage: Stage) -> None:
    """From the request to the bank's statement: paid by card, told in a bill, compared."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        number = await house.start("A")
        told = [brief(await tell(house.platform.database, await house.trade("A")))]
        await house.say(number)
        told.append(brief(await tell(house.platform.database, await house.trade("A"))))
        house.bank.statements["ICBC", business_day(START)] = [
            StatementLine("f", "fund", "first 2088000000000099", 1_000_000, "CNY", True, START),
            StatementLine("r", "pay", number, 1_000, "CNY", True, START),
        ]
        house.clock.advance(DAY)
        await reconcile_bank(house.platform, "ICBC", TODAY)
        await make_bill(house.platform, "", BillHead(merchant=MERCHANT, day=TODAY))
        story = await tell(house.platform.database, await house.trade("A"))
        lines = list(text(story))
        assert dump_story(story)["reconciliation"][0]["state"] == "matched"
        return [
            *told,
            brief(story),
            lines[0],
            [line for line in lines if line.startswith(("bill", "statement"))][1][-7:],
        ]

    early = {"request": "done", "paid": "open", "told": "none", "back": "none"}
    flat = {"settled": "none", "billed": "none", "compared": "none"}
    paid = {"request": "done", "paid": "done", "told": "open", "back": "none", "settled": "open"}
    assert stage.play(scene) == [
        [{**early, **flat}, {}],
        [{**paid, "billed": "open", "compared": "open"}, {"pending": 994, "fee": 6}],
        [{**paid, "billed": "done", "compared": "done"}, {"pending": 994, "fee": 6}],
        "A  10.00 CNY  finished  测试",
        "matched",
    ]


def test_I32_the_places_of_the_money_add_up(stage: Stage) -> None:
    """Escrow, released, refunded to a balance: wherever it is, it is all there."""

    async def scene(house: House) -> list[Any]:
        await house.open("E", "escrow", 4_000)
        await house.pay("E")
        told = [brief(await tell(house.platform.database, await house.trade("E")))[1]]
        await house.ask(RefundTrade(merchant=MERCHANT, refund_no="R1", out_trade_no="E", amount=Money(1_500)))
        told.append(brief(await tell(house.platform.database, await house.trade("E")))[1])
        await house.ship("E")
        await house.confirm("E")
        story = await tell(house.platform.database, await house.trade("E"))
        return [*told, brief(story)[1], [one.line.kind for one in story.bill]]

    assert stage.play(scene) == [
        {"escrow": 4_000},
        {"escrow": 2_500, "buyer": 1_500},
        {"buyer": 1_500, "pending": 2_485, "fee": 15},
        ["payment", "refund", "fee"],
    ]
