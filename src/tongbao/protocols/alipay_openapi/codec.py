"""Charset, strings to sign, signing and verifying of the form messages: what both ends share.

Requests are signed over every parameter but ``sign``; notifications and returns leave out ``sign_type`` too. The
string is ``name=value`` joined by ``&``, sorted by name, over the decoded values as they were received, without empty
values. Libraries exist that sign empty values as well: where the message holds some, both readings are tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.wire.field import decode_pairs
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import SHA1, SHA256, rsa_verify
from tongbao.wire.unsigned import Unsigned

T = TypeVar("T")

RSA2: Final = "RSA2"
RSA: Final = "RSA"
ALGORITHMS: Final = (RSA2, RSA)
DIGEST: Final[dict[str, hashes.HashAlgorithm]] = {RSA2: SHA256, RSA: SHA1}

LIMITS: Final = FormLimits(size=262_144, fields=64, field=262_144)
NOTIFICATION_LIMITS: Final = FormLimits(size=65_536, fields=100, field=32_768)

CODECS: Final = {"utf-8": "utf-8", "gbk": "gb18030"}
"""``charset`` in lower case -> the codec that reads it (and writes what has to repeat it)."""
CAREFUL_CODECS: Final = {"utf-8": "utf-8", "gbk": "gbk"}
"""The same for writing something new: only characters that every reader of that charset knows."""
_ALIASES: Final = {"utf8": "utf-8", "gb2312": "gbk", "gb18030": "gbk"}

REQUEST_UNSIGNED: Final = frozenset((b"sign",))
EVENT_UNSIGNED: Final = frozenset((b"sign", b"sign_type"))

_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffd\ufeff\ufffe\uffff]")
_SHIFT: Final = re.compile(r"&([A-Za-z_][A-Za-z0-9_]*)=", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """A form message: raw bytes for the signature, text for the reading; both in the order of arrival."""

    raw: Mapping[bytes, bytes]
    fields: Mapping[str, str]
    charset: str
    error: RemoteProtocolError | None = field(default=None, compare=False)
    """What is wrong with the message before anything is verified: told under the method's own name."""
    content: list[Mapping[str, Any]] = field(default_factory=list, repr=False, compare=False)
    """The business content, once it was read, which is after the signature was found to be good: the request and its
    answer both need it."""


def charset_of(word: str) -> str:
    """``charset`` as it is said, in any case, to the name of our tables. Raises RemoteProtocolError."""
    name = word.lower()
    name = _ALIASES.get(name, name)
    if name not in CODECS:
        raise RemoteProtocolError("charset", "is neither utf-8 nor gbk", "BAD_CHARSET")
    return name


def merge(parts: Sequence[bytes], limits: FormLimits = LIMITS) -> dict[bytes, bytes]:
    """The fields of query and body; no name twice, wherever (T08), and no structures (T07)."""
    merged: dict[bytes, bytes] = {}
    for part in parts:
        pairs = split_form(part, limits)
        before = len(merged)
        merged.update(pairs)
        if len(merged) != before + len(pairs):
            raise RemoteProtocolError(_twice(parts), "appears twice", "DUPLICATE_PARAM")
    names = b"&".join(merged)
    if b"[" in names or b"]" in names or b"" in merged:
        name = next(name for name in merged if not name or b"[" in name or b"]" in name)
        raise RemoteProtocolError(name[:40].decode("latin-1"), "is no field name", "MALFORMED")
    return merged


def _twice(parts: Sequence[bytes]) -> str:
    """The first name that stands twice."""
    seen: set[bytes] = set()
    for part in parts:
        for name, _ in split_form(part, FormLimits(LIMITS.size * 2, LIMITS.fields * 4, LIMITS.field)):
            if name in seen:
                return name[:40].decode("latin-1")
            seen.add(name)
    return ""


def decode_fields(raw: Mapping[bytes, bytes], codec: str) -> dict[str, str]:
    """All names and values as text. Raises RemoteProtocolError naming the field whose bytes are not ``codec``."""
    return decode_pairs(raw, codec, _NOT_TEXT)


def check_text(name: str, value: str) -> None:
    """Raise LocalProtocolError for what ``decode_fields`` would not read back."""
    if not is_text(value):
        raise LocalProtocolError(name, "holds control characters", "BAD_CHARSET")


