"""Forms of our own pages: read strictly, only the fields a form has, only from our own pages (T51, T58)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request

from tongbao.kernel.error import RemoteProtocolError
from tongbao.wire.form import FormLimits, parse_form
from tongbao.wire.http import FORM, split_url

LIMITS: Final = FormLimits(size=16_384, fields=24, field=2_048)

TOKEN_FIELD: Final = "form_token"

PASSWORD_MOST: Final = 128
"""The longest password."""


class PageError(Exception):
    """A page cannot be shown or a form cannot be taken. ``code`` names a sentence in the catalogues."""

    def __init__(self, code: str, status: int, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.status = status
        self.detail = detail


def check_origin(request: Request, base_url: str, *, strict: bool) -> None:
    """Only our own pages may post. Raises PageError CSRF.

    Browsers say ``Origin: null`` under our own ``Referrer-Policy: no-referrer``; then Sec-Fetch-Site and the form's
    token decide. Outside production the page may be reached by another name than ``base_url``'s (``strict`` False).
    """
    site = request.headers.get("sec-fetch-site", "")
    if site and site != "same-origin":
        raise PageError("CSRF", 403, f"Sec-Fetch-Site is {site}")
    origin = request.headers.get("origin", "null")
    if origin == "null":
        return
    scheme, authority, _, _ = split_url(base_url)
    allowed = {f"{scheme}://{authority}"}
    if not strict:
        allowed.add(f"{request.url.scheme}://{request.headers.get('host', '')}")
    if origin not in allowed:
        raise PageError("CSRF", 403, "the form comes from another site")


async def read_form(request: Request, fields: Mapping[str, int]) -> dict[str, str]:
    """The fields of a posted form; ``fields`` are the allowed names with their longest text, absent ones become ''.

    Raises PageError for another media type, an unknown, repeated or overlong field, or a cut body.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise PageError("MALFORMED", 415, "not a form")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LIMITS.size:
                raise PageError("TOO_LARGE", 413)
    except ClientDisconnect as error:
        raise PageError("MALFORMED", 400, "the form was cut") from error
    try:
        pairs = parse_form(bytes(body), limits=LIMITS)
    except RemoteProtocolError as error:
        raise PageError(error.code, 400, error.field) from error
    allowed = {TOKEN_FIELD: 64, **fields}
    values = dict.fromkeys(allowed, "")
    for name, value in pairs:
        if name not in allowed:
            raise PageError("UNKNOWN_FIELD", 400, name[:40])
        if len(value) > allowed[name]:
            raise PageError("TOO_LARGE", 400, name)
        # a password is taken as typed, blanks included
        values[name] = value if name.endswith("password") else value.strip()
    return values
