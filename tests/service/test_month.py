"""A simulated month of trade, and any order of refunds and shares: the books are clean each day and end at zero."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.month import Month
from tests.support.platform import BUYER, MERCHANT, PLENTY, House, Stage, make_buyer, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, business_date
from tongbao.ledger.account import buyer_balance
from tongbao.service.settlement import settle_day
from tongbao.service.split_act import parts_of
from tongbao.trade.calendar import write_day
from tongbao.wire.movement import RefundTrade, Split, SplitTrade
from tongbao.wire.party import Party

AGENT = "2088000000000044"
AMOUNT = 1_000


@pytest.mark.slow
def test_a_month_of_trade_with_a_clean_audit_each_day(stage: Stage) -> None:
    """Thirty working days on either database; every day is settled once and nothing is lost."""

    async def scene(house: House) -> Month:
        month = Month(house)
        await month.run(30)
        worth = await month.worth()
        assert worth["available"] > 0
        assert worth["agent"] > 0
        days = stage.execute("SELECT COUNT(*), COUNT(DISTINCT day) FROM settlement_day WHERE state = 'done'")
        assert days[0][0] == days[0][1] >= 29
        ends = dict(stage.execute("SELECT state, COUNT(*) FROM payout GROUP BY state"))
        assert ends["succeeded"] > 60
        assert ends["failed"] > 20
        assert stage.execute("SELECT COUNT(*) FROM payout WHERE source = 'standing'")[0][0] > 0
        assert stage.execute("SELECT COUNT(*) FROM split")[0][0] > 10
        assert stage.execute("SELECT COUNT(*) FROM refund")[0][0] > 20
        return month

    month = stage.play(scene, furnished=False)
    assert (month.found, month.days) == ([], 30)


ORDERS = st.lists(
    st.tuples(st.sampled_from(("split", "refund", "settle", "back")), st.integers(1, 700)), min_size=1, max_size=8
)


@pytest.mark.slow
@settings(max_examples=40)
@given(orders=ORDERS)
def test_T37_any_order_of_refunds_and_shares_ends_at_exactly_zero(
    orders: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> None:
    """Shares, settlements and refunds in any order; when all of it has gone back, everybody has what he had before."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp()))
    shutil.copy(sqlite_template, folder / "books.sqlite")
    stage = Stage("sqlite", str(folder / "books.sqlite"))

    async def whole() -> dict[str, int]:
        async with stage.open_house() as house:
            await house.furnish(merchant=make_merchant(refund_days=90, fee_rate=77))
            await house.add_buyer(make_buyer(AGENT), 0)
            await house.open("A", amount=AMOUNT)
            await house.pay("A")
            for n, (what, amount) in enumerate(orders):
                await _step(house, n, what, amount)
            await _all_back(house)
            assert await house.audit() == []
            return await house.balances()

    assert asyncio.run(whole()) == {"bank ICBC": -PLENTY, "buyer": PLENTY}
    shutil.rmtree(folder)


async def _step(house: House, n: int, what: str, amount: int) -> None:
    if what == "settle":
        day = write_day(business_date(house.clock.now))
        house.clock.advance(DAY)
        await settle_day(house.platform, day)
        return
    intent: Any
    part = Split(receiver=Party(AGENT), amount=Money(amount))
    if what == "split":
        intent = SplitTrade(merchant=MERCHANT, split_no=f"s{n}", splits=(part,), out_trade_no="A")
    else:
        backs = (part,) if what == "back" else ()
        intent = RefundTrade(merchant=MERCHANT, refund_no=f"r{n}", out_trade_no="A", amount=Money(amount), splits=backs)
    await refusal(house.ask(intent))


async def _all_back(house: House) -> None:
    """Whatever is left of the trade goes back, and with it whatever the receiver still has of it."""
    trade = await house.trade("A")
    left = trade.amount - trade.refunded
    parts = await parts_of(house.platform, trade)
    his = sum(part.amount - part.returned for part in parts)
    if not left:
        assert his == 0
        return
    backs = (Split(receiver=Party(AGENT), amount=Money(his)),) if his else ()
    await house.ask(
        RefundTrade(merchant=MERCHANT, refund_no="last", out_trade_no="A", amount=Money(left), splits=backs)
    )
    assert await house.platform.balance(buyer_balance(AGENT, "CNY")) == 0
    assert await house.platform.balance(buyer_balance(BUYER, "CNY")) == PLENTY
