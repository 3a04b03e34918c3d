"""The browser that pages are tested with is a real one, and it sees nothing but the loopback address."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.sync_api import Error, Page


class Hello(BaseHTTPRequestHandler):
    """Answers every request with one short page."""

    def do_GET(self) -> None:
        """Answer in Chinese."""
        body = '<!doctype html><meta name="viewport" content="width=device-width"><title>通宝</title>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """A web server on the loopback address."""
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_desk_page_opens(page_desk: Page, address: str) -> None:
    """A page from a loopback server is shown at desk width."""
    page_desk.goto(address)
    assert page_desk.title() == "通宝"
    assert page_desk.evaluate("window.innerWidth") == 1280


def test_phone_page_opens(page_phone: Page, address: str) -> None:
    """The same page is shown at phone width, with touch."""
    page_phone.goto(address)
    assert page_phone.evaluate("[window.innerWidth, navigator.maxTouchPoints > 0]") == [390, True]


def test_outside_is_unreachable(page_desk: Page) -> None:
    """No name outside this machine resolves."""
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page_desk.goto("http://tongbao.example/")
