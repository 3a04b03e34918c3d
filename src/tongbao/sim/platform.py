"""The platform's processes: gateways that serve faces and cashier, workers that run the duties, each with its lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tongbao.service.channel import Channel, SimulatedChannel
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.sim.database import Books, SimDatabase
from tongbao.sim.desk import Desk
from tongbao.sim.loop import Life, pause
from tongbao.sim.till import Till
from tongbao.sim.universe import PATIENCE, Universe
from tongbao.store.step import Database, Fenced
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.asgi import Application, plain
from tongbao.wire.world import World
from tongbao.worker.duty import Worker

HOST: Final = "platform.test"
BASE: Final = f"http://{HOST}"
BANK_HOST: Final = "bank.test"
PROTOCOLS: Final = ("alipay_mapi", "yeepay")
SECRETS: Final = Secrets.derive(b"the simulated installation's root")
COST: Final = 3
"""log2 of scrypt's N: hardly any work."""

MakePlatform = Callable[[World, Database, Secrets, PlatformSettings, Mapping[str, Channel]], Platform]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the platform's processes are made of. A test that plants a fault passes parts of its own."""

    platform: MakePlatform = Platform
    database: Callable[[Universe, Life], Database] = SimDatabase
    books: Callable[[Universe, Life], Books] = SimDatabase
    worker: Callable[[Platform], Worker] = Worker
    till: Callable[[Platform], Till] = Till


class House:
    """All processes of the platform, over one database."""

    def __init__(self, universe: Universe, parts: Parts, protocols: Sequence[str] = PROTOCOLS) -> None:
        self.universe = universe
        self.parts = parts
        self.protocols = protocols
        self.platforms: dict[str, Platform] = {}
        for number in range(universe.plan.gateways):
            universe.add(f"gateway{number}", self._gateway, HOST)
        for number in range(universe.plan.workers):
            universe.add(f"worker{number}", self._worker)

    @property
    def names(self) -> list[str]:
        """Names of the platform's processes."""
        return [name for name in self.universe.processes if name.startswith(("gateway", "worker"))]

    async def _platform(self, life: Life) -> Platform:
        lane = self.names.index(life.name)
        world = self.universe.make_world(life)
        settings = PlatformSettings(BASE, "sandbox", COST, lane, life.name, embedded=False)
        channels = {"*": SimulatedChannel(f"http://{BANK_HOST}", SECRETS.bank)}
        while True:
            database = self.parts.database(self.universe, life)
            platform = self.parts.platform(world, database, SECRETS, settings, channels)
            try:
                await platform.start()
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - a process that cannot start is started again
                self.universe.note("not started", life, type(error).__name__)
                await pause(1)
                continue
            self.platforms[life.name] = platform
            return platform

    async def _gateway(self, life: Life) -> Application:
        platform = await self._platform(life)
        till = self.parts.till(platform)
        routes = {"cashier": plain(till.handle), "desk": plain(Desk(platform).handle)}
        web = build_web(platform, PlainPages(), routes=routes, protocols=self.protocols)
        self._mourn(life, platform)
        return web.main

    async def _worker(self, life: Life) -> Application | None:
        platform = await self._platform(life)
        worker = self.parts.worker(platform)
        self.universe.spawn(life, self._duties(life, platform, worker))
        self._mourn(life, platform)
        return None

    def _mourn(self, life: Life, platform: Platform) -> None:
        """A process whose committer ended (it was fenced off) is ended by its supervisor."""

        def over(task: asyncio.Task[None]) -> None:
            self.universe.note("fenced", life)
            self.universe.crash_life(life)

        if platform.committer._task is not None:
            platform.committer._task.add_done_callback(over)

    async def _duties(self, life: Life, platform: Platform, worker: Worker) -> None:
        """The worker's loop, with sleeps as long as nothing is due."""
        universe, now = self.universe, platform.world.clock.business
        patience = 3.0
        while True:
            try:
                done = await worker.run_once()
                due = await worker.next_due()
            except Exception as error:  # noqa: BLE001 - a duty that fails once must not end the others (F35)
                platform.world.log("worker.failed", error=repr(error))
                await pause(1)
                continue
            if done:
                patience = 3.0
                await pause(0.2)
                continue
            changes = universe.disk.changes
            waits = due is not None and due <= now()
            patience = min(3 * patience, PATIENCE) if waits else 3.0
            await universe.rest(now, due, 60.0 if universe.healed else patience, universe.disk, changes)
