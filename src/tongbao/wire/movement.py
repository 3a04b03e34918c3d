"""The words for money after the payment: refunds, splits, payouts, balances, bills.

As in ``vocabulary``: no wire names, sums are Money, times are Instants, what a message did not say is None or ''.
``*_no`` is the merchant's own number of a thing, ``*_id`` the platform's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.wire.party import Party
from tongbao.wire.payout import BatchHead as BatchHead  # noqa: PLC0414 - words of this module too
from tongbao.wire.payout import PayOut as PayOut  # noqa: PLC0414
from tongbao.wire.payout import PayOutBatch as PayOutBatch  # noqa: PLC0414
from tongbao.wire.payout import PayOutItem as PayOutItem  # noqa: PLC0414
from tongbao.wire.payout import PayOutView as PayOutView  # noqa: PLC0414
from tongbao.wire.payout import QueryPayOut as QueryPayOut  # noqa: PLC0414
from tongbao.wire.payout import QueryPayOutBatch as QueryPayOutBatch  # noqa: PLC0414
from tongbao.wire.progress import BatchStage as BatchStage  # noqa: PLC0414
from tongbao.wire.progress import MovementState as MovementState  # noqa: PLC0414
from tongbao.wire.share import QuerySplitReturn as QuerySplitReturn  # noqa: PLC0414
from tongbao.wire.share import QueryUnsplit as QueryUnsplit  # noqa: PLC0414
from tongbao.wire.share import ReturnSplit as ReturnSplit  # noqa: PLC0414
from tongbao.wire.share import SplitReturnFound as SplitReturnFound  # noqa: PLC0414
from tongbao.wire.share import SplitReturnView as SplitReturnView  # noqa: PLC0414
from tongbao.wire.share import UnsplitFound as UnsplitFound  # noqa: PLC0414
from tongbao.wire.statement import BillHead as BillHead  # noqa: PLC0414 - one of the words of this module
from tongbao.wire.statement import BillLine as BillLine  # noqa: PLC0414


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One receiver's share of a trade's money: a sum, or ``rate`` in parts of 10,000 of the trade's amount.

    ``giver`` is empty where the merchant himself gives, else the receiver of an earlier share who passes it on (at a
    trade's creation only); ``kind`` is the protocol's own relation word, kept as said.
    """

    receiver: Party
    amount: Money | None = None
    rate: int | None = None
    memo: str = ""
    giver: Party = field(default_factory=Party)
    name: str = field(default="", repr=False)
    kind: str = ""


