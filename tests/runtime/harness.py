"""A server in a thread, and hand-written clients that write and read bytes."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tongbao.runtime.server import Address, Listener, new_event_loop, serve

WAIT = 20.0

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"asyncio": None, "fastest": new_event_loop}
"""The event loops a server may run in; both are the same where uvloop is not built."""


class Collected:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


@contextmanager
def serving(
    listeners: Sequence[Listener],
    log: Collected | None = None,
    drain_seconds: float = 5.0,
    loop: str = "fastest",
) -> Iterator[list[Address]]:
    """The addresses of a server that runs in its own thread and loop until the block is left."""
    addresses: list[Address] = []
    ready = threading.Event()
    handle: list[Callable[[], object]] = []
    failure: list[BaseException] = []

    async def main() -> None:
        stop = asyncio.Event()
        running = asyncio.get_running_loop()
        handle.append(partial(running.call_soon_threadsafe, stop.set))

        def on_ready(found: Sequence[Address]) -> None:
            addresses.extend(found)
            ready.set()

        keeper = log or Collected()
        await serve(listeners, on_ready, stop, log=keeper, own_process=False, drain_seconds=drain_seconds)

    def body() -> None:
        try:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(main())
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread below
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        assert ready.wait(WAIT)
        if failure:
            raise failure[0]
        yield addresses
    finally:
        with suppress(RuntimeError):  # the loop is closed already when the server could not start
            handle[0]()
        thread.join(WAIT)
        assert not thread.is_alive()


def connect(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=WAIT)


def read_all(peer: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts: list[bytes] = []
    while True:
        part = peer.recv(65_536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def exchange(address: Address, data: bytes) -> bytes:
    """Send, then read until the server closes."""
    with connect(address) as peer:
        peer.sendall(data)
        return read_all(peer)


def read_answer(peer: socket.socket, data: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """(head, body, what came after) of one answer with a Content-Length."""
    while b"\r\n\r\n" not in data:
        part = peer.recv(65_536)
        assert part, data
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        part = peer.recv(65_536)
        assert part, rest
        rest += part
    return head, rest[:length], rest[length:]


class Authority:
    """A certificate authority for one test, with files in ``folder``."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), [], authority=True)
        self.path = folder / f"{name.replace(' ', '-')}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, expired: bool = False) -> tuple[Path, Path]:
        """(certificate, key) files for a DNS name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), [x509.DNSName(name)], expired=expired)
        stem = f"{name}{'-expired' if expired else ''}-{certificate.serial_number}"
        files = (self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _sign(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        names: list[x509.DNSName],
        *,
        authority: bool = False,
        expired: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        start = now - dt.timedelta(days=3)
        end = now - dt.timedelta(days=1) if expired else now + dt.timedelta(days=3)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if authority:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def client_tls(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.path))
