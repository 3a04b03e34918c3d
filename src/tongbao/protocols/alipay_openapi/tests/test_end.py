"""Both ends in every mode: keys or certificates, plain or encrypted, gateway.do or REST, utf-8 or GBK."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tests.protocol.sample import said_intents
from tongbao.kernel.error import InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, Instant, later, parse_china
from tongbao.merchant.system import SystemEntropy
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.client import order_string
from tongbao.protocols.alipay_openapi.code import MESSAGE, TEXT, WIRE_CODE, http_status, public_code, word_of
from tongbao.protocols.alipay_openapi.codec import REQUEST_UNSIGNED, signed
from tongbao.protocols.alipay_openapi.envelope import Voice, dump_node, split_members, write_answer
from tongbao.wire.contract import Credentials
from tongbao.wire.form import encode_form, parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.json import read_object
from tongbao.wire.key import KeyRing, KeyState
from tongbao.wire.movement import (
    Answered,
    CallByName,
    CancelTrade,
    MovementState,
    PayOut,
    RefundFound,
    RefundTrade,
    RefundView,
    Split,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Intent,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeState,
    TradeView,
)

QUERY = QueryTrade(merchant="", out_trade_no="T1")
VIEW = TradeView(
    out_trade_no="T1",
    trade_no="2026010222001400000000000001",
    state=TradeState.PAID,
    amount=Money(1_234),
    buyer=Party("2088000000000099", "buyer@example.com"),
    paid_at=NOW,
)


def in_mode(mode: str = "key", interface: str = "v2", encrypt: str = "", charset: str = "utf-8") -> Pair:
    """The pair of the laws with other settings."""
    pair = make_pair("alipay_openapi", "RSA2", charset)
    said = {**pair.settings, "mode": mode, "interface": interface, "encrypt_type": encrypt}
    return replace(pair, credentials=PROTOCOL.client.load(said))


MODES = [
    (mode, interface, encrypt, charset)
    for mode, interface, encrypt, charset in product(
        ("key", "certificate"), ("v2", "v3"), ("", "AES"), ("utf-8", "gbk")
    )
    if interface == "v2" or charset == "utf-8"
]


@pytest.mark.parametrize(("mode", "interface", "encrypt", "charset"), MODES)
def test_every_operation_in_every_mode(mode: str, interface: str, encrypt: str, charset: str) -> None:
    """What the merchant says in any mode is read as he meant it; transfers alone want certificates."""
    pair = in_mode(mode, interface, encrypt, charset)
    for intent, operation, carriage in said_intents("alipay_openapi"):
        call = PROTOCOL.client.encode(intent, pair.credentials, NOW)
        claim = PROTOCOL.server.claim(call.request())
        assert (claim.operation, claim.carriage) == (operation, carriage)
        if mode == "key" and m.SERVICES[operation].by_certificate:
            with pytest.raises(RemoteProtocolError) as caught:
                PROTOCOL.server.decode(claim, pair.ring, NOW)
            assert caught.value.code == "CERT_REQUIRED"
            continue
        told = PROTOCOL.server.decode(claim, pair.ring, NOW).intent
        assert type(told) is type(intent)
        again = PROTOCOL.client.encode(told, pair.credentials, NOW)
        read = PROTOCOL.server.decode(PROTOCOL.server.claim(again.request()), pair.ring, NOW).intent
        assert without_echo(read) == without_echo(told)


def without_echo(intent: Intent) -> Intent:
    return replace(intent, echo={}) if isinstance(intent, CreateTrade) else intent


@pytest.mark.parametrize(("mode", "interface", "encrypt", "charset"), MODES)
def test_answers_in_every_mode(mode: str, interface: str, encrypt: str, charset: str) -> None:
    """Answers are signed, and encrypted where the request was; refusals come in clear with the same words."""
    pair = in_mode(mode, interface, encrypt, charset)
    client, server = PROTOCOL.client, PROTOCOL.server
    claim, _ = pair.read(client.encode(QUERY, pair.credentials, NOW).request())
    answer = server.answer(claim, TradeFound(VIEW), pair.ring, NOW)
    assert (b"TRADE_SUCCESS" in answer.body) is (encrypt == "")
    assert (b"alipay_cert_sn" in answer.body or answer.header("alipay-sn") is not None) is (mode == "certificate")
    told = client.decode(QUERY, answer, pair.credentials, NOW)
    assert isinstance(told, TradeFound)
    assert (told.trade.amount, told.trade.state) == (VIEW.amount, VIEW.state)
    with pytest.raises(RemoteProtocolError):
        client.decode(QUERY, replace(answer, body=answer.body.replace(b"1", b"2")), pair.credentials, NOW)
    refused = server.refuse(claim, Refused("TRADE_NOT_FOUND"), pair.ring, NOW)
    assert refused.status == (200 if interface == "v2" else 400)
    assert client.decode(QUERY, refused, pair.credentials, NOW) == Rejection(
        "TRADE_NOT_FOUND", "ACQ.TRADE_NOT_EXIST", "交易不存在"
    )
    waiting = server.refuse(claim, Refused("BUYER_PAYING"), pair.ring, NOW)
    assert client.decode(QUERY, waiting, pair.credentials, NOW) == Rejection("SYSTEM", "10003", "")


def rings_after(pair: Pair, other: Pair, state: KeyState) -> KeyRing:
    """The platform's ring when the application has new keys and the old ones are in ``state``."""
    old = tuple(replace(key, state=state) for key in pair.ring.verify)
    return replace(pair.ring, verify=(*other.ring.verify, *old))


