"""X.509 certificates as keys' company: loading, writing, and whether one was issued by a root that is trusted.

Trust is pinned: a certificate counts only when it is one of those configured, or issued by one of them (T20). Nothing
is fetched and no store of the host is asked.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import Instant
from tongbao.wire.sign import CERTIFICATE, decode_base64, unreadable

Chain = tuple[x509.Certificate, ...]

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SPACE: Final = re.compile(r"\s+")


def split_pem(text: str) -> tuple[str, str]:
    """What is no certificate in a PEM text, and its certificates."""
    return _BLOCK.sub("", text).strip(), "\n".join(_BLOCK.findall(text))


def load_chain(text: str, field: str) -> Chain:
    """Every certificate of a PEM text in its order, or the one of a bare base64 text. Raises ConfigurationError, which
    names another kind, and has no cause: what stands there may be the private key (T01)."""
    blocks = _BLOCK.findall(text)
    raw = None if blocks else decode_base64(_SPACE.sub("", text))
    # a letter that is not ASCII is no base64 either
    with suppress(ValueError):
        if blocks:
            return tuple(x509.load_pem_x509_certificate(block.encode("ascii", "replace")) for block in blocks)
        return (x509.load_der_x509_certificate(raw or b""),)
    raise ConfigurationError(field, unreadable(text, CERTIFICATE))


def common_names(certificate: x509.Certificate) -> list[str]:
    """The common names of the subject, as text."""
    return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def certificate_key(certificate: x509.Certificate, field: str, *, smallest: int = 1024) -> RSAPublicKey:
    """The certificate's RSA key. Raises ConfigurationError."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(field, "holds a key of an unknown kind") from error
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(field, "holds no RSA key")
    if key.key_size < smallest:
        raise ConfigurationError(field, f"holds a key of {key.key_size} bits; at least {smallest} are needed")
    return key


def chain_pem(chain: Iterable[x509.Certificate]) -> str:
    """The certificates as PEM, one empty line between two: readers exist that split there."""
    return "\n".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in chain)


def is_trusted(certificate: x509.Certificate, roots: Sequence[x509.Certificate], now: Instant) -> bool:
    """Whether a root itself, or one of the ``roots``, directly issued ``certificate``, and all are valid at ``now``."""
    if not is_valid(certificate, now):
        return False
    for root in roots:
        if certificate == root:
            return True
        try:
            certificate.verify_directly_issued_by(root)
        except (BadSignature, ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if is_valid(root, now):
            return True
    return False


def organisation_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Whose certificate it is: the organisation of its subject, or the whole subject where that names none."""
    named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return tuple(str(name.value) for name in named) or (certificate.subject.rfc4514_string(),)


def is_valid(certificate: x509.Certificate, now: Instant) -> bool:
    """Whether ``now`` is within a certificate's own term."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=now)
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