# --- intents -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTrade:
    """Give ``amount`` back (None: all that is left), under the merchant's refund number. The same number again is the
    same refund; without one, where a protocol has a number for that (``refund_no_of_trade``), ``out_trade_no`` is it.
    ``total`` is the trade's sum where the protocol repeats it for comparison."""

    merchant: str
    refund_no: str
    trade_no: str = ""
    out_trade_no: str = ""
    amount: Money | None = None
    total: Money | None = None
    reason: str = ""
    notify_url: str = ""
    splits: tuple[Split, ...] = ()
    """Shares that their receivers give back; the sum of the refund includes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundItem:
    """One line of a batch of refunds."""

    trade_no: str
    amount: Money
    reason: str = ""
    splits: tuple[Split, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBatch:
    """Many refunds under one batch number, answered at once and told of later. ``asks_password``: the merchant's
    browser carries the request, and he must agree on a page of the platform. ``echo`` is what the protocol wants back
    when it writes the batch's notification, as in ``CreateTrade``: it is stored and goes into ``BatchView.echo``."""

    merchant: str
    batch_no: str
    items: tuple[RefundItem, ...]
    asked_at: Instant | None = None
    notify_url: str = ""
    asks_password: bool = False
    echo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRefund:
    """Ask for refunds: one by its number (either), all of a trade, or those of a batch (with a trade's number: its line
    of the batch)."""

    merchant: str
    refund_no: str = ""
    refund_id: str = ""
    batch_no: str = ""
    trade_no: str = ""
    out_trade_no: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRefund:
    """The merchant takes back the money of a refund that is stuck (``RefundView.stuck``), and gives it to the buyer in
    another way himself. ``refund_id`` is the platform's number, ``refund_no`` his own."""

    merchant: str
    refund_id: str
    refund_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTrade:
    """Undo a trade whatever became of it: close it while unpaid, give all back when paid."""

    merchant: str
    trade_no: str = ""
    out_trade_no: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTrade:
    """Share a paid trade's money. ``finish``: what is left is the merchant's, no more splits follow."""

    merchant: str
    split_no: str
    splits: tuple[Split, ...]
    trade_no: str = ""
    out_trade_no: str = ""
    finish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySplit:
    """Ask what became of a split: by the merchant's number of it, or by the platform's (``split_id``) alone."""

    merchant: str
    split_no: str = ""
    trade_no: str = ""
    out_trade_no: str = ""
    split_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryBalance:
    """Ask for the merchant's own money."""

    merchant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMovements:
    """Ask for lines of the merchant's account between two times, a page at a time (the first is 1)."""

    merchant: str
    since: Instant | None = None
    until: Instant | None = None
    page: int = 1
    page_size: int = 0
    """Lines a page; 0 where the message does not say."""
    trade_no: str = ""
    out_trade_no: str = ""
    serial: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBill:
    """Ask where the bill of a business date (or of a month, by its first day) is to be had. ``kind``: ``trade`` (trades
    and refunds) or ``account`` (every movement of the merchant's money)."""

    merchant: str
    day: date
    kind: str = "trade"
    monthly: bool = False
    compressed: bool = False
    scope: str = ""
    """The protocol's own word for which part is wanted, kept as said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBill:
    """Fetch a bill's file by a signed request: the one behind an address (``word`` is its token, or the whole address
    as it was told), or that of a ``day`` at once (``kind``, ``compressed`` and ``scope`` as in ``RequestBill``)."""

    merchant: str
    word: str = field(default="", repr=False)
    day: date | None = None
    kind: str = "trade"
    compressed: bool = False
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchCertificates:
    """Ask for the platform's own certificates, or for one by its serial number."""

    merchant: str
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCode:
    """Trade the word that a buyer's consent gave (or an older refresh word) for the buyer's number."""

    merchant: str
    code: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallByName:
    """Any method of the platform by its wire name, with content as the protocol says it. Only a merchant's half carries
    it: a platform reads the intent behind the name. ``public`` are parameters beside the content, in protocols that
    have such: a token of the one in whose name is asked."""

    merchant: str
    method: str
    content: Mapping[str, object] = field(default_factory=dict, repr=False)
    public: Mapping[str, str] = field(default_factory=dict, repr=False)


AfterIntent = (
    RefundTrade
    | RefundBatch
    | QueryRefund
    | RecoverRefund
    | CancelTrade
    | SplitTrade
    | QuerySplit
    | ReturnSplit
    | QuerySplitReturn
    | QueryUnsplit
    | PayOut
    | PayOutBatch
    | QueryPayOut
    | QueryPayOutBatch
    | QueryBalance
    | QueryMovements
    | RequestBill
    | FetchBill
    | FetchCertificates
    | ExchangeCode
    | CallByName
)


