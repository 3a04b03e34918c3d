"""The envelope of the query: SOAP 1.1 in and out, read strictly once prefixes and types are taken off."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import Fields
from tongbao.wire import http
from tongbao.wire.field import is_text
from tongbao.wire.http import Response
from tongbao.wire.xml import Element, XmlLimits, escape, read_xml

SOAP_BYTES_MAX: Final = 65_536
_LIMITS: Final = XmlLimits(size=SOAP_BYTES_MAX, elements=256, depth=8)
_TAG: Final = re.compile(
    r"""<(/?)(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_][\w.:-]*=(?:"[^"<>]*"|'[^'<>]*'))*)\s*(/?)>""",
    re.ASCII,
)
_HEAD: Final = (
    '<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:q="http://api.seashell.bill99.com"><soapenv:Body>'
)
_TAIL: Final = "</soapenv:Body></soapenv:Envelope>"
TYPE: Final = "text/xml"
CALL: Final = {m.QUERY: "gatewayOrderQuery", m.REFUND_QUERY: "query"}
ITEMS: Final = {m.QUERY: "orders", m.REFUND_QUERY: "results"}
"""Element that holds the items (of refunds: unverified)."""


def _bare(match: re.Match[str]) -> str:
    if "href" in match[3]:
        raise RemoteProtocolError("", "holds references", "MALFORMED")
    return f"<{match[1]}{match[2]}{match[4]}>"


def _leaves(fields: Fields) -> str:
    return "".join([f"<{name}>{escape(value)}</{name}>" for name, value in fields.items()])


def write_query(fields: Fields, operation: str = m.QUERY) -> bytes:
    """The request's envelope."""
    inner = f"<q:{CALL[operation]}><request>{_leaves(fields)}</request></q:{CALL[operation]}>"
    return f"{_HEAD}{inner}{_TAIL}".encode()


def write_reply(head: Fields, items: Sequence[Fields], operation: str = m.QUERY) -> Response:
    """The answer's envelope, with its items."""
    call, within = CALL[operation], ITEMS[operation]
    inside = "".join([f"<{within}>{_leaves(item)}</{within}>" for item in items])
    listed = f"<{within}>{inside}</{within}>" if items else ""
    said = f"<{call}Return>{_leaves(head)}{listed}</{call}Return>"
    inner = f"<q:{call}Response>{said}</q:{call}Response>"
    return http.text(f"{_HEAD}{inner}{_TAIL}", kind=TYPE)


def _read(raw: bytes, *path: str) -> Element:
    if len(raw) > SOAP_BYTES_MAX:
        raise RemoteProtocolError("", f"longer than {SOAP_BYTES_MAX} bytes", "TOO_LARGE")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("", "bytes are not utf-8", "BAD_CHARSET") from error
    if "<![CDATA[" in text or not is_text(text):
        raise RemoteProtocolError("", "holds CDATA or controls", "MALFORMED")
    element: Element | None = read_xml(_TAG.sub(_bare, text).encode(), limits=_LIMITS)
    if element is None or element.name != "Envelope":
        raise RemoteProtocolError("", "is no envelope", "MALFORMED")
    for name in path:
        element = element.child(name)
        if element is None:
            raise RemoteProtocolError("", f"has no {name}", "MALFORMED")
    return element


def read_query(raw: bytes, operation: str = m.QUERY) -> dict[str, str]:
    """The fields of a request. Raises RemoteProtocolError."""
    return _read(raw, "Body", CALL[operation], "request").leaves()


def read_reply(response: Response, operation: str = m.QUERY) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Head and items of an answer. Raises RemoteProtocolError."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    call, within = CALL[operation], ITEMS[operation]
    said = _read(response.body, "Body", f"{call}Response", f"{call}Return")
    orders = said.child(within)
    head = Element(said.name, children=tuple(child for child in said.children if child.name != within)).leaves()
    return head, [item.leaves() for item in orders.children] if orders is not None else []
