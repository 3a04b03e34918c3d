"""Fields, the signed string, signing and verifying: what both ends share.

``name=value`` in the order of the table, without empty ones, joined by ``&``, then ``&key=`` and the key; MD5 over the
bytes of the message's charset, in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.kuaiqian import messages as m
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
MD5_WORD: Final = "1"
UTF_8: Final = "utf-8"
CODECS: Final[dict[str, str]] = {"1": UTF_8, "2": "gbk", "3": "gbk"}
"""``inputCharset`` -> codec. GB2312 is read as the GBK that contains it."""
LIMITS: Final = FormLimits(size=32_768, fields=100, field=4_096)

_SUM: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_BORDER: Final = re.compile(r"&([A-Za-z0-9]+)=", re.ASCII)
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000-\uf8ff\ufeff\ufffd\ufffe\uffff]")


def is_text(value: str) -> bool:
    """Whether a value holds no controls but tab and line breaks, and nothing that stands for lost characters."""
    return _NOT_TEXT.search(value) is None


def _read_text(raw: bytes, field: str, codec: str) -> str:
    try:
        value = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(field, f"bytes are not {codec}", "BAD_CHARSET") from error
    if not is_text(value):
        raise RemoteProtocolError(field, "holds controls or replacement characters", "BAD_CHARSET")
    return value


def read_fields(parts: Iterable[bytes], codec: str) -> dict[str, str]:
    """The fields of query and body. A name may stand once in all of them (T08); no structures (T07)."""
    fields: dict[str, str] = {}
    for part in parts:
        for raw_name, raw_value in split_form(part, LIMITS):
            name = _read_text(raw_name, "", codec)
            shown = name[:40]
            if not name or "[" in name or "]" in name:
                raise RemoteProtocolError(shown, "is no field name", "MALFORMED")
            if name in fields:
                raise RemoteProtocolError(shown, "appears twice", "DUPLICATE_PARAM")
            fields[name] = _read_text(raw_value, shown, codec)
    return fields


def join(fields: Fields, names: Sequence[str]) -> str:
    """The string under a signature, without the key."""
    return "&".join([f"{name}={fields[name]}" for name in names if fields.get(name)])


def check_borders(fields: Fields, names: Sequence[str]) -> None:
    """Refuse a signed value that spells the next field: two messages would share one signature (T10)."""
    for name in names:
        for match in _BORDER.finditer(fields.get(name, "")):
            if match[1] in m.BORDERS:
                raise RemoteProtocolError(name, f"spells another field, {match[0]}", "AMBIGUOUS_SPLIT")


def _digest(fields: Fields, names: Sequence[str], key: Key, codec: str) -> str:
    if key.algorithm != ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        return ""
    return md5_suffix(f"{join(fields, names)}&key=".encode(codec), key.material).upper()


def sign(fields: Fields, names: Sequence[str], key: Key, codec: str = UTF_8) -> str:
    """The signature. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    digest = _digest(fields, names, key, codec)
    if not digest:
        raise LocalProtocolError("key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return digest


def authenticate(
    fields: Fields,
    names: Sequence[str],
    ring: KeyRing,
    codec: str = UTF_8,
    *,
    proof: str = m.PROOF,
    any_case: bool = False,
) -> Key:
    """Who signed these fields. ``any_case``: old clients wrote the digest in small letters, the platform never did.
    Raises InvalidSignature."""
    signature = fields.get(proof, "")
    if not signature:
        raise InvalidSignature(proof, "is missing", "SIGN_MISSING")
    if "signType" in names and fields.get("signType", "") != MD5_WORD:
        raise InvalidSignature("signType", "is not 1, MD5", "SIGN_TYPE_NOT_ALLOWED")
    if _HEX.fullmatch(signature) is None:
        raise InvalidSignature(proof, "is not 32 hexadecimal digits")
    for key in ring.verifying(ALGORITHM):
        digest = _digest(fields, names, key, codec)
        if digest and equal(digest, signature.upper() if any_case else signature):
            check_borders(fields, names)
            return key
    raise InvalidSignature(proof)


def required(fields: Fields, name: str) -> str:
    """The value, which may not be missing or empty."""
    value = fields.get(name, "")
    if not value:
        raise RemoteProtocolError(name, "is missing", "FIELD_MISSING")
    return value


def invalid(name: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    return RemoteProtocolError(name, reason, code)


def read_fen(fields: Fields, name: str) -> Money:
    """A sum in fen, digits without a zero before them. Raises RemoteProtocolError."""
    text = required(fields, name)
    if _SUM.fullmatch(text) is None or (len(text) > 1 and text.startswith("0")):
        raise invalid(name, "is not a whole number of fen", "AMOUNT_INVALID")
    return Money(int(text))


def write_fen(money: Money | None) -> str:
    """A sum in fen. Raises LocalProtocolError."""
    if money is None or money.currency != "CNY" or not 0 <= money.minor <= 9_999_999_999:
        raise LocalProtocolError("amount", "is not a sum in yuan of at most ten digits of fen", "CURRENCY_NOT_ALLOWED")
    return str(money.minor)


def read_time(fields: Fields, name: str) -> Instant:
    """A Chinese time, ``yyyyMMddHHmmss``. Raises RemoteProtocolError."""
    match = _TIME.fullmatch(required(fields, name))
    if match is None:
        raise invalid(name, "is not a time of 14 digits")
    year, month, day, hour, minute, second = match.groups()
    try:
        return parse_china(f"{year}-{month}-{day} {hour}:{minute}:{second}")
    except ValueError as error:
        raise invalid(name, "is no time") from error
