"""The protocol contract: what one folder under ``tongbao.protocols`` offers, and nothing more.

Both ends are pure functions over values, in inverse pairs: what one end writes, the other reads.

========================  ==============================  =================================
pair                      written by                      read by
========================  ==============================  =================================
request                   ``ClientEnd.encode``            ``ServerEnd.claim``, ``.decode``
response                  ``ServerEnd.answer/refuse``     ``ClientEnd.decode``
notification              ``ServerEnd.notify``            ``ClientEnd.decode_notification``
acknowledgement           ``ClientEnd.acknowledge``       ``ServerEnd.acknowledged``
return                    ``ServerEnd.return_to``         ``ClientEnd.decode_return``
bill                      ``BillEnd.write``               ``BillEnd.read``
========================  ==============================  =================================

Errors: decoders raise RemoteProtocolError (or its InvalidSignature) on any bytes whatever, never anything else;
encoders raise LocalProtocolError naming the field where the protocol cannot say what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tongbao.kernel.error import TongbaoError
from tongbao.kernel.port import Entropy
from tongbao.kernel.record import record
from tongbao.kernel.time import Instant
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import FORM, Request, Response, split_url
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.unsigned import Unsigned
from tongbao.wire.vocabulary import Carriage, Intent, Notification, Outcome, Presentation, QueryTrade


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One setting a real client of this protocol needs, under the client's own name.

    ``kind``: ``id``, ``secret``, ``private_key``, ``public_key``, ``certificate``, ``url``, ``text``. ``ours`` marks
    what only the platform holds and a sandbox must never hand out; secrets are never logged.
    """

    name: str
    kind: str
    meaning: str
    required: bool = True


@record
class Claim:
    """A request parsed but not believed. ``merchant`` is whom it claims to be from ('' for nobody); ``parsed`` is the
    folder's own reading of it, for its own ``decode`` and ``answer`` only."""

    merchant: str
    operation: str
    carriage: Carriage
    parsed: Any = field(repr=False)
    charset: str = "utf-8"


@record
class Verified:
    """An intent and the key that proved it; ``key`` is None for the few operations the protocol leaves unsigned.

    ``once`` is a word under the signature that may be seen once within the protocol's window (a nonce and its time);
    '' where there is none. The platform remembers it, the codec does not (T24).
    """

    intent: Intent
    key: Key | None
    once: str = ""
    provider: str = ""
    """The service provider who signed, where he asks in the name of the intent's merchant; '' where that one did."""


