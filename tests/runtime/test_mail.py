"""Mail over real SMTP on loopback: a small server that speaks just enough of it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from tests.runtime.harness import Authority
from tongbao.kernel.error import ConfigurationError, LocalProtocolError
from tongbao.runtime.mail import SmtpMailer, SmtpSettings, write_message
from tongbao.wire.world import Mail

MAIL = Mail("shop@shop.example", "buyer@mail.example", "付款成功: 订单 1", "您好，\n\n已付 12.30 元。\n.\n", "paid:1")


class Server:
    """Takes messages; with ``tls`` offers STARTTLS, and mail only after it."""

    def __init__(self, tls: ssl.SSLContext | None, refuse: bool, wrapped: bool) -> None:
        self.tls, self.refuse, self.wrapped = tls, refuse, wrapped
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.messages: list[EmailMessage] = []
        self.said: list[str] = []

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            peer.settimeout(20)
            with suppress(OSError), ExitStack() as stack:
                self.speak(stack.enter_context(peer), stack)

    def speak(self, peer: socket.socket, stack: ExitStack) -> None:
        secure = self.wrapped
        if self.wrapped and self.tls is not None:
            peer = stack.enter_context(self.tls.wrap_socket(peer, server_side=True))
        file = stack.enter_context(peer.makefile("rb"))
        peer.sendall(b"220 test\r\n")
        while line := file.readline():
            verb = line.split()[0].upper().decode()
            self.said.append(verb)
            if verb == "EHLO":
                offer = b"250-STARTTLS\r\n" if self.tls is not None and not secure else b""
                peer.sendall(b"250-test\r\n" + offer + b"250-8BITMIME\r\n250 AUTH PLAIN\r\n")
            elif verb == "STARTTLS" and self.tls is not None:
                peer.sendall(b"220 go\r\n")
                peer = stack.enter_context(self.tls.wrap_socket(peer, server_side=True))
                file, secure = stack.enter_context(peer.makefile("rb")), True
            elif verb == "AUTH":
                right = base64.b64decode(line.split()[2]) == b"\x00user\x00p4ss"
                peer.sendall(b"235 ok\r\n" if right else b"535 no\r\n")
            elif verb == "RCPT" and self.refuse:
                peer.sendall(b"550 no such user\r\n")
            elif verb == "DATA":
                peer.sendall(b"354 go\r\n")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += file.readline()
                text = data[:-3].replace(b"\r\n..", b"\r\n.")
                self.messages.append(message_from_bytes(text, policy=default))
                peer.sendall(b"250 taken\r\n")
            elif verb == "QUIT":
                peer.sendall(b"221 bye\r\n")
                return
            else:
                peer.sendall(b"250 ok\r\n")


@contextmanager
def smtp(tls: ssl.SSLContext | None = None, *, refuse: bool = False, wrapped: bool = False) -> Iterator[Server]:
    server = Server(tls, refuse, wrapped)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(30)


def send(settings: SmtpSettings, *mails: Mail) -> None:
    async def main() -> None:
        mailer = SmtpMailer(settings)
        try:
            for mail in mails:
                await mailer(mail)
        finally:
            mailer.close()

    asyncio.run(main())


def server_context(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def test_chinese_mail_arrives_whole() -> None:
    """Subject and text are read back as written; the headers say what they should."""
    with smtp() as server:
        send(SmtpSettings("127.0.0.1", server.port, "none"), MAIL)
    message = server.messages[0]
    assert message["Subject"] == "付款成功: 订单 1"
    assert message["From"] == "shop@shop.example"
    assert message["To"] == "buyer@mail.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text


def test_message_id_is_stable_by_key() -> None:
    """A repeat carries the same id, another mail another."""
    other = Mail(MAIL.sender, MAIL.to, MAIL.subject, MAIL.text, "paid:2")
    ids = [write_message(mail)["Message-ID"] for mail in (MAIL, MAIL, other)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    assert ids[0].endswith("@shop.example>")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_T81_tls_and_login(tmp_path: Path, security: str) -> None:
    """Mail and password go out only behind a verified certificate."""
    authority = Authority(tmp_path)
    context = server_context(authority.issue("localhost"))
    pem = authority.path.read_text()
    with smtp(context, wrapped=security == "tls") as server:
        send(SmtpSettings("localhost", server.port, security, "user", "p4ss", pem), MAIL)
        with pytest.raises(OSError, match="535"):
            send(SmtpSettings("localhost", server.port, security, "user", "wrong", pem), MAIL)
        with pytest.raises(ssl.SSLError):
            send(SmtpSettings("localhost", server.port, security, "user", "p4ss"), MAIL)
    assert len(server.messages) == 1
    assert server.said.count("AUTH") == 2


def test_T81_no_downgrade_when_the_server_offers_no_tls() -> None:
    """A server (or somebody before it) that hides STARTTLS gets no mail."""
    with smtp() as server:
        with pytest.raises(OSError, match="STARTTLS"):
            send(SmtpSettings("localhost", server.port), MAIL)
        assert server.messages == []
        assert "MAIL" not in server.said


def test_refused_and_unreachable_are_oserror() -> None:
    """What the port promises: OSError when it was not taken."""
    with smtp(refuse=True) as server, pytest.raises(OSError, match="no such user"):
        send(SmtpSettings("127.0.0.1", server.port, "none"), MAIL)
    with pytest.raises(OSError, match="refused"):
        send(SmtpSettings("127.0.0.1", server.port, "none", timeout=5), MAIL)


@pytest.mark.parametrize(
    "mail",
    [
        Mail("shop@shop.example", "buyer@mail.example\r\nBcc: all@x.example", "s", "t", "k"),
        Mail("shop@shop.example", "buyer@mail.example", "s\nX: y", "t", "k"),
        Mail("shop@shop.example", "a@x.example, b@x.example", "s", "t", "k"),
        Mail("shop@shop.example", "nobody", "s", "t", "k"),
        Mail("", "buyer@mail.example", "s", "t", "k"),
    ],
)
def test_T65_no_header_can_be_added(mail: Mail) -> None:
    """One receiver, and nothing of a value becomes a header."""
    with pytest.raises(LocalProtocolError):
        write_message(mail)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (SmtpSettings("mail.example", security="none"), "smtp_security"),
        (SmtpSettings("mail.example", security="ssl3"), "smtp_security"),
        (SmtpSettings("mail.example", user="u"), "smtp_password"),
        (SmtpSettings("mail.example", authority="x"), "smtp_authority"),
    ],
)
def test_unsafe_settings_are_refused(settings: SmtpSettings, named: str) -> None:
    """In the clear only on this machine; nothing half given."""
    with pytest.raises(ConfigurationError, match=named):
        SmtpMailer(settings)
