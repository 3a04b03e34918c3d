"""Resolving a name once and letting through only the addresses the policy allows (T73, T74)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tongbao.wire.address import AddressPolicy, Target, refuse_address
from tongbao.wire.world import NotSent

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""All addresses of a name as text; raises OSError when there are none or nobody knows."""


class SystemResolver:
    """The operating system's resolver, on threads of its own: a slow name server holds up nothing else (F49)."""

    def __init__(self, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str) -> Sequence[str]:
        """Addresses in the system's order of preference. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _resolve, host)

    def close(self) -> None:
        """Forget the threads; one that hangs in the system's resolver is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be resolved") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def allowed_addresses(target: Target, policy: AddressPolicy, resolve: Resolve) -> list[str]:
    """The literal addresses to connect to. Raises NotSent: RESOLVE when there is no answer, BLOCKED_ADDRESS when the
    policy leaves none. A failing resolver never leads to a connection that was not checked."""
    if target.literal is not None:
        answers: Sequence[str] = (str(target.literal),)
    else:
        try:
            answers = await resolve(target.host)
        except OSError as error:
            raise NotSent("RESOLVE", f"{target.host}: {error}") from error
    if not answers:
        raise NotSent("RESOLVE", f"{target.host} has no address")
    allowed, refused = [], ""
    for answer in answers:
        reason = refuse_address(answer, target.host, policy)
        if reason is None:
            allowed.append(_unmap(answer))
        else:
            refused = f"{target.host} is at {answer}, {reason}"
    if not allowed:
        raise NotSent("BLOCKED_ADDRESS", refused)
    return allowed


def _unmap(text: str) -> str:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
