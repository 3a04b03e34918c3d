"""The sandbox's Alipay as contract tests need it: credentials, a buyer who pays, genuine notifications as a dict."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode
from urllib.request import urlopen

from tests.contract.harness import Ear
from tests.support.missing import missing
from tongbao.cli.after import SETTLE_DAYS
from tongbao.kernel.time import DAY, Instant, business_date
from tongbao.testing.sandbox import LocalSandbox

PROTOCOL = "alipay_openapi"


class City:
    """A sandbox, a shop's ear, and what a test of one library asks of both."""

    def __init__(self, sandbox: LocalSandbox, ear: Ear) -> None:
        self.sandbox = sandbox
        self.ear = ear
        self.credentials: dict[str, Any] = sandbox.credentials["protocols"][PROTOCOL]
        self.buyer = str(sandbox.credentials["buyers"][0]["login"])

    def pay(self, number: str) -> dict[str, str]:
        """The buyer pays; the fields of the notification that follows."""
        seen = len(self.ear.heard)
        self.sandbox.pay(number)
        return self.notified(seen + 1)

    def notified(self, count: int) -> dict[str, str]:
        """The fields of notification number ``count``."""
        _, _, body = self.ear.wait(count)
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True))

    def code(self) -> str:
        """A payment code that the buyer's wallet shows."""
        answer = self.sandbox.control("POST", f"buyers/{self.buyer}/code", {"protocol": PROTOCOL})
        return str(answer["code"])

    def consent(self) -> str:
        """A word that the buyer's consent gave."""
        asked = {"protocol": PROTOCOL, "merchant": self.credentials["app_id"]}
        return str(self.sandbox.control("POST", f"buyers/{self.buyer}/consent", asked)["code"])

    def next_day(self) -> str:
        """Let the day go by, and what was paid be settled, whatever holidays are near; the day, as bills name it."""
        today = business_date(Instant(int(self.sandbox.control("GET", "clock")["business"])))
        self.sandbox.advance(SETTLE_DAYS * DAY // 1_000)
        return today.isoformat()


@contextmanager
def city() -> Iterator[City]:
    """A fresh one."""
    with LocalSandbox() as sandbox, Ear() as ear:
        yield City(sandbox, ear)


class _Form(HTMLParser):
    """Where a page's form goes, and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.method = ""
        self.fields: list[tuple[str, str]] = []
        # in an attribute, browsers leave a reference without a semicolon as it is (&timestamp= holds &times)
        self.feed(re.sub(r"&(?=\w+[^;\w])", "&amp;", page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "form":
            self.action, self.method = said.get("action") or "", (said.get("method") or "get").lower()
        elif tag == "input" and said.get("name"):
            self.fields.append((said["name"] or "", said.get("value") or ""))


def post_form(page: str) -> str:
    """Where a browser is after it has posted the form of a page that a library made."""
    form = _Form(page)
    assert form.method == "post"
    with urlopen(form.action, data=urlencode(form.fields).encode("ascii")) as shown:
        return str(shown.url)


class Door:
    """A door at port 80 of a loopback address that leads to another port: for libraries whose addresses hold none."""

    def __init__(self, port: int) -> None:
        for number in range(71, 91):  # others on this machine may have the same need
            self.host = f"127.0.0.{number}"
            try:
                self._listener = socket.create_server((self.host, 80))
            except OSError:
                continue
            break
        else:
            missing("right to listen on port 80 of a loopback address")
        self._target = port
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                inside = socket.create_connection(("127.0.0.1", self._target))
                for one, other in ((caller, inside), (inside, caller)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def __enter__(self) -> Door:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65_536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)
    if one.fileno() >= 0:
        one.close()
