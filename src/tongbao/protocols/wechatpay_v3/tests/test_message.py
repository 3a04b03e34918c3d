"""What the generic laws do not see: headers, single bytes, the change of keys, the platform's own error answers."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tests.protocol.sample import simple_intents
from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, later
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.http import Request
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    Expiry,
    Notification,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeState,
    TradeView,
)

TARGET = "https://shop.example.com/notify"


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


def paid(pair: Pair, **more: object) -> TradeView:
    view = TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no="T20250101000001",
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
        echo={"appid": "wxd930ea5d5a258f4f", "trade_type": "NATIVE"},
    )
    return replace(view, **more)  # type: ignore[arg-type]


def told(pair: Pair) -> Request:
    return pair.manifest.server.notify(Notification(id="EV-1", at=None, trade=paid(pair)), TARGET, pair.ring, NOW)


def test_F24_every_repeat_has_the_body_of_the_first(pair: Pair) -> None:
    """Whatever is told: a payment, a refund's end, and a refund that has not ended."""
    view = RefundView(
        merchant=pair.credentials.merchant, refund_no="R1", refund_id="50000000000000000000000000001",
        trade_no=paid(pair).trade_no, out_trade_no="T20250101000001", state=MovementState.ACCEPTED, stuck=True,
        amount=Money(1), total=Money(101), created_at=NOW,
    )  # fmt: skip
    done = replace(view, stuck=False, state=MovementState.SUCCEEDED, ended_at=NOW)
    for refund in (None, done, view):
        note = Notification(id="EV-1", at=None, happened_at=NOW, trade=paid(pair), refund=refund)
        first, last = (pair.manifest.server.notify(note, TARGET, pair.ring, at) for at in (NOW, later(NOW, 86_400_000)))
        assert (first.body == last.body, first.headers == last.headers) == (True, False)


def test_every_flipped_byte_of_a_notification_is_refused(pair: Pair) -> None:
    """Body and signature headers: whatever single byte is changed, the notification is refused."""
    sent, client = told(pair), pair.manifest.client
    assert client.decode_notification(sent, pair.credentials, NOW).trade.amount == Money(101)
    for place in range(len(sent.body)):
        flipped = bytearray(sent.body)
        flipped[place] ^= 1
        with pytest.raises(RemoteProtocolError):
            client.decode_notification(replace(sent, body=bytes(flipped)), pair.credentials, NOW)
    for number, (name, value) in enumerate(sent.headers):
        if not name.startswith(b"Wechatpay-"):
            continue
        for place in range(len(value)):
            changed = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
            headers = (*sent.headers[:number], (name, changed), *sent.headers[number + 1 :])
            with pytest.raises(RemoteProtocolError):
                client.decode_notification(replace(sent, headers=headers), pair.credentials, NOW)
        if name == b"Wechatpay-Serial":
            # a serial number is a number: its letters' case says nothing
            headers = (*sent.headers[:number], (name, value.lower()), *sent.headers[number + 1 :])
            assert value != value.lower()
            assert client.decode_notification(replace(sent, headers=headers), pair.credentials, NOW).id == "EV-1"
        headers = sent.headers[:number] + sent.headers[number + 1 :]
        if name != b"Wechatpay-Signature-Type":
            with pytest.raises(InvalidSignature):
                client.decode_notification(replace(sent, headers=headers), pair.credentials, NOW)
        with pytest.raises(InvalidSignature):
            client.decode_notification(replace(sent, headers=(*sent.headers, (name, value))), pair.credentials, NOW)


SCANNED = CreateTrade(
    merchant="",
    out_trade_no="T20250101000001",
    product=Product.INSTANT,
    subject="测试商品",
    amount=Money(101),
    presentation=Presentation.BARCODE,
    code="130123456789012345",
)


def test_a_buyer_who_must_still_agree_is_told_signed(pair: Pair) -> None:
    """202 and the order: changed or unsigned it is refused, and it never says that money moved."""
    server, client = pair.manifest.server, pair.manifest.client
    claim, _ = pair.read(client.encode(SCANNED, pair.credentials, NOW).request())
    answer = server.refuse(claim, Refused("BUYER_PAYING"), pair.ring, NOW)
    assert (answer.status, codec.read_body(answer.body)["trade_state"]) == (202, "USERPAYING")
    read = client.decode(SCANNED, answer, pair.credentials, NOW)
    assert read == Rejection("BUYER_PAYING", "USER_PAYING", "用户支付中，需要输入密码")
    for wrong in (
        replace(answer, body=answer.body.replace(b"USERPAYING", b"SUCCESSFUL")),
        replace(answer, headers=()),
        replace(server.answer(claim, TradeFound(paid(pair)), pair.ring, NOW), status=202),
    ):
        with pytest.raises(RemoteProtocolError):
            client.decode(SCANNED, wrong, pair.credentials, NOW)
    with pytest.raises(RemoteProtocolError):
        client.decode(SCANNED, replace(answer, status=200), pair.credentials, NOW)


