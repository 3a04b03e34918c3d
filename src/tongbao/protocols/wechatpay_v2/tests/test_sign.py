"""Signatures and the refund notice's cipher of ``vectors/sign.json``, made again letter by letter."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols import wechatpay_v2
from tongbao.protocols.wechatpay_v2 import codec, wallet
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.wire.contract import Credentials
from tongbao.wire.key import Key, KeyRing

DATA = json.loads(Path(wechatpay_v2.__file__).with_name("vectors").joinpath("sign.json").read_text("utf-8"))
SECRET = DATA["key"].encode("ascii")
NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
PREPAY = "wx01080000000000a1b2c3d4e5f600000000"
AT = Instant(1_735_689_600_000)


def credentials(algorithm: str) -> Credentials:
    key = Key("k", 1, algorithm, SECRET)
    values = {"appid": "wxd930ea5d5a258f4f", "sign_type": algorithm}
    return Credentials("wechatpay_v2", "1900000001", "", values, KeyRing("1900000001", (key,), (key,)))


@pytest.mark.parametrize("case", DATA["cases"], ids=[case["what"] for case in DATA["cases"]])
def test_signatures(case: dict[str, Any]) -> None:
    """Both kinds, over the published fields."""
    for algorithm, name in ((m.MD5, "md5"), (m.HMAC, "hmac")):
        assert codec.make_sign(case["fields"], Key("k", 1, algorithm, SECRET)) == case[name]


@pytest.mark.parametrize("algorithm", [m.MD5, m.HMAC])
def test_second_signatures(algorithm: str) -> None:
    """What the merchant signs for the wallet: JSAPI, APP and the code of a product."""
    own = credentials(algorithm)
    assert wallet.sign_jsapi(own, PREPAY, NONCE, AT)["paySign"] == DATA["second"]["jsapi"][algorithm]
    assert wallet.sign_app(own, PREPAY, NONCE, AT)["sign"] == DATA["second"]["app"][algorithm]
    link = wallet.sign_product(own, "P1", NONCE, AT)
    said = parse_qs(link.partition("?")[2])
    assert link.startswith("weixin://wxpay/bizpayurl?sign=")
    assert algorithm != m.MD5 or said["sign"] == [DATA["second"]["product"][m.MD5]]


def test_scan_of_a_product() -> None:
    """Mode 1: the platform's question is verified, the merchant's answer is signed; a changed question is refused."""
    own = credentials(m.MD5)
    asked = {
        "appid": "wxd930ea5d5a258f4f",
        "openid": "oUpF8uMEb4qRXf22hE3X68TekukE",
        "mch_id": "1900000001",
        "is_subscribe": "Y",
        "nonce_str": NONCE,
        "product_id": "P1",
    }
    body = codec.write_fields(codec.signed(asked, own.ring.signing(m.MD5)))
    assert wallet.read_scan(body, own)["product_id"] == "P1"
    with pytest.raises(RemoteProtocolError):
        wallet.read_scan(body.replace(b"P1", b"P2"), own)
    answer = codec.read_fields(wallet.answer_scan(own, PREPAY, NONCE))
    assert codec.authenticate(answer, m.MD5, own.ring) == own.ring.sign[0]
    assert (answer["result_code"], answer["prepay_id"]) == ("SUCCESS", PREPAY)
    refused = codec.read_fields(wallet.answer_scan(own, "", NONCE, "已售罄"))
    assert (refused["result_code"], refused["err_code_des"]) == ("FAIL", "已售罄")


def test_refund_notice() -> None:
    """The published notice opens to the published plain text, and hiding it again gives the same."""
    key = codec.notice_key(SECRET)
    assert key.decode() == DATA["notice_key"]
    plain = codec.reveal(DATA["notice"], key)
    assert hashlib.sha256(plain).hexdigest() == DATA["notice_sha256"]
    assert base64.b64encode(codec.hide(plain, key)).decode() == DATA["notice"]
    for case in DATA["hidden"]:
        assert codec.reveal(case["hidden"], case["key"].encode()).decode() == case["plain"]
    for wrong in ("", "AAAA", DATA["notice"][:-4], "!" * 24):
        with pytest.raises(RemoteProtocolError):
            codec.reveal(wrong, key)


def test_T18_cdata_is_split() -> None:
    """A text that holds the end of CDATA, marks of XML or quotes is read back as it was."""
    for text in ("a]]>b", "]]>", "<a>&amp;</a>", "\"'&<>", "茶]]"):
        assert codec.read_fields(codec.write_fields({"attach": text})) == {"attach": text}
