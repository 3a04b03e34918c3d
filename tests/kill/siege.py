"""A siege: web, worker and shop, each a process of its own, killed at random moments while clients order, pay and
are given money back.

On SQLite one process of the platform writes: the worker's duties run within the web's, as they do in the product.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

from tests.kill.load import Child, Load, ShopChild, furnish, judge, now, strike
from tests.kill.shop import Shop, check_returns, check_shop, count_told
from tests.support.platform import Stage
from tongbao.kernel.time import MINUTE, SECOND, next_midnight


@dataclass(frozen=True)
class Siege:
    """What came of it; that nothing was lost or done twice is asserted on the way."""

    kills: Counter[str]
    ordered: int
    told: int
    """Payments acknowledged."""
    already: int
    """Payments nobody was told of, found done when they were asked for again."""
    returned: int
    """Refunds acknowledged."""
    repeats: int
    notified: int
    """Orders that the shop was told of by a notification; of the others it asked itself."""

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({kills}), {self.ordered:,} orders, {self.told:,} payments acknowledged,"
            f" {self.already:,} found done, {self.returned:,} refunds acknowledged, {self.repeats:,} requests repeated,"
            f" {self.notified:,} orders told of"
        )


async def _hear(shop: Shop) -> None:
    """When all is over the worker tells of what it did not come to: wait for the first of it, a minute at most."""
    for _ in range(600):
        if await asyncio.to_thread(count_told, shop):
            return
        await asyncio.sleep(0.1)


def _await_day() -> None:
    """In the last three minutes of a day wait for the next: a refund's number is of its day, none begins so late."""
    left = next_midnight(now()) - now()
    if left < 3 * MINUTE:
        time.sleep(left / SECOND)


def besiege(stage: Stage, shop_where: str, seed: int, kills: int) -> Siege:
    """Play it on a fresh database and one for the shop, and judge."""
    _await_day()
    web = Child(stage.where, role="both" if stage.dialect == "sqlite" else "web")
    gateway = f"http://127.0.0.1:{web.port}/alipay_mapi/gateway.do"
    counter = ShopChild(shop_where, gateway=gateway)
    children = {"web": web, "shop": counter}
    if stage.dialect != "sqlite":
        children["worker"] = Child(stage.where, lane=1, role="worker")
    shop = Shop(shop_where, gateway)
    shop.furnish()
    deck = sorted(children) * (kills // len(children) + 1)
    Random(f"who {seed}").shuffle(deck)
    struck = Counter[str]()
    load = Load(web, f"http://127.0.0.1:{counter.port}/notify", shop=counter)

    async def blow() -> None:
        name = deck.pop()
        struck[name] += 1
        children[name].kill()
        await children[name].start()

    async def main() -> int:
        await furnish(stage)
        try:
            await asyncio.gather(*(child.start() for child in children.values()))
            async with asyncio.timeout(120 + 20 * kills):  # whoever asks in vain would ask for ever
                await strike(load, seed, kills, blow)
            await _hear(shop)
            counter.kill()
            told = await asyncio.to_thread(check_shop, shop, load.book.wanted)
            await asyncio.to_thread(check_returns, shop, load.book.returned)
        finally:
            for child in children.values():
                child.kill()
        assert load.book.ordered == set(load.book.wanted)
        await judge(stage, load.book)
        return told

    try:
        notified = asyncio.run(main())
    finally:
        shop.receiver.close()
    book = load.book
    return Siege(
        struck, len(book.ordered), len(book.told), len(book.already), len(book.returned), book.repeats, notified
    )
