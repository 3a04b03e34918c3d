"""One seed from its beginning to its verdict: furnish, safety with faults, heal, liveness, audit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tongbao.kernel.time import Instant
from tongbao.service.party import ChangeMerchant, PutKey, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import hash_password
from tongbao.service.platform import Platform
from tongbao.sim.attacker import Attacker
from tongbao.sim.bank import BANK, Branch, Liar, MakeBank
from tongbao.sim.buyer import FIRST_BALANCE, PASSWORD, Buyer, Wallet, buyer_id, draw_wallet
from tongbao.sim.clerk import Clerk, draw_sorrow
from tongbao.sim.disk import Disk
from tongbao.sim.loop import Deadlock, Life, Livelock, pause
from tongbao.sim.oracle import Oracle
from tongbao.sim.platform import COST, PROTOCOLS, SECRETS, House, Parts
from tongbao.sim.profile import Plan, draw_plan
from tongbao.sim.seller import MakeReceiver, Seller, Shop, make_receiver
from tongbao.sim.universe import Universe, kill
from tongbao.trade.party import Buyer as BuyerRow
from tongbao.trade.party import Merchant, MerchantKey
from tongbao.wire.loader import load_protocol

LIVENESS: Final = 26 * 3600
"""Longer than the longest timetable: then everything is final, or in a case. Virtual seconds."""

_PAY_HASH: Final = hash_password(PASSWORD, b"s" * 16, COST, SECRETS.pepper)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays. A test that plants a fault replaces one of them; nothing in the program knows of it."""

    parts: Parts = field(default_factory=Parts)
    receiver: MakeReceiver = make_receiver
    bank: MakeBank = Liar
    buyer: Any = Buyer
    clerk: Any = Clerk


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one seed. ``violations`` is empty where everything held; ``last`` are the last actions."""

    plan: Plan
    digest: str
    steps: int
    seconds: float
    violations: tuple[str, ...]
    last: tuple[str, ...]
    counts: dict[str, int]
    struck: dict[str, int]

    def __str__(self) -> str:
        head = f"seed {self.plan.seed} profile {self.plan.profile}: "
        if not self.violations:
            return f"{head}holds; {self.steps} steps, digest {self.digest}"
        found = "\n".join(f"  {what}" for what in self.violations)
        return f"{head}BROKEN\n{found}\nthe last actions:\n" + "\n".join(self.last)


def run_seed(seed: int, profile: str = "", cast: Cast = Cast()) -> Report:
    """Play one seed."""
    return run_plan(draw_plan(seed, profile), cast)


def run_plan(plan: Plan, cast: Cast) -> Report:
    """Play one world to its end."""
    return run_stage(plan, lambda universe: Stage(universe, cast))


def run_stage(plan: Plan, make: Callable[[Universe], Stage]) -> Report:
    """Play one world to its end, on the stage that ``make`` sets up. Never raises for what the world does; what is
    wrong is in the report."""
    disk = Disk()
    universe = Universe(plan, disk)
    try:
        universe.loop.run_until_complete(make(universe).play())
    except (Deadlock, Livelock) as error:
        universe.blame(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever broke belongs to this seed
        universe.blame(f"the play broke: {error!r}")
    finally:
        universe.over = universe.trace.muted = True
        for life in (universe.ground, *(process.life for process in universe.processes.values())):
            if life is not None:
                kill(life)
        universe.loop.dispose()
        disk.close()
    trace, loop = universe.trace, universe.loop
    return Report(
        plan, trace.digest, loop.steps, loop.time(), tuple(universe.violations), tuple(trace.last),
        dict(trace.counts), dict(universe.dice.struck),
    )  # fmt: skip


class Stage:
    """The play itself."""

    protocols: Sequence[str] = PROTOCOLS
    """What shops may speak."""

    def __init__(self, universe: Universe, cast: Cast) -> None:
        self.universe = universe
        self.cast = cast
        plan = universe.plan
        random = Random(f"stage:{plan.seed}")
        self.house = House(universe, cast.parts, self.protocols)
        self.branch = Branch(universe, cast.bank)
        self.sellers = self.make_sellers(random)
        self.shops = [seller.shop for seller in self.sellers]
        self.wallet = self.draw_wallet()
        self.crowd = Life("buyers", 0)
        self.buyer: Buyer = cast.buyer(universe, self.crowd, random)
        self.sorrow = draw_sorrow(universe, self.wallet.intents)
        self.clerk: Clerk = cast.clerk(universe, Life("clerks", 0), random)
        self.attacker = self.make_attacker()

    def make_sellers(self, random: Random) -> Sequence[Seller]:
        """The shops' processes."""
        plan = self.universe.plan
        shops = [Shop(number, random.choice(self.protocols)) for number in range(plan.shops)]
        return [Seller(self.universe, shop, self.cast.receiver) for shop in shops]

    def draw_wallet(self) -> Wallet:
        """What the buyers want."""
        return draw_wallet(self.universe, self.shops)

    def make_attacker(self) -> Attacker:
        """Who wishes us ill."""
        return Attacker(self.universe, self.shops)

    async def play(self) -> None:
        """All phases."""
        universe = self.universe
        for process in universe.processes.values():
            process.offset = universe.random.randint(-universe.plan.skew, universe.plan.skew)
            process.start()
        while len(self.house.platforms) < len(self.house.names) or self.branch.bank is None:
            await pause(0.05)
        await self._furnish(self.house.platforms["gateway0"])
        universe.dice.on = True
        for intent in self.wallet.intents:
            universe.spawn(self.crowd, self.buyer.pursue(intent))
        for top_up in self.wallet.top_ups:
            await self.branch.bank.fund_platform(BANK, top_up.amount, top_up.key)
            universe.spawn(self.crowd, self.buyer.top_up(top_up))
        for wish in self.sorrow.wishes:
            universe.spawn(self.clerk.life, self.clerk.refund(wish))
        for quarrel in self.sorrow.quarrels:
            universe.spawn(self.clerk.life, self.clerk.quarrel(quarrel))
        evil = Life("nemesis", 0)
        universe.spawn(evil, self._nemesis())
        universe.spawn(evil, self.attacker.live())
        await self.pass_time()
        evil.dead = True
        await self.heal()
        await pause(LIVENESS)
        universe.note("audit")
        await self.judge()

    async def pass_time(self) -> None:
        """While faults strike."""
        await pause(self.universe.random.uniform(400, 1_000))

    async def judge(self) -> None:
        """Ask from outside what became of everything."""
        oracle = Oracle(self.universe, self.house, self.branch.connection, self.sellers, self.wallet, self.sorrow)
        await oracle.ask()

    def keys_of(self, shop: Shop, platform: Platform) -> list[MerchantKey]:
        """The keys that shop and platform agree on, as the platform stores them."""
        zero, algorithm = Instant(0), load_protocol(shop.protocol).algorithms[-1]
        algorithm = "MD5" if shop.protocol == "alipay_mapi" else algorithm
        envelope = platform.vault.close(shop.key.encode(), shop.merchant, shop.protocol, "key-1")
        return [
            MerchantKey(shop.merchant, shop.protocol, "key-1", 0, algorithm, "both", envelope, "active", zero, zero)
        ]

    async def _furnish(self, platform: Platform) -> None:
        """Merchants, keys, buyers and their first money; the banks' cards and book beside them."""
        days = 1 if self.universe.plan.sorrow else 0
        await asyncio.gather(
            *(platform.submit(RegisterMerchant(_merchant(shop, days), "maker")) for shop in self.shops),
            *(platform.submit(RegisterBuyer(_buyer(number))) for number in range(self.universe.plan.buyers)),
        )
        submits = []
        for shop in self.shops:
            submits.append(platform.submit(ChangeMerchant(shop.merchant, "approved", "checker", "papers seen")))
            submits += [platform.submit(PutKey(key, "maker")) for key in self.keys_of(shop, platform)]
        for number in range(self.universe.plan.buyers):
            submits.append(platform.submit(TopUp(buyer_id(number), FIRST_BALANCE, "CNY", BANK, f"first {number}", "t")))
            if self.branch.bank is not None:
                await self.branch.bank.fund_platform(BANK, FIRST_BALANCE, f"first {number}")
        await asyncio.gather(*submits)
        await self.branch.furnish(self.universe.plan.buyers)

    async def _nemesis(self) -> None:
        """What strikes from outside: kills, pauses, usurpers, partitions, clocks that jump."""
        universe, random = self.universe, self.universe.random
        while True:
            await pause(random.uniform(5, 45))
            names = sorted(universe.processes)
            victim = universe.processes[random.choice(names)]
            if universe.dice.strikes("kill"):
                victim.crash(random.uniform(0.5, 60))
            if universe.dice.strikes("pause"):
                victim.freeze(random.choice((1, 20, 100, 300)) * random.random())
            if universe.dice.strikes("zombie"):
                universe.processes[random.choice(self.house.names)].replace(random.uniform(1, 200))
            if universe.dice.strikes("partition"):
                hosts = sorted({process.host for process in universe.processes.values() if process.host})
                pair = (random.choice([*names, "buyers"]), random.choice(hosts))
                universe.note("partition", *pair)
                universe.network.cut.add(pair)
                universe.later(random.uniform(5, 300), universe.network.cut.discard, pair)
            if universe.dice.strikes("clock"):
                _set_clock(universe, random.choice(names), _jump(random))

    async def heal(self) -> None:
        """No more faults; whoever is dead rises, whoever sleeps wakes, clocks are right again."""
        universe = self.universe
        universe.note("heal")
        universe.dice.on = False
        universe.network.cut.clear()
        for name, process in universe.processes.items():
            _set_clock(universe, name, 0)
            if process.life is not None and process.life.paused:
                universe.loop.wake(process.life)
        for life in universe.zombies:
            if life.paused and not life.dead:
                universe.loop.wake(life)
        await pause(120)
        universe.healed_at = universe.loop.time()
        for life in universe.zombies:
            if not life.dead:
                universe.crash_life(life)
        for process in universe.processes.values():
            if process.life is None or process.life.dead:
                process.start()


def _jump(random: Random) -> int:
    """Milliseconds a clock is wrong by from now on."""
    return int(random.choice((1_000, 5_000, 30_000, 600_000)) * random.uniform(-1, 1))


def _set_clock(universe: Universe, name: str, offset: int) -> None:
    process = universe.processes[name]
    if process.offset == offset:
        return
    universe.note("clock", name, offset)
    process.offset = offset
    if process.life is not None:
        process.life.offset = offset


def _merchant(shop: Shop, refund_days: int) -> Merchant:
    zero = Instant(0)
    return Merchant(
        shop.merchant, f"Shop {shop.number}", "applied", "sandbox", f"{shop.name}@shop.example",
        '["instant","escrow","dual"]', f'["{shop.protocol}"]', "[]", f"http://{shop.host}/notify",
        f"http://{shop.host}/home", refund_days, 60, 1, 0, False, "{}", "", "", zero, 0,
    )  # fmt: skip


def _buyer(number: int) -> BuyerRow:
    zero = Instant(0)
    return BuyerRow(
        buyer_id(number), f"buyer{number}@buyer.example", "member", "active", "Buyer", "zh", "", _PAY_HASH, 0, zero, 0,
        zero, zero,
    )  # fmt: skip
