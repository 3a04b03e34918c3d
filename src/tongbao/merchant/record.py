"""The rows the acceptance writes and reads beside the order itself: inbox, effect, outbox, invalid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.time import Instant
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Job, Payment
from tongbao.merchant.verdict import VerdictKind

BODY_SHOWN_MAX: Final = 2_048
"""How much of an invalid message's body is kept, in characters."""

_INBOX = (
    "INSERT INTO payment_inbox (provider, trade_no, event, order_no, notification_id, evidence, amount_minor, currency,"
    " disposition, reason, body_sha256, accepted_at) VALUES (:provider, :trade_no, :event, :order_no, :notification_id,"
    " :evidence, :amount, :currency, :disposition, :reason, :body_sha256, :at)"
)
_INBOX_FOUND = (
    "SELECT disposition FROM payment_inbox WHERE provider = :provider AND trade_no = :trade_no AND event = :event"
)
_INBOX_DECIDED = (
    "UPDATE payment_inbox SET disposition = :disposition, reason = :reason, evidence = :evidence, accepted_at = :at"
    " WHERE provider = :provider AND trade_no = :trade_no AND event = :event"
)
_EFFECT = (
    "INSERT INTO payment_effect (order_no, kind, provider, trade_no, event, amount_minor, currency, evidence, made_at)"
    " VALUES (:order_no, :kind, :provider, :trade_no, :event, :amount, :currency, :evidence, :at)"
)
_BOUND = (
    "SELECT order_no, provider, trade_no FROM payment_effect WHERE kind = 'paid'"
    " AND (order_no = :order_no OR (provider = :provider AND trade_no = :trade_no))"
)
_JOB_FOUND = "SELECT job_key FROM payment_outbox WHERE job_key = :job_key"
_JOB = (
    "INSERT INTO payment_outbox (job_key, kind, order_no, data, state, attempts, next_at, error, created_at)"
    " VALUES (:job_key, :kind, :order_no, :data, 'waiting', 0, :at, '', :at)"
)
_INVALID = (
    "INSERT INTO payment_invalid (endpoint, step, reason, detail, order_no, body_sha256, body, received_at)"
    " VALUES (:endpoint, :step, :reason, :detail, :order_no, :body_sha256, :body, :at)"
)
_INVALID_RECENT = (
    "SELECT id, endpoint, step, reason, detail, order_no, body_sha256, body, received_at FROM payment_invalid"
    " ORDER BY id DESC"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRequest:
    """A message that one of the steps refused. ``body`` is cut and holds no secret of ours."""

    id: int
    endpoint: str
    step: int
    reason: str
    detail: str
    order_no: str
    body_sha256: str
    body: str
    received_at: Instant


def _values(payment: Payment) -> dict[str, object]:
    return {
        "provider": payment.provider,
        "trade_no": payment.trade_no,
        "event": payment.event,
        "order_no": payment.order_no,
        "evidence": str(payment.evidence),
        "amount": payment.amount.minor,
        "currency": payment.amount.currency,
        "at": payment.at,
    }


def find_disposition(transaction: Transaction, payment: Payment) -> str:
    """What became of the same event before: ``applied``, ``recorded``, ``case``, or '' for a new one."""
    keys = {name: value for name, value in _values(payment).items() if name in ("provider", "trade_no", "event")}
    rows = transaction.rows(_INBOX_FOUND, keys)
    return str(rows[0]["disposition"]) if rows else ""


def write_inbox(
    transaction: Transaction, payment: Payment, kind: VerdictKind, reason: str, body_sha256: str, *, known: bool
) -> None:
    """The event's row; ``known`` when a case is decided anew."""
    values = {**_values(payment), "disposition": str(kind), "reason": reason}
    if known:
        keys = ("provider", "trade_no", "event", "disposition", "reason", "evidence", "at")
        transaction.execute(_INBOX_DECIDED, {name: values[name] for name in keys})
    else:
        more = {"notification_id": payment.notification_id[:128], "body_sha256": body_sha256}
        transaction.execute(_INBOX, {**values, **more})


def write_effect(transaction: Transaction, payment: Payment, kind: str) -> None:
    """One effect: the tables allow one of a kind per order, and one of a kind per trade (I25, T26)."""
    transaction.execute(_EFFECT, {**_values(payment), "kind": kind})


def find_bound(transaction: Transaction, order_no: str, provider: str, trade_no: str) -> list[dict[str, Any]]:
    """Which trade has paid this order, and which order this trade has paid."""
    return transaction.rows(_BOUND, {"order_no": order_no, "provider": provider, "trade_no": trade_no})


def enqueue(transaction: Transaction, job: Job, now: Instant) -> bool:
    """Write a job for after the commit; False where the same key is there already. For the shop's hooks too."""
    if transaction.rows(_JOB_FOUND, {"job_key": job.key}):
        return False
    data = json.dumps(dict(job.data), ensure_ascii=False, sort_keys=True)
    values = {"job_key": job.key, "kind": job.kind, "order_no": job.order_no, "data": data, "at": now}
    transaction.execute(_JOB, values)
    return True


def write_invalid(transaction: Transaction, values: Mapping[str, object]) -> None:
    """``values``: endpoint, step, reason, detail, order_no, body_sha256, body, at."""
    transaction.execute(_INVALID, values)


def recent_invalid(transaction: Transaction, limit: int = 50) -> list[InvalidRequest]:
    """The newest invalid requests first."""
    return [InvalidRequest(**row) for row in transaction.rows(f"{_INVALID_RECENT} LIMIT {int(limit)}")]


def show_body(body: bytes, secrets: tuple[bytes, ...]) -> str:
    """The beginning of a body as printable text, with every secret of ours masked."""
    for secret in secrets:
        if secret:
            body = body.replace(secret, b"***")
    text = body[:BODY_SHOWN_MAX].decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)[:BODY_SHOWN_MAX]
