"""The change of one shop's trust, from certificates to the public key, at moments drawn from the seed.

1. certificates only; 2. one process of the shop after another takes the public key in beside them, so that the platform
answers under it where it is asked for; 3. the platform signs notifications by both, and may be taken back to
certificates; 4. it signs by the public key alone, and may be taken back to both; 5. one process after another lets the
certificates go. Back is possible while every process knows both, and not after that.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from tongbao.sandbox.trust import change_trust
from tongbao.service.platform import Platform
from tongbao.sim.loop import pause
from tongbao.sim.platform import House
from tongbao.sim.trust.shop import NAME, TRUSTS, TrustSeller
from tongbao.sim.universe import Universe

LINGER: Final = 1_200
"""How long what was under way before a step may still arrive, in virtual seconds: a process may stand still for five
minutes with a key ring in its hand, twice, before it signs; then the message is fresh for five minutes more."""

STEPS: Final = ("switch both", "sign both", "sign public_key", "switch public_key")


class Change:
    """The change of one shop. ``done_at``: virtual time at which the platform signed by the public key alone."""

    linger: float = LINGER

    def __init__(self, universe: Universe, house: House, seller: TrustSeller) -> None:
        self.universe = universe
        self.house = house
        self.seller = seller
        self.random = Random(f"change:{universe.plan.seed}:{seller.shop.number}")
        self.done_at = 0.0
        self.steps = {step: asyncio.Event() for step in STEPS}
        """Set shortly before a step is done for the first time."""

    async def run(self) -> None:
        """All of it; returns when the last process has let the certificates go."""
        random = self.random
        await pause(random.uniform(60, 600))
        await self._switch("both")
        await pause(self.linger)
        await self._sign("both")
        await pause(random.uniform(60, 600))
        if random.random() < 0.3:
            await self._sign("certificate")
            await pause(random.uniform(30, 400))
            await self._sign("both")
            await pause(random.uniform(30, 400))
        await self._sign("public_key")
        if random.random() < 0.3:
            await pause(random.uniform(30, 400))
            await self._sign("both")
            await pause(random.uniform(30, 400))
            await self._sign("public_key")
        self.done_at = self.universe.loop.time()
        await pause(self.linger)
        await self._switch("public_key")
        await pause(random.uniform(60, 600))

    async def _switch(self, trust: str) -> None:
        """Every process of the shop, each in its own way: one shortly after the other, or at times of their own."""
        self.steps[f"switch {trust}"].set()
        apart = self.random.choice((5, 60, 300))
        for name in self.random.sample(list(self.seller.trusts), len(self.seller.trusts)):
            await pause(self.random.uniform(0, apart))
            await self.seller.switch(name, trust, restart=self.random.random() < 0.5)

    async def _sign(self, trust: str) -> None:
        """What the platform signs by: ordered at one gateway after another until one has done it."""
        if trust != TRUSTS[0]:
            self.steps[f"sign {trust}"].set()
        await pause(self.random.uniform(60, 240))
        done: list[str] = []
        while not done:
            name = self.random.choice([name for name in self.house.names if name.startswith("gateway")])
            process = self.universe.processes[name]
            life = process.life
            if life is not None and process.is_up:
                task = self.universe.spawn(life, self._order(self.house.platforms[name], trust, done))
                while not (task.done() or life.dead):
                    await pause(0.5)
            await pause(1)
        self.universe.note("signs", self.seller.shop.name, trust)

    async def _order(self, platform: Platform, trust: str, done: list[str]) -> None:
        try:
            await change_trust(platform, NAME, self.seller.shop.merchant, trust)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is ordered again
            self.universe.note("not ordered", self.seller.shop.name, trust, type(error).__name__)
        else:
            done.append(trust)
