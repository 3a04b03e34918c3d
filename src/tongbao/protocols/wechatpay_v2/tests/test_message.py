"""What the generic laws do not see: client certificates, answers of failure, code payment, the change of sign types."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.protocol.bench import NOW, Pair, make_pair, rsa_key
from tests.support.clock import Hands
from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.errand import is_open
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import (
    CancelTrade,
    FetchBill,
    MovementState,
    PayOut,
    PayOutFound,
    PayOutView,
    QueryRefund,
    RefundFound,
    RefundTrade,
    RefundView,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.sign import private_pem
from tongbao.wire.vocabulary import (
    CreateTrade,
    Notification,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeState,
    TradeView,
)
from tongbao.wire.world import Limits

QUERY = QueryTrade(merchant="", out_trade_no="T20250101000001")
REFUND = RefundTrade(merchant="", refund_no="R1", out_trade_no="T1", amount=Money(1), total=Money(2))


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v2", m.MD5)


def certificate(common: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    moment = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(rsa_key(0).public_key())
    made = made.serial_number(1).not_valid_before(moment).not_valid_after(moment + dt.timedelta(days=9_000))
    return made.sign(rsa_key(0), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def secure(request: Request, shown: bytes | None) -> Request:
    return replace(request, scheme="https", peer_cert=shown)


def test_a_client_certificate_is_the_merchants_own_and_whole(pair: Pair) -> None:
    """Certificate and key belong together and name the merchant; one without the other is no setting."""
    own, other = base64.b64encode(certificate(pair.credentials.merchant)).decode(), private_pem(rsa_key(1))
    good = {**pair.settings, "certificate": own, "private_key": private_pem(rsa_key(0))}
    assert pair.manifest.client.load(good).merchant == pair.credentials.merchant
    strange = base64.b64encode(certificate("1900000199")).decode()
    for wrong, field in (
        ({"private_key": other}, "certificate"),
        ({"certificate": strange}, "certificate"),
        ({"private_key": ""}, "private_key"),
        ({"certificate": ""}, "certificate"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            pair.manifest.client.load({**good, **wrong})
        assert caught.value.field == field


def test_money_out_asks_for_the_clients_certificate(pair: Pair) -> None:
    """Over TLS a refund without a certificate is answered by the web server's page, with another's by a refusal."""
    server = pair.manifest.server
    request = pair.manifest.client.encode(REFUND, pair.credentials, NOW).request()
    with pytest.raises(RemoteProtocolError) as caught:
        server.claim(secure(request, None))
    answer = server.refuse(None, caught.value, None, NOW)
    assert (answer.status, b"400 No required SSL certificate was sent" in answer.body) == (400, True)
    read = pair.manifest.client.decode(REFUND, answer, pair.credentials, NOW)
    assert isinstance(read, Rejection)
    assert read.code == "CERT_REQUIRED"
    own = server.claim(secure(request, certificate(pair.credentials.merchant)))
    assert isinstance(server.decode(own, pair.ring, NOW).intent, RefundTrade)
    with pytest.raises(RemoteProtocolError) as caught:
        server.decode(server.claim(secure(request, certificate("1900000002"))), pair.ring, NOW)
    assert caught.value.code == "CERT_REQUIRED"
    query = pair.manifest.client.encode(QUERY, pair.credentials, NOW).request()
    assert server.claim(secure(query, None)).operation == m.QUERY.path


def test_failures_are_signed_when_the_asker_is_known(pair: Pair) -> None:
    """A business refusal is signed like a success; a doubt about message or asker is told by return_code alone."""
    server, client = pair.manifest.server, pair.manifest.client
    claim, _ = pair.read(client.encode(QUERY, pair.credentials, NOW).request())
    said = codec.read_fields(server.refuse(claim, Refused("TRADE_NOT_FOUND"), pair.ring, NOW).body)
    assert (said["return_code"], said["result_code"], said["err_code"]) == ("SUCCESS", "FAIL", "ORDERNOTEXIST")
    assert codec.authenticate(said, m.MD5, pair.ring) == pair.ring.sign[0]
    forged = codec.write_fields({**said, "err_code": "ORDERPAID"})
    with pytest.raises(InvalidSignature):
        client.decode(QUERY, Response(200, (), forged), pair.credentials, NOW)
    said = codec.read_fields(server.refuse(claim, Refused("SIGN_INVALID"), pair.ring, NOW).body)
    assert said == {"return_code": "FAIL", "return_msg": "签名错误"}


@pytest.mark.parametrize(
    ("code", "state", "word"),
    [
        ("TRADE_NOT_PAYABLE", "finished", "ORDERPAID"),
        ("TRADE_NOT_PAYABLE", "closed", "ORDERCLOSED"),
        ("TRADE_NOT_PAYABLE", "unpaid", "INVALID_REQUEST"),
        ("TRADE_STATE", "closed", "ORDERCLOSED"),
        ("TRADE_STATE", "paid", "ORDERPAID"),
        ("TRADE_STATE", "", "INVALID_REQUEST"),
    ],
)
def test_only_a_paid_order_is_told_as_paid(code: str, state: str, word: str, pair: Pair) -> None:
    """The state decides which word there is, not the English of the refusal."""
    claim, _ = pair.read(pair.manifest.client.encode(QUERY, pair.credentials, NOW).request())
    told = pair.manifest.server.refuse(claim, Refused(code, "paid, closed or neither", state), pair.ring, NOW)
    assert codec.read_fields(told.body)["err_code"] == word


@pytest.mark.parametrize(("code", "recall"), [("SYSTEM", "Y"), ("STATE_CONFLICT", "N")])
def test_a_reversal_says_whether_to_call_again(code: str, recall: str, pair: Pair) -> None:
    """Once more where the platform does not know what became of it, not where it was refused."""
    intent = CancelTrade(merchant="", out_trade_no="T1")
    request = pair.manifest.client.encode(intent, pair.credentials, NOW).request()
    claim = pair.manifest.server.claim(secure(request, certificate(pair.credentials.merchant)))
    answer = pair.manifest.server.refuse(claim, Refused(code), pair.ring, NOW)
    assert codec.read_fields(answer.body)["recall"] == recall
    read = pair.manifest.client.decode(intent, answer, pair.credentials, NOW)
    assert isinstance(read, Rejection)
    assert read.code == code


def test_a_missing_bill_is_told_as_xml(pair: Pair) -> None:
    """``No Bill Exist`` with return_code FAIL where the file would have been."""
    intent = FetchBill(merchant="", day=dt.date(2015, 3, 31))
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    answer = pair.manifest.server.refuse(claim, Refused("BILL_NOT_FOUND"), pair.ring, NOW)
    assert codec.read_fields(answer.body)["return_msg"] == "No Bill Exist"
    read = pair.manifest.client.decode(intent, answer, pair.credentials, NOW)
    assert isinstance(read, Rejection)
    assert read.code == "BILL_NOT_FOUND"


def test_a_buyer_who_must_still_agree_is_userpaying(pair: Pair) -> None:
    """micropay above the wallet's cap: the client asks again until the buyer agreed, or reverses."""
    intent = CreateTrade(
        merchant="",
        out_trade_no="T20250101000001",
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(101),
        presentation=Presentation.BARCODE,
        code="130123456789012345",
    )
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    answer = pair.manifest.server.refuse(claim, Refused("BUYER_PAYING"), pair.ring, NOW)
    read = pair.manifest.client.decode(intent, answer, pair.credentials, NOW)
    assert read == Rejection("BUYER_PAYING", "USERPAYING", "需要用户输入支付密码")
    for code in ("280123456789012345", "13012345678901234", "160123456789012345"):
        with pytest.raises(LocalProtocolError):
            pair.ask(replace(intent, code=code))


