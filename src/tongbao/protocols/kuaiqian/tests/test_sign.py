"""The published strings and digests, V1 to V12b, by the one rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import CODECS, MD5, join, sign
from tongbao.wire.key import Key

STRINGS: list[list[str]] = json.loads((Path(__file__).parents[1] / "vectors" / "strings.json").read_text("utf-8"))
TABLES = (m.PAY_NAMES, m.RESULT_NAMES, m.QUERY_NAMES, m.HEAD_NAMES, m.ITEM_NAMES)


@pytest.mark.parametrize(("name", "text", "digest"), STRINGS, ids=[row[0] for row in STRINGS])
def test_string(name: str, text: str, digest: str) -> None:
    """One of the tables orders the fields as the string has them, and the digest is that of the string."""
    pairs = [part.partition("=") for part in text.split("&")]
    fields = {field: value for field, _, value in pairs}
    secret = fields.pop("key")
    codec = CODECS[fields.get("inputCharset", "1")]
    orders = [names for names in TABLES if f"{join(fields, names)}&key={secret}" == text]
    assert orders, name
    assert sign(fields, orders[0], Key("k", 1, MD5, secret.encode()), codec) == digest
