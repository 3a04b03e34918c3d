"""What an order says of its state, in queries and in refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.asking import UNDECIDED
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeState,
    TradeView,
)

NUMBER = "T20250101000001"


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "SUCCESS"),
        ({"refunded": Money(1)}, "REFUND"),
        ({"refunded": Money(101)}, "REFUND"),
        ({"refunded": Money(101), "state": TradeState.CLOSED}, "REFUND"),
        ({"refunded": Money(101), "state": TradeState.CLOSED, "cancelled": True}, "REVOKED"),
        ({"state": TradeState.CLOSED, "paid_at": None}, "CLOSED"),
        ({"state": TradeState.CLOSED, "paid_at": None, "echo": {"trade_type": "MICROPAY"}}, "REVOKED"),
        ({"state": TradeState.UNPAID, "paid_at": None}, "NOTPAY"),
        ({"state": TradeState.UNPAID, "paid_at": None, "echo": {"trade_type": "MICROPAY"}}, "USERPAYING"),
    ],
)
def test_the_state_of_an_order_is_the_documents_word(pair: Pair, changes: dict[str, Any], word: str) -> None:
    """What was paid says so with number and payer, though all of it went back since."""
    intent = QueryTrade(merchant="", out_trade_no=NUMBER)
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    trade = TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no=NUMBER,
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
    )
    answer = pair.manifest.server.answer(claim, TradeFound(replace(trade, **changes)), pair.ring, NOW)
    said = codec.read_body(answer.body)
    assert (said["trade_state"], said["trade_state_desc"]) == (word, m.STATE_SAID[word])
    was_paid = changes.get("paid_at", NOW) is not None
    assert ("transaction_id" in said, "payer" in said, "success_time" in said) == (was_paid,) * 3


@pytest.mark.parametrize(
    ("code", "state", "status", "word"),
    [
        ("TRADE_NOT_PAYABLE", "paid", 400, "ORDERPAID"),
        ("TRADE_NOT_PAYABLE", "finished", 400, "ORDERPAID"),
        ("TRADE_NOT_PAYABLE", "closed", 400, "ORDER_CLOSED"),
        ("TRADE_NOT_PAYABLE", "unpaid", 400, "INVALID_REQUEST"),
        ("TRADE_STATE", "", 400, "INVALID_REQUEST"),
    ],
)
def test_only_a_paid_order_is_told_as_paid(pair: Pair, code: str, state: str, status: int, word: str) -> None:
    """The state decides which word there is, not the English of the refusal."""
    intent = CreateTrade(
        merchant="",
        out_trade_no=NUMBER,
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(101),
        presentation=Presentation.QR,
    )
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    answer = pair.manifest.server.refuse(claim, Refused(code, "paid, closed or neither", state), pair.ring, NOW)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, word)


def test_closing_may_be_repeated(pair: Pair) -> None:
    """A closed order that was never paid answers like the first time, signed; a paid one is ORDERPAID."""
    intent, server = CloseTrade(merchant="", out_trade_no=NUMBER), pair.manifest.server
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    again = server.refuse(claim, Refused("TRADE_STATE", "", "closed"), pair.ring, NOW)
    assert pair.manifest.client.decode(intent, again, pair.credentials, NOW) == Done()
    late = server.refuse(claim, Refused("TRADE_STATE", "", "paid"), pair.ring, NOW)
    assert (late.status, json.loads(late.body)["code"]) == (400, "ORDERPAID")


@pytest.mark.parametrize("name", ["Accept", "User-Agent"])
def test_a_header_that_every_request_has_is_asked_for_by_name(pair: Pair, name: str) -> None:
    """Without it the answer is 400 INVALID_REQUEST, and no signature is looked at."""
    request = pair.manifest.client.encode(QueryTrade(merchant="", out_trade_no=NUMBER), pair.credentials, NOW).request()
    headers = tuple(one for one in request.headers if one[0].decode("ascii").lower() != name.lower())
    with pytest.raises(RemoteProtocolError) as caught:
        pair.manifest.server.claim(replace(request, headers=headers))
    answer = pair.manifest.server.refuse(None, caught.value, None, NOW)
    said = {"code": "INVALID_REQUEST", "message": "Http头缺少Accept或User-Agent"}
    assert (answer.status, json.loads(answer.body)) == (400, said)


def test_T24_a_nonce_that_was_seen_is_not_called_a_stale_time(pair: Pair) -> None:
    """The answer names what was wrong; the merchant's half takes it for no refusal of what was asked."""
    intent = QueryTrade(merchant="", out_trade_no=NUMBER)
    claim, _ = pair.read(pair.manifest.client.encode(intent, pair.credentials, NOW).request())
    seen = pair.manifest.server.refuse(claim, RemoteProtocolError("nonce", "was seen before", "STALE"), pair.ring, NOW)
    said = json.loads(seen.body)
    assert (seen.status, said["code"]) == (401, "SIGN_ERROR")
    assert ("nonce_str" in said["message"], "timestamp" in said["message"]) == (True, False)
    read = pair.manifest.client.decode(intent, seen, pair.credentials, NOW)
    assert isinstance(read, Rejection)
    assert read.code in UNDECIDED
