"""Starlette and FastAPI: the raw message as it came, and handlers for the two addresses of an endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tongbao.merchant.endpoint import MESSAGE_BYTES_MAX
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.verdict import Accepted, ReturnSeen
from tongbao.wire import http

Handler = Callable[[Request], Awaitable[Response]]
Watch = Callable[[Accepted], object]
Page = Callable[[Request, ReturnSeen], Awaitable[Response]]


async def read_request(request: Request, limit: int = MESSAGE_BYTES_MAX) -> http.Request:
    """The message with path, query, headers and body as received. Reading stops one byte past ``limit``, so that the
    acceptance refuses what is too long without holding it."""
    scope = request.scope
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            break
    headers = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
    host = next((value for name, value in headers if name.lower() == b"host"), b"")
    return http.Request(
        method=scope["method"],
        scheme=scope.get("scheme", "http"),
        host=host.decode("latin-1"),
        raw_path=bytes(scope.get("raw_path") or scope["path"].encode("utf-8")).partition(b"?")[0],
        raw_query=bytes(scope.get("query_string", b"")),
        headers=headers,
        body=bytes(body[: limit + 1]),
    )


def make_response(answer: http.Response) -> Response:
    """Our answer as Starlette sends it, with exactly our headers."""
    response = Response(answer.body, answer.status)
    response.raw_headers = [(name.lower(), value) for name, value in answer.headers]
    if answer.header("content-length") is None:
        response.raw_headers.append((b"content-length", str(len(answer.body)).encode("ascii")))
    return response


def notify_handler(receiver: AsyncReceiver, watch: Watch | None = None) -> Handler:
    """The handler of a notification address. ``watch`` sees each result (to log or count it)."""

    async def handle(request: Request) -> Response:
        try:
            raw = await read_request(request)
        except ClientDisconnect:
            return Response(status_code=400)
        accepted = await receiver.accept_notification(raw)
        if watch is not None:
            watch(accepted)
        return make_response(accepted.response)

    return handle


def return_handler(receiver: AsyncReceiver, page: Page, *, inquire: bool = True) -> Handler:
    """The handler of a return address: ``page(request, seen)`` renders what may be shown."""

    async def handle(request: Request) -> Response:
        seen = await receiver.accept_return(await read_request(request), inquire=inquire)
        return await page(request, seen)

    return handle
