"""Fields, the signed string, signing and verifying: what both ends share.

Every field that is present and not empty, but ``sign``, sorted by name, ``name=value`` joined by ``&``, then ``&key=``
and the key; MD5 over the bytes of the message's charset, in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tongbao.kernel.error import (
    InvalidSignature,
    LocalProtocolError,
    RemoteProtocolError,
)
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.tenpay import messages as m
from tongbao.wire import field
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
GBK: Final = "gbk"
CODECS: Final[dict[str, str]] = {
    "GBK": GBK,
    "GB2312": GBK,
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
}
"""``input_charset`` in capitals -> codec; GBK where a message names none."""
LIMITS: Final = FormLimits(size=32_768, fields=100, field=4_096)

_SUM: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_BORDER: Final = re.compile(r"&([A-Za-z_]+)=", re.ASCII)


def find_codec(parts: Iterable[bytes]) -> str:
    """The codec that a message names in one of its own fields. Raises RemoteProtocolError for an unknown charset."""
    for part in parts:
        for name, value in split_form(part, LIMITS):
            if name == b"input_charset" and value:
                codec = CODECS.get(value.decode("latin-1").upper())
                if codec is None:
                    raise RemoteProtocolError("input_charset", "is neither GBK nor UTF-8", "BAD_CHARSET")
                return codec
    return GBK


def read_fields(parts: Iterable[bytes], codec: str) -> dict[str, str]:
    """The fields of query and body, within the limits of a page. Raises RemoteProtocolError."""
    return field.read_fields(parts, codec, LIMITS)


def join(fields: Fields) -> str:
    """The string under a signature, without the key."""
    return "&".join([f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name != m.PROOF])


def join_bill(fields: Fields) -> str:
    """The string under a bill's request: a fixed order, empty ones skipped."""
    return "&".join([f"{name}={fields[name]}" for name in m.BILL_NAMES if fields.get(name)])


def check_borders(fields: Fields) -> None:
    """Refuse a text that spells the next field: two messages would share one signature (T10). An address may, since a
    query is its natural content."""
    for name, value in fields.items():
        if "&" in value and name not in m.ADDRESSES:
            for match in _BORDER.finditer(value):
                if match[1] in m.KNOWN:
                    raise RemoteProtocolError(name, f"spells another field, {match[0]}", "AMBIGUOUS_SPLIT")


def _digest(text: str, key: Key, codec: str) -> str:
    if key.algorithm != ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        return ""
    return md5_suffix(f"{text}&key=".encode(codec), key.material).upper()


def sign(text: str, key: Key, codec: str) -> str:
    """The signature in capitals. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    digest = _digest(text, key, codec)
    if not digest:
        raise LocalProtocolError("key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return digest


def authenticate(
    text: str,
    signature: str,
    ring: KeyRing,
    codec: str,
    sign_type: str = "",
    *,
    any_case: bool = False,
) -> Key:
    """Who signed ``text``. ``any_case``: demos made digests in small letters, the platform never did. Raises
    InvalidSignature."""
    if not signature:
        raise InvalidSignature(m.PROOF, "is missing", "SIGN_MISSING")
    if sign_type.upper() not in ("", ALGORITHM):
        raise InvalidSignature("sign_type", "is not MD5", "SIGN_TYPE_NOT_ALLOWED")
    if _HEX.fullmatch(signature) is None:
        raise InvalidSignature(m.PROOF, "is not 32 hexadecimal digits")
    for key in ring.verifying(ALGORITHM):
        digest = _digest(text, key, codec)
        if digest and equal(digest, signature.upper() if any_case else signature):
            return key
    raise InvalidSignature(m.PROOF)


def authentic(fields: Fields, ring: KeyRing, codec: str, *, any_case: bool = False) -> Key:
    """Who signed a message of the gateway. Raises InvalidSignature, or RemoteProtocolError AMBIGUOUS_SPLIT."""
    said = fields.get("sign_type", "")
    key = authenticate(join(fields), fields.get(m.PROOF, ""), ring, codec, said, any_case=any_case)
    check_borders(fields)
    return key


def read_fen(fields: Fields, name: str) -> Money:
    """A sum in fen, digits without a zero before them. Raises RemoteProtocolError."""
    text = required(fields, name)
    if _SUM.fullmatch(text) is None or (len(text) > 1 and text.startswith("0")):
        raise invalid(name, "is not a whole number of fen", "AMOUNT_INVALID")
    return Money(int(text))


def write_fen(money: Money | None, field: str = "amount") -> str:
    """A sum in fen. Raises LocalProtocolError."""
    if money is None or money.currency != "CNY" or not 0 <= money.minor < 10**12:
        raise LocalProtocolError(
            field,
            "is not a sum in yuan of at most twelve digits of fen",
            "CURRENCY_NOT_ALLOWED",
        )
    return str(money.minor)


def read_time(fields: Fields, name: str) -> Instant | None:
    """A Chinese time, ``yyyyMMddHHmmss``; None where it is absent. Raises RemoteProtocolError."""
    text = fields.get(name, "")
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise invalid(name, "is not a time of 14 digits")
    year, month, day, hour, minute, second = match.groups()
    try:
        return parse_china(f"{year}-{month}-{day} {hour}:{minute}:{second}")
    except ValueError as error:
        raise invalid(name, "is no time") from error
