"""The whole path on SQLite: request, platform, callback, acceptance by ``tongbao.merchant``, word of success."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import statements
from tongbao.merchant.verdict import Shown, VerdictKind
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import CreateTrade, Notification, QueryTrade, Rejection, TradeFound, TradeState, TradeView
from tongbao.wire.world import Limits

NOW = parse_china("2018-02-01 12:00:00")
PROTOCOL = load_protocol("yeepay")
MERCHANT = PROTOCOL.merchant_example
KEY = Key("k", 1, PROTOCOL.algorithms[0], b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(MERCHANT, (KEY,), (KEY,))
ORDER = "T20180201-0001"


class Hands:
    """A clock that stands still."""

    def business(self) -> Instant:
        return NOW

    def wire(self) -> Instant:
        return NOW

    def monotonic(self) -> float:
        return 1.0


@dataclass
class Platform:
    """The platform's half with its trades; the shop's queries go straight to it."""

    trades: dict[str, TradeView] = field(default_factory=dict)
    asked: int = 0

    def open(self, request: Request) -> CreateTrade:
        """Read the buyer's request and open the trade."""
        intent = PROTOCOL.server.decode(PROTOCOL.server.claim(request), RING, NOW).intent
        assert isinstance(intent, CreateTrade)
        self.trades[intent.out_trade_no] = TradeView(
            merchant=intent.merchant,
            out_trade_no=intent.out_trade_no,
            trade_no=f"20180201{len(self.trades):020d}",
            state=TradeState.UNPAID,
            product=intent.product,
            subject=intent.subject,
            amount=intent.amount,
            created_at=NOW,
            passback=intent.passback,
            echo=intent.echo,
        )
        return intent

    def pay(self, number: str, state: TradeState = TradeState.PAID) -> None:
        self.trades[number] = replace(self.trades[number], state=state, paid_at=NOW)

    def notify(self, number: str, target: str, write: str = "notify") -> Request:
        event = Notification(id="n1", at=None, trade=self.trades[number])
        request: Request = getattr(PROTOCOL.server, write)(event, target, RING, NOW)
        return request

    def __call__(self, request: Request, limits: Limits) -> Response:
        self.asked += 1
        claim = PROTOCOL.server.claim(request)
        intent = PROTOCOL.server.decode(claim, RING, NOW).intent
        assert isinstance(intent, QueryTrade)
        trade = self.trades.get(intent.out_trade_no)
        outcome = TradeFound(trade) if trade is not None else Rejection("TRADE_NOT_FOUND")
        return PROTOCOL.server.answer(claim, outcome, RING, NOW)


