"""By what the platform signs for a WeChat Pay merchant: its certificate, its public key, or both during a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest

from tests.contract.harness import Ear
from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.system import SystemClock
from tongbao.merchant.transport import HttpTransport
from tongbao.merchant.trust import TrustStore
from tongbao.protocols.wechatpay_v3.codec import PROBE, answer_text, verify
from tongbao.testing.sandbox import LocalSandbox, SandboxError
from tongbao.wire.http import Request, Response, post
from tongbao.wire.key import Key
from tongbao.wire.sign import load_rsa_public
from tongbao.wire.vocabulary import Presentation
from tongbao.wire.world import Limits, NoAnswer, NotSent

pytestmark = pytest.mark.slow
T = TypeVar("T")
NAME = "wechatpay_v3"
ALGORITHM = "WECHATPAY2-SHA256-RSA2048"
PUBLIC = ("wechatpay_public_key", "wechatpay_public_key_id")
CERTIFIED = ("platform_certificate", "platform_serial_no")


def configured(box: LocalSandbox, notify_url: str, *without: str) -> MerchantConfiguration:
    said = box.configuration(NAME, notify_url=notify_url)
    return replace(said, credentials={name: value for name, value in said.credentials.items() if name not in without})


def change(box: LocalSandbox, trust: str, **more: str) -> Any:
    merchant = box.credentials["protocols"][NAME]["mchid"]
    return box.control("POST", "trust", {"protocol": NAME, "merchant": merchant, "trust": trust, **more})


def serials(box: LocalSandbox, client: Client, ear: Ear, prefix: str, count: int) -> list[str]:
    """The names under which notifications come: each order opened, paid and told of once."""
    seen = len(ear.heard)
    for place in range(count):
        client.create(f"{prefix}-ORDER-{place}", Money(100), "茶", presentation=Presentation.QR)
        box.pay(f"{prefix}-ORDER-{place}")
    ear.wait(seen + count)
    return [headers["Wechatpay-Serial"] for _, headers, _ in ear.heard[seen:]]


@pytest.mark.parametrize("trust", ["certificate", "public_key"])
def test_a_merchant_who_trusts_the_public_key_alone(box: LocalSandbox, trust: str) -> None:
    """His answers come under its id because he asks for it; notifications too once the platform signs by nothing else,
    and there are no certificates to fetch."""
    change(box, trust)
    said = box.credentials["protocols"][NAME]
    with Ear(b"", status=204) as ear, Client(configured(box, ear.url, *CERTIFIED)) as client:
        (serial,) = serials(box, client, ear, "P", 1)
        assert client.query("P-ORDER-0").is_paid
        if trust == "certificate":
            assert serial == said["platform_serial_no"]
            return
        assert serial == said["wechatpay_public_key_id"]
        with pytest.raises(Refused) as caught:
            client.call("GET /v3/certificates", {})
        assert "RESOURCE_NOT_EXISTS" in caught.value.detail
    with Client(configured(box, "http://127.0.0.1:9/notify", *PUBLIC)) as late, pytest.raises(InvalidSignature):
        late.query("P-ORDER-0")


def test_who_cannot_change(box: LocalSandbox) -> None:
    """A protocol without such a name, a stranger, a word that is none."""
    for more in ({"protocol": "alipay_openapi"}, {"merchant": "1900000999"}):
        with pytest.raises(SandboxError):
            change(box, "both", **more)
    with pytest.raises(SandboxError, match="trust: one of certificate, both, public_key"):
        change(box, "nothing")


class Lossy:
    """A shop's way to the platform: some requests get lost, some answers, some requests arrive twice."""

    def __init__(self, inner: HttpTransport, seed: int) -> None:
        self._inner = inner
        self._random = Random(seed)
        self.lost = 0

    def __call__(self, request: Request, limits: Limits) -> Response:
        fate = self._random.randrange(10)
        self.lost += fate < 2
        if fate == 0:
            raise NotSent("CONNECT", "lost by the test")
        answer = self._inner(request, limits)
        if fate == 1:
            raise NoAnswer("TIMEOUT", "lost by the test")
        if fate == 2:
            self._inner(request, limits)
        return answer


def insist(act: Callable[[], T]) -> T:
    """Ask again while nothing comes back, as a shop does. Whatever else goes wrong is raised."""
    for _ in range(20):
        try:
            return act()
        except (NotSent, OutcomeUnknown):
            continue
    raise AssertionError("twenty times lost")