@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_T84_keys_change_while_requests_are_on_their_way(mode: str) -> None:
    """Old and new are both good while the old one retires; revoked, it is refused at once."""
    pair, other = in_mode(mode), make_pair("alipay_openapi", "RSA2", "utf-8", 1)
    said = {**other.settings, "mode": mode, "alipay_public_key": pair.settings["alipay_public_key"]}
    said |= {"alipay_cert": pair.settings["alipay_cert"]}
    changed = PROTOCOL.client.load(said)
    old, new = (PROTOCOL.client.encode(QUERY, one, NOW).request() for one in (pair.credentials, changed))

    def read(request: Request, ring: KeyRing) -> object:
        return PROTOCOL.server.decode(PROTOCOL.server.claim(request), ring, NOW).intent

    during = rings_after(pair, other, KeyState.RETIRING)
    assert read(old, during) == read(new, during)
    after = rings_after(pair, other, KeyState.REVOKED)
    assert read(new, after) == read(new, during)
    with pytest.raises(InvalidSignature):
        read(old, after)


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T84_an_applications_certificate_ends_with_its_term(interface: str) -> None:
    """Neither after it nor before it; the refusal says that it is the certificate, not the signature."""
    pair = in_mode("certificate", interface)
    claim = PROTOCOL.server.claim(PROTOCOL.client.encode(QUERY, pair.credentials, NOW).request())
    for moment in ("2009-12-31 00:00:00", "2045-01-02 00:00:00"):
        with pytest.raises(InvalidSignature) as caught:
            PROTOCOL.server.decode(claim, pair.ring, parse_china(moment))
        refused = PROTOCOL.server.refuse(claim, caught.value, pair.ring, NOW)
        assert b"app-cert-expired" in refused.body
    assert isinstance(PROTOCOL.server.decode(claim, pair.ring, NOW).intent, QueryTrade)


