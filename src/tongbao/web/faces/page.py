"""What a face shows to a browser: the way into the cashier, and the page of an error."""

from __future__ import annotations

from html import escape
from typing import Protocol

from tongbao.kernel.error import ProtocolError, Refused, TongbaoError
from tongbao.wire.contract import Claim, Manifest
from tongbao.wire.http import Request, Response, text
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import TradeOpened


class Pages(Protocol):
    """The pages that faces need; the page room implements them."""

    def error_page(self, manifest: Manifest, claim: Claim | None, error: TongbaoError, request: Request) -> Response:
        """A page that names the cause to a developer and shows no secret; status 4xx or 5xx."""
        ...

    def open_cashier(self, opened: TradeOpened) -> Response:
        """Send the browser to the cashier."""
        ...


def see_other(url: str, status: int = 302) -> Response:
    """A redirect without a body. ``url`` is one of ours, never taken from a request."""
    return Response(status, ((b"Location", url.encode("ascii")), (b"Content-Length", b"0")))


class PlainPages:
    """Pages without a house style, for a platform that serves faces only."""

    def error_page(self, manifest: Manifest, claim: Claim | None, error: TongbaoError, request: Request) -> Response:
        code = error.code if isinstance(error, Refused | ProtocolError) else "SYSTEM"
        field = error.field if isinstance(error, ProtocolError) else ""
        lines = (
            "<!DOCTYPE html>",
            '<html lang="en"><meta charset="utf-8">',
            f"<title>{escape(manifest.server.refusal_code(error))}</title>",
            f"<h1>{escape(manifest.server.refusal_code(error))}</h1>",
            f"<p>{escape(code)}: {escape(REFUSALS.get(code, ''))}",
            f"<p>{escape(field)}" if field else "",
        )
        return text("\n".join(lines), status=status_of(error), kind="text/html")

    def open_cashier(self, opened: TradeOpened) -> Response:
        return see_other(opened.cashier_url)


def status_of(error: TongbaoError) -> int:
    """The HTTP status of an error page."""
    if isinstance(error, ProtocolError):
        return 400
    if isinstance(error, Refused) and error.code != "SYSTEM":
        return 429 if error.code == "RATE_LIMITED" else 403 if error.code == "NO_PRIVILEGE" else 400
    return 500
