"""The stage of the world of trust, and its plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Any, Final

from tongbao.kernel.time import SECOND
from tongbao.merchant.trust import TrustStore
from tongbao.service.channel import Channel
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.service.ring import RingCache, parse_material
from tongbao.sim.attacker import Attacker
from tongbao.sim.buyer import Buyer, Intent, Wallet, draw_wallet
from tongbao.sim.chance import START
from tongbao.sim.loop import pause
from tongbao.sim.platform import BASE, Parts
from tongbao.sim.play import Cast, Report, Stage, run_stage
from tongbao.sim.profile import Plan, draw_plan
from tongbao.sim.seller import Seller, Shop
from tongbao.sim.trust.attacker import TrustAttacker
from tongbao.sim.trust.change import STEPS, Change
from tongbao.sim.trust.key import PLATFORM
from tongbao.sim.trust.oracle import TrustOracle
from tongbao.sim.trust.register import Register
from tongbao.sim.trust.shop import NAME, TrustSeller, TrustShop, keys_of
from tongbao.sim.trust.wire import RoughWire
from tongbao.sim.universe import Universe
from tongbao.store.step import Database
from tongbao.trade.party import MerchantKey
from tongbao.wire.world import World

UNTIL: Final = START // SECOND + 6 * 3_600
"""When an unpaid order ends, in seconds since 1970: after the change."""

SPREAD: Final = 5_000.0
"""Virtual seconds over which the buyers come: most of a change."""


LAST: Final = 100
"""Fen that the last order at each shop costs."""


class Scanner(Buyer):
    """A buyer who scans the shop's code with his wallet, and whose browser comes home unsigned. ``changes``: by shop;
    most buyers come when a step of the change is near."""

    changes: Mapping[Shop, Change]

    async def pursue(self, intent: Intent) -> None:
        if self.random.random() < 0.3:
            await pause(self.random.uniform(0, SPREAD))
            await super().pursue(intent)
        else:
            (step,) = self.random.choices(STEPS, (2, 2, 4, 1))
            await self.changes[intent.shop].steps[step].wait()
            await pause(self.random.uniform(0, 60))
            await self.buy(intent)

    async def _reach(self, intent: Intent) -> str:
        shown = await self._ask_shop(intent)
        for _ in range(3 if shown else 0):
            status, answer = await self.form(f"{BASE}/cashier/scan", code=shown["code"])
            if status == 200:
                return str(answer["word"])
            await pause(self.random.uniform(1, 20))
        return ""

    async def buy_last(self, intent: Intent) -> None:
        """Order and pay at once, when nothing goes wrong any more."""
        word = await self._reach(intent)
        if word:
            await self._pay_from_balance(intent, word)

    async def _go_home(self, intent: Intent, word: str) -> None:
        for _ in range(self.random.randint(1, 3)):
            await self.form(f"http://{intent.shop.host}/home", order=intent.number)
            await pause(self.random.uniform(0, 100))


_parse = lru_cache(64)(parse_material)


def make_platform(
    world: World, database: Database, secrets: Secrets, settings: PlatformSettings, channels: Mapping[str, Channel]
) -> Platform:
    """The platform, whose lives share what they parse."""
    platform = Platform(world, database, secrets, settings, channels)
    platform.rings = RingCache(platform.database, platform.vault, world.clock, _parse)
    return platform


@dataclass(frozen=True, slots=True)
class TrustCast(Cast):
    """Who plays in this world. A test that plants a fault replaces one of them."""

    parts: Parts = field(default_factory=lambda: Parts(platform=make_platform))
    buyer: Any = Scanner
    change: type[Change] = Change
    store: type[TrustStore] = TrustStore
    seller: type[TrustSeller] = TrustSeller


def draw_trust_plan(seed: int, profile: str = "") -> Plan:
    """The world of a seed: that of the other worlds, with few shops, and a wire that changes bytes where messages are
    lost or an attacker is about, and is slow."""
    plan, random = draw_plan(seed, profile), Random(f"trust plan:{seed}")
    rough = plan.profile in ("lossy", "hostile", "mixed")
    changes = {"change": random.uniform(0, 0.3), "stale": random.uniform(0, 0.1), "slow": random.uniform(0, 0.6)}
    once = random.choice((plan.once, "change", "stale")) if plan.profile == "single" else ""
    return replace(
        plan,
        shops=random.randint(1, 2),
        intents=random.randint(8, 20),
        rates=replace(plan.rates, **changes) if rough else plan.rates,
        skew=min(plan.skew, 20_000),
        once=once,
        sorrow=0.0,
    )


def run_seed(seed: int, profile: str = "", cast: TrustCast = TrustCast()) -> Report:
    """Play one seed of this world."""
    return run_stage(draw_trust_plan(seed, profile), lambda universe: TrustStage(universe, cast))


class TrustStage(Stage):
    """Everything of the other stage, with these shops, this wire and this attacker."""

    protocols = (NAME,)
    cast: TrustCast
    buyer: Scanner

    def __init__(self, universe: Universe, cast: TrustCast) -> None:
        self.trusting: list[TrustSeller] = []
        self.pairs: dict[str, str] = {}
        self.register = Register(universe, self.pairs)
        self.wire = RoughWire(self.register)
        super().__init__(universe, cast)
        universe.network.wire = self.wire
        self.changes = [cast.change(universe, self.house, seller) for seller in self.trusting]
        self.buyer.changes = {change.seller.shop: change for change in self.changes}

    def make_sellers(self, random: Random) -> Sequence[Seller]:
        shared = random.random() < 0.5
        for number in range(self.universe.plan.shops):
            pair = 0 if shared else number
            kept, processes = random.random() < 0.6, random.choice((1, 2, 2, 3))
            shop = TrustShop(number, NAME, PLATFORM + pair, kept, processes, kept and random.random() < 0.5)
            certificate, public = shop.names[-2:]
            self.pairs |= {certificate: public, public: certificate}
            self.wire.join(shop)
            self.trusting.append(
                self.cast.seller(self.universe, shop, self.cast.receiver, self.register, self.cast.store)
            )
        return self.trusting

    def draw_wallet(self) -> Wallet:
        wallet = draw_wallet(self.universe, self.shops)
        for intent in wallet.intents:
            intent.product, intent.expiry = "instant", UNTIL
            intent.method = "debit" if intent.method == "outlet" else intent.method
        return wallet

    def make_attacker(self) -> Attacker:
        return TrustAttacker(self.universe, [seller.shop for seller in self.trusting], self.wire)

    def keys_of(self, shop: Shop, platform: Platform) -> list[MerchantKey]:
        return keys_of(next(seller.shop for seller in self.trusting if seller.shop is shop), platform)

    async def pass_time(self) -> None:
        """While every shop changes."""
        await asyncio.gather(*(change.run() for change in self.changes))

    async def heal(self) -> None:
        """And one more order at each shop, by the public key alone."""
        await super().heal()
        for shop in self.shops:
            number = f"N{self.universe.plan.seed % 100_000:05d}Z{shop.number:02d}"
            last = Intent(number, shop.number, shop, LAST, "instant", "balance", "", UNTIL, malicious=False, asked=LAST)
            self.wallet.intents.append(last)
            self.universe.spawn(self.crowd, self.buyer.buy_last(last))

    async def judge(self) -> None:
        await super().judge()
        TrustOracle(self.universe, self.register, self.changes, self.wallet).ask()