def test_T20_the_platforms_certificate_changes() -> None:
    """An answer under a certificate that is not known is refused by its number; with it configured, it is read."""
    pair, other = in_mode("certificate"), make_pair("alipay_openapi", "RSA2", "utf-8", 1)
    moved = replace(pair.ring, sign=other.ring.sign)
    claim, _ = pair.read(PROTOCOL.client.encode(QUERY, pair.credentials, NOW).request())
    answer = PROTOCOL.server.answer(claim, TradeFound(VIEW), moved, NOW)
    with pytest.raises(InvalidSignature) as caught:
        PROTOCOL.client.decode(QUERY, answer, pair.credentials, NOW)
    assert (caught.value.code, caught.value.field) == ("KEY_UNKNOWN", "alipay_cert_sn")
    told = {**pair.settings, "alipay_cert": other.settings["alipay_cert"]}
    moved_credentials: Credentials = PROTOCOL.client.load(told)
    assert isinstance(PROTOCOL.client.decode(QUERY, answer, moved_credentials, NOW), TradeFound)


def test_any_method_by_name() -> None:
    """A method that has no word here is asked for by its name, and its verified answer told as it stands."""
    pair = in_mode("key")
    asked = CallByName(merchant="", method="alipay.trade.query", content={"out_trade_no": "T1"})
    claim, _ = pair.read(PROTOCOL.client.encode(asked, pair.credentials, NOW).request())
    answer = PROTOCOL.server.answer(claim, TradeFound(VIEW), pair.ring, NOW)
    told = PROTOCOL.client.decode(asked, answer, pair.credentials, NOW)
    assert isinstance(told, Answered)
    assert told.content["trade_status"] == "TRADE_SUCCESS"
    unknown = CallByName(merchant="", method="alipay.marketing.nothing", content={"a": 1})
    claim = PROTOCOL.server.claim(PROTOCOL.client.encode(unknown, pair.credentials, NOW).request())
    with pytest.raises(RemoteProtocolError) as caught:
        PROTOCOL.server.decode(claim, pair.ring, NOW)
    refused = PROTOCOL.server.refuse(claim, caught.value, pair.ring, NOW)
    assert PROTOCOL.client.decode(unknown, refused, pair.credentials, NOW) == Rejection(
        "UNKNOWN_SERVICE", "isv.invalid-method", "不存在的方法名"
    )


def test_a_share_that_a_refund_takes_back_is_named_by_who_gives_it_back() -> None:
    """``trans_out`` of a refund is the receiver of the share, ``trans_in`` the merchant; both ends say it so."""
    pair = in_mode()
    back = Split(receiver=Party("2088000000000044"), amount=Money(100), giver=Party("2088000000000001"))
    intent = RefundTrade(merchant="", refund_no="R1", out_trade_no="T1", amount=Money(300), splits=(back,))
    request = pair.manifest.client.encode(intent, pair.credentials, NOW).request()
    said = dict(parse_form(request.body))
    [share] = read_object(said["biz_content"].encode())["refund_royalty_parameters"]
    assert (share["trans_out"], share["trans_in"]) == ("2088000000000044", "2088000000000001")
    read = pair.read(request)[1].intent
    assert isinstance(read, RefundTrade)
    assert read.splits == (replace(back, kind=read.splits[0].kind, giver=Party(pair.credentials.merchant)),)


@pytest.mark.parametrize(
    ("state", "told", "channels"),
    [
        (MovementState.SUCCEEDED, "Y", [("BANKCARD", "CREDIT_CARD", "ICBC")]),
        (MovementState.ACCEPTED, "N", []),
    ],
)
def test_a_refund_is_told_as_done_when_it_is(state: MovementState, told: str, channels: list[object]) -> None:
    """A card's bank may still refuse what it has taken on: until then nothing has moved, whatever was asked."""
    pair = in_mode()
    intent = RefundTrade(merchant="", refund_no="R1", out_trade_no="T1", amount=Money(300))
    refund = RefundView(trade_no=VIEW.trade_no, out_trade_no="T1", state=state, amount=Money(300), refunded=Money(300))
    refund = replace(refund, method="credit", bank="ICBC")
    claim, _ = pair.read(PROTOCOL.client.encode(intent, pair.credentials, NOW).request())
    answer = PROTOCOL.server.answer(claim, RefundFound((refund,), VIEW, changed=True), pair.ring, NOW)
    node = read_object(answer.body)["alipay_trade_refund_response"]
    items = node.get("refund_detail_item_list", [])
    assert node["fund_change"] == told
    assert [(item["fund_channel"], item["fund_type"], item["bank_code"]) for item in items] == channels
    read = PROTOCOL.client.decode(intent, answer, pair.credentials, NOW)
    assert isinstance(read, RefundFound)
    assert read.refunds[0].state is (state if told == "Y" else None)


