"""The signing rule: published and computed signatures, and a second implementation beside ours (T13)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import LocalProtocolError
from tongbao.protocols.alipay_mapi.codec import CODECS, MD5, RSA, canonical, canonical_text, sign, signed, verify
from tongbao.protocols.alipay_mapi.device import read_order
from tongbao.protocols.alipay_mapi.server import MASK, Server
from tongbao.wire.http import FORM, post
from tongbao.wire.key import Key
from tongbao.wire.sign import load_rsa_public

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "sign.json").read_text("utf-8"))


def key_of(vector: dict[str, Any]) -> Key:
    if "public" in vector:
        return Key("vector", 1, RSA, load_rsa_public(vector["public"], "public"))
    return Key("vector", 1, MD5, vector["secret"].encode("ascii"))


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_signature(vector: dict[str, Any]) -> None:
    """The canonical string is the one written down, and its signature is the published one."""
    text = canonical_text(vector["fields"], CODECS[vector["charset"]])
    assert text == vector["text"].encode(CODECS[vector["charset"]])
    assert verify(text, vector["signature"], key_of(vector))
    if "secret" in vector:
        assert sign(text, key_of(vector)) == vector["signature"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "secret" in vector])
def test_trail(vector: dict[str, Any]) -> None:
    """The trail of any message that carries a signature shows the signed string with the key masked."""
    fields = {**vector["fields"], "sign": vector["signature"], "sign_type": "MD5"}
    body = urlencode(fields, encoding=vector["charset"]).encode("ascii")
    trail = Server().trail(post("http://shop.example.com/notify", body, f"{FORM}; charset={vector['charset']}"))
    assert trail is not None
    assert trail.text == vector["text"] + MASK
    assert trail.signature == vector["signature"]


PUBLIC_ORDER = (
    'service="mobile.securitypay.pay"&_input_charset="utf-8"&partner="1000000000000000"&seller_id="1000000000000000"'
    '&payment_type="1"&out_trade_no="1"&notify_url="/some_url"&subject="subject"&total_fee="0.01"&body="test"'
    '&sign="if1qjK4qnT7eQ5fw%2BBddHhO1LY6iuPY9Xmhkx81YKuCdceKWBdv798j%2BrxF9ZAhNW4Y3TMURm%2BXpgxhOh8lj8vorFup%2BMJ6fe2rX'
    'RWgxFhK9B8xuP2XH%2F3878g6d8Jq2D2gINTgDDL7%2BB5%2FIWWlwInas40cQTsVngG8mWkzB788%3D"&sign_type="RSA"'
)


def test_a_published_order_string_verifies() -> None:
    """The order string of a public test suite, verified over exactly what stands before its signature."""
    public = next(vector for vector in VECTORS if "public" in vector)
    order = read_order(PUBLIC_ORDER.encode("ascii"))
    assert verify(order.text, order.signature, key_of(public))
    assert order.message.fields["total_fee"] == "0.01"
    assert not verify(order.text.replace(b"0.01", b"0.02"), order.signature, key_of(public))


def second_builder(fields: Mapping[bytes, bytes], secret: bytes) -> str:
    """The rule once more, written another way: remove, insert in place by comparing bytes, feed the hash in pieces."""
    names: list[bytes] = []
    for name in fields:
        if name in (b"sign", b"sign_type") or len(fields[name]) == 0:
            continue
        place = 0
        while place < len(names) and names[place] < name:
            place += 1
        names.insert(place, name)
    digest = hashlib.md5(usedforsecurity=False)
    for number, name in enumerate(names):
        digest.update((b"&" if number else b"") + name + b"=" + fields[name])
    digest.update(secret)
    return digest.hexdigest()


NAMES = st.one_of(
    st.sampled_from(
        (
            b"sign", b"sign_type", b"_input_charset", b"logistics_fee", b"logistics_fee_1", b"logistics_fee_2", b"Sign",
            b"subject", b"0", b"false", b"a_b", b"ab", b"aB", b"a", b"_", b"~", "名".encode(),
        )
    ),
    st.binary(min_size=1, max_size=6),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from((b"", b"0", b"false", b"null", b" ", b"&", b"=", b"+", b"%25")), st.binary(max_size=9)
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, VALUES, max_size=20), st.binary(min_size=16, max_size=32))
def test_T13_two_implementations_agree(fields: dict[bytes, bytes], secret: bytes) -> None:
    """Two independent builders of the canonical string give one signature for any fields whatever."""
    assert sign(canonical(fields), Key("k", 1, MD5, secret)) == second_builder(fields, secret)


def test_order_and_omissions() -> None:
    """Sorted by name, empty values and the signature itself left out, sign and sign_type written last."""
    key = Key("k", 1, MD5, b"0123456789abcdef")
    fields = {"b": "2", "_a": "1", "empty": "", "logistics_fee_1": "x", "logistics_fee": "y"}
    written = signed(fields, "utf-8", key)
    assert list(written) == ["_a", "b", "logistics_fee", "logistics_fee_1", "sign", "sign_type"]
    assert canonical_text(written, "utf-8") == b"_a=1&b=2&logistics_fee=y&logistics_fee_1=x"


def test_T01_an_empty_key_proves_nothing() -> None:
    """A right digest under an empty secret is no signature, and an empty secret signs nothing."""
    empty = Key("k", 1, MD5, b"")
    assert not verify(b"a=1", hashlib.md5(b"a=1", usedforsecurity=False).hexdigest(), empty)
    with pytest.raises(LocalProtocolError):
        sign(b"a=1", empty)
    with pytest.raises(LocalProtocolError):
        sign(b"a=1", Key("k", 1, RSA, b"0123456789abcdef"))
    assert not verify(b"a=1", "0" * 32, Key("k", 1, RSA, b"0123456789abcdef"))


def test_gbk_is_a_part_of_gb18030() -> None:
    """What gbk writes, gb18030 reads and writes alike, so that one codec may serve all callers of gbk and gb2312."""
    pairs = [bytes((high, low)) for high in range(0x81, 0xFF) for low in range(0x40, 0xFF) if low != 0x7F]
    checked = 0
    for pair in pairs:
        try:
            text = pair.decode("gbk")
        except UnicodeDecodeError:
            continue
        assert pair.decode("gb18030") == text
        assert text.encode("gb18030") == pair
        checked += 1
    assert checked > 20_000
