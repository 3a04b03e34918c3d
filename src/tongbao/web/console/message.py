"""A raw HTTP message as text for the eye: every byte shown, nothing of it believed (T54)."""

from __future__ import annotations

from dataclasses import dataclass

from tongbao.kernel.error import RemoteProtocolError, TongbaoError
from tongbao.wire.contract import Manifest, SignatureTrail
from tongbao.wire.form import Pairs, parse_form, split_form
from tongbao.wire.http import Request, Response

BODY_SHOWN = 8_192
"""Bytes of a body that are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message for the eye: its text as it went over the wire, its fields decoded, and how it was signed."""

    raw: str
    fields: Pairs
    trail: SignatureTrail | None


def show_request(manifest: Manifest, request: Request) -> Shown:
    """A request of ``manifest``'s protocol, with cookies left out."""
    try:
        trail = manifest.server.trail(request)
    except TongbaoError:
        trail = None
    query = f"?{request.raw_query.decode('latin-1')}" if request.raw_query else ""
    lines = [f"{request.method} {request.raw_path.decode('latin-1')}{query} HTTP/1.1"]
    if request.header("host") is None:
        lines.append(f"Host: {request.host}")
    lines += [
        f"{name.decode('latin-1')}: {value.decode('latin-1')}"
        for name, value in request.headers
        if name.lower() not in (b"cookie", b"authorization")
    ]
    body = request.body[:BODY_SHOWN].decode("ascii", "backslashreplace")
    raw = "\n".join((*lines, "", body)) if body else "\n".join(lines)
    return Shown(raw, _fields(request, trail.charset if trail else manifest.charset), trail)


def show_response(response: Response | None) -> str:
    """An answer: its status and the beginning of its body."""
    if response is None:
        return ""
    return f"HTTP/1.1 {response.status}\n\n{response.body[:BODY_SHOWN].decode('utf-8', 'replace')}"


def _fields(request: Request, charset: str) -> Pairs:
    raw = b"&".join(part for part in (request.raw_query, request.body) if part)
    try:
        return parse_form(raw, charset)
    except RemoteProtocolError:
        pass
    try:
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in split_form(raw))
    except RemoteProtocolError:
        return ()
