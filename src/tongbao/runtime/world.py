"""The real World: everything a process needs from outside, put together in one place."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.address import Resolve
from tongbao.runtime.bench import Bench, MultiBuffer
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


_Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Threads:
    """``World.compute``: blocking functions on a few threads (password hashes, signatures, files).

    A thread goes on while there is work, and the loop is woken once for all that ended meanwhile: handing a signature
    over one by one costs a fifth of what signing costs. Belongs to one event loop.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._most = threads or (os.cpu_count() or 1) + 2
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="compute")
        self._waiting: deque[_Work] = deque()
        self._ended: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._running = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """The function's result, or what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((function, future))
        self._spread(loop)
        return await future

    def _spread(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and self._running < self._most:
            self._pool.submit(self._work, loop)
            self._running += 1

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread, until nothing waits."""
        while self._waiting:
            try:
                function, future = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                break
            if future.cancelled():
                continue
            try:
                self._ended.append((future, function(), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                self._ended.append((future, None, error))
            if not self._woken:
                self._woken = True
                loop.call_soon_threadsafe(self._hand_back)
        # what was added since this thread looked finds it gone, or is found by ``_leave``
        loop.call_soon_threadsafe(self._leave, loop)

    def _hand_back(self) -> None:
        self._woken = False  # before the look: whatever ends from here on wakes the loop again
        while self._ended:
            future, result, error = self._ended.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        self._running -= 1
        self._spread(loop)

    def close(self) -> None:
        """Wait for what runs; cancel what waits. Called from another thread than the loop's."""
        while self._waiting:
            try:
                _, future = self._waiting.popleft()
            except IndexError:  # a thread took it
                break
            future.get_loop().call_soon_threadsafe(future.cancel)
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
    crypto_mb: str = "",
) -> RealWorld:
    """Put a World together. ``seed``, ``drawn`` (what a seeded stream has given already), ``offset`` (milliseconds of
    business time; or the ``clock`` itself) are for sandbox and test: production raises ConfigurationError for them,
    and for a policy that opens loopback. ``authority`` is PEM text of authorities to trust besides the system's.
    ``crypto_mb`` names the library that signs together (see ``bench``)."""
    if environment not in ENVIRONMENTS:
        raise ConfigurationError("environment", f"is one of {', '.join(ENVIRONMENTS)}")
    clock = clock or RealClock(offset)
    if environment == "production":
        _check_production(seed, clock.offset, policy)
    transport = GuardedTransport(policy, resolve=resolve, authority=authority, reuse=environment == "production")
    tasks = Tasks(log)
    threads = Threads()
    bench = Bench(threads.run, MultiBuffer(crypto_mb).sign, log) if crypto_mb else None

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
        sign=bench.sign if bench is not None else None,
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