# --- views -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """All that may be told about a refund. ``refunded`` is the trade's whole sum given back, this refund included;
    ``total`` the trade's sum. ``method`` and ``bank`` say where the money went; ``splits`` what receivers gave back."""

    merchant: str = ""
    refund_no: str = ""
    refund_id: str = ""
    batch_no: str = ""
    trade_no: str = ""
    out_trade_no: str = ""
    state: MovementState | None = None
    amount: Money | None = None
    total: Money | None = None
    refunded: Money | None = None
    fee: Money | None = None
    """Fee that the merchant got back."""
    reason: str = ""
    created_at: Instant | None = None
    ended_at: Instant | None = None
    method: str = ""
    bank: str = ""
    code: str = ""
    """Why it failed: a refusal code."""
    stuck: bool = False
    """Accepted, but the buyer cannot be reached where he paid from: the money has left the merchant, who must say where
    it is to go. It may still succeed."""
    splits: tuple[Split, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitView:
    """One split of a trade, all its receivers."""

    merchant: str = ""
    split_no: str = ""
    split_id: str = ""
    trade_no: str = ""
    out_trade_no: str = ""
    state: MovementState | None = None
    splits: tuple[Split, ...] = ()
    finished: bool = False
    created_at: Instant | None = None
    ended_at: Instant | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """What became of a batch: refunds or payouts, line by line, in the order in which they were asked. ``head`` tells
    of a batch of payouts as a whole; some protocols tell that alone, and no lines."""

    batch_no: str
    refunds: tuple[RefundView, ...] = ()
    payouts: tuple[PayOutView, ...] = ()
    merchant: str = ""
    payer: Party = field(default_factory=Party)
    payer_name: str = field(default="", repr=False)
    echo: Mapping[str, str] = field(default_factory=dict)
    head: BatchHead | None = None


# --- outcomes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefundFound:
    """A refund that was made, or refunds that were asked for, oldest first. ``trade``: how the trade stands,
    where it is told. ``changed``: whether this very request moved money.
    ``total``: how many there are, where a page is told."""

    refunds: tuple[RefundView, ...]
    trade: object | None = None
    changed: bool = False
    total: int = 0


@dataclass(frozen=True, slots=True)
class BatchTaken:
    """A batch was taken on (or had been). ``confirm_url``: where the merchant's browser agrees, '' when it need not.
    ``head``: how a batch of payouts stands."""

    batch_no: str
    confirm_url: str = ""
    head: BatchHead | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The trade is undone. ``action``: ``close``, ``refund``, or '' where there was nothing to undo."""

    trade_no: str
    out_trade_no: str
    action: str


@dataclass(frozen=True, slots=True)
class SplitFound:
    split: SplitView


@dataclass(frozen=True, slots=True)
class PayOutFound:
    """One payout, or every line of a batch."""

    payouts: tuple[PayOutView, ...]


@dataclass(frozen=True, slots=True)
class BatchFound:
    """A batch of payouts: its head, and those of its lines that were asked for."""

    batch: BatchView


@dataclass(frozen=True, slots=True)
class BalanceFound:
    """The merchant's money: what he may pay out now, and what is held or not settled yet."""

    available: Money
    held: Money


@dataclass(frozen=True, slots=True)
class MovementsFound:
    """One page of lines, oldest first."""

    lines: tuple[BillLine, ...]
    page: int
    page_size: int
    more: bool


@dataclass(frozen=True, slots=True)
class BillOpened:
    """A bill's file, piece by piece, as it stands (``compressed``: as a gzip file)."""

    chunks: Iterable[bytes] = field(repr=False)
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class CertificatesFound:
    """The platform's certificates are told from the ring the answer is signed with; ``serial`` narrows them to one.
    ``certificates`` are those the merchant's half read from the answer, as PEM, each proven to be the platform's."""

    serial: str = ""
    certificates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentityFound:
    """Who consented. Times to live are seconds."""

    buyer: Party
    token: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    seconds: int = 0
    refresh_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The verified content of the answer to ``CallByName``, as the protocol says it."""

    content: Mapping[str, object] = field(default_factory=dict, repr=False)


AfterOutcome = (
    RefundFound
    | BatchTaken
    | Cancelled
    | SplitFound
    | SplitReturnFound
    | UnsplitFound
    | PayOutFound
    | BatchFound
    | BalanceFound
    | MovementsFound
    | BillOpened
    | CertificatesFound
    | IdentityFound
    | Answered
)