@pytest.mark.parametrize(("told", "believed"), [("2.99", False), ("", False), ("3.00", True), ("9.00", True)])
def test_T82_an_answer_to_another_refund_tells_of_too_little(told: str, believed: bool) -> None:
    """It does not name its request; what it says was given back in all must cover what was asked for, and be said."""
    pair = in_mode()
    intent = RefundTrade(merchant="", refund_no="R2", out_trade_no="T1", amount=Money(300))
    node = {"code": "10000", "msg": "Success", "fund_change": "Y", "trade_no": VIEW.trade_no, "out_trade_no": "T1"}
    node |= {"refund_fee": told} if told else {}
    voice = Voice("alipay_trade_refund_response", "utf-8", pair.ring.signing("RSA2"), trace="x")
    written = write_answer(node, voice)
    answer = written if isinstance(written, Response) else written.sign()
    if believed:
        assert isinstance(PROTOCOL.client.decode(intent, answer, pair.credentials, NOW), RefundFound)
        return
    with pytest.raises(RemoteProtocolError) as caught:
        PROTOCOL.client.decode(intent, answer, pair.credentials, NOW)
    assert caught.value.field == "refund_fee"


def test_an_order_string_is_the_signed_form() -> None:
    """What the app hands over is read at the gateway like any form, in any order."""
    pair = in_mode("key")
    order = CreateTrade(
        merchant="",
        out_trade_no="T1",
        product=Product.INSTANT,
        subject="测试 商品+1",
        amount=Money(1),
        presentation=Presentation.APP,
    )
    call = PROTOCOL.client.encode(order, pair.credentials, NOW)
    text = order_string(call)
    assert call.carriage is Carriage.DEVICE
    shuffled = "&".join(reversed(text.split("&"))).encode("ascii")
    claim, verified = pair.read(Request("POST", "http", "127.0.0.1", b"/gateway.do", b"", (), shuffled))
    assert (claim.operation, type(verified.intent)) == (m.APP_PAY, CreateTrade)


def test_a_wrong_signature_is_explained() -> None:
    """The answer ends with the string that the gateway built, escaped for a page, and is signed itself."""
    pair = in_mode("key")
    request = PROTOCOL.client.encode(QUERY, pair.credentials, NOW).request()
    claim = PROTOCOL.server.claim(replace(request, body=request.body.replace(b"T1", b"T2")))
    with pytest.raises(InvalidSignature) as caught:
        PROTOCOL.server.decode(claim, pair.ring, NOW)
    told = PROTOCOL.client.decode(
        QUERY, PROTOCOL.server.refuse(claim, caught.value, pair.ring, NOW), pair.credentials, NOW
    )
    assert isinstance(told, Rejection)
    assert told.wire_code == "isv.invalid-signature"
    assert told.detail.partition("：")[2].startswith("app_id=2021000000000001&amp;biz_content=")


