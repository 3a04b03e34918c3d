"""The laws: what holds for every protocol folder, found by listing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.protocol.bench import EVERY_PAIR, NOW, SECRETS, Pair, lost, make_pair, products, untold, without_echo
from tests.protocol.sample import server_intents, simple_intents
from tests.protocol.strategy import HOME, PAID_STATE, PERSON, intents, notifications, views
from tongbao.kernel.error import LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.wire.describe import describe
from tongbao.wire.http import Request, Response
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.refusal import REFUSALS, is_refusal
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    Product,
    QueryTrade,
    Rejection,
    RequestTimestamp,
    Role,
    ShipTrade,
    TimestampIssued,
    TradeFound,
    TradeState,
    TradeView,
)

EVERY = pytest.mark.parametrize("name", protocol_names())
EXAMPLES = 25
"""Of each law in each pair; a profile of more (``--hypothesis-profile=soak``) has its own number."""
LAW = settings(
    max_examples=max(EXAMPLES, settings().max_examples if settings().max_examples > 100 else 0),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TARGET = "http://shop.example.com/respond.php?code=alipay"


def voiced(pair: Pair, notification: Notification) -> Notification:
    """The notification of a trade that was created in this pair's charset and algorithm."""
    product = notification.trade.product or Product.INSTANT
    return replace(notification, trade=replace(notification.trade, echo=pair.echo(sold(pair, product))))


def sold(pair: Pair, product: Product) -> CreateTrade:
    """A plain request for money that this folder can say."""
    found = (intent for intent in simple_intents(pair.manifest.name) if isinstance(intent, CreateTrade))
    return next(intent for intent in found if intent.product is product)


# --- inverse pairs -----------------------------------------------------------------------------------------------


@EVERY_PAIR
def test_request_pair(name: str, algorithm: str, charset: str) -> None:
    """A request is read as it was meant, however it is carried, or cannot be said and an error tells why."""
    pair = make_pair(name, algorithm, charset)

    @LAW
    @given(intents(pair.manifest))
    def law(intent: Intent) -> None:
        try:
            readings = pair.ask(intent)
        except LocalProtocolError as error:
            assert error.reason  # noqa: PT017 - refusing is a right answer here
            assume(False)
        for call, claim, verified in readings:
            assert claim.carriage is call.carriage
            assert claim.merchant == verified.intent.merchant == pair.credentials.merchant
            assert claim.operation in pair.manifest.operations
            assert type(verified.intent) is pair.manifest.operations[claim.operation] is type(intent)
            said = sayable(pair, intent, verified.intent)
            assert lost(said, verified.intent) == untold(said, verified.intent) == ""
            assert verified.key is None or verified.key in pair.ring.verify
            again = pair.ask(verified.intent)[0][2].intent
            assert without_echo(again) == without_echo(verified.intent)

    law()


@EVERY_PAIR
def test_every_operation_can_be_said(name: str, algorithm: str, charset: str) -> None:
    """Each operation that this algorithm signs has a plain intent that goes through; another law has them all."""
    pair = make_pair(name, algorithm, charset)
    said = [pair.ask(intent)[0][1].operation for intent in simple_intents(name, algorithm)]
    assert set(said) <= set(pair.manifest.operations)
    assert len(said) == len(set(said))


