"""One HTTP/1.x connection of the server, on httptools' parser: strict in what it lets in, exact in what it writes.

Why not a ready-made ASGI server: payment SDKs of the field compare response header names exactly, send an absolute
target, need their client certificate looked at, or read the answer line by line and cannot read chunks. Servers at
hand lower-case the names (uvicorn with httptools), keep the absolute target in the path (uvicorn with h11), lose the
body of a request that offers an upgrade, and would have to be pinned to one version to be bent.

An application is started only when the whole body is there: a body that was cut never reaches a rule (F36).
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote_to_bytes

import httptools

from tongbao.runtime.answer import Answer
from tongbao.wire.asgi import Application, Cut, Scope
from tongbao.wire.world import Log

IDLE, HEAD, BODY, LINGER = range(4)

STARTED_AT_ONCE: Final = 16
"""More, and the database's answers wait; fewer, and the turns themselves cost more than they win (4 was slower)."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BLANK: Final = (b" ", b"\t")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#@]*)([^#]*)")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Seconds and bytes one connection may take. ``header_bytes`` counts the request line and all header lines."""

    head_seconds: float = 5.0
    body_seconds: float = 10.0
    idle_seconds: float = 30.0
    linger_seconds: float = 2.0
    target_bytes: int = 8_192
    header_bytes: int = 16_384
    body_bytes: int = 65_536
    connections: int = 10_000