def test_T10_an_empty_field_hides_no_shifted_border() -> None:
    """``biz_content`` swallowed by the field before it, under the same signature, with an empty field for the count."""
    pair = in_mode("key")
    asked = dict(PROTOCOL.client.encode(QUERY, pair.credentials, NOW).fields) | {"auth_token": "t", "charset": "utf-8"}
    key = pair.credentials.ring.signing("RSA2")
    fields = signed({name: asked[name] for name in asked if name != "sign"}, "utf-8", key, REQUEST_UNSIGNED).sign()
    content = fields.pop("biz_content")
    swallowed = fields | {"auth_token": f"t&biz_content={content}"}

    def read(said: dict[str, str]) -> object:
        body = encode_form(tuple(said.items()), "utf-8")
        return pair.read(Request("POST", "http", "127.0.0.1", b"/gateway.do", b"", (), body))[1].intent

    assert isinstance(read(fields | {"biz_content": content}), QueryTrade)
    for more in ({}, {"nothing": ""}):
        with pytest.raises(RemoteProtocolError) as caught:
            read(swallowed | more)
        assert caught.value.field == "suspected"


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T22_a_hidden_content_is_opened_only_after_its_signature(interface: str) -> None:
    """Whoever sends a caught ciphertext under a signature of his own has nothing of it read to him."""
    pair = in_mode("key", interface, "AES")
    strange = replace(pair.ring, verify=make_pair("alipay_openapi", "RSA2", "utf-8", 1).ring.verify)
    intent = CancelTrade(merchant="", out_trade_no="HIDDEN-NUMBER")
    request = PROTOCOL.client.encode(intent, pair.credentials, NOW).request()
    claim = PROTOCOL.server.claim(request)
    with pytest.raises(InvalidSignature) as caught:
        PROTOCOL.server.decode(claim, strange, NOW)
    # REST answers tell more than a word only where the status is not an error's
    for error in (caught.value, Refused("BUYER_PAYING")):
        assert b"HIDDEN-NUMBER" not in PROTOCOL.server.refuse(claim, error, pair.ring, NOW).body
    verified, _ = pair.read(request)
    assert b"HIDDEN-NUMBER" in PROTOCOL.server.refuse(verified, Refused("BUYER_PAYING"), pair.ring, NOW).body


@pytest.mark.parametrize(
    ("code", "word", "flag"),
    [("SYSTEM", "isp.unknow-error", "Y"), ("STATE_CONFLICT", "ACQ.CANCEL_NOT_ALLOWED", "N")],
)
def test_a_cancellation_says_whether_to_call_again(code: str, word: str, flag: str) -> None:
    """Once more where the platform does not know what became of it, not where it was refused."""
    pair = in_mode("key")
    intent = CancelTrade(merchant="", out_trade_no="T1")
    claim, _ = pair.read(PROTOCOL.client.encode(intent, pair.credentials, NOW).request())
    answer = PROTOCOL.server.refuse(claim, Refused(code), pair.ring, NOW)
    assert f'"retry_flag":"{flag}"'.encode() in answer.body
    told = PROTOCOL.client.decode(intent, answer, pair.credentials, NOW)
    assert isinstance(told, Rejection)
    assert (told.code, told.wire_code) == (code, word)


def test_a_claim_without_a_method_is_refused_in_general() -> None:
    """Where not even the method can be read, the error stands alone and unsigned."""
    with pytest.raises(RemoteProtocolError) as caught:
        PROTOCOL.server.claim(Request("POST", "http", "127.0.0.1", b"/gateway.do", b"", (), b"app_id=1"))
    answer = PROTOCOL.server.refuse(None, caught.value, None, NOW)
    assert answer.body.startswith(b'{"error_response":{"code":"40001"')
    assert b'"sign"' not in answer.body


def test_nodes_have_the_form_that_every_library_finds() -> None:
    """Result first, the rest by name, / escaped, Chinese as it is, braces within a text in pairs only."""
    content = {"b": "a/b", "code": "10000", "a": "测试 {x", "msg": "Success", "c": "{y}", "d": "}{", "e": "", "f": []}
    text = dump_node(content)
    assert text.startswith('{"code":"10000","msg":"Success","a":"测试 \\u007bx","b":"a\\/b","c":"{y}"')
    assert text.count("{") == text.count("}")
    assert read_object(text) == {name: value for name, value in content.items() if value}


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"a":1', '{"a":1}x', '{"a":1,"a":2}', "{1:2}", '{"a" 1}', '{"a":1;}', "{" * 2_000, '{"a":' * 2_000],
)
def test_broken_answers_are_refused(text: str) -> None:
    """What is no object with different members is one kind of error."""
    with pytest.raises(RemoteProtocolError):
        split_members(text)


