"""The page that a face shows a browser when a payment request is refused, and the way on when it is not.

The reader is the shop's developer: he is told the protocol's own code, ours, the field and the reason and, where the
signature is the question, the string that was signed with every secret masked. No key, no stack, nothing of others.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from markupsafe import Markup

from tongbao.kernel.error import InvalidSignature, ProtocolError, Refused, TongbaoError
from tongbao.web.page.asset import ASSETS
from tongbao.web.page.locale import LANGUAGES, accepted_language
from tongbao.web.page.shell import content_policy, page_headers, render
from tongbao.wire.contract import Claim, Manifest
from tongbao.wire.http import Request, Response
from tongbao.wire.vocabulary import TradeOpened

SIGN_CODES: Final = frozenset({"SIGN_INVALID", "SIGN_MISSING", "SIGN_TYPE_NOT_ALLOWED", "KEY_UNKNOWN", "KEY_REVOKED"})

_STYLE: Final = Markup(ASSETS["tongbao.css"].body.decode("utf-8"))
"""Our own file, so that escaping would only break it: the one text that is not escaped. Its hash is in the policy."""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


class Pages:
    """What faces need of the pages."""

    def error_page(self, manifest: Manifest, claim: Claim | None, error: TongbaoError, request: Request) -> Response:
        """The refusal of a request that a browser carried, complete in itself: a face may be served from an address
        that has no style sheet."""
        code, field, reason, status = explain(error)
        trail = None
        if isinstance(error, InvalidSignature) or code in SIGN_CODES:
            trail = manifest.server.trail(request)
        language = accepted_language(request.header("accept-language") or "")
        text = render(
            "page/refused.html",
            language,
            others=[other for other in LANGUAGES if other != language],
            style=_STYLE,
            title=manifest.title_zh if language == "zh" else manifest.title,
            wire_code=manifest.server.refusal_code(error),
            code=code,
            field=field,
            reason=reason,
            operation=claim.operation if claim else "",
            merchant=claim.merchant if claim else "",
            trail=trail,
            hint=f"hint.{code}" if code in _HINTS else "",
        )
        headers = page_headers(content_policy(style=f"'sha256-{_STYLE_HASH}'"))
        pairs = tuple((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items())
        body = text.encode("utf-8")
        return Response(status, ((b"Content-Type", b"text/html; charset=utf-8"), *pairs), body)

    def open_cashier(self, opened: TradeOpened, request: Request | None = None) -> Response:
        """The browser goes on to the trade's cashier."""
        location = (b"Location", opened.cashier_url.encode("ascii"))
        headers = (location, (b"Cache-Control", b"no-store"), (b"Referrer-Policy", b"no-referrer"))
        return Response(302, headers)


_HINTS: Final = frozenset(
    {"SIGN_INVALID", "SIGN_TYPE_NOT_ALLOWED", "BAD_CHARSET", "URL_NOT_ALLOWED", "UNKNOWN_MERCHANT", "NO_PRIVILEGE"}
)


def explain(error: TongbaoError) -> tuple[str, str, str, int]:
    """(our code, field, reason, HTTP status) of an error."""
    if isinstance(error, ProtocolError):
        return error.code, error.field, error.reason, 403 if error.code in SIGN_CODES else 400
    if isinstance(error, Refused):
        return error.code, "", error.detail, 403 if error.code in SIGN_CODES else 422
    return "SYSTEM", "", "", 503