@dataclass(frozen=True, slots=True)
class SignatureTrail:
    """How a message was signed, for the signature doctor and the seven-steps page. ``text`` shows the string that was
    signed with every secret masked; ``signature`` is what the message carries."""

    algorithm: str
    text: str = field(repr=False)
    signature: str = field(repr=False)
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way. For SERVER carriage send ``request()``; for BROWSER show ``link()`` or ``fields`` as a
    form whose target is ``url``. ``url`` holds no query of the protocol's own unless ``query`` says so."""

    carriage: Carriage
    method: str
    url: str
    fields: Pairs = field(repr=False)
    charset: str = "utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    query: Pairs = ()
    """Fields that stay in the address of a POST (Alipay's ``_input_charset``)."""
    body: bytes | None = field(default=None, repr=False)
    """A body that is not a form (XML, JSON); then ``fields`` is empty."""

    def link(self) -> str:
        """The whole request as one address (GET)."""
        own = {name for name, _ in self.fields}
        pairs = (*[pair for pair in self.query if pair[0] not in own], *self.fields)
        if not pairs:
            return self.url
        text = encode_form(pairs, self.charset).decode("ascii")
        return f"{self.url}{'&' if '?' in self.url else '?'}{text}"

    def action(self) -> str:
        """The address an HTML form posts to."""
        if not self.query:
            return self.url
        text = encode_form(self.query, self.charset).decode("ascii")
        return f"{self.url}{'&' if '?' in self.url else '?'}{text}"

    def request(self) -> Request:
        """The HTTP request as a value."""
        if self.method == "GET":
            scheme, host, path, query = split_url(self.link())
            return Request("GET", scheme, host, path, query, self.headers)
        scheme, host, path, query = split_url(self.action())
        if self.body is not None:
            return Request(self.method, scheme, host, path, query, self.headers, self.body)
        kind = (b"Content-Type", f"{FORM}; charset={self.charset}".encode("ascii"))
        return Request(
            self.method, scheme, host, path, query, (kind, *self.headers), encode_form(self.fields, self.charset)
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """A merchant's settings for one protocol, checked, with keys parsed once. ``values`` has the plain ones by the
    protocol's own names; ``keys`` the parsed ones; neither secrets nor keys are shown by ``repr``."""

    protocol: str
    merchant: str
    gateway: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    ring: KeyRing = field(default_factory=lambda: KeyRing("", (), ()), repr=False)
    """From the merchant's side: ``sign`` signs requests, ``verify`` checks what the platform sends."""
    entropy: Entropy | None = field(default=None, repr=False, compare=False)
    """Chance for nonces. Without it they follow from the message and its millisecond, which is enough for tests."""


class ServerEnd(Protocol):
    """The platform's half."""

    def claim(self, request: Request) -> Claim:
        """Parse without believing. Raises RemoteProtocolError."""
        ...

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        """Verify the signature, then read the intent. ``now`` is wire time. Raises RemoteProtocolError."""
        ...

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        """The answer to a SERVER request."""
        ...

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        """The protocol's error answer to a SERVER request; ``claim`` is None when not even that could be read."""
        ...

    def refusal_code(self, error: TongbaoError) -> str:
        """The protocol's own code for an error, for pages and logs."""
        ...

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """The notification of one event to ``target``, signed for this sending at ``now`` (wire time)."""
        ...

    def acknowledged(self, response: Response) -> bool:
        """Whether the answer is this protocol's literal word of success (F22, I22)."""
        ...

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """The signed request with which the buyer's browser goes home (GET, or POST with a form body)."""
        ...

    def trail(self, request: Request) -> SignatureTrail | None:
        """How a request or notification of this protocol was signed, secrets masked; None where it is not signed."""
        ...


class ClientEnd(Protocol):
    """The merchant's half."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        """Check settings by the manifest's field names and parse keys. Raises ConfigurationError naming the field."""
        ...

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        """The signed request. Raises LocalProtocolError where the protocol cannot say it."""
        ...

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        """Read (and verify, where the protocol signs answers) the answer to ``intent``. Raises RemoteProtocolError."""
        ...

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Verify and read a notification (receiver steps 3-10). Raises RemoteProtocolError."""
        ...

    def acknowledge(self, accepted: bool) -> Response:
        """The literal word for yes, or for no."""
        ...

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Verify and read what the browser brought; its role is RETURN and it proves no payment (I26)."""
        ...


@dataclass(frozen=True, slots=True)
class Onward:
    """For protocols whose acknowledgement also says where the buyer's browser goes next. ``write`` makes the word for
    yes with an absolute address; ``read`` finds the address in what a merchant answered ('' for none). No signature
    covers it: the platform takes it only where it leads to a host of the merchant's own."""

    write: Callable[[str], Response]
    read: Callable[[str], str]


class CostlyEnd(Protocol):
    """What a server end says but for its signatures, so that whoever has several may have them signed at once. Signed,
    each is what the end's ``answer`` and ``notify`` give."""

    def prepare_answer(
        self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]: ...

    def prepare_notification(
        self, notification: Notification, target: str, ring: KeyRing, now: Instant
    ) -> Request | Unsigned[Request]: ...


class ProductEnd(Protocol):
    """For codes that name a product and no order: a wallet scans one, and the platform asks the merchant, who opens the
    order meanwhile and answers with its number."""

    def claim(self, text: str) -> Claim | None:
        """Parse a scanned text without believing it; None where it is no such code. Raises RemoteProtocolError."""
        ...

    def check(self, claim: Claim, ring: KeyRing) -> None:
        """Whether the merchant made the code. Raises InvalidSignature."""
        ...

    def ask(self, claim: Claim, buyer: str, target: str, ring: KeyRing, now: Instant) -> Request:
        """The signed question to ``target``; ``buyer`` is his number as this merchant knows him."""
        ...

    def read(self, claim: Claim, response: Response, ring: KeyRing) -> str:
        """The text that leads to the order, as a wallet is handed it. Raises RemoteProtocolError, and Refused with the
        merchant's own words where he opened none."""
        ...


class BillEnd(Protocol):
    """The daily file. Lines and bytes are streamed both ways: a bill has millions of lines."""

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        """The file, with its own headings and totals. Text cannot become a formula in a spreadsheet."""
        ...

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        """The lines, in order; totals are compared at the end. Raises RemoteProtocolError naming line and field."""
        ...

    def file_name(self, head: BillHead) -> str:
        """What the file is called; its ending says its form (``.csv``, ``.zip``, ``.txt``, ``.gz``)."""
        ...


@dataclass(frozen=True, slots=True)
class PayeeNumber:
    """For protocols in which a merchant asks under one number and is paid under another. ``setting`` is the setting of
    his half that says the other; ``number`` gives it, out of the first, for a merchant of this platform."""

    setting: str
    number: Callable[[str], str]


NOTIFIED: frozenset[tuple[str, str]] = frozenset(
    {("instant", "paid"), ("instant", "finished")}
    | {
        (product, state)
        for product in ("escrow", "dual")
        for state in ("unpaid", "escrowed", "shipped", "finished", "closed")
    }
    | {("dual", "paid")}
)
"""(product, state entered) of the moves a merchant is told about, unless a protocol says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder is. Its ``__init__`` exports one as ``PROTOCOL``; nothing is registered anywhere."""

    name: str
    title: str
    title_zh: str
    version: str
    charset: str
    """The charset of messages where they do not say."""
    operations: Mapping[str, type]
    """Wire name of each operation a face serves -> the intent it carries (the coverage page)."""
    paths: tuple[str, ...]
    """Paths of the face's endpoints, each beginning with /; ``{name}`` stands for one segment of any text, ``{+name}``
    for any number of them, as in RFC 6570."""
    hosts: tuple[str, ...]
    """Original host names it also answers by."""
    gateway: str
    """The production address a client uses by default."""
    sandbox_gateway: str = ""
    """The address of the brand's own sandbox, which a client uses by default in the environment ``sandbox``; '' where
    none is known."""
    timetable: tuple[int, ...]
    """Gaps between deliveries of one notification, in seconds; after the last it is abandoned."""
    timetable_source: str
    algorithms: tuple[str, ...]
    """Signature algorithms, strongest first."""
    weak: bool
    """Signatures do not suffice (MD5, concatenation): a query must agree before effect (T12)."""
    confirms: bool
    """Whether ConfirmNotification can be asked of the platform."""
    products: frozenset[str]
    credentials: tuple[CredentialField, ...]
    server: ServerEnd
    client: ClientEnd
    bill: BillEnd | None = None
    sources: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    """Facts taken from a single or no source; the folder's README repeats them."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Every code of ``tongbao.wire.refusal`` -> the protocol's own word for it."""
    codes_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operation -> words of its own that it uses instead of those in ``codes``."""
    charsets: tuple[str, ...] = ()
    """What the setting ``charset`` may say, where the protocol has one."""
    merchant_example: str = "2088000000000001"
    """A merchant's number in the protocol's shape, for tests and for numbering new merchants."""
    private: frozenset[str] = frozenset()
    """Wire names whose values a log must not show: signatures, keys, names, addresses, numbers of persons."""
    notifies: frozenset[tuple[str, str]] = NOTIFIED
    """(product, state entered) of the moves a merchant is told about."""
    said_as: Mapping[str, str] = field(default_factory=dict)
    """States the protocol has no word for -> the state that its word for them means. A move from the one to the other
    is no news: the merchant is not told twice. A key ``product:state`` holds for the one product only."""
    unsaid: frozenset[tuple[str, str]] = frozenset()
    """(message, member) of the essentials that the protocol has no field for: ``CreateTrade.subject``, which the
    encoder leaves out and the platform words itself; ``state`` of ``Return``; ``trade_no`` of ``Notification`` or
    ``TradeFound``, where the merchant's number stands in its place; ``trade_no`` of ``TradeFound.unpaid`` or
    ``TradeFound.closed``, where a trade without payment has none."""
    code_prefix: str = ""
    """First digits of the payment codes that this brand's wallet shows (18 digits in all); '' where it has none."""
    certificates: bool = False
    """Whether keys come with certificates (``Key.chain``): the merchant's and the platform's, of one authority."""
    inquiry: Callable[[Request, Credentials], QueryTrade | None] | None = None
    """Where notifications name no key, and certificates are fetched one by one, by the number that an answer names:
    what to ask about a notification that no known key has signed. None where notifications name their keys."""
    client_certificate: tuple[str, str] | None = None
    """Names of the credentials that hold the client certificate and its key. Some operations want it to be shown over
    TLS; its common name is the merchant's number. None where no operation does."""
    public_keys: bool = False
    """Whether the platform's key may also go without a certificate, under a name of its own."""
    content_keys: Mapping[str, str] = field(default_factory=dict)
    """Algorithm of a shared key that hides contents, or proves one kind of operation beside the agreed signature ->
    its form: ``base64`` (16 bytes) or ``text`` (32 letters and digits). Such a key stands in both halves of a ring."""
    product_codes: ProductEnd | None = None
    """How codes that name a product are asked about, where the protocol has them."""
    presentations: tuple[Presentation, ...] = (Presentation.PAGE,)
    """Where buyers can meet trades of this protocol; the first is what it does when nothing else is asked."""
    modes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Other ways to configure the merchant's half, in which it speaks operations of their own: name -> examples of the
    settings that make it so (a service provider who asks in another merchant's name)."""
    costly: CostlyEnd | None = None
    """The server end once more, where signing costs so much (RSA) that a face leaves it to a thread."""
    bare_errors: bool = False
    """Whether an unknown path and a wrong method are answered by their status alone; else with a line of text."""
    batches_by_browser: bool = False
    """Whether the merchant's own browser can carry a batch of refunds or payouts, to which his people then agree on a
    page of the platform (``asks_password``)."""
    own_buyers: bool = False
    """Whether a merchant is told buyers under numbers of his own (openid), and names them by these."""
    notifies_refund: str = ""
    """Whether and where a merchant is told of a refund's end: '' not at all; ``trade``: the trade's own notification
    says it, to the trade's address; ``own``: a message of its own to the refund's address, or the trade's. Batches
    are told of whatever this says."""
    refund_may_stick: bool = False
    """Whether a refund whose bank does not take it waits for the merchant's word, and has not failed: the interface
    has a word for that (``RefundView.stuck``)."""
    refund_no_of_trade: bool = False
    """Whether a merchant's refund number is unique within its trade only; else within all of his refunds."""
    refunds_most: int = 0
    """How many refunds of one trade a merchant may make; 0: as many as of any."""
    split_no_of_merchant: bool = False
    """Whether a merchant's number of a split is unique within all of his; else within its trade only."""
    splits_as_created: bool = False
    """Whether trades alone are shared that were created to be (``CreateTrade.split_later``); else any."""
    receiver_kinds: Mapping[str, str] = field(default_factory=dict)
    """The protocol's word for what a receiver of a share is (``Split.kind``) -> ``merchant`` or ``buyer``, which he
    must be then."""
    counter_seconds: int = 0
    """How long a trade that is paid face to face (by a code, or in the wallet) waits where its request says nothing; 0:
    as long as ``wait_seconds`` says."""
    wait_seconds: int = 0
    """How long a trade waits for its buyer where its request says nothing; 0: as long as the platform says."""
    notifies_payout: bool = False
    """Whether a merchant is told of a single payout's end (a batch's end is told of where there are batches)."""
    notifies_closed_batch: bool = False
    """Whether a merchant is also told that a batch of payouts was withdrawn."""
    onward: Onward | None = None
    one_address: bool = False
    """Whether a merchant gives one address, to which both the platform's notices and the buyer's browser come."""
    download: str = ""
    """Path of the face where a signed request opens a bill (FetchBill); '' where its address itself opens it."""
    returns: bool = True
    """Whether the buyer's browser comes home with a signed message. Else ``return_to`` is the shop's bare address."""
    acknowledged_by_status: frozenset[int] = frozenset()
    """HTTP statuses that mean yes whatever the body says; empty where a literal word does."""
    acknowledged_by_prefix: bool = False
    """Whether an answer that only begins with the word of success is a yes."""
    payee: PayeeNumber | None = None
    """The number that messages give the payee, where it is another than the merchant's."""
    credentials_for: Any = None
    """Callable (merchant id, key ring of the merchant's side, base address, extra) -> dict for the credentials file."""
