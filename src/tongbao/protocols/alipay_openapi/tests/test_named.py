"""Methods by their names, as the merchant's half says them. Both ends with answers are in ``test_end.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import InvalidSignature, LocalProtocolError
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.outcome import read_outcome
from tongbao.wire.form import parse_form
from tongbao.wire.http import Request
from tongbao.wire.json import read_object
from tongbao.wire.movement import Answered, CallByName
from tongbao.wire.vocabulary import Rejection

INTERFACES = ("v2", "v3")


def ask(method: str, content: dict[str, Any], public: dict[str, str] | None = None, interface: str = "v2") -> Request:
    """The request, which the platform's half has found to be well signed, or not to be a method of its own."""
    pair = make_pair("alipay_openapi", "RSA2", "utf-8")
    own = PROTOCOL.client.load({**pair.settings, "mode": "key", "interface": interface})
    named = CallByName(merchant="", method=method, content=content, public=public or {})
    request = PROTOCOL.client.encode(named, own, NOW).request()
    claim = PROTOCOL.server.claim(request)
    if method in m.SERVICES:
        PROTOCOL.server.decode(claim, pair.ring, NOW)
    return request


def form(request: Request) -> dict[str, str]:
    return dict(parse_form(request.body))


def test_values_of_a_query_are_json() -> None:
    """In the query of a REST request there is text alone: lists, objects and truth are spelt as JSON spells them, and
    what is None is not said. In JSON they stay what they are."""
    content = {"out_request_no": "A1", "x": ["a", "茶"], "y": {"z": 1}, "t": True, "f": False, "n": None, "i": 7}
    asked = dict(parse_form(ask(m.SETTLE_QUERY, {**content, "trade_no": "1"}, interface="v3").raw_query))
    said = {"x": '["a","茶"]', "y": '{"z":1}', "t": "true", "f": "false", "i": "7"}
    assert asked == {"out_request_no": "A1", "trade_no": "1", **said}
    assert read_object(form(ask("alipay.marketing.nothing.do", content))["biz_content"].encode()) == content


def test_values_beside_the_content_are_texts() -> None:
    """Fields that a method has at the top, and the addresses of every method: no None and no representation."""
    asked = form(ask(m.OAUTH, {"grant_type": "authorization_code", "code": "x", "refresh_token": None}))
    assert (asked["code"], "refresh_token" in asked, "biz_content" in asked) == ("x", False, False)
    asked = form(ask(m.QUERY, {"out_trade_no": "T1", "notify_url": None, "return_url": "https://shop.example/r"}))
    assert ("notify_url" in asked, asked["return_url"]) == (False, "https://shop.example/r")
    for name in ("app_id", "sign", "sign_type", "biz_content"):
        with pytest.raises(LocalProtocolError) as caught:
            ask(m.OAUTH, {"grant_type": "authorization_code", "code": "x", name: "y"})
        assert caught.value.field == name


def test_tokens_stand_beside_the_content() -> None:
    """The token of who is asked about or acted for is a public parameter, signed; where a method has a field of that
    name in its content, it stays there."""
    said = {"auth_token": "u1"}
    for request in (ask(m.USER_SHARE, said), ask(m.USER_SHARE, {}, said), ask(m.USER_SHARE, said, interface="v3")):
        asked = form(request)
        assert (asked["auth_token"], "biz_content" in asked) == ("u1", False)
    asked = form(ask(m.QUERY, {"out_trade_no": "T1"}, {"app_auth_token": "a1"}))
    assert (asked["app_auth_token"], read_object(asked["biz_content"].encode())) == ("a1", {"out_trade_no": "T1"})
    asked = form(ask("alipay.open.auth.token.app.query", {"app_auth_token": "a1"}))
    assert ("app_auth_token" in asked, asked["biz_content"]) == (False, '{"app_auth_token":"a1"}')


