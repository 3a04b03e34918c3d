"""Fields, canonical strings and MD5 of the older interface for phones: what both ends share. Everything is UTF-8.

A request, and the answer to one, sign all fields but ``sign``, sorted by name; a return leaves out ``sign_type`` too; a
notification signs four fields in a fixed order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_wap import messages as m
from tongbao.wire.field import invalid
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import equal, md5_suffix
from tongbao.wire.xml import Element, XmlLimits, read_xml, write_xml

Fields = Mapping[str, str]

LIMITS: Final = FormLimits(size=65_536, fields=60, field=32_768)
XML: Final = XmlLimits(size=32_768, elements=64, depth=2)

_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffd\ufffe\uffff]")
_SHIFT: Final = re.compile(r"&([A-Za-z_][A-Za-z0-9_]*)=", re.ASCII)


def read_form(parts: Iterable[bytes]) -> dict[str, str]:
    """The fields of query and body as text. A name stands once in each, with one value (T08); no structures (T07)."""
    fields: dict[str, str] = {}
    for part in parts:
        seen = set()
        for raw_name, raw_value in split_form(part, LIMITS):
            try:
                name, value = raw_name.decode("utf-8"), raw_value.decode("utf-8")
            except UnicodeDecodeError as error:
                shown = raw_name[:40].decode("ascii", "replace").replace("\ufffd", "?")
                raise RemoteProtocolError(shown, "is not utf-8", "BAD_CHARSET") from error
            if not name or "[" in name or "]" in name:
                raise RemoteProtocolError(name[:40], "is no field name", "MALFORMED")
            if _NOT_TEXT.search(name) or _NOT_TEXT.search(value):
                raise RemoteProtocolError("", "holds controls or replacement characters", "BAD_CHARSET")
            if name in seen or fields.setdefault(name, value) != value:
                raise RemoteProtocolError(name[:40], "appears twice", "DUPLICATE_PARAM")
            seen.add(name)
    return fields


def check_shift(fields: Fields) -> None:
    """Refuse a value that spells ``&name=`` of a known name: two messages would share one signature (T10)."""
    for field, value in fields.items():
        for match in _SHIFT.finditer(value):
            if match[1] in m.KNOWN:
                raise RemoteProtocolError(field, f"spells another field, {match[0]}", "MALFORMED")


def canonical(fields: Fields, without: Iterable[str] = ("sign",)) -> str:
    """What is signed of a request, an answer or a return. Empty values count as absent."""
    left_out = frozenset(without)
    return "&".join([f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name not in left_out])


def ordered(fields: Fields, names: Sequence[str] = m.NOTICE_NAMES) -> str:
    """What is signed of a notification: these names in this order."""
    return "&".join([f"{name}={fields.get(name, '')}" for name in names])


def sign(text: str, key: Key) -> str:
    """MD5 of the text and the key behind it. An empty secret signs nothing (T01)."""
    if _NOT_TEXT.search(text):
        raise LocalProtocolError("", "holds control characters", "BAD_CHARSET")
    if key.algorithm != m.ALGORITHM or not isinstance(key.material, bytes) or not key.material:
        raise LocalProtocolError("sec_id", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return md5_suffix(text.encode("utf-8"), key.material)


def authenticate(texts: Sequence[str], signature: str, ring: KeyRing) -> Key:
    """The key that signed one of the texts. Raises InvalidSignature."""
    if not signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    for key in ring.verifying(m.ALGORITHM):
        for text in texts:
            if isinstance(key.material, bytes) and key.material and equal(sign(text, key), signature):
                return key
    raise InvalidSignature


# --- the documents within fields ------------------------------------------------------------------------------------


def read_document(text: str, name: str, root: str) -> dict[str, str]:
    """The leaves of a small document that stands in the field ``name``. Raises RemoteProtocolError."""
    document = read_xml(text.encode("utf-8"), "utf-8", XML)
    if document.name != root:
        raise invalid(name, f"is no {root}", "MALFORMED")
    return document.leaves()


def write_document(root: str, leaves: Fields, *, declared: bool = False) -> str:
    """The document, without leaves that say nothing, and without a declaration unless it is asked for."""
    children = tuple([Element(name, value) for name, value in leaves.items() if value])
    text = write_xml(Element(root, children=children)).decode("utf-8")
    return text if declared else text.partition("?>")[2]
