"""A merchant's server that does nothing but say ``success``: many loopback addresses, one process, kept connections.

``python -m benchmarks.receiver HOSTS [--tls]`` prints its port, and with TLS the authority to trust, as JSON.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks import house

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nsuccess"
_LENGTH: Final = b"\r\nContent-Length: "


class Taker(asyncio.Protocol):
    """One connection: an answer for each whole request."""

    def __init__(self) -> None:
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        head, end, body = self.got.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.partition(_LENGTH)[2].partition(b"\r\n")[0]):
            self.got = b""
            self.transport.write(ANSWER)


def addresses(hosts: int) -> list[str]:
    """As ``house.notify_url`` spreads them."""
    return [house.notify_url(number, 1, hosts).split("/")[2].partition(":")[0] for number in range(hosts)]


def certify(names: list[str], folder: Path) -> tuple[ssl.SSLContext, str]:
    """A certificate of its own authority for all these addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(n)) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(secret + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context, pem.decode("ascii")


async def main(hosts: int, *, tls: bool) -> None:
    loop = asyncio.get_running_loop()
    names = addresses(hosts)
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        context, authority = certify(names, Path(folder)) if tls else (None, "")
    first = await loop.create_server(Taker, names[0], 0, ssl=context, backlog=512)
    port = first.sockets[0].getsockname()[1]
    others = [await loop.create_server(Taker, name, port, ssl=context, backlog=512) for name in names[1:]]
    sys.stdout.write(json.dumps({"port": port, "authority": authority}) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*[server.serve_forever() for server in (first, *others)])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), tls="--tls" in sys.argv))
