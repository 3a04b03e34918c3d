"""The envelope of the query: SOAP 1.1 in and out, read strictly once prefixes and types are taken off."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import Fields, is_text
from tongbao.wire import http
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


def _bare(match: re.Match[str]) -> str:
    if "href" in match[3]:
        raise RemoteProtocolError("", "holds references", "MALFORMED")
    return f"<{match[1]}{match[2]}{match[4]}>"


def _leaves(fields: Fields) -> str:
    return "".join([f"<{name}>{escape(value)}</{name}>" for name, value in fields.items()])


def write_query(fields: Fields) -> bytes:
    """The request's envelope."""
    inner = f"<q:gatewayOrderQuery><request>{_leaves(fields)}</request></q:gatewayOrderQuery>"
    return f"{_HEAD}{inner}{_TAIL}".encode()


def write_reply(head: Fields, item: Fields | None) -> Response:
    """The answer's envelope, with at most one order."""
    orders = f"<orders><orders>{_leaves(item)}</orders></orders>" if item else ""
    said = f"<gatewayOrderQueryReturn>{_leaves(head)}{orders}</gatewayOrderQueryReturn>"
    inner = f"<q:gatewayOrderQueryResponse>{said}</q:gatewayOrderQueryResponse>"
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


def read_query(raw: bytes) -> dict[str, str]:
    """The fields of a request. Raises RemoteProtocolError."""
    return _read(raw, "Body", m.QUERY, "request").leaves()


def read_reply(response: Response) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Head and orders of an answer. Raises RemoteProtocolError."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    said = _read(response.body, "Body", "gatewayOrderQueryResponse", "gatewayOrderQueryReturn")
    orders = said.child("orders")
    head = Element(said.name, children=tuple(child for child in said.children if child.name != "orders")).leaves()
    return head, [item.leaves() for item in orders.children] if orders is not None else []
