"""Alipay's Open Platform in a real Chromium, against the real sandbox: a shop's signed requests for a desk, a phone's
browser and an app, codes that the wallet scans and shows; and the signed return, which the shop verifies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.test_cashier_browser import Watch, context
from tongbao.kernel.error import InvalidSignature, Refused
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.page import html_form
from tongbao.merchant.system import SystemClock
from tongbao.protocols.alipay_openapi.client import order_string
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.http import get
from tongbao.wire.vocabulary import Notification, Presentation, Role

pytestmark = pytest.mark.slow

LOOPBACK = "http://127.0.0.1:"
SUBJECT = "景德镇青花瓷茶具一套 · 手绘缠枝莲纹 (8 件)"
SUM, SHOWN = Money(12_850), "¥128.50"
PAYEE = "通宝示范商店"

WORDS = {
    "zh": {"cashier": "选择付款方式", "paid": "付款成功", "confirm": "确认付款", "code": "付款码"},
    "en": {
        "cashier": "How would you like to pay?",
        "paid": "Payment complete",
        "confirm": "Confirm payment",
        "code": "Payment code",
    },
}


class Shop:
    """A shop: its signed requests, its own web pages under ``pages``, and the addresses to which buyers came back."""

    def __init__(self, box: LocalSandbox) -> None:
        shop = self
        self.box = box
        self.pages: dict[str, str] = {}
        self.came: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/return?"):
                    shop.came.append(f"{shop.url}{self.path}")
                body = shop.pages.get(self.path, "<!doctype html><title>shop</title><h1>welcome back</h1>").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.client = Client(box.configuration("alipay_openapi", return_url=f"{self.url}/return?basket=7"))

    @property
    def url(self) -> str:
        return f"{LOOPBACK}{self._server.server_address[1]}"

    def close(self) -> None:
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page_pay(self, page: Page, number: str) -> None:
        """The buyer presses the button on the shop's page: a form POST to the gateway."""
        call = self.client.payment(number, SUM, SUBJECT, presentation=Presentation.PAGE)
        assert "alipay.trade.page.pay" in dict(call.fields).values()
        self.pages[f"/pay/{number}"] = f"<!doctype html><title>shop</title>{html_form(call, auto=False)}"
        page.goto(f"{self.url}/pay/{number}")
        page.locator("form [type=submit], form button").first.click()

    def wap_pay(self, page: Page, number: str) -> None:
        """The buyer follows a link on the shop's page for phones."""
        call = self.client.payment(number, SUM, SUBJECT, presentation=Presentation.H5)
        assert "alipay.trade.wap.pay" in dict(call.fields).values()
        page.goto(call.link())

    def app_pay(self, number: str) -> str:
        """What the shop's app hands to the wallet's."""
        return order_string(self.client.payment(number, SUM, SUBJECT, presentation=Presentation.APP))

    def returned(self, address: str) -> Notification:
        """What a buyer's address says, as the shop reads it. Raises InvalidSignature."""
        own = self.client.configuration
        return own.manifest.client.decode_return(get(address), own.keys, SystemClock().wire())


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A shop beside a running sandbox; whatever the tests pay, the books are right in the end."""
    with LocalSandbox(seed=5) as box:
        one = Shop(box)
        yield one
        one.close()
        assert box.audit() == "clean"


def sign_in(page: Page) -> None:
    """The first demonstration buyer."""
    page.locator(".chip").first.click()
    page.click(".pane .primary")


def pay(page: Page, password: str) -> None:
    page.fill("[name=pay_password]", password)
    page.click(".pane .primary")


def is_order(page: Page, number: str) -> None:
    """Sum, goods, payee and the shop's number are there to be read."""
    said = page.inner_text("main")
    assert [text for text in (SHOWN, SUBJECT, PAYEE, number) if text not in said] == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("size", "open_cashier"), [("desk", Shop.page_pay), ("phone", Shop.wap_pay)])
