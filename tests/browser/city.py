"""Platform, banks, cashier, console and a stub of a shop behind one loopback address, in a thread of their own.

Playwright's event loop runs in the test's thread, so whatever awaits is handed over by ``City.call``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.web.batch import OPERATORS
from tests.web.house import PROTOCOL, House, house, listening
from tests.web.surfer import open_trade
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.sandbox.forgery import send_tampered
from tongbao.store.bankbook import BankBook
from tongbao.web.agree.app import SEGMENT as AGREE
from tongbao.web.agree.app import agree_app
from tongbao.web.app import build_web
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.page import bank_app
from tongbao.web.cashier.app import SEGMENTS, cashier_app
from tongbao.web.cashier.hint import Hint
from tongbao.web.console import console_app
from tongbao.web.faces.recorder import MemoryRecorder
from tongbao.web.page.error import Pages
from tongbao.web.wallet.app import SEGMENTS as WALLET
from tongbao.web.wallet.app import wallet_app
from tongbao.wire.asgi import Application, Receive, Scope, Send, send_response
from tongbao.wire.http import text
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import CreateTrade, Product
from tongbao.wire.world import Mail

T = TypeVar("T")

CARD = "6200000000000018"
BANK_PASSWORD = "135790"


@dataclass
class Kept:
    """One mail as the mailbox keeps it."""

    at: Instant
    mail: Mail


class Door:
    """The application behind the listener, once its address is known."""

    def __init__(self) -> None:
        self.app: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """A shop that thanks for coming back and believes no notification."""
    if scope["method"] == "POST":
        await send_response(send, text("fail"))
    else:
        await send_response(send, text("<!doctype html><title>shop</title><h1>welcome back</h1>", kind="text/html"))


@dataclass
class City:
    """Everything, and the loop it lives in."""

    base: str
    home: House
    loop: asyncio.AbstractEventLoop

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the platform lives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def open(self, number: str, product: Product = Product.INSTANT, subject: str = "青花瓷茶具一套") -> str:
        """The cashier's address of a new trade of 128.50 yuan."""
        opened = open_trade(self.home, number, product, subject=subject, return_url=f"{self.base}/shop/return")
        _, url = self.call(opened)
        return url if url.startswith("http") else f"{self.base}{url}"

    def signed(self, number: str, subject: str = "青花瓷茶具一套") -> str:
        """A signed payment request as a link to the gateway."""
        intent = CreateTrade(
            merchant=self.home.credentials.merchant,
            out_trade_no=number,
            product=Product.INSTANT,
            subject=subject,
            amount=Money(12_850),
            notify_url=f"{self.base}/shop/notify",
            return_url=f"{self.base}/shop/return",
        )
        now = self.home.platform.world.clock.wire()
        link = load_protocol(PROTOCOL).client.encode(intent, self.home.credentials, now).link()
        return f"{self.base}/{link.split('/', 3)[3]}"


async def _live(folder: Path, ready: Any, stop: asyncio.Event) -> None:
    door = Door()
    async with listening(door) as addresses:
        base = addresses[0].url
        async with house(folder, "sandbox", base, f"{base}/bank") as home:
            book = BankBook(str(folder / "bank.sqlite"))
            bank = Bank(home.world, book, home.platform.secrets.bank)
            await bank.add_card("ICBC", "debit", CARD, BANK_PASSWORD, "王小明", 10_000_000, "ok")
            await bank.fund_platform("ICBC", 1_000_000, "t1")
            recorder = MemoryRecorder(home.platform.world.clock.wire)
            mails = [Kept(home.now, Mail("shop@example.com", "buyer@example.com", "订单已付款", "谢谢！", "k"))]
            console = console_app(
                home.platform,
                recorder=recorder,
                mails=lambda: mails,
                tamper=partial(send_tampered, home.platform),
            )
            hints = [Hint("buyer@example.com", "login123", "741852")]
            cashier = cashier_app(home.platform, hints)
            wallet = wallet_app(home.platform, hints)
            people = [Hint(name, "", password) for name, password in OPERATORS.items()]
            agree = agree_app(home.platform, people)
            pages = {**dict.fromkeys(SEGMENTS, cashier), **dict.fromkeys(WALLET, wallet), AGREE: agree}
            routes = {**pages, "console": console, "shop": shop}
            web = build_web(home.platform, Pages(), routes=routes, bank=bank_app(bank), recorder=recorder)
            door.app = web.main
            home.net.apps = {base.partition("://")[2]: web.main}
            ready(City(base, home, asyncio.get_running_loop()))
            await stop.wait()
            await book.close()


@contextmanager
def city(folder: Path) -> Iterator[City]:
    """A running city."""
    found: list[City] = []
    failed: list[BaseException] = []
    up = threading.Event()
    stops: list[asyncio.Event] = []

    def ready(one: City) -> None:
        found.append(one)
        up.set()

    def main() -> None:
        async def inner() -> None:
            stops.append(asyncio.Event())
            await _live(folder, ready, stops[0])

        try:
            asyncio.run(inner())
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            failed.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=main)
    thread.start()
    up.wait(60)
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        if found:
            found[0].loop.call_soon_threadsafe(stops[0].set)
        thread.join(60)
    if failed:
        raise failed[0]
