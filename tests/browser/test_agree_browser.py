"""The page where a merchant's people agree to a batch, in a real Chromium at both widths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.city import City, city
from tests.browser.test_cashier_browser import Watch, context
from tests.web.batch import available, payouts, refunds, staff
from tests.web.house import MERCHANT
from tongbao.service.payout_act import find_payout_batch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for the module's tests, whose merchant has people and money."""
    with city(tmp_path_factory.mktemp("agree")) as one:
        one.call(staff(one.home))
        yield one


def answer(page: Page, button: str, name: str = "", password: str = "") -> None:
    """Fill in who answers and press a button; without a name what the page has filled in stays."""
    if name:
        page.fill("[name=operator]", name)
        page.fill("[name=pay_password]", password)
    page.click(f"button[value={button}]")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_T67_two_people_agree_to_a_large_batch(browser: Browser, town: City, size: str, language: str) -> None:
    """A wrong password, the first by a chip, the same again, the second in a browser of his own; then it runs."""
    number = f"P{size}{language}"
    with context(browser, size, language) as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(f"{town.base}{town.call(payouts(town.home, number, 700, 9_400))}")
        watch.check(page)
        answer(page, "yes", "li", "wrong")
        assert page.locator("[role=alert]").is_visible()
        assert page.input_value("[name=operator]") == "li"
        assert page.input_value("[name=pay_password]") == ""
        page.click(".chip >> nth=0")
        answer(page, "yes")
        assert page.locator("[role=alert]").count() == 0
        watch.check(page, refused=True)
        page.click(".chip >> nth=0")
        answer(page, "yes")
        assert page.locator("[role=alert]").is_visible()
        assert town.call(find_payout_batch(town.home.platform, MERCHANT, number)).state == "proposed"
        first = page.url
    with context(browser, size, language) as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        page.goto(first)
        watch.check(page, refused=True)
        assert page.locator("form").count() == 0
        page.goto(f"{town.base}{town.call(payouts(town.home, number, 700, 9_400))}")
        left = town.call(available(town.home))
        page.click(".chip >> nth=1")
        answer(page, "yes")
        watch.check(page, refused=True)
        assert page.locator("form").count() == 0
        batch = town.call(find_payout_batch(town.home.platform, MERCHANT, number))
        assert (batch.first, batch.checker) == (f"{MERCHANT}/op:li", f"{MERCHANT}/op:wang")
    assert town.call(available(town.home)) == left - 10_100 - 2 * 50


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_one_person_sends_refunds_away_without_scripts(browser: Browser, town: City, size: str) -> None:
    """The page needs no script; what was sent away says so to whoever comes later."""
    with context(browser, size, "en", scripts=False, dark=True) as opened:
        page = opened.new_page()
        page.goto(f"{town.base}{town.call(refunds(town.home, f'R{size}', 300))}")
        answer(page, "no", "wang", "wang-pays-0815")
        assert "sent away" in page.inner_text("main")
        assert page.locator("form").count() == 0
