"""Hosting a sandbox in this process: world, listeners, state and credentials files, and what else listens beside it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SystemEntropy
from tongbao.runtime.lock import hold_lock
from tongbao.runtime.log import JsonLog
from tongbao.runtime.server import Address, Listener, serve, server_tls
from tongbao.runtime.world import RealWorld, build_world
from tongbao.sandbox.authority import Authority, ClientAuthority, make_authority, make_client_authority
from tongbao.sandbox.credential import build_credentials
from tongbao.sandbox.mailbox import Mailbox
from tongbao.sandbox.state import SandboxState, complete_state, load_state, make_state, save_state
from tongbao.web.house import HouseSettings, Late, Sandbox
from tongbao.wire.address import AddressPolicy
from tongbao.wire.loader import load_protocol

ANY: Final = frozenset({"0.0.0.0", "::"})

STREAM_LENGTH: Final = 2**40
"""Words one start may draw of a seeded stream before it would meet the next start's."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How to host a sandbox. ``state`` keeps keys and books over restarts; without it they are gone in the end."""

    host: str = "127.0.0.1"
    port: int = 0
    state: Path | None = None
    seed: int | None = None
    tls_port: int | None = None
    allow: tuple[str, ...] = ()
    given: dict[str, dict[str, str]] = field(default_factory=dict)
    log_level: str = "error"
    environment: str = "sandbox"
    crypto_mb: str = ""


@dataclass(slots=True)
class Hosted:
    """A running sandbox. ``extra`` are the addresses of the applications that were to listen beside it."""

    sandbox: Sandbox
    world: RealWorld
    state: SandboxState
    base_url: str
    faces: dict[str, str]
    extra: list[str]
    stop: asyncio.Event
    authority: Authority | None = None
    tls_url: str = ""
    clients: ClientAuthority | None = None

    async def credentials(self) -> dict[str, Any]:
        """The credentials file's content."""
        authority = self.authority.certificate if self.authority else ""
        issued = self.clients.issued if self.clients else {}
        platform = self.sandbox.house.platform
        return await build_credentials(platform, self.state, self.faces, authority, self.tls_url, issued)


def _url(address: Address) -> str:
    """Where a client on this machine reaches a listener."""
    return replace(address, host="127.0.0.1").url if address.host in ANY else address.url


def _open_state(settings: HostSettings) -> SandboxState:
    system = SystemEntropy()
    known = load_state(settings.state) if settings.state else None
    if known is None:
        known = make_state(system, system, settings.given)
    complete_state(known, system)
    known.starts += 1
    if settings.state:
        save_state(settings.state, known)
    return known


@asynccontextmanager
async def host_sandbox(settings: HostSettings, beside: Sequence[Late] = ()) -> AsyncIterator[Hosted]:
    """Run a sandbox while the block runs. Raises ConfigurationError."""
    async with AsyncExitStack() as stack:
        if settings.state:
            directory = settings.state.with_name(f"{settings.state.name}.books")
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(directory / "platform.sqlite"))
        else:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongbao-")))
        state = _open_state(settings)
        clock = RealClock(state.offset)
        mailbox = Mailbox(clock)
        authority = None
        if settings.tls_port is not None:
            hosts = [name for protocol in state.parties for name in load_protocol(protocol).hosts]
            authority = make_authority(directory, hosts)
        world = build_world(
            settings.environment,
            policy=AddressPolicy.sandbox(settings.allow),
            mail=mailbox,
            log=JsonLog(sys.stderr, clock, settings.log_level),
            seed=settings.seed,
            drawn=state.starts * STREAM_LENGTH if settings.seed is not None else 0,
            clock=clock,
            authority=authority.certificate if authority else None,
            crypto_mb=settings.crypto_mb,
        )
        stack.push_async_callback(world.close)

        def move(milliseconds: int) -> None:
            clock.advance(milliseconds)
            state.offset = clock.offset
            if settings.state:
                save_state(settings.state, state)

        sandbox = Sandbox(world, state, mailbox, move)
        hosted = await _listen(settings, sandbox, world, state, directory, authority, beside, stack)
        yield hosted


async def _listen(
    settings: HostSettings,
    sandbox: Sandbox,
    world: RealWorld,
    state: SandboxState,
    directory: Path,
    authority: Authority | None,
    beside: Sequence[Late],
    stack: AsyncExitStack,
) -> Hosted:
    clients = None
    listeners = [Listener(settings.host, settings.port, sandbox.main)]
    listeners += [Listener(settings.host, 0, late) for late in sandbox.faces.values()]
    listeners += [Listener(settings.host, 0, late) for late in beside]
    if authority is not None and settings.tls_port is not None:
        showing = [party for name, party in state.parties.items() if load_protocol(name).client_certificate]
        clients = make_client_authority(directory, [party.merchant_id for party in showing], SystemEntropy())
        tls = server_tls(authority.server_file, authority.key_file, clients.file)
        listeners.append(Listener(settings.host, settings.tls_port, sandbox.main, tls))
    stop = asyncio.Event()
    ready: asyncio.Future[list[Address]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(listeners, lambda addresses: ready.set_result(list(addresses)), stop, log=world.log), name="serve"
    )
    both: set[asyncio.Future[Any]] = {serving, ready}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving

    async def end() -> None:
        stop.set()
        await serving
        await sandbox.close()

    stack.push_async_callback(end)
    urls = [_url(address) for address in ready.result()]
    faces = dict(zip(sandbox.faces, urls[1:], strict=False))
    hosted = Hosted(
        sandbox,
        world,
        state,
        urls[0],
        faces,
        urls[1 + len(faces) : 1 + len(faces) + len(beside)],
        stop,
        authority,
        urls[-1] if authority is not None else "",
        clients,
    )
    await sandbox.open(HouseSettings(urls[0], faces, directory, settings.environment))
    return hosted
