"""What stands before every page and face: security headers, the Host check, health, and how often somebody may ask.

Plain ASGI, because it runs on every request. Nothing here knows a protocol or a trade.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from tongbao.wire.asgi import Application, Message, Receive, Scope, Send, peer, send_response
from tongbao.wire.http import Response, text

Ready = Callable[[], Awaitable[bool]]

HSTS: Final = (b"Strict-Transport-Security", b"max-age=31536000; includeSubDomains")
SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Permissions-Policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"Cache-Control", b"no-store"),
    (b"X-Frame-Options", b"DENY"),
    (b"Content-Security-Policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
)
"""On every answer that does not say otherwise itself (a page brings its own content policy)."""

PEERS_MAX: Final = 20_000
"""Buckets kept at once; the one unused for longest goes first."""


# --- how often ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Token buckets: requests of one merchant, of one peer, bad signatures of one peer, and forms one peer sends to
    pages (logins and passwords are among them).

    ``refusals`` and ``refusals_peer`` bound the refusal rows written for all and for one peer (T89).
    """

    merchant: Rate = Rate(100, 200)
    peer: Rate = Rate(100, 200)
    forged: Rate = Rate(10, 50)
    forms: Rate = Rate(1, 60)
    refusals: Rate = Rate(20, 200)
    refusals_peer: Rate = Rate(2, 50)


PRODUCTION: Final = Limits()
SANDBOX: Final = Limits(
    merchant=Rate(50_000, 100_000),
    peer=Rate(50_000, 100_000),
    forged=Rate(10_000, 20_000),
    forms=Rate(1_000, 10_000),
    refusals=Rate(100, 2_000),
    refusals_peer=Rate(100, 2_000),
)
"""Generous: tests of other projects hammer the sandbox from one address."""


class Buckets:
    """Token buckets by name, all of one rate. ``clock`` gives seconds that never go back."""

    def __init__(self, rate: Rate, clock: Callable[[], float], most: int = PEERS_MAX) -> None:
        self._rate = rate
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def _level(self, name: str, now: float) -> float:
        kept = self._kept.get(name)
        if kept is None:
            return self._rate.burst
        level, since = kept
        return min(self._rate.burst, level + (now - since) * self._rate.per_second)

    def wait(self, name: str) -> float:
        """Seconds until ``name`` may act; 0 when it may now. Takes nothing."""
        missing = 1 - self._level(name, self._clock())
        return missing / self._rate.per_second if missing > 0 else 0

    def take(self, name: str) -> float:
        """Take one token; 0 when there was one, else the seconds to wait for it."""
        now = self._clock()
        level = self._level(name, now)
        if level < 1:
            return (1 - level) / self._rate.per_second
        self._kept[name] = (level - 1, now)
        self._kept.move_to_end(name)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return 0


def too_many(response: Response, seconds: float) -> Response:
    """``response`` as a 429 that says when to come again."""
    headers = (*response.headers, (b"Retry-After", b"%d" % max(1, ceil(seconds))))
    return Response(429, headers, response.body)


# --- for whom ----------------------------------------------------------------------------------------------------


def host_name(scope: Scope) -> str:
    """The Host header's name in lower case, without its port; '' where there is none (HTTP/1.0)."""
    for name, value in scope["headers"]:
        if len(name) == 4 and name.lower() == b"host":
            return _bare_host(value)
    return ""


@lru_cache(1_024)
def _bare_host(authority: bytes) -> str:
    return bare_host(authority.decode("latin-1"))


def bare_host(authority: str) -> str:
    """``name`` of ``name:port``; an IPv6 literal loses its brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


def is_inside(name: str) -> bool:
    """Names that no foreign page can make a browser use for us: literals, single labels, ``.localhost``, ``.internal``.

    A name with dots may be rebound to this machine by whoever owns it, so the sandbox takes those only when told.
    """
    if "." not in name or name.endswith((".localhost", ".internal", ".local", ".test")):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


# --- the wrapper -------------------------------------------------------------------------------------------------


class Guard:
    """The outermost application of every listener: headers on every answer, health ahead of the Host check (T52, T63).

    ``answers`` says whether a request's Host is one of ours; None takes any (a face's own listener in a sandbox).
    ``ready`` opens ``/healthz`` and ``/readyz``; without it there are none.
    """

    def __init__(
        self, app: Application, *, answers: Callable[[Scope], bool] | None = None, ready: Ready | None = None
    ) -> None:
        self._app = app
        self._answers = answers
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        secure = scope.get("scheme") == "https"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _complete(message.get("headers", ()), secure=secure)
            await send(message)

        path = scope["path"]
        if self._ready is not None and path in ("/healthz", "/readyz"):
            await send_response(guarded, await self._health(path))
        elif self._answers is not None and not self._answers(scope):
            await send_response(guarded, text("421 Misdirected Request\n", status=421))
        else:
            await self._app(scope, receive, guarded)

    async def _health(self, path: str) -> Response:
        if path == "/healthz":
            return text("ok\n")
        if self._ready is not None and await self._ready():
            return text("ready\n")
        return text("not ready\n", status=503)


@lru_cache(1_024)
def lower(name: bytes) -> bytes:
    """A header's name in lower case; there are not many."""
    return name.lower()


@cache
def _names(table: tuple[tuple[bytes, bytes], ...]) -> frozenset[bytes]:
    return frozenset(name.lower() for name, _ in table)


def _complete(
    headers: Iterable[tuple[bytes, bytes]], *, secure: bool, table: tuple[tuple[bytes, bytes], ...] = SECURITY
) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {lower(name) for name, _ in given}
    given += table if names.isdisjoint(_names(table)) else [pair for pair in table if pair[0].lower() not in names]
    if secure and HSTS[0].lower() not in names:
        given.append(HSTS)
    return given


def mount(routes: Mapping[str, Application], fallback: Application | None = None) -> Application:
    """Applications by first path segment, the whole path left as it is; 404 where there is neither."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        app = routes.get(scope["path"].split("/", 2)[1] if scope["path"] else "", fallback)
        if app is None:
            await send_response(send, text("404 Not Found\n", status=404))
        else:
            await app(scope, receive, send)

    return application


def strip(app: Application, prefix: str) -> Application:
    """``app`` below ``/prefix``: path and raw path lose it, everything else stays."""
    cut = len(prefix) + 1
    head = f"/{prefix}".encode("ascii")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if raw and not raw.startswith(head):
            await send_response(send, text("404 Not Found\n", status=404))
            return
        inner = {**scope, "path": scope["path"][cut:] or "/", "root_path": f"{scope.get('root_path', '')}/{prefix}"}
        if raw:
            inner["raw_path"] = raw[cut:] or b"/"
        await app(inner, receive, send)

    return application


def throttle(app: Application, peers: Buckets, forms: Buckets) -> Application:
    """Pages behind two buckets per peer: one for every request, one for forms. 429 beyond them."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        name = who(scope)
        wait = peers.take(name) or (forms.take(name) if scope["method"] == "POST" else 0)
        if wait:
            await send_response(send, too_many(text("429 Too Many Requests\n"), wait))
        else:
            await app(scope, receive, send)

    return application


def who(scope: Scope) -> str:
    """By what a peer is counted: its address, or the first half of an IPv6 one (whoever has one has them all)."""
    address = peer(scope)
    if ":" not in address:
        return address
    try:
        return f"{IPv6Address(int(IPv6Address(address.partition('%')[0])) >> 64 << 64)}/64"
    except ValueError:
        return address
