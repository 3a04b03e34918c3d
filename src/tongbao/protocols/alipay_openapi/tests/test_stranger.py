"""Who hears what: whoever has signed for his application, or tried to, is answered with our signature, and nobody else
costs one. (How often one may try is the face's to say: T89.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.codec import REQUEST_UNSIGNED, RSA2, signed
from tongbao.protocols.alipay_openapi.rest import write_auth
from tongbao.wire.contract import Claim
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import QueryTrade

QUERY = QueryTrade(merchant="", out_trade_no="T1")
STRANGE = ("alipay.trade.nothing", "Alipay.Trade.Query", "ALIPAY", "alipay..query", "a_b")
NAMELESS = ('bad method!"', "交易", "x" * 129)


def fields_of(pair: Pair, **more: str) -> dict[str, str]:
    """A signed query with other fields."""
    asked = dict(PROTOCOL.client.encode(QUERY, pair.credentials, NOW).fields) | {"charset": "utf-8", **more}
    unsigned = {name: asked[name] for name in asked if name != "sign" and asked[name]}
    return signed(unsigned, "utf-8", pair.credentials.ring.signing(RSA2), REQUEST_UNSIGNED).sign()


def claim_of(fields: Mapping[str, str]) -> Claim:
    body = encode_form(tuple(fields.items()), "utf-8")
    return PROTOCOL.server.claim(Request("POST", "http", "127.0.0.1", b"/gateway.do", b"", (), body))


def heard(claim: Claim, ring: KeyRing) -> tuple[str, bytes]:
    """The refusal's code, and what is told."""
    with pytest.raises(RemoteProtocolError) as caught:
        PROTOCOL.server.decode(claim, ring, NOW)
    return caught.value.code, PROTOCOL.server.refuse(claim, caught.value, ring, NOW).body


@pytest.mark.parametrize("method", [*STRANGE, *NAMELESS])
def test_whoever_has_signed_hears_that_there_is_no_such_method(method: str) -> None:
    """Signed, under the node that a library looks for; where the name can be none, under ``error_response``."""
    pair = make_pair("alipay_openapi", RSA2, "utf-8")
    code, body = heard(claim_of(fields_of(pair, method=method)), pair.ring)
    node = f"{method.replace('.', '_')}_response" if method in STRANGE else "error_response"
    assert code == "UNKNOWN_SERVICE"
    assert body.startswith(f'{{"{node}":{{"code":"40002","msg":"Invalid Arguments",'.encode())
    assert b'"sub_code":"isv.invalid-method"' in body
    assert b',"sign":"' in body


@pytest.mark.parametrize("method", [*STRANGE, *NAMELESS])
def test_the_application_and_its_signature_come_before_the_method(method: str) -> None:
    """Sheet alipay-openapi, 2.3. A bad signature is counted as one, and an unknown application, for which nothing
    verifies, is looked up by whoever counts."""
    pair, other = (make_pair("alipay_openapi", RSA2, "utf-8", number) for number in (0, 1))
    said = fields_of(pair, method=method)
    changed = claim_of(said | {"timestamp": "2026-01-02 03:04:06"})
    with pytest.raises(InvalidSignature):
        PROTOCOL.server.decode(changed, pair.ring, NOW)
    with pytest.raises(InvalidSignature):
        PROTOCOL.server.decode(claim_of(said), replace(other.ring, merchant="", sign=()), NOW)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"charset": ""}, "isv.invalid-charset"),
        ({"charset": "utf-7"}, "isv.invalid-charset"),
        ({"app_id": "no application"}, "isv.invalid-app-id"),
    ],
)
def test_what_is_refused_before_the_signature_costs_none_of_ours(more: dict[str, str], word: str) -> None:
    """Anybody can write such a request under a known application's number."""
    pair = make_pair("alipay_openapi", RSA2, "utf-8")
    said = {name: value for name, value in (fields_of(pair) | more).items() if value}
    _, body = heard(claim_of(said), pair.ring)
    assert word.encode() in body
    assert b'"sign"' not in body


def test_a_rest_query_holds_no_controls_either() -> None:
    """What a form's content may not hold, the query of a GET may not: refused naming the field."""
    pair = make_pair("alipay_openapi", RSA2, "utf-8")
    path, query, key = "/v3/alipay/trade/query", "out_trade_no=A%01", pair.credentials.ring.signing(RSA2)
    auth = write_auth({"app_id": pair.ring.merchant}, "GET", f"{path}?{query}", b"", key, NOW, None)
    headers = ((b"authorization", auth.encode()),)
    rest = PROTOCOL.server.claim(Request("GET", "http", "127.0.0.1", path.encode(), query.encode(), headers, b""))
    for claim in (rest, claim_of(fields_of(pair, biz_content='{"out_trade_no":"A\\u0001"}'))):
        with pytest.raises(RemoteProtocolError) as caught:
            PROTOCOL.server.decode(claim, pair.ring, NOW)
        assert (caught.value.field, caught.value.code) == ("out_trade_no", "BAD_CHARSET")


def test_a_path_that_names_nothing_costs_a_signature_only_for_whoever_has_signed() -> None:
    """404 and signed for him; for anybody else the signature is what is wrong, or there is none of ours."""
    pair = make_pair("alipay_openapi", RSA2, "utf-8")
    path, key = "/v3/alipay/trade/nothing", pair.credentials.ring.signing(RSA2)
    auth = write_auth({"app_id": pair.ring.merchant}, "POST", path, b"{}", key, NOW, None)

    def claim(header: str) -> Claim:
        headers = ((b"authorization", header.encode()),) if header else ()
        return PROTOCOL.server.claim(Request("POST", "http", "127.0.0.1", path.encode(), b"", headers, b"{}"))

    told = []
    for header in (auth, auth.replace("sign=", "sign=AAAA"), ""):
        one = claim(header)
        with pytest.raises(RemoteProtocolError) as caught:
            PROTOCOL.server.decode(one, pair.ring, NOW)
        answer = PROTOCOL.server.refuse(one, caught.value, pair.ring, NOW)
        told.append((caught.value.code, answer.status, answer.header("alipay-signature") is not None))
    assert told == [("UNKNOWN_SERVICE", 404, True), ("SIGN_INVALID", 400, True), ("UNKNOWN_SERVICE", 404, False)]