@pytest.mark.parametrize(
    ("operation", "refused", "word"),
    [
        (m.REFUND, Refused("TRADE_STATE", state="unpaid"), "ACQ.TRADE_STATUS_ERROR"),
        (m.REFUND, Refused("TRADE_STATE", state="closed"), "ACQ.TRADE_HAS_CLOSE"),
        (m.CLOSE, Refused("TRADE_STATE", state="closed"), "ACQ.TRADE_STATUS_ERROR"),
        (m.REFUND, Refused("TRADE_AMOUNT_MISMATCH"), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"),
        (m.REFUND, Refused("REFUND_EXCEEDS"), "ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        (m.REFUND, Refused("LIMIT_EXCEEDED"), "ACQ.TRADE_NOT_ALLOW_REFUND"),
        (m.CANCEL, Refused("LIMIT_EXCEEDED"), "ACQ.CANCEL_NOT_ALLOWED"),
        (m.OAUTH, Refused("CODE_INVALID"), "isv.code-invalid"),
        (m.OAUTH, Refused("AUTHORISATION_INVALID"), "isv.refresh-token-invalid"),
    ],
)
def test_operations_have_words_of_their_own(operation: str, refused: Refused, word: str) -> None:
    """What the official lists of each method say (sheet alipay-openapi, 6.8, 6.10, 6.11 and 7)."""
    assert word_of(operation, refused) == word


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("paid", "ACQ.TRADE_HAS_SUCCESS"),
        ("finished", "ACQ.TRADE_HAS_SUCCESS"),
        ("closed", "ACQ.TRADE_HAS_CLOSE"),
        ("unpaid", "ACQ.TRADE_STATUS_ERROR"),
    ],
)
def test_only_a_paid_trade_is_told_as_paid(state: str, word: str) -> None:
    """The state decides which word there is for a trade that cannot be paid, not the English of the refusal."""
    assert word_of(m.PAY, Refused("TRADE_NOT_PAYABLE", "closed, paid or neither", state)) == word


def test_a_payment_that_waits_says_its_sum() -> None:
    """The buyer is asked in his wallet: 10003 with the order's number and sum, as it is written on answers."""
    pair = in_mode()
    intent = CreateTrade(
        merchant="",
        out_trade_no="T1",
        product=Product.INSTANT,
        subject="x",
        amount=Money(200_000),
        presentation=Presentation.BARCODE,
        code="280000000000000000",
    )
    claim, _ = pair.read(PROTOCOL.client.encode(intent, pair.credentials, NOW).request())
    answer = PROTOCOL.server.refuse(claim, Refused("BUYER_PAYING"), pair.ring, NOW)
    node = read_object(answer.body)["alipay_trade_pay_response"]
    assert (node["code"], node["out_trade_no"], node["total_amount"]) == ("10003", "T1", "2000.00")


def test_a_large_transfer_says_what_it_is_for() -> None:
    """``remark`` from 50,000 yuan on: neither end does without."""
    pair = in_mode("certificate")
    intent = PayOut(merchant="", payout_no="P1", payee=Payee(Party("2088000000000044")), amount=Money(4_999_999))
    request = PROTOCOL.client.encode(intent, pair.credentials, NOW).request()
    assert isinstance(pair.read(request)[1].intent, PayOut)
    with pytest.raises(LocalProtocolError) as local:
        PROTOCOL.client.encode(replace(intent, amount=Money(5_000_000)), pair.credentials, NOW)
    assert local.value.field == "memo"
    content = dict(read_object(dict(parse_form(request.body))["biz_content"].encode())) | {"trans_amount": "50000.00"}
    asked = CallByName(merchant="", method=m.TRANSFER, content=content)
    with pytest.raises(RemoteProtocolError) as remote:
        pair.read(PROTOCOL.client.encode(asked, pair.credentials, NOW).request())
    assert (remote.value.field, remote.value.code) == ("remark", "FIELD_MISSING")


