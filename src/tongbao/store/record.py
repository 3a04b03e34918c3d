"""Records that belong to the machinery rather than to trade or ledger: lanes, answers, refusals, cases, audit,
attempts."""

from __future__ import annotations

from typing import Literal

from tongbao.kernel.record import record
from tongbao.kernel.time import Instant


@record
class Lane:
    """A committer's own strip of the books. ``token`` fences: a committer whose token is old may not commit.

    ``batch`` counts commits, so that a lost connection can be resolved; ``entry_seq`` and ``head`` are the chain's end,
    ``audit_seq`` and ``audit_head`` those of the audit log's. ``moved_at`` is the business time of the last commit: the
    books never go back behind it, whatever the clock does (F30, I40).
    """

    lane: int
    token: int
    holder: str
    lease_until: Instant
    batch: int
    entry_seq: int
    head: str
    audit_seq: int
    audit_head: str
    moved_at: Instant


@record
class EntryRow:
    """A sealed entry. Key: (lane, seq); ``key`` is unique over all lanes."""

    lane: int
    seq: int
    key: str
    kind: str
    merchant_id: str
    out_trade_no: str
    at: Instant
    business_day: int
    hash: str


@record
class PostingRow:
    """One posting of a sealed entry. Key: (lane, seq, n)."""

    lane: int
    seq: int
    n: int
    debit: str
    credit: str
    amount: int


@record
class Answer:
    """The first answer to an idempotency key. Key: (scope, key); ``request_hash`` is over the command (T44, I30)."""

    scope: str
    key: str
    request_hash: str
    outcome: str
    at: Instant


@record
class SeenWord:
    """The digest of a word that a signed request may carry once (its nonce and time, T24), and the wire time after
    which nobody can send it again. Key: word."""

    word: str
    until: Instant


@record
class Refusal:
    """A request that was refused: who, what, why, and a digest of it, never its body (threats B, refusal contract)."""

    refusal_id: str
    at: Instant
    surface: str
    operation: str
    code: str
    detail: str
    merchant_id: str
    peer: str
    fields: str
    body_digest: str


CaseKind = Literal[
    "bank_disagrees",
    "chargeback",
    "dispute",
    "late_payment",
    "late_refused",
    "manual",
    "notification_abandoned",
    "notification_blocked",
    "refund_refused",
    "refund_stuck",
    "split_failed",
    "standing_refused",
    "statement",
    "statement_credit",
    "statement_debit",
    "unknown_outcome",
]
"""What a case is about; pages have a word for each."""


@record
class Case:
    """Something a person must look at, or that the books must explain. ``state``: ``open`` or ``closed``. ``owner``
    answers for it: an operator's name, or the desk of ``operations`` until one takes it."""

    case_id: str
    kind: CaseKind
    merchant_id: str
    out_trade_no: str
    subject: str
    amount: int
    currency: str
    state: str
    note: str
    opened_at: Instant
    closed_at: Instant | None
    owner: str = "operations"


@record
class AuditRow:
    """A privileged act, in the same transaction as its effect, chained per lane (I37). Key: (lane, seq)."""

    lane: int
    seq: int
    at: Instant
    actor: str
    act: str
    subject: str
    reason: str
    before_digest: str
    after_digest: str
    hash: str


@record
class Attempt:
    """One delivery of one event's notification. Key: (merchant_id, out_trade_no, seq, n).

    ``answer_class``: ``SUCCESS``, ``OTHER_ANSWER``, ``STATUS``, ``NETWORK_ERROR``, ``BLOCKED_ADDRESS``, ``NO_KEY``.
    ``answer`` is the first 256 printable characters.
    """

    merchant_id: str
    out_trade_no: str
    seq: int
    n: int
    at: Instant
    token: int
    answer_class: str
    status: int
    answer: str
    milliseconds: int


@record
class Visit:
    """A cashier link opened in one browser (T56). Key: token digest."""

    link: str
    browser: str
    merchant_id: str
    out_trade_no: str
    wire_at: Instant


@record
class Session:
    """A signed-in buyer or operator. Key: digest of the cookie. Times are wire time."""

    session: str
    kind: str
    subject: str
    wire_at: Instant
    seen_at: Instant
