"""Codes of products, the platform's half: what is read, asked and believed, beside the half of the merchant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tongbao.kernel.error import InvalidSignature, Refused, RemoteProtocolError
from tongbao.protocols.wechatpay_v2 import codec, wallet
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.tests.test_sign import AT, NONCE, PREPAY, credentials
from tongbao.wire.contract import Claim
from tongbao.wire.http import Response
from tongbao.wire.key import KeyRing

BUYER = "oUpF8uMEb4qRXf22hE3X68TekukE"
TARGET = "https://m.example.com/scanned"
END = wallet.ProductCodes()


def claimed(text: str) -> Claim:
    claim = END.claim(text)
    assert claim is not None
    return claim


@pytest.mark.parametrize("algorithm", [m.MD5, m.HMAC])
def test_both_halves_understand_each_other(algorithm: str) -> None:
    """Code, question and answer, each signed in the kind of the code; the question's nonce follows from its moment."""
    own = credentials(algorithm)
    claim = claimed(f" {wallet.sign_product(own, 'P1', NONCE, AT)}\n")
    assert claim.merchant == "1900000001"
    END.check(claim, own.ring)
    asked = END.ask(claim, BUYER, TARGET, own.ring, AT)
    assert asked.url == TARGET
    said = wallet.read_scan(asked.body, own)
    assert (said["product_id"], said["openid"], said["appid"]) == ("P1", BUYER, "wxd930ea5d5a258f4f")
    assert END.ask(claim, BUYER, TARGET, own.ring, AT).body == asked.body
    assert END.read(claim, Response(200, (), wallet.answer_scan(own, PREPAY, NONCE)), own.ring) == PREPAY
    with pytest.raises(Refused) as caught:
        END.read(claim, Response(200, (), wallet.answer_scan(own, "", NONCE, "已售罄")), own.ring)
    assert caught.value.detail == "已售罄"


def test_what_is_no_code_of_a_product() -> None:
    """Other texts and codes of orders are left to others; one that begins like a product's must be whole."""
    own = credentials(m.MD5)
    good = wallet.sign_product(own, "P1", NONCE, AT)
    for text in ("", "hello", "weixin://wxpay/bizpayurl?pr=abc", good.replace("weixin", "https")):
        assert END.claim(text) is None
    for name in ("appid", "mch_id", "sign", "time_stamp", "nonce_str"):
        with pytest.raises(RemoteProtocolError):
            END.claim(good.replace(f"{name}=", f"{name}_="))
    for text in (good + "&product_id=P2", good.replace("P1", "P%201"), good.replace("sign=", "sign=0")):
        with pytest.raises(RemoteProtocolError):
            END.claim(text)
    for old, new in (("P1", "P2"), ("1735689600", "1735689601"), (NONCE, NONCE[::-1])):
        with pytest.raises(InvalidSignature):
            END.check(claimed(good.replace(old, new)), own.ring)


def test_T18_answers_are_strict() -> None:
    """Another's signature, merchant or appid, a downgraded kind, a declaration, another status: nothing is opened."""
    own = credentials(m.HMAC)
    claim = claimed(wallet.sign_product(own, "P1", NONCE, AT))
    good = wallet.answer_scan(own, PREPAY, NONCE)
    key = own.ring.sign[0]

    def signed(**changes: str) -> bytes:
        fields = {name: value for name, value in codec.read_fields(good).items() if name != "sign"}
        return codec.write_fields(codec.signed(fields | changes, key))

    weaker = wallet.answer_scan(credentials(m.MD5), PREPAY, NONCE)
    wrong: list[tuple[int, bytes]] = [
        (500, good),
        (200, good.replace(PREPAY.encode(), PREPAY[::-1].encode())),
        (200, weaker),
        (200, signed(mch_id="1900000002")),
        (200, signed(appid="wx0000000000000000")),
        (200, signed(prepay_id="")),
        (200, signed(prepay_id="wx/../1")),
        (200, b'<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + good),
        (200, b"<xml><return_code>FAIL</return_code></xml>"),
        (200, b""),
    ]
    for status, body in wrong:
        with pytest.raises(RemoteProtocolError):
            END.read(claim, Response(status, (), body), own.ring)
    both = KeyRing(own.merchant, (key, replace(key, algorithm=m.MD5)), own.ring.sign)
    with pytest.raises(InvalidSignature):
        END.read(claim, Response(200, (), weaker), both)


def test_nothing_secret_is_shown() -> None:
    """A claim in a log names the merchant, and neither product nor signature."""
    shown: Any = repr(claimed(wallet.sign_product(credentials(m.MD5), "P1", NONCE, AT)))
    assert "1900000001" in shown
    assert NONCE not in shown
