"""A shop's process: the real acceptance over an order book of its own, and the few pages a buyer needs.

``POST /buy`` stores the order and answers with the signed request; ``/notify`` and ``/home`` are the acceptance's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import TongbaoError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import AsyncClient
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.job import run_jobs_async
from tongbao.merchant.order import Job, Order, OrderState, Payment
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.schema import statements
from tongbao.merchant.verdict import Accepted
from tongbao.sim.disk import MEMORY
from tongbao.sim.loop import Life, pause
from tongbao.sim.platform import BASE
from tongbao.sim.till import answer_json
from tongbao.sim.universe import Crash, Universe
from tongbao.store.sqlite import connect
from tongbao.wire.asgi import Application, plain
from tongbao.wire.http import Request, Response, split_url
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Expiry, Freight, Product, Shipping
from tongbao.wire.world import NotSent, World

KEY: Final = "thirtytwolettersofashopssecret{number:02d}"
CREDENTIALS: Final = {
    "alipay_mapi": ("partner", "key", "/alipay_mapi/gateway.do", "2088000000000{number:03d}"),
    "yeepay": ("p1_MerId", "keyValue", "/yeepay/app-merchant-proxy/node", "10000000{number:03d}"),
    "wechatpay_v3": ("mchid", "apiv3_key", "/wechatpay_v3", "19000000{number:02d}"),
}
"""By protocol: names of number and key, the gateway's path, and the shape of a number."""


SOON: Final = 4 * 3_600
"""Virtual seconds after the faults in which most of what they left open comes to its end."""


class ShopTrouble(Exception):  # noqa: N818
    """The shop's database or disk failed."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Who a shop is."""

    number: int
    protocol: str

    @property
    def name(self) -> str:
        return f"shop{self.number}"

    @property
    def host(self) -> str:
        return f"{self.name}.test"

    @property
    def merchant(self) -> str:
        return CREDENTIALS[self.protocol][3].format(number=self.number)

    @property
    def key(self) -> str:
        return KEY.format(number=self.number)

    @property
    def configuration(self) -> MerchantConfiguration:
        """As the shop's file would say it."""
        number, key, path, _ = CREDENTIALS[self.protocol]
        return MerchantConfiguration(
            protocol=self.protocol,
            credentials={number: self.merchant, key: self.key},
            environment="sandbox",
            gateway=BASE + path,
            notify_url=f"http://{self.host}/notify",
            return_url=f"http://{self.host}/home",
        )


def apply(transaction: Transaction, order: Order, payment: Payment) -> None:
    """The shop's own row, once per order if the acceptance keeps its word (I25): the table itself would take more."""
    transaction.execute(
        "INSERT INTO parcel (order_no, amount) VALUES (:order_no, :amount)",
        {"order_no": order.order_no, "amount": payment.amount.minor},
    )


def make_receiver(seller: Seller, life: Life, world: World, endpoint: Endpoint, database: Database) -> AsyncReceiver:
    """The acceptance as a shop builds it."""
    return AsyncReceiver(
        [endpoint],
        OrderTable(),
        database,
        apply=apply,
        clock=world.clock,
        crashpoint=lambda name: seller.crashpoint(life, name),
        send=world.send,
        compute=world.compute,
    )


MakeReceiver = Callable[["Seller", Life, World, Endpoint, Database], Any]


@dataclass(slots=True)
class Counter:
    """What one life of a shop speaks to the platform with."""

    receiver: Any
    client: AsyncClient


class Seller:
    """One shop, over all lives of its processes: one of its name, or those of ``names``."""

    def __init__(self, universe: Universe, shop: Shop, make: MakeReceiver, names: Sequence[str] = ()) -> None:
        self.universe = universe
        self.shop = shop
        self.configuration = shop.configuration
        self.endpoint = Endpoint(name="main", configuration=self.configuration)
        self.mails: list[str] = []
        self.accepted: list[str] = []
        """Bodies answered with the word of success."""
        self._make = make
        book = universe.disk.book(_make_book)
        self.database = Database(Dialect.SQLITE, lambda: book, release=_keep)
        """Every transaction is over within one step: all lives may have the same connection."""
        for name in names or (shop.name,):
            universe.add(name, self._boot, shop.host)

    def crashpoint(self, life: Life, name: str) -> None:
        """Between two effects of an acceptance the process may die, or its database fail."""
        dice = self.universe.dice
        if dice.strikes("shop_crash"):
            self.universe.crash_life(life)
            raise Crash
        if name.startswith("1") and name[:2] in ("14", "15") and dice.strikes("shop_error"):
            raise ShopTrouble(name)

    async def _boot(self, life: Life) -> Application:
        world = self.universe.make_world(life)
        counter = await self.open_counter(life, world)
        self.universe.spawn(life, self._duties(life, world, counter))
        return plain(self.make_pages(life, world, counter).handle)

    async def open_counter(self, life: Life, world: World) -> Counter:
        """Acceptance and client of one life."""
        return self.make_counter(life, world, self.endpoint)

    def make_counter(self, life: Life, world: World, endpoint: Endpoint) -> Counter:
        """Acceptance and client by one endpoint's configuration."""
        receiver = self._make(self, life, world, endpoint, self.database)
        return Counter(receiver, AsyncClient(endpoint.configuration, send=world.send, clock=world.clock))

    def make_pages(self, life: Life, world: World, counter: Counter) -> Pages:
        """What one life serves."""
        return Pages(self, world, counter)

    def _period(self) -> int:
        """Seconds between two rounds: the longer, the longer nothing has gone wrong."""
        healed_at = self.universe.healed_at
        if healed_at is None:
            return 60
        return 1_800 if self.universe.loop.time() < healed_at + SOON else 7_200

    async def _duties(self, life: Life, world: World, counter: Counter) -> None:
        random, database = world.random("duties"), self.database

        async def mail(job: Job) -> None:
            if self.universe.dice.strikes("shop_error"):
                raise OSError("the mail server is away")
            self.mails.append(job.key)

        while True:
            await pause(self._period() * (0.5 + random.random()))
            report = await run_jobs_async(database, {"mail": mail}, clock=world.clock, compute=world.compute)
            verdicts = await counter.receiver.poll(300, 20) if random.random() < 0.5 else []
            self.universe.note("duty", life, report.done, len(verdicts))
            for number in _to_ship(database):
                try:
                    await counter.client.ship(trade_no=number, carrier="SF", tracking_no=number)
                except (TongbaoError, NotSent) as error:
                    self.universe.note("not shipped", life, number, type(error).__name__)


