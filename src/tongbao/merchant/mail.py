"""The buyer's mail: once per order, in the buyer's language, as a job of the merchant's outbox."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from typing import Final

from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.order import Job, Order, Payment
from tongbao.wire.world import Mail

MAIL_KIND: Final = "mail"

_SUBJECT: Final = {"zh": "订单 {order_no} 已付款", "en": "Order {order_no} is paid"}
_TEXT: Final = {
    "zh": "您好：\n\n我们已收到订单 {order_no} 的付款 {amount}（{subject}）。\n交易号：{trade_no}\n\n感谢您的惠顾。\n",
    "en": (
        "Hello,\n\nwe have received {amount} for your order {order_no} ({subject}).\n"
        "Trade number: {trade_no}\n\nThank you for shopping with us.\n"
    ),
}


def mail_job(order: Order, payment: Payment) -> Job | None:
    """The job for a paid order's mail; None where the order has no address."""
    if not order.email:
        return None
    return Job(
        key=f"mail:{order.order_no}:paid",
        kind=MAIL_KIND,
        order_no=order.order_no,
        data={
            "to": order.email,
            "language": order.language if order.language in _TEXT else "en",
            "amount": f"{payment.amount.text()} {payment.amount.currency}",
            "subject": order.subject,
            "trade_no": payment.trade_no,
        },
    )


def paid_mail(job: Job, sender: str) -> Mail:
    """The message of one job. Line breaks in what came from elsewhere are folded away."""
    words = {name: " ".join(value.split()) for name, value in job.data.items()} | {"order_no": job.order_no}
    language = words.get("language", "en")
    return Mail(
        sender=sender,
        to=words["to"],
        subject=_SUBJECT[language].format(**words),
        text=_TEXT[language].format(**words),
        key=job.key,
    )


def mail_handler(sender: str, send: Callable[[Mail], object]) -> Callable[[Job], object]:
    """A handler for ``run_jobs``: ``send`` is a plain callable such as ``SmtpMailer``, or a World's mailer for
    ``run_jobs_async``. Raises ConfigurationError where ``sender`` is no address."""
    if "@" not in parseaddr(sender)[1]:
        raise ConfigurationError("mail_sender", "is not a mail address")

    def handle(job: Job) -> object:
        return send(paid_mail(job, sender))

    return handle


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Sends one plain-text message by SMTP. ``security`` is ``starttls``, ``tls`` or ``none`` (loopback only).

    The mail's key becomes its Message-ID, so that a mailbox can tell a repeat. Raises OSError or smtplib's errors.
    """

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = ""
    seconds: int = 30

    def __post_init__(self) -> None:
        if self.security not in ("starttls", "tls", "none"):
            raise ConfigurationError("security", "is not starttls, tls or none")
        if self.security == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigurationError("security", "none is for a mail system on this machine only")

    def __call__(self, mail: Mail) -> None:
        message = EmailMessage()
        message["From"] = mail.sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        domain = parseaddr(mail.sender)[1].rpartition("@")[2]
        safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in mail.key)
        message["Message-ID"] = f"<{safe}@{domain}>" if safe else make_msgid(domain=domain)
        message.set_content(mail.text)
        with self._connection() as server:
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message)

    def _connection(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.seconds, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, self.port, timeout=self.seconds)
        if self.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server
