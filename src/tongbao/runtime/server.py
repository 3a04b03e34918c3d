"""The HTTP server: several addresses, plain and TLS, each with its application, in one process and one event loop.

The lifespan part of ASGI is not spoken: what an application needs is started and stopped around ``serve``.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final, TypeVar

from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.connection import Connection, ServerLimits, Shared
from tongbao.wire.asgi import Application
from tongbao.wire.world import Log

new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None
try:
    from uvloop import new_event_loop
except ImportError:  # not built for this platform; asyncio's own loop does the same, slower
    new_event_loop = None

T = TypeVar("T")

DRAIN_SECONDS: Final = 20.0
FILES_MAX: Final = 65_536
_SWEEP_SECONDS: Final = 0.25
_GC_THRESHOLD: Final = (50_000, 50, 50)


@dataclass(frozen=True, slots=True)
class Listener:
    """One address to listen on. ``port`` 0 takes a free one; ``tls`` comes from ``server_tls``."""

    host: str
    port: int
    app: Application
    tls: ssl.SSLContext | None = None
    limits: ServerLimits = field(default_factory=ServerLimits)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener really listens, in the order of the listeners given."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """``scheme://host:port``, without a slash at the end; IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def server_tls(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """A server's TLS settings: 1.2 or newer; with ``client_ca`` a client certificate is asked for, not required.

    Raises ConfigurationError when the files cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError("tls", f"{certificate}, {key} or {client_ca} cannot be used: {error}") from error
    return context


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run the main coroutine of a process on the quickest event loop there is, with room for its connections."""
    _open_files()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def _open_files() -> None:
    """Let the process open as many files as it may, within reason: the limit it starts with is often 1,024, which
    connections of a few hundred shops and as many notifications under way use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def serve(
    listeners: Sequence[Listener],
    on_ready: Callable[[Sequence[Address]], None],
    stop: asyncio.Event,
    *,
    log: Log,
    own_process: bool = True,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Listen, call ``on_ready`` with the addresses, serve until ``stop`` is set, then drain.

    ``own_process`` (false when embedded in somebody else's tests) also listens to SIGTERM and SIGINT and tunes the
    garbage collector. Raises ConfigurationError when an address cannot be had; nothing is then left listening.
    """
    loop = asyncio.get_running_loop()
    shares = [Shared(listener.app, listener.limits, log, loop, _date()) for listener in listeners]
    servers: list[asyncio.Server] = []
    try:
        for listener, shared in zip(listeners, shares, strict=True):
            servers.append(await _listen(loop, listener, shared))
        if own_process:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
        on_ready([_address(listener, server) for listener, server in zip(listeners, servers, strict=True)])
        if own_process:
            _settle_memory()
        await _watch(shares, stop)
    finally:
        for server in servers:
            server.close()
        await _drain(shares, drain_seconds)
        if own_process:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _listen(loop: asyncio.AbstractEventLoop, listener: Listener, shared: Shared) -> asyncio.Server:
    host = "127.0.0.1" if listener.host == "localhost" else listener.host
    extra: dict[str, Any] = {"ssl": listener.tls, "ssl_handshake_timeout": 5.0} if listener.tls is not None else {}
    try:
        return await loop.create_server(lambda: Connection(shared), host, listener.port, backlog=2048, **extra)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"{listener.host}:{listener.port}", f"cannot listen here: {error}") from error


def _address(listener: Listener, server: asyncio.Server) -> Address:
    host, port = server.sockets[0].getsockname()[:2]
    return Address("http" if listener.tls is None else "https", str(host), int(port))


def _date() -> bytes:
    return formatdate(time.time(), usegmt=True).encode("ascii")


def _settle_memory() -> None:
    """What lives for as long as the process need not be looked through again and again (docs: performance)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)


async def _watch(shares: Sequence[Shared], stop: asyncio.Event) -> None:
    """Keep the Date header and the time limits until ``stop`` is set."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stopping.done():
            await asyncio.wait((stopping,), timeout=_SWEEP_SECONDS)
            _sweep(shares, loop.time())
    finally:
        stopping.cancel()


def _sweep(shares: Sequence[Shared], now: float) -> None:
    date = _date()
    for shared in shares:
        shared.date = date
        for connection in list(shared.connections):
            connection.sweep(now)


async def _drain(shares: Sequence[Shared], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for shared in shares:
        shared.draining = True
        for connection in list(shared.connections):
            connection.drain()
    while loop.time() < deadline and any(shared.connections or shared.tasks or shared.ready for shared in shares):
        await asyncio.sleep(0.02)
        _sweep(shares, loop.time())
    for shared in shares:
        shared.ready.clear()
    tasks = [task for shared in shares for task in shared.tasks]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)
    for shared in shares:
        for connection in list(shared.connections):
            connection.transport.abort()
    await asyncio.sleep(0)
