"""Reading of vector files: ``protocols/NAME/vectors/*.json``, one message each.

A vector is an object::

    what      one sentence
    oddity    what a server tolerates by it, where that is its purpose
    source    where the message and its signature come from
    keys      [{"algorithm", "secret" | "public" | "private", "certificates", "id"}]: published or test keys;
              certificates are PEM, a key's own first; id is the key's name where messages name keys
    now       wire time of the reading, in milliseconds; 0 where the protocol compares no times
    settings  plain settings of the merchant's half, by the protocol's own names
    message   {"kind": request | notification | return | response, "method", "url", "headers", "body", "charset"}
    operation, merchant, intent   what a request says (``plain``); or
    event     what a notification or return says; or
    outcome   what a response says, as the answer to ``intent``; or
    error, field                  why it is refused
    echo, product                 what the platform knows of the trade beside the event, to write it again
    exact     true where writing it again gives the same signature
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tongbao.kernel.time import Instant
from tongbao.wire.certificate import load_chain
from tongbao.wire.contract import Credentials, Manifest
from tongbao.wire.http import Request, Response, get, post
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import load_rsa_private, load_rsa_public

_public, _private = cache(load_rsa_public), cache(load_rsa_private)
"""Parsing a key costs more than all else a vector asks; many have the same."""


@dataclass(frozen=True)
class Vector:
    """One vector and the folder it belongs to."""

    protocol: str
    name: str
    data: dict[str, Any]

    @property
    def manifest(self) -> Manifest:
        return load_protocol(self.protocol)

    @property
    def kind(self) -> str:
        return str(self.data["message"]["kind"])

    def ring(self) -> KeyRing:
        """The platform's ring of the merchant (also the merchant's own, where keys are shared)."""
        verify, sign = [], []
        for number, entry in enumerate(self.data["keys"], 1):
            algorithm, name = entry["algorithm"], entry.get("id", "vector")
            if "secret" in entry:
                key = Key(name, number, algorithm, entry["secret"].encode("ascii"))
                verify.append(key)
                sign.append(key)
            chain = load_chain(entry["certificates"], "certificates") if "certificates" in entry else ()
            if "public" in entry:
                public = _public(entry["public"], "public")
                verify.append(Key(name, number, algorithm, public, chain=chain))
            if "private" in entry:
                private = _private(entry["private"], "private")
                sign.append(Key(name, number, algorithm, private, chain=chain))
        return KeyRing(self.data["merchant"], tuple(verify), tuple(sign))

    @property
    def now(self) -> Instant:
        return Instant(self.data.get("now", 0))

    def credentials(self) -> Credentials:
        settings = self.data.get("settings", {})
        return Credentials(
            self.protocol, self.data["merchant"], settings.get("gateway", self.manifest.gateway), settings, self.ring()
        )

    def request(self) -> Request:
        message = self.data["message"]
        headers = tuple(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in message.get("headers", {}).items()
        )
        if message["method"] == "GET":
            return get(message["url"], headers)
        kind = message.get("headers", {}).get("Content-Type", "application/x-www-form-urlencoded")
        rest = tuple(header for header in headers if header[0] != b"Content-Type")
        return post(message["url"], message["body"].encode(message.get("charset", "ascii")), kind, rest)

    def response(self) -> Response:
        message = self.data["message"]
        headers = tuple(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in message.get("headers", {}).items()
        )
        return Response(message.get("status", 200), headers, message["body"].encode(message.get("charset", "utf-8")))


def vectors() -> list[Vector]:
    """Every vector of every folder."""
    found = []
    for protocol in protocol_names():
        package = import_module(f"tongbao.protocols.{protocol}")
        for root in package.__path__:
            for path in sorted(Path(root, "vectors").glob("*.json")):
                data = json.loads(path.read_text("utf-8"))
                if isinstance(data, dict) and "message" in data:
                    found.append(Vector(protocol, path.stem, data))
    return found