@dataclass(slots=True)
class Shared:
    """What all connections of one listener share."""

    app: Application
    limits: ServerLimits
    log: Log
    loop: asyncio.AbstractEventLoop
    date: bytes = b""
    draining: bool = False
    connections: set[Connection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ready: deque[tuple[Connection, Answer]] = field(default_factory=deque)

    def start(self, connection: Connection, answer: Answer) -> None:
        """Start the application for a request, ``STARTED_AT_ONCE`` in one turn of the loop: whoever else waits for the
        loop, above all the database's answers, is not behind a hundred requests that came together."""
        self.ready.append((connection, answer))
        if len(self.ready) == 1:
            self.loop.call_soon(self._start_some)

    def _start_some(self) -> None:
        for _ in range(min(STARTED_AT_ONCE, len(self.ready))):
            connection, answer = self.ready.popleft()
            task = self.loop.create_task(connection.run(answer))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        if self.ready:
            self.loop.call_soon(self._start_some)


class Unacceptable(Exception):
    """The request breaks a limit or the grammar; ``status`` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@lru_cache(maxsize=1024)
def _lower(name: bytes) -> bytes:
    """There are not many names, and each comes with every request."""
    return name.lower()


class Connection(asyncio.Protocol):
    """Parses requests, starts the application for each in turn, and keeps the time limits by being swept."""

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.limits = shared.limits
        self.parser = httptools.HttpRequestParser(self)
        self.phase = IDLE
        self.since = 0.0
        self.stopped = False
        self.last = False
        self.active: Answer | None = None
        self.waiting: deque[Answer] = deque()
        self.paused_reading = False
        self.writable: asyncio.Event | None = None
        self.fed = 0
        self.raw_left = 0
        self._clear()

    def _clear(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.lower: list[tuple[bytes, bytes]] = []
        self.head_bytes = 0
        self.body = bytearray()
        self.scope: Scope = {}
        self.keep_alive = True
        self.refusal: Unacceptable | None = None

    # -- the transport's side -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.since = self.shared.loop.time()
        secure = transport.get_extra_info("ssl_object")
        self.scheme = "http" if secure is None else "https"
        self.certificate: bytes | None = None if secure is None else secure.getpeercert(binary_form=True)
        self.server = _pair(transport.get_extra_info("sockname"))
        self.client = _pair(transport.get_extra_info("peername"))
        if len(self.shared.connections) >= self.limits.connections or self.shared.draining:
            self.transport.abort()
            return
        self.shared.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.shared.connections.discard(self)
        self.stopped = True
        self.waiting.clear()
        if self.active is not None:
            self.active.disconnect()
        self.resume_writing()

    def pause_writing(self) -> None:
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    def eof_received(self) -> bool:
        """A client may close its half and still wait for the answer; a request cut in the middle is refused."""
        if self.active is not None and not self.transport.is_closing():
            self.stopped = self.last = True
            return self.scheme == "http"
        if not self.stopped and (self.phase in (HEAD, BODY)):
            self._refuse(Unacceptable(HTTPStatus.BAD_REQUEST, "the request was cut short"))
        return False

    def data_received(self, data: bytes) -> None:
        if self.stopped:
            return
        if self.active is not None and not self.paused_reading:
            self.paused_reading = True
            self.transport.pause_reading()
        if self.raw_left:
            self._take_raw(data)
            return
        self.fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(self.refusal or Unacceptable(HTTPStatus.BAD_REQUEST, str(error)))
        else:
            if self.phase == HEAD and self.fed > self.limits.header_bytes:
                self._refuse(Unacceptable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long"))

    # -- the parser's side ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._clear()
        self.phase, self.since = HEAD, self.shared.loop.time()

    def on_url(self, part: bytes) -> None:
        self.target += part
        if len(self.target) > self.limits.target_bytes:
            self._stop(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase == BODY:
            return  # a trailer: nothing of it is trusted or kept
        if value[-1:] in _BLANK:
            value = value.rstrip(b" \t")
        self.head_bytes += len(name) + len(value) + 4
        if self.head_bytes > self.limits.header_bytes:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
        self.headers.append((name, value))
        self.lower.append((_lower(name), value))

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        length = 0
        try:
            length = check_framing(self.lower, version)
            if length > self.limits.body_bytes:
                raise Unacceptable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
            self._make_scope(version)
        except Unacceptable as reason:
            self._stop(reason.status, reason.reason)
        self.keep_alive = version == "1.1" and self.parser.should_keep_alive()
        self.phase, self.since = BODY, self.shared.loop.time()
        if length and self.active is None and self._expects():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _expects(self) -> bool:
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.lower)

    def on_body(self, part: bytes) -> None:
        self.body += part
        if len(self.body) > self.limits.body_bytes:
            self._stop(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the parser stops here; see _decline_upgrade
        self._dispatch()

    def _stop(self, status: int, reason: str) -> None:
        """Leave the parser from within one of its calls; it turns this into a parser error."""
        self.refusal = Unacceptable(status, reason)
        raise self.refusal

    def _decline_upgrade(self, rest: bytes) -> None:
        """Answer as HTTP/1.1 whoever offers something newer, and close. The parser does not read such a body."""
        self.keep_alive = False
        lengths = [int(value) for name, value in self.lower if name == b"content-length"]
        if self.scope["method"] == "CONNECT" or any(name == b"transfer-encoding" for name, _ in self.lower):
            self._refuse(Unacceptable(HTTPStatus.BAD_REQUEST, "this cannot be upgraded"))
            return
        self.raw_left = lengths[0] if lengths else 0
        if self.raw_left:
            self._take_raw(rest)
        else:
            self._dispatch()

    def _take_raw(self, data: bytes) -> None:
        self.body += data[: self.raw_left]
        self.raw_left -= min(len(data), self.raw_left)
        if not self.raw_left:
            self._dispatch()

    def _make_scope(self, version: str) -> None:
        method = self.parser.get_method().decode("ascii")
        host, path, query = split_target(self.target, method)
        hosts = [value for name, value in self.lower if name == b"host"]
        if len(hosts) > 1 or (version == "1.1" and not hosts):
            raise Unacceptable(HTTPStatus.BAD_REQUEST, "exactly one Host is needed")
        if host is not None:
            self._replace_host(host)
            hosts = [host]
        if hosts and hosts[0] and not _HOST.fullmatch(hosts[0]):
            raise Unacceptable(HTTPStatus.BAD_REQUEST, "the Host is not a host")
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method,
            "scheme": self.scheme,
            "path": (unquote_to_bytes(path) if b"%" in path else path).decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.lower,
            "client": self.client,
            "server": self.server,
            "extensions": {"raw_headers": self.headers, "tls": {"client_cert_der": self.certificate}},
        }

    def _replace_host(self, host: bytes) -> None:
        """The authority of an absolute target stands in for the Host header (RFC 9112, 3.2.2)."""
        for headers, name in ((self.headers, b"Host"), (self.lower, b"host")):
            kept = [pair for pair in headers if pair[0].lower() != b"host"]
            headers[:] = [(name, host), *kept]

    # -- answering, one after another -----------------------------------------------------------------------------

    def _dispatch(self) -> None:
        answer = Answer(self, self.scope, bytes(self.body), self.keep_alive)
        self.phase, self.fed = IDLE, 0
        if not self.keep_alive:
            self.stopped = True
        if self.active is None:
            self._start(answer)
        else:
            self.waiting.append(answer)

    def _start(self, answer: Answer) -> None:
        self.active = answer
        self.shared.start(self, answer)

    async def run(self, answer: Answer) -> None:
        """The application for one request, whatever it raises."""
        try:
            await self.shared.app(answer.scope, answer.receive, answer.send)
            if not answer.complete:
                raise RuntimeError("the application returned without completing its answer")
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except Cut:
            self.transport.close()
        except Exception as error:  # noqa: BLE001 - whatever an application raises is logged and answered
            if not answer.disconnected:
                trace = "".join(traceback.format_exception(error))
                self.shared.log("http.failed", path=answer.scope["path"], trace=trace)
                answer.fail()

    def answered(self, keep_alive: bool) -> None:
        """The active answer is written: go on with the next request, or close."""
        self.active = None
        if not keep_alive or (not self.waiting and (self.last or self.shared.draining)):
            self.stopped = True
            self.transport.close()
        elif self.waiting:
            self._start(self.waiting.popleft())
        elif self.stopped:
            self.transport.close()
        else:
            self.since = self.shared.loop.time()
            if self.paused_reading:
                self.paused_reading = False
                self.transport.resume_reading()

    def _refuse(self, reason: Unacceptable) -> None:
        """Answer with an error and close; behind a request in work, only stop reading and close after its answer."""
        self.stopped = True
        if self.active is not None:
            self.last = True
            return
        phrase = f"{reason.status} {HTTPStatus(reason.status).phrase}"
        body = f"{phrase}: {reason.reason}\n".encode()
        self.transport.write(
            f"HTTP/1.1 {phrase}\r\nDate: {self.shared.date.decode()}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode("ascii")
            + body
        )
        self.phase, self.since = LINGER, self.shared.loop.time()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # -- time -----------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Called a few times a second: enforce the limit of whatever this connection is waiting for."""
        if self.active is not None or self.transport.is_closing():
            return
        waited = now - self.since
        if self.phase == IDLE and waited > self.limits.idle_seconds:
            self.transport.close()
        elif self.phase == HEAD and waited > self.limits.head_seconds:
            self._refuse(Unacceptable(HTTPStatus.REQUEST_TIMEOUT, "the head took too long"))
        elif self.phase == BODY and waited > self.limits.body_seconds:
            self._refuse(Unacceptable(HTTPStatus.REQUEST_TIMEOUT, "the body took too long"))
        elif self.phase == LINGER and waited > self.limits.linger_seconds:
            self.transport.close()

    def drain(self) -> None:
        """The server is stopping: close when idle, else after what is in work."""
        if self.active is None and self.phase in (IDLE, LINGER):
            self.transport.close()
        else:
            self.last = True


def _pair(address: object) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None


def check_framing(headers: list[tuple[bytes, bytes]], version: str) -> int:
    """The declared length of the body (0 if none). Raises Unacceptable for whatever two parsers could read in two
    ways (T66); httptools refuses most of it before, and this does not rely on that."""
    if version not in ("1.0", "1.1"):
        raise Unacceptable(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0 and HTTP/1.1 are spoken here")
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise Unacceptable(HTTPStatus.BAD_REQUEST, "the length of the body is ambiguous")
    if codings and (codings[0].lower() != b"chunked" or version == "1.0"):
        raise Unacceptable(HTTPStatus.BAD_REQUEST, "this transfer coding is not spoken here")
    if not lengths:
        return 0
    if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Unacceptable(HTTPStatus.BAD_REQUEST, "the length of the body is not a number")
    return int(lengths[0])


def split_target(target: bytes, method: str) -> tuple[bytes | None, bytes, bytes]:
    """(authority of an absolute target or None, path, query). Raises Unacceptable."""
    host = None
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            host, target = absolute[1], absolute[2]
            if not target.startswith(b"/"):
                target = b"/" + target
            if not host:
                raise Unacceptable(HTTPStatus.BAD_REQUEST, "the address has no host")
        elif not (target == b"*" and method == "OPTIONS"):
            raise Unacceptable(HTTPStatus.BAD_REQUEST, "the address is neither a path nor absolute")
    if b"#" in target:
        raise Unacceptable(HTTPStatus.BAD_REQUEST, "the address has a fragment")
    path, _, query = target.partition(b"?")
    return host, path, query
