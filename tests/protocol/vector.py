"""Reading of vector files: ``protocols/NAME/vectors/*.json``, one message each.

A vector is an object::

    what      one sentence
    oddity    what a server tolerates by it, where that is its purpose
    source    where the message and its signature come from
    keys      [{"algorithm", "secret" | "public" | "private", "certificates", "id"}]: published or test keys;
              certificates are PEM, a key's own first; id is the key's name where messages name keys. Where PEM
              belongs may stand the name of a table in ``vectors/keys.toml``, which has it once for all vectors
    now       wire time of the reading, in milliseconds; 0 where the protocol compares no times
    settings  plain settings of the merchant's half, by the protocol's own names
    speaks_for  the merchant in whose name ``merchant`` signs, as his service provider; absent where in his own
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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tongbao.kernel.time import Instant
from tongbao.wire.certificate import load_chain
from tongbao.wire.contract import Credentials, Manifest
from tongbao.wire.http import Request, Response, get, post
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import load_rsa_private, load_rsa_public

_public, _private = cache(load_rsa_public), cache(load_rsa_private)
"""Parsing a key costs more than all else a vector asks; many have the same."""

_PARTS: Final = ("public", "private", "certificates")


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
        merchant = self.data.get("speaks_for", self.data["merchant"])
        return Credentials(
            self.protocol, merchant, settings.get("gateway", self.manifest.gateway), settings, self.ring()
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


@cache
def shared_keys(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """The tables of ``keys.toml`` in a folder of vectors, each with PEM texts; none without such a file.

    Raises ``ValueError`` for a table with anything else in it, which it names.
    """
    file = folder / "keys.toml"
    tables: dict[str, Any] = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
    for name, table in tables.items():
        parts = table if isinstance(table, dict) else {name: table}
        for part, text in parts.items():
            if part not in _PARTS or not is_pem(text):
                raise ValueError(f"{file}: [{name}] {part}: not one of {', '.join(_PARTS)} as PEM")
    return tables


def is_pem(value: object) -> bool:
    return isinstance(value, str) and value.startswith("-----BEGIN ")


def written_out(entry: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """An entry of ``keys`` in the vector at ``path``, with PEM where it names a shared key.

    Raises ``ValueError`` for a name without such a part, which it names.
    """
    shared = shared_keys(path.parent)
    whole = dict(entry)
    for part in _PARTS:
        if part in entry and not is_pem(entry[part]):
            table = shared.get(entry[part], {})
            if part not in table:
                raise ValueError(f"{path}: {part}: keys.toml has none of the name {entry[part]!r}")
            whole[part] = table[part]
    return whole


def folders() -> list[tuple[str, Path]]:
    """Every protocol with each of its folders of vectors."""
    return [
        (protocol, Path(root, "vectors"))
        for protocol in protocol_names()
        for root in import_module(f"tongbao.protocols.{protocol}").__path__
    ]


def vectors() -> list[Vector]:
    """Every vector of every folder."""
    found = []
    for protocol, folder in folders():
        for path in sorted(folder.glob("*.json")):
            data = json.loads(path.read_text("utf-8"))
            if isinstance(data, dict) and "message" in data:
                data["keys"] = [written_out(entry, path) for entry in data["keys"]]
                found.append(Vector(protocol, path.stem, data))
    return found
