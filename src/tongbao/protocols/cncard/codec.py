"""Fields, the signed strings, signing and verifying: what both ends share.

MD5 over the GBK bytes of values in the order of the table, glued with nothing between, the key behind; lower-case hex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
GBK: Final = "gbk"
PROOF: Final = "c_signstr"
LIMITS: Final = FormLimits(size=16_384, fields=60, field=2_048)

_TWO_DECIMALS: Final = re.compile(r"\.[0-9]{2}\Z", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000-\uf8ff\ufeff\ufffd\ufffe\uffff]")


def is_text(value: str) -> bool:
    """Whether a value holds no controls but tab and line breaks, and nothing that stands for lost characters."""
    return _NOT_TEXT.search(value) is None


def read_text(raw: bytes, field: str) -> str:
    """GBK bytes as text. Raises RemoteProtocolError."""
    try:
        value = raw.decode(GBK)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(field, "bytes are not gbk", "BAD_CHARSET") from error
    if not is_text(value):
        raise RemoteProtocolError(field, "holds controls or replacement characters", "BAD_CHARSET")
    return value


def read_fields(parts: Iterable[bytes]) -> dict[str, str]:
    """The fields of query and body. A name may stand once in all of them (T08); no structures (T07)."""
    fields: dict[str, str] = {}
    for part in parts:
        for raw_name, raw_value in split_form(part, LIMITS):
            name = read_text(raw_name, "")
            shown = name[:40]
            if not name or "[" in name or "]" in name:
                raise RemoteProtocolError(shown, "is no field name", "MALFORMED")
            if name in fields:
                raise RemoteProtocolError(shown, "appears twice", "DUPLICATE_PARAM")
            fields[name] = read_text(raw_value, shown)
    return fields


def glue(fields: Fields, names: Sequence[str]) -> str:
    """The string under a signature, without the key."""
    return "".join([fields.get(name, "") for name in names])


def _secret(key: Key) -> bytes | None:
    usable = key.algorithm == ALGORITHM and isinstance(key.material, bytes) and key.material
    return key.material if usable and isinstance(key.material, bytes) else None


def sign(fields: Fields, names: Sequence[str], key: Key) -> str:
    """The signature. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    secret = _secret(key)
    if secret is None:
        raise LocalProtocolError("c_pass", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return md5_suffix(glue(fields, names).encode(GBK), secret)


def authenticate(fields: Fields, names: Sequence[str], ring: KeyRing, *, any_case: bool = False) -> Key:
    """Who signed these fields. Raises InvalidSignature."""
    signature = fields.get(PROOF, "")
    if not signature:
        raise InvalidSignature(PROOF, "is missing", "SIGN_MISSING")
    if any_case:
        signature = signature.lower()
    if _HEX.fullmatch(signature) is None:
        raise InvalidSignature(PROOF, "is not 32 digits and small letters a to f")
    text = glue(fields, names).encode(GBK)
    for key in ring.verifying(ALGORITHM):
        secret = _secret(key)
        if secret is not None and equal(md5_suffix(text, secret), signature):
            return key
    raise InvalidSignature(PROOF)


def required(fields: Fields, name: str) -> str:
    """The value, which may not be missing or empty."""
    value = fields.get(name, "")
    if not value:
        raise RemoteProtocolError(name, "is missing", "FIELD_MISSING")
    return value


def invalid(name: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    return RemoteProtocolError(name, reason, code)


def read_money(fields: Fields) -> Money:
    """``c_orderamount`` in yuan with two decimals; the platform may leave out a leading zero (``.01``).

    Raises RemoteProtocolError.
    """
    text = required(fields, "c_orderamount")
    if _TWO_DECIMALS.search(text) is None:
        raise invalid("c_orderamount", "has not two decimals", "AMOUNT_INVALID")
    try:
        return parse_major(f"0{text}" if text.startswith(".") else text)
    except InvalidAmount as error:
        raise invalid("c_orderamount", str(error), "AMOUNT_INVALID") from error


def write_money(money: Money | None) -> str:
    """A sum with two decimals."""
    if money is None or money.currency != "CNY" or money.minor < 0:
        raise LocalProtocolError("amount", "is not a sum in yuan", "CURRENCY_NOT_ALLOWED")
    return money.text()
