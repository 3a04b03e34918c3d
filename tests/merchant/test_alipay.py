"""The merchant's side over Alipay's classic interface, against that interface's own server end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.merchant.conftest import KEY, Shop, make_shop
from tests.support.clock import NOW
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.order import Evidence, OrderState
from tongbao.merchant.verdict import Shown, VerdictKind
from tongbao.wire.http import Request, Response, post
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
    TradeFound,
    TradeState,
    TradeView,
)

PARTNER = "2088000000000001"
SERVER = load_protocol("alipay_mapi").server
NOTIFY = "http://shop.example/alipay/notify?code=alipay"


@cache
def key_pair(name: str) -> rsa.RSAPrivateKey:
    """A key for these tests; ``name`` says whose."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Gateway:
    """The interface's server end with a few trades behind it."""

    ring: KeyRing
    trades: dict[str, TradeView] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)

    def open(self, request: Request) -> TradeView:
        """What a browser carried here: the trade, unpaid."""
        intent: Any = SERVER.decode(SERVER.claim(request), self.ring, NOW).intent
        self.trades[intent.out_trade_no] = TradeView(
            merchant=PARTNER,
            out_trade_no=intent.out_trade_no,
            trade_no=f"20231114{len(self.trades):020}",
            state=TradeState.UNPAID,
            product=intent.product,
            subject=intent.subject,
            amount=intent.amount,
            seller=Party(PARTNER, "seller@example.com"),
            buyer=Party("2088000000000099", "buyer@example.com"),
            created_at=NOW,
            echo=intent.echo,
        )
        return self.trades[intent.out_trade_no]

    def move(self, number: str, state: TradeState) -> Notification:
        """Change the trade; the event that tells it."""
        self.trades[number] = replace(self.trades[number], state=state, paid_at=NOW, moved_at=NOW)
        identity = f"n{len(self.live):033}"
        self.live.add(identity)
        return Notification(id=identity, at=NOW, trade=self.trades[number])

    def notify(self, number: str, state: TradeState) -> Request:
        return SERVER.notify(self.move(number, state), NOTIFY, self.ring, NOW)

    def __call__(self, request: Request, limits: Any) -> Response:
        claim = SERVER.claim(request)
        intent = SERVER.decode(claim, self.ring, NOW).intent
        if isinstance(intent, ConfirmNotification):
            genuine = intent.notification_id in self.live and intent.merchant == PARTNER
            return SERVER.answer(claim, Confirmed(genuine), self.ring, NOW)
        assert isinstance(intent, QueryTrade)
        trade = self.trades.get(intent.out_trade_no)
        outcome = TradeFound(trade) if trade is not None else Rejection("TRADE_NOT_FOUND")
        return SERVER.answer(claim, outcome, self.ring, NOW)


def make(database: Database, sign_type: str, charset: str, **more: Any) -> tuple[Shop, Gateway, Client]:
    """A shop with one Alipay endpoint, and its gateway."""
    settings = {"partner": PARTNER, "sign_type": sign_type, "charset": charset}
    if sign_type == "MD5":
        settings["key"] = KEY
        both = (Key(PARTNER, 1, "MD5", KEY.encode()),)
        ring = KeyRing(PARTNER, both, both)
    else:
        mine, theirs = key_pair("shop"), key_pair("platform")
        settings |= {"private_key": private_pem(mine), "alipay_public_key": public_pem(theirs.public_key())}
        ring = KeyRing(PARTNER, (Key("shop", 1, "RSA", mine.public_key()),), (Key("platform", 1, "RSA", theirs),))
    configuration = MerchantConfiguration(
        protocol="alipay_mapi",
        credentials=settings,
        environment="sandbox",
        gateway="http://127.0.0.1:1/gateway.do",
        notify_url=NOTIFY,
        return_url="http://shop.example/alipay/return?code=alipay",
    )
    gateway = Gateway(ring)
    shop = make_shop(database, configuration=configuration, send=gateway, **more)
    return shop, gateway, Client(configuration, send=gateway, clock=shop.clock)


@pytest.mark.parametrize("sign_type", ["MD5", "RSA"])
@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
@pytest.mark.parametrize(
    ("product", "states"),
    [
        (Product.INSTANT, [TradeState.PAID, TradeState.FINISHED]),
        (Product.ESCROW, [TradeState.UNPAID, TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED]),
        (Product.DUAL, [TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED]),
    ],
)
def test_an_order_is_paid_and_ends(
    sqlite_database: Database, sign_type: str, charset: str, product: Product, states: list[TradeState]
) -> None:
    """Request, return and every notification of a product, in both charsets and both signatures."""
    shop, gateway, client = make(sqlite_database, sign_type, charset)
    shop.order("A1", subject="龙井茶")
    extra: dict[str, Any] = {} if product is Product.INSTANT else {"price": Money(1000), "quantity": 1}
    call = client.payment("A1", Money(1000), "龙井茶", product=product, **extra)
    gateway.open(call.request())
    paid = next(state for state in states if state is not TradeState.UNPAID)
    for state in states:
        message = gateway.notify("A1", state)
        accepted = shop.receiver.accept_notification(message)
        assert (accepted.response.body, accepted.verdict.reason) == (
            b"success",
            "NOT_PAID_YET" if state is TradeState.UNPAID else "",
        )
        if state is paid:
            assert shop.stored().state is OrderState.PAID
    repeat = shop.receiver.accept_notification(gateway.notify("A1", paid))
    assert (repeat.response.body, shop.count("stock_taken")) == (b"success", 1)
    assert (shop.stored().state, shop.stored().evidence) == (OrderState.FINISHED, Evidence.NOTIFY)


