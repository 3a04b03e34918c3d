"""Fields, the signed strings, signing and verifying: what both ends share.

MD5 over values in the order of the table, glued with nothing between, the key behind; upper-case hex. The page's
charset is GBK, or UTF-8 where the request's address says ``encoding=UTF-8``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.wire import field
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
GBK: Final = "gbk"
UTF_8: Final = "utf-8"
CHARSETS: Final = (GBK, UTF_8)
_ENCODINGS: Final = {"": GBK, "gbk": GBK, "gb2312": GBK, "utf-8": UTF_8, "utf8": UTF_8}

LIMITS: Final = FormLimits(size=16_384, fields=60, field=2_048)

_HEX: Final = re.compile(r"[0-9A-F]{32}", re.ASCII)


def charset_of(encoding: str) -> str:
    """The charset that the word ``encoding`` of an address names, '' for GBK. Raises RemoteProtocolError."""
    charset = _ENCODINGS.get(encoding.lower())
    if charset is None:
        raise RemoteProtocolError("encoding", "is neither GBK nor UTF-8", "BAD_CHARSET")
    return charset


def read_fields(parts: Iterable[bytes], charset: str) -> dict[str, str]:
    """The fields of query and body, within the limits of a page. Raises RemoteProtocolError."""
    return field.read_fields(parts, charset, LIMITS)


def glue(fields: Fields, names: Sequence[str]) -> str:
    """The string under a signature, without the key."""
    return "".join([fields.get(name, "") for name in names])


def _secret(key: Key) -> bytes | None:
    usable = key.algorithm == ALGORITHM and isinstance(key.material, bytes) and key.material
    return key.material if usable and isinstance(key.material, bytes) else None


def sign(fields: Fields, names: Sequence[str], key: Key, charset: str = GBK) -> str:
    """The signature. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    secret = _secret(key)
    if secret is None:
        raise LocalProtocolError("key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return md5_suffix(glue(fields, names).encode(charset), secret).upper()


def authenticate(fields: Fields, names: Sequence[str], proof: str, ring: KeyRing, charset: str) -> Key:
    """Who signed these fields under the name ``proof``. Raises InvalidSignature naming it."""
    signature = fields.get(proof, "")
    if not signature:
        raise InvalidSignature(proof, "is missing", "SIGN_MISSING")
    if _HEX.fullmatch(signature) is None:
        raise InvalidSignature(proof, "is not 32 digits and capitals A to F")
    text = glue(fields, names).encode(charset)
    for key in ring.verifying(ALGORITHM):
        secret = _secret(key)
        if secret is not None and equal(md5_suffix(text, secret).upper(), signature):
            return key
    raise InvalidSignature(proof)


def read_money(fields: Fields) -> Money:
    """``v_amount`` in yuan. Raises RemoteProtocolError."""
    try:
        return parse_major(required(fields, "v_amount"))
    except InvalidAmount as error:
        raise invalid("v_amount", str(error), "AMOUNT_INVALID") from error


def write_money(money: Money | None) -> str:
    """A sum with two decimals."""
    if money is None or money.currency != "CNY" or money.minor < 0:
        raise LocalProtocolError("amount", "is not a sum in yuan", "CURRENCY_NOT_ALLOWED")
    return money.text()