def test_codes_have_eighteen_digits_of_the_wallets(pair: Pair) -> None:
    """From 10 to 15 on; everything else is refused before it is sent."""
    assert pair.ask(SCANNED)
    for code in ("280123456789012345", "13012345678901234", "160123456789012345", ""):
        with pytest.raises(LocalProtocolError):
            pair.ask(replace(SCANNED, code=code))


def test_header_names_have_the_platforms_case(pair: Pair) -> None:
    """Clients exist that look headers up letter by letter; ours reads them in any case."""
    sent = told(pair)
    names = [name for name, _ in sent.headers if name.startswith(b"Wechatpay-")]
    assert names == [
        b"Wechatpay-Nonce", b"Wechatpay-Signature", b"Wechatpay-Timestamp", b"Wechatpay-Serial",
        b"Wechatpay-Signature-Type",
    ]  # fmt: skip
    lower = replace(sent, headers=tuple((name.lower(), value) for name, value in sent.headers))
    assert pair.manifest.client.decode_notification(lower, pair.credentials, NOW).id == "EV-1"
    assert base64.b64decode(dict(sent.headers)[b"Wechatpay-Signature"])


def test_T24_freshness(pair: Pair) -> None:
    """Five minutes either way, and not a second more, on both sides."""
    sent, client, server = told(pair), pair.manifest.client, pair.manifest.server
    request = client.encode(QueryTrade(merchant="", out_trade_no="T1"), pair.credentials, NOW).request()
    for seconds in (-300, 300):
        client.decode_notification(sent, pair.credentials, later(NOW, seconds * 1_000))
        server.decode(server.claim(request), pair.ring, later(NOW, seconds * 1_000))
    for seconds in (-301, 301):
        for read in (
            lambda at: client.decode_notification(sent, pair.credentials, at),
            lambda at: server.decode(server.claim(request), pair.ring, at),
        ):
            with pytest.raises(InvalidSignature) as caught:
                read(later(NOW, seconds * 1_000))
            assert caught.value.code == "STALE"


def test_every_request_carries_a_nonce_of_its_own(pair: Pair) -> None:
    """Two requests, or one a millisecond later, have different nonces; the platform is told which may be seen once."""
    client = pair.manifest.client
    asked = [
        client.encode(intent, pair.credentials, at).request()
        for intent in simple_intents("wechatpay_v3")
        for at in (NOW, later(NOW, 1))
    ]
    seen = {pair.read(request)[1].once for request in asked}
    assert len(seen) == len(asked)
    assert "" not in seen


def test_error_answers(pair: Pair) -> None:
    """Unsigned JSON with a code and the status of the documents; nothing at all for a wrong path or method."""
    server = pair.manifest.server
    request = pair.manifest.client.encode(QueryTrade(merchant="", out_trade_no="T1"), pair.credentials, NOW).request()
    claim, _ = pair.read(request)
    for code, status, word in (
        ("TRADE_NOT_FOUND", 404, "ORDER_NOT_EXIST"),
        ("RATE_LIMITED", 429, "FREQUENCY_LIMITED"),
        ("NO_PRIVILEGE", 403, "NO_AUTH"),
        ("SYSTEM", 500, "SYSTEM_ERROR"),
        ("BUYER_PAYING", 202, "USER_PAYING"),
    ):
        answer = server.refuse(claim, Refused(code), pair.ring, NOW)
        assert (answer.status, json.loads(answer.body)["code"]) == (status, word)
        assert answer.header("Wechatpay-Signature") is None
        assert (answer.header("Request-ID") or "").startswith("08")
    for changed, status in ((replace(request, raw_path=b"/v3/nothing"), 404), (replace(request, method="POST"), 405)):
        with pytest.raises(RemoteProtocolError) as caught:
            server.claim(changed)
        answer = server.refuse(None, caught.value, None, NOW)
        assert (answer.status, answer.body) == (status, b"")
    with pytest.raises(RemoteProtocolError) as caught:
        server.claim(replace(request, headers=request.headers[:-1]))
    answer = server.refuse(None, caught.value, None, NOW)
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "SIGN_ERROR")


def test_create_is_strict(pair: Pair) -> None:
    """What the interface refuses is refused before anything is sent: short numbers, queries in addresses, four-byte
    characters, relative times, pages."""
    good = CreateTrade(
        merchant="",
        out_trade_no="T20250101000001",
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(101),
        presentation=Presentation.QR,
    )
    pair.ask(good)
    for name, value in (
        ("out_trade_no", "T1234"),
        ("out_trade_no", "T" * 33),
        ("notify_url", "https://shop.example.com/n?a=1"),
        ("subject", "茶\U0001f375"),
        ("subject", "茶" * 128),
        ("expiry", Expiry(3_600)),
        ("presentation", Presentation.PAGE),
        ("presentation", Presentation.WALLET),
        ("presentation", Presentation.H5),
        ("amount", Money(0)),
        ("amount", Money(1, "USD")),
        ("return_url", "https://shop.example.com/back"),
    ):
        with pytest.raises(LocalProtocolError):
            pair.ask(replace(good, **{name: value}))  # type: ignore[arg-type]
    until = Instant(NOW + 3_600_000)
    read = pair.ask(replace(good, expiry=Expiry(0, until)))[0][2].intent
    assert isinstance(read, CreateTrade)
    assert read.expiry == Expiry(0, until)


