"""The joined platform over a fresh database of either kind, and short words for what its actors do."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
import pytest

from tests.support.postgresql import Server
from tests.support.world import HandClock, Journal, ToldBank, make_world
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.service import checkout
from tongbao.service.act import act
from tongbao.service.audit import Finding, audit
from tongbao.service.channel import BankWord, SimulatedChannel
from tongbao.service.create import Asker
from tongbao.service.escrow import Close, Moved, Ship, TimerDue
from tongbao.service.hold import Reported
from tongbao.service.party import ChangeMerchant, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import hash_password
from tongbao.service.pay import Paid
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.service.refund import Given, RequestRefund
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.sqlite import SqliteDatabase
from tongbao.store.step import Observer, Step
from tongbao.trade.party import Buyer, Merchant
from tongbao.trade.record import Payment, Trade
from tongbao.wire.contract import Verified
from tongbao.wire.vocabulary import CreateTrade, Outcome, Product

T = TypeVar("T")

MERCHANT: Final = "2088000000000001"
OTHER: Final = "2088000000000002"
BUYER: Final = "2088000000000099"
PROTOCOL: Final = "alipay_mapi"
PAY_PASSWORD: Final = "741852"
LOGIN_PASSWORD: Final = "right login"
ROOT: Final = bytes(range(32))
COST: Final = 2
FEE_RATE: Final = 60
PLENTY: Final = 1_000_000


def make_merchant(number: str = MERCHANT, **changes: Any) -> Merchant:
    """A merchant who may do everything, for ``RegisterMerchant``."""
    values: dict[str, Any] = {
        "merchant_id": number,
        "name": "Test Shop",
        "status": "applied",
        "environment": "test",
        "login": f"{number}@shop.example",
        "products": '["instant","escrow","dual"]',
        "protocols": f'["{PROTOCOL}"]',
        "hosts": "[]",
        "notify_url": "http://shop.example/notify",
        "return_url": "http://shop.example/return",
        "refund_days": 0,
        "fee_rate": FEE_RATE,
        "fee_min": 1,
        "fee_cap": 0,
        "anti_phishing": False,
        "settings": "{}",
        "created_by": "",
        "approved_by": "",
        "created_at": Instant(0),
        "version": 0,
    }
    return Merchant(**{**values, **changes})


def make_buyer(number: str = BUYER, **changes: Any) -> Buyer:
    """A member with both passwords, for ``RegisterBuyer``."""
    pepper = Secrets.derive(ROOT).pepper
    values: dict[str, Any] = {
        "buyer_id": number,
        "login": f"{number}@buyer.example",
        "kind": "member",
        "status": "active",
        "name": "Test Buyer",
        "locale": "zh",
        "login_hash": hash_password(LOGIN_PASSWORD, b"s" * 16, COST),
        "pay_hash": hash_password(PAY_PASSWORD, b"s" * 16, COST, pepper),
        "attempts": 0,
        "locked_until": Instant(0),
        "login_attempts": 0,
        "login_locked_until": Instant(0),
        "created_at": Instant(0),
    }
    return Buyer(**{**values, **changes})


def make_intent(number: str, product: str = "instant", amount: int = 1_000, **changes: Any) -> CreateTrade:
    """What a merchant asks for."""
    values: dict[str, Any] = {
        "merchant": MERCHANT,
        "out_trade_no": number,
        "product": Product(product),
        "subject": "测试",
        "amount": Money(amount),
        "notify_url": "http://shop.example/notify",
    }
    return CreateTrade(**{**values, **changes})


@dataclass
class House:
    """A running platform and everything around it."""

    platform: Platform
    clock: HandClock
    bank: ToldBank
    journal: Journal
    forms: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    """What a test keeps from one act to the next."""

    async def submit(self, command: Any) -> Any:
        return await self.platform.submit(command)

    async def furnish(
        self, *, merchant: Merchant | None = None, buyer: Buyer | None = None, money: int = PLENTY
    ) -> None:
        """A merchant, approved by a second person, and a buyer with money on his balance."""
        shop = merchant or make_merchant()
        await self.submit(RegisterMerchant(shop, "maker"))
        await self.submit(ChangeMerchant(shop.merchant_id, "approved", "checker", "papers seen"))
        await self.add_buyer(buyer or make_buyer(), money)

    async def add_buyer(self, buyer: Buyer, money: int) -> None:
        """One more buyer."""
        await self.submit(RegisterBuyer(buyer))
        if money:
            await self.submit(TopUp(buyer.buyer_id, money, "CNY", "ICBC", f"first {buyer.buyer_id}", "teller"))

    async def ask(self, intent: Any) -> Outcome:
        """What a merchant's verified request comes to."""
        return await act(self.platform, PROTOCOL, Verified(intent, None))

    async def open(self, number: str, product: str = "instant", amount: int = 1_000, **changes: Any) -> Trade:
        """A new unpaid trade."""
        await self.ask(make_intent(number, product, amount, **changes))
        return await self.trade(number, changes.get("merchant", MERCHANT))

    async def trade(self, number: str, merchant: str = MERCHANT) -> Trade:
        """The trade as it stands."""
        return await self.platform.find_trade(merchant, number)

    async def payments(self, number: str) -> list[Payment]:
        """Every attempt to pay a trade."""
        return await self.platform.payments_of(await self.trade(number))

    async def pay(
        self, number: str, flow: str = "", buyer: str = BUYER, password: str = PAY_PASSWORD, merchant: str = MERCHANT
    ) -> Paid:
        """Pay from the balance."""
        trade = await self.trade(number, merchant)
        return await checkout.pay_from_balance(
            self.platform, trade, await self.platform.buyer(buyer), password, flow or _flow(trade)
        )

    async def start(self, number: str, method: str = "debit", bank: str = "ICBC", merchant: str = MERCHANT) -> str:
        """Hand a trade to a bank under a fresh form's number; returns the instruction's."""
        self.forms += 1
        trade = await self.trade(number, merchant)
        handed = await checkout.start_payment(
            self.platform,
            trade,
            method,
            bank,
            BUYER,
            f"form {self.forms}",
            "http://platform.example/back",
            _flow(trade),
        )
        return handed.instruction_no

    async def say(self, instruction: str, result: str = "succeeded", amount: int = 1_000, ref: str = "") -> Reported:
        """A bank's notice."""
        word = BankWord(instruction, result, amount, "CNY", ref or f"ref {instruction}")
        return await checkout.take_word(self.platform, word)

    async def inquire(self, instruction: str, word: Any = None) -> Reported:
        """Ask the bank, which answers ``word``."""
        if word is not None:
            self.bank.words[instruction] = word
        return await checkout.inquire(self.platform, instruction)

    async def ship(self, number: str) -> Moved:
        moved: Moved = await self.submit(Ship(Asker(MERCHANT, PROTOCOL), number, "SF", "123"))
        return moved

    async def close(self, number: str) -> Moved:
        moved: Moved = await self.submit(Close(Asker(MERCHANT, PROTOCOL), number))
        return moved

    async def refund(
        self, number: str, amount: int | None = None, refund_no: str = "", merchant: str = MERCHANT, **changes: Any
    ) -> Given:
        """The merchant gives back."""
        given: Given = await self.submit(RequestRefund(Asker(merchant, PROTOCOL), number, refund_no, amount, **changes))
        return given

    async def confirm(self, number: str) -> Moved:
        trade = await self.trade(number)
        return await checkout.confirm_receipt(self.platform, trade, await self.platform.buyer(BUYER), PAY_PASSWORD)

    async def tick(self, number: str) -> Moved:
        """The clock looks at a trade."""
        moved: Moved = await self.submit(TimerDue(MERCHANT, number))
        return moved

    async def balances(self) -> dict[str, int]:
        """All balances that are not zero, with short names."""
        rows = await self.platform.database.read("account.like_prefix", {"low": "", "high": "z"})
        names = {f"buyer:{BUYER}:balance": "buyer", f"merchant:{MERCHANT}:": "", "platform:0:": "", "bank:": "bank "}
        found = {}
        for code, balance in rows:
            name = code.removesuffix(":CNY")
            for long, short in names.items():
                name = name.replace(long, short)
            if balance:
                found[name.removesuffix(":0")] = balance
        return found

    async def audit(self, *, worker: bool = False) -> list[Finding]:
        """What the auditor finds. Without a ``worker`` nobody delivers, so events may wait (I21)."""
        return [finding for finding in await audit(self.platform) if worker or finding.id != "I21"]


