"""The words for payouts, single and in batches; ``movement`` has them too, beside the others of their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.wire.party import Party, Payee
from tongbao.wire.progress import BatchStage, MovementState


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOut:
    """Pay ``amount`` from the merchant's available money to one payee."""

    merchant: str
    payout_no: str
    payee: Payee
    amount: Money
    memo: str = ""
    title: str = ""
    notify_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOutItem:
    """One line of a batch of payouts; ``payout_no`` is its serial within the batch."""

    payout_no: str
    payee: Payee
    amount: Money
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOutBatch:
    """Many payouts under one batch number. ``total`` and ``count`` must equal the lines'. ``memo`` is a word about the
    whole batch. ``echo`` as in ``RefundBatch``."""

    merchant: str
    batch_no: str
    items: tuple[PayOutItem, ...]
    total: Money
    count: int
    name: str = ""
    memo: str = ""
    payer: Party = field(default_factory=Party)
    payer_name: str = field(default="", repr=False)
    day: date | None = None
    notify_url: str = ""
    asks_password: bool = False
    echo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPayOut:
    """Ask what became of a payout, by either number, within a batch (by either number of it) where there is one.

    ``to_card``: whether it goes to a bank card, where the protocol makes that a part of its name; None leaves it open.
    """

    merchant: str
    payout_no: str = ""
    payout_id: str = ""
    batch_no: str = ""
    batch_id: str = ""
    to_card: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPayOutBatch:
    """Ask how a batch of payouts stands as a whole, by either number; with ``lines`` also for ``most`` of its lines
    (0: as many as the platform likes) after the first ``offset``. ``only``: SUCCEEDED, FAILED (lines of a withdrawn
    batch are among these) or ACCEPTED (those of a batch that waits for somebody's word)."""

    merchant: str
    batch_no: str = ""
    batch_id: str = ""
    lines: bool = False
    offset: int = 0
    most: int = 0
    only: MovementState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHead:
    """A batch of payouts as a whole. ``paid`` and ``failed`` are the sums of the lines that ended so, beside how many
    they are; ``changed_at`` is when it reached its stage. ``echo`` as in ``PayOutBatch``."""

    batch_id: str
    stage: BatchStage
    total: Money | None = None
    count: int = 0
    paid: Money | None = None
    paid_count: int = 0
    failed: Money | None = None
    failed_count: int = 0
    name: str = ""
    memo: str = ""
    created_at: Instant | None = None
    changed_at: Instant | None = None
    echo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOutView:
    """One payout. ``fee`` is what the merchant pays on top; ``batch`` the batch that it is a line of, where told."""

    merchant: str = ""
    payout_no: str = ""
    payout_id: str = ""
    batch_no: str = ""
    payee: Payee = field(default_factory=Payee)
    amount: Money | None = None
    fee: Money | None = None
    state: MovementState | None = None
    memo: str = ""
    code: str = ""
    created_at: Instant | None = None
    ended_at: Instant | None = None
    batch: BatchHead | None = None
