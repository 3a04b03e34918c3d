"""A platform to measure: its people, its secrets, and the two ways of keeping its books."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.time import Instant
from tongbao.runtime.clock import RealClock
from tongbao.runtime.log import JsonLog
from tongbao.runtime.outgoing import GuardedTransport
from tongbao.runtime.world import RealWorld, build_world
from tongbao.service.channel import SimulatedChannel
from tongbao.service.party import ChangeMerchant, PutKey, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import hash_password
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.sqlite import SqliteDatabase
from tongbao.trade.party import Buyer, Merchant, MerchantKey
from tongbao.wire.address import AddressPolicy
from tongbao.wire.world import Mail

PROTOCOL: Final = "alipay_mapi"
SECRET: Final = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3y01"
MERCHANTS: Final = 1_000
BUYERS: Final = 5_000
TOPPED_UP: Final = 10**10
"""What each buyer has to spend, in fen."""
AMOUNT: Final = 1_000
"""Fen of each trade."""
SECRETS: Final = Secrets.derive(b"benchmarks only, never for money")
ZERO: Final = Instant(0)


def merchant_id(number: int) -> str:
    return f"2088{number:012d}"


def merchant_login(number: int) -> str:
    return f"seller{number}@example.com"


def buyer_id(number: int) -> str:
    return f"2089{number:012d}"


def buyer_login(number: int) -> str:
    return f"buyer{number}@example.com"


def notify_url(number: int, port: int, hosts: int = 200) -> str:
    """Where trade ``number`` is notified: one of ``hosts`` loopback addresses."""
    return f"http://127.0.{1 + number % hosts // 250}.{1 + number % hosts % 250}:{port}/notify"


@dataclass(frozen=True, slots=True)
class Books:
    """Where the books are: a PostgreSQL address or a SQLite file."""

    where: str

    @property
    def dialect(self) -> str:
        return "postgresql" if self.where.startswith("postgresql://") else "sqlite"

    async def open(self, session: dict[str, str] | None = None) -> PostgresqlDatabase | SqliteDatabase:
        if self.dialect == "sqlite":
            return SqliteDatabase(self.where)
        database = PostgresqlDatabase(self.where, session=session)
        await database.open()
        return database


async def _mail(mail: Mail) -> None:
    """Nobody reads it."""


def make_world(offset: int = 0) -> RealWorld:
    """A real world that may call loopback and says errors on standard error."""
    clock = RealClock(offset)
    log = JsonLog(sys.stderr, clock, "error")
    return build_world("test", policy=AddressPolicy.sandbox(), mail=_mail, log=log, clock=clock)


def keeping_transport() -> GuardedTransport:
    """The transport of production, which keeps connections, to loopback."""
    return GuardedTransport(AddressPolicy.sandbox(), reuse=True)


def make_platform(world: RealWorld, database: PostgresqlDatabase | SqliteDatabase, lane: int = 0) -> Platform:
    """A platform over open books; not started."""
    settings = PlatformSettings("http://127.0.0.1:1", "test", 4, lane)
    return Platform(world, database, SECRETS, settings, {"*": SimulatedChannel("http://127.0.0.1:2/bank", b"y" * 32)})


def people(platform: Platform) -> Iterator[list[object]]:
    """Commands that bring everybody in, in groups that may be decided together."""
    merchants, approvals, keys = [], [], []
    for number in range(MERCHANTS):
        own = merchant_id(number)
        row = Merchant(
            own, f"商店{number}", "applied", "test", merchant_login(number), '["instant","escrow","dual"]',
            f'["{PROTOCOL}"]', "[]", "http://127.0.0.1:9/n", "", 90, 60, 1, 0, False, "{}", "", "", ZERO, 0,
        )  # fmt: skip
        merchants.append(RegisterMerchant(row, "maker"))
        approvals.append(ChangeMerchant(own, "approved", "checker", "measured"))
        envelope = platform.vault.close(SECRET.encode(), own, PROTOCOL, "md5-1")
        key = MerchantKey(own, PROTOCOL, "md5-1", 0, "MD5", "both", envelope, "active", ZERO, ZERO)
        keys.append(PutKey(key, "maker"))
    yield list(merchants)
    yield list(approvals)
    yield list(keys)
    login = hash_password("login123", b"s" * 16, 4)
    pay = hash_password("741852", b"s" * 16, 4, platform.secrets.pepper)
    buyers = [
        Buyer(buyer_id(n), buyer_login(n), "member", "active", f"买家{n}", "zh", login, pay, 0, ZERO, 0, ZERO, ZERO)
        for n in range(BUYERS)
    ]
    yield [RegisterBuyer(buyer) for buyer in buyers]
    yield [TopUp(buyer_id(n), TOPPED_UP, "CNY", "ICBC", f"t{n}", "maker") for n in range(BUYERS)]