def test_T05_the_kind_of_signature_is_the_merchants(pair: Pair) -> None:
    """An answer or notice with the other kind of signature is refused, though the key is the same."""
    other = make_pair("wechatpay_v2", m.HMAC)
    request = other.manifest.client.encode(QUERY, other.credentials, NOW).request()
    with pytest.raises(InvalidSignature):
        pair.read(request)
    both = replace(pair.ring, verify=(*pair.ring.verify, *other.ring.verify))
    assert pair.manifest.server.decode(pair.manifest.server.claim(request), both, NOW).key == other.ring.verify[0]


def test_white_space_at_the_ends_is_never_written(pair: Pair) -> None:
    """Readers exist that drop it, and then the signature does not verify."""
    with pytest.raises(LocalProtocolError):
        codec.write_fields({"attach": " a"})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "SUCCESS"),
        ({"refunded": Money(1)}, "REFUND"),
        ({"refunded": Money(101), "state": TradeState.CLOSED}, "REFUND"),
        ({"refunded": Money(101), "state": TradeState.CLOSED, "cancelled": True}, "REVOKED"),
        ({"state": TradeState.CLOSED, "paid_at": None}, "CLOSED"),
        ({"state": TradeState.CLOSED, "paid_at": None, "echo": {"trade_type": "MICROPAY"}}, "REVOKED"),
        ({"state": TradeState.UNPAID, "paid_at": None, "echo": {"trade_type": "MICROPAY"}}, "USERPAYING"),
    ],
)
def test_the_state_of_an_order_is_the_documents_word(pair: Pair, changes: dict[str, Any], word: str) -> None:
    """What was paid says so with number and payer, though all of it went back since."""
    claim, _ = pair.read(pair.manifest.client.encode(QUERY, pair.credentials, NOW).request())
    trade = TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no=QUERY.out_trade_no,
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
    )
    outcome = TradeFound(replace(trade, **changes))
    said = codec.read_fields(pair.manifest.server.answer(claim, outcome, pair.ring, NOW).body)
    assert (said["trade_state"], said["trade_state_desc"]) == (word, m.STATE_SAID[word])
    was_paid = changes.get("paid_at", NOW) is not None
    assert ("transaction_id" in said, "openid" in said, "time_end" in said) == (was_paid,) * 3


TRANSFER = PayOut(
    merchant="", payout_no="B1", payee=Payee(Party("oUpF8uMEb4qRXf22hE3X68TekukE")), amount=Money(100), memo="奖励"
)


