"""Bills: T64, T90, I42. What the ledger says of a day is what the merchant reads, line by line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, House, Stage, make_intent, make_merchant, refusal
from tests.support.world import START
from tongbao.kernel.time import DAY, HOUR, Instant, business_date, parse_china
from tongbao.service.act import act
from tongbao.service.bill import bill_pages, mask_login
from tongbao.service.bill_act import LINK_TIME, make_bill, open_bill, request_bill
from tongbao.service.create import Asker
from tongbao.service.movement import bounds
from tongbao.wire.bill import PLAIN
from tongbao.wire.contract import Verified
from tongbao.wire.movement import BillHead, BillLine, MovementsFound, QueryMovements, RequestBill
from tongbao.wire.vocabulary import FollowUp

TODAY = business_date(START)
ASKER = Asker(MERCHANT, "")
"""The merchant over no protocol: he gets our own format."""

TRADE, ACCOUNT = BillHead(merchant=MERCHANT, day=TODAY), BillHead(merchant=MERCHANT, day=TODAY, kind="account")


async def a_day(house: House) -> None:
    """Two instant payments, one of them by card, an escrow trade paid and released."""
    for number, product, amount in (("A", "instant", 1_000), ("B", "instant", 2_500), ("E", "escrow", 4_000)):
        await house.open(number, product, amount)
    await house.pay("A")
    await house.say(await house.start("B"), amount=2_500)
    await house.pay("E")
    await house.ship("E")
    await house.confirm("E")


async def lines_of(house: House, head: BillHead) -> list[BillLine]:
    """A whole bill."""
    return [line async for page in bill_pages(house.platform, head) for line in page]


def brief(lines: list[BillLine]) -> list[tuple[Any, ...]]:
    """What matters of a line, in minor units."""
    return [
        (
            one.kind,
            one.out_trade_no,
            one.income.minor,
            one.outcome.minor,
            one.fee.minor,
            one.balance and one.balance.minor,
        )
        for one in lines
    ]


def test_I42_a_trade_bill_has_a_line_for_each_payment(stage: Stage) -> None:
    """Payments with their fees; the fee that escrow owes at its release is a line of its own."""

    async def scene(house: House) -> list[Any]:
        await a_day(house)
        house.clock.advance(DAY)
        return brief(await lines_of(house, TRADE))

    assert stage.play(scene) == [
        ("payment", "A", 1_000, 0, 6, None),
        ("payment", "B", 2_500, 0, 15, None),
        ("payment", "E", 4_000, 0, 0, None),
        ("fee", "E", 0, 24, 0, None),
    ]


def test_I42_an_account_bill_carries_the_balance(stage: Stage) -> None:
    """Every movement of the merchant's own money, over two days: the second begins where the first ended. Escrow is not
    his until it is released."""

    async def scene(house: House) -> list[Any]:
        await a_day(house)
        house.clock.advance(DAY)
        await house.open("C")
        await house.pay("C")
        house.clock.advance(DAY)
        second = BillHead(merchant=MERCHANT, day=date.fromordinal(TODAY.toordinal() + 1), kind="account")
        return [brief(await lines_of(house, ACCOUNT)), brief(await lines_of(house, second))]

    assert stage.play(scene) == [
        [
            ("payment", "A", 1_000, 0, 0, 1_000),
            ("fee", "A", 0, 6, 0, 994),
            ("payment", "B", 2_500, 0, 0, 3_494),
            ("fee", "B", 0, 15, 0, 3_479),
            ("payment", "E", 4_000, 0, 0, 7_479),
            ("fee", "E", 0, 24, 0, 7_455),
        ],
        [("payment", "C", 1_000, 0, 0, 8_455), ("fee", "C", 0, 6, 0, 8_449)],
    ]


def test_I42_a_bill_is_the_same_whenever_it_is_asked_for(stage: Stage) -> None:
    """What becomes of a trade later changes nothing in the bill of its day; a month has the lines of its days."""

    async def scene(house: House) -> list[Any]:
        await house.open("E", "escrow")
        await house.pay("E")
        house.clock.advance(DAY)
        first = await lines_of(house, TRADE)
        await house.ship("E")
        await house.confirm("E")
        house.clock.advance(40 * DAY)
        month = BillHead(merchant=MERCHANT, day=TODAY, monthly=True)
        return [first == await lines_of(house, TRADE), [one.kind for one in await lines_of(house, month)]]

    assert stage.play(scene) == [True, ["payment", "fee"]]


def test_F32_a_bill_is_ready_when_its_day_is_over(stage: Stage) -> None:
    """Not before midnight in China, not for days to come, not for days before the merchant, not where nothing moved."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        await house.pay("A")

        def ask(day: date, **more: Any) -> Any:
            return refusal(request_bill(house.platform, ASKER, RequestBill(merchant=MERCHANT, day=day, **more)))

        day = TODAY.toordinal()
        said = [await ask(date.fromordinal(day + offset)) for offset in (0, 1, -400)]
        _, midnight = bounds(TODAY)
        house.clock.advance(midnight - house.clock.business() - 1)
        said.append(await ask(TODAY))
        house.clock.advance(1)
        said.append(await ask(TODAY))
        said.append(await ask(TODAY, kind="other"))
        house.clock.advance(DAY)
        said.append(await ask(date.fromordinal(day + 1)))
        return said

    assert stage.play(scene) == [
        "BILL_NOT_READY",
        "BILL_DATE_INVALID",
        "BILL_NOT_FOUND",
        "BILL_NOT_READY",
        "",
        "FIELD_INVALID",
        "BILL_NOT_FOUND",
    ]