def is_text(value: str) -> bool:
    """Whether a text holds nothing but characters."""
    # the first look is quick and lets all usual texts pass; blanks of other kinds need the second
    return (value.isprintable() and "\ufffd" not in value) or _NOT_TEXT.search(value) is None


def check_shift(fields: Mapping[str, str], known: frozenset[str], exempt: Iterable[str]) -> None:
    """Refuse a value that spells ``&name=`` of a known name: two messages would share one signature (T10).

    Addresses are exempt, since a query is their natural content, and so is JSON, which has borders of its own.
    """
    for name, value in fields.items():
        if "&" in value and name not in exempt:
            for match in _SHIFT.finditer(value):
                if match[1] in known:
                    raise RemoteProtocolError("suspected", f"{name} spells another field, {match[0]}", "MALFORMED")


def canonical(raw: Mapping[bytes, bytes], unsigned: frozenset[bytes], *, empties: bool = False) -> bytes:
    """The bytes that are signed."""
    return b"&".join(
        [b"%b=%b" % pair for pair in sorted(raw.items()) if (pair[1] or empties) and pair[0] not in unsigned]
    )


def encode_raw(fields: Mapping[str, str], codec: str) -> dict[bytes, bytes]:
    """Fields as bytes. Raises LocalProtocolError naming what ``codec`` cannot write."""
    raw = {}
    for name, value in fields.items():
        check_text(name, value)
        try:
            raw[name.encode("ascii")] = value.encode(codec)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, f"holds characters that {codec} lacks", "BAD_CHARSET") from error
    return raw


def sign(text: bytes, key: Key) -> str:
    """The signature of a string, in base64."""
    return unsigned(text, key, str).signature()


def unsigned(text: bytes, key: Key, finish: Callable[[str], T]) -> Unsigned[T]:
    """A message that waits for the signature of a string."""
    if key.algorithm not in DIGEST or not isinstance(key.material, RSAPrivateKey):
        raise LocalProtocolError("sign_type", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return Unsigned(text, key.material, DIGEST[key.algorithm], finish)


def verify(text: bytes, signature: str, key: Key) -> bool:
    """Whether ``key`` made ``signature``."""
    if key.algorithm not in DIGEST or not isinstance(key.material, RSAPublicKey):
        return False
    return rsa_verify(text, signature, key.material, DIGEST[key.algorithm])


def find_key(texts: Iterable[bytes], signature: str, keys: Iterable[Key]) -> Key | None:
    """The key that signed one of the ``texts``."""
    keys = tuple(keys)
    for text in texts:
        for key in keys:
            if verify(text, signature, key):
                return key
    return None


def readings(raw: Mapping[bytes, bytes], unsigned: frozenset[bytes]) -> Iterator[bytes]:
    """The strings that may have been signed: without empty values, and with them where there are some."""
    yield canonical(raw, unsigned)
    if b"" in raw.values():
        yield canonical(raw, unsigned, empties=True)


def authenticate(
    raw: Mapping[bytes, bytes], fields: Mapping[str, str], ring: KeyRing, unsigned: frozenset[bytes]
) -> Key:
    """The key that signed a form message. ``sign_type`` is, letter by letter, one for which the ring has a key."""
    signature, sign_type = fields.get("sign", ""), fields.get("sign_type", "")
    if not signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    if not sign_type:
        raise InvalidSignature("sign_type", "is missing", "SIGN_MISSING")
    if sign_type not in ALGORITHMS:
        raise InvalidSignature("sign_type", "is neither RSA2 nor RSA", "SIGN_TYPE_NOT_ALLOWED")
    key = find_key(readings(raw, unsigned), signature, ring.verifying(sign_type))
    if key is None:
        raise InvalidSignature
    return key


def signed(fields: Mapping[str, str], codec: str, key: Key, bare: frozenset[bytes]) -> Unsigned[dict[str, str]]:
    """The fields without empty ones, with ``sign_type`` and ``sign`` at the end; ``bare`` are not signed."""
    filled = {name: value for name, value in fields.items() if value} | {"sign_type": key.algorithm}
    text = canonical(encode_raw(filled, codec), bare)
    return unsigned(text, key, lambda signature: filled | {"sign": signature})