@EVERY_PAIR
def test_response_pair(name: str, algorithm: str, charset: str) -> None:
    """An answer is read as it was meant: the trade agrees wherever it speaks, and it says the essentials."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server

    def told(intent: Intent, outcome: Outcome) -> Outcome:
        claim, _ = pair.read(client.encode(intent, pair.credentials, NOW).request())
        response = server.answer(claim, outcome, pair.ring, NOW)
        return client.decode(intent, response, pair.credentials, NOW)

    @LAW
    @given(views(pair.manifest))
    def law(view: TradeView) -> None:
        for intent in simple_intents(name, algorithm):
            if isinstance(intent, QueryTrade):
                by_number = {"out_trade_no": view.out_trade_no} if intent.out_trade_no else {"trade_no": view.trade_no}
                asked = replace(intent, **by_number)
                found = told(asked, TradeFound(view))
                assert isinstance(found, TradeFound)
                check_view(heard(pair, view, "TradeFound"), found.trade)
            elif isinstance(intent, ShipTrade):
                shipped = told(replace(intent, trade_no=view.trade_no), Done(view))
                assert isinstance(shipped, Done)
                assert shipped.trade is None or lost(view, shipped.trade) == ""

    law()
    for intent in simple_intents(name, algorithm):
        if isinstance(intent, CloseTrade):
            assert told(intent, Done()) == Done()
        elif isinstance(intent, ConfirmNotification):
            for outcome in (Confirmed(True), Confirmed(False), Confirmed(False, understood=False)):
                assert told(intent, outcome) == outcome
        elif isinstance(intent, RequestTimestamp):
            assert told(intent, TimestampIssued("0123456789abcdef")) == TimestampIssued("0123456789abcdef")


@EVERY_PAIR
def test_refusal_pair(name: str, algorithm: str, charset: str) -> None:
    """A refusal is read as a rejection with the protocol's own word for it, or as a plain no."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server
    for intent in simple_intents(name, algorithm):
        claim, _ = pair.read(client.encode(intent, pair.credentials, NOW).request())
        if claim.carriage is not Carriage.SERVER:
            continue
        for code in REFUSALS:
            outcome = client.decode(intent, server.refuse(claim, Refused(code), pair.ring, NOW), pair.credentials, NOW)
            if isinstance(outcome, Confirmed):
                assert not outcome.genuine
            else:
                assert isinstance(outcome, Rejection)
                own = pair.manifest.codes_of.get(claim.operation, {})
                assert outcome.wire_code == own.get(code, server.refusal_code(Refused(code)))
                assert is_refusal(outcome.code)
    unread = server.refuse(None, RemoteProtocolError("", "nothing could be read"), None, NOW)
    assert unread.header("content-type") is not None


def sayable(pair: Pair, intent: Intent, told: Intent) -> Intent:
    """The intent, with the platform's own word for what the protocol has no field for, and for the merchant himself."""
    payee = pair.manifest.payee
    own = payee.number(pair.credentials.merchant) if payee is not None else ""
    if own and isinstance(intent, CreateTrade) and intent.seller.id == own:
        intent = replace(intent, seller=replace(intent.seller, id=pair.credentials.merchant))
    unsaid = ("CreateTrade", "subject") in pair.manifest.unsaid
    if unsaid and isinstance(intent, CreateTrade) and isinstance(told, CreateTrade) and told.subject:
        return replace(intent, subject=told.subject)
    return intent


def heard(pair: Pair, view: TradeView, message: str) -> TradeView:
    """The view in the states and numbers for which the protocol's message has words."""
    if (message, "trade_no") in pair.manifest.unsaid:
        view = replace(view, trade_no=view.out_trade_no)
    if (f"{message}.{view.state}", "trade_no") in pair.manifest.unsaid:
        view = replace(view, trade_no="")
    said_as = pair.manifest.said_as
    return replace(view, state=TradeState(said_as.get(view.state, view.state))) if view.state else view


def hear(pair: Pair, read: Callable[..., Notification], sent: Request) -> Notification:
    """What the shop reads. Where signatures have no borders, it may refuse what can be read in a second way (T10)."""
    try:
        return read(sent, pair.credentials, NOW)
    except RemoteProtocolError as error:
        assert (pair.manifest.weak, error.code) == (True, "AMBIGUOUS_SPLIT")  # noqa: PT017 - refusing is right here
        assume(False)
        raise


def check_view(view: TradeView, told: TradeView) -> None:
    assert lost(view, told) == ""
    assert (told.out_trade_no, told.trade_no, told.amount) == (view.out_trade_no, view.trade_no, view.amount)
    assert told.state is view.state


def has_return(name: str) -> bool:
    """Whether the browser brings a signed message home."""
    return load_protocol(name).returns


def check_unsaid(pair: Pair, view: TradeView) -> None:
    """Only what the merchant is never told may be unsayable: no event may be stuck in the outbox."""
    assert (str(view.product), str(view.state)) not in pair.manifest.notifies


