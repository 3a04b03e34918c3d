"""The XML envelope of the server services: written by the platform's half, read by the merchant's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_mapi.codec import CAREFUL_CODECS, CODECS, canonical_text, sign, verify
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.xml import Element, XmlLimits, read_xml, write_xml

_LIMITS: Final = XmlLimits(size=262_144, elements=512, depth=4)
_DECLARED: Final = {"utf-8": "utf-8", "gbk": "GBK", "gb2312": "GBK"}
_LEAVES_OF_ENVELOPE: Final = frozenset(("is_success", "error", "request", "response", "sign", "sign_type"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """``word`` is T, F or P; ``error`` the code with F; ``name`` and ``leaves`` the answer's element, '' for none."""

    word: str
    error: str = ""
    name: str = ""
    leaves: Mapping[str, str] | None = None
    signed: bool = False


def _respond(root: Element, charset: str) -> Response:
    declared = _DECLARED[charset]
    body = write_xml(root, CAREFUL_CODECS[charset], declared)
    headers = (
        (b"Content-Type", f"text/xml; charset={declared}".encode("ascii")),
        (b"Content-Length", str(len(body)).encode("ascii")),
    )
    return Response(200, headers, body)


def write_success(
    echo: Mapping[str, str], name: str, leaves: Mapping[str, str], charset: str, key: Key | None
) -> Response:
    """``is_success`` T with the request's parameters in their order, and one element of leaves where there are any."""
    params = [Element("param", value, (), {"name": field}) for field, value in echo.items()]
    children = [Element("is_success", "T"), Element("request", children=tuple(params))]
    filled = {field: value for field, value in leaves.items() if value}
    if filled:
        inner = Element(name, children=tuple(Element(field, value) for field, value in filled.items()))
        children.append(Element("response", children=(inner,)))
        if key is not None:
            text = canonical_text(filled, CODECS[charset])
            children += [Element("sign", sign(text, key)), Element("sign_type", key.algorithm)]
    return _respond(Element("alipay", children=tuple(children)), charset)


def write_failure(code: str, charset: str) -> Response:
    """``is_success`` F with the code; nothing else, and no signature."""
    return _respond(Element("alipay", children=(Element("is_success", "F"), Element("error", code))), charset)


def _only(root: Element, name: str) -> str:
    element = root.child(name)
    return element.text if element is not None else ""


def read_envelope(response: Response, charset: str, algorithm: str, ring: KeyRing) -> Envelope:
    """Read an answer and verify it where it is signed. Raises RemoteProtocolError, InvalidSignature."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    root = read_xml(response.body, CAREFUL_CODECS[charset], _LIMITS, attributed=("param",))
    strange = [child.name for child in root.children if child.name not in _LEAVES_OF_ENVELOPE]
    if root.name != "alipay" or strange:
        raise RemoteProtocolError(strange[0] if strange else root.name, "is no part of an answer", "MALFORMED")
    word, error = _only(root, "is_success"), _only(root, "error")
    if word not in ("T", "F", "P") or (word == "F" and not error):
        raise RemoteProtocolError("is_success", "is not T, F with an error, or P", "MALFORMED")
    signature, sign_type = _only(root, "sign"), _only(root, "sign_type")
    outer = root.child("response")
    if word == "F" or outer is None or not outer.children:
        return Envelope(word, error)
    inner = outer.children[0]
    if len(outer.children) > 1:
        raise RemoteProtocolError("response", "holds more than one element", "MALFORMED")
    leaves = inner.leaves()
    if not signature and not sign_type:
        return Envelope(word, error, inner.name, leaves)
    if sign_type != algorithm:
        raise InvalidSignature("sign_type", f"is not {algorithm}", "SIGN_TYPE_NOT_ALLOWED")
    try:
        text = canonical_text(leaves, CODECS[charset])
    except LocalProtocolError as error_:
        raise RemoteProtocolError(error_.field, error_.reason, error_.code) from error_
    if not signature or not any(verify(text, signature, key) for key in ring.verifying(algorithm)):
        raise InvalidSignature
    return Envelope(word, error, inner.name, leaves, signed=True)
