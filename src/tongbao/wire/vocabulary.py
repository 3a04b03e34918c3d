"""The words every protocol shares: intents, outcomes, the view of a trade, notifications and returns.

Wire names never appear here; times are Instants (milliseconds, UTC), sums are Money. A field that a message did not
say is None (or empty), never a guess. Values are plain and comparable, so that two ends can be proven inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from tongbao.kernel.money import Money
from tongbao.kernel.record import record
from tongbao.kernel.time import Instant
from tongbao.wire.movement import AfterIntent, AfterOutcome, BatchView, PayOutView, RefundView, Split
from tongbao.wire.party import Party


class Carriage(StrEnum):
    """Who carries the request to the platform."""

    SERVER = "server"
    BROWSER = "browser"
    DEVICE = "device"


class Product(StrEnum):
    """What was sold: how the money travels from buyer to merchant."""

    INSTANT = "instant"
    ESCROW = "escrow"
    DUAL = "dual"


class Method(StrEnum):
    """How a buyer pays."""

    BALANCE = "balance"
    DEBIT = "debit"
    CREDIT = "credit"
    OUTLET = "outlet"


class Presentation(StrEnum):
    """Where the buyer meets the trade."""

    PAGE = "page"
    """A browser on a desk."""
    H5 = "h5"
    """A browser on a phone."""
    APP = "app"
    """The merchant's app hands over to the wallet's."""
    QR = "qr"
    """The buyer scans the merchant's code with his wallet."""
    BARCODE = "barcode"
    """The merchant scans the code that the buyer's wallet shows."""
    WALLET = "wallet"
    """A page inside the wallet, which knows its buyer (JSAPI, mini programs)."""


class TradeState(StrEnum):
    """A trade's state in neutral words; each protocol maps them to its own."""

    UNPAID = "unpaid"
    PAID = "paid"
    ESCROWED = "escrowed"
    SHIPPED = "shipped"
    FINISHED = "finished"
    CLOSED = "closed"


PAID_STATES = frozenset({TradeState.PAID, TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED})
"""States that prove that the buyer's money was taken."""


class Freight(StrEnum):
    """Who pays the carrier. Only BUYER adds the fee to the trade's amount."""

    SELLER = "seller"
    BUYER = "buyer"
    ON_DELIVERY = "on_delivery"


@record
class Shipping:
    """One way of shipping that the merchant offers: kind (``post``, ``express``, ``ems``, ``none``), fee, who pays."""

    kind: str
    fee: Money
    payer: Freight


@record
class Consignee:
    """Where the goods go."""

    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    postcode: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    mobile: str = field(default="", repr=False)


@record
class Expiry:
    """When an unpaid trade closes: ``seconds`` after its creation, or at the next Chinese midnight where it is 0; or
    ``at`` that very time, whatever ``seconds`` says."""

    seconds: int
    at: Instant | None = None

    @property
    def at_midnight(self) -> bool:
        return self.seconds == 0 and self.at is None


# --- intents: what one party asks of the other -------------------------------------------------------------------


@record(kw_only=True)
class CreateTrade:
    """The merchant asks for ``amount``. ``amount`` is what the buyer pays, freight and discount included.

    ``echo`` is what the protocol wants back when it writes this trade's return and notifications (charset, signature
    kind, service name); it is stored with the trade and never read by the rules.
    """

    merchant: str
    out_trade_no: str
    product: Product
    subject: str
    amount: Money
    body: str = ""
    price: Money | None = None
    quantity: int | None = None
    discount: Money | None = None
    shipping: tuple[Shipping, ...] = ()
    consignee: Consignee | None = None
    seller: Party = field(default_factory=Party)
    buyer: Party = field(default_factory=Party)
    notify_url: str = ""
    return_url: str = ""
    error_url: str = ""
    show_url: str = ""
    expiry: Expiry | None = None
    method: Method | None = None
    methods: tuple[Method, ...] = ()
    """The only ways of paying the merchant allows, in the order of ``Method``; empty where he allows all."""
    bank: str = ""
    """Code of the bank the merchant chose, in the platform's directory; '' for none."""
    presentation: Presentation = Presentation.PAGE
    code: str = field(default="", repr=False)
    """The payment code that the buyer's wallet showed; only with BARCODE."""
    splits: tuple[Split, ...] = ()
    """Shares to be given at once when the trade is paid."""
    split_later: bool = False
    """The money waits for splits of its own before it is settled."""
    passback: str = ""
    client_ip: str = ""
    anti_phishing_key: str = field(default="", repr=False)
    provider: str = ""
    """The service provider who asks in the merchant's name; the platform enters it, no message says it here."""
    combined: str = ""
    """The combined order that this is a part of, as ``MERCHANT/NUMBER``; the platform enters it, too."""
    echo: Mapping[str, str] = field(default_factory=dict)