def _make_book() -> Any:
    """A shop's tables, empty."""
    connection = connect(MEMORY)
    for statement in (*statements(Dialect.SQLITE), "CREATE TABLE parcel (order_no TEXT, amount INTEGER)"):
        connection.execute(statement)
    return connection


def _keep(connection: Any) -> None:
    """The connection stays open for the next transaction."""


def _to_ship(database: Database) -> list[str]:
    rows = database.read(
        lambda transaction: transaction.rows(
            "SELECT trade_no FROM orders WHERE state = 'paid' AND trade_state = 'escrowed' ORDER BY order_no"
        )
    )
    return [str(row["trade_no"]) for row in rows]


class Pages:
    """What one life of the shop serves."""

    def __init__(self, seller: Seller, world: World, counter: Counter) -> None:
        self._seller = seller
        self._world = world
        self._counter = counter

    async def handle(self, request: Request, peer: str) -> Response:
        """One request."""
        if request.raw_path == b"/notify":
            accepted: Accepted = await self._counter.receiver.accept_notification(request)
            self._check(request, peer, accepted)
            return accepted.response
        if request.raw_path == b"/home":
            return await self.home(request)
        return await self.buy(json.loads(request.body))

    async def home(self, request: Request) -> Response:
        """The buyer's browser comes back."""
        seen = await self._counter.receiver.accept_return(request, inquire=len(request.raw_query) % 3 == 0)
        self._seller.universe.note("home", self._seller.shop.name, seen.order_no, seen.shown)
        return answer_json(200, order=seen.order_no, shown=str(seen.shown))

    def _check(self, request: Request, peer: str, accepted: Accepted) -> None:
        """Success is said only for what is committed (I24), and never to a forged message."""
        verdict, universe = accepted.verdict, self._seller.universe
        universe.note("verdict", self._seller.shop.name, verdict.kind, verdict.reason, verdict.order_no)
        manifest = self._seller.configuration.manifest
        if not manifest.server.acknowledged(accepted.response):
            return
        self._seller.accepted.append(verdict.order_no)
        if request.header("x-sim-forged"):
            universe.blame(f"{self._seller.shop.name} accepted a forged message ({request.header('x-sim-forged')})")
        rows = self._seller.database.read(
            lambda transaction: transaction.rows(
                "SELECT 1 FROM payment_inbox WHERE order_no = :order_no AND trade_no = :trade_no AND event = :event",
                {"order_no": verdict.order_no, "trade_no": verdict.trade_no, "event": verdict.event},
            )
        )
        if not rows:
            universe.blame(f"I24 {self._seller.shop.name} said success without a committed row: {verdict}")

    def store(self, said: dict[str, Any]) -> Order:
        """The order that a buyer's form asks for, stored once."""
        order = Order(
            order_no=said["order"],
            amount=Money(said["amount"]),
            endpoint="main",
            environment="sandbox",
            subject=f"goods {said['order']}",
            seller=Party(self._counter.client.configuration.merchant),
            email="buyer@example.com",
        )
        now: Instant = self._world.clock.business()

        def store(transaction: Transaction) -> OrderState:
            known = OrderTable().find(transaction, order.order_no)
            if known is None:
                OrderTable().add(transaction, order, now)
            return known.state if known else OrderState.PENDING

        self._seller.database.run(store)
        return order

    async def buy(self, said: dict[str, Any]) -> Response:
        """Store the order, sign the request. ``asked`` is what a shop signs that believes the buyer's form."""
        order, product = self.store(said), Product(said["product"])
        expiry = Expiry(said["expiry"]) if said["expiry"] else None
        asked = Money(said.get("asked", said["amount"]))
        options: dict[str, Any] = {"product": product, "expiry": expiry}
        if product is not Product.INSTANT:
            options |= {"price": asked, "quantity": 1, "shipping": (Shipping("express", Money(0), Freight.SELLER),)}
        call = self._counter.client.payment(order.order_no, asked, order.subject, **options)
        request = call.request()
        body = base64.b64encode(request.body).decode("ascii")
        return answer_json(200, method=request.method, url=request.url, body=body)


def read_request(said: dict[str, Any]) -> Request:
    """A request that travelled as JSON."""
    scheme, host, path, query = split_url(said["url"])
    headers = ((b"Content-Type", b"application/x-www-form-urlencoded"),) if said["method"] == "POST" else ()
    return Request(said["method"], scheme, host, path, query, headers, base64.b64decode(said["body"]))
