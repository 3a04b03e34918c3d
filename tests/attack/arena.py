"""The forgery arena: one shop with many endpoints, the platforms behind them, and everything an attacker has seen.

The attacker holds every message ever sent, of all merchants and of both roles, and the platforms' public keys. He has
paid for one cheap order. He holds no secret.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, later
from tongbao.merchant.book import OrderTable
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order
from tongbao.merchant.pool import ConnectionPool
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import statements
from tongbao.wire.contract import Manifest
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.party import Party
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import (
    Confirmed,
    ConfirmNotification,
    Notification,
    Product,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)

NOW: Final = Instant(1_700_000_000_000)
SECRETS: Final = ("Kq7Zp2vX9mLw4TnB8sRd", "Wm3Yt6bN1cJx5GhP7uQe", "Zr8Fk4dS2aVo9LiX6yTg", "Hb5Cn7eM3wUq1KzR8jPd")


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key of this run; ``name`` says whose."""
    return rsa.generate_private_key(65_537, 2_048)


@dataclass
class HandClock:
    """A clock that only the test moves."""

    now: Instant = NOW

    def business(self) -> Instant:
        return self.now

    def wire(self) -> Instant:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1_000


@dataclass
class Desk:
    """One merchant at one platform: the endpoint in the shop, and the platform's own truth about his trades."""

    name: str
    manifest: Manifest
    endpoint: Endpoint
    ring: KeyRing
    """The platform's, of this merchant."""
    secrets: tuple[bytes, ...]
    echo: Mapping[str, str]
    trades: dict[str, TradeView] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    genuine: list[Notification] = field(default_factory=list)
    """What was really said to this endpoint's server, as its own client reads it."""

    @property
    def merchant(self) -> str:
        return self.endpoint.configuration.merchant

    @property
    def notify_url(self) -> str:
        return self.endpoint.configuration.notify_url

    def open(self, number: str, fen: int) -> TradeView:
        """A trade, unpaid."""
        serial = f"{sum(map(ord, self.name)):06}{len(self.trades):08}"
        trade_no = f"2023111421001004{serial}" if self.manifest.confirms else f"{serial}I"
        self.trades[number] = TradeView(
            merchant=self.merchant,
            out_trade_no=number,
            trade_no=trade_no,
            state=TradeState.UNPAID,
            product=Product.INSTANT,
            subject="茶壶",
            amount=Money(fen),
            seller=Party(self.merchant) if self.manifest.confirms else Party(),
            buyer=Party("2088000000000099", "buyer@example.com"),
            created_at=NOW,
            echo=self.echo,
        )
        return self.trades[number]

    def tell(self, number: str, state: TradeState, **moved: Any) -> Request:
        """Move the trade, and write the notification of it."""
        self.trades[number] = replace(self.trades[number], state=state, moved_at=NOW, **moved)
        return self.say(self.trades[number])

    def say(self, trade: TradeView) -> Request:
        """A notification of the trade as it is told here, put on the list of what was really said."""
        identity = f"n{sum(map(ord, self.name))}{len(self.live):029}"
        self.live.add(identity)
        event = Notification(id=identity, at=NOW, trade=trade)
        sent = self.manifest.server.notify(event, self.notify_url, self.ring, NOW)
        self.genuine.append(self.read(sent))
        return sent

    def lie(self, trade: TradeView, ring: KeyRing | None = None) -> Request:
        """A message with the platform's own signature that says what never was; its id is live."""
        event = Notification(id=next(iter(sorted(self.live))), at=NOW, trade=trade)
        return self.manifest.server.notify(event, self.notify_url, ring or self.ring, NOW)

    def send_home(self, number: str) -> Request:
        """What the browser carries back."""
        event = Notification(id=f"r{number}", at=NOW, trade=self.trades[number], role=Role.RETURN)
        return self.manifest.server.return_to(event, self.notify_url, self.ring, NOW)

    def read(self, request: Request) -> Notification:
        """The endpoint's own reading. Raises RemoteProtocolError."""
        return self.manifest.client.decode_notification(request, self.endpoint.configuration.keys, NOW)

    def answer(self, request: Request) -> Response:
        """The platform's answer to the shop's questions, by its own truth."""
        server = self.manifest.server
        claim = server.claim(request)
        intent = server.decode(claim, self.ring, NOW).intent
        assert intent.merchant == self.merchant
        if isinstance(intent, ConfirmNotification):
            return server.answer(claim, Confirmed(intent.notification_id in self.live), self.ring, NOW)
        assert isinstance(intent, QueryTrade)
        trade = self.trades.get(intent.out_trade_no)
        outcome = Rejection("TRADE_NOT_FOUND") if trade is None else TradeFound(trade)
        return server.answer(claim, outcome, self.ring, NOW)


def alipay_desk(name: str, merchant: str, sign_type: str, secret: str, *, charset: str = "utf-8", ask: bool) -> Desk:
    """A merchant of Alipay's classic interface; all that use RSA trust the same platform key."""
    settings = {"partner": merchant, "sign_type": sign_type, "charset": charset}
    secrets: tuple[bytes, ...] = (secret.encode(),)
    if sign_type == "MD5":
        settings["key"] = secret
        both = (Key(merchant, 1, "MD5", secret.encode()),)
        ring = KeyRing(merchant, both, both)
    else:
        mine, theirs = rsa_key(merchant), rsa_key("platform")
        settings |= {"private_key": private_pem(mine), "alipay_public_key": public_pem(theirs.public_key())}
        ring = KeyRing(merchant, (Key("shop", 1, "RSA", mine.public_key()),), (Key("platform", 1, "RSA", theirs),))
        secrets = tuple(private_pem(mine).encode().split(b"\n")[1:3])
    echo = {"_input_charset": charset, "sign_type": sign_type}
    return _desk(name, "alipay_mapi", settings, "gateway.do", ring, secrets, echo, ask=ask)


