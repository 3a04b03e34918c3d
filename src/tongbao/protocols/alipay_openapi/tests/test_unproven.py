"""T82: what nobody has signed, or what says too little, is no success and no definite refusal of anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.envelope import Voice, write_answer
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Response
from tongbao.wire.json import write_json
from tongbao.wire.movement import CallByName
from tongbao.wire.vocabulary import QueryTrade

PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")
MODES = ("key", "certificate")


def settings(**said: str) -> Credentials:
    """The merchant's settings with others."""
    return PROTOCOL.client.load({**PAIR.settings, **said})


def node(method: str, content: dict[str, Any]) -> Response:
    """An answer that nobody signed."""
    return Response(200, (), write_json({f"{method.replace('.', '_')}_response": content}).encode("utf-8"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("method", "content"),
    [
        (m.QUERY, {"code": "10000", "trade_status": "TRADE_SUCCESS", "out_trade_no": "A1", "total_amount": "1.00"}),
        (m.TRANSFER, {"code": "10000", "status": "SUCCESS", "out_biz_no": "P1"}),
        (m.OAUTH, {"access_token": "T"}),
        ("alipay.marketing.nothing", {}),
        ("alipay.marketing.nothing", {"code": "10000"}),
    ],
)
def test_T82_what_a_method_by_name_says_unsigned_is_not_believed(
    mode: str, method: str, content: dict[str, Any]
) -> None:
    """Also where no code says that it is a success: a method that is not ours may answer anything."""
    asked = CallByName(merchant="", method=method, content={"out_trade_no": "A1"})
    with pytest.raises(InvalidSignature) as caught:
        PROTOCOL.client.decode(asked, node(method, content), settings(mode=mode), NOW)
    assert caught.value.code == "SIGN_MISSING"
    for bare in (node(method, {}), Response(200, (), b'{"error_response":{}}')):
        with pytest.raises(RemoteProtocolError) as empty:
            PROTOCOL.client.decode(asked, bare, settings(mode=mode), NOW)
        codeless = method == m.OAUTH or method not in m.SERVICES
        assert empty.value.code == ("SIGN_MISSING" if codeless else "FIELD_MISSING")


@pytest.mark.parametrize("mode", MODES)
def test_T82_a_certificate_fetched_by_name_is_verified_like_any_answer(mode: str) -> None:
    """Its roots are looked at by ``fetch_certificate`` alone; by name nothing but the signature vouches for it."""
    asked = CallByName(merchant="", method=m.CERTIFICATE, content={"alipay_cert_sn": "a" * 32})
    said = write_json({"code": "10000", "msg": "Success", "alipay_cert_content": "FORGED"})
    serial = '"alipay_cert_sn":"' + "a" * 32 + '",' if mode == "certificate" else ""
    name = f"{m.CERTIFICATE.replace('.', '_')}_response"
    forged = Response(200, (), f'{{"{name}":{said},{serial}"sign":"AAAA"}}'.encode())
    with pytest.raises(InvalidSignature):
        PROTOCOL.client.decode(asked, forged, settings(mode=mode), NOW)


def test_F28_a_signed_answer_without_a_code_ends_nothing() -> None:
    """It was read as a definite refusal, after which a till would charge again (sheet alipay-openapi, 3.1)."""
    said = {"out_trade_no": "A1", "trade_no": "2026", "total_amount": "1.00"}
    written = write_answer(said, Voice("alipay_trade_query_response", "utf-8", PAIR.ring.signing("RSA2"), trace="x"))
    assert not isinstance(written, Response)
    with pytest.raises(RemoteProtocolError) as caught:
        PROTOCOL.client.decode(QueryTrade(merchant="", out_trade_no="A1"), written.sign(), settings(mode="key"), NOW)
    assert (caught.value.field, caught.value.code) == ("code", "FIELD_MISSING")


@pytest.mark.parametrize("status", [400, 404, 502])
@pytest.mark.parametrize("code", [{"a": 1}, ["x"], None, ""])
def test_a_refusal_of_the_rest_interface_has_a_word(status: int, code: object) -> None:
    """Anything else is an error of ours that names what is wrong, and never of another kind."""
    answer = Response(status, (), write_json({"code": code, "message": "x"}).encode("utf-8"))
    asked = QueryTrade(merchant="", out_trade_no="A1")
    credentials = settings(mode="key", interface="v3")
    with pytest.raises(RemoteProtocolError):
        PROTOCOL.client.decode(asked, answer, credentials, NOW)