@EVERY_PAIR
def test_notification_pair(name: str, algorithm: str, charset: str) -> None:
    """A notification tells the shop the platform's own view, in the language in which the trade was created."""
    pair = make_pair(name, algorithm, charset)

    @LAW
    @given(notifications(pair.manifest))
    def law(notification: Notification) -> None:
        try:
            sent = pair.manifest.server.notify(voiced(pair, notification), TARGET, pair.ring, NOW)
        except LocalProtocolError:
            return check_unsaid(pair, notification.trade)
        assert sent.url.startswith(TARGET)
        told = hear(pair, pair.manifest.client.decode_notification, sent)
        assert told.id in ("", notification.id)
        assert (told.at, told.role) in ((None, Role.NOTIFICATION), (NOW, Role.NOTIFICATION))
        check_view(heard(pair, notification.trade, "Notification"), told.trade)
        assert b"=&" not in sent.body + b"&"
        return None

    law()


@EVERY_PAIR
def test_return_pair(name: str, algorithm: str, charset: str) -> None:
    """A return says the same and no more, is marked as a return, and keeps the shop's own query apart."""
    pair = make_pair(name, algorithm, charset)

    @LAW
    @given(
        notifications(pair.manifest), st.sampled_from((TARGET, "https://shop.example.com:8443/back", TARGET + "#part"))
    )
    def law(notification: Notification, target: str) -> None:
        try:
            sent = pair.manifest.server.return_to(voiced(pair, notification), target, pair.ring, NOW)
        except LocalProtocolError:
            return check_unsaid(pair, notification.trade)
        assert sent.url.startswith(target.partition("#")[0])
        if not has_return(name):
            assert sent.url == target.partition("#")[0]
            with pytest.raises(RemoteProtocolError):
                pair.manifest.client.decode_return(sent, pair.credentials, NOW)
            return None
        told = hear(pair, pair.manifest.client.decode_return, sent)
        assert told.id in ("", notification.id)
        assert told.role is Role.RETURN
        view = heard(pair, notification.trade, "Notification")
        silent_on: dict[str, Any] = {word: None for message, word in pair.manifest.unsaid if message == "Return"}
        check_view(replace(view, **silent_on), told.trade)
        return None

    law()


@EVERY
def test_acknowledgement_pair(name: str) -> None:
    """Yes is yes, no is no, and nothing but the literal word is yes (F22, I22)."""
    manifest = load_protocol(name)
    yes, no = manifest.client.acknowledge(True), manifest.client.acknowledge(False)
    assert manifest.server.acknowledged(yes)
    assert not manifest.server.acknowledged(no)
    if manifest.onward is not None:
        address = "https://shop.example.com/thanks?from=pay"
        sent = manifest.onward.write(address)
        assert manifest.server.acknowledged(sent)
        assert manifest.onward.read(sent.body.decode("latin-1")) == address
        assert manifest.onward.read(yes.body.decode("latin-1")) == manifest.onward.read("") == ""
    for status in (100, 200, 201, 204, 301, 302, 400, 500):
        if manifest.acknowledged_by_status:
            assert manifest.server.acknowledged(replace(no, status=status)) is (
                status in manifest.acknowledged_by_status
            )
        else:
            assert not manifest.server.acknowledged(replace(yes, status=status)) or status == 200
    if manifest.acknowledged_by_status:
        return
    for body in (yes.body + b"!", yes.body * 2):
        assert manifest.server.acknowledged(Response(200, (), body)) is manifest.acknowledged_by_prefix
    for body in (
        b"",
        b"ok",
        b"<html>" + yes.body + b"</html>",
        yes.body[:-1],
        b"\xef\xbb\xbf" + yes.body,
        b"\xff",
    ):
        assert manifest.server.acknowledged(Response(200, (), body)) is (body == yes.body)


# --- tampering and garbage ---------------------------------------------------------------------------------------