def test_T31_the_return_shows_and_asks_but_never_pays(sqlite_database: Database) -> None:
    """The signed return beside the shop's own ``?code=alipay``: confirming, then paid by the query."""
    shop, gateway, client = make(sqlite_database, "MD5", "gbk")
    shop.order("A1")
    gateway.open(client.payment("A1", Money(1000), "茶").request())
    event = gateway.move("A1", TradeState.PAID)
    message = SERVER.return_to(event, "http://shop.example/alipay/return?code=alipay", gateway.ring, NOW)
    assert shop.receiver.accept_return(message).shown is Shown.CONFIRMING
    assert shop.stored().state is OrderState.PENDING
    assert shop.receiver.accept_return(message, inquire=True).shown is Shown.PAID
    assert shop.stored().evidence is Evidence.QUERY
    late = shop.receiver.accept_notification(SERVER.notify(event, NOTIFY, gateway.ring, NOW))
    assert (late.verdict.kind, late.response.body) == (VerdictKind.DUPLICATE, b"success")


def test_T25_the_platforms_signature_for_another_seller_is_refused(sqlite_database: Database) -> None:
    """With RSA one platform key serves all merchants: the seller's number decides."""
    shop, gateway, client = make(sqlite_database, "RSA", "utf-8")
    shop.order("A1")
    gateway.open(client.payment("A1", Money(1000), "tea").request())
    event = gateway.move("A1", TradeState.PAID)
    thief = replace(event, trade=replace(event.trade, seller=Party("2088000000000666", "thief@example.com")))
    accepted = shop.receiver.accept_notification(SERVER.notify(thief, NOTIFY, gateway.ring, NOW))
    assert (accepted.verdict.reason, accepted.response.body) == ("WRONG_RECIPIENT", b"fail")


def test_T05_a_key_of_another_kind_does_not_verify(sqlite_database: Database) -> None:
    """An RSA endpoint refuses MD5, also when keyed with the text of the public key."""
    shop, gateway, client = make(sqlite_database, "RSA", "utf-8")
    shop.order("A1")
    gateway.open(client.payment("A1", Money(1000), "tea").request())
    event = gateway.move("A1", TradeState.PAID)
    pem = public_pem(key_pair("platform").public_key()).encode()
    weak = (Key(PARTNER, 1, "MD5", pem),)
    forged = SERVER.notify(event, NOTIFY, KeyRing(PARTNER, weak, weak), NOW)
    accepted = shop.receiver.accept_notification(forged)
    assert (accepted.verdict.reason, accepted.response.body) == ("SIGN_TYPE_NOT_ALLOWED", b"fail")


def test_T15_the_same_text_in_another_charset_is_refused(sqlite_database: Database) -> None:
    """A shop configured for gbk does not accept utf-8 bytes, signed or not."""
    shop, gateway, client = make(sqlite_database, "MD5", "gbk")
    shop.order("A1", subject="茶")
    gateway.open(client.payment("A1", Money(1000), "茶").request())
    event = gateway.move("A1", TradeState.PAID)
    event = replace(
        event, trade=replace(event.trade, subject="茶叶店", echo={**event.trade.echo, "_input_charset": "utf-8"})
    )
    accepted = shop.receiver.accept_notification(SERVER.notify(event, NOTIFY, gateway.ring, NOW))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.REFUSED, b"fail")


@pytest.mark.slow
def test_every_flipped_byte_of_a_notification_is_refused(sqlite_database: Database) -> None:
    """Each byte of a genuine body changed in turn: never the success word, never an effect."""
    shop, gateway, client = make(sqlite_database, "MD5", "utf-8")
    shop.order("A1")
    gateway.open(client.payment("A1", Money(1000), "tea").request())
    body = gateway.notify("A1", TradeState.PAID).body
    for index in range(len(body)):
        changed = body[:index] + bytes((body[index] ^ 1,)) + body[index + 1 :]
        answer = shop.receiver.accept_notification(post(NOTIFY, changed, "application/x-www-form-urlencoded"))
        assert answer.response.body == b"fail", changed[max(0, index - 20) : index + 20]
    assert shop.stored().state is OrderState.PENDING
    assert shop.receiver.accept_notification(post(NOTIFY, body, "text/html")).response.body == b"success"


def test_T82_the_answer_about_another_trade_is_refused(sqlite_database: Database) -> None:
    """A genuinely signed answer, but to another question."""
    shop, gateway, client = make(sqlite_database, "MD5", "utf-8")
    shop.order("A1")
    gateway.open(client.payment("A1", Money(1000), "tea").request())
    gateway.open(client.payment("B2", Money(1000), "tea").request())
    gateway.move("B2", TradeState.PAID)
    gateway.trades["A1"] = gateway.trades["B2"]
    with pytest.raises(RemoteProtocolError):
        client.query("A1")
    assert shop.receiver.confirm_by_query("A1").reason == "PROOF_INVALID"
    assert shop.stored().state is OrderState.PENDING
