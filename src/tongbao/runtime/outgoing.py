"""The one way out: every request of the platform, the worker and the merchant's client goes through here.

Resolve once, check every answer, connect to the literal address, keep Host and TLS name (T72-T74); follow nothing,
decompress nothing, store no cookie, honour no proxy variable (T75, T78, T81); TLS is always verified.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import lru_cache
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, Refused
from tongbao.runtime.address import Resolve, SystemResolver, allowed_addresses
from tongbao.runtime.exchange import Exchange
from tongbao.wire.address import AddressPolicy, Target, parse_url
from tongbao.wire.http import Request, Response
from tongbao.wire.world import NOTIFY_LIMITS, Limits, NoAnswer, NotSent

IDLE_SECONDS: Final = 4.0
"""How long a connection is kept for the next request to the same place; shorter than servers keep theirs."""

IDLE_MAX: Final = 512
"""How many connections are kept idle altogether."""

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_UNSAFE: Final = re.compile(rb"[\x00-\x20\x7f-\xff]")
_OURS: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"accept-encoding"))

Key = tuple[str, str, int]


@lru_cache(4_096)
def _parse_place(scheme: str, host: str, policy: AddressPolicy) -> Target:
    """Where a request goes, but for its path. What stands behind a name is checked when it is connected to."""
    return parse_url(f"{scheme}://{host}/", policy)


class GuardedTransport:
    """A ``Transport``. ``reuse`` keeps connections to an address once verified; without it each request has its own,
    which is kinder to hand-written servers that close without saying so."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        resolve: Resolve | None = None,
        authority: str | None = None,
        reuse: bool = False,
    ) -> None:
        """``authority``: PEM text of certificate authorities to trust besides the system's.
        Raises ConfigurationError when it is none."""
        self._policy = policy
        self._system = SystemResolver() if resolve is None else None
        self._resolve: Resolve = resolve or self._system or SystemResolver()
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if authority is not None:
            try:
                self._tls.load_verify_locations(cadata=authority)
            except ssl.SSLError as error:
                raise ConfigurationError("authority", f"is not a certificate: {error}") from error
        self._reuse = reuse
        self._idle: dict[Key, list[Exchange]] = {}
        self._idle_count = 0

    async def __call__(self, request: Request, limits: Limits = NOTIFY_LIMITS) -> Response:
        """Send, and wait for the whole answer, whatever its status.

        Raises NotSent when nothing can have been seen by the other side, NoAnswer when it may have been, and
        LocalProtocolError when the request is not one that HTTP can carry."""
        try:
            target = _parse_place(request.scheme, request.host, self._policy)
        except Refused as error:
            raise NotSent("BLOCKED_ADDRESS", error.detail) from error
        data = write_request(request, target, keep=self._reuse)
        connection: Exchange | None = None
        try:
            async with asyncio.timeout(limits.total_seconds):
                connection = self._take(target) or await self._connect(target, limits)
                response = await connection.run(data, limits, bodiless=request.method == "HEAD")
        except TimeoutError as error:
            if connection is None:
                raise NotSent("CONNECT", "no connection in time") from error
            connection.reusable = False
            raise NoAnswer("TIMEOUT", "no complete answer in time") from error
        except BaseException:
            if connection is not None:
                connection.reusable = False
            raise
        else:
            return response
        finally:
            if connection is not None:
                self._give_back(target, connection)

    async def close(self) -> None:
        """Cut all idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        self._idle_count = 0
        if self._system is not None:
            self._system.close()
        await asyncio.sleep(0)

    # -- connections ----------------------------------------------------------------------------------------------

    def _take(self, target: Target) -> Exchange | None:
        connections = self._idle.get((target.scheme, target.host, target.port))
        while connections:
            connection = connections.pop()
            self._idle_count -= 1
            if not connection.closed and connection.loop.time() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _give_back(self, target: Target, connection: Exchange) -> None:
        if not self._reuse or not connection.reusable or connection.closed or self._idle_count >= IDLE_MAX:
            connection.close()
            self._forget_old()
            return
        connection.idle_since = connection.loop.time()
        self._idle.setdefault((target.scheme, target.host, target.port), []).append(connection)
        self._idle_count += 1

    def _forget_old(self) -> None:
        """Close what has been idle too long, so that places never called again do not keep the room."""
        if self._idle_count < IDLE_MAX:
            return
        for key, connections in list(self._idle.items()):
            kept = []
            for connection in connections:
                if not connection.closed and connection.loop.time() - connection.idle_since < IDLE_SECONDS:
                    kept.append(connection)
                else:
                    connection.close()
            self._idle_count -= len(connections) - len(kept)
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]

    async def _connect(self, target: Target, limits: Limits) -> Exchange:
        """Resolve, check and connect, all within ``connect_seconds``. Raises NotSent."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limits.connect_seconds
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await allowed_addresses(target, self._policy, self._resolve)
        except TimeoutError as error:
            raise NotSent("RESOLVE", f"{target.host}: no answer in time") from error
        last: NotSent | None = None
        for number, address in enumerate(addresses):
            share = (deadline - loop.time()) / (len(addresses) - number)
            try:
                async with asyncio.timeout(share):
                    return await self._open(loop, target, address)
            except TimeoutError:
                last = NotSent("CONNECT", f"{target.host}: no connection in time")
            except ssl.SSLError as error:
                raise NotSent("TLS", f"{target.host}: {error}") from error
            except OSError as error:
                last = NotSent("CONNECT", f"{target.host}: {error.strerror or error}")
        raise last or NotSent("RESOLVE", f"{target.host} has no address")

    async def _open(self, loop: asyncio.AbstractEventLoop, target: Target, address: str) -> Exchange:
        secure = target.scheme == "https"
        _, connection = await loop.create_connection(
            lambda: Exchange(loop),
            address,
            target.port,
            ssl=self._tls if secure else None,
            server_hostname=target.host if secure else None,
        )
        return connection


def write_request(request: Request, target: Target, *, keep: bool) -> bytes:
    """The bytes of a request. Header names and their order are the caller's; Host, length, connection and encoding
    are ours. Raises LocalProtocolError for what would not stay one request."""
    if not _METHOD.fullmatch(request.method):
        raise LocalProtocolError("method", "is not an HTTP method")
    path = _escape(request.raw_path) or b"/"
    if not path.startswith(b"/") or b"?" in path or b"#" in path:
        raise LocalProtocolError("raw_path", "is not a path")
    query = b"?" + _escape(request.raw_query) if request.raw_query else b""
    if b"#" in query:
        raise LocalProtocolError("raw_query", "holds a fragment")
    lines = [b"%s %s%s HTTP/1.1" % (request.method.encode("ascii"), path, query)]
    lines.append(b"Host: " + target.authority.encode("ascii"))
    for name, value in request.headers:
        if name.lower() in _OURS:
            continue
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise LocalProtocolError(name.decode("latin-1"), "is not a header that HTTP can carry")
        lines.append(name + b": " + value)
    lines.append(b"Accept-Encoding: identity")
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(b"Content-Length: %d" % len(request.body))
    lines.append(b"Connection: keep-alive" if keep else b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.body


def _escape(raw: bytes) -> bytes:
    """Percent-encode what may not stand in a request line; leave everything else as it is."""
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], raw)
