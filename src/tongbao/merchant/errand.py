"""What a merchant asks about money after the payment: cores over every protocol; ``desk`` has the methods.

Protocols differ in what names a refund or a payout. Each errand tries the ways of saying it and takes the first that
the protocol can say. Only what repeats may be left out (the second number of a trade, its total); whatever else the
caller gave and the protocol cannot say is a LocalProtocolError.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any, Final, TypeVar

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.port import Clock
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.exchange import Core, Send, ask, learn
from tongbao.merchant.system import SystemClock
from tongbao.wire.contract import Call
from tongbao.wire.http import get, split_url
from tongbao.wire.movement import (
    Answered,
    BalanceFound,
    BatchFound,
    BatchTaken,
    BatchView,
    BillOpened,
    CallByName,
    Cancelled,
    CancelTrade,
    FetchBill,
    MovementsFound,
    MovementState,
    PayOut,
    PayOutBatch,
    PayOutFound,
    PayOutItem,
    PayOutView,
    QueryBalance,
    QueryMovements,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RecoverRefund,
    RefundBatch,
    RefundFound,
    RefundItem,
    RefundTrade,
    RefundView,
    RequestBill,
    ReturnSplit,
    SplitFound,
    SplitReturnFound,
    SplitReturnView,
    SplitTrade,
    SplitView,
    UnsplitFound,
)
from tongbao.wire.vocabulary import Carriage, CreateTrade, FollowUp, Intent, Outcome, Presentation, Rejection
from tongbao.wire.world import Limits, NoAnswer

T = TypeVar("T")

BILL_LIMITS: Final = Limits(connect_seconds=5, first_byte_seconds=60, total_seconds=900, answer_bytes=268_435_456)
"""For fetching a bill: up to 256 MiB."""
BILL_BYTES: Final = 2_147_483_648
"""A bill that unpacks to more than this is refused."""
PAGE_LINES: Final = 100
"""Lines of a batch that are asked for at once."""
_DIGESTS: Final = {32: "md5", 40: "sha1", 64: "sha256"}


def expect(outcome: Outcome, kind: type[T]) -> T:
    """The outcome as what it must be. Raises RemoteProtocolError."""
    if not isinstance(outcome, kind):
        raise RemoteProtocolError("", f"answered {type(outcome).__name__} where {kind.__name__} was due")
    return outcome


def _only(outcome: Outcome) -> RefundView:
    """The one refund of an answer. Raises RemoteProtocolError."""
    refunds = expect(outcome, RefundFound).refunds
    if len(refunds) != 1:
        raise RemoteProtocolError("", "answered other than one refund")
    return refunds[0]


def check_bill(raw: bytes, expected: str) -> bytes:
    """A fetched bill, unpacked where it is gzip; ``expected`` is its digest in hex, by its length, over the plain file.

    Raises RemoteProtocolError where it is not the file that was announced.
    """
    if raw.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=BytesIO(raw)) as packed:
                raw = packed.read(BILL_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise RemoteProtocolError("bill", "is broken gzip") from error
        if len(raw) > BILL_BYTES:
            raise RemoteProtocolError("bill", f"is longer than {BILL_BYTES} bytes", "TOO_LARGE")
    if expected:
        algorithm = _DIGESTS.get(len(expected))
        if algorithm is None or not hmac.compare_digest(hashlib.new(algorithm, raw).hexdigest(), expected.lower()):
            raise RemoteProtocolError("bill", "is not the file that was announced", "SIGN_INVALID")
    return raw


_MOVING: Final = (
    CancelTrade, PayOut, PayOutBatch, RecoverRefund, RefundBatch, RefundTrade, ReturnSplit, SplitTrade,
)  # fmt: skip


def moves(intent: Intent, operations: Mapping[str, type]) -> bool:
    """Whether money may have moved, so that only a proven refusal says that it has not (T82). Of a method that is
    called by its name, unless the protocol's ``operations`` say that it only asks: we know nothing else of it."""
    if isinstance(intent, CreateTrade):
        return intent.presentation is Presentation.BARCODE
    if isinstance(intent, CallByName):
        return issubclass(operations.get(intent.method, CreateTrade), (CreateTrade, *_MOVING))
    return isinstance(intent, _MOVING)