@record(kw_only=True)
class QueryTrade:
    """Ask for a trade by the platform's number, the merchant's, or both."""

    merchant: str
    trade_no: str = ""
    out_trade_no: str = ""


@record(kw_only=True)
class CloseTrade:
    """End an unpaid trade."""

    merchant: str
    trade_no: str = ""
    out_trade_no: str = ""
    role: str = ""
    """Who closes: ``seller``, ``buyer`` or '' where the message does not say."""


@record(kw_only=True)
class ShipTrade:
    """The merchant has sent the goods of an escrow trade."""

    merchant: str
    trade_no: str = ""
    out_trade_no: str = ""
    carrier: str = ""
    tracking_no: str = ""
    kind: str = ""
    """Kind of shipping as in ``Shipping.kind``."""


@record(kw_only=True)
class ConfirmNotification:
    """The merchant asks whether a notification id is really the platform's, for him, and still live."""

    merchant: str
    notification_id: str


@record(kw_only=True)
class RequestTimestamp:
    """The merchant asks for an anti-phishing key: a short-lived word that proves he asked just now."""

    merchant: str


@record(kw_only=True)
class EnterTrade:
    """The buyer's browser brings the ``code`` of a trade that was prepared between servers (``TradeOpened.code``),
    under the merchant's signature, and wants the cashier."""

    merchant: str
    code: str = field(repr=False)


@record(kw_only=True)
class CombinedPart:
    """One order of a combined one. ``merchant`` is whose it is, '' for who asks. ``provided``: who asks is that
    merchant's service provider, and stays it for the order's refunds."""

    out_trade_no: str
    subject: str
    amount: Money
    merchant: str = ""
    provided: bool = False
    split_later: bool = False
    passback: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)


@record(kw_only=True)
class CreateCombined:
    """Ask for several orders that one payment pays, all of them or none. ``out_trade_no`` is the combined order's own
    number; the rest as in ``CreateTrade``."""

    merchant: str
    out_trade_no: str
    parts: tuple[CombinedPart, ...]
    buyer: Party = field(default_factory=Party)
    notify_url: str = ""
    return_url: str = ""
    expiry: Expiry | None = None
    presentation: Presentation = Presentation.QR
    client_ip: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)


@record(kw_only=True)
class QueryCombined:
    """Ask how a combined order and its parts stand."""

    merchant: str
    out_trade_no: str


@record(kw_only=True)
class CloseCombined:
    """End an unpaid combined order as a whole; ``parts`` names every order of it: merchant, number, and whether who
    asks is that merchant's service provider, as in ``CombinedPart``."""

    merchant: str
    out_trade_no: str
    parts: tuple[tuple[str, str, bool], ...]


Intent = (
    CreateTrade
    | QueryTrade
    | CloseTrade
    | ShipTrade
    | ConfirmNotification
    | RequestTimestamp
    | EnterTrade
    | CreateCombined
    | QueryCombined
    | CloseCombined
    | AfterIntent
)


# --- the view of a trade -----------------------------------------------------------------------------------------


@record(kw_only=True)
class TradeView:
    """All that may be told about a trade. A decoder fills what its message said and leaves the rest None or ''.

    ``amount`` is the trade's sum; ``refunded`` the sum given back so far. ``moved_at`` is the last change of any kind.
    """

    merchant: str = ""
    out_trade_no: str = ""
    trade_no: str = ""
    state: TradeState | None = None
    product: Product | None = None
    subject: str = ""
    body: str = ""
    amount: Money | None = None
    price: Money | None = None
    quantity: int | None = None
    discount: Money | None = None
    shipping: Shipping | None = None
    consignee: Consignee | None = None
    carrier: str = ""
    tracking_no: str = ""
    seller: Party = field(default_factory=Party)
    buyer: Party = field(default_factory=Party)
    buyer_alias: str = ""
    """The buyer's number as the merchant knows it, where ``buyer`` has the number that his service provider knows."""
    created_at: Instant | None = None
    paid_at: Instant | None = None
    shipped_at: Instant | None = None
    ended_at: Instant | None = None
    moved_at: Instant | None = None
    refunded: Money | None = None
    refund_state: str = ""
    """``asked``, ``refused``, ``returning``, ``returned``, ``paying_back``, ``success``, ``closed``; '' for none."""
    refunded_at: Instant | None = None
    method: Method | None = None
    bank: str = ""
    bank_serial: str = ""
    fee: Money | None = None
    passback: str = ""
    provider: str = ""
    """The service provider who asked for it, '' where its merchant did."""
    cancelled: bool = False
    """Whether its merchant took a payment back by cancelling the trade, and not by refunds of his own."""
    echo: Mapping[str, str] = field(default_factory=dict)

    @property
    def was_paid(self) -> bool:
        """Whether the buyer's money was ever taken, though all of it may have gone back since."""
        return self.state in PAID_STATES or (self.state is not None and self.paid_at is not None)

    @property
    def is_paid(self) -> bool:
        """Whether the state proves payment and the money was not given back whole."""
        back = self.refunded is not None and self.refunded == self.amount
        return self.state in PAID_STATES and not back


