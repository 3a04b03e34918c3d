"""What the acceptance says about one message, and the exception with which a step stops the walk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tongbao.wire.http import Response


class VerdictKind(StrEnum):
    """How a walk ended. Only the first three are answered with the success word."""

    APPLIED = "applied"
    """The order moved, and the transaction is committed."""
    DUPLICATE = "duplicate"
    """The same event was accepted before; nothing happened now."""
    RECORDED = "recorded"
    """Genuine, but the order does not move: not paid yet, or older than what is known."""
    CASE = "case"
    """Genuine, but the order does not allow it: recorded for a person to decide, and asked for again."""
    REFUSED = "refused"
    """One of the steps 1 to 13 said no; recorded with its reason; nothing changed."""
    FAILED = "failed"
    """The transaction did not commit, or nobody knows whether it did; the platform will repeat."""


SUCCESS = frozenset({VerdictKind.APPLIED, VerdictKind.DUPLICATE, VerdictKind.RECORDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``step`` is the last one walked (16 when all were), ``reason`` a code, ``detail`` words for a developer."""

    kind: VerdictKind
    step: int
    reason: str = ""
    detail: str = ""
    endpoint: str = ""
    order_no: str = ""
    trade_no: str = ""
    event: str = ""

    @property
    def accepted(self) -> bool:
        return self.kind in SUCCESS


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to send back as it stands, and why."""

    response: Response
    verdict: Verdict


class Shown(StrEnum):
    """What a result page may tell the buyer."""

    PAID = "paid"
    CONFIRMING = "confirming"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ReturnSeen:
    """What a browser's return is good for: which order to show. ``order_no`` is '' unless the signature verified."""

    order_no: str
    shown: Shown
    reason: str = ""


class Stop(Exception):
    """A receiver step refuses the message. ``reason`` is a code of ``wire.refusal`` or of this room."""

    def __init__(self, step: int, reason: str, detail: str = "") -> None:
        super().__init__(f"step {step}: {reason}: {detail}")
        self.step = step
        self.reason = reason
        self.detail = detail