def test_every_word_has_five_digits_and_a_status() -> None:
    """Whatever word is told, a public code with its text goes with it, and an HTTP status for REST."""
    words = {*WIRE_CODE.values(), *TEXT, *[word for own in PROTOCOL.codes_of.values() for word in own.values()]}
    for word in words:
        assert public_code(word) in MESSAGE
        assert http_status(word) in (200, 202, 400, 401, 404, 429, 500)
    assert (public_code("isv.missing-signature"), public_code("isv.invalid-signature")) == ("40001", "40002")
    assert (public_code("ACQ.TRADE_NOT_EXIST"), public_code("isv.app-call-limited")) == ("40004", "40005")


def test_rest_requests_age() -> None:
    """Ten minutes either way; the older interface compares no times."""
    rest, form = in_mode("key", "v3"), in_mode("key")
    for minutes, stale in ((9, False), (-9, False), (11, True), (-11, True)):
        moment: Instant = later(NOW, minutes * MINUTE)
        for pair, refused in ((rest, stale), (form, False)):
            claim = PROTOCOL.server.claim(PROTOCOL.client.encode(QUERY, pair.credentials, NOW).request())
            if refused:
                with pytest.raises(RemoteProtocolError) as caught:
                    PROTOCOL.server.decode(claim, pair.ring, moment)
                assert caught.value.code == "STALE"
            else:
                PROTOCOL.server.decode(claim, pair.ring, moment)


def test_T24_a_rest_request_may_be_seen_once() -> None:
    """The platform is told nonce and time as one word, of looks too. A form request has no nonce, and no word.

    The client draws its nonce by chance: the same said twice within one millisecond is two requests.
    """
    pair = in_mode(interface="v3")
    drawn = replace(pair, credentials=replace(pair.credentials, entropy=SystemEntropy()))
    seen = [drawn.ask(QUERY)[0][2].once for _ in range(2)]
    assert [word.partition(":")[2] for word in seen] == [str(NOW)] * 2
    assert len(set(seen)) == 2
    assert all(len(word.partition(":")[0]) == 32 for word in seen)
    assert in_mode().ask(QUERY)[0][2].once == ""


def test_the_interface_v3_has_no_word_for_pages() -> None:
    """Pages stay forms of gateway.do, whatever interface is configured."""
    pair = in_mode("key", "v3")
    order: dict[str, Any] = {"merchant": "", "out_trade_no": "T1", "product": Product.INSTANT, "subject": "x"}
    call = PROTOCOL.client.encode(CreateTrade(amount=Money(1), **order), pair.credentials, NOW)
    assert call.action().startswith("http://127.0.0.1:8080/gateway.do?charset=utf-8")
    assert dict(parse_form(call.request().body))["method"] == m.PAGE_PAY


def test_subjects_are_not_confused_with_fields() -> None:
    """A text that spells a field of the notification is refused where the order is made, not a day later."""
    pair = in_mode("key")
    order: dict[str, Any] = {"merchant": "", "out_trade_no": "T1", "product": Product.INSTANT, "amount": Money(1)}
    with pytest.raises(LocalProtocolError):
        PROTOCOL.client.encode(CreateTrade(subject="x", body="x&total_amount=9", **order), pair.credentials, NOW)
    PROTOCOL.client.encode(CreateTrade(subject="x", body="x&y=9 & z", **order), pair.credentials, NOW)


@pytest.mark.parametrize("subject", ["a/b", "a=b", "a&b", "a/b=c&d"])
def test_a_title_holds_no_forbidden_character(subject: str) -> None:
    """Refused before anything is sent, naming the field (sheet alipay-openapi, section 5)."""
    order: dict[str, Any] = {"merchant": "", "out_trade_no": "T1", "product": Product.INSTANT, "amount": Money(1)}
    with pytest.raises(LocalProtocolError) as caught:
        PROTOCOL.client.encode(CreateTrade(subject=subject, **order), in_mode("key").credentials, NOW)
    assert caught.value.field == "subject"
