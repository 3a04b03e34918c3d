"""The shop in a real Chromium with scripts off, on a desk and on a phone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.runtime.harness import serving
from tests.shop.conftest import Town
from tongbao.kernel.money import Money
from tongbao.merchant.order import OrderState
from tongbao.runtime.server import Listener

SIZES = {"desk": (1280, 800), "phone": (390, 844)}


@pytest.fixture(params=[(size, locale) for size in SIZES for locale in ("zh-CN", "en-US")], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of each width and language, without scripts; what the browser complains about fails the test."""
    size, locale = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=locale, java_script_enabled=False, is_mobile=size == "phone"
    )
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    yield context.new_page()
    context.close()
    assert complaints == []


@pytest.mark.slow
def test_goods_can_be_ordered_without_scripts(page: Page, tmp_path: Path) -> None:
    """From the shelf to the confirmation page by clicks alone; nothing is wider than the screen."""
    town = Town(tmp_path / "shop.sqlite", asyncio.Runner())
    with serving([Listener("127.0.0.1", 0, town.application)]) as addresses:
        page.goto(f"{addresses[0].url}/")
        fits(page)
        page.locator('form[action="/cart"] button').first.click()
        fits(page)
        page.locator('input[name="email"]').fill("buyer@example.com")
        page.locator('input[value="escrow"]').check()
        page.locator('form[action="/orders"] button').click()
        page.wait_for_url("**/confirm")
        fits(page)
        number = page.url.split("/")[4]
        assert page.locator("form.pay").get_attribute("action") == "http://127.0.0.1:9/gateway.do?_input_charset=utf-8"
        assert "268.00" in page.locator(".due .price").inner_text()
        page.locator("#developers summary").click()
        assert page.locator("#developers pre").first.is_visible()
        fits(page)
    assert (town.order(number).state, town.order(number).amount) == (OrderState.PENDING, Money(26_800))


def fits(page: Page) -> None:
    """No sideways scrolling."""
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]