class Judge:
    """What every shop of now (``shops``) makes of each notification, against what it is: genuine if the platform's pair
    signed it, under whichever name. Only genuine ones are acknowledged, so that the others are repeated."""

    def __init__(self, public_key: str) -> None:
        self._only = Key("any", 1, ALGORITHM, load_rsa_public(public_key, "key"))
        self.shops: tuple[MerchantConfiguration, ...] = ()
        self.taken: Counter[str] = Counter()
        self.told: set[str] = set()
        self.wrong: list[str] = []

    def __call__(self, headers: dict[str, str], body: bytes) -> bool:
        serial, signature = headers["Wechatpay-Serial"], headers["Wechatpay-Signature"]
        text = answer_text(headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"], body)
        genuine = verify(text, signature, self._only)
        pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
        for shop in self.shops:
            sent = replace(post(shop.notify_url, body, "application/json"), headers=pairs)
            try:
                trade = shop.manifest.client.decode_notification(sent, shop.keys, SystemClock().wire()).trade
            except RemoteProtocolError as error:
                if genuine:
                    self.wrong.append(f"{serial} refused: {error}")
                continue
            self.told.add(trade.out_trade_no)
            if not genuine:
                self.wrong.append(f"{serial} taken: {trade.out_trade_no}")
        self.taken[serial if genuine else "probe" if signature.startswith(PROBE) else "changed"] += 1
        return genuine


def trade_on(box: LocalSandbox, shop: MerchantConfiguration, lane: str, judge: Judge) -> int:
    """Six orders opened, paid, queried and told of, over a bad line; how many messages of the shop were lost."""
    with HttpTransport(shop) as line:
        send = Lossy(line, int(lane))
        client = Client(shop, send=send)
        if not any(key.algorithm == ALGORITHM for key in shop.keys.ring.verify):
            assert any(client.refresh_certificates() for _ in range(20))
        numbers = [f"CHANGE-{lane}-{one}" for one in range(6)]
        for number in numbers:
            insist(partial(client.create, number, Money(100), "茶", presentation=Presentation.QR))
            box.pay(number)
            assert insist(partial(client.query, number)).is_paid
    box.advance(86_400 + 600)
    assert judge.told >= set(numbers)
    return send.lost


def test_T20_from_certificates_to_the_public_key_without_a_failed_verification(box: LocalSandbox) -> None:
    """The whole change, while messages get lost, come twice, are changed on their way or are probes: shops with kept or
    configured certificates take the public key in beside them, the platform signs by both, then by the public key
    alone, and the shops let the certificates go. Nothing genuine is ever refused, nothing else is ever taken."""
    said = box.credentials["protocols"][NAME]
    judge = Judge(said["wechatpay_public_key"])
    noise = [("lose_request", 10), ("lose_answer", 20), ("twice", 20), ("tamper", 15), ("probe", 15)]
    faults = [{"what": what, "percent": percent, "target": "/notify"} for what, percent in noise]
    names = {said["platform_serial_no"], said["wechatpay_public_key_id"]}
    losses = 0
    with Ear(b"", status=204, judge=judge) as ear:
        keeping = replace(configured(box, ear.url, *PUBLIC, *CERTIFIED), trust=TrustStore())
        moving = replace(configured(box, ear.url, *CERTIFIED), trust=keeping.trust)
        certified, both = configured(box, ear.url, *PUBLIC), configured(box, ear.url)
        public = configured(box, ear.url, *CERTIFIED)
        phases = (
            ("certificate", (keeping, certified)),
            ("certificate", (keeping, both)),
            ("both", (moving, both)),
            ("public_key", (moving, public)),
            ("public_key", (public,)),
        )
        for place, (trust, shops) in enumerate(phases):
            change(box, trust)
            box.control("POST", "faults", {"faults": faults, "seed": place + 1})
            judge.shops, before = shops, Counter(judge.taken)
            losses += sum(trade_on(box, shop, f"{place}{lane}", judge) for lane, shop in enumerate(shops))
            used = names & set(judge.taken - before)
            assert len(used) == (2 if trust == "both" else 1), (place, used)
        assert judge.wrong == []
        assert min(judge.taken["probe"], judge.taken["changed"], losses) > 0, (judge.taken, losses)
        with Client(certified) as late, pytest.raises(InvalidSignature):
            late.query("CHANGE-40-0")
        assert box.audit() == "clean"
