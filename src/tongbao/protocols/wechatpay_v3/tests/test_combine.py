"""Combined orders and service providers: what is told is read as meant, by nobody else, and errors name fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, lost, make_pair
from tests.protocol.sample import simple_intents, weakest_pair
from tongbao.kernel.error import ConfigurationError, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.partner import read_request
from tongbao.protocols.wechatpay_v3.request import Parts, plain
from tongbao.wire.http import Response
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseCombined,
    CombinedFound,
    CombinedView,
    CreateCombined,
    Done,
    Notification,
    QueryCombined,
    TradeState,
    TradeView,
)

OWN, SUB, OTHER = "1900000109", "1900000117", "1900000125"
TARGET = "https://shop.example.com/notify"
ECHO = {"appid": "wxd930ea5d5a258f4f", "trade_type": "NATIVE"}
Body = dict[str, Any]


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


def part(n: int, merchant: str, provider: str = "", state: TradeState = TradeState.PAID) -> TradeView:
    paid = state is TradeState.PAID
    return TradeView(
        merchant=merchant,
        out_trade_no=f"PART{n}",
        trade_no=f"42000000002025010100000000{n:02d}" if paid else "",
        state=state,
        amount=Money(100 + n),
        seller=Party(merchant),
        paid_at=NOW if paid else None,
        passback="shop7" if paid else "",
        provider=provider,
        echo=ECHO,
    )


def whole(state: TradeState = TradeState.PAID) -> CombinedView:
    parts = (part(1, OWN, "", state), part(2, SUB, OWN, state), part(3, OTHER, "", state))
    buyer = Party("oUpF8uMEb4qRXf22hE3X68TekukE") if state is TradeState.PAID else Party()
    return CombinedView(merchant=OWN, out_trade_no="WHOLE1", parts=parts, buyer=buyer, echo=ECHO)


def asked(kind: type) -> Any:
    return next(intent for intent in simple_intents("wechatpay_v3") if isinstance(intent, kind))


def told(pair: Pair, view: CombinedView) -> CombinedView:
    question = replace(asked(QueryCombined), out_trade_no="WHOLE1")
    claim, _ = pair.read(pair.manifest.client.encode(question, pair.credentials, NOW).request())
    answer = pair.manifest.server.answer(claim, CombinedFound(view), pair.ring, NOW)
    found = pair.manifest.client.decode(question, answer, pair.credentials, NOW)
    assert isinstance(found, CombinedFound)
    return found.combined


@pytest.mark.parametrize("state", [TradeState.PAID, TradeState.UNPAID, TradeState.CLOSED])
def test_answers_are_read_as_meant(pair: Pair, state: TradeState) -> None:
    """Every part under whose it is and by whom it was asked for, whatever it came to; another number is refused."""
    view, heard = whole(state), told(pair, whole(state))
    assert lost(replace(view, parts=()), replace(heard, parts=())) == ""
    for mine, theirs in zip(view.parts, heard.parts, strict=True):
        assert lost(mine, theirs) == ""
        assert (mine.provider, mine.merchant) == (theirs.provider, theirs.merchant)
    with pytest.raises(RemoteProtocolError):
        told(pair, replace(view, out_trade_no="WHOLE2"))


def test_a_part_that_was_refunded_says_so(pair: Pair) -> None:
    """In the query the part is REFUND; the notification tells the moment of payment."""
    back = replace(whole().parts[1], refunded=Money(5))
    view = replace(whole(), parts=(whole().parts[0], back))
    assert [one.refund_state for one in told(pair, view).parts] == ["", "success"]
    sent = pair.manifest.server.notify(Notification(id="EV-1", at=None, combined=view), TARGET, pair.ring, NOW)
    heard = pair.manifest.client.decode_notification(sent, pair.credentials, NOW).combined
    assert heard is not None
    assert [one.refund_state for one in heard.parts] == ["", ""]


def test_a_notification_is_read_by_who_asked_alone(pair: Pair) -> None:
    """By nobody else, not by a service provider's settings, not with a bit changed; an unpaid one is not written."""
    client, server = pair.manifest.client, pair.manifest.server
    sent = server.notify(Notification(id="EV-1", at=None, combined=whole()), TARGET, pair.ring, NOW)
    heard = client.decode_notification(sent, pair.credentials, NOW)
    assert heard.combined is not None
    assert (heard.trade, heard.combined.buyer) == (TradeView(), whole().buyer)
    assert [(one.merchant, one.amount) for one in heard.combined.parts] == [
        (OWN, Money(101)), (SUB, Money(102)), (OTHER, Money(103))
    ]  # fmt: skip
    provider = weakest_pair("wechatpay_v3", mode="partner")
    with pytest.raises(RemoteProtocolError):
        client.decode_notification(sent, provider.credentials, NOW)
    for place in range(0, len(sent.body), 7):
        body = sent.body[:place] + bytes([sent.body[place] ^ 1]) + sent.body[place + 1 :]
        with pytest.raises(RemoteProtocolError):
            client.decode_notification(replace(sent, body=body), pair.credentials, NOW)
    with pytest.raises(LocalProtocolError):
        server.notify(Notification(id="E", at=None, combined=whole(TradeState.UNPAID)), TARGET, pair.ring, NOW)


