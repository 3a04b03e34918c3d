"""ASGI messages to and from our HTTP values, without any framework.

Whatever framework or server stands before it, the same bytes give the same ``Request``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tongbao.wire.http import Request, Response, text

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Request, str], Awaitable[Response]]

BODY_BYTES: Final = 65_536
"""The longest body a face reads unless it says otherwise (threats E, Limits)."""


class TooLarge(Exception):
    """The body is longer than the limit."""


class Gone(Exception):
    """The client went away before its body was complete; nothing may be done with the part."""


class Cut(Exception):  # noqa: N818
    """Raised by an application that wants its connection to end without an answer (a sandbox's faults)."""


async def read_body(receive: Receive, limit: int = BODY_BYTES) -> bytes:
    """The whole body. Raises TooLarge above ``limit`` bytes, Gone when it was cut (F36)."""
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def make_request(scope: Scope, body: bytes) -> Request:
    """The request as a value. Path and query are the raw bytes; header names keep their case where the server
    hands it over (``extensions.raw_headers``). Without a Host header (HTTP/1.0) the listening address stands in."""
    extensions = scope.get("extensions") or {}
    headers = tuple(map(tuple, extensions.get("raw_headers") or scope["headers"]))
    host = next((value.decode("latin-1") for name, value in headers if len(name) == 4 and name.lower() == b"host"), "")
    if not host:
        server = scope.get("server") or ("", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    raw_path = scope.get("raw_path")
    return Request(
        method=scope["method"],
        scheme=scope.get("scheme", "http"),
        host=host,
        raw_path=raw_path.partition(b"?")[0] if raw_path else scope["path"].encode("utf-8"),
        raw_query=scope.get("query_string", b""),
        headers=headers,
        body=body,
        peer_cert=(extensions.get("tls") or {}).get("client_cert_der"),
    )


def peer(scope: Scope) -> str:
    """The address of whoever holds the other end of the connection, or ''."""
    client = scope.get("client")
    return str(client[0]) if client else ""


async def read_request(scope: Scope, receive: Receive, limit: int = BODY_BYTES) -> Request:
    """Read the body and make the value. Raises TooLarge, Gone."""
    return make_request(scope, await read_body(receive, limit))


async def send_response(send: Send, response: Response) -> None:
    """Write the answer: names as given, and a Content-Length if it has none and is not sent piece by piece."""
    headers = list(response.headers)
    if response.chunks is not None:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    if response.header("content-length") is None and response.status not in (204, 304):
        headers.append((b"Content-Length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def plain(handler: Handler, limit: int = BODY_BYTES) -> Application:
    """An ASGI application of ``async handler(request, peer) -> Response``. Speaks http only: a lifespan or a
    socket raises RuntimeError, by which servers know that it is not spoken here."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        try:
            request = await read_request(scope, receive, limit)
        except TooLarge:
            answer = text("413 Content Too Large\n", status=413)
        except Gone:
            return
        else:
            answer = await handler(request, peer(scope))
        await send_response(send, answer)

    return application
