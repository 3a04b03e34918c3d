"""A strict XML reader and writer for flat messages (threat T18).

There is no document type, no entity beyond the five, no comment, no processing instruction after the declaration,
no namespace. Attributes exist only where the caller names them. Depth, elements and bytes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.wire.form import same_charset


@dataclass(frozen=True, slots=True)
class Element:
    """A name, its attributes, and either text or children."""

    name: str
    text: str = ""
    children: tuple[Element, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def child(self, name: str) -> Element | None:
        """The only child of that name, or None; raises RemoteProtocolError when there are several (T08)."""
        found = [child for child in self.children if child.name == name]
        if len(found) > 1:
            raise RemoteProtocolError(name, "appears twice", "DUPLICATE_PARAM")
        return found[0] if found else None

    def leaves(self) -> dict[str, str]:
        """Names and texts of the children. Raises RemoteProtocolError on a repeated or nested one (T07, T08)."""
        values: dict[str, str] = {}
        for child in self.children:
            if child.children:
                raise RemoteProtocolError(child.name, "is nested", "MALFORMED")
            if child.name in values:
                raise RemoteProtocolError(child.name, "appears twice", "DUPLICATE_PARAM")
            values[child.name] = child.text
        return values


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """Bytes of the document, elements in it, and how deep they nest (1 is the root alone)."""

    size: int = 65_536
    elements: int = 256
    depth: int = 2


FLAT: Final = XmlLimits()

_DECLARATION: Final = re.compile(
    r"""<\?xml\s+version=(["'])1\.[01]\1(?:\s+encoding=(["'])([A-Za-z0-9._-]{1,20})\2)?"""
    r"""(?:\s+standalone=(["'])(?:yes|no)\4)?\s*\?>""",
    re.ASCII,
)
_TAG: Final = re.compile(
    r"""<(?:/(?P<close>[A-Za-z_][\w.-]*)\s*|(?P<open>[A-Za-z_][\w.-]*)(?P<attributes>(?:\s+[A-Za-z_][\w.-]*="""
    r"""(?:"[^"<]*"|'[^'<]*'))*)\s*(?P<empty>/?))>""",
    re.ASCII,
)
_ATTRIBUTE: Final = re.compile(r"""([A-Za-z_][\w.-]*)=(?:"([^"]*)"|'([^']*)')""", re.ASCII)
_REFERENCE: Final = re.compile(r"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);)")
_NOT_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _malformed(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError("", f"not strict XML: {reason}", "MALFORMED")


def _resolve(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1]) if match[1] else int(match[2], 16)
    letter = chr(code) if code <= 0x10FFFF else "\x00"
    if _NOT_CHARACTER.match(letter):
        raise _malformed("a reference to no character")
    return letter


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    if _BARE_AMPERSAND.search(text):
        raise _malformed("an unknown entity or a bare ampersand")
    return _REFERENCE.sub(_resolve, text)


class _Reader:
    """One pass over the text, an explicit stack, no recursion."""

    def __init__(self, text: str, limits: XmlLimits, attributed: Iterable[str]) -> None:
        self.text = text
        self.limits = limits
        self.attributed = frozenset(attributed)
        self.count = 0
        self.root: Element | None = None
        self.stack: list[tuple[str, dict[str, str], list[str], list[Element]]] = []

    def read(self) -> Element:
        position, end = 0, len(self.text)
        while position < end:
            mark = self.text.find("<", position)
            self._characters(_unescape(self.text[position : end if mark < 0 else mark]))
            if mark < 0:
                break
            if self.text.startswith("<![CDATA[", mark):
                stop = self.text.find("]]>", mark)
                if stop < 0 or not self.stack:
                    raise _malformed("CDATA out of place")
                self._characters(self.text[mark + 9 : stop])
                position = stop + 3
            else:
                match = _TAG.match(self.text, mark)
                if match is None:
                    raise _malformed("something that is no plain tag")
                self._tag(match)
                position = match.end()
        if self.root is None or self.stack:
            raise _malformed("it ends too early")
        return self.root

    def _characters(self, text: str) -> None:
        if self.stack:
            self.stack[-1][2].append(text)
        elif text.strip(" \t\r\n"):
            raise _malformed("text outside the root")

    def _tag(self, match: re.Match[str]) -> None:
        if match["close"]:
            if not self.stack or self.stack[-1][0] != match["close"]:
                raise _malformed("tags that do not match")
            self._close()
            return
        self.count += 1
        if self.root is not None or self.count > self.limits.elements or len(self.stack) >= self.limits.depth:
            raise _malformed("two roots, too many elements or nested too deep")
        found = _ATTRIBUTE.findall(match["attributes"] or "")
        attributes = {name: _unescape(one or other) for name, one, other in found}
        if found and (match["open"] not in self.attributed or len(attributes) < len(found)):
            raise _malformed(f"unexpected attributes on {match['open']}")
        self.stack.append((match["open"], attributes, [], []))
        if match["empty"]:
            self._close()

    def _close(self) -> None:
        name, attributes, parts, children = self.stack.pop()
        text = "".join(parts)
        if children:
            if text.strip(" \t\r\n"):
                raise _malformed(f"text beside elements in {name}")
            text = ""
        element = Element(name, text, tuple(children), attributes)
        if self.stack:
            self.stack[-1][3].append(element)
        else:
            self.root = element


def read_xml(
    raw: bytes, charset: str = "utf-8", limits: XmlLimits = FLAT, *, attributed: Iterable[str] = ()
) -> Element:
    """The root of a document whose charset the caller knows. Raises RemoteProtocolError on anything unusual.

    A declaration may repeat ``charset`` and may not contradict it. ``attributed`` names the elements that may carry
    attributes.
    """
    if len(raw) > limits.size:
        raise RemoteProtocolError("", f"longer than {limits.size} bytes", "TOO_LARGE")
    try:
        text = raw.decode(charset)
    except (UnicodeDecodeError, LookupError) as error:
        raise RemoteProtocolError("", f"bytes are not {charset}", "BAD_CHARSET") from error
    if _NOT_CHARACTER.search(text):
        raise RemoteProtocolError("", "holds characters that XML does not have", "BAD_CHARSET")
    text = text.strip(" \t\r\n").replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith("<?"):
        match = _DECLARATION.match(text)
        if match is None:
            raise _malformed("a strange declaration")
        if match[3] and not same_charset(match[3], charset):
            raise RemoteProtocolError("", f"declares {match[3]}, not {charset}", "BAD_CHARSET")
        text = text[match.end() :]
    return _Reader(text, limits, attributed).read()


def escape(text: str) -> str:
    """Text or an attribute's value, so that ``read_xml`` gives it back unchanged. Raises LocalProtocolError."""
    if _NOT_CHARACTER.search(text):
        raise LocalProtocolError("", "holds characters that XML does not have", "BAD_CHARSET")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text.replace("\r", "&#13;")


def write_xml(root: Element, charset: str = "utf-8", declared: str = "") -> bytes:
    """The document in ``charset``; what the charset lacks becomes a numeric reference. No blank is added anywhere."""
    head = f'<?xml version="1.0" encoding="{declared or charset}"?>'
    return (head + _markup(root)).encode(charset, "xmlcharrefreplace")


def _attribute(value: str) -> str:
    return escape(value).replace("\n", "&#10;").replace("\t", "&#9;")


def _markup(element: Element) -> str:
    attributes = "".join([f' {name}="{_attribute(value)}"' for name, value in element.attributes.items()])
    inner = "".join([_markup(child) for child in element.children]) if element.children else escape(element.text)
    return f"<{element.name}{attributes}>{inner}</{element.name}>"