def test_a_buyer_pays_at_the_cashier_and_comes_back_with_a_signed_return(
    browser: Browser, shop: Shop, size: str, language: str, open_cashier: Callable[[Shop, Page, str], None]
) -> None:
    """page.pay on a desk and wap.pay on a phone: every pane, a wrong pay password and the right one, the result, and
    the shop's address with a return that verifies, is of this order, and is no evidence by itself."""
    number, words = f"OPEN-{size}-{language}", WORDS[language]
    with context(browser, size, language) as opened:
        page = opened.new_page()
        watch = Watch(page, LOOPBACK)
        open_cashier(shop, page, number)
        cashier = page.url
        assert cashier.startswith(f"{shop.box.base_url}/cashier/")
        for pane in ("card", "outlet", "balance"):
            page.goto(f"{cashier}?pay={pane}")
            watch.check(page)
            is_order(page, number)
        assert words["cashier"] in page.inner_text("main")
        sign_in(page)
        watch.check(page)
        pay(page, "000000")
        assert page.locator("[role=alert]").is_visible()
        assert not shop.client.query(number).is_paid
        pay(page, shop.box.credentials["buyers"][0]["pay_password"])
        assert (page.inner_text("h1"), page.url) == (words["paid"], f"{cashier}/result")
        watch.check(page, refused=True)
        is_order(page, number)
        page.wait_for_url(f"{shop.url}/return?**")
        assert (page.inner_text("h1"), watch.strangers) == ("welcome back", [])
    address = shop.came[-1]
    assert address.startswith(f"{shop.url}/return?basket=7&")
    told = shop.returned(address)
    assert (told.role, told.trade.out_trade_no, told.trade.amount) == (Role.RETURN, number, SUM)
    with pytest.raises(InvalidSignature):
        shop.returned(address.replace("total_amount=128.50", "total_amount=0.01"))
    assert shop.client.query(number).is_paid


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_app_hands_its_order_to_the_wallet(browser: Browser, shop: Shop, language: str) -> None:
    """app.pay: a changed text opens nothing; the signed one shows the order, once signed in, and is paid."""
    number, words = f"APP-{language}", WORDS[language]
    text = shop.app_pay(number)
    assert "alipay.trade.app.pay" in text
    with context(browser, "phone", language) as opened:
        page = opened.new_page()
        watch = Watch(page, LOOPBACK)
        page.goto(f"{shop.box.base_url}/wallet")
        watch.check(page)
        sign_in(page)
        watch.check(page)
        page.fill("[name=scanned]", text.replace("128.50", "0.01"))
        page.click(".pane .primary")
        assert page.locator("[role=alert]").is_visible()
        watch.check(page, refused=True)
        page.fill("[name=scanned]", text)
        page.click(".pane .primary")
        assert page.inner_text("h1") == words["confirm"]
        watch.check(page, refused=True)
        is_order(page, number)
        pay(page, shop.box.credentials["buyers"][0]["pay_password"])
        assert page.inner_text("h1") == words["paid"]
        watch.check(page, refused=True)
        is_order(page, number)
    assert shop.client.query(number).is_paid


def test_the_wallet_scans_a_precreated_code(browser: Browser, shop: Shop) -> None:
    """What the QR code says opens the trade in a phone's browser, and pasted into the wallet; paid, it cannot be paid
    again."""
    number = "QR-1"
    code = shop.client.create(number, SUM, SUBJECT, presentation=Presentation.QR).cashier_url
    with context(browser, "phone", "zh") as opened:
        page = opened.new_page()
        watch = Watch(page, LOOPBACK)
        page.goto(code)
        watch.check(page)
        sign_in(page)
        assert page.inner_text("h1") == WORDS["zh"]["confirm"]
        is_order(page, number)
        watch.check(page)
        pay(page, shop.box.credentials["buyers"][0]["pay_password"])
        assert page.inner_text("h1") == WORDS["zh"]["paid"]
        watch.check(page)
        page.goto(f"{shop.box.base_url}/wallet")
        page.fill("[name=scanned]", code)
        page.click(".pane .primary")
        assert page.inner_text("h1") == WORDS["zh"]["paid"]
        assert page.locator("[name=pay_password]").count() == 0
    assert shop.client.query(number).is_paid


@pytest.mark.parametrize("language", ["zh", "en"])
def test_T62_the_shop_scans_the_code_of_the_wallet(browser: Browser, shop: Shop, language: str) -> None:
    """pay: the digits on the phone pay once; above the cap the wallet shows what waits, and the buyer agrees there."""
    with context(browser, "phone", language) as opened:
        page = opened.new_page()
        watch = Watch(page, LOOPBACK)
        page.goto(f"{shop.box.base_url}/wallet")
        sign_in(page)

        def shown() -> str:
            page.goto(f"{shop.box.base_url}/wallet/code/alipay_openapi")
            assert page.inner_text("h1") == WORDS[language]["code"]
            watch.check(page)
            digits = page.inner_text(".pay-digits").replace(" ", "")
            assert digits == page.locator("[data-code]").get_attribute("data-code")
            return digits

        code = shown()
        assert shop.client.scan(f"TILL-{language}", SUM, SUBJECT, code).is_paid
        with pytest.raises(Refused) as caught:
            shop.client.scan(f"AGAIN-{language}", SUM, SUBJECT, code)
        assert caught.value.code == "CODE_INVALID"
        dear = f"DEAR-{language}"
        with pytest.raises(Refused) as caught:
            shop.client.scan(dear, Money(123_450), SUBJECT, shown())
        assert caught.value.code == "BUYER_PAYING"
        page.goto(f"{shop.box.base_url}/wallet")
        watch.check(page)
        page.locator(".trades a").first.click()
        assert "¥1,234.50" in page.inner_text("main")
        watch.check(page)
        pay(page, shop.box.credentials["buyers"][0]["pay_password"])
        assert page.inner_text("h1") == WORDS[language]["paid"]
    assert shop.client.query(dear).is_paid
