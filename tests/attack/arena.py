"""The forgery arena: one shop with many endpoints, the platforms behind them, and everything an attacker has seen.

The attacker holds every message ever sent, of all merchants and of both roles, and the platforms' public keys. He has
paid for one cheap order. He holds no secret.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final

from tests.protocol.bench import is_asymmetric, make_rings
from tests.support.clock import NOW, Hands
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import later
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
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Notification,
    Product,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)


@dataclass
class Desk:
    """One merchant at one platform: the endpoint in the shop, and the platform's own truth about his trades."""

    name: str
    manifest: Manifest
    endpoint: Endpoint
    ring: KeyRing
    """The platform's, of this merchant."""
    secrets: tuple[bytes, ...]
    asks: bool
    """Whether the endpoint asks the platform, or trusts signatures alone."""
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
        trade_no = f"2023111421001004{self.merchant[-3:]}{len(self.trades):09}"
        self.trades[number] = TradeView(
            merchant=self.merchant,
            out_trade_no=number,
            trade_no=trade_no,
            state=TradeState.UNPAID,
            product=Product.INSTANT,
            subject="茶壶",
            amount=Money(fen),
            seller=Party(self.merchant),
            buyer=Party("2088000000000099", "buyer@example.com"),
            created_at=NOW,
            echo=self._echo(number, fen),
        )
        return self.trades[number]

    def _echo(self, number: str, fen: int) -> Mapping[str, str]:
        """What the protocol wants back with a trade that this shop's own request created."""
        wish = CreateTrade(
            merchant="",
            out_trade_no=number,
            product=Product.INSTANT,
            subject="茶壶",
            amount=Money(fen),
            presentation=self.manifest.presentations[0],
        )
        request = self.own(self.manifest.client.encode(wish, self.endpoint.configuration.keys, NOW).request())
        claim = self.manifest.server.claim(request)
        intent = self.manifest.server.decode(claim, self.ring, NOW).intent
        return intent.echo if isinstance(intent, CreateTrade) else {}

    def own(self, request: Request) -> Request:
        """A request to this desk's platform as its face sees it: without the prefix that says which desk."""
        return replace(request, raw_path=request.raw_path.removeprefix(f"/{self.name}".encode()))

    def says(self, state: TradeState) -> bool:
        """Whether a notification can say this state of an instant trade."""
        trade = replace(next(iter(self.trades.values())), state=state, paid_at=NOW, ended_at=NOW)
        event = Notification(id="nobody heard of it", at=NOW, trade=trade)
        try:
            return self.read(self.manifest.server.notify(event, self.notify_url, self.ring, NOW)).trade.state is state
        except (LocalProtocolError, RemoteProtocolError):
            return False

    def tell(self, number: str, state: TradeState, **moved: Any) -> Request:
        """Move the trade, and write the notification of it."""
        self.trades[number] = replace(self.trades[number], state=state, moved_at=NOW, **moved)
        return self.say(self.trades[number])

    def say(self, trade: TradeView) -> Request:
        """A notification of the trade as it is told here, put on the list of what was really said."""
        identity = f"n{self.merchant[-3:]}{len(self.live):029}"
        self.live.add(identity)
        event = Notification(id=identity, at=NOW, trade=trade)
        sent = self.manifest.server.notify(event, self.notify_url, self.ring, NOW)
        self.genuine.append(self.read(sent))
        return sent

    def known_as(self, trade: TradeView) -> str:
        """The trade's number in a shop's books: his own where the protocol does not say ours."""
        return trade.out_trade_no if ("Notification", "trade_no") in self.manifest.unsaid else trade.trade_no

    def hear(self, request: Request) -> None:
        """What a browser carried, where it says the same as a notification."""
        try:
            told = self.read(request)
        except RemoteProtocolError:
            return
        if told.role is Role.NOTIFICATION:
            self.genuine.append(told)

    def lie(self, trade: TradeView, ring: KeyRing | None = None) -> Request:
        """A message with the platform's own signature that says what never was; its id is live."""
        event = Notification(id=next(iter(sorted(self.live))), at=NOW, trade=trade)
        return self.manifest.server.notify(event, self.notify_url, ring or self.ring, NOW)

    def send_home(self, number: str) -> Request:
        """What the browser carries back."""
        event = Notification(id=f"r{number}", at=NOW, trade=self.trades[number], role=Role.RETURN)
        sent = self.manifest.server.return_to(event, self.notify_url, self.ring, NOW)
        self.hear(sent)
        return sent

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


