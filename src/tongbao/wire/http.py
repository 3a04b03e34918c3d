"""HTTP messages as values: what every adapter builds from its framework and every codec reads and writes.

Raw means raw: path and query are the bytes of the request target, headers keep order, case and repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field
from functools import lru_cache
from typing import Final

from tongbao.kernel.record import record

Headers = tuple[tuple[bytes, bytes], ...]

FORM: Final = "application/x-www-form-urlencoded"

_NO_ADDRESS: Final = re.compile(r"[\x00-\x20\x7f\\]")


def _header(headers: Headers, name: str) -> str | None:
    wanted = name.lower().encode("ascii")
    length = len(wanted)
    for key, value in headers:
        if len(key) == length and key.lower() == wanted:
            return value.decode("latin-1")
    return None


@record
class Request:
    """One HTTP request. ``host`` is the authority as sent (with a port where it was given); ``raw_path`` starts with /;
    ``raw_query`` is without the question mark; ``peer_cert`` is the client's certificate in DER, or None."""

    method: str
    scheme: str
    host: str
    raw_path: bytes
    raw_query: bytes = field(default=b"", repr=False)
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    peer_cert: bytes | None = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The first header of that name in any case, as latin-1 text, or None."""
        return _header(self.headers, name)

    @property
    def url(self) -> str:
        """The absolute address, as text."""
        query = f"?{self.raw_query.decode('latin-1')}" if self.raw_query else ""
        return f"{self.scheme}://{self.host}{self.raw_path.decode('latin-1')}{query}"


@record
class Response:
    """One HTTP answer. Header names are written to the wire exactly as given here. ``chunks`` is a body that is sent
    piece by piece; then ``body`` is empty."""

    status: int
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    chunks: Iterable[bytes] | None = field(default=None, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """The first header of that name in any case, as latin-1 text, or None."""
        return _header(self.headers, name)


@lru_cache(4_096)
def split_url(url: str) -> tuple[str, str, bytes, bytes]:
    """(scheme, authority, path, query) of an absolute http(s) address without a fragment; raises ValueError.

    Stricter than ``urlsplit`` (threats M5): no control characters, blanks, backslashes or user information, and
    a port is a number.
    """
    if _NO_ADDRESS.search(url):
        raise ValueError("holds a blank, control character or backslash")
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        raise ValueError("is not an absolute http or https address")
    rest = rest.partition("#")[0]
    cut = min((rest.find(letter) for letter in "/?" if letter in rest), default=len(rest))
    authority, target = rest[:cut], rest[cut:]
    if not authority or "@" in authority:
        raise ValueError("has no host or carries user information")
    port = "" if authority.endswith("]") else authority.rpartition(":")[2] if ":" in authority else ""
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise ValueError("has a port that is no number up to 65535")
    path, _, query = target.partition("?")
    return scheme.lower(), authority, (path or "/").encode("utf-8"), query.encode("utf-8")


def origin_of(url: str) -> str:
    """``scheme://authority`` of an absolute address that we made ourselves."""
    return "/".join(url.split("/", 3)[:3])


def get(url: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Request:
    """A GET of an absolute address."""
    scheme, host, path, query = split_url(url)
    return Request("GET", scheme, host, path, query, tuple(headers))


def post(url: str, body: bytes, content_type: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Request:
    """A POST of ``body`` to an absolute address."""
    scheme, host, path, query = split_url(url)
    kind = (b"Content-Type", content_type.encode("ascii"))
    return Request("POST", scheme, host, path, query, (kind, *headers), body)


def text(body: str, *, status: int = 200, charset: str = "utf-8", kind: str = "text/plain") -> Response:
    """A short answer with an explicit charset and length."""
    raw = body.encode(charset)
    headers = (
        (b"Content-Type", f"{kind}; charset={charset}".encode("ascii")),
        (b"Content-Length", str(len(raw)).encode("ascii")),
    )
    return Response(status, headers, raw)