@pytest.mark.parametrize("word", ["SEND_FAILED", "SYSTEMERROR"])
def test_F28_a_transfer_whose_outcome_is_unknown_is_no_refusal(word: str, pair: Pair) -> None:
    """After these words the transfer may have been paid: its row stays open and is asked about."""
    answer = {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": word, "err_code_des": "付款异常"}
    read = pair.manifest.client.decode(TRANSFER, Response(200, (), codec.write_fields(answer)), pair.credentials, NOW)
    assert isinstance(read, Rejection)
    assert is_open(read, TRANSFER, pair.manifest.operations)


@pytest.mark.parametrize(
    ("state", "code", "told"),
    [
        (MovementState.ACCEPTED, "", "SYSTEM"),
        (MovementState.FAILED, "PAYEE_NAME_MISMATCH", "PAYEE_NAME_MISMATCH"),
        (MovementState.CLOSED, "", "STATE_CONFLICT"),
        (MovementState.SUCCEEDED, "", ""),
    ],
)
def test_a_transfer_that_waits_is_not_told_as_paid(state: MovementState, code: str, told: str, pair: Pair) -> None:
    """The answer has no word for *not yet*: nothing but a paid transfer is a success, and even that is asked about."""
    claim = pair.manifest.server.claim(pair.manifest.client.encode(TRANSFER, pair.credentials, NOW).request())
    view = PayOutView(payout_no="B1", payout_id="1000018301201505190181489473", state=state, code=code, created_at=NOW)
    answer = pair.manifest.server.answer(claim, PayOutFound((view,)), pair.ring, NOW)
    read = pair.manifest.client.decode(TRANSFER, answer, pair.credentials, NOW)
    if told:
        assert isinstance(read, Rejection)
        assert read.code == told
    else:
        assert isinstance(read, PayOutFound)
        assert read.payouts[0].state is MovementState.ACCEPTED


def test_T32_what_was_given_back_is_not_notified_as_a_payment(pair: Pair) -> None:
    """A closed trade that was paid once is told to who asks, and to nobody as news."""
    trade = TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no=QUERY.out_trade_no,
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        paid_at=NOW,
    )
    server, target = pair.manifest.server, "https://shop.example.com/notify"
    assert server.notify(Notification(id="EV-1", at=None, trade=trade), target, pair.ring, NOW).body
    closed = replace(trade, state=TradeState.CLOSED, refunded=Money(101))
    with pytest.raises(LocalProtocolError):
        server.notify(Notification(id="EV-1", at=None, trade=closed), target, pair.ring, NOW)


def test_all_refunds_of_an_order_are_read(pair: Pair) -> None:
    """An answer is a page of fifty, and says how many there are; our client asks on. Behind the last there is none."""
    refunds = tuple(
        RefundView(
            merchant=pair.credentials.merchant,
            refund_no=f"R{n}",
            refund_id=f"50000000000000000000000000{n:03d}",
            trade_no="4200000000202501010000000001",
            out_trade_no=QUERY.out_trade_no,
            state=MovementState.SUCCEEDED,
            amount=Money(1),
            total=Money(101),
            ended_at=NOW,
        )
        for n in range(120)
    )
    for offset in (0, 80, 120):
        intent = QueryRefund(merchant="", out_trade_no=QUERY.out_trade_no, offset=offset)
        ((_, claim, verified),) = pair.ask(intent)
        assert verified.intent == replace(intent, merchant=pair.credentials.merchant)
        answer = pair.manifest.server.answer(claim, RefundFound(refunds[offset:], total=120), pair.ring, NOW)
        read = pair.manifest.client.decode(intent, answer, pair.credentials, NOW)
        if offset == 120:
            assert isinstance(read, Rejection)
            assert read.code == "REFUND_NOT_FOUND"
        else:
            assert read == RefundFound(refunds[offset : offset + 50], total=120)

    heard: list[int] = []

    def send(request: Request, limits: Limits) -> Response:
        claim = pair.manifest.server.claim(request)
        asked = pair.manifest.server.decode(claim, pair.ring, NOW).intent
        assert isinstance(asked, QueryRefund)
        heard.append(asked.offset)
        return pair.manifest.server.answer(claim, RefundFound(refunds[asked.offset :], total=120), pair.ring, NOW)

    configuration = MerchantConfiguration(protocol="wechatpay_v2", credentials=pair.settings, environment="sandbox")
    with Client(configuration, send=send, clock=Hands(NOW)) as client:
        assert client.query_refund(order_no=QUERY.out_trade_no) == refunds
    assert heard == [0, 50, 100]


def test_one_refund_too_many_is_no_sum_too_large(pair: Pair) -> None:
    """Of a refund by the word of its own list, of a transfer by its own."""
    for intent, word in ((REFUND, "ERROR"), (TRANSFER, "AMOUNT_LIMIT")):
        ((_, claim, _),) = pair.ask(intent)
        answer = pair.manifest.server.refuse(claim, Refused("LIMIT_EXCEEDED"), pair.ring, NOW)
        assert codec.read_fields(answer.body)["err_code"] == word
