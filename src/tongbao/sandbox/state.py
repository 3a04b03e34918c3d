"""What a sandbox remembers: its secrets, keys and parties, so that they stay the same over restarts and resets.

All keys are made here for testing and protect no money; the file is still written with mode 0600.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.identifier import digits
from tongbao.kernel.port import Entropy
from tongbao.sandbox.chain import MERCHANT, issue, make_root
from tongbao.wire.contract import Manifest
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import load_rsa_private, private_pem

SCHEMA: Final = 1
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Party:
    """A merchant's identity for one protocol. ``secret`` is shared; ``merchant_key`` and ``platform_key`` are PEM, and
    so are the certificates behind each of them, the authority's last."""

    merchant_id: str
    login: str
    secret: str
    merchant_key: str = ""
    platform_key: str = ""
    merchant_chain: str = ""
    platform_chain: str = ""


@dataclass(slots=True)
class SandboxState:
    """``offset`` is how far business time was advanced, in milliseconds; ``starts`` counts starts, so that a seeded
    stream of numbers is never repeated on the same books."""

    root: str
    parties: dict[str, Party]
    offset: int = 0
    starts: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SandboxState({sorted(self.parties)})"


def _secret(entropy: Entropy, length: int) -> str:
    raw = entropy.token(length * 2)
    return "".join(_LETTERS[code % 36] for code in raw[:length])


def merchant_number(manifest: Manifest, entropy: Entropy) -> str:
    """A fresh merchant number of the protocol's shape: its example's length, first four and last two digits."""
    example = manifest.merchant_example
    return example[:4] + digits(entropy, len(example) - 6) + example[-2:]


def make_party(manifest: Manifest, entropy: Entropy, given: Mapping[str, str]) -> Party:
    """Identity and keys for one protocol; ``given`` holds a shop's own ids and test keys under the client's names."""
    fields = {item.name: item.kind for item in manifest.credentials}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise ConfigurationError(
            f"{manifest.name}.{unknown[0]}", f"no such setting; known: {', '.join(sorted(fields))}"
        )
    number = next((given[name] for name, kind in fields.items() if kind == "id" and name in given), "")
    secret = next((given[name] for name, kind in fields.items() if kind == "secret" and name in given), "")
    login = given.get("seller_email", f"{manifest.name.replace('_', '-')}@shop.example")
    keys = ("", "")
    if any("rsa" in algorithm.lower() for algorithm in manifest.algorithms):
        own = next((given[name] for name, kind in fields.items() if kind == "private_key" and name in given), "")
        keys = (own or private_pem(generate_private_key(65537, 2048)), private_pem(generate_private_key(65537, 2048)))
    if not secret and "base64" in manifest.content_keys.values():
        secret = base64.b64encode(entropy.token(32)[:16]).decode("ascii")
    return Party(number or merchant_number(manifest, entropy), login, secret or _secret(entropy, 32), *keys)


@lru_cache(64)
def sandbox_key(pem: str) -> RSAPrivateKey:
    """A sandbox's own key, parsed once: it protects nothing, and parsing costs more than anything else at the start."""
    return load_rsa_private(pem, "private_key")


def certify(state: SandboxState, entropy: Entropy) -> None:
    """Have certificates issued for the keys of protocols that want them and have none, by the sandbox's authority."""
    for name, party in state.parties.items():
        if not load_protocol(name).certificates or party.platform_chain:
            continue
        if "authority" not in state.extra:
            state.extra["authority"] = make_root(entropy)
        root = str(state.extra["authority"])
        own, theirs = (sandbox_key(pem).public_key() for pem in (party.merchant_key, party.platform_key))
        state.parties[name] = replace(
            party,
            merchant_chain=issue(root, own, party.merchant_id, MERCHANT, entropy),
            platform_chain=issue(root, theirs, f"Tongbao {name} {party.merchant_id}", "Platform", entropy),
        )


def sub_merchants(state: SandboxState) -> dict[str, str]:
    """Protocol -> number of the merchant in whose name the sandbox's shop may ask, where the protocol has providers."""
    found: dict[str, str] = state.extra.get("sub_merchants", {})
    return found


def app_secret(state: SandboxState, appid: str) -> str:
    """The secret of an appid (AppSecret), for exchanging codes: 32 hexadecimal digits."""
    return hmac.digest(bytes.fromhex(state.root), b"appsecret:" + appid.encode(), "sha256").hex()[:32]


def _complete_sub_merchants(state: SandboxState, entropy: Entropy) -> None:
    known = sub_merchants(state)
    for name in state.parties:
        manifest = load_protocol(name)
        if "partner" in manifest.modes and name not in known:
            known[name] = merchant_number(manifest, entropy)
    state.extra["sub_merchants"] = known


def make_state(entropy: Entropy, secrets: Entropy, given: Mapping[str, Mapping[str, str]]) -> SandboxState:
    """A new sandbox: ``entropy`` (maybe seeded) gives numbers, ``secrets`` (never seeded) the root secret."""
    parties = {name: make_party(load_protocol(name), entropy, given.get(name, {})) for name in protocol_names()}
    state = SandboxState(secrets.token(32).hex(), parties)
    certify(state, entropy)
    _complete_sub_merchants(state, entropy)
    return state


def load_state(path: Path) -> SandboxState | None:
    """The state in a file, None where there is none. Raises ConfigurationError where the file is not one."""
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text("utf-8"))
        if said["schema"] != SCHEMA:
            raise ValueError("schema")
        parties = {name: Party(**party) for name, party in said["parties"].items()}
        return SandboxState(said["root"], parties, said["offset"], said["starts"], said.get("extra", {}))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError("state", f"{path.name} is not a sandbox's state file") from error


def complete_state(state: SandboxState, entropy: Entropy) -> None:
    """Give an older state a party for protocols it does not know yet."""
    for name in protocol_names():
        if name not in state.parties:
            state.parties[name] = make_party(load_protocol(name), entropy, {})
    certify(state, entropy)
    _complete_sub_merchants(state, entropy)


def save_state(path: Path, state: SandboxState) -> None:
    """Write the file beside its place and rename it there (F05)."""
    said = {
        "schema": SCHEMA,
        "root": state.root,
        "offset": state.offset,
        "starts": state.starts,
        "extra": state.extra,
        "parties": {
            name: {key: getattr(party, key) for key in party.__slots__} for name, party in state.parties.items()
        },
    }
    write_private(path, json.dumps(said, ensure_ascii=False, indent=1))


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
