"""The XML envelope of the server services: written by the platform's half, read by the merchant's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_mapi.account import read_line, write_line
from tongbao.protocols.alipay_mapi.codec import CAREFUL_CODECS, CODECS, canonical_text, sign, verify
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.movement import MovementsFound
from tongbao.wire.xml import Element, XmlLimits, read_xml, write_xml

_LIMITS: Final = XmlLimits(size=262_144, elements=512, depth=4)
_DECLARED: Final = {"utf-8": "utf-8", "gbk": "GBK", "gb2312": "GBK"}
LONG: Final = XmlLimits(size=16_777_216, elements=250_000, depth=6)
"""Answers that hold lines of an account."""
_LIST: Final = "account_log_list"
_PAGE: Final = "account_page_query_result"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_TEXT_NAMES: Final = frozenset(("is_success", "error_code", "result_details", "sign", "sign_type"))
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


def write_page(echo: Mapping[str, str], found: MovementsFound, charset: str, key: Key | None) -> Response:
    """The answer to account.page.query. The signature covers the lines as they are written, and the three marks of the
    page."""
    lines = Element(_LIST, children=tuple([write_line(line, echo.get("partner", "")) for line in found.lines]))
    marks = {
        "has_next_page": "T" if found.more else "F",
        "page_no": str(found.page),
        "page_size": str(found.page_size),
    }
    params = [Element("param", value, (), {"name": field}) for field, value in echo.items()]
    inner = Element(_PAGE, children=(lines, *[Element(name, value) for name, value in marks.items()]))
    children = [
        Element("is_success", "T"),
        Element("request", children=tuple(params)),
        Element("response", children=(inner,)),
    ]
    if key is not None:
        written = write_xml(lines, CAREFUL_CODECS[charset], _DECLARED[charset])
        text = canonical_text(marks | {_LIST: _between(written, charset)}, CODECS[charset])
        children += [Element("sign", sign(text, key)), Element("sign_type", key.algorithm)]
    return _respond(Element("alipay", children=tuple(children)), charset)


def _between(raw: bytes, charset: str) -> str:
    """The list of lines as it stands in a document. Raises RemoteProtocolError where there is not just one."""
    start, stop = f"<{_LIST}>".encode("ascii"), f"</{_LIST}>".encode("ascii")
    if raw.count(start) != 1 or raw.count(stop) != 1 or raw.index(stop) < raw.index(start):
        raise RemoteProtocolError(_LIST, "is missing, or appears twice", "MALFORMED")
    part = raw[raw.index(start) + len(start) : raw.index(stop)]
    try:
        return part.decode(CODECS[charset])
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(_LIST, f"is not {charset}", "BAD_CHARSET") from error


def write_failure(code: str, charset: str) -> Response:
    """``is_success`` F with the code; nothing else, and no signature."""
    return _respond(Element("alipay", children=(Element("is_success", "F"), Element("error", code))), charset)


def _only(root: Element, name: str) -> str:
    element = root.child(name)
    return element.text if element is not None else ""


def _open(response: Response, charset: str, limits: XmlLimits) -> tuple[Element, str, str]:
    """The root of an answer, the word whether it succeeded, and the code where it did not."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    root = read_xml(response.body, CAREFUL_CODECS[charset], limits, attributed=("param",))
    strange = [child.name for child in root.children if child.name not in _LEAVES_OF_ENVELOPE]
    if root.name != "alipay" or strange:
        raise RemoteProtocolError(strange[0] if strange else root.name, "is no part of an answer", "MALFORMED")
    word, error = _only(root, "is_success"), _only(root, "error")
    if word not in ("T", "F", "P") or (word == "F" and not error):
        raise RemoteProtocolError("is_success", "is not T, F with an error, or P", "MALFORMED")
    return root, word, error


def _check_sign(root: Element, signed_fields: Mapping[str, str], charset: str, algorithm: str, ring: KeyRing) -> None:
    """Raises InvalidSignature unless a key of the ring signed the fields."""
    signature, sign_type = _only(root, "sign"), _only(root, "sign_type")
    if sign_type != algorithm:
        raise InvalidSignature("sign_type", f"is not {algorithm}", "SIGN_TYPE_NOT_ALLOWED")
    try:
        text = canonical_text(signed_fields, CODECS[charset])
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.field, error.reason, error.code) from error
    if not signature or not any(verify(text, signature, key) for key in ring.verifying(algorithm)):
        raise InvalidSignature


