"""A certificate authority of the sandbox's own, so that clients which insist on HTTPS can be served.

The keys are made for this sandbox and protect nothing; a client trusts them only if it is told to (``ca``).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.x509.oid import NameOID

from tongbao.kernel.port import Entropy
from tongbao.sandbox.chain import issue, make_root
from tongbao.sandbox.state import write_private
from tongbao.wire.certificate import split_pem
from tongbao.wire.sign import private_pem

FROM: Final = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
UNTIL: Final = dt.datetime(2045, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Authority:
    """``certificate`` is the authority's, as PEM text; the files are for a server."""

    certificate: str
    file: Path
    server_file: Path
    key_file: Path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _build(subject: str, issuer: str, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
    )


def _pem(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def make_authority(directory: Path, hosts: Iterable[str]) -> Authority:
    """An authority and a server certificate for loopback and the original host names; kept in ``directory`` over
    restarts, so that a client's trust lasts."""
    made = Authority("", directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not made.file.exists():
        title = "Tongbao sandbox authority"
        root, leaf = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        own = (
            _build(title, title, root)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(root, hashes.SHA256())
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *sorted(set(hosts)))]
        names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        server = (
            _build("localhost", title, leaf)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(root, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        write_private(made.key_file, _pem(leaf))
        write_private(made.server_file, server.public_bytes(pem).decode("ascii"))
        write_private(made.file, own.public_bytes(pem).decode("ascii"))
    return Authority(made.file.read_text("ascii"), made.file, made.server_file, made.key_file)


@dataclass(frozen=True, slots=True)
class ClientAuthority:
    """Who issued the merchants' client certificates: ``file`` is the authority's own, for a server that asks for them.
    ``issued``: merchant number -> certificate and RSA key, as PEM."""

    file: Path
    issued: Mapping[str, tuple[str, str]]


def make_client_authority(directory: Path, merchants: Iterable[str], entropy: Entropy) -> ClientAuthority:
    """A client certificate for each merchant, its common name his number; kept in ``directory`` over restarts, and all
    of them made anew where one is missing, since the authority's own key is kept by nobody."""
    wanted, file, book = sorted(merchants), directory / "client_ca.pem", directory / "client.json"
    known = json.loads(book.read_text("ascii")) if book.exists() else {}
    if not known or not set(wanted) <= set(known):
        root = make_root(entropy)
        keys = {merchant: generate_rsa_key(65_537, 2_048) for merchant in wanted}
        known = {
            merchant: (issue(root, key.public_key(), merchant, "Client", entropy), private_pem(key))
            for merchant, key in keys.items()
        }
        write_private(file, split_pem(root)[1] + "\n")
        write_private(book, json.dumps(known))
    return ClientAuthority(file, {merchant: (pair[0], pair[1]) for merchant, pair in known.items()})