@pytest.mark.parametrize("method", [m.QUERY, m.SETTLE_QUERY])
def test_a_token_is_a_header_of_the_rest_interface(method: str) -> None:
    """It is signed as the last line: changed or taken away, the signature is wrong."""
    request = ask(method, {"trade_no": "1", "out_request_no": "A1"}, {"app_auth_token": "a1"}, "v3")
    assert request.header("alipay-app-auth-token") == "a1"
    ring = make_pair("alipay_openapi", "RSA2", "utf-8").ring
    others = tuple(pair for pair in request.headers if pair[0].lower() != b"alipay-app-auth-token")
    for headers in (others, (*others, (b"alipay-app-auth-token", b"a2"))):
        claim = PROTOCOL.server.claim(replace(request, headers=headers))
        with pytest.raises(InvalidSignature):
            PROTOCOL.server.decode(claim, ring, NOW)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(
    ("public", "field"),
    [
        ({"sign": "x"}, "sign"),
        ({"app_id": "1"}, "app_id"),
        ({"method": "x"}, "method"),
        ({"auth_token": 1}, "auth_token"),
    ],
)
def test_what_the_settings_say_is_not_said_twice(interface: str, public: dict[str, Any], field: str) -> None:
    """Public parameters that follow from settings and content cannot be named; values are text."""
    with pytest.raises(LocalProtocolError) as caught:
        ask(m.QUERY, {"out_trade_no": "T1"}, public, interface)
    assert caught.value.field == field


def test_the_rest_interface_has_one_public_parameter() -> None:
    """Another is refused, and so is a token that would be more than a header's value."""
    for public in ({"auth_token": "u1"}, {"app_auth_token": "a\r\nx: y"}, {"app_auth_token": "茶"}):
        with pytest.raises(LocalProtocolError) as caught:
            ask(m.QUERY, {"out_trade_no": "T1"}, public, "v3")
        assert caught.value.field in public


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("method", [m.PAGE_PAY, m.WAP_PAY, m.APP_PAY])
def test_what_a_buyer_carries_is_not_asked(interface: str, method: str) -> None:
    """Nothing is sent, and the error names what to use instead."""
    with pytest.raises(LocalProtocolError, match="payment") as caught:
        ask(method, {"out_trade_no": "T1", "total_amount": "1.00", "subject": "x"}, None, interface)
    assert caught.value.field == "method"


@pytest.mark.parametrize("method", ["bad method!", "", "query", "Alipay.Trade.Query", "alipay..x", "a.b&sign=x"])
def test_what_is_no_name_is_not_asked(method: str) -> None:
    """Nothing is signed."""
    with pytest.raises(LocalProtocolError) as caught:
        ask(method, {})
    assert (caught.value.field, caught.value.code) == ("method", "UNKNOWN_SERVICE")


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), b"x"])
def test_what_json_cannot_say_is_not_asked(value: object) -> None:
    """The error names the field."""
    with pytest.raises(LocalProtocolError) as caught:
        ask("alipay.marketing.nothing", {"a": value})
    assert caught.value.field == "a"


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(
    ("content", "public", "field"),
    [
        ({"a": "\ud800"}, {}, "a"),
        ({"a": {"b": "\udfff"}}, {}, "a"),
        ({"notify_url": "http://shop.example/\ud800"}, {}, "notify_url"),
        ({"\ud800": "x"}, {}, "content"),
        ({1: "x"}, {}, "content"),
        ({}, {"app_auth_token": "\ud800"}, "app_auth_token"),
    ],
)
def test_what_no_text_can_say_is_not_asked(
    interface: str, content: dict[Any, Any], public: dict[str, str], field: str
) -> None:
    """Half a character in a value, at any depth, or in a name, and a name that is no text."""
    for method in (m.QUERY, m.SETTLE_QUERY, "alipay.marketing.nothing"):
        with pytest.raises(LocalProtocolError) as caught:
            ask(method, content, public, interface)
        assert caught.value.field == field


@pytest.mark.parametrize(("flag", "kind"), [("Y", Rejection), ("N", Answered)])
def test_F28_a_cancellation_by_name_that_is_to_be_repeated_has_not_ended(flag: str, kind: type) -> None:
    """As the typed one: ``retry_flag`` Y is no success (sheet alipay-openapi, 6.8)."""
    asked = CallByName(merchant="", method=m.CANCEL, content={"out_trade_no": "A1"})
    told = read_outcome(asked, {"code": "10000", "msg": "Success", "out_trade_no": "A1", "retry_flag": flag})
    assert isinstance(told, kind)
    assert not isinstance(told, Rejection) or told.code == "SYSTEM"
