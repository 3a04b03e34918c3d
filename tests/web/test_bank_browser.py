"""The banks' pages in a real Chromium at both widths: they fit, load nothing foreign, and pay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.runtime.harness import serving
from tests.web.branch import CARDS, PASSWORD
from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SystemEntropy, random_source
from tongbao.runtime.server import Listener
from tongbao.service.channel import sign_query
from tongbao.store.bankbook import BankBook
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.page import bank_app
from tongbao.web.guard import Guard, strip
from tongbao.wire.http import Request, Response
from tongbao.wire.world import Limits, Mail, NotSent, World

ROOT = b"r" * 32


@dataclass(frozen=True)
class Street:
    """A served bank, and how to sign addresses of its page."""

    base: str
    bank: Bank

    def url(self, number: str, language: str) -> str:
        """A page for one order of 12,345 yuan."""
        pairs = (
            ("instruction_no", number),
            ("method", "debit"),
            ("amount", "1234500"),
            ("currency", "CNY"),
            ("subject", "青花瓷茶具一套，" * 8),
            ("back_url", f"{self.base}/bank/OUTLET/counter"),
            ("notice_url", f"{self.base}/nowhere"),
        )
        return f"{self.base}/bank/CCB/pay?{sign_query(self.bank.secret('CCB'), pairs)}&lang={language}"


def elsewhere(make: Callable[[], Awaitable[Any]]) -> None:
    """Run a coroutine in a thread of its own: Playwright's loop runs in this one."""

    async def main() -> None:
        await make()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A simulated bank on a loopback port."""

    async def send(request: Request, limits: Limits = Limits()) -> Response:  # noqa: B008 - a value
        raise NotSent("CONNECT")

    async def take_mail(mail: Mail) -> None:
        raise OSError

    async def compute(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    def log(event: str, **fields: object) -> None:
        return

    def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> None:
        coroutine.close()

    world = World(
        RealClock(), SystemEntropy(), send, take_mail, log, random_source(1), compute, asyncio.sleep, spawn, "test"
    )
    folder: Path = tmp_path_factory.mktemp("bank")
    book = BankBook(str(folder / "bank.sqlite"))
    bank = Bank(world, book, ROOT)

    async def issue() -> None:
        for outcome in ("ok", "insufficient", "slow", "lost", "late"):
            await bank.add_card("CCB", "debit", CARDS[outcome], PASSWORD, "王小明", 10_000_000, outcome)

    elsewhere(issue)
    try:
        with serving([Listener("127.0.0.1", 0, Guard(strip(bank_app(bank), "bank")))]) as addresses:
            yield Street(addresses[0].url, bank)
    finally:
        elsewhere(book.close)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", ["page_desk", "page_phone"])
def test_a_buyer_pays(request: pytest.FixtureRequest, street: Street, width: str, language: str) -> None:
    """Pick a card, press pay, be led back; nothing wider than the window, no complaint in the browser's console."""
    page: Page = request.getfixturevalue(width)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda asking: asked.append(asking.url))
    page.goto(street.url(f"{width}{language}", language))
    assert page.locator(".amount strong").inner_text() == "¥12,345.00"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("getComputedStyle(document.querySelector('.go')).backgroundColor") == "rgb(29, 79, 156)"
    page.locator("button.pick").first.click()
    page.locator("button.go").click()
    assert page.locator("[data-state]").get_attribute("data-state") == "paid"
    page.wait_for_url("**/OUTLET/counter")
    assert [line for line in said if "favicon" not in line] == []
    assert {url.split("/")[2] for url in asked} == {street.base.split("/")[2]}
