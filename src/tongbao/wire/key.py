"""Keys: parsed once, found by ring, never by the message (threats T01, T05, T20, T84)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import InvalidSignature

Material = bytes | RSAPublicKey | RSAPrivateKey | Ed25519PublicKey | Ed25519PrivateKey


class KeyState(StrEnum):
    """A key's life: announced, signing, verifying only, refused at once."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a ring. ``algorithm`` is pinned to it; a message that names another is refused (T05).

    ``material`` is a shared secret as bytes, or a parsed public or private key; it is never shown by ``repr``.
    ``chain`` is the key's certificate and those above it, up to the roots that are trusted; () for a bare key.
    """

    id: str
    version: int
    algorithm: str
    material: Material
    state: KeyState = KeyState.ACTIVE
    chain: tuple[x509.Certificate, ...] = ()

    def __repr__(self) -> str:
        return f"Key({self.id!r}, version={self.version}, {self.algorithm}, {self.state})"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A merchant's keys for one protocol: ``verify`` checks what he sends, ``sign`` signs what we send him.

    For shared secrets both hold the same key.
    """

    merchant: str
    verify: tuple[Key, ...]
    sign: tuple[Key, ...]

    def verifying(self, algorithm: str) -> Iterator[Key]:
        """Keys of that algorithm that may verify now; raises InvalidSignature when there is none, saying why."""
        mine = [key for key in self.verify if key.algorithm == algorithm]
        if not mine:
            raise InvalidSignature("sign_type", f"{algorithm} is not agreed for this merchant", "SIGN_TYPE_NOT_ALLOWED")
        live = [key for key in mine if key.state in (KeyState.ACTIVE, KeyState.RETIRING)]
        if not live:
            raise InvalidSignature("sign", "the key is revoked or not active yet", "KEY_REVOKED")
        yield from live

    def signing(self, algorithm: str) -> Key:
        """The active key of that algorithm for what we send; raises InvalidSignature when there is none."""
        for key in self.sign:
            if key.algorithm == algorithm and key.state is KeyState.ACTIVE:
                return key
        raise InvalidSignature("sign_type", f"no active {algorithm} key to sign with", "SIGN_TYPE_NOT_ALLOWED")
