"""Fields, the two signed strings, signing and verifying: what both ends share.

``hmac`` is HMAC-MD5 over the values in the order of the table, glued with nothing between; ``hmac_safe`` is the same
over the values that are not empty, joined by ``#``. The wire is GBK, the bytes that are hashed are UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, hmac_hex

Fields = Mapping[str, str]

ALGORITHM: Final = "HMAC-MD5"
WIRE: Final = "gbk"
HASHED: Final = "utf-8"
HASHED_BY_SOME: Final = (HASHED, WIRE)
"""What the platform tries: the official clients' charset first, then that of clients which hash what they send."""

LIMITS: Final = FormLimits(size=16_384, fields=60, field=2_048)

_HEX: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000-\uf8ff\ufffd\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Proof:
    """The key that signed, the charset whose bytes were hashed, and whether ``hmac_safe`` was there and agreed."""

    key: Key
    charset: str
    safe: bool


def is_text(value: str) -> bool:
    """Whether a value holds no controls but tab and line breaks, and nothing that stands for lost characters."""
    return _NOT_TEXT.search(value) is None


def read_text(raw: bytes, field: str) -> str:
    """GBK bytes as text. Raises RemoteProtocolError."""
    try:
        value = raw.decode(WIRE)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(field, "bytes are not gbk", "BAD_CHARSET") from error
    if not is_text(value):
        raise RemoteProtocolError(field, "holds controls or replacement characters", "BAD_CHARSET")
    return value


def read_fields(parts: Iterable[bytes]) -> dict[str, str]:
    """The fields of query and body. A name may stand once in each, with one value (T08); no structures (T07)."""
    fields: dict[str, str] = {}
    for part in parts:
        seen = set()
        for raw_name, raw_value in split_form(part, LIMITS):
            name = read_text(raw_name, "")
            shown = name[:40]
            if not name or "[" in name or "]" in name:
                raise RemoteProtocolError(shown, "is no field name", "MALFORMED")
            value = read_text(raw_value, shown)
            if name in seen or fields.setdefault(name, value) != value:
                raise RemoteProtocolError(shown, "appears twice", "DUPLICATE_PARAM")
            seen.add(name)
    return fields


def glue(fields: Fields, names: Sequence[str]) -> str:
    """The string under ``hmac``."""
    return "".join([fields.get(name, "") for name in names])


def join(fields: Fields, names: Sequence[str]) -> str:
    """The string under ``hmac_safe``."""
    return "#".join([fields[name] for name in names if fields.get(name)])


def hash_text(text: str, key: Key, charset: str = HASHED) -> str:
    """HMAC-MD5 of a string in lower-case hex. An empty secret signs nothing (T01)."""
    if key.algorithm != ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        raise LocalProtocolError("hmac", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return hmac_hex("md5", text.encode(charset), key.material)


def sign(fields: Fields, names: Sequence[str], key: Key, charset: str = HASHED) -> dict[str, str]:
    """Both signatures, by their names. Raises LocalProtocolError."""
    return {
        "hmac": hash_text(glue(fields, names), key, charset),
        "hmac_safe": hash_text(join(fields, names), key, charset),
    }


def _agrees(text: str, signature: str, key: Key, charset: str) -> bool:
    if key.algorithm != ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        return False
    return equal(hmac_hex("md5", text.encode(charset), key.material), signature)


def authenticate(
    fields: Fields,
    names: Sequence[str],
    ring: KeyRing,
    *,
    charsets: Sequence[str] = (HASHED,),
    any_case: bool = False,
) -> Proof:
    """Who signed these fields. ``hmac_safe`` may be missing, but where it stands it must agree too (T02).

    Raises InvalidSignature naming the signature that fails.
    """
    plain, safe = fields.get("hmac", ""), fields.get("hmac_safe", "")
    if any_case:
        plain, safe = plain.lower(), safe.lower()
    if not plain:
        raise InvalidSignature("hmac", "is missing", "SIGN_MISSING")
    if _HEX.fullmatch(plain) is None:
        raise InvalidSignature("hmac")
    if safe and _HEX.fullmatch(safe) is None:
        raise InvalidSignature("hmac_safe")
    for key in ring.verifying(ALGORITHM):
        for charset in charsets:
            if _agrees(glue(fields, names), plain, key, charset):
                if safe and not _agrees(join(fields, names), safe, key, charset):
                    raise InvalidSignature("hmac_safe")
                return Proof(key, charset, bool(safe))
    raise InvalidSignature("hmac")


def read_money(fields: Fields, name: str) -> Money:
    """A sum in yuan. Raises RemoteProtocolError."""
    try:
        return parse_major(required(fields, name))
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error


def write_money(money: Money) -> str:
    """A sum as the platform returns it: trailing zeros cut down to one decimal (``1.0``, ``0.1``, ``123.45``)."""
    if money.currency != "CNY" or money.minor < 0:
        raise LocalProtocolError("amount", "is not a sum in yuan", "CURRENCY_NOT_ALLOWED")
    text = money.text()
    return text.removesuffix("0")
