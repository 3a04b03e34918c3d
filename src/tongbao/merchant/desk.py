"""The methods for money after the payment, of both clients. Each builds an errand and runs its core."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypedDict, Unpack

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.errand import Errands
from tongbao.merchant.exchange import Core
from tongbao.wire.movement import (
    BalanceFound,
    BatchTaken,
    BatchView,
    Cancelled,
    MovementsFound,
    MovementState,
    PayOut,
    PayOutItem,
    PayOutView,
    QueryMovements,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    RefundBatch,
    RefundItem,
    RefundTrade,
    RefundView,
    RequestBill,
    ReturnSplit,
    Split,
    SplitReturnView,
    SplitTrade,
    SplitView,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Intent, Outcome


class RefundOptions(TypedDict, total=False):
    """What a refund may say besides number and sum. One of ``order_no`` and ``trade_no`` at least, as the protocol
    wants; ``total`` is the trade's sum, where the protocol compares it."""

    order_no: str
    trade_no: str
    total: Money
    reason: str
    notify_url: str
    splits: tuple[Split, ...]


class RefundQuestion(TypedDict, total=False):
    """Which refunds are asked for."""

    refund_id: str
    batch_no: str
    order_no: str
    trade_no: str


class SplitOptions(TypedDict, total=False):
    """Whose money is shared, and whether it is the last time."""

    order_no: str
    trade_no: str
    finish: bool


class PayOutOptions(TypedDict, total=False):
    """What a payout may say besides number, payee and sum."""

    memo: str
    title: str
    notify_url: str


class BatchOptions(TypedDict, total=False):
    """What a batch of payouts may say besides number and lines."""

    name: str
    memo: str
    payer: Party
    payer_name: str
    day: date
    notify_url: str


class ReturnOptions(TypedDict, total=False):
    """Which split a return comes from, by either number, and why; see ``ReturnSplit``."""

    split_no: str
    split_id: str
    memo: str


class LinesQuestion(TypedDict, total=False):
    """Which lines of a batch are asked for; see ``QueryPayOutBatch``."""

    lines: bool
    offset: int
    most: int
    only: MovementState | None


class MovementQuestion(TypedDict, total=False):
    """Which lines of the account are asked for; the first page is 1."""

    page: int
    page_size: int
    trade_no: str
    order_no: str
    serial: str
    kinds: tuple[str, ...]


class BillOptions(TypedDict, total=False):
    """Which bill; see ``RequestBill``."""

    kind: str
    monthly: bool
    compressed: bool
    scope: str


def _as_said(options: Mapping[str, object]) -> dict[str, Any]:
    """The options as the intents name them: what is ``order_no`` here is their ``out_trade_no``. One that an intent
    does not know is a TypeError: a misspelt option is never as if it had not been said."""
    return {"out_trade_no" if name == "order_no" else name: value for name, value in options.items()}


class _Forms(Errands):
    """The intents, from what a caller says."""

    def _refund_form(self, refund_no: str, amount: Money | None, said: RefundOptions) -> RefundTrade:
        return RefundTrade(merchant=self.configuration.merchant, refund_no=refund_no, amount=amount, **_as_said(said))

    def _refund_question(self, refund_no: str, said: RefundQuestion) -> QueryRefund:
        return QueryRefund(merchant=self.configuration.merchant, refund_no=refund_no, **_as_said(said))

    def _refund_batch_form(self, batch_no: str, items: Sequence[RefundItem], notify_url: str) -> RefundBatch:
        return RefundBatch(
            merchant=self.configuration.merchant,
            batch_no=batch_no,
            items=tuple(items),
            notify_url=notify_url or self.configuration.notify_url,
        )

    def _split_form(self, split_no: str, splits: Sequence[Split], said: SplitOptions) -> SplitTrade:
        return SplitTrade(
            merchant=self.configuration.merchant, split_no=split_no, splits=tuple(splits), **_as_said(said)
        )

    def _split_question(self, split_no: str, order_no: str, trade_no: str) -> QuerySplit:
        return QuerySplit(
            merchant=self.configuration.merchant, split_no=split_no, out_trade_no=order_no, trade_no=trade_no
        )

    def _return_form(self, return_no: str, giver_id: str, amount: Money, said: ReturnOptions) -> ReturnSplit:
        return ReturnSplit(
            merchant=self.configuration.merchant, return_no=return_no, giver_id=giver_id, amount=amount, **said
        )

    def _payout_form(self, payout_no: str, payee: Payee, amount: Money, said: PayOutOptions) -> PayOut:
        return PayOut(merchant=self.configuration.merchant, payout_no=payout_no, payee=payee, amount=amount, **said)

    def _payout_question(
        self, payout_no: str, payout_id: str, batch_no: str, batch_id: str, to_card: bool | None
    ) -> QueryPayOut:
        return QueryPayOut(
            merchant=self.configuration.merchant,
            payout_no=payout_no,
            payout_id=payout_id,
            batch_no=batch_no,
            batch_id=batch_id,
            to_card=to_card,
        )

    def _batch_question(self, batch_no: str, batch_id: str, said: LinesQuestion) -> QueryPayOutBatch:
        return QueryPayOutBatch(merchant=self.configuration.merchant, batch_no=batch_no, batch_id=batch_id, **said)

    def _movement_question(self, since: Instant, until: Instant, said: MovementQuestion) -> QueryMovements:
        return QueryMovements(merchant=self.configuration.merchant, since=since, until=until, **_as_said(said))

    def _bill_question(self, day: date, said: BillOptions) -> RequestBill:
        return RequestBill(merchant=self.configuration.merchant, day=day, **said)


