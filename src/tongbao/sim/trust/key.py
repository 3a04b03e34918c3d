"""RSA keys and certificates that follow from a number: the same in every process, written down nowhere.

They protect nothing: whoever reads this file can make them.
"""

from __future__ import annotations

import hashlib
from functools import cache
from math import isqrt
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)

from tongbao.sandbox.chain import MERCHANT, issue, make_root
from tongbao.sim.chance import SeededBytes

BITS: Final = 2_048
EXPONENT: Final = 65_537
AUTHORITY: Final = 0
THIEF: Final = 1
"""Numbers of keys: the authority's, and the attacker's own. The platform's and the shops' follow."""

PLATFORM: Final = 10
NEXT: Final = 15
SHOP: Final = 20

_SIEVED: Final = 20_000
_SPAN: Final = 1 << 13
"""How many odd numbers are looked at: a prime of 1,024 bits is among them but once in 10^10 times."""


@cache
def _small_primes() -> tuple[int, ...]:
    marks = bytearray([1]) * (_SIEVED + 1)
    for number in range(2, isqrt(_SIEVED) + 1):
        marks[number * number :: number] = bytes(len(marks[number * number :: number]))
    return tuple(number for number in range(3, _SIEVED + 1) if marks[number])


def _prime(label: str) -> int:
    """The first number behind a digest that passes Fermat's test for two bases, and whose predecessor the exponent does
    not divide."""
    half = BITS // 2
    start = int.from_bytes(hashlib.shake_256(label.encode()).digest(half // 8)) | 3 << (half - 2) | 1
    marks = bytearray([1]) * _SPAN
    for prime in _small_primes():
        first = -start * ((prime + 1) // 2) % prime
        marks[first::prime] = bytes(len(marks[first::prime]))
    candidates = (start + 2 * place for place in range(_SPAN) if marks[place])
    return next(
        number
        for number in candidates
        if number % EXPONENT != 1 and pow(2, number - 1, number) == 1 and pow(3, number - 1, number) == 1
    )


@cache
def rsa_key(number: int) -> RSAPrivateKey:
    """The key of that number."""
    one, two = _prime(f"simulated key {number}, first"), _prime(f"simulated key {number}, second")
    private = pow(EXPONENT, -1, (one - 1) * (two - 1))
    public = RSAPublicNumbers(EXPONENT, one * two)
    crt = rsa_crt_dmp1(private, one), rsa_crt_dmq1(private, two), rsa_crt_iqmp(one, two)
    return RSAPrivateNumbers(one, two, private, *crt, public).private_key()


@cache
def _authority() -> str:
    return make_root(SeededBytes("authority"), rsa_key(AUTHORITY))


@cache
def certificate(number: int, common: str) -> str:
    """A certificate of that key and the authority's own behind it, as PEM."""
    unit = MERCHANT if number >= SHOP else "Platform"
    return issue(_authority(), rsa_key(number).public_key(), common, unit, SeededBytes("serial", number, common))