@pytest.mark.slow
@EVERY_PAIR
def test_tampered_message_is_refused_or_means_the_same(name: str, algorithm: str, charset: str) -> None:
    """Whatever byte is changed in a signed message, it is refused, or says exactly what it said."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server
    view = views(pair.manifest)

    @LAW
    @given(view, st.data())
    def law(trade: TradeView, data: st.DataObject) -> None:
        notification = voiced(pair, Notification(id="637b04133cbb1b5c5f1b3f3d2c9a8e70", at=None, trade=trade))
        try:
            sent = server.notify(notification, TARGET, pair.ring, NOW)
            back = server.return_to(notification, TARGET, pair.ring, NOW)
        except LocalProtocolError:
            return check_unsaid(pair, trade)
        told = hear(pair, client.decode_notification, sent)
        home = hear(pair, client.decode_return, back) if has_return(name) else None
        for _ in range(10):
            try:
                changed = replace(sent, raw_query=damage(data, sent.raw_query), body=damage(data, sent.body))
                assert client.decode_notification(changed, pair.credentials, NOW) == told
            except RemoteProtocolError:
                pass
            try:
                carried = replace(back, raw_query=damage(data, back.raw_query), body=damage(data, back.body))
                assert client.decode_return(carried, pair.credentials, NOW) == home
            except RemoteProtocolError:
                pass
        return None

    law()


@pytest.mark.slow
@EVERY_PAIR
def test_tampered_request_is_refused_or_means_the_same(name: str, algorithm: str, charset: str) -> None:
    """The same for every signed request of a merchant."""
    pair = make_pair(name, algorithm, charset)
    client = pair.manifest.client

    @LAW
    @given(st.sampled_from(simple_intents(name, algorithm)), st.data())
    def law(intent: Intent, data: st.DataObject) -> None:
        request = client.encode(intent, pair.credentials, NOW).request()
        _, told = pair.read(request)
        assume(told.key is not None)
        for _ in range(10):
            try:
                changed = replace(request, body=damage(data, request.body), raw_query=damage(data, request.raw_query))
                assert without_echo(pair.read(changed)[1].intent) == without_echo(told.intent)
            except RemoteProtocolError:
                pass

    law()


def damage(data: st.DataObject, raw: bytes) -> bytes:
    """The bytes with a piece replaced, removed, repeated or added."""
    if not raw:
        return raw
    start = data.draw(st.integers(0, len(raw) - 1))
    stop = data.draw(st.integers(start, min(len(raw), start + 12)))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=3),
            st.sampled_from(
                (b"", b"&", b"=", b"%00", b"+", b"1", b"0", b"&sign=", b"&sign_type=MD5", b"%25", b"%26", b"[]")
            ),
            st.just(raw[start:stop] * 2),
        )
    )
    return raw[:start] + piece + raw[stop:]


def formish(manifest_names: list[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that look like a form of this protocol."""
    value = st.one_of(
        st.binary(max_size=12),
        st.sampled_from((b"MD5", b"RSA", b"utf-8", b"gbk", b"T", b"1.00", b"1", b"%81", b"%00", b"")),
    )
    pair = st.tuples(st.one_of(st.sampled_from(manifest_names), st.binary(max_size=8)), value).map(b"=".join)
    return st.lists(pair, max_size=30).map(b"&".join)


