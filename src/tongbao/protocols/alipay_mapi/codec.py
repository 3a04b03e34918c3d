"""Charset, canonical string, signing and verifying: what both ends share.

The string that is signed is ``name=value`` joined by ``&``, sorted by name, over the percent-decoded bytes as they
were received, without empty values, ``sign`` and ``sign_type``. MD5 follows it immediately with the key; RSA signs
it with SHA-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.record import record
from tongbao.protocols.alipay_mapi.messages import UNSIGNED
from tongbao.wire.field import decode_pairs
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import SHA1, equal, md5_suffix, rsa_sign, rsa_verify

MD5: Final = "MD5"
RSA: Final = "RSA"
ALGORITHMS: Final = (RSA, MD5)

LIMITS: Final = FormLimits(size=65_536, fields=100, field=65_536)
"""One value may fill the message: ``item_orders_info`` is documented with 40,000 characters."""

NOTIFICATION_LIMITS: Final = FormLimits(size=32_768, fields=100, field=16_384)

NOTICE_LIMITS: Final = FormLimits(size=1_048_576, fields=100, field=1_048_576)
"""Of notifications, which may tell of a thousand lines of a batch."""

CODECS: Final = {"utf-8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030"}
"""``_input_charset`` in lower case -> the codec that reads it (and writes what has to repeat it)."""

CAREFUL_CODECS: Final = {"utf-8": "utf-8", "gbk": "gbk", "gb2312": "gbk"}
"""The same for writing something new: only characters that every reader of that charset knows."""

_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffd\ufffe\uffff]")
_SHIFT: Final = re.compile(r"&([A-Za-z_][A-Za-z0-9_]*)=", re.ASCII)


@record
class Message:
    """A message's fields: raw bytes for the signature, text for the reading; both in the order of arrival."""

    raw: Mapping[bytes, bytes]
    fields: Mapping[str, str]
    charset: str


def merge(parts: Iterable[bytes], limits: FormLimits = LIMITS) -> dict[bytes, bytes]:
    """The fields of query and body. A name may stand once in each, with one value (T08); no structures (T07)."""
    merged: dict[bytes, bytes] = {}
    for part in parts:
        pairs = split_form(part, limits)
        own = dict(pairs)
        if len(own) != len(pairs):
            given = [name for name, _ in pairs]
            raise _twice(next(name for name in given if given.count(name) > 1))
        for name in merged.keys() & own.keys():
            if merged[name] != own[name]:
                raise _twice(name)
        merged |= own
    names = b"&".join(merged)
    if b"[" in names or b"]" in names or b"" in merged:
        name = next(name for name in merged if not name or b"[" in name or b"]" in name)
        raise RemoteProtocolError(name[:40].decode("latin-1"), "is no field name", "MALFORMED")
    return merged


def _twice(name: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(name[:40].decode("latin-1"), "appears twice", "DUPLICATE_PARAM")


def decode_fields(raw: Mapping[bytes, bytes], codec: str) -> dict[str, str]:
    """All names and values as text. Raises RemoteProtocolError naming the field whose bytes are not ``codec``."""
    return decode_pairs(raw, codec, _NOT_TEXT)


def check_text(field: str, value: str) -> None:
    """Raise LocalProtocolError for what ``decode_fields`` would not read back."""
    if _NOT_TEXT.search(value):
        raise LocalProtocolError(field, "holds control characters", "BAD_CHARSET")


def check_shift(fields: Mapping[str, str], known: frozenset[str], addresses: Iterable[str]) -> None:
    """Refuse a value that spells ``&name=`` of a known name: two messages would share one signature (T10).

    Addresses are exempt, since a query is their natural content.
    """
    for field, value in fields.items():
        if "&" in value and field not in addresses:
            for match in _SHIFT.finditer(value):
                if match[1] in known:
                    raise RemoteProtocolError(field, f"spells another field, {match[0]}", "MALFORMED")


def canonical(raw: Mapping[bytes, bytes]) -> bytes:
    """The bytes that are signed."""
    return b"&".join([b"%b=%b" % pair for pair in sorted(raw.items()) if pair[1] and pair[0] not in UNSIGNED])


def canonical_text(fields: Mapping[str, str], codec: str) -> bytes:
    """The same for fields that are still text. Raises LocalProtocolError naming what ``codec`` cannot write."""
    raw = {}
    odd = _NOT_TEXT.search("".join(fields.values())) is not None
    for name, value in fields.items():
        if odd:
            check_text(name, value)
        try:
            raw[name.encode("ascii")] = value.encode(codec)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, f"holds characters that {codec} lacks", "BAD_CHARSET") from error
    return canonical(raw)


def sign(text: bytes, key: Key) -> str:
    """The signature of a canonical string."""
    if key.algorithm == MD5 and isinstance(key.material, bytes) and key.material:
        return md5_suffix(text, key.material)
    if key.algorithm == RSA and isinstance(key.material, RSAPrivateKey):
        return rsa_sign(text, key.material, SHA1)
    raise LocalProtocolError("sign_type", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")


def verify(text: bytes, signature: str, key: Key) -> bool:
    """Whether ``key`` made ``signature``. An empty secret verifies nothing (T01)."""
    if key.algorithm == MD5 and isinstance(key.material, bytes) and key.material:
        return equal(md5_suffix(text, key.material), signature)
    if key.algorithm == RSA and isinstance(key.material, RSAPublicKey):
        return rsa_verify(text, signature, key.material, SHA1)
    return False


def authenticate(text: bytes, signature: str, sign_type: str, ring: KeyRing) -> Key:
    """The key that signed ``text``. ``sign_type`` must be, letter by letter, one for which the ring has a key."""
    if not signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    if not sign_type:
        raise InvalidSignature("sign_type", "is missing", "SIGN_MISSING")
    for key in ring.verifying(sign_type):
        if verify(text, signature, key):
            return key
    raise InvalidSignature


def signed(fields: dict[str, str], codec: str, key: Key) -> dict[str, str]:
    """The fields without empty ones, sorted, with ``sign`` and ``sign_type`` at the end."""
    filled = {name: fields[name] for name in sorted(fields) if fields[name]}
    return filled | {"sign": sign(canonical_text(filled, codec), key), "sign_type": key.algorithm}
