"""A real Chromium, steered by Playwright, that can reach the loopback address only.

While ``browser`` is open, Playwright's event loop runs in this thread, so ``asyncio.run`` cannot be used in the same
module: run servers in a thread or a process of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.missing import missing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def find_chromium() -> str | None:
    """The path of a Chromium: ``TONGBAO_CHROMIUM``, else the first usual name on the PATH."""
    given = os.environ.get("TONGBAO_CHROMIUM")
    if given:
        return shutil.which(given)
    return next((path for path in map(shutil.which, NAMES) if path), None)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of the Chromium on this machine."""
    return find_chromium() or missing("Chromium")


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A running browser; each test opens contexts of its own in it."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS, headless=True)
        yield opened
        opened.close()


@pytest.fixture
def page_desk(browser: Browser) -> Iterator[Page]:
    """An empty page in a fresh context, 1280 by 800, Chinese first."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN", timezone_id="Asia/Shanghai")
    yield context.new_page()
    context.close()


@pytest.fixture
def page_phone(browser: Browser) -> Iterator[Page]:
    """An empty page in a fresh context, 390 by 844 with touch, Chinese first."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
    )
    yield context.new_page()
    context.close()
