"""The real World: everything a process needs from outside, put together in one place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.address import Resolve
from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SeededEntropy, SystemEntropy, random_source
from tongbao.runtime.outgoing import GuardedTransport
from tongbao.wire.address import AddressPolicy
from tongbao.wire.world import Log, Mailer, World

ENVIRONMENTS: Final = ("production", "sandbox", "test")


class Tasks:
    """Background tasks: held, so that they are not collected; their failure is logged; cancelled at the end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start ``coroutine`` under ``name``."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log("task.failed", task=task.get_name(), error=error)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Threads:
    """``World.compute``: blocking functions on a few threads (password hashes, signatures, files)."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads or (os.cpu_count() or 1) + 2, thread_name_prefix="compute")

    async def run(self, function: Callable[[], Any]) -> Any:
        """The function's result, or what it raised."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Wait for what runs; drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class RealWorld(World):
    """A World that can be closed. ``real_clock`` is the clock again, as the one that can be advanced."""

    real_clock: RealClock = field(default_factory=RealClock)
    closing: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()

    async def close(self) -> None:
        """Cancel background tasks, cut idle connections, end the threads."""
        for close in self.closing:
            await close()


def build_world(
    environment: str,
    *,
    policy: AddressPolicy,
    mail: Mailer,
    log: Log,
    seed: int | None = None,
    drawn: int = 0,
    offset: int = 0,
    clock: RealClock | None = None,
    authority: str | None = None,
    resolve: Resolve | None = None,
    settings: Mapping[str, str] | None = None,
) -> RealWorld:
    """Put a World together. ``seed``, ``drawn`` (what a seeded stream has given already), ``offset`` (milliseconds of
    business time; or the ``clock`` itself) are for sandbox and test: production raises ConfigurationError for them,
    and for a policy that opens loopback. ``authority`` is PEM text of authorities to trust besides the system's."""
    if environment not in ENVIRONMENTS:
        raise ConfigurationError("environment", f"is one of {', '.join(ENVIRONMENTS)}")
    clock = clock or RealClock(offset)
    if environment == "production":
        _check_production(seed, clock.offset, policy)
    transport = GuardedTransport(policy, resolve=resolve, authority=authority, reuse=environment == "production")
    tasks = Tasks(log)
    threads = Threads()

    async def close_threads() -> None:
        await asyncio.get_running_loop().run_in_executor(None, threads.close)

    return RealWorld(
        clock=clock,
        entropy=SystemEntropy() if seed is None else SeededEntropy(seed, drawn),
        send=transport,
        mail=mail,
        log=log,
        random=random_source(seed),
        compute=threads.run,
        sleep=asyncio.sleep,
        spawn=tasks.spawn,
        environment=environment,
        settings=dict(settings or {}),
        real_clock=clock,
        closing=(tasks.close, transport.close, close_threads),
    )


def _check_production(seed: int | None, offset: int, policy: AddressPolicy) -> None:
    if seed is not None:
        raise ConfigurationError("seed", "numbers that can be foretold are for the sandbox only")
    if offset:
        raise ConfigurationError("offset", "the business clock is moved in the sandbox only")
    if not policy.strict or policy.loopback or policy.networks or policy.hosts:
        raise ConfigurationError("policy", "inside addresses may be called in the sandbox only")
