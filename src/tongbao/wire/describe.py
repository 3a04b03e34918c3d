"""A message in one line for logs: names and harmless values, never a key, a signature or a person (T65)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tongbao.wire.form import unquote
from tongbao.wire.http import Request, Response

HIDDEN: Final = "***"
_SHOWN: Final = 64
_FIELDS: Final = 60


def _safe(raw: bytes) -> str:
    """Printable text of at most 64 characters, without line breaks or controls."""
    text = raw[: 4 * _SHOWN].decode("utf-8", "replace")
    text = "".join([letter if letter.isprintable() else "?" for letter in text])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _fields(part: bytes, private: frozenset[str]) -> Iterator[str]:
    pieces = [piece for piece in part.split(b"&") if piece]
    for piece in pieces[:_FIELDS]:
        raw_name, mark, raw_value = piece.partition(b"=")
        name = _safe(unquote(raw_name))
        if not mark:
            yield f"({len(piece)} bytes without a name)"
        elif name.lower() in private or not raw_value:
            yield f"{name}={HIDDEN if raw_value else ''}"
        else:
            yield f"{name}={_safe(unquote(raw_value))}"
    if len(pieces) > _FIELDS:
        yield f"and {len(pieces) - _FIELDS} more"


def describe(message: Request | Response, private: frozenset[str]) -> str:
    """One line. ``private`` is the manifest's: values of those names are hidden. Other bodies are only counted."""
    if isinstance(message, Response):
        return f"HTTP {message.status}, {len(message.body)} bytes"
    host = _safe(message.host.encode())
    parts = [f"{_safe(message.method.encode())} {message.scheme}://{host}{_safe(message.raw_path)}"]
    parts += _fields(message.raw_query, private)
    if message.body.lstrip()[:1] in (b"<", b"{", b"["):
        parts.append(f"{len(message.body)} bytes")
    else:
        parts += _fields(message.body, private)
    return " ".join(parts)
