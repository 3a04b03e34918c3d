"""Signatures, ciphertexts and pay signatures of ``vectors/sign.json``: made again, or only verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.protocol.vector import shared_keys
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols import wechatpay_v3
from tongbao.protocols.wechatpay_v3 import codec, wallet
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.contract import Credentials
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import load_rsa_private, load_rsa_public

VECTORS = Path(wechatpay_v3.__file__).with_name("vectors")
DATA = json.loads(VECTORS.joinpath("sign.json").read_text("utf-8"))


def having(kind: str) -> pytest.MarkDecorator:
    chosen = [case for case in DATA["cases"] if case["kind"] == kind]
    return pytest.mark.parametrize("case", chosen, ids=[case["what"] for case in chosen])


def private(whose: str) -> RSAPrivateKey:
    return load_rsa_private(shared_keys(VECTORS)[DATA[f"{whose}_key"]]["private"], "key")


@having("sign")
def test_signature_is_made_again(case: dict[str, Any]) -> None:
    """PKCS#1 v1.5 is deterministic: our signature is the published one, and verifies."""
    key = private(case["key"])
    text = case["text"].encode("utf-8")
    assert codec.sign(text, Key("k", 1, m.ALGORITHM, key)) == case["signature"]
    public = Key("k", 1, m.ALGORITHM, key.public_key())
    assert codec.verify(text, case["signature"], public)
    assert not codec.verify(text + b" ", case["signature"], public)
    probe = codec.PROBE + case["signature"][len(codec.PROBE) :]
    assert not codec.verify(text, probe, public)


@having("verify")
def test_known_signature_verifies(case: dict[str, Any]) -> None:
    """Signatures whose private keys nobody published verify over the texts as we build them."""
    public = Key("k", 1, m.ALGORITHM, load_rsa_public(case["public"], "public"))
    assert codec.verify(case["text"].encode("utf-8"), case["signature"], public)


def test_pay_signatures() -> None:
    """Made for the wallet from a prepared order: JSAPI signs ``prepay_id=...``, APP the bare number, each as published;
    with another appid each signs that one."""
    cases = {case["what"]: case for case in DATA["cases"]}
    jsapi, app = cases["JSAPI pay signature"], cases["APP pay signature"]
    appid, at, nonce, package, _ = jsapi["text"].split("\n")
    prepay_id, now = package.removeprefix("prepay_id="), Instant(int(at) * 1_000)
    key = Key("k", 1, m.ALGORITHM, private(jsapi["key"]))
    own = Credentials("wechatpay_v3", "1900000109", "", {"appid": appid}, KeyRing("1900000109", (), (key,)))
    assert wallet.sign_jsapi(own, prepay_id, nonce, now) == {
        "appId": appid,
        "timeStamp": at,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": jsapi["signature"],
    }
    assert wallet.sign_app(own, prepay_id, nonce, now) == {
        "appid": appid,
        "partnerid": "1900000109",
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": at,
        "sign": app["signature"],
    }
    for made, name in ((wallet.sign_jsapi, "appId"), (wallet.sign_app, "appid")):
        other = made(own, prepay_id, nonce, now, appid="wx1f87d44db95cba7a")
        assert other[name] == "wx1f87d44db95cba7a"
        assert (jsapi["signature"] in other.values(), app["signature"] in other.values()) == (False, False)


@having("open")
def test_sealed_content_opens(case: dict[str, Any]) -> None:
    """A sealed content opens to the published text, sealing it again gives the same bytes, and nothing else opens."""
    sealed = {"algorithm": m.AEAD, "ciphertext": case["ciphertext"], "nonce": case["nonce"]}
    resource = {**sealed, "associated_data": case["about"]}
    secret = case["secret"].encode("ascii")
    plain = codec.unseal(resource, secret)
    assert plain.decode("utf-8") == case["plain"]
    assert codec.seal(plain, case["about"], secret, case["nonce"]) == case["ciphertext"]
    for name, value in (
        ("associated_data", case["about"] + "x"),
        ("nonce", "x" + case["nonce"][1:]),
        ("nonce", case["nonce"] + "0"),
        ("algorithm", "AES_256_GCM"),
        ("algorithm", ""),
        ("ciphertext", case["ciphertext"][:-4]),
        ("ciphertext", ""),
    ):
        with pytest.raises(RemoteProtocolError):
            codec.unseal({**resource, name: value}, secret)


@having("reveal")
def test_hidden_name_is_revealed(case: dict[str, Any]) -> None:
    """OAEP with SHA-1: the published ciphertext opens, and so does one of our own; a foreign key opens neither."""
    key = Key("k", 1, m.ALGORITHM, private(case["key"]))
    other = Key("o", 1, m.ALGORITHM, private("merchant"))
    assert codec.reveal(case["ciphertext"], [other, key], "name") == case["plain"]
    assert codec.reveal(codec.hide(case["plain"], key), [key], "name") == case["plain"]
    with pytest.raises(RemoteProtocolError):
        codec.reveal(case["ciphertext"], [other], "name")