class MoneyDesk(_Forms):
    """The methods of the synchronous client."""

    _drive: Callable[[Core[Any]], Any]

    def ask(self, intent: Intent) -> Outcome:
        """Any intent that the protocol carries between servers, and its outcome. A refusal is raised as Refused."""
        found: Outcome = self._drive(self._any(intent))
        return found

    def call(
        self, method: str, content: Mapping[str, object], *, public: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        """Any method of the platform by its wire name, with content as the protocol says it; the verified answer as it
        stands. ``public`` are parameters that stand beside the content, in protocols that have such. For protocols that
        have such methods. A refusal is raised as Refused; one without a proof, or SYSTEM (the platform does not know
        itself), as OutcomeUnknown with that ``refusal``, unless the method is known only to ask; an answer that is no
        proof at all is OutcomeUnknown likewise, or RemoteProtocolError. Raises LocalProtocolError where nothing is
        sent."""
        found: Mapping[str, object] = self._drive(self._by_name(method, content, public or {}))
        return found

    def refund(self, refund_no: str, amount: Money, **said: Unpack[RefundOptions]) -> RefundView:
        """Give money back under a refund number of ours. The same number again is the same refund: after OutcomeUnknown
        ask again with the very same number, never with a new one. In protocols that know batches only, the number is
        that of a batch of one."""
        found: RefundView = self._drive(self.refund_core(self._refund_form(refund_no, amount, said)))
        return found

    def query_refund(self, refund_no: str = "", **said: Unpack[RefundQuestion]) -> tuple[RefundView, ...]:
        """What became of a refund, by its number; or of all of a trade or batch."""
        found: tuple[RefundView, ...] = self._drive(self.query_refund_core(self._refund_question(refund_no, said)))
        return found

    def refund_batch(self, batch_no: str, items: Sequence[RefundItem], notify_url: str = "") -> BatchTaken:
        """Many refunds under one batch number, told of later; ``refund_batch_page`` where a password is asked for."""
        found: BatchTaken = self._drive(self._refund_batch(self._refund_batch_form(batch_no, items, notify_url)))
        return found

    def recover_refund(self, refund_id: str, refund_no: str) -> RefundView:
        """Take back the money of a refund that is stuck, by the platform's number of it and ours. Its row ends by the
        platform's notification, or when it is asked for (``Receiver.poll_movements``)."""
        found: RefundView = self._drive(self._recover(refund_id, refund_no))
        return found

    def cancel(self, order_no: str = "", trade_no: str = "") -> Cancelled:
        """Undo a trade: close it while unpaid, give all back when paid."""
        found: Cancelled = self._drive(self._cancel(order_no, trade_no))
        return found

    def split(self, split_no: str, splits: Sequence[Split], **said: Unpack[SplitOptions]) -> SplitView:
        """Share a paid trade's money under a number of ours."""
        found: SplitView = self._drive(self._split(self._split_form(split_no, splits, said)))
        return found

    def query_split(self, split_no: str, order_no: str = "", trade_no: str = "") -> SplitView:
        """What became of a split."""
        found: SplitView = self._drive(self._query_split(self._split_question(split_no, order_no, trade_no)))
        return found

    def return_split(
        self, return_no: str, giver_id: str, amount: Money, **said: Unpack[ReturnOptions]
    ) -> SplitReturnView:
        """Take back what a merchant was given with a split, under a number of ours: the same number again is the same
        return."""
        form = self._return_form(return_no, giver_id, amount, said)
        found: SplitReturnView = self._drive(self._return_split(form))
        return found

    def query_split_return(self, return_no: str, split_no: str = "") -> SplitReturnView:
        """What became of a return."""
        found: SplitReturnView = self._drive(self._query_split_return(return_no, split_no))
        return found

    def query_unsplit(self, order_no: str = "", trade_no: str = "") -> Money:
        """How much of a trade can still be shared."""
        found: Money = self._drive(self._query_unsplit(order_no, trade_no))
        return found

    def pay_out(self, payout_no: str, payee: Payee, amount: Money, **said: Unpack[PayOutOptions]) -> PayOutView:
        """Pay one payee from the available money, under a number of ours: the same number again is the same payout."""
        found: PayOutView = self._drive(self._pay_out(self._payout_form(payout_no, payee, amount, said)))
        return found

    def query_payout(
        self,
        payout_no: str = "",
        *,
        payout_id: str = "",
        batch_no: str = "",
        batch_id: str = "",
        to_card: bool | None = None,
    ) -> tuple[PayOutView, ...]:
        """What became of a payout, or of a batch's; ``to_card`` where the protocol wants to know (see QueryPayOut)."""
        found: tuple[PayOutView, ...] = self._drive(
            self.query_payout_core(self._payout_question(payout_no, payout_id, batch_no, batch_id, to_card))
        )
        return found

    def query_payout_batch(self, batch_no: str = "", *, batch_id: str = "", **said: Unpack[LinesQuestion]) -> BatchView:
        """How a batch of payouts stands as a whole and, with ``lines``, some of its lines."""
        found: BatchView = self._drive(self.query_batch_core(self._batch_question(batch_no, batch_id, said)))
        return found

    def payout_batch(self, batch_no: str, items: Sequence[PayOutItem], **said: Unpack[BatchOptions]) -> BatchTaken:
        """Many payouts under one batch number, told of later; ``payout_batch_page`` where a password is asked for."""
        found: BatchTaken = self._drive(self._payout_batch(self.payout_batch_intent(batch_no, items, dict(said))))
        return found

    def balance(self) -> BalanceFound:
        """The merchant's own money."""
        found: BalanceFound = self._drive(self._balance())
        return found

    def movements(self, since: Instant, until: Instant, **said: Unpack[MovementQuestion]) -> MovementsFound:
        """One page of the account's lines between two times."""
        found: MovementsFound = self._drive(self._movements(self._movement_question(since, until, said)))
        return found

    def bill(self, day: date, **said: Unpack[BillOptions]) -> bytes:
        """The bill of a business date, fetched, unpacked from gzip and compared with the digest that was announced;
        ``configuration.manifest.bill.read([raw])`` gives its lines."""
        found: bytes = self._drive(self._bill(self._bill_question(day, said)))
        return found


class AsyncMoneyDesk(_Forms):
    """The same for asyncio."""

    _drive: Callable[[Core[Any]], Awaitable[Any]]

    async def ask(self, intent: Intent) -> Outcome:
        """Any intent that the protocol carries between servers, and its outcome. A refusal is raised as Refused."""
        found: Outcome = await self._drive(self._any(intent))
        return found

    async def call(
        self, method: str, content: Mapping[str, object], *, public: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        """Any method of the platform by its wire name; see ``MoneyDesk.call``."""
        found: Mapping[str, object] = await self._drive(self._by_name(method, content, public or {}))
        return found

    async def refund(self, refund_no: str, amount: Money, **said: Unpack[RefundOptions]) -> RefundView:
        """Give money back under a refund number of ours. The same number again is the same refund: after OutcomeUnknown
        ask again with the very same number, never with a new one. In protocols that know batches only, the number is
        that of a batch of one."""
        found: RefundView = await self._drive(self.refund_core(self._refund_form(refund_no, amount, said)))
        return found

    async def query_refund(self, refund_no: str = "", **said: Unpack[RefundQuestion]) -> tuple[RefundView, ...]:
        """What became of a refund, by its number; or of all of a trade or batch."""
        found: tuple[RefundView, ...] = await self._drive(
            self.query_refund_core(self._refund_question(refund_no, said))
        )
        return found

    async def refund_batch(self, batch_no: str, items: Sequence[RefundItem], notify_url: str = "") -> BatchTaken:
        """Many refunds under one batch number, told of later; ``refund_batch_page`` where a password is asked for."""
        found: BatchTaken = await self._drive(self._refund_batch(self._refund_batch_form(batch_no, items, notify_url)))
        return found

    async def recover_refund(self, refund_id: str, refund_no: str) -> RefundView:
        """Take back the money of a refund that is stuck, by the platform's number of it and ours. Its row ends by the
        platform's notification, or when it is asked for (``AsyncReceiver.poll_movements``)."""
        found: RefundView = await self._drive(self._recover(refund_id, refund_no))
        return found

    async def cancel(self, order_no: str = "", trade_no: str = "") -> Cancelled:
        """Undo a trade: close it while unpaid, give all back when paid."""
        found: Cancelled = await self._drive(self._cancel(order_no, trade_no))
        return found

    async def split(self, split_no: str, splits: Sequence[Split], **said: Unpack[SplitOptions]) -> SplitView:
        """Share a paid trade's money under a number of ours."""
        found: SplitView = await self._drive(self._split(self._split_form(split_no, splits, said)))
        return found

    async def query_split(self, split_no: str, order_no: str = "", trade_no: str = "") -> SplitView:
        """What became of a split."""
        found: SplitView = await self._drive(self._query_split(self._split_question(split_no, order_no, trade_no)))
        return found

    async def return_split(
        self, return_no: str, giver_id: str, amount: Money, **said: Unpack[ReturnOptions]
    ) -> SplitReturnView:
        """Take back what a merchant was given with a split, under a number of ours: the same number again is the same
        return."""
        form = self._return_form(return_no, giver_id, amount, said)
        found: SplitReturnView = await self._drive(self._return_split(form))
        return found

    async def query_split_return(self, return_no: str, split_no: str = "") -> SplitReturnView:
        """What became of a return."""
        found: SplitReturnView = await self._drive(self._query_split_return(return_no, split_no))
        return found

    async def query_unsplit(self, order_no: str = "", trade_no: str = "") -> Money:
        """How much of a trade can still be shared."""
        found: Money = await self._drive(self._query_unsplit(order_no, trade_no))
        return found

    async def pay_out(self, payout_no: str, payee: Payee, amount: Money, **said: Unpack[PayOutOptions]) -> PayOutView:
        """Pay one payee from the available money, under a number of ours: the same number again is the same payout."""
        found: PayOutView = await self._drive(self._pay_out(self._payout_form(payout_no, payee, amount, said)))
        return found

    async def query_payout(
        self,
        payout_no: str = "",
        *,
        payout_id: str = "",
        batch_no: str = "",
        batch_id: str = "",
        to_card: bool | None = None,
    ) -> tuple[PayOutView, ...]:
        """What became of a payout, or of a batch's; ``to_card`` where the protocol wants to know (see QueryPayOut)."""
        found: tuple[PayOutView, ...] = await self._drive(
            self.query_payout_core(self._payout_question(payout_no, payout_id, batch_no, batch_id, to_card))
        )
        return found

    async def query_payout_batch(
        self, batch_no: str = "", *, batch_id: str = "", **said: Unpack[LinesQuestion]
    ) -> BatchView:
        """How a batch of payouts stands as a whole and, with ``lines``, some of its lines."""
        found: BatchView = await self._drive(self.query_batch_core(self._batch_question(batch_no, batch_id, said)))
        return found

    async def payout_batch(
        self, batch_no: str, items: Sequence[PayOutItem], **said: Unpack[BatchOptions]
    ) -> BatchTaken:
        """Many payouts under one batch number, told of later; ``payout_batch_page`` where a password is asked for."""
        found: BatchTaken = await self._drive(self._payout_batch(self.payout_batch_intent(batch_no, items, dict(said))))
        return found

    async def balance(self) -> BalanceFound:
        """The merchant's own money."""
        found: BalanceFound = await self._drive(self._balance())
        return found

    async def movements(self, since: Instant, until: Instant, **said: Unpack[MovementQuestion]) -> MovementsFound:
        """One page of the account's lines between two times."""
        found: MovementsFound = await self._drive(self._movements(self._movement_question(since, until, said)))
        return found

    async def bill(self, day: date, **said: Unpack[BillOptions]) -> bytes:
        """The bill of a business date, fetched, unpacked from gzip and compared with the digest that was announced;
        ``configuration.manifest.bill.read([raw])`` gives its lines."""
        found: bytes = await self._drive(self._bill(self._bill_question(day, said)))
        return found