@EVERY_PAIR
def test_any_bytes_give_a_value_or_one_error(name: str, algorithm: str, charset: str) -> None:
    """No bytes make a decoder raise anything but RemoteProtocolError, and some decoders raise nothing at all."""
    pair = make_pair(name, algorithm, charset)
    client, server, manifest = pair.manifest.client, pair.manifest.server, pair.manifest
    requests = [client.encode(intent, pair.credentials, NOW).request() for intent in simple_intents(name, algorithm)]
    names = sorted(
        {
            piece.partition(b"=")[0]
            for request in requests
            for piece in (request.raw_query + b"&" + request.body).split(b"&")
        }
        | {b"service=" + operation.encode() for operation in manifest.operations}
        | {b"notify_type", b"notify_id", b"sign", b"sign_type", b"is_success", b"total_fee", b"trade_status"}
    )
    blobs = st.one_of(st.binary(max_size=300), formish(names), st.sampled_from([request.body for request in requests]))
    answers = st.one_of(blobs, st.lists(st.sampled_from(XML), max_size=20).map(b"".join))

    @LAW
    @given(blobs, blobs, answers, st.sampled_from(("GET", "POST", "PUT", "")), st.sampled_from(manifest.paths))
    def law(query: bytes, body: bytes, answer: bytes, method: str, path: str) -> None:
        request = Request(method, "http", "127.0.0.1", path.encode("ascii"), query, (), body)
        calls: tuple[Callable[[], object], ...] = (
            lambda: pair.read(request),
            lambda: client.decode_notification(request, pair.credentials, NOW),
            lambda: client.decode_return(request, pair.credentials, NOW),
            *[
                partial(client.decode, intent, Response(status, (), answer), pair.credentials, NOW)
                for intent in server_intents(name, algorithm)
                for status in (200, 500)
            ],
        )
        for call in calls:
            try:
                call()
            except RemoteProtocolError as error:
                assert error.code in REFUSALS  # noqa: PT017 - any of them is a right answer here
        server.trail(request)
        describe(request, manifest.private)
        server.acknowledged(Response(200, (), answer))

    law()


XML = (
    b"<alipay>", b"</alipay>", b"<xml>", b"</xml>", b"<is_success>T</is_success>", b"<is_success>F</is_success>",
    b"<response>", b"</response>", b"<trade>", b"</trade>", b"<trade_no>1</trade_no>", b"<![CDATA[", b"]]>",
    b"<!DOCTYPE a>", b"<!--", b"-->", b"&amp;", b"&x;", b"<?xml version='1.0'?>", b"<error>X</error>",
    b"<sign>0</sign>", b"\xff", b" ", b"<a b='c'/>", b"true", b"<total_fee>1.00</total_fee>",
    b"<sign_type>MD5</sign_type>", b"&#0;", b"&#xD800;", b"&#1114112;",
)  # fmt: skip


# --- what logs may show ------------------------------------------------------------------------------------------


@EVERY_PAIR
def test_no_secret_is_shown(name: str, algorithm: str, charset: str) -> None:
    """Neither ``repr`` nor ``describe`` nor the trail shows a key; the first two show no signature and no person."""
    pair = make_pair(name, algorithm, charset)
    server = pair.manifest.server
    people = ("13800000000", "buyer@example.com", "张三")
    shown: list[str] = [repr(pair.credentials), repr(pair.ring)]
    trails: list[str] = []
    for product in products(pair.manifest):
        trade = TradeView(
            out_trade_no="T1",
            trade_no="2015040100001000980012345678",
            product=product,
            state=PAID_STATE[product],
            amount=Money(1_000),
            seller=replace(PERSON, id=pair.manifest.merchant_example),
            buyer=PERSON,
            consignee=HOME if product is not Product.INSTANT else None,
        )
        notification = voiced(pair, Notification(id="637b04133cbb1b5c5f1b3f3d2c9a8e70", at=None, trade=trade))
        try:
            readings = pair.ask(replace(sold(pair, product), buyer=PERSON))
        except LocalProtocolError:
            readings = pair.ask(sold(pair, product))
        for call, claim, verified in readings:
            shown += [
                repr(call),
                repr(call.request()),
                repr(claim),
                repr(verified),
                describe(call.request(), pair.manifest.private),
            ]
        for request in (
            pair.manifest.client.encode(sold(pair, product), pair.credentials, NOW).request(),
            server.notify(notification, TARGET, pair.ring, NOW),
            *([server.return_to(notification, TARGET, pair.ring, NOW)] if has_return(name) else []),
        ):
            trail = server.trail(request)
            assert trail is not None
            assert trail.algorithm == algorithm
            assert trail.signature
            trails.append(trail.text)
            shown += [repr(request), repr(trail), describe(request, pair.manifest.private)]
            assert not any(trail.signature in text for text in shown)
        shown.append(repr(notification))
    assert not any(word in text for text in shown for word in people)
    for text in shown + trails:
        assert not any(secret in text for secret in SECRETS)
        assert "PRIVATE KEY" not in text
