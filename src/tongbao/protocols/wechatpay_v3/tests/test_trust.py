"""The platform's certificates and its public key: which of them signs and hides, what is fetched, and the change."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.protocol.bench import NOW, Pair, make_pair
from tests.protocol.sample import simple_intents
from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, later
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.sandbox.chain import FROM, UNTIL
from tongbao.wire.certificate import chain_pem
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.movement import CertificatesFound, FetchCertificates, PayOut
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Notification, QueryTrade, TradeFound, TradeState, TradeView

TARGET = "https://shop.example.com/notify"


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


def paid(pair: Pair) -> TradeView:
    return TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no="T20250101000001",
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
        echo={"appid": "wxd930ea5d5a258f4f", "trade_type": "NATIVE"},
    )


def changing(pair: Pair) -> tuple[Key, Key]:
    """The platform's key with a certificate, and the pair by which it is to be known afterwards: a bare one."""
    fresh = make_pair("wechatpay_v3", m.ALGORITHM, number=1).ring.sign[-1]
    return pair.ring.sign[-1], Key("PUB_KEY_ID_0119000001092026010100000001", 1, m.ALGORITHM, fresh.material)


def public(key: Key) -> Key:
    assert isinstance(key.material, RSAPrivateKey)
    return replace(key, material=key.material.public_key())


def trusting(pair: Pair, *keys: Key) -> Credentials:
    """The merchant's credentials with these keys of the platform and no other."""
    ring = pair.credentials.ring
    return replace(pair.credentials, ring=replace(ring, verify=(ring.verify[0], *map(public, keys))))


def test_certificate_to_public_key_without_a_failed_verification(pair: Pair) -> None:
    """The whole change under traffic: certificate alone, both, public key alone. Every answer and notification verifies
    at merchants who have not changed, who change, and who have changed; who has a public key is answered under it."""
    certified, bare = changing(pair)
    retired = replace(certified, state=KeyState.RETIRING)
    content = pair.ring.sign[0]
    phases = [(certified,), (certified, bare), (bare, certified), (bare, retired), (bare,)]
    rings = [replace(pair.ring, sign=(content, *keys)) for keys in phases]
    merchants = (
        (trusting(pair, certified), rings[:1], certified),
        (trusting(pair, bare, certified), rings[1:], bare),
        (trusting(pair, bare), rings[3:], bare),
    )
    server, client = pair.manifest.server, pair.manifest.client
    named: Counter[str] = Counter()
    for own, spans, wanted in merchants:
        for signing in spans:
            for number in range(10):
                intent = QueryTrade(merchant="", out_trade_no="T20250101000001")
                claim = server.claim(client.encode(intent, own, later(NOW, number)).request())
                server.decode(claim, signing, NOW)
                answer = server.answer(claim, TradeFound(paid(pair)), signing, NOW)
                assert isinstance(client.decode(intent, answer, own, NOW), TradeFound)
                assert answer.header("Wechatpay-Serial") == codec.platform_name(wanted)
                note = server.notify(Notification(id=f"EV-{number}", at=None, trade=paid(pair)), TARGET, signing, NOW)
                assert client.decode_notification(note, own, NOW).trade.is_paid
                named[note.header("Wechatpay-Serial") or ""] += 1
    assert named.total() == 70
    assert min(named[codec.platform_name(certified)] - 10, named[bare.id] - 40) > 0  # each, while both are active
    note = server.notify(Notification(id="EV-1", at=None, trade=paid(pair)), TARGET, pair.ring, NOW)
    with pytest.raises(InvalidSignature):
        client.decode_notification(note, trusting(pair, bare), NOW)


def test_the_next_certificate_is_named_before_it_signs_and_the_old_one_answers_no_more(pair: Pair) -> None:
    """Whatever certificate a request names and hides a name for, of those that are handed out, the active one answers:
    who knows only the old one meets the new one, and must fetch it."""
    payout = next(intent for intent in simple_intents("wechatpay_v3") if isinstance(intent, PayOut))
    intent = replace(payout, merchant=pair.credentials.merchant, payee=replace(payout.payee, name="王小明"))
    old, new = pair.ring.sign[-1], make_pair("wechatpay_v3", m.ALGORITHM, number=1).ring.sign[-1]
    server, client = pair.manifest.server, pair.manifest.client
    for states, active in (((KeyState.ACTIVE, KeyState.NEXT), old), ((KeyState.RETIRING, KeyState.ACTIVE), new)):
        keys = [replace(key, state=state) for key, state in zip((old, new), states, strict=True)]
        ring = replace(pair.ring, sign=(pair.ring.sign[0], *keys))
        for known in (old, new):
            request = client.encode(intent, trusting(pair, known), NOW).request()
            assert request.header("Wechatpay-Serial") == codec.serial_of(known)
            claim = server.claim(request)
            assert server.decode(claim, ring, NOW).intent == intent
            answer = server.answer(claim, CertificatesFound(), ring, NOW)
            assert answer.header("Wechatpay-Serial") == codec.serial_of(active)
            assert len(json.loads(answer.body)["data"]) == 2
            if known is active:
                found = client.decode(FetchCertificates(merchant=""), answer, trusting(pair, known), NOW)
                assert isinstance(found, CertificatesFound)
                continue
            with pytest.raises(InvalidSignature) as caught:
                client.decode(QueryTrade(merchant="", out_trade_no="X1"), answer, trusting(pair, known), NOW)
            assert caught.value.code == "KEY_UNKNOWN"