def _hiding(keys: Sequence[Key], manifest: Manifest) -> list[Key]:
    """Those that hide contents."""
    return [key for key in keys if key.algorithm in manifest.content_keys]


def _proving(keys: Sequence[Key], manifest: Manifest) -> list[Key]:
    """Those that sign."""
    return [key for key in keys if key.algorithm not in manifest.content_keys]


def make_desk(name: str, protocol: str, algorithm: str, charset: str, number: int, *, ask: bool) -> Desk:
    """One more merchant of a protocol. All whose keys come in pairs trust the same platform key."""
    manifest = load_protocol(protocol)
    merchant = manifest.merchant_example[:-3] + f"{number:03}"
    platform, own = make_rings(manifest, algorithm, number % 2)
    if is_asymmetric(algorithm):
        # the merchant's own key is his, the platform's is one for all
        shared, trusted = make_rings(manifest, algorithm, 0)
        platform = KeyRing(
            merchant, platform.verify, (*_hiding(platform.sign, manifest), *_proving(shared.sign, manifest))
        )
        own = KeyRing(merchant, (*_hiding(own.verify, manifest), *_proving(trusted.verify, manifest)), own.sign)
        secrets: tuple[bytes, ...] = ()
    else:
        secret = hashlib.sha256(name.encode()).hexdigest()[:32].encode()
        key = Key("shared", 1, algorithm, secret)
        platform = own = KeyRing(merchant, (*platform.verify[:-1], key), (*platform.sign[:-1], key))
        secrets = (secret,)
    extra = {
        "charset": charset,
        "order_sample": f"{name}-A0001",
        "notify_url": f"http://shop.example/{name}/notify",
        "return_url": f"http://shop.example/{name}/return",
    }
    base = f"http://127.0.0.1:1/{name}"
    settings = manifest.credentials_for(merchant, own, base, {key: value for key, value in extra.items() if value})
    configuration = MerchantConfiguration(
        protocol=protocol,
        credentials=settings,
        environment="sandbox",
        gateway=settings.get("gateway", ""),
        notify_url=extra["notify_url"],
        return_url=extra["return_url"],
    )
    policy = None if ask else False
    endpoint = Endpoint(name=name, configuration=configuration, confirm=policy, query=policy)
    return Desk(name, manifest, endpoint, platform, secrets, ask)


def kinds() -> list[tuple[str, str, str, str, bool]]:
    """(name, protocol, algorithm, charset, asks) of every desk: of each folder that sells instant trades, algorithm
    and charset one that trusts signatures alone, so that nothing hides behind the question, and of each algorithm one
    that asks the platform as it should."""
    found = []
    for index, protocol in enumerate(protocol_names()):
        manifest = load_protocol(protocol)
        if Product.INSTANT not in manifest.products:
            continue
        short = protocol[:3] + ascii_lowercase[index]
        for rank, algorithm in enumerate(manifest.algorithms):
            for place, charset in enumerate(manifest.charsets or ("",)):
                found.append((f"{short}{rank}{place}t", protocol, algorithm, charset, False))
                if not place:
                    found.append((f"{short}{rank}q", protocol, algorithm, charset, True))
    return found


def make_desks() -> list[Desk]:
    """One desk of every kind."""
    return [
        make_desk(name, protocol, algorithm, charset, number, ask=asks)
        for number, (name, protocol, algorithm, charset, asks) in enumerate(kinds(), 1)
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
    clock: Hands
    sent: list[tuple[Desk, Request]] = field(default_factory=list)
    homes: list[tuple[Desk, Request]] = field(default_factory=list)
    """Those of them that a browser carried."""

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
        for number, state in (("A0005", TradeState.FINISHED), ("A0006", TradeState.CLOSED)):
            if desk.says(state):
                told.append(desk.tell(f"{desk.name}-{number}", state, ended_at=NOW))
        homes = [desk.send_home(f"{desk.name}-{number}") for number in ("A0001", "A0003")]
        self.homes += [(desk, request) for request in homes]
        self.sent += [(desk, request) for request in (*told, *homes)]

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
    clock = Hands()

    def send(request: Request, limits: object) -> Response:
        name = request.raw_path.split(b"/")[1].decode()
        desk = next(desk for desk in desks if desk.name == name)
        return desk.answer(desk.own(request))

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
