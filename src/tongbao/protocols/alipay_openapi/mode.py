"""Certificate mode: serial numbers as the platform computes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography import x509

_RSA: Final = "1.2.840.113549.1.1."


@lru_cache(1_024)
def serial_of(certificate: x509.Certificate) -> str:
    """The SN of one certificate: MD5, in lower-case hex, of issuer (RFC 2253) and decimal serial number."""
    text = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()


def root_serial(roots: Iterable[x509.Certificate]) -> str:
    """The SNs of a bundle's RSA-signed certificates in its order, joined by _; others (EC, SM2) do not count."""
    return "_".join(serial_of(root) for root in roots if root.signature_algorithm_oid.dotted_string.startswith(_RSA))