@record(kw_only=True)
class CombinedView:
    """All that may be told about a combined order: whose it is, its number, and its parts as they stand."""

    merchant: str = ""
    out_trade_no: str = ""
    parts: tuple[TradeView, ...] = ()
    buyer: Party = field(default_factory=Party)
    """Who paid, as ``merchant`` knows him."""
    echo: Mapping[str, str] = field(default_factory=dict)


# --- outcomes: what the other party answers ----------------------------------------------------------------------


@record
class TradeOpened:
    """The trade stands (or stood already, equal in every frozen field). ``cashier_url`` is where the buyer pays.

    ``code`` names the trade towards a buyer who has no link: at most 32 letters and digits that nobody can guess. A
    protocol wraps it in the address of its QR code, or takes it for the number of a prepared payment. ``prepaid`` is
    that number as the protocol told it, where it told one.
    """

    trade_no: str
    cashier_url: str
    code: str = ""
    prepaid: str = ""


@record
class TradeFound:
    trade: TradeView


@record
class CombinedFound:
    combined: CombinedView


@record
class Done:
    """The act was carried out, or had been. ``trade`` is the trade afterwards, where there is one."""

    trade: TradeView | None = None


@record
class Confirmed:
    """``genuine``: the id is ours, for this merchant, and live. ``understood`` False: the question itself was wrong.
    ``trade``: the trade as the notification told it, for protocols whose yes repeats it."""

    genuine: bool
    understood: bool = True
    trade: TradeView | None = None


@record
class TimestampIssued:
    key: str


@record
class Rejection:
    """The peer refused. ``code`` is one of ``tongbao.wire.refusal``; ``wire_code`` the protocol's own word for it.

    ``proven`` is False where the protocol signs its answers and this one bears no signature: then anybody may have said
    so, and no money may be booked by it (T82). ``state`` is that of the trade which cannot be paid, as in
    ``Refused.state``, where the word says it.
    """

    code: str
    wire_code: str = ""
    detail: str = ""
    proven: bool = True
    state: str = ""


@record
class FollowUp:
    """The answer is another request to be sent as it stands (a bill's address, a next page)."""

    url: str
    expected_digest: str = ""


Outcome = (
    TradeOpened | TradeFound | CombinedFound | Done | Confirmed | TimestampIssued | Rejection | FollowUp | AfterOutcome
)


# --- messages that the platform starts ---------------------------------------------------------------------------


class Role(StrEnum):
    """Whether a message came server to server, or in the buyer's browser, which proves nothing (I26)."""

    NOTIFICATION = "notification"
    RETURN = "return"


@record(kw_only=True)
class Notification:
    """What the platform says happened to a trade, one of its refunds, a payout or a batch.

    ``id`` is fixed when the event is committed and equal over all its deliveries, '' where a protocol carries none;
    ``at`` is the time of this sending (or the platform's word for it), None where no signature covers it;
    ``unsigned`` holds fields no signature covers: nothing may hang on them (T09).
    """

    id: str
    at: Instant | None
    trade: TradeView = field(default_factory=TradeView)
    role: Role = Role.NOTIFICATION
    refund: RefundView | None = None
    """The refund this is about, where it is about one of the trade's refunds."""
    payout: PayOutView | None = None
    batch: BatchView | None = None
    combined: CombinedView | None = None
    """The combined order that was paid, where it is about one."""
    happened_at: Instant | None = None
    """When it happened, equal over all its deliveries; None in what a merchant's half reads."""
    unsigned: Mapping[str, str] = field(default_factory=dict, compare=False)