def read_envelope(
    response: Response, charset: str, algorithm: str, ring: KeyRing, *, limits: XmlLimits = _LIMITS
) -> Envelope:
    """Read an answer and verify it where it is signed. Raises RemoteProtocolError, InvalidSignature."""
    root, word, error = _open(response, charset, limits)
    outer = root.child("response")
    if word == "F" or outer is None or not outer.children:
        return Envelope(word, error)
    inner = outer.children[0]
    if len(outer.children) > 1:
        raise RemoteProtocolError("response", "holds more than one element", "MALFORMED")
    leaves = inner.leaves()
    if not _only(root, "sign") and not _only(root, "sign_type"):
        return Envelope(word, error, inner.name, leaves)
    _check_sign(root, leaves, charset, algorithm, ring)
    return Envelope(word, error, inner.name, leaves, signed=True)


def read_page(response: Response, charset: str, algorithm: str, ring: KeyRing) -> MovementsFound | str:
    """The answer to account.page.query: a page, or the code of its refusal. A page without a signature is none."""
    root, word, error = _open(response, charset, LONG)
    if word == "F":
        return error
    outer = root.child("response")
    page = outer.child(_PAGE) if outer is not None else None
    lines = page.child(_LIST) if page is not None else None
    if word != "T" or outer is None or len(outer.children) != 1 or page is None or lines is None or lines.text:
        raise RemoteProtocolError(_LIST, "is missing", "FIELD_MISSING")
    marks = Element(_PAGE, children=tuple([child for child in page.children if child is not lines])).leaves()
    _check_sign(root, marks | {_LIST: _between(response.body, charset)}, charset, algorithm, ring)
    more = marks.get("has_next_page", "")
    if more not in ("T", "F"):
        raise RemoteProtocolError("has_next_page", "is neither T nor F", "FIELD_INVALID")
    numbers = []
    for name in ("page_no", "page_size"):
        if _NUMBER.fullmatch(marks.get(name, "")) is None:
            raise RemoteProtocolError(name, "is no number", "FIELD_INVALID")
        numbers.append(int(marks[name]))
    found = tuple([read_line(line) for line in lines.children])
    return MovementsFound(found, numbers[0], numbers[1], more == "T")


# --- an answer that is a form ------------------------------------------------------------------------------------


def write_text(fields: Mapping[str, str], charset: str, key: Key | None) -> Response:
    """The answer to refund_fastpay_query, raw values joined by ``&``; our own signature stands at its end."""
    filled = {name: value for name, value in fields.items() if value}
    if key is not None and "result_details" in filled:
        text = canonical_text(filled, CODECS[charset])
        filled |= {"sign": sign(text, key), "sign_type": key.algorithm}
    body = "&".join([f"{name}={value}" for name, value in filled.items()]).encode(CODECS[charset])
    kind = (b"Content-Type", f"text/html; charset={_DECLARED[charset]}".encode("ascii"))
    return Response(200, (kind, (b"Content-Length", str(len(body)).encode("ascii"))), body)


def read_text(response: Response, charset: str, algorithm: str, ring: KeyRing) -> dict[str, str]:
    """Its fields, verified where they tell of refunds. Raises RemoteProtocolError, InvalidSignature."""
    if response.status != 200 or len(response.body) > LONG.size:
        raise RemoteProtocolError("", f"HTTP status {response.status}, or too long", "MALFORMED")
    try:
        text = response.body.decode(CODECS[charset])
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("", f"is not {charset}", "BAD_CHARSET") from error
    fields: dict[str, str] = {}
    for piece in text.split("&"):
        name, mark, value = piece.partition("=")
        if not mark or name in fields or name not in _TEXT_NAMES:
            raise RemoteProtocolError(name[:40], "is no part of this answer, or appears twice", "MALFORMED")
        fields[name] = value
    if fields.get("is_success") == "F" and fields.get("error_code"):
        return fields
    signature, sign_type = fields.pop("sign", ""), fields.pop("sign_type", "")
    root = Element("", children=(Element("sign", signature), Element("sign_type", sign_type)))
    if fields.get("is_success") != "T" or not fields.get("result_details"):
        raise RemoteProtocolError("is_success", "is neither T with results nor F with a code", "MALFORMED")
    _check_sign(root, fields, charset, algorithm, ring)
    return fields