def is_open(outcome: Rejection, intent: Intent, operations: Mapping[str, type]) -> bool:
    """Whether money may have moved after this refusal: it is not proven, or says itself that nobody knows (SYSTEM: a
    20000 of Alipay's, a SYSTEMERROR of WeChat Pay's). The one rule of it for every protocol (F07, F28, T82)."""
    return moves(intent, operations) and (not outcome.proven or outcome.code == "SYSTEM")


class Errands:
    """The cores; ``Client`` and ``AsyncClient`` are shells over them."""

    def __init__(self, configuration: MerchantConfiguration, clock: Clock | None = None) -> None:
        self.configuration = configuration
        self.clock: Clock = clock or SystemClock()

    @property
    def offered(self) -> frozenset[type]:
        """The intents that the protocol carries."""
        return frozenset(self.configuration.manifest.operations.values())

    def _call(self, intent: Intent) -> Call:
        return self.configuration.manifest.client.encode(intent, self.configuration.keys, self.clock.wire())

    def _said(self, ways: Iterable[Intent], carriage: Carriage = Carriage.SERVER) -> Intent:
        """The first way that the protocol can say. Raises the error of the richest where it can say none."""
        failure: LocalProtocolError | None = None
        for intent in ways:
            try:
                if self._call(intent).carriage is carriage:
                    return intent
                failure = failure or LocalProtocolError("", f"is not carried by a {carriage} in this protocol")
            except LocalProtocolError as error:
                failure = failure or error
        raise failure or LocalProtocolError("", "cannot be said in this protocol", "UNKNOWN_SERVICE")

    @contextmanager
    def _reading(self, intent: Intent) -> Iterator[None]:
        """While the answer to this is asked for and read: where money may have moved, one that breaks the protocol, is
        unproven, or about something else is no end (F07, F28, T82). Raises OutcomeUnknown then, whose cause it is."""
        try:
            yield
        except RemoteProtocolError as error:
            if not moves(intent, self.configuration.manifest.operations):
                raise
            said = f"{type(intent).__name__} was sent, and its answer is no proof: {error} ({error.code})"
            raise OutcomeUnknown(said) from error

    def _ask(self, intent: Intent, limits: Limits | None = None) -> Core[Outcome]:
        with self._reading(intent):
            outcome = yield from ask(self.configuration, intent, self.clock, limits)
        if isinstance(outcome, Rejection):
            said = f"{outcome.wire_code} {outcome.detail}".strip()
            refusal = Refused(outcome.code, said, outcome.state, proven=outcome.proven)
            if is_open(outcome, intent, self.configuration.manifest.operations):
                how = "answered that nobody knows" if outcome.proven else "refused without a proof"
                raise OutcomeUnknown(f"{type(intent).__name__} was {how}: {said}", refusal=refusal)
            raise refusal
        return outcome

    # --- refunds ---------------------------------------------------------------------------------------------------

    def refund_intent(self, intent: RefundTrade) -> Intent:
        """How this protocol says a refund between servers: by itself, or as a batch of one whose number it gives."""
        if RefundTrade in self.offered:
            bare = replace(intent, total=None)
            ways: list[Intent] = [
                *_named(intent),
                *(_named(bare) if intent.total is not None else ()),
            ]
            return self._said(ways)
        if RefundBatch not in self.offered:
            raise LocalProtocolError("", "this protocol has no refunds", "UNKNOWN_SERVICE")
        if not intent.trade_no or intent.amount is None:
            raise LocalProtocolError("trade_no" if intent.amount else "amount", "is needed to refund in this protocol")
        item = RefundItem(trade_no=intent.trade_no, amount=intent.amount, reason=intent.reason, splits=intent.splits)
        batch = RefundBatch(
            merchant=intent.merchant,
            batch_no=intent.refund_no,
            items=(item,),
            notify_url=intent.notify_url or self.configuration.notify_url,
        )
        return self._said([batch])

    def refund_core(self, intent: RefundTrade) -> Core[RefundView]:
        """Ask for one refund. The answer must be about it, and about the very sum."""
        said = self.refund_intent(intent)
        outcome = yield from self._ask(said)
        if isinstance(said, RefundBatch):
            with self._reading(said):
                expect(outcome, BatchTaken)
            return RefundView(
                merchant=intent.merchant,
                refund_no=intent.refund_no,
                batch_no=intent.refund_no,
                trade_no=intent.trade_no,
                out_trade_no=intent.out_trade_no,
                state=MovementState.ACCEPTED,
                amount=intent.amount,
            )
        with self._reading(said):
            refund = _only(outcome)
            if refund.refund_no not in ("", intent.refund_no):
                raise RemoteProtocolError("refund_no", "the answer is about another refund")
            if intent.amount is not None and refund.amount not in (None, intent.amount):
                raise RemoteProtocolError("amount", "the answer tells another sum than was asked for")
        return replace(refund, refund_no=intent.refund_no)

    def query_refund_core(self, question: QueryRefund) -> Core[tuple[RefundView, ...]]:
        """What became of refunds, page by page: asked with all their numbers, or with those that the protocol can say,
        if only the refund's own."""
        ways = [*_named(question)]
        if question.refund_no and not question.batch_no:
            ways.append(replace(question, trade_no="", out_trade_no=""))
            ways.append(replace(question, refund_no="", batch_no=question.refund_no, out_trade_no=""))
        refunds: tuple[RefundView, ...] = ()
        while True:
            page = [replace(way, offset=len(refunds)) for way in ways]
            found = expect((yield from self._ask(self._said(page))), RefundFound)
            refunds += found.refunds
            if not found.refunds or len(refunds) >= found.total:
                return refunds

    def _refund_batch(self, batch: RefundBatch) -> Core[BatchTaken]:
        outcome = yield from self._ask(self._said([batch]))
        with self._reading(batch):
            return expect(outcome, BatchTaken)

    def _recover(self, refund_id: str, refund_no: str) -> Core[RefundView]:
        asked = RecoverRefund(merchant=self.configuration.merchant, refund_id=refund_id, refund_no=refund_no)
        outcome = yield from self._ask(self._said([asked]))
        with self._reading(asked):
            return _only(outcome)

    def _cancel(self, order_no: str, trade_no: str) -> Core[Cancelled]:
        asked = CancelTrade(merchant=self.configuration.merchant, out_trade_no=order_no, trade_no=trade_no)
        outcome = yield from self._ask(self._said(_named(asked)))
        with self._reading(asked):
            cancelled = expect(outcome, Cancelled)
            by_theirs = bool(trade_no and cancelled.trade_no)
            if trade_no != cancelled.trade_no if by_theirs else order_no != cancelled.out_trade_no:
                field = "trade_no" if by_theirs else "out_trade_no"
                raise RemoteProtocolError(field, "the answer is about another trade")
        return cancelled

    # --- shares ----------------------------------------------------------------------------------------------------

    def _split(self, intent: SplitTrade) -> Core[SplitView]:
        outcome = yield from self._ask(self._said(_named(intent)))
        with self._reading(intent):
            return expect(outcome, SplitFound).split

    def _query_split(self, question: QuerySplit) -> Core[SplitView]:
        outcome = yield from self._ask(self._said(_named(question)))
        return expect(outcome, SplitFound).split

    def _return_split(self, intent: ReturnSplit) -> Core[SplitReturnView]:
        outcome = yield from self._ask(self._said([intent]))
        with self._reading(intent):
            return expect(outcome, SplitReturnFound).split_return

    def _query_split_return(self, return_no: str, split_no: str) -> Core[SplitReturnView]:
        asked = QuerySplitReturn(merchant=self.configuration.merchant, return_no=return_no, split_no=split_no)
        outcome = yield from self._ask(self._said([asked]))
        return expect(outcome, SplitReturnFound).split_return

    def _query_unsplit(self, order_no: str, trade_no: str) -> Core[Money]:
        asked = QueryUnsplit(merchant=self.configuration.merchant, out_trade_no=order_no, trade_no=trade_no)
        outcome = yield from self._ask(self._said(_named(asked)))
        return expect(outcome, UnsplitFound).amount

    # --- payouts ---------------------------------------------------------------------------------------------------

    def _pay_out(self, intent: PayOut) -> Core[PayOutView]:
        outcome = yield from self._ask(self._said([intent]))
        with self._reading(intent):
            payouts = expect(outcome, PayOutFound).payouts
            if len(payouts) != 1 or payouts[0].payout_no not in ("", intent.payout_no):
                raise RemoteProtocolError("payout_no", "the answer is about another payout")
            if payouts[0].amount not in (None, intent.amount):
                raise RemoteProtocolError("amount", "the answer tells another sum than was asked for")
        return replace(payouts[0], payout_no=intent.payout_no)

    def payout_batch_intent(
        self, batch_no: str, items: Sequence[PayOutItem], more: dict[str, Any], *, asks_password: bool = False
    ) -> PayOutBatch:
        """A batch whose total and count are its lines', told of where payments are unless ``more`` says otherwise."""
        total = sum((item.amount for item in items), Money(0, items[0].amount.currency) if items else Money(0))
        return PayOutBatch(
            merchant=self.configuration.merchant,
            batch_no=batch_no,
            items=tuple(items),
            total=total,
            count=len(items),
            asks_password=asks_password,
            **{"notify_url": self.configuration.notify_url, **more},
        )

    def _payout_batch(self, batch: PayOutBatch) -> Core[BatchTaken]:
        outcome = yield from self._ask(self._said([batch]))
        with self._reading(batch):
            return expect(outcome, BatchTaken)

    def query_payout_core(self, question: QueryPayOut) -> Core[tuple[PayOutView, ...]]:
        """What became of payouts. Where kinds of payees have numbers apart and the question leaves the kind open, an
        account's payout is asked for first, and a card's if there is none."""
        try:
            outcome = yield from self._ask(self._said([question]))
        except Refused as refusal:
            if refusal.code != "PAYOUT_NOT_FOUND" or question.to_card is not None or not question.payout_no:
                raise
            try:
                other = self._said([replace(question, to_card=True)])
            except LocalProtocolError:  # here a number alone is a payout's name
                raise refusal from None
            try:
                outcome = yield from self._ask(other)
            except Refused as second:
                if refusal.proven:
                    raise
                # that there is none at all is proven by both or by neither
                raise Refused(second.code, second.detail, proven=False) from second
        return expect(outcome, PayOutFound).payouts

    def query_batch_core(self, question: QueryPayOutBatch) -> Core[BatchView]:
        """How a batch of payouts stands, and some of its lines."""
        outcome = yield from self._ask(self._said([question]))
        return expect(outcome, BatchFound).batch

    def batch_lines_core(self, batch_no: str) -> Core[BatchView]:
        """How a batch of payouts stands, and all of its lines, page by page; lines say their state and no sum.

        Raises RemoteProtocolError where pages do not come to as many lines as the batch has."""
        lines: list[PayOutView] = []
        while True:
            question = QueryPayOutBatch(
                merchant=self.configuration.merchant, batch_no=batch_no, lines=True, offset=len(lines), most=PAGE_LINES
            )
            found = yield from self.query_batch_core(question)
            lines += found.payouts
            if found.head is None or len(lines) > found.head.count or (not found.payouts and found.head.count):
                raise RemoteProtocolError("lines", "are not as many as the batch is said to have")
            if len(lines) == found.head.count:
                return replace(found, payouts=tuple(lines))

    # --- the account -----------------------------------------------------------------------------------------------

    def _balance(self) -> Core[BalanceFound]:
        outcome = yield from self._ask(self._said([QueryBalance(merchant=self.configuration.merchant)]))
        return expect(outcome, BalanceFound)

    def _movements(self, question: QueryMovements) -> Core[MovementsFound]:
        outcome = yield from self._ask(self._said([question]))
        return expect(outcome, MovementsFound)

    def _bill(self, question: RequestBill) -> Core[bytes]:
        """Where the bill is, then the bill: by a signed request where the protocol has one, else from the address as it
        was told; or at once, where a day suffices."""
        if RequestBill not in self.offered and FetchBill in self.offered and not question.monthly:
            at_once = FetchBill(
                merchant=question.merchant,
                day=question.day,
                kind=question.kind,
                compressed=question.compressed,
                scope=question.scope,
            )
            return (yield from self._fetch(at_once, ""))
        outcome = yield from self._ask(self._said([question]))
        found = expect(outcome, FollowUp)
        if self.configuration.manifest.download:
            # only a signed request opens it; host and path are the gateway's, whatever the address says
            signed = FetchBill(merchant=question.merchant, word=found.url)
            return (yield from self._fetch(signed, found.expected_digest))
        return (yield from self._download(found))

    def _fetch(self, question: FetchBill, digest: str) -> Core[bytes]:
        outcome = yield from self._ask(self._said([question]), BILL_LIMITS)
        return check_bill(b"".join(expect(outcome, BillOpened).chunks), digest)

    def _download(self, found: FollowUp) -> Core[bytes]:
        """The file behind an address that came in the platform's own answer, and must be as safe as the gateway's."""
        try:
            scheme = split_url(found.url)[0]
        except ValueError as error:
            raise RemoteProtocolError("url", str(error)) from error
        if scheme != "https" and split_url(self.configuration.keys.gateway)[0] == "https":
            raise RemoteProtocolError("url", "the bill is not to be had over https")
        try:
            response = yield Send(get(found.url), BILL_LIMITS, self.configuration)
        except NoAnswer as error:
            raise OutcomeUnknown(f"the bill was asked for and no answer came: {error}") from error
        if response.status != 200:
            raise RemoteProtocolError("status", f"{response.status} instead of a bill")
        return check_bill(response.body, found.expected_digest)

    def _learn(self) -> Core[bool]:
        """Fetch the platform's certificates into the configuration's trust store."""
        return (yield from learn(self.configuration, self.clock, asked=True))

    def _any(self, intent: Intent) -> Core[Outcome]:
        return (yield from self._ask(intent))

    def _by_name(
        self, method: str, content: Mapping[str, object], public: Mapping[str, str]
    ) -> Core[Mapping[str, object]]:
        asked = CallByName(merchant="", method=method, content=content, public=public)
        outcome = yield from self._ask(asked)
        with self._reading(asked):
            return expect(outcome, Answered).content

    # --- carried by a browser --------------------------------------------------------------------------------------

    def refund_batch_page(self, batch_no: str, items: Sequence[RefundItem], notify_url: str = "") -> Call:
        """The signed request for refunds that the merchant's own browser carries, to agree by password on a page of the
        platform. Raises LocalProtocolError."""
        batch = RefundBatch(
            merchant=self.configuration.merchant,
            batch_no=batch_no,
            items=tuple(items),
            notify_url=notify_url or self.configuration.notify_url,
            asks_password=True,
        )
        return self._call(self._said([batch], Carriage.BROWSER))

    def payout_batch_page(self, batch_no: str, items: Sequence[PayOutItem], **more: Any) -> Call:
        """The same for payouts; ``more`` as in ``payout_batch``."""
        batch = self.payout_batch_intent(batch_no, items, more, asks_password=True)
        return self._call(self._said([batch], Carriage.BROWSER))


def _named(intent: Any) -> list[Any]:
    """The intent with both numbers of its trade, then with the platform's alone, then with the merchant's alone."""
    if not intent.trade_no or not intent.out_trade_no:
        return [intent]
    return [intent, replace(intent, out_trade_no=""), replace(intent, trade_no="")]
