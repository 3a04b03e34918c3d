"""A code of a product in the wallet, in a real Chromium: pasted, asked about at the shop, confirmed and paid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.test_cashier_browser import Watch, context
from tests.browser.test_wallet_browser import sign_in
from tests.support.product_shop import ProductShop
from tongbao.protocols.wechatpay_v2.wallet import answer_scan
from tongbao.testing.sandbox import LocalSandbox

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town() -> Iterator[tuple[LocalSandbox, ProductShop]]:
    """A sandbox, and a shop that has given the address at which it is asked."""
    with LocalSandbox(seed=5) as sandbox, ProductShop(sandbox.configuration("wechatpay_v2")) as shop:
        merchant = shop.configuration.merchant
        sandbox.control("POST", "products", {"protocol": "wechatpay_v2", "merchant": merchant, "url": shop.url})
        yield sandbox, shop


@pytest.mark.parametrize(("size", "language"), [("phone", "zh"), ("desk", "en")])
def test_a_product_is_scanned_confirmed_and_paid(
    browser: Browser, town: tuple[LocalSandbox, ProductShop], size: str, language: str
) -> None:
    """A changed code and a shop that refuses are told on the page; the good code leads to what the shop opened."""
    sandbox, shop = town
    product, seen = f"P{size}", len(shop.asked)
    with context(browser, size, language) as opened:
        page = opened.new_page()
        watch = Watch(page, sandbox.base_url)
        page.goto(f"{sandbox.base_url}/wallet")
        sign_in(page)
        watch.check(page)

        def paste(text: str) -> None:
            page.fill("[name=scanned]", text)
            page.click(".pane .primary")

        paste(shop.code(product).replace(product, "Pother"))
        assert page.locator("[role=alert]").is_visible()
        assert len(shop.asked) == seen
        honest, shop.twist = shop.twist, lambda _: (200, answer_scan(shop.configuration.keys, "", "N", "sold out"))
        paste(shop.code(product))
        shop.twist = honest
        told = {"zh": "商户没有为此码生成订单", "en": "The shop has opened no order"}[language]
        assert told in page.inner_text("[role=alert]")
        watch.check(page, refused=True)
        paste(shop.code(product))
        assert "/wallet/trades/" in page.url
        assert "12.34" in page.inner_text("main")
        assert f"Product {product}" in page.inner_text("main")
        watch.check(page, refused=True)
        page.fill("[name=pay_password]", str(sandbox.credentials["buyers"][0]["pay_password"]))
        page.click(".pane .primary")
        assert page.locator("[name=pay_password]").count() == 0
        watch.check(page, refused=True)
    assert sandbox.trade(f"{product}-{len(shop.asked)}")["state"] in ("paid", "finished")
