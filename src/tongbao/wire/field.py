"""Flat fields of forms, read strictly: text of one charset, names that stand once (threats T07, T08)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant, parse_china
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.http import split_url

_UNLIMITED: Final = 1_000_000
"""Longer than any message may be."""
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000-\uf8ff\ufeff\ufffd\ufffe\uffff]")


def is_text(value: str) -> bool:
    """Whether a value holds no controls but tab and line breaks, and nothing that stands for lost characters."""
    return _NOT_TEXT.search(value) is None


def read_text(raw: bytes, field: str, codec: str) -> str:
    """Bytes of a charset as text, strictly. Raises RemoteProtocolError BAD_CHARSET."""
    try:
        value = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(field, f"bytes are not {codec}", "BAD_CHARSET") from error
    if not is_text(value):
        raise RemoteProtocolError(field, "holds controls or replacement characters", "BAD_CHARSET")
    return value


def read_fields(parts: Iterable[bytes], codec: str, limits: FormLimits) -> dict[str, str]:
    """The fields of query and body. A name may stand once in all of them (T08); no structures (T07).

    Raises RemoteProtocolError naming the field.
    """
    fields: dict[str, str] = {}
    for part in parts:
        for raw_name, raw_value in split_form(part, limits):
            name = read_text(raw_name, "", codec)
            shown = name[:40]
            if not name or "[" in name or "]" in name:
                raise RemoteProtocolError(shown, "is no field name", "MALFORMED")
            if name in fields:
                raise RemoteProtocolError(shown, "appears twice", "DUPLICATE_PARAM")
            fields[name] = read_text(raw_value, shown, codec)
    return fields


def decode_pairs(raw: Mapping[bytes, bytes], codec: str, not_text: re.Pattern[str]) -> dict[str, str]:
    """All names and values as text, in which ``not_text`` finds nothing.

    It looks for what cannot be printed, and for U+FFFD. Raises RemoteProtocolError naming the first field whose bytes
    are not ``codec`` or not text.
    """
    flat = list(chain.from_iterable(raw.items()))
    # decoded in one go, NUL between them: no character of these charsets may hold a NUL, so no border is swallowed
    try:
        text = b"\x00".join(flat).decode(codec)
    except UnicodeDecodeError:
        text = ""
    parts = text.split("\x00")
    whole = "".join(parts)
    # the first look is quick and lets all usual texts pass: of what is printable only U+FFFD is no text
    if len(parts) != len(flat) or ((not whole.isprintable() or "\ufffd" in whole) and not_text.search(whole)):
        raise _not_text(raw, codec, not_text)
    pieces = iter(parts)
    fields = dict(zip(pieces, pieces, strict=True))
    if len(fields) != len(raw):
        raise RemoteProtocolError("", "two names are one when decoded", "DUPLICATE_PARAM")
    return fields


def _not_text(raw: Mapping[bytes, bytes], codec: str, not_text: re.Pattern[str]) -> RemoteProtocolError:
    for name, value in raw.items():
        for piece in (name, value):
            try:
                bad = not_text.search(piece.decode(codec)) is not None
            except UnicodeDecodeError:
                bad = True
            if bad:
                where = name[:40].decode("ascii", "replace").replace("\ufffd", "?")
                return RemoteProtocolError(where, "holds bytes or controls that are not text", "BAD_CHARSET")
    return RemoteProtocolError("", "is empty or not text", "MALFORMED")


def check_writable(fields: Mapping[str, str], codec: str) -> None:
    """Raise LocalProtocolError BAD_CHARSET for a value that the other end could not read as text of the charset."""
    for name, value in fields.items():
        if not is_text(value):
            raise LocalProtocolError(name, "holds control characters", "BAD_CHARSET")
        try:
            value.encode(codec)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, f"holds characters that {codec} lacks", "BAD_CHARSET") from error


def required(fields: Mapping[str, str], name: str) -> str:
    """The value, which may not be missing or empty. Raises RemoteProtocolError FIELD_MISSING."""
    value = fields.get(name, "")
    if not value:
        raise RemoteProtocolError(name, "is missing", "FIELD_MISSING")
    return value


def invalid(name: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    """The error to raise for a field that is there and wrong."""
    return RemoteProtocolError(name, reason, code)


def check_lengths(fields: Mapping[str, str], lengths: Mapping[str, int]) -> None:
    """Refuse a known field that has more characters than documented. Raises RemoteProtocolError TOO_LARGE."""
    for name, value in fields.items():
        if len(value) > lengths.get(name, _UNLIMITED):
            raise RemoteProtocolError(name, f"is longer than {lengths[name]} characters", "TOO_LARGE")


def check_address(name: str, url: str) -> str:
    """The same text, which is an absolute http(s) address or ''. Raises RemoteProtocolError URL_NOT_ALLOWED."""
    if url:
        try:
            split_url(url)
        except ValueError as error:
            raise invalid(name, str(error), "URL_NOT_ALLOWED") from error
    return url


def read_address(fields: Mapping[str, str], name: str) -> str:
    """An absolute http(s) address, or ''. Raises RemoteProtocolError URL_NOT_ALLOWED."""
    return check_address(name, fields.get(name, ""))


def read_time(fields: Mapping[str, str], name: str) -> Instant | None:
    """A Chinese time, ``yyyy-MM-dd HH:mm:ss``, or None where it is absent or empty. Raises RemoteProtocolError."""
    text = fields.get(name, "")
    if not text:
        return None
    try:
        return parse_china(text)
    except ValueError as error:
        raise invalid(name, "is no time") from error
