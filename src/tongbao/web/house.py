"""The whole sandbox as one object: platform, simulated banks, pages, faces, worker and control plane over one World.

Whoever builds the World (the command line, ``tongbao.testing``) opens the listeners and hands in their addresses.
Resetting builds the house anew on empty books behind the same addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import SECOND, Instant
from tongbao.sandbox.answer import FaultyAnswers
from tongbao.sandbox.control import Controls, control_app
from tongbao.sandbox.fault import FaultBook, FaultyTransport
from tongbao.sandbox.forgery import send_tampered
from tongbao.sandbox.hand import Hand
from tongbao.sandbox.mailbox import Mailbox
from tongbao.sandbox.oauth import SEGMENTS as OAUTH
from tongbao.sandbox.oauth import oauth_app
from tongbao.sandbox.population import BUYERS, OPERATORS, populate
from tongbao.sandbox.state import SandboxState
from tongbao.service.channel import SimulatedChannel
from tongbao.service.password import COST_SANDBOX
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.store.bankbook import BankBook
from tongbao.store.migrate import migrate_sqlite
from tongbao.store.sqlite import SqliteDatabase
from tongbao.web.agree.app import SEGMENT as AGREE
from tongbao.web.agree.app import agree_app
from tongbao.web.app import Web, build_web
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.compare import Row, differences
from tongbao.web.bank.page import bank_app
from tongbao.web.bank.rule import BankRefused
from tongbao.web.cashier.app import SEGMENTS, cashier_app
from tongbao.web.cashier.hint import Hint
from tongbao.web.console.app import console_app
from tongbao.web.faces.recorder import MemoryRecorder
from tongbao.web.page.error import Pages
from tongbao.web.wallet.app import SEGMENTS as WALLET
from tongbao.web.wallet.app import wallet_app
from tongbao.wire.asgi import Application, Receive, Scope, Send
from tongbao.wire.world import World
from tongbao.worker.duty import Worker

Duty = Callable[[], Awaitable[int]]

FILES: Final = ("platform.sqlite", "bank.sqlite")


class Late:
    """An application that is not there yet: requests wait until it is put in, and go to the latest one."""

    def __init__(self) -> None:
        self._app: Application | None = None
        self._there = asyncio.Event()

    def put(self, app: Application) -> None:
        """From now on ``app`` answers."""
        self._app = app
        self._there.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._there.wait()
        if self._app is not None:
            await self._app(scope, receive, send)


class _Counter:
    """The banks as a scripted buyer meets them: what a bank refuses is a refusal like any other."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    async def pay_directly(self, url: str, number: str, password: str) -> object:
        try:
            return await self._bank.pay_directly(url, number)
        except BankRefused as refused:
            raise Refused("PAYMENT_STATE", f"the bank says {refused.code}") from refused

    async def payment_of(self, code: str) -> str:
        order = await self._bank.order_by_code(code)
        return order.instruction_no.removesuffix("P") if order else ""

    async def take_cash(self, code: str) -> object:
        try:
            return await self._bank.take_cash(code)
        except BankRefused as refused:
            raise Refused("PAYMENT_STATE", f"the outlet says {refused.code}") from refused

    async def charge_back(self, number: str, amount: int | None) -> tuple[str, int]:
        try:
            return await self._bank.charge_back(number, amount)
        except BankRefused as refused:
            raise Refused("PAYMENT_STATE", f"the bank says {refused.key}") from refused


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """``base_url`` and ``faces`` (protocol name to its own listener's address) are without a slash at the end;
    ``directory`` holds the books. ``environment`` is ``sandbox`` or ``test``."""

    base_url: str
    faces: Mapping[str, str]
    directory: Path
    environment: str = "sandbox"


class House:
    """Everything of one sandbox on one pair of books. Made by ``open_house``."""

    def __init__(self, world: World, platform: Platform, bank: Bank, mailbox: Mailbox, also: list[Duty]) -> None:
        self.world = world
        self.platform = platform
        self.bank = bank
        self.mailbox = mailbox
        self.also = also
        self.recorder = MemoryRecorder(world.clock.wire)
        self.hand = Hand(platform, _Counter(bank))
        self.worker = Worker(platform, (bank.run_due, self._others))
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def _others(self) -> int:
        done = 0
        for duty in self.also:
            done += await duty()
        return done

    def start(self) -> None:
        """Begin to run duties beside the pages."""
        self._task = asyncio.create_task(self.worker.loop(self._stop), name="worker")

    async def close(self) -> None:
        """Stop duties and committer, close both books."""
        self._stop.set()
        if self._task is not None:
            await self._task
        await self.platform.stop()
        await self.platform.database.close()
        await self.bank.book.close()

    async def bank_differences(self) -> list[Row]:
        """Where the banks' own book and the platform's accounts with them disagree (I45)."""
        return await differences(self.platform, self.bank)

    async def advance(self, seconds: int, move: Callable[[int], object]) -> None:
        """Move business time on by ``seconds``, stopping at everything that falls due on the way; ``move`` advances the
        clock by milliseconds. Returns when all of it has run."""
        clock = self.world.clock
        target = Instant(clock.business() + seconds * SECOND)
        await self.worker.settle()
        while True:
            due = [at for at in (await self.worker.next_due(), await self.bank.next_due()) if at is not None]
            now = clock.business()
            # something due in the past was tried and waits for its lease or its host: look again a second later
            step = max(min(due, default=target), Instant(now + SECOND))
            if step >= target:
                break
            move(step - now)
            await self.worker.settle()
        move(max(target - clock.business(), 0))
        await self.worker.settle()


