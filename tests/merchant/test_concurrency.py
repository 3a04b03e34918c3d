"""Many threads at once on every database: one effect, one answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from tests.merchant.conftest import Shop
from tests.support.clock import NOW
from tongbao.merchant.book import OrderTable
from tongbao.merchant.order import OrderState
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.verdict import VerdictKind

CROWD = 64


def test_T24_I25_the_same_notification_64_times_in_parallel_has_one_effect(any_shop: Shop) -> None:
    """64 threads behind a barrier: one is applied, the others are duplicates, all get the success word."""
    shop = any_shop
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    barrier = Barrier(CROWD)

    def deliver(_: int) -> Any:
        barrier.wait()
        return shop.receiver.accept_notification(message)

    with ThreadPoolExecutor(CROWD) as pool:
        answers = list(pool.map(deliver, range(CROWD)))
    kinds = sorted(str(answer.verdict.kind) for answer in answers)
    assert kinds == ["applied"] + ["duplicate"] * (CROWD - 1)
    assert {answer.response.body for answer in answers} == {b"yes"}
    counts = [shop.count(name) for name in ("stock_taken", "payment_effect", "payment_inbox", "payment_outbox")]
    assert (counts, shop.stored().state) == ([1, 1, 1, 1], OrderState.PAID)


def test_F24_notification_query_and_close_race_to_one_end(any_shop: Shop) -> None:
    """Notifications and inquiries about ten orders at once: each order has exactly one paying effect."""
    shop = any_shop
    numbers = [f"R{index}" for index in range(10)]
    for number in numbers:
        shop.order(number)
        shop.platform.trade(number)
    messages = {number: shop.platform.notify(number, at=NOW) for number in numbers}

    def act(index: int) -> Any:
        number = numbers[index % 10]
        if index % 3:
            return shop.receiver.accept_notification(messages[number]).verdict
        return shop.receiver.confirm_by_query(number)

    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(act, range(60)))
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.APPLIED, VerdictKind.DUPLICATE}
    assert sum(verdict.kind is VerdictKind.APPLIED for verdict in verdicts) == 10
    assert (shop.count("payment_effect"), shop.count("stock_taken")) == (10, 10)


def test_T26_two_orders_race_for_one_trade_number(any_shop: Shop) -> None:
    """A platform that says the same trade paid two orders, both at once: only one order is paid."""
    shop = any_shop
    for number in ("A1", "B2"):
        shop.order(number)
        shop.platform.trade(number, trade="TX")
    messages = [shop.platform.notify(number, at=NOW) for number in ("A1", "B2")] * 8
    with ThreadPoolExecutor(16) as pool:
        verdicts = [answer.verdict for answer in pool.map(shop.receiver.accept_notification, messages)]
    assert sum(verdict.kind is VerdictKind.APPLIED for verdict in verdicts) == 1
    assert (shop.count("payment_effect"), shop.count("stock_taken")) == (1, 1)
    assert sorted([shop.stored("A1").state, shop.stored("B2").state]) == [OrderState.PAID, OrderState.PENDING]


def test_the_asynchronous_shell_walks_the_same_core(any_shop: Shop) -> None:
    """Sixteen deliveries as tasks of one loop, the transactions in threads: one effect; returns and polls work too."""
    shop = any_shop
    shop.order("A1")
    shop.order("B2")
    shop.platform.trade("A1")
    shop.platform.trade("B2", state="finished")
    message = shop.platform.notify("A1", at=NOW)

    async def main() -> list[Any]:
        receiver = AsyncReceiver(
            [shop.endpoint], OrderTable(), shop.database, apply=shop.apply, clock=shop.clock, send=shop.platform.send
        )
        answers = await asyncio.gather(*(receiver.accept_notification(message) for _ in range(16)))
        queried = await receiver.confirm_by_query("B2")
        rest = await receiver.poll(older_than=0)
        await receiver.close()
        return [sorted(str(answer.verdict.kind) for answer in answers), queried.kind, rest]

    assert asyncio.run(main()) == [["applied"] + ["duplicate"] * 15, VerdictKind.APPLIED, []]
    assert shop.count("stock_taken") == 2
