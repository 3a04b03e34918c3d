"""One HTTP/1.1 connection of our own to somebody else: write a request, read one bounded answer, on httptools.

Why not a ready-made client: this one must say exactly whether a request can have been seen, must connect to an
address that was checked, must count header bytes as they come, and must neither follow, decompress, repeat nor
remember anything. What is left after that is this file.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from tongbao.wire.http import Response
from tongbao.wire.world import Limits, NoAnswer


class Exchange(asyncio.Protocol):
    """A connection that carries one exchange at a time. ``reusable`` says whether another may follow."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.closed = False
        self.reusable = True
        self.idle_since = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.future: asyncio.Future[Response] | None = None
        self._reset(Limits(), bodiless=False)

    def _reset(self, limits: Limits, *, bodiless: bool) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.limits = limits
        self.bodiless = bodiless
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.fed = 0
        self.head_complete = self.delimited = False

    async def run(self, data: bytes, limits: Limits, *, bodiless: bool = False) -> Response:
        """Write ``data`` and wait for the answer; ``bodiless`` for HEAD. Raises NoAnswer; the time for the whole is
        kept by the caller."""
        if self.closed:
            raise NoAnswer("CLOSED", "the connection was closed before the request")
        self._reset(limits, bodiless=bodiless)
        self.future = self.loop.create_future()
        self.timer = self.loop.call_later(limits.first_byte_seconds, self._fail, "TIMEOUT", "no first byte in time")
        self.transport.write(data)
        try:
            return await self.future
        finally:
            self._disarm()
            self.future = None

    def close(self) -> None:
        """Cut the connection."""
        self.closed = True
        self.transport.abort()

    # -- the transport's side -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._ended(str(error) if error else "closed by the other side")

    def eof_received(self) -> bool:
        self.closed = True
        self._ended("closed by the other side")
        return False

    def data_received(self, data: bytes) -> None:
        self._disarm()
        if self.future is None or self.future.done():
            self.close()  # nobody asked
            return
        self.fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("CLOSED", "the answer changes the protocol")
        except httptools.HttpParserError as error:
            self._fail("CLOSED", f"the answer is not HTTP: {error}")
        else:
            if not self.head_complete and self.fed > self.limits.header_bytes:
                self._fail("TOO_LARGE", "the answer's head is too long")

    # -- the parser's side ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.future is None or self.future.done():
            self.reusable = False  # a second answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_complete:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if 100 <= self.parser.get_status_code() < 200:
            return
        self.head_complete = True
        if sum(len(name) + len(value) + 4 for name, value in self.headers) > self.limits.header_bytes:
            self._fail("TOO_LARGE", "the answer's head is too long")
            return
        for name, value in self.headers:
            small = name.lower()
            if small == b"content-length":
                self.delimited = True
                if not self.bodiless and int(value) > self.limits.answer_bytes:
                    self._fail("TOO_LARGE", "the answer is too long")
            elif small == b"transfer-encoding":
                self.delimited = True
        if self.bodiless:
            self.reusable = False
            self._succeed()

    def on_body(self, part: bytes) -> None:
        self.body += part
        if len(self.body) > self.limits.answer_bytes:
            self._fail("TOO_LARGE", "the answer is too long")

    def on_message_complete(self) -> None:
        if not self.head_complete:
            self.headers.clear()  # 100 Continue and its like
        elif self.future is not None and not self.future.done():
            self.reusable = self.reusable and self.parser.should_keep_alive()
            self._succeed()

    # -- ends -----------------------------------------------------------------------------------------------------

    def _ended(self, reason: str) -> None:
        if self.future is None or self.future.done():
            return
        if self.head_complete and not self.delimited and self.parser.get_status_code() not in (204, 304):
            self._succeed()
        else:
            self._fail("CLOSED", reason)

    def _succeed(self) -> None:
        if self.future is not None and not self.future.done():
            response = Response(self.parser.get_status_code(), tuple(self.headers), bytes(self.body))
            self.future.set_result(response)

    def _fail(self, reason: str, detail: str) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_exception(NoAnswer(reason, detail))
        if not self.closed:
            self.close()

    def _disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
