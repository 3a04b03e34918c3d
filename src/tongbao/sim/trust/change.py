"""The change of one shop's trust, from certificates to the public key, at moments drawn from the seed.

1. certificates only; for some shops the next certificate follows the first one: it is told of, fetched, and then
signs; 2. one process of the shop after another takes the public key in beside them, so that the platform answers under
it where it is asked for; 3. the platform signs notifications by both, and may be taken back to certificates; 4. it
signs by the public key alone, and may be taken back to both; 5. one process after another lets the certificates go.
Back is possible while every process knows both, and not after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from tongbao.sandbox.trust import change_trust
from tongbao.service.party import PutKey
from tongbao.service.platform import Platform
from tongbao.sim.loop import pause
from tongbao.sim.platform import House
from tongbao.sim.trust.shop import NAME, TRUSTS, TrustSeller, signing
from tongbao.sim.universe import Universe
from tongbao.trade.party import MerchantKey

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
        if self.seller.shop.renews:
            await self._renew()
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
        await self._order(trust, lambda platform: change_trust(platform, NAME, self.seller.shop.merchant, trust))

    async def _renew(self) -> None:
        """The certificate is followed by another one, as the interface's page on certificates has it: published before
        it signs, so that everybody has fetched it by then; the first one verifies until nothing of it is under way."""
        shop = self.seller.shop
        before, after = shop.pairs
        await self._put("next certificate", after, "-next", "next")
        await self._fetch()
        await pause(self.random.uniform(0, 300))
        await self._put("the first, aside", before, "-before", "retiring")
        await self._put("certificate", after, "", "active")
        await self._put("next certificate", after, "-next", "revoked")
        await pause(self.linger)
        await self._put("the first, ended", before, "-before", "revoked")

    async def _put(self, what: str, pair: int, name: str, state: str) -> None:
        shop = self.seller.shop
        await self._order(what, lambda platform: put_key(platform, signing(shop, platform, pair, name, state)))

    async def _fetch(self) -> None:
        """One process of the shop after another fetches the certificates, until each of them knows the next one; they
        share a folder."""
        wanted = self.seller.shop.certificates[-1]
        for name in self.seller.trusts:
            while wanted not in self.seller.names_trusted(name):
                await self._ask(name)

    async def _ask(self, name: str) -> None:
        """A process asks for the certificates, if it is up."""
        process = self.universe.processes[name]
        life = process.life
        if life is not None and process.is_up:
            task = self.universe.spawn(life, self.seller.counters[name].client.refresh_certificates())
            while not (task.done() or life.dead):
                await pause(1)
        await pause(self.random.uniform(1, 60))

    async def _order(self, what: str, act: Callable[[Platform], Awaitable[object]]) -> None:
        """Have something done at one gateway after another until one has done it."""
        done: list[str] = []
        while not done:
            name = self.random.choice([name for name in self.house.names if name.startswith("gateway")])
            process = self.universe.processes[name]
            life = process.life
            if life is not None and process.is_up:
                task = self.universe.spawn(life, self._try(what, act, self.house.platforms[name], done))
                while not (task.done() or life.dead):
                    await pause(0.5)
            await pause(1)
        self.universe.note("signs", self.seller.shop.name, what)

    async def _try(
        self, what: str, act: Callable[[Platform], Awaitable[object]], platform: Platform, done: list[str]
    ) -> None:
        try:
            await act(platform)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is ordered again
            self.universe.note("not ordered", self.seller.shop.name, what, type(error).__name__)
        else:
            done.append(what)


async def put_key(platform: Platform, key: MerchantKey) -> None:
    """Give the platform a key, in the place of the one of that name."""
    await platform.submit(PutKey(key, "maker"))
    platform.rings.forget()