def test_T90_a_bill_is_fetched_with_its_own_word_only(stage: Stage) -> None:
    """The address is good for ten minutes, names one bill of one merchant, and nothing else can be read with it."""

    async def scene(house: House) -> list[Any]:
        await a_day(house)
        house.clock.advance(DAY)
        wish = RequestBill(merchant=MERCHANT, day=TODAY, compressed=True)
        told = await request_bill(house.platform, ASKER, wish)
        assert isinstance(told, FollowUp)
        word = told.url.rpartition("/")[2]
        bill = await open_bill(house.platform, word)
        forged = word[:20] + ("A" if word[20] != "A" else "B") + word[21:]
        said = [await refusal(open_bill(house.platform, wrong)) for wrong in ("", "x.y.z", forged, word[:-1])]
        house.clock.pass_wire(LINK_TIME + 3_000)
        data = b"".join(bill.spooled.chunks())
        lines = list(PLAIN.read([data]))
        return [
            bill.name,
            bill.kind,
            bill.spooled.digest == told.expected_digest,
            said,
            await refusal(open_bill(house.platform, word)),
            lines == await lines_of(house, TRADE),
            {one.buyer.login for one in lines},
        ]

    assert stage.play(scene) == [
        f"tongbao-{MERCHANT}-{TODAY:%Y%m%d}-trade.csv.gz",
        "application/gzip",
        True,
        ["NOT_FOUND"] * 4,
        "NOT_FOUND",
        True,
        {mask_login(f"{BUYER}@buyer.example")},
    ]


def test_I42_movements_are_asked_for_by_the_page(stage: Stage) -> None:
    """Pages join to the whole; a number or a kind narrows them; a stretch of more than a month is refused."""

    async def scene(house: House) -> list[Any]:
        await a_day(house)
        low = Instant(START - HOUR)
        pages = []
        for page in (1, 2, 3):
            found = await house.ask(QueryMovements(merchant=MERCHANT, since=low, page=page, page_size=4))
            assert isinstance(found, MovementsFound)
            pages.append(([one.kind for one in found.lines], found.more))
        narrowed = await house.ask(QueryMovements(merchant=MERCHANT, since=low, out_trade_no="A", kinds=("fee",)))
        assert isinstance(narrowed, MovementsFound)
        long = QueryMovements(merchant=MERCHANT, since=Instant(START - 40 * DAY))
        return [pages, brief(list(narrowed.lines)), await refusal(house.ask(long))]

    assert stage.play(scene) == [
        [(["payment", "fee", "payment", "fee"], True), (["payment", "fee"], False), ([], False)],
        [("fee", "A", 0, 6, 0, 994)],
        "FIELD_INVALID",
    ]


@pytest.mark.slow
def test_I42_a_long_bill_is_read_page_by_page(stage: Stage) -> None:
    """More lines than a page holds: each payment once, balances without a gap, sums as the ledger's."""
    many = 620

    async def scene(house: House) -> list[Any]:
        names = [f"N{number:03d}" for number in range(many)]
        await asyncio.gather(*(house.open(name, amount=100) for name in names))
        for name in names:
            await house.pay(name)
        house.clock.advance(DAY)
        trades, moves = await lines_of(house, TRADE), await lines_of(house, ACCOUNT)
        balances = [one.balance.minor for one in moves if one.balance is not None]
        steps = [one.income.minor - one.outcome.minor for one in moves]
        chain = [sum(steps[: place + 1]) for place in range(len(steps))]
        held = (await house.balances())["pending"]
        return [
            sorted(one.out_trade_no for one in trades) == names,
            len(moves),
            balances == chain,
            balances[-1] == held,
        ]

    assert stage.play(scene) == [True, 2 * many, True, True]


def test_I42_a_wechat_bill_says_what_the_orders_query_says(sqlite_stage: Stage) -> None:
    """Its application, kind and card; and both times of a refund, which its bank has an hour later."""

    async def scene(house: House) -> list[list[str]]:
        await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps(["wechatpay_v3"])))
        echo = {"appid": "wxd930ea5d5a258f4f", "trade_type": "JSAPI"}
        await act(house.platform, "wechatpay_v3", Verified(make_intent("A", echo=echo), None))
        await house.say(await house.start("A"))
        house.clock.advance(HOUR)
        await house.refund("A", 400, "r1")
        house.clock.advance(HOUR)
        await house.say(f"{(await house.payments('A'))[0].payment_no}R0001", amount=400)
        house.clock.advance(DAY)
        rows = []
        for scope in ("SUCCESS", "REFUND"):
            made = await make_bill(house.platform, "wechatpay_v3", replace(TRADE, scope=scope))
            rows.append(b"".join(made.chunks()).decode().split("\r\n")[-4].split(",`"))
        return rows

    paid, back = sqlite_stage.play(scene, furnished=False)
    assert [paid[1], *paid[8:11]] == ["wxd930ea5d5a258f4f", "JSAPI", "SUCCESS", "ICBC_DEBIT"]
    assert [back[1], *back[8:11]] == ["wxd930ea5d5a258f4f", "JSAPI", "REFUND", "ICBC_DEBIT"]
    asked, ended = (parse_china(cell) for cell in back[14:16])
    assert (back[0], ended - asked) == (f"`{back[15]}", HOUR)
