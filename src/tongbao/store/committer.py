"""The committer: one per process. Whatever arrived while the last commit ran is the next batch; no timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown
from tongbao.kernel.port import Clock
from tongbao.store.commit import Batch, Now, Rules, commit_batch, take_lane
from tongbao.store.record import Lane
from tongbao.store.schema import LANE
from tongbao.store.step import (
    CommitUnknown,
    Conflict,
    ConnectionLost,
    Database,
    Fenced,
    Shortfall,
)

BATCH_MAX: Final = 1_000
"""Commands of weight 1 in one batch; a heavier command takes the place of as many."""
TRIES_MAX: Final = 6
"""How often one batch is decided anew after a conflict, a shortfall or a lost connection (F09)."""


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
        self.batches = 0
        self.commands = 0

    async def start(self) -> None:
        """Take the lane and begin. Raises Fenced when another process holds it."""
        self._lane = await self._database.run(
            lambda: take_lane(self._number, self._holder, self._now(), by_force=self._by_force)
        )
        self._task = asyncio.create_task(self._loop(), name=f"committer-{self._number}")

    async def stop(self) -> None:
        """Decide what is queued, then stop."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def submit(self, command: Any) -> Any:
        """The command's outcome after its commit. Raises Refused, OutcomeUnknown, BrokenInvariant or Stopped.

        A caller who goes away changes nothing: the command is decided all the same (F45).
        """
        if self._stopping or (self._task is not None and self._task.done()):
            raise Stopped("the committer has stopped")
        waiting = _Waiting(command, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer

    def _now(self) -> Now:
        return Now(self._clock.business(), self._clock.wire())

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
        except (Fenced, OutcomeUnknown) as trouble:
            if isinstance(trouble, Fenced):
                raise
            for waiting in batch:
                _answer(waiting, trouble)
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
        for turn in range(TRIES_MAX):
            try:
                return await self._database.run(
                    lambda: commit_batch(commands, self._rules, lane.lane, lane.token, self._now(), decided.append)
                )
            except (Shortfall, Conflict, ConnectionLost) as error:
                last = error
                await asyncio.sleep(turn * 0.02)
            except CommitUnknown as error:
                last = error
                if await self._happened(lane):
                    return decided[-1]
        raise last

    async def _happened(self, lane: Lane) -> bool:
        """Whether the batch after ``lane`` was committed; raises OutcomeUnknown when the database does not come
        back."""
        for turn in range(TRIES_MAX):
            try:
                rows = await self._database.load(LANE, [(lane.lane,)])
                break
            except Exception:  # noqa: BLE001 - whatever it is, we do not know yet
                await asyncio.sleep(turn * 0.1)
        else:
            raise OutcomeUnknown("the connection broke during the commit and the database does not answer")
        if rows[0].token != lane.token:
            raise Fenced(f"lane {lane.lane} was taken over during a commit")
        self._lane = rows[0]
        return bool(rows[0].batch > lane.batch)


def _answer(waiting: _Waiting, outcome: Any) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
