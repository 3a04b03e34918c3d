"""The REST interface (v3): JSON bodies, the signature in a header. Requests, answers, signed text, error words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.kernel.port import Entropy
from tongbao.kernel.time import MINUTE, Instant
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.code import bare
from tongbao.protocols.alipay_openapi.codec import RSA2, find_key, sign, unsigned
from tongbao.protocols.alipay_openapi.envelope import plain_texts
from tongbao.protocols.alipay_openapi.field import text_of
from tongbao.protocols.alipay_openapi.secret import ALGORITHM, content_key, hide, reveal
from tongbao.wire.form import parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.json import read_object, write_json
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.unsigned import Unsigned

SCHEME: Final = "ALIPAY-SHA256withRSA"
WINDOW: Final = 10 * MINUTE
"""How far a request's time may be from now (the interface's notes); its nonce is remembered for twice as long."""
_ITEM: Final = re.compile(r"[a-z_]{1,32}=[0-9A-Za-z_.-]{1,128}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{11,13}", re.ASCII)
_JSON: Final = b"application/json;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Rest:
    """A REST request as read. ``auth`` is what the signature begins with, word for word; ``items`` what it says."""

    method: str
    verb: str
    target: bytes
    body: bytes
    token: str
    auth: str
    signature: str
    items: Mapping[str, str]
    root_serial: str = ""
    hidden: bool = False
    error: RemoteProtocolError | None = field(default=None, compare=False)
    content: list[Mapping[str, Any]] = field(default_factory=list, repr=False, compare=False)
    """The business content, once it was read: only after the signature was found to be good."""

    @property
    def text(self) -> bytes:
        """What is signed."""
        lines = [self.auth.encode("latin-1"), self.verb.encode("ascii"), self.target, self.body]
        if self.token:
            lines.append(self.token.encode("latin-1"))
        return b"\n".join([*lines, b""])


def read_rest(request: Request, path: str) -> Rest:
    """A request to a path of the interface; where the path, or its verb, names no method of this platform, with that
    error. Raises RemoteProtocolError."""
    method = m.method_of(path)
    header = request.header("authorization") or ""
    scheme, _, rest = header.partition(" ")
    auth, mark, signature = rest.rpartition(",sign=")
    if not header or scheme != SCHEME or not mark:
        raise RemoteProtocolError("timestamp", "there is no signature in the headers", "FIELD_MISSING")
    pieces = auth.split(",")
    if not all(_ITEM.fullmatch(piece) for piece in pieces):
        raise RemoteProtocolError("authorization", "is no list of names and values", "MALFORMED")
    items = dict(piece.split("=", 1) for piece in pieces)
    if len(items) != len(pieces):
        raise RemoteProtocolError("authorization", "says something twice", "DUPLICATE_PARAM")
    query = b"?" + request.raw_query if request.raw_query else b""
    return Rest(
        method,
        request.method,
        path.encode("latin-1") + query,
        request.body,
        request.header("alipay-app-auth-token") or "",
        auth,
        signature,
        items,
        request.header("alipay-root-cert-sn") or "",
        (request.header("alipay-encrypt-type") or "") == ALGORITHM,
        check_path(request.method, path),
    )


def check_path(verb: str, path: str) -> RemoteProtocolError | None:
    """What is wrong with a path and its verb."""
    method = m.METHOD_OF_PATH.get(path)
    if method is None:
        return RemoteProtocolError("path", "names no method of this platform", "UNKNOWN_SERVICE")
    verbs = ("GET", "POST") if method in m.WORDS_OF_BOTH else (m.SERVICES[method].verb,)
    if verb not in verbs:
        return RemoteProtocolError("path", f"is asked by {verbs[0]}", "UNKNOWN_SERVICE")
    return None


def check_rest(rest: Rest, keys: list[Key], now: Instant) -> Key:
    """The key that signed a request, which must be fresh. Raises RemoteProtocolError, InvalidSignature."""
    if not rest.signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    key = find_key((rest.text,), rest.signature, keys)
    if key is None:
        raise InvalidSignature
    moment = rest.items.get("timestamp", "")
    if not moment or not rest.items.get("nonce"):
        raise RemoteProtocolError("timestamp" if not moment else "nonce", "is missing", "FIELD_MISSING")
    if not _NUMBER.fullmatch(moment) or abs(int(moment) - now) > WINDOW:
        raise RemoteProtocolError("timestamp", "is more than ten minutes away from now", "STALE")
    return key


def read_body(rest: Rest, ring: KeyRing) -> dict[str, Any]:
    """The content of a request: its query, or its body, decrypted where it is hidden. Raises RemoteProtocolError."""
    if rest.verb == "GET":
        asked: dict[str, Any] = plain_texts(dict(parse_form(rest.target.partition(b"?")[2])), "query")
        return asked
    body = rest.body
    if rest.hidden:
        body = reveal(body.decode("latin-1"), content_key(ring), "body")
    said: dict[str, Any] = plain_texts(read_object(body or b"{}", "body"), "body")
    return said


def _number(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write_auth(
    said: Mapping[str, str],
    verb: str,
    target: str,
    body: bytes,
    key: Key,
    now: Instant,
    entropy: Entropy | None,
    token: str = "",
) -> str:
    """The header of a request; ``token`` is the header ``alipay-app-auth-token``. The nonce is drawn, or follows from
    what is asked and when where there is no chance: the same word never means two things."""
    more = [token.encode("ascii")] if token else []
    asked = (now, verb, target, body.hex(), *said.values(), *more)
    nonce = entropy.token(16).hex() if entropy is not None else _number(*asked)
    items = {**said, "nonce": nonce, "timestamp": str(now)}
    auth = ",".join(f"{name}={value}" for name, value in items.items())
    text = b"\n".join([auth.encode("ascii"), verb.encode("ascii"), target.encode("ascii"), body, *more, b""])
    return f"{SCHEME} {auth},sign={sign(text, key)}"


def write_rest(
    status: int, content: Mapping[str, Any], key: Key | None, serial: str, hidden: bytes | None, now: Instant
) -> Response | Unsigned[Response]:
    """An answer, signed where there is a key."""
    body = write_json(content).encode("utf-8")
    if hidden is not None:
        body = hide(body, hidden).encode("ascii")
    nonce = _number(now, body.hex())
    headers = (
        (b"content-type", b"text/plain;charset=utf-8" if hidden is not None else _JSON),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"alipay-trace-id", nonce[:30].encode("ascii")),
    )
    if key is None:
        return Response(status, headers, body)
    stamp = str(now).encode("ascii")
    proof = ((b"alipay-timestamp", stamp), (b"alipay-nonce", nonce.encode("ascii")))
    named = ((b"alipay-sn", serial.encode("ascii")),) if serial else ()

    def finish(signature: str) -> Response:
        return Response(status, (*headers, *proof, (b"alipay-signature", signature.encode("ascii")), *named), body)

    return unsigned(b"\n".join([stamp, nonce.encode("ascii"), body, b""]), key, finish)


def write_rest_failure(
    status: int, word: str, message: str, key: Key | None, serial: str, now: Instant
) -> Response | Unsigned[Response]:
    """An error, with the word that common errors have here; signed where there is a key to sign with."""
    said = {"code": bare(word), "message": message, "links": [{"link": "https://open.alipay.com", "desc": "文档"}]}
    return write_rest(status, said, key, serial, None, now)


def read_rest_answer(response: Response, keys: list[Key], hidden: bytes | None) -> dict[str, Any]:
    """A verified success, or an error's object with ``code`` and ``message``, which is verified where it is signed.
    Raises RemoteProtocolError."""
    success = response.status in (200, 202)
    if success or response.header("alipay-signature") is not None:
        stamp, nonce = response.header("alipay-timestamp") or "", response.header("alipay-nonce") or ""
        signature = response.header("alipay-signature") or ""
        if not signature:
            raise InvalidSignature("alipay-signature", "is missing", "SIGN_MISSING")
        text = b"\n".join([stamp.encode("latin-1"), nonce.encode("latin-1"), response.body, b""])
        if find_key((text,), signature, keys) is None:
            raise InvalidSignature
    body = response.body
    if success and hidden is not None and (response.header("content-type") or "").startswith("text/plain"):
        body = reveal(body.decode("latin-1"), hidden, "body")
    said: dict[str, Any] = plain_texts(read_object(body, "body"), "body")
    if success:
        return said
    if not text_of(said, "code"):
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    return said


RSA_ONLY: Final = RSA2
"""The one algorithm of this interface."""
