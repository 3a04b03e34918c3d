"""Flat fields of forms, read strictly: text of one charset, names that stand once (threats T07, T08)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.wire.form import FormLimits, split_form

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