def test_an_ended_certificate_hides_nothing(pair: Pair) -> None:
    """Of two configured certificates the one that is valid now encrypts; where none is, nothing is sent."""
    certified, _ = changing(pair)
    after = Instant(int(dt.datetime(2046, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000)
    payout = next(intent for intent in simple_intents("wechatpay_v3") if isinstance(intent, PayOut))
    intent = replace(payout, payee=replace(payout.payee, name="王小明"))
    other = make_pair("wechatpay_v3", m.ALGORITHM, number=1).ring.sign[-1]
    longer = replace(other, chain=(lasting(other, UNTIL + dt.timedelta(days=900)),))
    client = pair.manifest.client
    sent = client.encode(intent, trusting(pair, certified, longer), after).request()
    assert sent.header("Wechatpay-Serial") == codec.serial_of(longer)
    with pytest.raises(LocalProtocolError):
        client.encode(intent, trusting(pair, certified), after)


def lasting(key: Key, until: dt.datetime) -> x509.Certificate:
    """A certificate of the key's own that ends then."""
    assert isinstance(key.material, RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "platform")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.material.public_key())
        .serial_number(1 << 156)
        .not_valid_before(FROM)
        .not_valid_after(until)
        .sign(key.material, hashes.SHA256())
    )


def certificates(pair: Pair, ring: KeyRing) -> Response:
    """The answer to a merchant who knows no key of the platform yet."""
    request = pair.manifest.client.encode(FetchCertificates(merchant=""), trusting(pair), NOW).request()
    claim, _ = pair.read(request)
    return pair.manifest.server.answer(claim, CertificatesFound(), ring, NOW)


def test_first_certificates_are_proven_by_the_content_key(pair: Pair) -> None:
    """A merchant without any key of the platform fetches the certificates; a foreign APIv3 key proves nothing."""
    answer = certificates(pair, pair.ring)
    content = tuple(key for key in pair.credentials.ring.verify if key.algorithm == m.AEAD)
    bare = replace(pair.credentials, ring=replace(pair.credentials.ring, verify=content))
    found = pair.manifest.client.decode(FetchCertificates(merchant=""), answer, bare, NOW)
    platform = next(key for key in pair.ring.sign if key.chain)
    assert found == CertificatesFound("", (chain_pem(platform.chain[:1]),))
    said = json.loads(answer.body)["data"][0]
    assert said["serial_no"] == codec.serial_of(platform)
    assert set(said["encrypt_certificate"]) == {"algorithm", "ciphertext", "associated_data", "nonce"}
    other = make_pair("wechatpay_v3", m.ALGORITHM, number=1)
    with pytest.raises(RemoteProtocolError):
        pair.manifest.client.decode(FetchCertificates(merchant=""), certificates(pair, other.ring), bare, NOW)


def test_a_merchant_with_the_public_key_alone_has_no_certificates(pair: Pair) -> None:
    """His question is answered 404 RESOURCE_NOT_EXISTS."""
    plain = tuple(replace(key, chain=()) for key in pair.ring.sign)
    answer = certificates(pair, replace(pair.ring, sign=plain))
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "RESOURCE_NOT_EXISTS")


def test_an_unknown_serial_of_the_platform_is_refused(pair: Pair) -> None:
    """Wechatpay-Serial must name a key of the platform; an empty one, as of a first fetch, counts as none."""
    own = trusting(pair, pair.ring.sign[-1])
    request = pair.manifest.client.encode(FetchCertificates(merchant=""), own, NOW).request()
    empty = replace(request, headers=(*request.headers, (b"Wechatpay-Serial", b"")))
    assert pair.read(empty)[1].intent == FetchCertificates(merchant=pair.credentials.merchant)
    unknown = replace(request, headers=(*request.headers, (b"Wechatpay-Serial", b"6B" * 20)))
    with pytest.raises(RemoteProtocolError) as caught:
        pair.read(unknown)
    answer = pair.manifest.server.refuse(None, caught.value, pair.ring, NOW)
    said = json.loads(answer.body)
    assert (answer.status, said["code"]) == (400, "PARAM_ERROR")
    assert said["message"] == "平台证书序列号Wechatpay-Serial错误"
