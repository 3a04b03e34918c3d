"""Fields, the signed strings, signing and verifying: what both ends share.

MD5 over the GBK bytes of values in the order of the table, glued with nothing between, the key behind; lower-case hex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.wire import field
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
GBK: Final = "gbk"
PROOF: Final = "c_signstr"
LIMITS: Final = FormLimits(size=16_384, fields=60, field=2_048)

_TWO_DECIMALS: Final = re.compile(r"\.[0-9]{2}\Z", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def read_fields(parts: Iterable[bytes]) -> dict[str, str]:
    """The fields of query and body, within the limits of a page. Raises RemoteProtocolError."""
    return field.read_fields(parts, GBK, LIMITS)


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
