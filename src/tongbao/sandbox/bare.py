"""Answers as they would be without their proof: rewritten here, since no protocol's end ever says a success unsigned.

The bytes of an answer are looked at as they are, whatever its charset: a quote, ``<``, ``&`` and a line's end are never
the second half of a GBK character.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from tongbao.wire.http import Response

_HEADER: Final = re.compile(
    rb"(?:wechatpay|alipay)-(?:signature|signature-type|timestamp|nonce|serial|sn)", re.IGNORECASE
)
_NAME: Final = rb"(?:sign|hmac|hmac_safe|signMsg|signInfo|v_md5str|c_signstr)"
Place = tuple[re.Pattern[bytes], bytes]
"""Where an answer bears a proof, and what stands there without it."""

# what follows a signed node of Alipay's: its certificate's number is that of the signature
_JSON: Final[tuple[Place, ...]] = ((re.compile(rb'(?:,"(?:alipay_cert_sn|sign)":"[^"]*")+\}\Z'), b"}"),)
# an element, or a page's field
_MARKUP: Final[tuple[Place, ...]] = (
    (re.compile(rb"<((?:\w+:)?%b)(?: [^>]*)?>.*?</\1>" % _NAME, re.DOTALL), b""),
    (re.compile(rb'(<input [^>]*name="%b" [^>]*value=")[^"]*' % _NAME), rb"\1"),
)
# a form's pair, or a line
_PAIRS: Final[tuple[Place, ...]] = (
    (re.compile(rb"(?:\A|(?<=\n))%b=[^&\r\n]*(?:&|\r?\n|\Z)|&%b=[^&\r\n]*" % (_NAME, _NAME)), b""),
)

_NODE: Final = re.compile(
    rb'\{"[a-z0-9_]+_response":(\{"code":"([0-9]{5})".*?\})(?:,"(?:alipay_cert_sn|sign)":"[^"]*")*\}', re.DOTALL
)
_NO_REFUSALS: Final = (b"10000", b"10003")


def without_signature(response: Response) -> Response:
    """The answer without its signature and what belongs to it; itself where it has none."""
    headers = tuple(pair for pair in response.headers if _HEADER.fullmatch(pair[0]) is None)
    body = response.body
    for place, left in {b"{": _JSON, b"<": _MARKUP}.get(body[:1], _PAIRS):
        body = place.sub(left, body)
    if body == response.body and headers == response.headers:
        return response
    return _with_body(replace(response, headers=headers), body)


def under_error_response(response: Response) -> Response:
    """A refusal of Alipay's gateway under ``error_response``, unsigned; itself where it is none, or stands so anyway
    (sheet alipay-openapi, 15, platform sandbox 10)."""
    match = _NODE.fullmatch(response.body)
    if match is None or match[2] in _NO_REFUSALS:
        return response
    body = b'{"error_response":%b}' % match[1]
    return response if body == response.body else _with_body(response, body)


def _with_body(response: Response, body: bytes) -> Response:
    length = str(len(body)).encode("ascii")
    headers = ((name, length if name.lower() == b"content-length" else value) for name, value in response.headers)
    return replace(response, headers=tuple(headers), body=body)
