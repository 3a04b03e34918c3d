"""The duties and the loop that runs them: once, until nothing is due, or for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.time import Instant
from tongbao.service.chargeback import recover_debts
from tongbao.service.checkout import inquire
from tongbao.service.escrow import TimerDue
from tongbao.service.payout_act import run_batches
from tongbao.service.payout_card import Standing
from tongbao.service.platform import Platform
from tongbao.service.reconcile import Reconciler
from tongbao.service.refund_act import run_refund_lines
from tongbao.service.seen import FORGET_MOST, forget_words
from tongbao.service.settlement import Settler
from tongbao.service.split_act import run_splits
from tongbao.worker.deliver import BUSY_PAUSE, Deliverer

ROUND_MAX: Final = 200
"""How many trades or instructions one duty takes at a time."""

LOOK_SECONDS: Final = 0.5
"""How long the loop sleeps when nothing happened in this process."""

REST_SHARE: Final = 4
REST_MAX: Final = 0.1
"""After a round in which nothing was due the loop rests this many times as long as it took, at most so many seconds:
while commit follows commit, looking for duties takes a fifth of the time and not all of it."""

FORGET_SECONDS: Final = 60
"""How often old words of requests are looked for, in seconds."""

ROUNDS_MAX: Final = 10_000
"""Rounds after which ``settle`` gives up: a duty that always finds work is a bug."""


class Worker:
    """The duties of one process. ``also`` adds others' (the simulated banks', a shop's jobs): each returns how much it
    did."""

    def __init__(self, platform: Platform, also: tuple[Callable[[], Awaitable[int]], ...] = ()) -> None:
        self._platform = platform
        self._also = also
        self._turn = asyncio.Lock()
        self.deliverer = Deliverer(platform)
        self.reconciler = Reconciler(platform)
        self.settler = Settler(platform)
        self.standing = Standing(platform)
        self._forgets_at = 0.0

    async def run_timers(self) -> int:
        """Close expired trades, release escrow, end refund terms."""
        rows = await self._platform.database.read(
            "trade.due", {"now": self._platform.world.clock.business(), "most": ROUND_MAX}
        )
        commands = [self._platform.submit(TimerDue(merchant_id, number)) for merchant_id, number, _ in rows]
        for outcome in await asyncio.gather(*commands, return_exceptions=True):
            self._report("timer", outcome)
        return len(rows)

    async def run_inquiries(self) -> int:
        """Ask banks about open instructions; send refunds that are queued."""
        rows = await self._platform.database.read(
            "instruction.due", {"now": self._platform.world.clock.business(), "most": ROUND_MAX}
        )
        asked = [inquire(self._platform, number) for (number,) in rows]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            self._report("inquire", outcome)
        return len(rows)

    async def run_money(self) -> int:
        """Give the shares that were agreed when trades were created; act on the lines of running batches of payouts."""
        done = 0
        for (what,) in await self._platform.database.read("payout.anything"):
            done += await (run_splits(self._platform) if what == "split" else run_batches(self._platform))
        return done

    async def run_refunds(self) -> int:
        """Act on the lines of batches of refunds."""
        return await run_refund_lines(self._platform)

    async def run_recoveries(self) -> int:
        """Take what merchants owe out of what is settled to them."""
        return await recover_debts(self._platform)

    async def run_words(self) -> int:
        """Forget the words of requests that are too old to be sent again, once a minute; in a rush, until all are."""
        now = self._platform.world.clock.monotonic()
        if now < self._forgets_at:
            return 0
        forgotten = await forget_words(self._platform)
        if forgotten < FORGET_MOST:
            self._forgets_at = now + FORGET_SECONDS
        return forgotten

    async def run_deliveries(self) -> int:
        """Send due notifications."""
        return await self.deliverer.round()

    def _report(self, duty: str, outcome: object) -> None:
        if isinstance(outcome, (Refused, OutcomeUnknown)):
            self._platform.world.log(f"duty.{duty}", outcome=str(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome

    async def run_once(self) -> int:
        """Every duty once; returns how much was done. Rounds follow one another, so that whoever waits for one knows
        that what was under way before it has ended too. A duty that fails keeps none of the others from its turn; the
        first failure is raised in the end (F34)."""
        done = 0
        failure: Exception | None = None
        duties = (
            self.run_timers,
            self.run_money,
            self.settler.round,
            self.run_recoveries,
            self.standing.round,
            self.run_refunds,
            self.run_inquiries,
            self.reconciler.round,
            self.run_words,
            self.run_deliveries,
        )
        async with self._turn:
            for duty in (*duties, *self._also):
                try:
                    done += await duty()
                except Exception as error:  # noqa: BLE001 - raised below, after the others
                    failure = failure or error
        if failure is not None:
            raise failure
        return done

    async def settle(self) -> None:
        """Run until nothing is due any more at the present reading of business time."""
        for _ in range(ROUNDS_MAX):
            done = await self.run_once()
            if done + await self.deliverer.drain():
                continue
            if not self.deliverer.deferred:
                return
            await self._platform.world.sleep(BUSY_PAUSE / 1000)
        raise RuntimeError("the duties never come to an end")

    async def next_due(self) -> Instant | None:
        """When the next duty of the platform is due (business time), or None."""
        found = []
        for name in ("trade.next_due", "instruction.next_due", "event.next_due"):
            rows = await self._platform.database.read(name)
            if rows and rows[0][0] is not None:
                found.append(rows[0][0])
        found += [
            due
            for due in (await self.settler.next_due(), await self.standing.next_due(), await self.reconciler.next_due())
            if due is not None
        ]
        return Instant(min(found)) if found else None

    async def loop(self, stop: asyncio.Event) -> None:
        """Run duties until ``stop``: soon after a commit of this process, else every half second. What is under way
        at the end is waited for."""
        world = self._platform.world
        while not stop.is_set():
            self._platform.activity.clear()
            began = world.clock.monotonic()
            try:
                done = await self.run_once()
            except Exception as error:  # noqa: BLE001 - a duty that fails once must not end the others (F35)
                world.log("worker.failed", error=f"{type(error).__name__}: {error}")
                done = 0
                await world.sleep(LOOK_SECONDS)
            if not done:
                await world.sleep(min(REST_SHARE * (world.clock.monotonic() - began), REST_MAX))
                await _first(stop, self._platform.activity, LOOK_SECONDS)
        await self.deliverer.drain()


async def _first(stop: asyncio.Event, activity: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(activity.wait())]
    _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
