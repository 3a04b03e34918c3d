"""A message but for its signature, where signing costs much (RSA): whoever has several may have them signed at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from tongbao.wire.sign import rsa_sign

T = TypeVar("T")
U = TypeVar("U")


@dataclass(slots=True, eq=False)
class Unsigned(Generic[T]):
    """What is missing is the PKCS#1 v1.5 signature of ``text`` with ``key``; ``finish`` makes the message of its base64
    text, at once and without looking at it."""

    text: bytes
    key: RSAPrivateKey
    digest: HashAlgorithm
    finish: Callable[[str], T]

    def __repr__(self) -> str:
        return f"Unsigned({len(self.text)} bytes)"

    def then(self, make: Callable[[T], U]) -> Unsigned[U]:
        """The same on the way to another message, which ``make`` makes of this one."""
        return Unsigned(self.text, self.key, self.digest, lambda signature: make(self.finish(signature)))

    def signature(self) -> str:
        """Its signature, made here and now."""
        return rsa_sign(self.text, self.key, self.digest)

    def sign(self) -> T:
        """The whole message, signed here and now."""
        return self.finish(self.signature())


def sign_now(message: T | Unsigned[T]) -> T:
    """The whole message, whether or not it waits for a signature."""
    return message.sign() if isinstance(message, Unsigned) else message
