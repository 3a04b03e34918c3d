"""The ASGI side of one request: hands over the whole body, and writes the answer exactly as the application gave it.

Head and body go out in one write. Header names keep their case. A length is always given unless the application
streams an answer of unknown length; then chunks for HTTP/1.1 and an end by closing for HTTP/1.0.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tongbao.wire.asgi import Message, Scope

if TYPE_CHECKING:
    from tongbao.runtime.connection import Connection

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_EMPTY: Final = frozenset((204, 304))


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    known = status in HTTPStatus.__members__.values()
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase if known else ''}\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def _lower(name: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise RuntimeError("a header name is not a token")
    return name.lower()


def _line(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The name in lower case, and the line as it is sent."""
    small = _lower(name)
    if _BAD_VALUE.search(value):
        raise RuntimeError("a header value holds a control character")
    return small, b"%b: %b\r\n" % (name, value)


_steady_line = lru_cache(maxsize=1024)(_line)
_UNSTEADY: Final = frozenset((b"Location", b"Set-Cookie", b"location", b"set-cookie"))
"""Headers that are hardly ever the same twice, or a secret."""


class Answer:
    """One request in work. ``receive`` and ``send`` are what the application is called with."""

    __slots__ = (
        "body",
        "chunked",
        "complete",
        "connection",
        "delivered",
        "disconnected",
        "head",
        "keep_alive",
        "left",
        "scope",
        "started",
        "status",
        "waiter",
    )

    def __init__(self, connection: Connection, scope: Scope, body: bytes, keep_alive: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.body = body
        self.keep_alive = keep_alive
        self.delivered = self.complete = self.disconnected = self.started = self.chunked = False
        self.status = 0
        self.head: list[bytes] = []
        self.left: int | None = None
        self.waiter: asyncio.Future[None] | None = None

    async def receive(self) -> Message:
        """The body once, whole; then a wait until the answer is complete or the client has gone."""
        if not self.delivered:
            self.delivered = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        if not self.complete and not self.disconnected:
            if self.waiter is None:
                self.waiter = self.connection.shared.loop.create_future()
            await asyncio.shield(self.waiter)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError when the application breaks the order of messages or its own Content-Length."""
        kind = message["type"]
        if self.disconnected or self.connection.transport.is_closing():
            self.complete = True
            return
        if kind == "http.response.start" and not self.status:
            self._begin(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.status and not self.complete:
            if self.connection.writable is not None:
                await self.connection.writable.wait()
            self._write(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            raise RuntimeError(f"{kind} out of order")

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        head = [_status_line(status)]
        names = set()
        left = None
        for name, value in headers:
            small, line = (_line if name in _UNSTEADY else _steady_line)(name, value)
            if small == b"content-length":
                left = int(value)
            elif small == b"connection" and b"close" in value.lower():
                self.keep_alive = False
            elif small == b"transfer-encoding":
                continue  # framing is decided here, never by the application
            names.add(small)
            head.append(line)
        if b"date" not in names:
            head += (b"Date: ", self.connection.shared.date, b"\r\n")
        if (self.connection.last or self.connection.shared.draining) and not self.connection.waiting:
            self.keep_alive = False
        if not self.keep_alive and b"connection" not in names:
            head.append(b"Connection: close\r\n")
        self.status, self.head, self.left = status, head, left

    def _write(self, body: bytes, more: bool) -> None:
        silent = self.scope["method"] == "HEAD" or self.status in _EMPTY
        out: list[bytes] = []
        if not self.started and self.left is None and not silent:
            self._frame(body, more)
        if self.left is not None and not silent:
            self.left -= len(body)
            if self.left < 0 or (not more and self.left):
                raise RuntimeError("the body does not have the length that was announced")
        if not self.started:
            self.started = True
            out = [*self.head, b"\r\n"]
        if self.chunked:
            if body:
                out += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                out.append(b"0\r\n\r\n")
        elif not silent:
            out.append(body)
        self.connection.transport.write(b"".join(out))
        if not more:
            self._finish()

    def _frame(self, body: bytes, more: bool) -> None:
        if not more:
            self.left = len(body)
            self.head.append(b"Content-Length: %d\r\n" % len(body))
        elif self.scope["http_version"] == "1.1":
            self.chunked = True
            self.head.append(b"Transfer-Encoding: chunked\r\n")

    def _finish(self) -> None:
        self.complete = True
        self._wake()
        self.connection.answered(self.keep_alive)

    def fail(self) -> None:
        """The application failed: say so if nothing was written yet, else cut the connection."""
        if self.complete:
            return
        if self.started:
            self.connection.transport.abort()
            return
        self.status, self.head, self.left, self.keep_alive = 0, [], None, False
        self._begin(500, [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Connection", b"close")])
        self._write(b"500 Internal Server Error\n", False)

    def disconnect(self) -> None:
        """The client has gone."""
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
