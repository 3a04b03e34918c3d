"""A throw-away authority for the keys of protocols that want certificates, and what it issues.

The keys are made for one sandbox and protect nothing. Serial numbers have 40 hexadecimal digits.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.x509.oid import NameOID

from tongbao.kernel.port import Entropy
from tongbao.wire.certificate import chain_pem, load_chain, split_pem
from tongbao.wire.sign import load_rsa_private, private_pem

FROM: Final = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
UNTIL: Final = dt.datetime(2045, 1, 1, tzinfo=dt.UTC)
ROOT_NAME: Final = "Tongbao Sandbox CA R1"
MERCHANT: Final = "Merchant"
"""The unit of merchants' certificates."""


def _name(common: str, unit: str) -> x509.Name:
    # as at the real authorities, a merchant is an organisation of his own, apart from the platform's
    organisation = common if unit == MERCHANT else "Tongbao Sandbox"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


ROOT: Final = _name(ROOT_NAME, "Certification Authority")


def _serial(entropy: Entropy) -> int:
    return 1 << 156 | int.from_bytes(entropy.token(20)[:19])


def make_root(entropy: Entropy, key: RSAPrivateKey | None = None) -> str:
    """A new authority as PEM: its key (a new one, where none is given) and its certificate."""
    key = key or generate_private_key(65_537, 2_048)
    own = (
        x509.CertificateBuilder()
        .subject_name(ROOT)
        .issuer_name(ROOT)
        .public_key(key.public_key())
        .serial_number(_serial(entropy))
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return private_pem(key) + chain_pem((own,))


def issue(root: str, key: RSAPublicKey, common: str, unit: str, entropy: Entropy) -> str:
    """A certificate for ``key`` and the authority's own behind it, as PEM."""
    authority, own = split_pem(root)
    signer: RSAPrivateKey = load_rsa_private(authority, "authority")
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_name(common, unit))
        .issuer_name(ROOT)
        .public_key(key)
        .serial_number(_serial(entropy))
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .sign(signer, hashes.SHA256())
    )
    return chain_pem((leaf, *load_chain(own, "authority")))