async def open_house(
    world: World, state: SandboxState, settings: HouseSettings, faults: FaultBook, mailbox: Mailbox
) -> House:
    """Migrate, start the committer, and make the people that are missing. Raises ConfigurationError."""
    world = replace(world, send=FaultyTransport(world.send, faults), mail=mailbox)
    settings.directory.mkdir(parents=True, exist_ok=True)
    path = str(settings.directory / FILES[0])
    migrate_sqlite(path)
    secrets = Secrets.derive(bytes.fromhex(state.root))
    platform = Platform(
        world,
        SqliteDatabase(path),
        secrets,
        PlatformSettings(settings.base_url, settings.environment, COST_SANDBOX),
        {"*": SimulatedChannel(f"{settings.base_url}/bank", secrets.bank)},
    )
    bank = Bank(world, BankBook(str(settings.directory / FILES[1])), secrets.bank)
    await platform.start()
    await populate(platform, state, bank)
    for buyer in BUYERS:
        # the top-up of his balance came through this bank: its book says so too (I45)
        await bank.fund_platform(buyer.cards[0].bank, buyer.balance, buyer.buyer_id)
    return House(world, platform, bank, mailbox, [])


def build_hints() -> list[Hint]:
    """The demo buyers' words, to be shown beside the cashier's fields."""
    return [Hint(buyer.login, buyer.password, buyer.pay_password) for buyer in BUYERS]


class Sandbox:
    """A house that can be reset, behind applications that stay. ``main`` and ``faces`` go to the listeners."""

    def __init__(self, world: World, state: SandboxState, mailbox: Mailbox, move: Callable[[int], object]) -> None:
        self.world = world
        self.state = state
        self.mailbox = mailbox
        self.faults = FaultBook(world.random("faults"))
        self.main = Late()
        self.faces = {name: Late() for name in state.parties}
        self.also: list[Duty] = []
        """Duties of others (a shop's) that run with the worker's."""
        self.on_reset: list[Callable[[], Awaitable[None]]] = []
        self._move = move
        self._house: House | None = None
        self._settings: HouseSettings | None = None
        self._turn = asyncio.Lock()

    @property
    def house(self) -> House:
        """The present house. Raises Refused before it is open."""
        if self._house is None:
            raise Refused("STATE_CONFLICT", "the sandbox is not open")
        return self._house

    @property
    def directory(self) -> Path:
        """Where the books are. Raises Refused before it is open."""
        if self._settings is None:
            raise Refused("STATE_CONFLICT", "the sandbox is not open")
        return self._settings.directory

    async def open(self, settings: HouseSettings) -> House:
        """Build the house at these addresses and begin to answer."""
        self._settings = settings
        house = await open_house(self.world, self.state, settings, self.faults, self.mailbox)
        house.also = self.also
        self._house = house
        web = self._build_web(house)
        for name, late in self.faces.items():
            late.put(web.faces[name])
        self.main.put(web.main)
        house.start()
        return house

    def _build_web(self, house: House) -> Web:
        controls = Controls(
            house.platform,
            house.hand,
            self.mailbox,
            self.faults,
            house.worker.settle,
            self.advance,
            self.reset,
            house.bank.plant,
            house.bank_differences,
        )
        cashier = cashier_app(house.platform, hints=build_hints())
        console: Any = console_app(
            house.platform,
            recorder=house.recorder,
            mails=self.mailbox.mails,
            tamper=partial(send_tampered, house.platform),
        )
        routes: dict[str, Any] = {
            **dict.fromkeys(SEGMENTS, cashier),
            **dict.fromkeys(WALLET, wallet_app(house.platform, hints=build_hints())),
            AGREE: agree_app(house.platform, hints=[Hint(one.name, "", one.pay_password) for one in OPERATORS]),
            "console": console,
            **dict.fromkeys(OAUTH, oauth_app(house.platform, self.state)),
            "_sandbox": control_app(controls),
        }
        return build_web(
            house.platform,
            Pages(),
            routes=routes,
            fallback=console,
            bank=bank_app(house.bank),
            recorder=house.recorder,
            around=partial(FaultyAnswers, house.platform, self.faults),
            protocols=tuple(self.state.parties),
        )

    async def advance(self, seconds: int) -> None:
        """Time travel: one at a time."""
        async with self._turn:
            await self.house.advance(seconds, self._move)

    async def reset(self) -> None:
        """Empty books; merchants, keys, time and addresses stay."""
        async with self._turn:
            settings = self._settings
            if settings is None:
                raise Refused("STATE_CONFLICT", "the sandbox is not open")
            await self.house.close()
            for name in FILES:
                for suffix in ("", "-wal", "-shm"):
                    (settings.directory / f"{name}{suffix}").unlink(missing_ok=True)
            self.mailbox.clear()
            self.faults.order([])
            for act in self.on_reset:
                await act()
            await self.open(settings)

    async def close(self) -> None:
        """Close the house; the applications answer no more."""
        if self._house is not None:
            await self._house.close()
            self._house = None
