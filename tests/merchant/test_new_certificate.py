"""A platform's new certificate, met by a shop that learns: in an answer, and in a notification, which names none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import CHANCE, NOW, authority, make_pair, rsa_key
from tests.support.clock import Hands
from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, later
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.exchange import Core, Send, Wait, learn
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.system import SystemEntropy
from tongbao.merchant.trust import AGAIN, TrustStore
from tongbao.merchant.verdict import VerdictKind
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.sandbox.chain import issue
from tongbao.wire.certificate import load_chain
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key
from tongbao.wire.movement import CertificatesFound, FetchCertificates
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Notification, QueryTrade, TradeFound, TradeState, TradeView
from tongbao.wire.world import Limits, NoAnswer

pytestmark = pytest.mark.slow

PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")
ASKED = [QueryTrade, FetchCertificates]


def renewed(number: int) -> Key:
    """Another key of the platform, with a certificate of the same root."""
    fresh = rsa_key(number)
    chain = load_chain(issue(authority(), fresh.public_key(), "renewed", "Platform", CHANCE), "chain")
    return replace(PAIR.ring.sign[-1], material=fresh, chain=chain)


NEW = renewed(7)


def view(number: str) -> TradeView:
    app = PAIR.credentials.merchant
    return TradeView(
        merchant=app, seller=Party(app), out_trade_no=number, trade_no=f"2026010222001400{number}", subject="tea",
        state=TradeState.PAID, amount=Money(1_000), buyer=Party("2088000000000099"), paid_at=NOW,
    )  # fmt: skip


@dataclass
class Gateway:
    """The platform's end, which signs by ``key`` what is no failure, as the real REST interface does (sheet
    alipay-openapi, 11.2), and has the trades ``known``; ``dumb``: no answer comes."""

    key: Key = NEW
    dumb: bool = False
    known: tuple[str, ...] = ("A1", "A2", "A3")
    asked: list[Any] = field(default_factory=list)

    @property
    def ring(self) -> Any:
        return replace(PAIR.ring, sign=(*PAIR.ring.sign[:-1], self.key))

    def __call__(self, request: Request, limits: Any) -> Response:
        claim = PROTOCOL.server.claim(request)
        intent: Any = PROTOCOL.server.decode(claim, PAIR.ring, NOW).intent
        self.asked.append(type(intent))
        if self.dumb:
            raise NoAnswer("TIMEOUT", "lost by the test")
        if isinstance(intent, FetchCertificates):
            return PROTOCOL.server.answer(claim, CertificatesFound(intent.serial), self.ring, NOW)
        if intent.out_trade_no not in self.known:
            return PROTOCOL.server.refuse(claim, Refused("TRADE_NOT_FOUND"), None, NOW)
        return PROTOCOL.server.answer(claim, TradeFound(view(intent.out_trade_no)), self.ring, NOW)

    def tell(self, number: str) -> Request:
        note = Notification(id=f"n{number}", at=NOW, trade=view(number))
        return PROTOCOL.server.notify(note, "https://shop.example.com/alipay/notify", self.ring, NOW)


def configured(trust: TrustStore | None, mode: str = "certificate", interface: str = "v2") -> MerchantConfiguration:
    return MerchantConfiguration(
        protocol="alipay_openapi",
        credentials={**PAIR.settings, "mode": mode, "interface": interface},
        environment="sandbox",
        gateway="http://127.0.0.1:1/gateway.do",
        notify_url="https://shop.example.com/alipay/notify",
        trust=trust,
    )


def opened(database: Database, gateway: Gateway, configuration: MerchantConfiguration, clock: Hands) -> Shop:
    """A shop of three orders that asks this gateway."""
    shop = make_shop(database, configuration=configuration, query=False, clock=clock, send=gateway)
    for number in ("A1", "A2", "A3"):
        shop.order(number)
    return shop


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T20_a_notification_under_a_new_certificate_is_taken(sqlite_database: Database, interface: str) -> None:
    """The first makes the shop ask about its trade: the answer names the new certificate, which is fetched and proven.
    The next ones cost nothing. A shop that does not learn refuses all of them."""
    gateway = Gateway()
    shop = opened(sqlite_database, gateway, configured(TrustStore(), interface=interface), Hands(NOW))
    told = [shop.receiver.accept_notification(gateway.tell(number)) for number in ("A1", "A2", "A1")]
    assert [one.verdict.kind for one in told] == [VerdictKind.APPLIED, VerdictKind.APPLIED, VerdictKind.DUPLICATE]
    assert gateway.asked == ASKED
    gateway.asked.clear()
    stubborn = replace(shop, endpoint=replace(shop.endpoint, configuration=configured(None, interface=interface)))
    refused = stubborn.receiver.accept_notification(gateway.tell("A3"))
    assert (refused.verdict.kind, refused.verdict.reason) == (VerdictKind.REFUSED, "SIGN_INVALID")
    assert gateway.asked == []


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_F28_a_payment_that_is_told_under_an_unknown_certificate_is_unknown(interface: str) -> None:
    """It was taken; a till that does not learn cannot prove it, and asks. One that learns sees it."""

    def pay(trust: TrustStore | None) -> TradeView:
        client = Client(configured(trust, interface=interface), send=Gateway(), clock=Hands(NOW))
        return client.scan("A1", Money(1_000), "tea", "281234567890123456")

    with pytest.raises(OutcomeUnknown) as unknown:
        pay(None)
    cause = unknown.value.__cause__
    assert isinstance(cause, InvalidSignature)
    assert (cause.code, cause.serial) == ("KEY_UNKNOWN", serial_of(NEW.chain[0]))
    assert pay(TrustStore()).state is TradeState.PAID


def test_T20_a_certificate_that_was_learnt_counts_beside_the_next(sqlite_database: Database, tmp_path: Path) -> None:
    """They are learnt one at a time, and a notification under the last one may be repeated for a day: it needs no
    question. So it is after a restart."""
    gateway, clock = Gateway(), Hands(NOW)
    shop = opened(sqlite_database, gateway, configured(TrustStore(tmp_path)), clock)
    late = [gateway.tell(number) for number in ("A1", "A3")]
    assert shop.receiver.accept_notification(late[0]).verdict.kind is VerdictKind.APPLIED
    gateway.key, clock.now = renewed(8), later(NOW, AGAIN)
    assert shop.receiver.accept_notification(gateway.tell("A2")).verdict.kind is VerdictKind.APPLIED
    assert gateway.asked == ASKED * 2
    again = replace(shop.endpoint, configuration=configured(TrustStore(tmp_path)))
    restarted = Receiver([again], OrderTable(), sqlite_database, clock=clock, send=gateway)
    assert restarted.accept_notification(late[1]).verdict.kind is VerdictKind.APPLIED
    assert gateway.asked == ASKED * 2


def test_F14_a_payment_is_no_error_because_the_disk_has_one(tmp_path: Path) -> None:
    """The certificate is learnt after the answer came, and money moved: it counts, and is not asked for again."""
    folder, gateway = tmp_path / "trust", Gateway()
    client = Client(configured(TrustStore(folder)), send=gateway, clock=Hands(NOW))
    folder.rmdir()
    assert client.scan("A1", Money(1_000), "tea", "281234567890123456").state is TradeState.PAID
    assert client.query("A1").state is TradeState.PAID
    assert gateway.asked == [CreateTrade, FetchCertificates, QueryTrade]


def test_T20_forged_notifications_make_a_shop_ask_once_in_five_minutes(sqlite_database: Database) -> None:
    """However many come, under whatever number. None is taken, and nothing is taken from the answers: the platform goes
    on signing as it did, and its genuine notification counts meanwhile."""
    gateway, forger, clock = Gateway(PAIR.ring.sign[-1]), Gateway(renewed(8)), Hands(NOW)
    shop = opened(sqlite_database, gateway, configured(TrustStore()), clock)

    def forge() -> set[str]:
        told = [shop.receiver.accept_notification(forger.tell(f"A{place % 3 + 1}")) for place in range(8)]
        assert {one.response.body for one in told} == {b"fail"}
        return {one.verdict.reason for one in told}

    assert forge() == {"SIGN_INVALID"}
    assert gateway.asked == [QueryTrade]
    assert shop.receiver.accept_notification(gateway.tell("A2")).verdict.kind is VerdictKind.APPLIED
    clock.now = later(NOW, AGAIN - 1)
    forge()
    assert gateway.asked == [QueryTrade]
    clock.now = later(NOW, AGAIN)
    forge()
    assert gateway.asked == [QueryTrade] * 2
    assert shop.count("stock_taken") == 1


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T20_forged_numbers_use_up_no_turn_to_ask(sqlite_database: Database, interface: str) -> None:
    """A trade that the shop did not open, or opened elsewhere, is nobody's: the platform's unsigned failure about it
    would teach nothing, and the genuine notifications under the new certificate would be refused for five minutes."""
    gateway, forger = Gateway(), Gateway(renewed(8))
    shop = opened(sqlite_database, gateway, configured(TrustStore(), interface=interface), Hands(NOW))
    shop.order("B1", endpoint="elsewhere")
    forged = [shop.receiver.accept_notification(forger.tell(number)).verdict for number in ("A9", "a1", "B1", "A99")]
    assert {(one.kind, one.reason) for one in forged} == {(VerdictKind.REFUSED, "SIGN_INVALID")}
    assert gateway.asked == []
    assert shop.receiver.accept_notification(gateway.tell("A1")).verdict.kind is VerdictKind.APPLIED
    assert gateway.asked == ASKED


def first_effect(shop: Shop, message: Request) -> object:
    """What taking in a notification wants to have done first."""
    core = shop.receiver._core.notification(message)
    effect = next(core)
    core.close()
    return effect


def assert_five_seconds(effect: object) -> None:
    """It is a question, and none of its times is longer."""
    assert isinstance(effect, Send)
    limits = effect.limits
    assert (limits.connect_seconds, limits.first_byte_seconds, limits.total_seconds) == (5, 5, 5)


def test_T20_a_made_up_serial_number_holds_a_notification_five_seconds_at_most(sqlite_database: Database) -> None:
    """While somebody else's question for the certificates hangs: whoever sends forged ones would hold as many threads
    as he likes for a minute."""
    pair, trust, clock = make_pair("wechatpay_v3", "WECHATPAY2-SHA256-RSA2048"), TrustStore(), Hands(NOW)
    configuration = MerchantConfiguration(
        protocol="wechatpay_v3", credentials=pair.settings, environment="sandbox", gateway="http://127.0.0.1:1",
        notify_url="https://shop.example.com/wechat/notify", trust=trust,
    )  # fmt: skip
    shop = make_shop(sqlite_database, configuration=configuration, clock=clock)
    hanging = trust.begin(configuration.loaded, NOW)
    assert hanging is not None
    told = pair.manifest.server.notify(
        Notification(id="n1", at=NOW, trade=view("A1")), configuration.notify_url, pair.ring, NOW
    )
    headers = tuple((name, b"77" if name.lower() == b"wechatpay-serial" else value) for name, value in told.headers)
    message = replace(told, headers=headers)
    waits = first_effect(shop, message)
    assert isinstance(waits, Wait)
    assert waits.seconds == 5
    hanging.end()
    clock.now = later(NOW, AGAIN)
    assert_five_seconds(first_effect(shop, message))


def test_T20_a_notification_gives_each_of_its_questions_five_seconds(sqlite_database: Database) -> None:
    """The one about its trade, and the one for the certificate that its answer names; a till's own question has the
    configured time."""
    gateway, configuration = Gateway(), configured(TrustStore())
    shop = opened(sqlite_database, gateway, configuration, Hands(NOW))
    given: list[Limits] = []

    def send(request: Request, limits: Limits) -> Response:
        given.append(limits)
        return gateway(request, limits)

    receiver = Receiver([shop.endpoint], OrderTable(), sqlite_database, clock=Hands(NOW), send=send)
    assert receiver.accept_notification(gateway.tell("A1")).verdict.kind is VerdictKind.APPLIED
    assert gateway.asked == ASKED
    assert given == [configuration.limits.within(5)] * 2
    given.clear()
    Client(configured(TrustStore()), send=send, clock=Hands(NOW)).query("A1")
    assert given == [configuration.limits] * 2


def test_T20_where_nothing_can_be_learnt_nothing_is_asked(sqlite_database: Database) -> None:
    """In key mode, about another application's message, and about one that names no trade or none that could be asked
    for: none of these uses up the turn to ask. A platform that does not answer changes nothing about the refusal."""
    gateway = Gateway()
    shop = opened(sqlite_database, gateway, configured(TrustStore()), Hands(NOW))
    other = replace(shop, endpoint=replace(shop.endpoint, configuration=configured(TrustStore(), mode="key")))
    genuine = gateway.tell("A1")
    foreign = replace(genuine, body=genuine.body.replace(PAIR.credentials.merchant.encode(), b"2021000000000009"))
    nameless = replace(genuine, body=genuine.body.replace(b"out_trade_no=A1", b"out_trade_no="))
    endless = replace(genuine, body=genuine.body.replace(b"out_trade_no=A1", b"out_trade_no=" + b"A" * 65))
    told = [
        other.receiver.accept_notification(genuine),
        *(shop.receiver.accept_notification(message) for message in (foreign, nameless, endless)),
    ]
    assert gateway.asked == []
    gateway.dumb = True
    told.append(shop.receiver.accept_notification(genuine))
    assert gateway.asked == [QueryTrade]
    assert {(one.verdict.kind, one.verdict.reason) for one in told} == {(VerdictKind.REFUSED, "SIGN_INVALID")}


# --- who asks, and who waits -----------------------------------------------------------------------------------------


class Counted(SystemEntropy):
    """Chance that counts how often it is asked."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, size: int) -> bytes:
        self.drawn += 1
        return super().token(size)