def yeepay_desk(name: str, merchant: str, secret: str, *, ask: bool) -> Desk:
    """A merchant of YeePay's bank gateway."""
    settings = {"p1_MerId": merchant, "keyValue": secret, "order_sample": f"{name}-A0001"}
    both = (Key(merchant, 1, "HMAC-MD5", secret.encode()),)
    ring = KeyRing(merchant, both, both)
    return _desk(name, "yeepay", settings, "app-merchant-proxy/node", ring, (secret.encode(),), {}, ask=ask)


def _desk(
    name: str,
    protocol: str,
    settings: dict[str, str],
    path: str,
    ring: KeyRing,
    secrets: tuple[bytes, ...],
    echo: Mapping[str, str],
    *,
    ask: bool,
) -> Desk:
    configuration = MerchantConfiguration(
        protocol=protocol,
        credentials=settings,
        environment="sandbox",
        gateway=f"http://127.0.0.1:1/{name}/{path}",
        notify_url=f"http://shop.example/{name}/notify",
        return_url=f"http://shop.example/{name}/return",
    )
    policy = None if ask else False
    endpoint = Endpoint(name=name, configuration=configuration, confirm=policy, query=policy)
    return Desk(name, load_protocol(protocol), endpoint, ring, secrets, echo)


def make_desks() -> list[Desk]:
    """Two merchants of each kind, the first of each asking the platform as it should; the others trust signatures
    alone, so that nothing hides behind the question."""
    return [
        alipay_desk("md5", "2088000000000001", "MD5", SECRETS[0], ask=True),
        alipay_desk("md5b", "2088000000000002", "MD5", SECRETS[1], ask=False),
        alipay_desk("gbk", "2088000000000003", "MD5", SECRETS[1], charset="gbk", ask=False),
        alipay_desk("rsa", "2088000000000004", "RSA", "", ask=True),
        alipay_desk("rsab", "2088000000000005", "RSA", "", ask=False),
        yeepay_desk("yee", "10001234567", SECRETS[2], ask=True),
        yeepay_desk("yeeb", "10001234568", SECRETS[3], ask=False),
    ]


ORDERS: Final = {"A0001": 1, "A0002": 200_000, "A0003": 1_000, "A0004": 1_000, "A0005": 12_345, "A0006": 100_000}
"""Number -> fen, at every desk: the cheap one is paid by the attacker himself, the dear one he wants; 3 is paid by an
honest buyer, 4 costs the same and is not; 5 was paid and its trade finished; 6 was closed unpaid."""


@dataclass
class Arena:
    """The shop, its desks, and all messages on the wire. ``sent`` is what an attacker starts from."""

    path: Path
    desks: list[Desk]
    receiver: Receiver
    connection: sqlite3.Connection
    """The one that a single thread's transactions run on: it counts the rows they change."""
    clock: HandClock
    sent: list[tuple[Desk, Request]] = field(default_factory=list)

    def fill(self) -> None:
        """Orders in the shop, trades at the platforms, and the messages about them, none of them delivered yet."""
        database = self.receiver.database
        for desk in self.desks:
            for number, fen in ORDERS.items():
                whole = f"{desk.name}-{number}"
                desk.open(whole, fen)
                order = Order(order_no=whole, amount=Money(fen), endpoint=desk.name, environment="sandbox")
                database.run(partial(self._add, order))
            self._talk(desk)

    def _add(self, order: Order, transaction: Transaction) -> None:
        OrderTable().add(transaction, order, NOW)

    def _talk(self, desk: Desk) -> None:
        paid = {"paid_at": NOW}
        told = [desk.tell(f"{desk.name}-{number}", TradeState.PAID, **paid) for number in ("A0001", "A0003")]
        told.append(desk.tell(f"{desk.name}-A0005", TradeState.PAID, **paid))
        if desk.manifest.confirms:
            told.append(desk.tell(f"{desk.name}-A0005", TradeState.FINISHED, ended_at=NOW))
            told.append(desk.tell(f"{desk.name}-A0006", TradeState.CLOSED, ended_at=NOW))
        told += [desk.send_home(f"{desk.name}-{number}") for number in ("A0001", "A0003")]
        self.sent += [(desk, request) for request in told]

    def desk_at(self, path: bytes) -> Desk | None:
        return next((desk for desk in self.desks if desk.endpoint.path == path), None)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as reader:
            return reader.execute(query).fetchall()

    def pass_time(self, milliseconds: int) -> None:
        self.clock.now = later(self.clock.now, milliseconds)


@contextmanager
def build_arena(path: Path) -> Iterator[Arena]:
    """A shop on SQLite with its desks and messages. What is not under test is switched off: waiting for the disk."""
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        opened.append(connection)
        return connection

    with closing(connect()) as connection:
        for statement in statements(Dialect.SQLITE, orders=True):
            connection.execute(statement)
        connection.commit()
    pool = ConnectionPool(connect)
    database = Database(Dialect.SQLITE, pool.take, pool.give)
    desks = make_desks()
    clock = HandClock()

    def send(request: Request, limits: object) -> Response:
        name = request.raw_path.split(b"/")[1].decode()
        desk = next(desk for desk in desks if desk.name == name)
        return desk.answer(replace(request, raw_path=request.raw_path.removeprefix(f"/{name}".encode())))

    receiver = Receiver([desk.endpoint for desk in desks], OrderTable(), database, clock=clock, send=send)
    first = pool.take()
    pool.give(first)
    arena = Arena(path, desks, receiver, first, clock)
    arena.fill()
    try:
        yield arena
    finally:
        for connection in opened:
            connection.close()
