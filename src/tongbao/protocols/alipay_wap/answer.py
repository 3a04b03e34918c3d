"""Answers: a form of percent-encoded values to a creation, one word to notify_verify, an envelope of XML to a query."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.codec import (
    Fields,
    authenticate,
    canonical,
    read_document,
    read_form,
    sign,
    write_document,
)
from tongbao.protocols.alipay_wap.request import read_token
from tongbao.wire.field import invalid, required
from tongbao.wire.form import encode_form
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.xml import Element, XmlLimits, read_xml, write_xml

_ENVELOPE: Final = XmlLimits(size=65_536, elements=256, depth=4)
_KNOWN: Final = frozenset(("is_success", "error", "request", "response", "sign", "sign_type"))
_TEXT: Final = b"text/plain; charset=utf-8"


def _respond(body: bytes, kind: bytes = _TEXT) -> Response:
    return Response(200, ((b"Content-Type", kind), (b"Content-Length", str(len(body)).encode("ascii"))), body)


# --- to a creation -------------------------------------------------------------------------------------------------


def _common(asked: Fields) -> dict[str, str]:
    names = ("partner", "req_id", "sec_id", "service", "v")
    return {name: asked[name] for name in names if asked.get(name)}


def write_created(asked: Fields, token: str, key: Key) -> Response:
    """The token of the prepared trade, signed."""
    fields = {"res_data": write_document(m.CREATED_ROOT, {"request_token": token}, declared=True), **_common(asked)}
    fields["sign"] = sign(canonical(fields), key)
    return _respond(encode_form(tuple(fields.items())))


def write_error(asked: Fields, word: str, detail: str) -> Response:
    """The refusal of a creation; nobody signs it. ``msg`` says the word in small letters. A field's name that no field
    of the interface could have is not said again: XML has no words for some."""
    number = m.NUMBER_OF.get(word, "0000")
    detail = detail if detail.isascii() and detail.isprintable() else ""
    leaves = {"code": number, "sub_code": number, "msg": word.lower().replace("_", " "), "detail": detail}
    fields = {"res_error": write_document(m.ERROR_ROOT, leaves, declared=True), **_common(asked)}
    return _respond(encode_form(tuple(fields.items())))


def read_created(response: Response, partner: str, ring: KeyRing) -> tuple[str, str, str]:
    """(token, '', '') or ('', word, detail) of a refusal. Raises RemoteProtocolError, InvalidSignature."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    fields = read_form((response.body.strip(b" \r\n\t"),))
    if fields.get("res_error"):
        leaves = read_document(fields["res_error"], "res_error", m.ERROR_ROOT)
        word = required(leaves, "msg").upper().replace(" ", "_")
        return "", word[:64], leaves.get("detail", "")[:200]
    authenticate((canonical(fields),), fields.get("sign", ""), ring)
    for name, expected in (("partner", partner), ("service", m.CREATE), ("sec_id", m.ALGORITHM)):
        if fields.get(name) != expected:
            raise RemoteProtocolError(name, "the answer is to another request", "MALFORMED")
    return read_token(read_document(required(fields, "res_data"), "res_data", m.CREATED_ROOT)), "", ""


# --- to notify_verify ----------------------------------------------------------------------------------------------


def write_word(word: str) -> Response:
    """One word, no newline."""
    return _respond(word.encode("ascii"))


# --- to a query ----------------------------------------------------------------------------------------------------


def _xml(*children: Element) -> Response:
    return _respond(write_xml(Element("alipay", children=children)), b"text/xml; charset=utf-8")


def write_found(asked: Fields, leaves: Fields, key: Key | None) -> Response:
    """``is_success`` T, the request's parameters, the trade, and a signature over its leaves."""
    filled = {name: value for name, value in leaves.items() if value}
    trade = Element("trade", children=tuple([Element(name, value) for name, value in filled.items()]))
    params = [Element("param", value, (), {"name": name}) for name, value in asked.items() if name[:4] != "sign"]
    children = [
        Element("is_success", "T"),
        Element("request", children=tuple(params)),
        Element("response", children=(trade,)),
    ]
    if key is not None:
        children += [Element("sign", sign(canonical(filled), key)), Element("sign_type", m.ALGORITHM)]
    return _xml(*children)


def write_refusal(word: str) -> Response:
    """``is_success`` F and the word, unsigned."""
    return _xml(Element("is_success", "F"), Element("error", word))


def read_found(response: Response, ring: KeyRing) -> tuple[dict[str, str], str]:
    """(leaves of the trade, '') or ({}, word). Raises RemoteProtocolError, InvalidSignature."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    root = read_xml(response.body, "utf-8", _ENVELOPE, attributed=("param",))
    if root.name != "alipay" or any(child.name not in _KNOWN for child in root.children):
        raise RemoteProtocolError(root.name, "is no answer", "MALFORMED")
    said = {child.name: child.text for child in root.children if not child.children}
    if len({child.name for child in root.children}) != len(root.children):
        raise RemoteProtocolError("", "a part appears twice", "DUPLICATE_PARAM")
    if said.get("is_success") == "F" and said.get("error"):
        return {}, said["error"]
    outer = root.child("response")
    trade = outer.child("trade") if outer is not None and len(outer.children) == 1 else None
    if said.get("is_success") != "T" or trade is None:
        raise invalid("is_success", "is neither T with a trade nor F with a word", "MALFORMED")
    if said.get("sign_type") != m.ALGORITHM:
        raise InvalidSignature("sign_type", f"is not {m.ALGORITHM}", "SIGN_TYPE_NOT_ALLOWED")
    leaves = trade.leaves()
    authenticate((canonical(leaves, ()),), said.get("sign", ""), ring)
    return leaves, ""
