"""Mail by SMTP, with TLS that is verified and a Message-ID that stays the same over repeats."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError
from tongbao.wire.world import Mail

SECURITY: Final = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """``security``: ``starttls``, ``tls`` from the first byte, or ``none``, which only a relay on this machine may
    have. ``authority`` is PEM text of authorities to trust besides the system's; ``timeout`` is in seconds."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = ""
    authority: str | None = None
    timeout: float = 15.0


class SmtpMailer:
    """A ``Mailer``: one connection a message, on threads of its own."""

    def __init__(self, settings: SmtpSettings) -> None:
        """Raises ConfigurationError for settings that would send in the clear, or make no sense."""
        if settings.security not in SECURITY:
            raise ConfigurationError("smtp_security", f"is one of {', '.join(SECURITY)}")
        if settings.security == "none" and not _is_loopback(settings.host):
            raise ConfigurationError("smtp_security", "none is for a relay on this machine only")
        if bool(settings.user) != bool(settings.password):
            raise ConfigurationError("smtp_password", "user and password are given together or not at all")
        self._settings = settings
        self._tls = ssl.create_default_context()
        if settings.authority is not None:
            try:
                self._tls.load_verify_locations(cadata=settings.authority)
            except ssl.SSLError as error:
                raise ConfigurationError("smtp_authority", f"is not a certificate: {error}") from error
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="mail")

    async def __call__(self, mail: Mail) -> None:
        """Raises OSError when the server did not take it, LocalProtocolError when the message is none."""
        message = write_message(mail)
        await asyncio.get_running_loop().run_in_executor(self._pool, self._send, message)

    def close(self) -> None:
        """No more mail; what is being sent is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        with self._open() as server:
            if settings.security == "starttls":
                server.starttls(context=self._tls)
            if settings.user:
                server.login(settings.user, settings.password)
            server.send_message(message)

    def _open(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout, context=self._tls)
        return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)


def write_message(mail: Mail) -> EmailMessage:
    """The message with its headers. Raises LocalProtocolError naming the field that a header cannot carry."""
    message = EmailMessage(policy=SMTP)
    for name, value in (("From", mail.sender), ("To", mail.to), ("Subject", mail.subject)):
        if not value.strip() or any(letter < " " or letter == "\x7f" for letter in value):
            raise LocalProtocolError(name.lower(), "is empty or holds a control character")
        message[name] = value
    senders, receivers = message["From"].addresses, message["To"].addresses
    if len(senders) != 1 or len(receivers) != 1 or not senders[0].domain or not receivers[0].domain:
        raise LocalProtocolError("to", "sender and receiver are one mail address each")
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{hashlib.sha256(mail.key.encode()).hexdigest()[:40]}@{senders[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, charset="utf-8", cte="base64" if not mail.text.isascii() else None)
    return message


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