def _flow(trade: Trade) -> str:
    return "escrow" if trade.product == "dual" else ""


async def refusal(awaitable: Awaitable[Any]) -> str:
    """The code with which a request is refused; '' if it is not."""
    try:
        await awaitable
    except Refused as refused:
        return refused.code
    return ""


def ignore(moment: str, step: Step) -> None:
    """The observer who does not look."""


@dataclass
class Stage:
    """Where scenes are played: one fresh database. ``play`` runs a scene and then audits the books."""

    dialect: str
    where: str
    clock: HandClock = field(default_factory=HandClock)
    threads: bool = False

    def database(self, observe: Observer = ignore) -> SqliteDatabase | PostgresqlDatabase:
        """A driver for the database, not yet connected."""
        if self.dialect == "sqlite":
            return SqliteDatabase(self.where, observe=observe)
        return PostgresqlDatabase(self.where, observe=observe)

    @asynccontextmanager
    async def open_database(self, observe: Observer = ignore) -> AsyncIterator[SqliteDatabase | PostgresqlDatabase]:
        """A connected driver."""
        database = self.database(observe)
        try:
            if isinstance(database, PostgresqlDatabase):
                await database.open()
            yield database
        finally:
            await database.close()

    @asynccontextmanager
    async def open_house(
        self, *, lane: int = 0, seed: int = 1, holder: str = "tests", embedded: bool = True, observe: Observer = ignore
    ) -> AsyncIterator[House]:
        """A running platform with a lane of its own."""
        secrets = Secrets.derive(ROOT)
        bank, journal = ToldBank(secrets.bank), Journal()
        world = make_world(seed + lane * 1_000_003, bank, self.clock, journal, threads=self.threads)
        channels = {"*": SimulatedChannel("http://bank.example/bank", secrets.bank)}
        settings = PlatformSettings("http://platform.example", "test", COST, lane, holder, embedded)
        async with self.open_database(observe) as database:
            platform = Platform(world, database, secrets, settings, channels)
            await platform.start()
            try:
                yield House(platform, self.clock, bank, journal)
            finally:
                await platform.stop()

    def play(self, scene: Callable[[House], Awaitable[T]], *, furnished: bool = True, audited: bool = True) -> T:
        """Run ``scene`` in a furnished house; the books must be clean afterwards."""

        async def whole() -> T:
            async with self.open_house() as house:
                if furnished:
                    await house.furnish()
                result = await scene(house)
                if audited:
                    assert await house.audit() == []
                return result

        return asyncio.run(whole())

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Plain SQL behind the platform's back; the rows of the last statement."""
        rows: list[tuple[Any, ...]] = []
        if self.dialect == "sqlite":
            with sqlite3.connect(self.where) as lite:
                lite.execute("PRAGMA foreign_keys = ON")
                for statement in statements:
                    rows = lite.execute(statement).fetchall()
            lite.close()
            return rows
        with psycopg.connect(self.where) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to be copied."""
    path = tmp_path_factory.mktemp("template") / "books.sqlite"
    migrate_sqlite(str(path))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: Server) -> Iterator[str]:
    """The name of a migrated database to be copied."""
    with postgresql_server.database() as dsn:
        asyncio.run(migrate_postgresql(dsn))
        yield dsn.rsplit("/", 1)[1]


@pytest.fixture
def sqlite_stage(sqlite_template: Path, tmp_path: Path) -> Stage:
    """A fresh SQLite file."""
    path = tmp_path / "books.sqlite"
    shutil.copy(sqlite_template, path)
    return Stage("sqlite", str(path))


@pytest.fixture
def postgresql_stage(postgresql_server: Server, postgresql_template: str) -> Iterator[Stage]:
    """A fresh PostgreSQL database."""
    with postgresql_server.database(postgresql_template) as dsn:
        yield Stage("postgresql", dsn)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def stage(request: pytest.FixtureRequest) -> Stage:
    """A fresh database of each kind."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    return found
