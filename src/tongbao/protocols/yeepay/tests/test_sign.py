"""The signing rule: published and computed signatures, and a second implementation beside ours (T13)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import InvalidSignature, LocalProtocolError
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import ALGORITHM, authenticate, glue, hash_text, join, sign
from tongbao.wire.key import Key, KeyRing

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "signing.json").read_text("utf-8"))
EACH = pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
TEXT = st.text(st.characters(codec="gbk", exclude_categories=["Cc"]), max_size=12)


def second_hmac(text: bytes, secret: bytes) -> str:
    """RFC 2104 written out, with the step for long keys that some demos forget."""
    if len(secret) > 64:
        secret = hashlib.md5(secret, usedforsecurity=False).digest()
    secret = secret.ljust(64, b"\x00")
    inner = hashlib.md5(bytes(code ^ 0x36 for code in secret) + text, usedforsecurity=False)
    outer = hashlib.md5(bytes(code ^ 0x5C for code in secret) + inner.digest(), usedforsecurity=False)
    return outer.hexdigest()


@EACH
def test_signature(vector: dict[str, Any]) -> None:
    """The string is glued or joined as written down, and its signature is the published one."""
    names = [str(number) for number in range(len(vector["values"]))]
    fields = dict(zip(names, vector["values"], strict=True))
    text = join(fields, names) if vector["joined"] else glue(fields, names)
    key = Key("vector", 1, ALGORITHM, vector["secret"].encode("ascii"))
    assert text == vector["text"]
    assert hash_text(text, key, vector["charset"]) == vector["hmac"]


def test_all_are_there() -> None:
    """The signatures Y1 to Y24, with their variants."""
    numbers = {int("".join(sign for sign in vector["id"] if sign.isdigit())) for vector in VECTORS}
    assert numbers == set(range(1, 25))


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(m.CALLBACK_NAMES), TEXT),
    st.text("abcXYZ019", min_size=16, max_size=90),
    st.sampled_from(("utf-8", "gbk")),
)
def test_T13_two_builders(fields: dict[str, str], secret: str, charset: str) -> None:
    """A second builder, which appends in a loop and hashes by hand, agrees for keys of any length."""
    glued, marked = "", ""
    for name in m.CALLBACK_NAMES:
        if name in fields and fields[name] != "":
            glued += fields[name]
            marked += "#" + fields[name]
    expected = {
        "hmac": second_hmac(glued.encode(charset), secret.encode()),
        "hmac_safe": second_hmac(marked[1:].encode(charset), secret.encode()),
    }
    assert sign(fields, m.CALLBACK_NAMES, Key("k", 1, ALGORITHM, secret.encode()), charset) == expected


def test_T01_an_empty_key_signs_and_verifies_nothing() -> None:
    """Neither an empty secret nor a key of another algorithm is used."""
    fields = {"p1_MerId": "1", "hmac": second_hmac(b"1", b"")}
    with pytest.raises(InvalidSignature):
        authenticate(fields, m.CALLBACK_NAMES, KeyRing("1", (Key("k", 1, ALGORITHM, b""),), ()))
    for key in (Key("k", 1, ALGORITHM, b""), Key("k", 1, "MD5", b"0123456789abcdef")):
        with pytest.raises(LocalProtocolError):
            hash_text("1", key)
