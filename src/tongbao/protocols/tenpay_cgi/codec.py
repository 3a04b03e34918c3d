"""Fields, the signed strings, signing and verifying: what both ends share.

``name=value`` in the order of the table, joined by ``&``, then ``&key=`` and the key; MD5 over the bytes of the
message's charset, in capitals. Empty fields stand in the string (except the buyer's address, which is signed only where
it is sent).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.wire import field
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix

Fields = Mapping[str, str]

ALGORITHM: Final = "MD5"
GBK: Final = "gbk"
CODECS: Final[dict[str, str]] = {"GBK": GBK, "GB2312": GBK, "UTF-8": "utf-8", "UTF8": "utf-8"}
"""``cs`` or ``charset`` in capitals -> codec; GBK where a message names none."""
LIMITS: Final = FormLimits(size=32_768, fields=64, field=4_096)

_SUM: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_BORDER: Final = re.compile(r"&([A-Za-z_]+)=", re.ASCII)


def find_codec(parts: Iterable[bytes], default: str = GBK) -> str:
    """The codec that a message names in one of its own fields. Raises RemoteProtocolError for an unknown charset."""
    for part in parts:
        for name, value in split_form(part, LIMITS):
            if name in (b"cs", b"charset") and value:
                codec = CODECS.get(value.decode("latin-1").upper())
                if codec is None:
                    raise RemoteProtocolError(name.decode("ascii"), "is neither GBK nor UTF-8", "BAD_CHARSET")
                return codec
    return default


def read_fields(parts: Iterable[bytes], codec: str) -> dict[str, str]:
    """The fields of query and body, within the limits of a page. Raises RemoteProtocolError."""
    return field.read_fields(parts, codec, LIMITS)


def join(fields: Fields, names: Sequence[str]) -> str:
    """The string under a signature, without the key."""
    return "&".join(
        [f"{name}={fields.get(name, '')}" for name in names if name != "spbill_create_ip" or fields.get(name)]
    )


def check_borders(fields: Fields, names: Sequence[str]) -> None:
    """Refuse a signed value that spells the next field: two messages would share one signature (T10). An address may,
    unless it spells one of the fields behind it."""
    for name in names:
        for match in _BORDER.finditer(fields.get(name, "")):
            behind = name != "return_url" or match[1] in ("attach", "spbill_create_ip", "key")
            if match[1] in m.BORDERS and behind:
                raise RemoteProtocolError(name, f"spells another field, {match[0]}", "AMBIGUOUS_SPLIT")


def _digest(fields: Fields, names: Sequence[str], key: Key, codec: str) -> str:
    if key.algorithm != ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        return ""
    return md5_suffix(f"{join(fields, names)}&key=".encode(codec), key.material).upper()


def sign(fields: Fields, names: Sequence[str], key: Key, codec: str) -> str:
    """The signature in capitals. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    digest = _digest(fields, names, key, codec)
    if not digest:
        raise LocalProtocolError("key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return digest


def authenticate(fields: Fields, names: Sequence[str], ring: KeyRing, codec: str, *, any_case: bool = False) -> Key:
    """Who signed these fields. ``any_case``: clients made digests in small letters, the platform never did. Raises
    InvalidSignature, or RemoteProtocolError AMBIGUOUS_SPLIT."""
    signature = fields.get(m.PROOF, "")
    if not signature:
        raise InvalidSignature(m.PROOF, "is missing", "SIGN_MISSING")
    if _HEX.fullmatch(signature) is None:
        raise InvalidSignature(m.PROOF, "is not 32 hexadecimal digits")
    for key in ring.verifying(ALGORITHM):
        digest = _digest(fields, names, key, codec)
        if digest and equal(digest, signature.upper() if any_case else signature):
            check_borders(fields, names)
            return key
    raise InvalidSignature(m.PROOF)


def read_fen(fields: Fields, name: str) -> Money:
    """A sum in fen, digits without a zero before them. Raises RemoteProtocolError."""
    text = required(fields, name)
    if _SUM.fullmatch(text) is None or (len(text) > 1 and text.startswith("0")):
        raise invalid(name, "is not a whole number of fen", "AMOUNT_INVALID")
    return Money(int(text))


def write_fen(money: Money | None) -> str:
    """A sum in fen. Raises LocalProtocolError."""
    if money is None or money.currency != "CNY" or not 0 <= money.minor < 10**12:
        raise LocalProtocolError(
            "amount", "is not a sum in yuan of at most twelve digits of fen", "CURRENCY_NOT_ALLOWED"
        )
    return str(money.minor)
