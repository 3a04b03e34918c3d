"""The committer: one per process. Whatever arrived while the last commit ran is the next batch; no timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.port import Clock
from tongbao.store.commit import Batch, Now, Rules, commit_batch, read_lane, take_lane
from tongbao.store.record import Lane
from tongbao.store.step import (
    CommitUnknown,
    Conflict,
    ConnectionLost,
    Database,
    Fenced,
    Script,
    Shortfall,
    one_by_one,
)

T = TypeVar("T")

BATCH_MAX: Final = 1_000
"""Commands of weight 1 in one batch; a heavier command takes the place of as many."""
TRIES_MAX: Final = 6
"""How often one batch is decided anew after a conflict or a lost connection (F09)."""
SHORTFALLS_MAX: Final = 3
"""How often after a shortfall: by then whoever was first has committed, and his rows are seen."""
LOOKUPS_MAX: Final = 9
"""How often the lane is asked whether a batch was committed; each question waits for the lock that a commit still
under way holds, so that together they outlast the database's own time limit for a forsaken transaction (F07)."""


@dataclass(slots=True)
class _Waiting:
    command: Any
    answer: asyncio.Future[Any]


class Stopped(Exception):  # noqa: N818
    """The committer has stopped; nothing was done."""


class Committer:
    """``submit`` is the only door through which the books change. ``weigh`` gives a command's weight."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        clock: Clock,
        lane: int,
        holder: str,
        *,
        by_force: bool,
        weigh: Callable[[Any], int] = lambda command: 1,
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._number = lane
        self._holder = holder
        self._by_force = by_force
        self._weigh = weigh
        self._queue: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._lane: Lane | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._events: asyncio.AbstractEventLoop | None = None
        self.batches = 0
        self.commands = 0

    async def start(self) -> None:
        """Take the lane and begin. Raises Fenced when another process holds it."""
        self._lane = await self._database.run(
            lambda: self._fit(take_lane(self._number, self._holder, self._now(), by_force=self._by_force))
        )
        self._events = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._loop(), name=f"committer-{self._number}")

    async def stop(self) -> None:
        """Decide what is queued, then stop. A committer that was fenced off has stopped already."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def ended(self) -> None:
        """Wait until the committer has stopped. Raises Fenced when its lane was taken: its process must end too."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def submit(self, command: Any) -> Any:
        """The command's outcome after its commit. Raises Refused, OutcomeUnknown, BrokenInvariant or Stopped.

        A caller who goes away changes nothing: the command is decided all the same (F45).
        """
        if self._stopping or (self._task is not None and self._task.done()):
            raise Stopped("the committer has stopped")
        waiting = _Waiting(command, (self._events or asyncio.get_running_loop()).create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    def _now(self) -> Now:
        return Now(self._clock.business(), self._clock.wire())

    def _fit(self, script: Script[T]) -> Script[T]:
        """One statement for many steps pays where a database is at the other end of a connection."""
        return script if self._database.dialect == "postgresql" else one_by_one(script)

    def _has_more(self) -> bool:
        return bool(self._queue)

    def _take(self) -> list[_Waiting]:
        weight = 0
        for index, waiting in enumerate(self._queue):
            weight += self._weigh(waiting.command)
            if weight > BATCH_MAX and index:
                break
        else:
            index = len(self._queue)
        batch, self._queue = self._queue[:index], self._queue[index:]
        return batch

    async def _loop(self) -> None:
        batch: list[_Waiting] = []
        try:
            while True:
                batch = self._take()
                if batch:
                    await self._commit(batch)
                elif self._stopping:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        except Fenced as fenced:
            self._stopping = True
            for waiting in batch + self._queue:
                _answer(waiting, Stopped(str(fenced)))
            raise

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            done = await self._attempt(batch)
        except Fenced:
            raise
        except (OutcomeUnknown, Conflict, ConnectionLost) as trouble:
            # the database's trouble, not a command's: splitting would only take longer
            unknown = isinstance(trouble, OutcomeUnknown)
            for waiting in batch:
                _answer(waiting, trouble if unknown else Refused("SYSTEM", "the database is busy or gone"))
            return
        except Exception as error:  # noqa: BLE001 - one bad command must not spoil its batch: split until it stands alone
            if len(batch) == 1:
                _answer(batch[0], error)
                return
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])
            return
        self._lane = done.lane
        self.batches += 1
        self.commands += len(batch)
        for waiting, outcome in zip(batch, done.outcomes, strict=True):
            _answer(waiting, outcome)

    async def _attempt(self, batch: list[_Waiting]) -> Batch:
        commands = [waiting.command for waiting in batch]
        lane = self._lane
        if lane is None:
            raise Stopped("the committer was not started")
        last: Exception = Stopped("not tried")
        decided: list[Batch] = []
        shortfalls = 0
        for turn in range(TRIES_MAX):
            try:
                return await self._database.run(
                    lambda: self._fit(
                        commit_batch(
                            commands, self._rules, lane.lane, lane.token, self._now(), decided.append, self._has_more
                        )
                    )
                )
            except Shortfall as error:
                last, shortfalls = error, shortfalls + 1
                if shortfalls == SHORTFALLS_MAX:
                    break
                await asyncio.sleep(turn * 0.02)
            except (Conflict, ConnectionLost) as error:
                last = error
                await asyncio.sleep(turn * 0.02)
            except CommitUnknown as error:
                last = error
                if await self._happened(decided[-1]):
                    return decided[-1]
        if isinstance(last, Shortfall) and len(batch) == 1:
            # nobody raced: a number that must be unique, and that no rule looks up, is somebody else's
            raise Refused("ALREADY_EXISTS", "a number or login in it is taken")
        raise last

    async def _happened(self, batch: Batch) -> bool:
        """Whether ``batch`` was committed, asked under the lane's lock: a commit that still runs is waited for.

        Raises OutcomeUnknown when the database does not come back, Fenced when somebody else has the lane now.
        """
        for turn in range(LOOKUPS_MAX):
            try:
                found = await self._database.run(lambda: read_lane(batch.lane.lane))
                break
            except (Conflict, ConnectionLost, CommitUnknown):
                await asyncio.sleep(turn * 0.1)
        else:
            raise OutcomeUnknown("the connection broke during the commit and the database does not answer")
        if found.token != batch.lane.token:
            raise Fenced(f"lane {found.lane} was taken over during a commit")
        return found.batch >= batch.lane.batch


def _answer(waiting: _Waiting, outcome: Any) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
