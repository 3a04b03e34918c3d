"""A shop of long ago: a small web server, and the habits of its language (text is bytes, the last of two wins)."""

from __future__ import annotations

import hashlib
import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes, urlsplit

Fields = dict[str, bytes]


def parse(raw: str) -> Fields:
    """Names and values decoded once, blanks kept."""
    found: Fields = {}
    for piece in raw.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            found[unquote_to_bytes(name.replace("+", " ")).decode("latin-1")] = unquote_to_bytes(
                value.replace("+", " ")
            )
    return found


def join(fields: Mapping[str, bytes]) -> bytes:
    """``name=value`` sorted by name, as these shops sign it."""
    return b"&".join(name.encode() + b"=" + value for name, value in sorted(fields.items()))


def md5(text: bytes, key: str) -> bytes:
    return hashlib.md5(text + key.encode()).hexdigest().encode()


def encode(fields: Mapping[str, bytes]) -> str:
    return "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())


def fetch(url: str, data: str | None = None) -> tuple[int, bytes, str]:
    """Status, body and Location of one plain HTTP exchange; redirects are not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        if data is None:
            connection.request("GET", target)
        else:
            connection.request(
                "POST",
                target,
                data.encode("utf-8", "surrogatepass"),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Location", "")
    finally:
        connection.close()


class OldShop(ABC):
    """What every plugin has: an address, an order, and what came in. ``paid`` counts trusted notifications."""

    base: str = ""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.paid: list[str] = []
        self.shown: list[str] = []
        self.rejected: list[str] = []

    @abstractmethod
    def notified(self, get: Fields, post: Fields) -> bytes:
        """Answer a request to ``/notify`` or ``/respond.php``, by its method POST."""

    @abstractmethod
    def returned(self, get: Fields) -> bytes:
        """Answer the browser that came back by GET."""


@contextmanager
def opened(shop: OldShop) -> Iterator[OldShop]:
    """The shop's web server on a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(shop.returned(parse(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode("latin-1")
            self._say(shop.notified(parse(urlsplit(self.path).query), parse(raw)))

        def _say(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing: the test's output stays readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    shop.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def walk_home(cashier: str) -> tuple[int, bytes]:
    """What the buyer's browser does after paying: the way home, and the shop's page there."""
    parts = urlsplit(cashier)
    status, _, location = fetch(f"{parts.scheme}://{parts.netloc}{parts.path}/home")
    assert status == 302, status
    shown, page, _ = fetch(location)
    return shown, page
