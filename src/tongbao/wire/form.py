"""The strict form parser: bytes to ordered pairs, decoded exactly once (threats T08, T14, T15, M3)."""

from __future__ import annotations

import codecs
import re
from binascii import a2b_qp, unhexlify
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tongbao.kernel.error import RemoteProtocolError

Pairs = tuple[tuple[str, str], ...]

_ESCAPES: Final = re.compile(rb"(?:%[0-9a-fA-F]{2})+")
_UNUSUAL: Final = re.compile(rb"%(?![0-9a-fA-F]{2})|[\r\n]")
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~*")
_AS_IT_IS: Final = re.compile(r"[A-Za-z0-9_.~*-]*", re.ASCII)
"""What no charset of the field writes otherwise and no form encodes."""
_ENCODED: Final = tuple(chr(code) if code in _SAFE else "+" if code == 32 else f"%{code:02X}" for code in range(256))

_MARKED: Final = bytes.maketrans(b"&=+%", b"\0\0 =")
_NO_MARKS: Final = bytes(set(range(256)) - set(b"&="))


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Bytes of the whole text, number of fields, bytes of one decoded name or value (threats E, Limits)."""

    size: int = 65_536
    fields: int = 100
    field: int = 4_096


DEFAULT_LIMITS: Final = FormLimits()


def unquote(raw: bytes) -> bytes:
    """Decode ``+`` and ``%XX`` once. A lone percent sign is kept as it is, as browsers do."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" not in raw:
        return raw
    if _UNUSUAL.search(raw):
        return _ESCAPES.sub(_unescape, raw)
    # mail's own escapes differ in the mark alone, and their decoder is written in C
    return a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))


def _unescape(run: re.Match[bytes]) -> bytes:
    return unhexlify(run[0].replace(b"%", b""))


def _text(raw: bytes, charset: str, field: str) -> str:
    try:
        value = raw.decode(charset)
    except (UnicodeDecodeError, LookupError) as error:
        raise RemoteProtocolError(field, f"bytes are not {charset}", "BAD_CHARSET") from error
    if "\x00" in value or "\ufffd" in value:
        raise RemoteProtocolError(field, "holds NUL or a replacement character", "BAD_CHARSET")
    return value


def split_form(raw: bytes, limits: FormLimits = DEFAULT_LIMITS) -> tuple[tuple[bytes, bytes], ...]:
    """Split at ``&`` and the first ``=`` and unquote once; still bytes, since the charset may be one of the fields."""
    if len(raw) > limits.size:
        raise RemoteProtocolError("", f"longer than {limits.size} bytes", "TOO_LARGE")
    many = raw.count(b"&") + 1
    if many > limits.fields and sum(map(bool, raw.split(b"&"))) > limits.fields:
        raise RemoteProtocolError("", f"more than {limits.fields} fields", "TOO_LARGE")
    pairs = _split_quickly(raw, many)
    if pairs is None:
        pieces = [piece.partition(b"=") for piece in raw.split(b"&") if piece]
        pairs = tuple([(unquote(name), unquote(value)) for name, _, value in pieces])
    longest = limits.field
    if len(raw) > longest:
        for name, value in pairs:
            if len(name) > longest or len(value) > longest:
                raise RemoteProtocolError(name[:40].decode("latin-1"), f"longer than {longest} bytes", "TOO_LARGE")
    return pairs


def _split_quickly(raw: bytes, many: int) -> tuple[tuple[bytes, bytes], ...] | None:
    """The same of the whole text in one go, in C; None where it is not ``many`` times ``name=value``, or holds
    something unusual. Mail's own escapes differ in the mark alone, and their decoder is written in C."""
    if raw.translate(None, _NO_MARKS) != b"=&" * (many - 1) + b"=":
        return None
    text = a2b_qp(raw.translate(_MARKED))
    # an escape is two bytes shorter than it was; nothing else changes its length but the ends of lines
    decoded = len(text) == len(raw) - 2 * raw.count(b"%") and b"\n" not in raw and b"\r" not in raw
    if not decoded or text.count(b"\0") != 2 * many - 1:
        return None
    pieces = iter(text.split(b"\0"))
    return tuple(zip(pieces, pieces, strict=True))


def parse_form(raw: bytes, charset: str = "utf-8", limits: FormLimits = DEFAULT_LIMITS) -> Pairs:
    """Ordered pairs of text; names must be unique after decoding. Raises RemoteProtocolError naming the field."""
    pairs = []
    seen = set()
    for raw_name, raw_value in split_form(raw, limits):
        name = _text(raw_name, charset, "")
        if name in seen:
            raise RemoteProtocolError(name, "appears twice", "DUPLICATE_PARAM")
        seen.add(name)
        pairs.append((name, _text(raw_value, charset, name)))
    return tuple(pairs)


def quote(value: str, charset: str = "utf-8") -> str:
    """Percent-encode one name or value in ``charset``; a blank becomes ``+``."""
    if _AS_IT_IS.fullmatch(value):
        return value
    return "".join([_ENCODED[code] for code in value.encode(charset)])


_name = lru_cache(1_024)(quote)
"""Names are the same in all messages of a kind."""


def encode_form(pairs: Pairs, charset: str = "utf-8") -> bytes:
    """The pairs as a form body or query string, in order."""
    return "&".join([f"{_name(name, charset)}={quote(value, charset)}" for name, value in pairs]).encode("ascii")


def same_charset(left: str, right: str) -> bool:
    """Whether two names mean one codec; unknown names mean none."""
    try:
        return codecs.lookup(left).name == codecs.lookup(right).name
    except LookupError:
        return False
