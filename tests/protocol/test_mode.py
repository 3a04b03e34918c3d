"""The laws once more for modes: other ways to configure a folder's merchant, with operations of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests.protocol.bench import NOW, Pair, lost, products, untold
from tests.protocol.sample import TRADE_NO, said_intents, weakest_pair
from tests.protocol.test_attack import event
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.wire.describe import describe
from tongbao.wire.http import Request
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import FetchBill, FetchCertificates, MovementState, QueryRefund, RefundFound, RefundView
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    TradeFound,
    TradeView,
)

pytestmark = pytest.mark.slow
MODES = [(name, mode) for name in protocol_names() for mode in load_protocol(name).modes]
EVERY_MODE = pytest.mark.parametrize(("name", "mode"), MODES)
TARGET = "http://shop.example.com/notify"
SIGNERS_OWN = (FetchBill, FetchCertificates)
"""What he who signs asks for himself in every mode."""


@cache
def own_intents(name: str, mode: str) -> tuple[Intent, ...]:
    """One sample for each operation that this mode says."""
    first: dict[str, Intent] = {}
    for intent, operation, _ in said_intents(name, mode=mode):
        first.setdefault(operation, intent)
    return tuple(first.values())


def told_event(pair: Pair) -> Notification:
    """A payment that the merchant of this mode is told of."""
    note, number = event(pair, products(pair.manifest)[0]), pair.credentials.merchant
    return replace(note, trade=replace(note.trade, merchant=number, seller=Party(number)))


def refund_view(pair: Pair) -> RefundView:
    return RefundView(
        merchant=pair.credentials.merchant,
        refund_no="20150403001",
        refund_id="50000000382019052",
        trade_no=TRADE_NO,
        out_trade_no="T20150403",
        state=MovementState.SUCCEEDED,
        amount=Money(350),
        total=Money(1_000),
        created_at=NOW,
        ended_at=NOW,
    )


@EVERY_MODE
def test_request_pair(name: str, mode: str) -> None:
    """A request is read as it was meant: in whose name, by whose key, for what."""
    pair = weakest_pair(name, mode=mode)
    assert {type(intent) for intent in own_intents(name, mode)} >= {CreateTrade, QueryTrade, CloseTrade}
    for intent in own_intents(name, mode):
        for call, claim, verified in pair.ask(intent):
            assert claim.carriage is call.carriage
            assert claim.merchant == (verified.provider or verified.intent.merchant) == pair.ring.merchant
            if not isinstance(intent, SIGNERS_OWN):
                assert verified.intent.merchant == pair.credentials.merchant
                assert verified.provider == pair.ring.merchant
            assert type(verified.intent) is type(intent) is pair.manifest.operations[claim.operation]
            assert lost(replace(intent, merchant=""), verified.intent) == untold(intent, verified.intent) == ""


@EVERY_MODE
def test_response_pair(name: str, mode: str) -> None:
    """An answer is read as it was meant, and another merchant's is refused."""
    pair = weakest_pair(name, mode=mode)
    client, server = pair.manifest.client, pair.manifest.server

    def told(intent: Intent, outcome: Outcome) -> Outcome:
        claim, _ = pair.read(client.encode(intent, pair.credentials, NOW).request())
        return client.decode(intent, server.answer(claim, outcome, pair.ring, NOW), pair.credentials, NOW)

    view = told_event(pair).trade
    for intent in own_intents(name, mode):
        if isinstance(intent, QueryTrade):
            by_number = {"out_trade_no": view.out_trade_no} if intent.out_trade_no else {"trade_no": view.trade_no}
            asked = replace(intent, **by_number)
            found = told(asked, TradeFound(view))
            assert isinstance(found, TradeFound)
            assert lost(view, found.trade) == ""
            for other in (pair.ring.merchant, "1900000199"):
                with pytest.raises(RemoteProtocolError):
                    told(asked, TradeFound(replace(view, merchant=other)))
        elif isinstance(intent, CloseTrade):
            assert told(intent, Done()) == Done()
        elif isinstance(intent, QueryRefund):
            refund = refund_view(pair)
            heard = told(replace(intent, refund_no=refund.refund_no), RefundFound((refund,)))
            assert isinstance(heard, RefundFound)
            assert lost(refund, heard.refunds[0]) == ""


@EVERY_MODE
def test_notification_pair(name: str, mode: str) -> None:
    """What the platform tells is read as it was meant: of a payment and of a refund; nobody else believes it."""
    pair, plain = weakest_pair(name, mode=mode), weakest_pair(name)
    paid = told_event(pair)
    refund = refund_view(pair)
    trade = TradeView(
        merchant=refund.merchant, out_trade_no=refund.out_trade_no, trade_no=TRADE_NO, amount=Money(1_000)
    )
    for note in (paid, replace(paid, trade=trade, refund=refund)):
        sent = pair.manifest.server.notify(note, TARGET, pair.ring, NOW)
        heard = pair.manifest.client.decode_notification(sent, pair.credentials, NOW)
        assert lost(note.trade, heard.trade) == ""
        assert (heard.refund is None) == (note.refund is None)
        assert heard.refund is None or lost(refund, heard.refund) == ""
        with pytest.raises(RemoteProtocolError):
            plain.manifest.client.decode_notification(sent, plain.credentials, NOW)
        own = plain.manifest.server.notify(
            replace(note, trade=replace(note.trade, merchant=pair.ring.merchant), refund=None)
            if note.refund is None
            else replace(note, refund=replace(refund, merchant=pair.ring.merchant)),
            TARGET, pair.ring, NOW,
        )  # fmt: skip
        with pytest.raises(RemoteProtocolError):
            pair.manifest.client.decode_notification(own, pair.credentials, NOW)


def bent(raw: bytes) -> list[bytes]:
    """The bytes with one of them changed, at fifty places; cut; doubled."""
    step = max(1, len(raw) // 50)
    flips = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(0, len(raw), step)]
    return [*flips, raw[:-1], raw + raw, b"", b"[]", b"{}", b"\xff\xfe", b"null"] if raw else [b"", b"{}"]


@EVERY_MODE
def test_bent_messages(name: str, mode: str) -> None:
    """A message with other bytes is refused by the one error, or means the same; logs show nobody's number."""
    pair = weakest_pair(name, mode=mode)

    def read(request: Request) -> Intent:
        return pair.read(request)[1].intent

    for intent in own_intents(name, mode):
        sent = pair.manifest.client.encode(intent, pair.credentials, NOW).request()
        meant = read(sent)
        pieces = [replace(sent, body=body) for body in bent(sent.body) if body != sent.body]
        pieces += [replace(sent, raw_query=query) for query in bent(sent.raw_query) if query != sent.raw_query]
        for request in pieces:
            try:
                assert read(request) == meant
            except RemoteProtocolError:
                continue
        assert "oUpF8uMuAJO" not in str(describe(sent, pair.manifest.private))
    sent = pair.manifest.server.notify(told_event(pair), TARGET, pair.ring, NOW)
    for body in bent(sent.body):
        with pytest.raises(RemoteProtocolError):
            pair.manifest.client.decode_notification(replace(sent, body=body), pair.credentials, NOW)
