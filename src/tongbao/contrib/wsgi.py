"""WSGI, and so Flask (``request.environ``) and Django (``request.META``): the raw message out of the environment.

WSGI decodes the path before anybody sees it, so the raw one is taken from ``RAW_URI`` or ``REQUEST_URI``, which
gunicorn, uWSGI, mod_wsgi and Werkzeug give; without it the path is encoded again, which loses ``%2F`` and nothing else.
Header names arrive in capitals and repeated headers joined: WSGI keeps no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote_from_bytes

from tongbao.merchant.endpoint import MESSAGE_BYTES_MAX
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.verdict import Accepted
from tongbao.wire.http import Request, Response

Environment = Mapping[str, Any]
Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]

_PLAIN = ("CONTENT_TYPE", "CONTENT_LENGTH")
_REASON = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}


def read_request(environ: Environment, limit: int = MESSAGE_BYTES_MAX) -> Request:
    """The message; reading stops one byte past ``limit``, so that the acceptance refuses what is too long."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    size = int(length[:12]) if length.isascii() and length.isdigit() else 0
    body = environ["wsgi.input"].read(min(size, limit + 1)) if size else b""
    headers = tuple(
        (name.removeprefix("HTTP_").replace("_", "-").encode("latin-1"), str(value).encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in _PLAIN and value)
    )
    return Request(
        method=environ["REQUEST_METHOD"],
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")),
        raw_path=_path(environ),
        raw_query=str(environ.get("QUERY_STRING", "")).encode("latin-1"),
        headers=headers,
        body=body,
    )


def _path(environ: Environment) -> bytes:
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    if target.startswith(("http://", "https://")):
        target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
    if target.startswith("/"):
        return target.partition("?")[0].encode("latin-1")
    decoded = (str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))).encode("latin-1")
    return quote_from_bytes(decoded, safe="/:@!$&'()*+,;=~-._").encode("ascii") or b"/"


def start_answer(answer: Response, start: Start) -> list[bytes]:
    """Our answer as WSGI says it, with exactly our headers."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    if answer.header("content-length") is None:
        headers.append(("Content-Length", str(len(answer.body))))
    start(f"{answer.status} {_REASON.get(answer.status, 'Answer')}", headers)
    return [answer.body]


def notify_application(receiver: Receiver, watch: Callable[[Accepted], object] | None = None) -> Application:
    """A WSGI application for notification addresses; mount it, or call its parts from a view."""

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        accepted = receiver.accept_notification(read_request(environ))
        if watch is not None:
            watch(accepted)
        return start_answer(accepted.response, start)

    return application
