"""What is no method of ``alipay_openapi``, over HTTP: each of its two interfaces says so in its own words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tongbao.kernel.error import InvalidSignature
from tongbao.kernel.time import Instant
from tongbao.merchant.system import SystemEntropy
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.codec import RSA2
from tongbao.protocols.alipay_openapi.envelope import split_members
from tongbao.protocols.alipay_openapi.rest import read_rest_answer, write_auth
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Response
from tongbao.wire.movement import CallByName
from tongbao.wire.vocabulary import Rejection

pytestmark = pytest.mark.slow
WORD, TEXT = "isv.invalid-method", "不存在的方法名"


@pytest.fixture(name="shop")
def fixture_shop(box: LocalSandbox) -> Credentials:
    said: dict[str, Any] = box.credentials["protocols"][PROTOCOL.name]
    known = {field.name for field in PROTOCOL.credentials}
    return PROTOCOL.client.load({name: value for name, value in said.items() if name in known} | {"mode": "key"})


def wire_time(box: LocalSandbox) -> Instant:
    return Instant(int(box.control("GET", "clock")["wire"]))


def send(url: str, verb: str = "POST", body: bytes = b"", **headers: str) -> Response:
    answer = httpx.request(verb, url, content=body, headers=headers, trust_env=False)
    kept = tuple((name.encode(), value.encode()) for name, value in answer.headers.items())
    return Response(answer.status_code, kept, answer.content)


def ask_rest(
    box: LocalSandbox, shop: Credentials, path: str, verb: str = "POST", body: bytes = b'{"out_trade_no":"T1"}'
) -> Response:
    """A signed request to a path of the REST interface."""
    key = shop.ring.signing(RSA2)
    auth = write_auth({"app_id": shop.merchant}, verb, path, body, key, wire_time(box), SystemEntropy())
    return send(shop.gateway.removesuffix("/gateway.do") + path, verb, body, Authorization=auth)


def test_an_unknown_method_is_told_under_its_own_node_and_signed(box: LocalSandbox, shop: Credentials) -> None:
    """Libraries look for the node of what they asked for, and verify it (sheet alipay-openapi, 3.4)."""
    asked = CallByName(merchant="", method="alipay.trade.nothing", content={"out_trade_no": "T1"})
    call = PROTOCOL.client.encode(asked, shop, wire_time(box))
    answer = send(call.action(), body=call.request().body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 200
    assert list(split_members(answer.body.decode("utf-8"))) == ["alipay_trade_nothing_response", "sign"]
    assert b'{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-method"' in answer.body
    told = PROTOCOL.client.decode(asked, answer, shop, wire_time(box))
    assert told == Rejection("UNKNOWN_SERVICE", WORD, TEXT, proven=True)


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/v3/alipay/trade/nothing", "POST"),
        ("/v3/alipay/trade/nothing", "GET"),
        ("/v3/alipay/trade/page/pay", "POST"),
        ("/v3/alipay/trade/query/", "POST"),
        ("/v3/ALIPAY/trade/query", "POST"),
        ("/v3/x", "POST"),
        ("/v3/%E4%BA%A4%E6%98%93", "POST"),
        ("/v3/alipay/trade/refund", "GET"),
    ],
)
def test_an_unknown_path_is_told_as_the_rest_interface_does(
    box: LocalSandbox, shop: Credentials, path: str, verb: str
) -> None:
    """404 with the interface's own object (sheet alipay-openapi, 11.2), signed for whoever has signed."""
    answer = ask_rest(box, shop, path, verb, b"" if verb == "GET" else b'{"out_trade_no":"T1"}')
    said = read_rest_answer(answer, list(shop.ring.verifying(RSA2)), None)
    assert (answer.status, said["code"], said["message"]) == (404, "invalid-method", TEXT)
    assert answer.header("content-type") == "application/json;charset=utf-8"
    assert answer.header("alipay-signature")


def test_an_unknown_path_is_told_to_strangers_too(box: LocalSandbox, shop: Credentials) -> None:
    """Without a header, unsigned; a path that exists asks for the header first; the form's words stay the form's."""
    base = shop.gateway.removesuffix("/gateway.do")
    stray = send(f"{base}/v3/alipay/trade/nothing", Accept="text/html")
    assert (stray.status, stray.header("alipay-signature")) == (404, None)
    assert read_rest_answer(stray, [], None)["code"] == "invalid-method"
    bare = send(f"{base}/v3/alipay/trade/query")
    assert (bare.status, read_rest_answer(bare, [], None)["code"]) == (400, "missing-timestamp")
    with pytest.raises(InvalidSignature):
        read_rest_answer(ask_rest(box, shop, "/v3/alipay/trade/nothing"), [], None)
    assert send(f"{base}/gateway.do").body.startswith(b'{"error_response":{"code":"40001"')
    assert send(f"{base}/v4/alipay/trade/query").header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["alipay.trade.nothing", "Alipay.Trade.Query"])
def test_an_unknown_application_is_told_before_the_method(box: LocalSandbox, shop: Credentials, method: str) -> None:
    """As the gateway looks for the application first (sheet alipay-openapi, 2.3); a known one must have signed."""
    fields = {"method": method, "charset": "utf-8", "sign_type": RSA2, "sign": "AAAA", "biz_content": "{}"}
    told = []
    for app in ("2021999999999999", shop.merchant):
        body = urlencode(fields | {"app_id": app}).encode("ascii")
        answer = send(shop.gateway, body=body, **{"Content-Type": "application/x-www-form-urlencoded"})
        told.append((answer.body.partition(b'"sub_code":"')[2].partition(b'"')[0], b',"sign":"' in answer.body))
    assert told == [(b"isv.invalid-app-id", False), (b"isv.invalid-signature", True)]
