"""A shop in business: its pages, its duties, the platform it sells through, and a visitor."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shop.browser import ADDRESS, Parts, Visitor
from tests.shop.counter import NOW, Chance, Mailbox, Platform, configure, post_fields
from tests.support.clock import Hands
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.order import Order
from tongbao.shop.application import shop_app
from tongbao.shop.shop import Shop
from tongbao.shop.table import read_stock
from tongbao.wire.http import get
from tongbao.wire.vocabulary import TradeState
from tongbao.wire.world import World


async def on_thread(function: Callable[[], Any]) -> Any:
    """Databases work on a thread, as in a real process."""
    return await asyncio.to_thread(function)


@dataclass
class Town:
    """Everything one purchase needs."""

    path: Path
    runner: asyncio.Runner
    clock: Hands = field(default_factory=lambda: Hands(NOW))
    mailbox: Mailbox = field(default_factory=Mailbox)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.platform = Platform(self.clock)
        self.world = World(
            clock=self.clock,
            entropy=Chance(),
            send=self.platform,
            mail=self.mailbox,
            log=lambda event, **fields: self.events.append((event, fields)),
            random=lambda seed: NotImplemented,
            compute=on_thread,
            sleep=asyncio.sleep,
            spawn=lambda task, name: asyncio.ensure_future(task),
            environment="sandbox",
        )
        self.database = Database(Dialect.SQLITE, lambda: sqlite3.connect(self.path, timeout=30))
        self.shop = Shop(
            self.world,
            {"alipay_mapi": configure()},
            self.database,
            address=ADDRESS,
            mails=lambda: self.mailbox.mails,
            story_url="http://127.0.0.1:9/trades/{trade_no}",
            receipt_url="http://127.0.0.1:9/receipt/{trade_no}",
        )
        self.application = shop_app(self.shop)
        self.visitor = Visitor(self.application, self.runner)

    def another(self, language: str = "en") -> Visitor:
        return Visitor(self.application, self.runner, language)

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def order(self, number: str) -> Order:
        found = self.database.read(lambda transaction: self.shop.book.find(transaction, number))
        assert found is not None
        return found

    def stock(self, sku: str = "longjing") -> tuple[int, int]:
        return self.database.read(read_stock)[sku]

    def place(self, sku: str = "longjing", quantity: int = 2, **wishes: str) -> tuple[str, httpx.Response]:
        """Steps 1 to 3: the order's number and the confirmation page."""
        good = self.visitor.get(f"/goods/{sku}")
        cart = self.visitor.submit(good, "/cart", sku=sku, quantity=str(quantity))
        said = {"email": "buyer@example.com", "method": "", "bank": "", "expiry": "", "language": "en"}
        page = self.visitor.submit(cart, "/orders", **{**said, **wishes})
        assert page.status_code == 200
        return page.url.path.split("/")[2], page

    def checkout(self, page: httpx.Response, *, by_link: bool = False) -> str:
        """Steps 4 and 5: the browser carries the request to the platform, which opens the trade."""
        parts = Parts(page.text)
        if by_link:
            return self.platform.open(get(parts.links["pay-link"]))
        form = next(form for form in parts.forms if form.action.startswith("http://127.0.0.1:9/"))
        return self.platform.open(post_fields(form.action, form.fields, form.charset))

    def buy(self, state: TradeState = TradeState.PAID, **more: Any) -> str:
        """Steps 1 to 6: a paid order of which the shop does not know yet."""
        number, page = self.place(**more)
        assert self.checkout(page) == number
        self.platform.move(number, state)
        return number

    def deliver(self, number: str, **changes: Any) -> str:
        """Step 7: the notification arrives; the shop's word."""
        return self.visitor.carry(self.platform.notify(number, **changes)).text


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town of its own for each test."""
    with asyncio.Runner() as runner:
        town = Town(tmp_path / "shop.sqlite", runner)
        yield town
        town.visitor.close()