def end(core: Core[bool], step: Callable[[], object]) -> bool:
    """What a core gives that ends with this step."""
    with pytest.raises(StopIteration) as stop:
        step()
    return bool(stop.value.value)


@pytest.mark.parametrize("good", [True, False])
def test_who_waits_hears_how_it_ended_and_signs_nothing(good: bool) -> None:
    """Of three who meet an unknown certificate one asks and signs. The others hear what became of it, also where
    nothing did; who comes too soon after it signs nothing either."""
    pair = make_pair("wechatpay_v3", "WECHATPAY2-SHA256-RSA2048")
    entropy, clock = Counted(), Hands(NOW)
    configuration = MerchantConfiguration(
        protocol="wechatpay_v3", credentials=pair.settings, environment="sandbox", gateway="http://127.0.0.1:1",
        trust=TrustStore(), entropy=entropy,
    )  # fmt: skip
    first, *others = (learn(configuration, clock) for _ in range(3))
    asked = next(first)
    assert isinstance(asked, Send)
    drawn = entropy.drawn
    assert drawn > 0
    assert [type(next(one)) for one in others] == [Wait, Wait]
    if good:
        claim = pair.manifest.server.claim(asked.request)
        answer = pair.manifest.server.answer(claim, CertificatesFound(), pair.ring, NOW)
        assert end(first, lambda: first.send(answer))
    else:
        assert not end(first, lambda: first.throw(NoAnswer("TIMEOUT", "lost by the test")))
    assert [end(one, lambda one=one: one.send(None)) for one in others] == [good, good]  # type: ignore[misc]
    late = learn(configuration, clock)
    assert not end(late, lambda: next(late))
    assert entropy.drawn == drawn


def test_T20_a_second_new_certificate_waits_for_its_turn() -> None:
    """Numbers are made up as easily as messages: within five minutes of one question none is asked for another number.
    Without a number there is nothing to ask, and no turn is used up."""
    configuration, clock = configured(TrustStore()), Hands(NOW)

    def asks(serial: str, at: Instant) -> bool:
        clock.now = at
        core = learn(configuration, clock, serial=serial, asked=not serial)
        effect = next(core, None)
        core.close()
        return isinstance(effect, Send)

    one, two = (serial_of(key.chain[0]) for key in (NEW, renewed(8)))
    assert [asks(serial, NOW) for serial in ("", one, two)] == [False, True, False]
    assert [asks(two, later(NOW, gap)) for gap in (AGAIN - 1, AGAIN)] == [False, True]