@dataclass
class Shop:
    """A shop with one endpoint whose book is a SQLite file."""

    database: Database
    configuration: MerchantConfiguration
    platform: Platform
    receiver: Receiver

    def order(self, number: str = ORDER, fen: int = 12_345) -> Request:
        """Store an order and make the buyer's request."""
        order = Order(order_no=number, amount=Money(fen), endpoint="yeepay", environment="sandbox", subject="茶叶")
        self.database.run(lambda transaction: OrderTable().add(transaction, order, NOW))
        call = Client(self.configuration, clock=Hands()).payment(number, Money(fen), "茶叶", passback="会员7")
        return call.request()

    def state(self, number: str = ORDER) -> OrderState:
        order = self.database.read(lambda transaction: OrderTable().find(transaction, number))
        assert order is not None
        return order.state


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop and the platform it asks."""
    path = tmp_path / "shop.sqlite"
    connect: Callable[[], sqlite3.Connection] = lambda: sqlite3.connect(path, timeout=30)  # noqa: E731
    with closing(connect()) as connection:
        for statement in statements(Dialect.SQLITE):
            connection.execute(statement)
        connection.commit()
    configuration = MerchantConfiguration(
        protocol="yeepay",
        credentials=PROTOCOL.credentials_for(MERCHANT, RING, "http://127.0.0.1:1", {}),
        environment="sandbox",
        return_url="http://shop.example/return?code=yeepay",
        notify_url="http://shop.example/notify",
    )
    database, platform = Database(Dialect.SQLITE, connect), Platform()
    endpoint = Endpoint(name="yeepay", configuration=configuration)
    receiver = Receiver([endpoint], OrderTable(), database, clock=Hands(), send=platform, after_commit=())
    return Shop(database, configuration, platform, receiver)


@pytest.mark.parametrize("state", [TradeState.PAID, TradeState.FINISHED])
def test_from_order_to_paid(shop: Shop, state: TradeState) -> None:
    """A paid trade's notice, asked for by query, marks the order once; the repeat is only acknowledged."""
    intent = shop.platform.open(shop.order())
    assert (intent.amount, intent.passback, intent.notify_url) == (
        Money(12_345),
        "会员7",
        "http://shop.example/notify",
    )
    shop.platform.pay(ORDER, state)
    kinds = []
    for _ in range(2):
        accepted = shop.receiver.accept_notification(shop.platform.notify(ORDER, intent.notify_url))
        kinds.append(accepted.verdict.kind)
        assert PROTOCOL.server.acknowledged(accepted.response)
    assert kinds == [VerdictKind.APPLIED, VerdictKind.DUPLICATE]
    assert shop.state() is OrderState.PAID
    assert shop.platform.asked == 1


def test_T12_the_query_must_agree(shop: Shop) -> None:
    """A notice under a right signature moves nothing while the platform's own answer says unpaid."""
    intent = shop.platform.open(shop.order())
    shop.platform.pay(ORDER)
    forged = shop.platform.notify(ORDER, intent.notify_url)
    shop.platform.trades[ORDER] = replace(shop.platform.trades[ORDER], state=TradeState.UNPAID)
    accepted = shop.receiver.accept_notification(forged)
    assert (accepted.verdict.step, accepted.verdict.reason) == (13, "QUERY_DISAGREES")
    assert not PROTOCOL.server.acknowledged(accepted.response)
    assert shop.state() is OrderState.PENDING


def test_T31_a_return_is_no_evidence(shop: Shop) -> None:
    """The browser's message shows the order; at the address of notices it is refused for what it is."""
    intent = shop.platform.open(shop.order())
    shop.platform.pay(ORDER)
    seen = shop.receiver.accept_return(shop.platform.notify(ORDER, intent.return_url, "return_to"), inquire=False)
    assert (seen.order_no, seen.shown) == (ORDER, Shown.CONFIRMING)
    misled = shop.receiver.accept_notification(shop.platform.notify(ORDER, intent.notify_url, "return_to"))
    assert (misled.verdict.step, misled.verdict.reason) == (11, "RETURN_IS_NO_EVIDENCE")
    assert shop.state() is OrderState.PENDING
    asked = shop.receiver.accept_return(shop.platform.notify(ORDER, intent.return_url, "return_to"), inquire=True)
    assert asked.shown is Shown.PAID
    assert shop.state() is OrderState.PAID


def test_T25_T27_another_order_or_sum(shop: Shop) -> None:
    """A genuine payment of another sum, or for an order nobody made, marks nothing."""
    shop.platform.open(shop.order())
    shop.platform.pay(ORDER)
    cheap = replace(shop.platform.trades[ORDER], amount=Money(1))
    shop.platform.trades[ORDER] = cheap
    accepted = shop.receiver.accept_notification(shop.platform.notify(ORDER, "http://shop.example/notify"))
    assert (accepted.verdict.step, accepted.verdict.reason) == (12, "AMOUNT_MISMATCH")
    shop.platform.trades["T9"] = replace(cheap, out_trade_no="T9")
    accepted = shop.receiver.accept_notification(shop.platform.notify("T9", "http://shop.example/notify"))
    assert (accepted.verdict.step, accepted.verdict.reason) == (12, "ORDER_UNKNOWN")
    assert shop.state() is OrderState.PENDING
