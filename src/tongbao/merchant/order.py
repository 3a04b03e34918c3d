"""The shop's own record of an order, and what a proven payment says about it. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import TradeState


class OrderState(StrEnum):
    """Where the shop's order stands. Escrowed money counts as paid: the shop ships now."""

    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    FINISHED = "finished"
    CLOSED = "closed"


PAID_ORDER_STATES = frozenset({OrderState.PAID, OrderState.SHIPPED, OrderState.FINISHED})
"""States of an order whose money was proven to be taken."""


class Evidence(StrEnum):
    """What proved a payment. A browser's return is in neither list and never will be (I26)."""

    NOTIFY = "NOTIFY"
    QUERY = "QUERY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the shop stored it before anybody paid. ``amount`` is frozen from then on (T28).

    ``endpoint`` names the Endpoint the buyer was sent to pay through; ``environment`` is ``production`` or ``sandbox``;
    ``seller`` may be empty for the endpoint's own; ``language`` is the buyer's, ``zh`` or ``en``.
    """

    order_no: str
    amount: Money
    state: OrderState = OrderState.PENDING
    endpoint: str = ""
    environment: str = ""
    subject: str = ""
    seller: Party = field(default_factory=Party)
    email: str = ""
    language: str = "zh"
    trade_no: str = ""
    trade_state: str = ""
    evidence: Evidence | None = None
    created_at: Instant | None = None
    paid_at: Instant | None = None
    moved_at: Instant | None = None

    @property
    def is_paid(self) -> bool:
        return self.state in PAID_ORDER_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A proven statement of the platform about an order's trade, made of signed fields only.

    ``provider`` is protocol and merchant number (``alipay_mapi:2088...``); ``event`` is unique for a provider and
    trade; ``at`` is when the shop accepted it, ``paid_at`` the platform's word for when the buyer paid, if it says so.
    """

    order_no: str
    endpoint: str
    provider: str
    trade_no: str
    event: str
    state: TradeState
    amount: Money
    evidence: Evidence
    at: Instant
    notification_id: str = ""
    buyer: Party = field(default_factory=Party)
    paid_at: Instant | None = None

    @property
    def key(self) -> str:
        """Stable over repeats and over both kinds of evidence."""
        return f"{self.provider}:{self.trade_no}:{self.event}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work for after the commit: a row written in the acceptance transaction, run at least once.

    ``key`` is unique and stable, so that a handler may pass it on as an idempotency key. ``data`` is text only.
    """

    key: str
    kind: str
    order_no: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0
    """Which try this is, from 1; 0 until it is run."""
