"""A buyer's claim on his account's page in a real Chromium: ask, be refused, open a dispute; put the release off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.city import City, city
from tests.browser.test_cashier_browser import Watch, context
from tongbao.service.claim import SellerAnswer
from tongbao.service.create import Asker
from tongbao.service.escrow import Ship
from tongbao.store.schema import CLAIM
from tongbao.trade.claim import EXTENSION, Claim
from tongbao.trade.record import Trade
from tongbao.wire.vocabulary import Product

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One city for the module's tests."""
    with city(tmp_path_factory.mktemp("claim")) as one:
        yield one


def find(town: City, number: str) -> Trade:
    trade: Trade = town.call(town.home.platform.find_trade(town.home.credentials.merchant, number))
    return trade


def claim_of(town: City, trade: Trade) -> Claim:
    async def load() -> Claim:
        found: list[Claim] = await town.home.platform.database.load(CLAIM, [(trade.merchant_id, trade.out_trade_no)])
        return found[0]

    return town.call(load())


def buy_and_ship(page: Page, town: City, number: str) -> Trade:
    """An escrow order paid from the balance at the cashier, shipped by its seller, opened on the account's page."""
    page.goto(f"{town.open(number, Product.ESCROW)}?pay=balance")
    page.click(".chip")
    page.click(".pane .primary")
    page.fill("[name=pay_password]", "741852")
    page.click(".pane .primary")
    trade = find(town, number)
    town.call(town.home.platform.submit(Ship(Asker(trade.merchant_id, trade.protocol), number, "顺丰速运", "SF1")))
    page.goto(f"{town.base}/account/trades/{trade.trade_no}")
    return find(town, number)


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_T43_a_buyer_asks_is_refused_and_disputes(browser: Browser, town: City, size: str) -> None:
    """While his claim is open the page offers no confirmation; refused he may dispute; then the platform decides."""
    with context(browser, size, "zh") as opened:
        page = opened.new_page()
        watch = Watch(page, town.base)
        trade = buy_and_ship(page, town, f"C{size}")
        page.click("details.card summary")
        watch.check(page)
        page.fill("[name=amount]", "28.50")
        page.fill("[name=reason]", "茶盖有裂纹")
        page.click("details.card .primary")
        assert (claim_of(town, trade).state, claim_of(town, trade).amount) == ("asked", 2_850)
        assert page.locator("[name=pay_password]").count() == 0
        watch.check(page)
        answer = SellerAnswer(Asker(trade.merchant_id, trade.protocol), trade.out_trade_no, False, "出库时完好")
        town.call(town.home.platform.submit(answer))
        page.reload()
        assert "出库时完好" in page.inner_text("main")
        page.fill("[name=reason]", "有照片为证")
        watch.check(page)
        page.click(".pane .primary")
        assert claim_of(town, trade).state == "disputed"
        watch.check(page)


def test_a_buyer_puts_the_release_off_once(browser: Browser, town: City) -> None:
    """Three days more, and the offer is gone."""
    with context(browser, "phone", "en") as opened:
        page = opened.new_page()
        trade = buy_and_ship(page, town, "X1")
        page.click("form.aside-form button.linkish >> nth=-1")
        assert find(town, "X1").due_at == (trade.due_at or 0) + EXTENSION
        assert page.locator("form.aside-form").count() == 0