def test_a_close_is_answered_with_nothing(pair: Pair) -> None:
    """204, signed; with a body it is refused."""
    question = asked(CloseCombined)
    claim, _ = pair.read(pair.manifest.client.encode(question, pair.credentials, NOW).request())
    answer = pair.manifest.server.answer(claim, Done(), pair.ring, NOW)
    assert answer.status == 204
    assert pair.manifest.client.decode(question, answer, pair.credentials, NOW) == Done()
    with pytest.raises(RemoteProtocolError):
        pair.manifest.client.decode(question, Response(204, answer.headers, b"{}"), pair.credentials, NOW)


def _change(path: str, value: object) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        *way, last = path.split(".")
        place: Any = body
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "field", "code"),
    [
        ("combine_mchid", SUB, "combine_mchid", "FIELD_INVALID"),
        ("combine_appid", None, "combine_appid", "FIELD_MISSING"),
        ("sub_orders", [], "sub_orders", "FIELD_MISSING"),
        ("sub_orders.0.attach", None, "sub_orders.0.attach", "FIELD_MISSING"),
        ("sub_orders.1.amount.total_amount", 0, "sub_orders.1.amount.total_amount", "AMOUNT_NOT_POSITIVE"),
        ("sub_orders.1.amount.currency", "USD", "sub_orders.1.amount.currency", "CURRENCY_NOT_ALLOWED"),
        ("sub_orders.1.mchid", OTHER, "sub_orders.1.mchid", "FIELD_INVALID"),
        ("sub_orders.1.sub_mchid", OWN, "sub_orders.1.sub_mchid", "FIELD_INVALID"),
        ("scene_info.payer_client_ip", None, "scene_info.payer_client_ip", "FIELD_MISSING"),
        ("time_start", "yesterday", "time_start", "EXPIRY_INVALID"),
    ],
)
def test_what_is_wrong_is_named(pair: Pair, path: str, value: object, field: str, code: str) -> None:
    """Each mistake by its path and reason; nothing is guessed."""
    sent = pair.manifest.client.encode(asked(CreateCombined), pair.credentials, NOW).request()
    body = codec.read_body(sent.body)
    _change(path, value)(body)
    with pytest.raises(RemoteProtocolError) as caught:
        read_request(Parts(m.COMBINE_NATIVE, body=body), OWN, plain)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_more_than_fifty_orders_are_too_many(pair: Pair) -> None:
    """Fifty is the most that one combined order holds."""
    intent = asked(CreateCombined)
    pair.ask(replace(intent, parts=intent.parts[:1] * 50))
    with pytest.raises(LocalProtocolError):
        pair.ask(replace(intent, parts=intent.parts[:1] * 51))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sp_mchid": SUB}, "sp_mchid"),
        ({"sp_mchid": ""}, "sp_mchid"),
        ({"sub_mchid": ""}, "sub_mchid"),
        ({"sp_appid": ""}, "sp_appid"),
        ({"payer": {}}, "payer.sp_openid"),
        ({"payer": {"sp_openid": "o1", "sub_openid": "o2"}}, "payer.sub_openid"),
        ({"payer": {"sub_openid": "o2"}}, "sub_appid"),
    ],
)
def test_a_providers_mistake_is_named_as_he_said_it(change: Body, field: str) -> None:
    """Fields are named as they stand in a provider's request, not as in a merchant's own."""
    body = {
        "sp_appid": "wxd930ea5d5a258f4f",
        "sp_mchid": OWN,
        "sub_mchid": SUB,
        "description": "茶",
        "out_trade_no": "T20250101000001",
        "notify_url": TARGET,
        "amount": {"total": 1, "currency": "CNY"},
        "payer": {"sp_openid": "oUpF8uMEb4qRXf22hE3X68TekukE"},
    }
    route = m.PARTNER_OF[m.JSAPI]
    intent, provider = read_request(Parts(route, body=body), OWN, plain)
    assert (intent.merchant, provider) == (SUB, OWN)
    with pytest.raises(RemoteProtocolError) as caught:
        read_request(Parts(route, body=body | change), OWN, plain)
    assert caught.value.field == field


def test_a_providers_settings() -> None:
    """Another merchant's number, in the interface's shape; an appid of his only beside it."""
    pair = weakest_pair("wechatpay_v3", mode="partner")
    assert (pair.credentials.merchant, pair.credentials.values["sp_mchid"]) == (SUB, OWN)
    for wrong in ({"sub_mchid": OWN}, {"sub_mchid": "19"}, {"sub_mchid": ""}, {"sub_appid": "x"}):
        with pytest.raises(ConfigurationError):
            pair.manifest.client.load({**pair.settings, **wrong})
