"""The wallet in a real Chromium at phone width: sign in, scan, pay, show a code, let a shop know the buyer."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.city import City, city
from tests.browser.test_cashier_browser import Watch, context
from tongbao.web.wallet.desk import brands

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for the module's tests."""
    with city(tmp_path_factory.mktemp("wallet")) as one:
        yield one


def sign_in(page: Page) -> None:
    """Press the demonstration buyer's chip, then the button."""
    page.click(".chip")
    page.click(".pane .primary")


def scanned_text(town: City, number: str) -> str:
    """What a QR code of a new trade says."""
    town.open(number)
    trade = town.call(town.home.platform.find_trade(town.home.credentials.merchant, number))
    return f"https://qr.example.com/{town.home.platform.seal.trade_code(trade.trade_no)}"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_buyer_scans_and_pays(browser: Browser, town: City, language: str) -> None:
    """The scanned text leads to the trade; a wrong pay password is told, the right one pays."""
    with context(browser, "phone", language) as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(f"{town.base}/wallet")
        watch.check(page)
        sign_in(page)
        watch.check(page)
        page.fill("[name=scanned]", "hello")
        page.click(".pane .primary")
        assert page.locator("[role=alert]").is_visible()
        text = scanned_text(town, f"Q{language}")
        page.fill("[name=scanned]", text)
        page.click(".pane .primary")
        assert "/wallet/trades/" in page.url
        watch.check(page, refused=True)
        page.fill("[name=pay_password]", "000000")
        page.click(".pane .primary")
        assert page.locator("[role=alert]").is_visible()
        page.fill("[name=pay_password]", "741852")
        page.click(".pane .primary")
        assert page.locator("[name=pay_password]").count() == 0
        trade = town.call(town.home.platform.find_trade(town.home.credentials.merchant, f"Q{language}"))
        assert trade.state in ("paid", "finished")


def test_the_address_in_a_code_opens_the_trade(browser: Browser, town: City) -> None:
    """What a phone's own camera opens is the same page; a changed code opens nothing."""
    with context(browser, "phone", "zh") as opened:
        page = opened.new_page()
        code = scanned_text(town, "CAM").rpartition("/")[2]
        page.goto(f"{town.base}/qr/{code}")
        assert page.url == f"{town.base}/wallet/trades/{code}"
        sign_in(page)
        assert "128.50" in page.inner_text("main")
        answer = page.goto(f"{town.base}/qr/{code[:-1]}{'0' if code[-1] != '0' else '1'}")
        assert answer is not None
        assert answer.status == 404


def test_every_brand_with_payment_codes_shows_one(browser: Browser, town: City) -> None:
    """The code is digits with the brand's first ones, drawn as a QR code, and another each time."""
    with context(browser, "phone", "zh") as opened:
        page = opened.new_page()
        page.goto(f"{town.base}/wallet")
        sign_in(page)
        for name in brands():
            page.goto(f"{town.base}/wallet/code/{name}")
            first = page.locator("[data-code]").get_attribute("data-code")
            page.reload()
            assert page.locator("[data-code]").get_attribute("data-code") != first
            assert page.locator(".qr svg").is_visible()
            assert page.locator(".bars svg").is_visible()


def let_pass(page: Page, seconds: int) -> None:
    """Let the page live through so many seconds at once: its timers and its refresh, not the platform's clock."""
    session = page.context.new_cdp_session(page)
    over: list[object] = []

    def end(told: object) -> None:
        over.append(told)

    session.on("Emulation.virtualTimeBudgetExpired", end)
    policy = {"policy": "pauseIfNetworkFetchesPending", "budget": seconds * 1_000}
    session.send("Emulation.setVirtualTimePolicy", policy)
    for _ in range(600):
        if over:
            break
        page.wait_for_timeout(50)
    assert over
    session.detach()


def test_T62_a_code_is_shown_for_sixty_seconds_and_then_the_next(browser: Browser, town: City) -> None:
    """The page counts down from a minute; then it shows another code, by itself, and counts again."""
    with context(browser, "phone", "en") as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(f"{town.base}/wallet")
        sign_in(page)
        page.goto(f"{town.base}/wallet/code/alipay_openapi")
        watch.check(page)
        shown = page.locator("[data-code]")
        first = shown.get_attribute("data-code")
        let_pass(page, 57)
        assert page.inner_text("time.left") in ("00:02", "00:03")
        assert shown.get_attribute("data-code") == first
        let_pass(page, 8)
        second = shown.get_attribute("data-code")
        assert second != first
        assert "00:50" < page.inner_text("time.left") < "01:00"
        watch.check(page)


def test_a_buyer_lets_a_shop_know_him(browser: Browser, town: City) -> None:
    """Consent leads back to the shop's own page with a code and the state unchanged, after signing in on the way."""
    with context(browser, "phone", "zh") as opened:
        page = opened.new_page()
        asked = {
            "merchant": town.home.credentials.merchant,
            "redirect_uri": f"{town.base}/shop/return?a=1",
            "state": "s&7",
        }
        page.goto(f"{town.base}/wallet/consent?{urlencode(asked)}")
        page.fill("[name=login]", "buyer@example.com")
        page.fill("[name=password]", "login123")
        page.click(".pane .primary")
        page.click("button.primary")
        page.wait_for_url("**/shop/return?**")
        said = parse_qs(urlsplit(page.url).query)
        assert (said["a"], said["state"], len(said["code"][0])) == (["1"], ["s&7"], 32)
