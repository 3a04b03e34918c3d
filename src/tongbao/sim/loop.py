"""The event loop of the simulation: virtual time, a seeded order of ready tasks, processes that die or stand still.

When nothing is ready the clock jumps to the next timer. A process is a ``Life`` in the context of its tasks: the loop
drops the steps of a dead one, without any clean-up, and keeps those of a paused one until it wakes.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Final


class Deadlock(Exception):  # noqa: N818
    """Nothing is ready and no timer is set: the world waits for ever."""


class Livelock(Exception):  # noqa: N818
    """The budget of steps is used up."""


class Life:
    """One incarnation of a simulated process: from its start to its crash. ``offset`` is its clock's error in
    milliseconds."""

    def __init__(self, name: str, number: int, offset: int = 0) -> None:
        self.name = name
        self.number = number
        self.offset = offset
        self.dead = False
        self.paused = False
        self.stash: list[asyncio.Handle] = []
        self.closing: list[Callable[[], object]] = []
        """What the operating system does when the process is gone: close its files."""
        self.context: Context = copy_context()
        self.context.run(_LIFE.set, self)

    def __repr__(self) -> str:
        return f"{self.name}.{self.number}"


_LIFE: Final[ContextVar[Life | None]] = ContextVar("life", default=None)


class _Selector:
    """There is nothing to select from."""

    def close(self) -> None:
        return


class SimLoop(asyncio.BaseEventLoop):
    """``time()`` is virtual seconds since the start. Raises Deadlock and Livelock out of ``run_until_complete``."""

    def __init__(self, random: Random, budget: int) -> None:
        super().__init__()
        self._selector = _Selector()
        self._virtual = 0.0
        self._random = random
        self._budget = budget
        self.steps = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._coroutines: list[Coroutine[Any, Any, Any]] = []
        self.failures: list[str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._take_failure)

    def time(self) -> float:
        return self._virtual

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        # held until the end: a dropped task must not be collected, which would run its clean-up at some moment
        self._tasks.append(task)
        return task

    def keep(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Hold a coroutine that a task was given: it may never be started."""
        self._coroutines.append(coroutine)

    def _take_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failures.append(f"{context['message']}: {error!r}")

    def _process_events(self, event_list: Any) -> None:
        return

    def _write_to_self(self) -> None:
        return

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            self._drop(timers)
        if not ready:
            if not timers:
                raise Deadlock(f"nothing is ready after {self.steps} steps")
            self._virtual = max(self._virtual, timers[0].when())
        while timers and timers[0].when() <= self._virtual:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            if not handle.cancelled():
                ready.append(handle)
        turn = list(ready)
        ready.clear()
        if len(turn) > 1:
            self._random.shuffle(turn)
        for handle in turn:
            if handle._cancelled:
                continue
            life = handle._context.get(_LIFE)
            if life is not None and (life.dead or life.paused):
                if life.paused and not life.dead:
                    life.stash.append(handle)
                continue
            self.steps += 1
            if self.steps > self._budget:
                raise Livelock(f"more than {self._budget} steps")
            handle._run()

    def _drop(self, timers: Any) -> None:
        handle = heapq.heappop(timers)
        handle._scheduled = False
        self._timer_cancelled_count = max(0, self._timer_cancelled_count - 1)  # type: ignore[has-type]

    def wake(self, life: Life) -> None:
        """A paused process goes on where it stood."""
        life.paused = False
        stash, life.stash = life.stash, []
        self._ready.extend(stash)  # type: ignore[attr-defined]

    def dispose(self) -> None:
        """Throw every unfinished task away, without letting its clean-up reach anybody."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                inner: Any = task.get_coro()
                with suppress(BaseException):
                    inner.close()
            elif not task.cancelled():
                task.exception()
        for coroutine in self._coroutines:
            with suppress(BaseException):
                coroutine.close()
        self._coroutines.clear()
        self._tasks.clear()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.failures.clear()
        self.close()


async def pause(seconds: float) -> None:
    """Sleep so many virtual seconds."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(max(0.0, seconds), _wake, future)
    await future


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def turn() -> None:
    """Let the others go first: whoever is ready may be next."""
    await _Turn()


async def stand() -> None:
    """Wait for ever: where a process crashed, nothing follows."""
    await asyncio.get_running_loop().create_future()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
