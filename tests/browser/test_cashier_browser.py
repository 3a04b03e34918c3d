"""Cashier, account and console in a real Chromium: at both widths, in both languages, without scripts, in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page

from tests.browser.city import BANK_PASSWORD, City, city
from tongbao.wire.vocabulary import Product

pytestmark = pytest.mark.slow

SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
POLYGLOT = "\"'><svg/onload=alert(1)><script>alert(2)</script><img src=x onerror=alert(3)>{{7*7}}"

FITS = "document.documentElement.scrollWidth <= screen.width"
"""No page is wider than the glass. ``innerWidth`` would not do: a phone shows a page that is too wide smaller."""
UNLABELLED = """[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
    .filter(one => !one.labels.length && !one.getAttribute('aria-label')).map(one => one.name)"""
SMALL = """[...document.querySelectorAll('main button:not(.linkish), main .button, .tabs a, .bank, .kind')]
    .filter(one => one.offsetParent && one.getBoundingClientRect().height < 36).map(one => one.textContent)"""

OUTSIDE = """[...document.querySelectorAll('.card .button, .card button, .card input, .card textarea, .card select')]
    .filter(one => one.offsetParent
        && one.getBoundingClientRect().right > one.closest('.card').getBoundingClientRect().right)
    .map(one => one.textContent || one.name)"""

SPILT = """[...document.querySelectorAll('main :is(button, .button, .bank > span, .kind > span, .tabs a, .chip)')]
    .filter(one => one.offsetParent && one.scrollWidth > one.clientWidth).map(one => one.textContent)"""


class Watch:
    """What a page complained of: console lines, dialogs, requests to strangers."""

    def __init__(self, page: Page, base: str) -> None:
        self.said: list[str] = []
        self.dialogs: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda asked: None if asked.url.startswith(base) else self.strangers.append(asked.url))

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def check(self, page: Page, *, refused: bool = False) -> None:
        """Nothing foreign, nothing beyond glass, card or button, every field labelled, all big enough for a thumb."""
        said = [line for line in self.said if not (refused and "status of 4" in line)]
        assert (said, self.dialogs, self.strangers) == ([], [], [])
        assert page.evaluate(FITS), page.url
        assert page.evaluate(UNLABELLED) == []
        assert page.evaluate(SMALL) == []
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(SPILT) == []
        assert page.locator("h1").count() == 1
        assert page.locator("main").count() == 1


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for the module's tests."""
    with city(tmp_path_factory.mktemp("city")) as one:
        yield one


def context(browser: Browser, size: str, language: str, *, scripts: bool = True, dark: bool = False) -> BrowserContext:
    """A fresh browser of that width and language."""
    width = SIZES[size]
    return browser.new_context(
        viewport={"width": width["width"], "height": width["height"]},
        locale="zh-CN" if language == "zh" else "en-GB",
        has_touch=size == "phone",
        is_mobile=size == "phone",
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
    )


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_a_buyer_pays_from_his_balance(browser: Browser, town: City, size: str, language: str) -> None:
    """From the signed link to the shop: cashier, chip, sign in, a wrong and the right pay password, and home."""
    with context(browser, size, language) as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(town.signed(f"W{size}{language}"))
        assert page.url.startswith(f"{town.base}/cashier/")
        watch.check(page)
        page.click(".chip")
        page.click(".pane .primary")
        assert page.locator(":focus").get_attribute("name") == "pay_password"
        page.fill("[name=pay_password]", "000000")
        page.click(".pane .primary")
        assert page.locator("[role=alert]").is_visible()
        watch.check(page, refused=True)
        page.fill("[name=pay_password]", "741852")
        page.click(".pane .primary")
        assert page.url.endswith("/result")
        watch.check(page, refused=True)
        page.wait_for_url("**/shop/return?**")
        assert "sign=" in page.url
        assert (page.inner_text("h1"), watch.strangers) == ("welcome back", [])


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_a_buyer_pays_by_card(browser: Browser, town: City, size: str) -> None:
    """Card form, the page that names the bank, the bank's own page, and back to a result that leads home."""
    with context(browser, size, "zh") as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(f"{town.open(f'V{size}')}?pay=card")
        page.fill("[name=contact]", "13800138000")
        page.check("[name=bank][value=ICBC]", force=True)
        watch.check(page)
        page.click(".pane .primary")
        page.wait_for_url("**/bank/ICBC/pay?**")
        page.locator("button.pick").first.click()
        if page.locator("[name=password]").input_value() == "":
            page.fill("[name=password]", BANK_PASSWORD)
        page.locator("button.go").click()
        page.wait_for_url("**/result")
        watch.check(page)
        page.wait_for_url("**/shop/return?**")
        assert watch.dialogs == []


def test_everything_works_without_scripts(browser: Browser, town: City) -> None:
    """Time left, choice, sign in, payment, result and the way home need no script."""
    with context(browser, "phone", "en", scripts=False) as opened:
        page = opened.new_page()
        page.goto(town.open("U1", Product.DUAL))
        assert page.inner_text("time.left").count(":") == 1
        page.click(".flow >> nth=1")
        assert "flow=instant" in page.url
        page.click(".chip")
        page.click(".pane .primary")
        page.fill("[name=pay_password]", "741852")
        page.click(".pane .primary")
        assert "Payment complete" in page.inner_text("h1")
        page.click("a.button.primary")
        assert page.inner_text("h1") == "welcome back"


def test_the_countdown_counts(browser: Browser, town: City) -> None:
    """With scripts the time left goes down from the server's figure."""
    with context(browser, "desk", "zh") as opened:
        page = opened.new_page()
        page.goto(town.open("U2"))
        first = page.inner_text("time.left")
        page.wait_for_function("first => document.querySelector('time.left').textContent !== first", arg=first)
        assert page.inner_text("time.left") < first


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_T54_nothing_runs_whatever_a_merchant_writes(browser: Browser, town: City, size: str) -> None:
    """A subject full of markup is seen on every page of cashier, account and console: no dialog, no policy report."""
    with context(browser, size, "en", dark=True) as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(town.signed(f"X{size}", POLYGLOT))
        url = page.url
        for pane in ("balance", "card", "outlet"):
            page.goto(f"{url}?pay={pane}")
            watch.check(page)
        page.goto(f"{url}?pay=balance&fill=1")
        page.click(".pane .primary")
        page.fill("[name=pay_password]", "741852")
        page.click(".pane .primary")
        page.goto(f"{url}/result?stay=1")
        watch.check(page)
        page.goto(f"{town.base}/account")
        watch.check(page)
        page.click(".trades a >> nth=0")
        watch.check(page)
        for room in ("", "/notifications", "/refusals", "/cases", "/mails"):
            page.goto(f"{town.base}/console{room}")
            watch.check(page)
        page.goto(f"{town.base}/console?q=X{size}")
        page.click("tbody a")
        watch.check(page)
        page.click(".tamper button")
        assert "The shop did not take it" in page.inner_text("#tamper-outcome")
        watch.check(page)


def test_a_refused_request_has_its_style(browser: Browser, town: City) -> None:
    """The error page is complete in itself: its style is allowed by hash, and it names code and signed string."""
    with context(browser, "phone", "zh") as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(town.signed("Y1").replace("128.50", "0.01"))
        assert page.inner_text("h1") == "ILLEGAL_SIGN"
        assert page.evaluate("getComputedStyle(document.querySelector('.wire-code')).fontFamily").startswith("ui-mono")
        assert "total_fee=0.01" in page.inner_text("pre >> nth=0")
        assert [line for line in watch.said if "status of 4" not in line] == []
        assert page.evaluate(FITS)


def test_T52_a_frame_stays_empty(browser: Browser, town: City) -> None:
    """Another page cannot show the cashier in a frame."""
    with context(browser, "desk", "en") as opened:
        page = opened.new_page()
        lines: list[str] = []
        page.on("console", lambda message: lines.append(message.text))
        page.set_content(f'<iframe src="{town.open("Z1")}"></iframe>')
        page.wait_for_timeout(500)
        assert any("frame-ancestors" in line for line in lines)
        assert page.frames[-1].locator("form").count() == 0
