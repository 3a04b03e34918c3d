"""The JSON answers of the gateway: ``{"<node>":{...},"sign":"..."}``, written by one end and read by the other.

What is signed is the node's value, character by character as it stands in the answer. Real libraries find it by
pattern, by counting braces or by offsets; the form written here is one that all of them find: compact, node first,
signature last, ``/`` as ``\\/``, and no brace inside a text without its partner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.protocols.alipay_openapi.codec import CAREFUL_CODECS, find_key, is_text, unsigned
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.protocols.alipay_openapi.secret import content_key, hide, revealed
from tongbao.wire.http import Response
from tongbao.wire.json import read_json, read_object
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.unsigned import Unsigned

ERROR_NODE: Final = "error_response"
SIZE_MAX: Final = 1_048_576

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_FIRST: Final = ("code", "msg", "sub_code", "sub_msg")


def node_name(method: str) -> str:
    """``alipay.trade.query`` -> ``alipay_trade_query_response``."""
    return f"{method.replace('.', '_')}_response"


def dump_node(content: Mapping[str, Any]) -> str:
    """A node as it is sent: result first, the rest by name."""
    ordered = {name: content[name] for name in _FIRST if content.get(name)}
    ordered |= {name: content[name] for name in sorted(content) if name not in ordered and content[name]}
    text = _ENCODER.encode(ordered)
    if text.count("{") > 1 or text.count("}") > 1:
        text = _STRING.sub(_even_braces, text)
    return text.replace("/", "\\/")


def _even_braces(match: re.Match[str]) -> str:
    """A string literal in which braces without a partner are written as escapes."""
    literal, level = match[0], 0
    if "{" not in literal and "}" not in literal:
        return literal
    for mark in literal:
        level += (mark == "{") - (mark == "}")
        if level < 0:
            break
    return literal if level == 0 else literal.replace("{", "\\u007b").replace("}", "\\u007d")


@dataclass(frozen=True, slots=True)
class Voice:
    """How an answer is said: under which node, in which charset, signed by whom, hidden by which key."""

    node: str
    charset: str = "utf-8"
    key: Key | None = None
    serial: str = ""
    hidden: bytes | None = None
    trace: str = ""


def write_answer(content: Mapping[str, Any], voice: Voice) -> Response | Unsigned[Response]:
    """An answer; with ``serial`` in certificate mode, with ``hidden`` encrypted, without ``key`` unsigned."""
    codec = CAREFUL_CODECS[voice.charset]
    text = dump_node(content)
    try:
        raw = text.encode(codec)
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), separators=(",", ":")).replace("/", "\\/")
        raw = text.encode("ascii")
    if voice.hidden is not None:
        raw = f'"{hide(raw, voice.hidden)}"'.encode("ascii")
    body = b'{"%b":%b' % (voice.node.encode("ascii"), raw)
    if voice.serial:
        body += b',"alipay_cert_sn":"%b"' % voice.serial.encode("ascii")
    if voice.key is None:
        return _answer(body + b"}", voice)
    return unsigned(raw, voice.key, lambda said: _answer(b'%b,"sign":"%b"}' % (body, said.encode("ascii")), voice))


def _answer(body: bytes, voice: Voice) -> Response:
    headers = (
        (b"Content-Type", f"text/html;charset={voice.charset}".encode("ascii")),
        (b"Content-Length", str(len(body)).encode("ascii")),
        (b"trace_id", voice.trace.encode("ascii")),
    )
    return Response(200, headers, body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as read. ``signed``: a key of ours vouches for ``content``."""

    node: str
    content: Mapping[str, Any]
    signed: bool
    serial: str = ""


def split_members(text: str) -> dict[str, str]:
    """The raw text of each member of a root object, white space outside trimmed. Raises RemoteProtocolError."""
    decoder = json.JSONDecoder()
    members: dict[str, str] = {}
    place = _skip(text, 0)
    if text[place : place + 1] != "{":
        raise RemoteProtocolError("", "is no JSON object", "MALFORMED")
    place = _skip(text, place + 1)
    if text[place : place + 1] == "}":
        return members
    try:
        while True:
            name, place = decoder.raw_decode(text, place)
            place = _skip(text, place)
            if not isinstance(name, str) or name in members or text[place : place + 1] != ":":
                raise ValueError
            start = _skip(text, place + 1)
            _, place = decoder.raw_decode(text, start)
            members[name] = text[start:place]
            place = _skip(text, place)
            if text[place : place + 1] == "}":
                break
            if text[place : place + 1] != ",":
                raise ValueError
            place = _skip(text, place + 1)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("", "is no JSON object whose members differ", "MALFORMED") from error
    if _skip(text, place + 1) != len(text):
        raise RemoteProtocolError("", "goes on behind the object", "MALFORMED")
    return members


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def read_answer(
    response: Response, node: str, charset: str, algorithm: str, ring: KeyRing, *, proven: bool = False
) -> Answer:
    """Read an answer and verify what is signed. Raises RemoteProtocolError, InvalidSignature.

    An unsigned answer is returned as such: what it may be believed is for the caller to say. ``proven``: the content
    proves itself (a certificate), so that its signature, maybe by a key not known yet, is not looked at.
    """
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    if len(response.body) > SIZE_MAX:
        raise RemoteProtocolError("", f"longer than {SIZE_MAX} bytes", "TOO_LARGE")
    codec = CAREFUL_CODECS[charset]
    try:
        text = response.body.decode(codec)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("", f"bytes are not {charset}", "BAD_CHARSET") from error
    members = split_members(text)
    name = node if node in members else ERROR_NODE
    if name not in members:
        raise RemoteProtocolError(node, "is missing from the answer", "FIELD_MISSING")
    raw = members[name]
    serial, signature = (_text(members, field) for field in ("alipay_cert_sn", "sign"))
    if signature and not proven:
        texts = [raw.encode(codec)] + ([raw.replace("\\/", "/").encode(codec)] if "\\/" in raw else [])
        if find_key(texts, signature, _keys(ring, algorithm, serial)) is None:
            raise InvalidSignature
    value = read_json(raw, name)
    if isinstance(value, str):
        value = read_object(revealed(value, content_key(ring), name, codec), name)
    if not isinstance(value, dict):
        raise RemoteProtocolError(name, "is no JSON object", "MALFORMED")
    return Answer(name, plain_texts(value, name), bool(signature), serial)


def _keys(ring: KeyRing, algorithm: str, serial: str) -> Iterable[Key]:
    keys = list(ring.verifying(algorithm))
    if not serial or not any(key.chain for key in keys):
        return keys
    mine = [key for key in keys if key.chain and serial_of(key.chain[0]) == serial]
    if not mine:
        raise InvalidSignature("alipay_cert_sn", "names a certificate that is not known", "KEY_UNKNOWN", serial[:64])
    return mine


def _text(members: Mapping[str, str], name: str) -> str:
    value = read_json(members.get(name, '""'), name)
    if not isinstance(value, str):
        raise RemoteProtocolError(name, "is no text", "MALFORMED")
    return value


def plain_texts(value: Any, field: str) -> Any:
    """The value with every number and truth value as text, as most senders write them; null is ''.

    Raises RemoteProtocolError for texts with control characters.
    """
    if isinstance(value, str):
        if not is_text(value):
            raise RemoteProtocolError(field, "holds controls that are not text", "BAD_CHARSET")
        return str(value)
    if isinstance(value, dict):
        return {name: plain_texts(part, name[:40]) for name, part in value.items()}
    if isinstance(value, list):
        return [plain_texts(part, field) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