def test_a_refund_may_become_abnormal(pair: Pair) -> None:
    """Each end of a refund is its own event, with the time of success only where there is one; where the buyer cannot
    be reached, it has not ended."""
    for state, stuck, event in (
        (MovementState.SUCCEEDED, False, "REFUND.SUCCESS"),
        (MovementState.CLOSED, False, "REFUND.CLOSED"),
        (MovementState.ACCEPTED, True, "REFUND.ABNORMAL"),
    ):
        view = RefundView(
            stuck=stuck,
            refund_no="R1",
            refund_id="50000000000000000000000000001",
            trade_no="4200000000202501010000000001",
            out_trade_no="T20250101000001",
            state=state,
            amount=Money(1),
            total=Money(101),
            ended_at=NOW,
        )
        sent = pair.manifest.server.notify(Notification(id="EV-1", at=None, refund=view), TARGET, pair.ring, NOW)
        assert json.loads(sent.body)["event_type"] == event
        read = pair.manifest.client.decode_notification(sent, pair.credentials, NOW)
        assert read.refund is not None
        assert (read.refund.state, read.refund.stuck) == (state, stuck)
        assert read.refund.ended_at == (NOW if state is MovementState.SUCCEEDED else None)


def test_close_answers_204_signed(pair: Pair) -> None:
    """Nothing, signed: a changed header is noticed even so."""
    intent = CloseTrade(merchant="", out_trade_no="T20250101000001")
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    answer = pair.manifest.server.answer(claim, Done(), pair.ring, NOW)
    assert (answer.status, answer.body) == (204, b"")
    assert pair.manifest.client.decode(intent, answer, pair.credentials, NOW) == Done()
    headers = tuple(header for header in answer.headers if header[0] != b"Wechatpay-Signature")
    with pytest.raises(InvalidSignature):
        pair.manifest.client.decode(intent, replace(answer, headers=headers), pair.credentials, NOW)


def test_T84_settings_are_checked(pair: Pair) -> None:
    """Keys that do not belong together, ids that are none and missing trust are named."""
    other = make_pair("wechatpay_v3", m.ALGORITHM, number=1)
    good = dict(pair.settings)
    for name, value in (
        ("mchid", "19000001"[:5]),
        ("appid", "wx 1"),
        ("certificate", other.settings["certificate"]),
        ("serial_no", other.settings["serial_no"]),
        ("wechatpay_public_key_id", "PUB_1"),
        ("platform_certificate", "-----BEGIN CERTIFICATE-----"),
        ("apiv3_key", "k" * 31 + "1" * 2),
        ("gateway", "api.mch.weixin.qq.com"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            pair.manifest.client.load({**good, name: value})
        assert caught.value.field == name


def test_T17_lax_json_is_refused(pair: Pair) -> None:
    """Fractions, nulls, escapes of characters that are none, doubled names: refused wherever they stand."""
    good = CreateTrade(
        merchant="",
        out_trade_no="T20250101000001",
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(101),
        presentation=Presentation.QR,
    )
    body = pair.manifest.client.encode(good, pair.credentials, NOW).body
    assert body is not None
    assert codec.read_body(body)["amount"]["total"] == 101
    for old, new in (
        (b'"total":101', b'"total":101.0'),
        (b'"total":101', b'"total":1e2'),
        (b'"total":101', b'"total":null'),
        (b'"total":101', b'"total":"101"'),
        (b'"total":101', b'"total":true'),
        (b'"total":101', b'"total":101,"total":1'),
        ("测试商品".encode(), b"\\u0000"),
        ("测试商品".encode(), b"\\ud800"),
        ("测试商品".encode(), b"a\x7fb"),
        ('"description":"测试商品"'.encode(), b'"description":1.5'),
    ):
        changed = body.replace(old, new)
        assert changed != body
        key = next(key for key in pair.credentials.ring.sign if key.algorithm == m.ALGORITHM)
        at = str(NOW // 1_000)
        text = codec.request_text("POST", b"/v3/pay/transactions/native", at, "n", changed)
        proof = codec.Proof(pair.credentials.merchant, codec.serial_of(key), at, "n", codec.sign(text, key))
        headers = tuple(
            (name, codec.write_authorization(proof).encode() if name == b"Authorization" else value)
            for name, value in pair.manifest.client.encode(good, pair.credentials, NOW).headers
        )
        request = pair.manifest.client.encode(good, pair.credentials, NOW).request()
        with pytest.raises(RemoteProtocolError):
            pair.read(replace(request, headers=headers, body=changed))
