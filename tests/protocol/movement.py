"""What the laws ask about money after the payment: samples redrawn with other values, and outcomes that fit them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date
from typing import Any

from hypothesis import strategies as st

from tests.protocol import strategy as base
from tests.protocol.bench import NOW, Pair, lost
from tests.protocol.sample import simple_intents
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, Instant, later
from tongbao.wire.contract import Manifest
from tongbao.wire.movement import (
    BalanceFound,
    BatchFound,
    BatchHead,
    BatchStage,
    BatchTaken,
    BatchView,
    BillHead,
    BillLine,
    BillOpened,
    Cancelled,
    CancelTrade,
    CertificatesFound,
    ExchangeCode,
    FetchBill,
    FetchCertificates,
    IdentityFound,
    MovementsFound,
    MovementState,
    PayOut,
    PayOutBatch,
    PayOutFound,
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
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import (
    CreateTrade,
    FollowUp,
    Intent,
    Notification,
    Outcome,
    Presentation,
    TradeFound,
    TradeOpened,
    TradeState,
)

texts = st.one_of(base.names, base.names, base.words).filter(lambda text: text != " ")
"""Any but one blank alone, by which old interfaces say nothing."""
serials = st.text("0123456789abcXYZ", min_size=3, max_size=16)
batch_numbers = st.one_of(serials.map("20150401".__add__), base.numbers)
days = st.dates(date(2010, 1, 1), date(2014, 12, 31))
ENDED = (MovementState.SUCCEEDED, MovementState.FAILED, MovementState.CLOSED)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "refund_no": base.numbers,
    "split_no": base.numbers,
    "return_no": base.numbers,
    "payout_no": base.numbers,
    "batch_no": batch_numbers,
    "trade_no": base.digits,
    "out_trade_no": base.numbers,
    "amount": base.small,
    "total": base.small,
    "reason": texts,
    "memo": texts,
    "title": texts,
    "name": base.names,
    "payer_name": base.names,
    "subject": base.names,
    "card": st.text("0123456789", min_size=16, max_size=19),
    "branch": base.names,
    "day": days,
    "page": st.integers(1, 99),
    "page_size": st.integers(1, 5_000),
    "serial": base.digits,
    "code": st.text("0123456789abcdef", min_size=18, max_size=32),
    "refresh": base.ids,
    "rate": st.integers(1, 3_000),
    "notify_url": base.addresses.filter(bool),
}
"""Other values for members that a sample speaks of; members not listed keep theirs."""


def _number(item: Any) -> str:
    return str(getattr(item, "payout_no", "") or getattr(item, "trade_no", "") or getattr(item, "receiver", ""))


def redrawn(draw: st.DrawFn, sample: Any) -> Any:
    """The sample with other values where it speaks, so that what the folder can say is met often."""
    changed: dict[str, Any] = {}
    for member in fields(sample):
        value = getattr(sample, member.name)
        if value is None or value in ("", ()) or (member.name == "page_size" and value > 5_000):
            continue
        if isinstance(value, tuple) and is_dataclass(value[0]):
            items = [redrawn(draw, value[0]) for _ in range(draw(st.integers(1, 3)))]
            changed[member.name] = tuple({_number(item): item for item in items}.values())
        elif isinstance(value, Party | Payee):
            changed[member.name] = redrawn(draw, value)
        elif member.name in MEMBERS:
            changed[member.name] = draw(MEMBERS[member.name])
    return replace(sample, **changed)


@st.composite
def variants(draw: st.DrawFn, samples: list[Intent]) -> Intent:
    """Any sample with other values; what must agree within it does."""
    intent: Intent = redrawn(draw, draw(st.sampled_from(samples)))
    if isinstance(intent, RefundTrade) and intent.total is not None and intent.amount is not None:
        intent = replace(intent, total=intent.amount + draw(base.small))
    if isinstance(intent, PayOutBatch):
        total = sum((item.amount for item in intent.items), Money(0))
        intent = replace(intent, total=total, count=len(intent.items))
    if isinstance(intent, RefundBatch):
        intent = replace(intent, asked_at=NOW)
    if isinstance(intent, QueryMovements) and intent.since is not None:
        since = draw(base.instants)
        intent = replace(intent, since=since, until=later(since, draw(st.integers(0, 86_399)) * 1_000))
    if isinstance(intent, CreateTrade):
        intent = replace(intent, amount=intent.amount + Money(1_000_000_000), out_trade_no=draw(base.numbers))
    return intent


# --- outcomes ----------------------------------------------------------------------------------------------------


def _ended(draw: st.DrawFn, state: MovementState) -> Instant | None:
    return draw(base.instants) if state in ENDED else None


@st.composite
def refund_views(draw: st.DrawFn, manifest: Manifest, intent: Intent, states: tuple[MovementState, ...]) -> RefundView:
    """A refund that fits what was asked."""
    amount = getattr(intent, "amount", None) or draw(base.small)
    total = getattr(intent, "total", None) or amount + draw(base.small)
    state = draw(st.sampled_from(states))
    may_stick = manifest.refund_may_stick and isinstance(intent, QueryRefund) and state is MovementState.ACCEPTED
    return RefundView(
        merchant=manifest.merchant_example,
        refund_no=getattr(intent, "refund_no", "") or draw(base.numbers),
        refund_id=getattr(intent, "refund_id", "") or draw(base.digits),
        batch_no=getattr(intent, "batch_no", ""),
        trade_no=getattr(intent, "trade_no", "") or draw(base.digits),
        out_trade_no=getattr(intent, "out_trade_no", "") or draw(base.numbers),
        state=state,
        amount=amount,
        total=total,
        refunded=amount if state is MovementState.SUCCEEDED else Money(0),
        fee=draw(st.sampled_from((None, Money(0), Money(1), Money(52)))),
        reason=getattr(intent, "reason", ""),
        created_at=draw(base.instants),
        ended_at=_ended(draw, state),
        code="MERCHANT_FUNDS" if state is MovementState.FAILED else "",
        stuck=may_stick and draw(st.booleans()),
    )


@st.composite
def _split_views(draw: st.DrawFn, manifest: Manifest, intent: SplitTrade | QuerySplit, shares: Any) -> SplitView:
    state = draw(st.sampled_from((MovementState.ACCEPTED, MovementState.SUCCEEDED)))
    return SplitView(
        merchant=manifest.merchant_example,
        split_no=intent.split_no,
        split_id=draw(base.digits),
        trade_no=intent.trade_no or draw(base.digits),
        out_trade_no=intent.out_trade_no or draw(base.numbers),
        state=state,
        splits=shares,
        finished=isinstance(intent, SplitTrade) and intent.finish,
        created_at=draw(base.instants),
        ended_at=_ended(draw, state),
    )


@st.composite
def _return_views(draw: st.DrawFn, manifest: Manifest, intent: ReturnSplit | QuerySplitReturn) -> SplitReturnView:
    state = draw(st.sampled_from((MovementState.ACCEPTED, MovementState.SUCCEEDED, MovementState.FAILED)))
    return SplitReturnView(
        merchant=manifest.merchant_example,
        return_no=intent.return_no,
        return_id=draw(base.digits),
        split_no=intent.split_no,
        split_id=(intent.split_id if isinstance(intent, ReturnSplit) else "") or draw(base.digits),
        giver_id=intent.giver_id if isinstance(intent, ReturnSplit) else draw(base.digits),
        amount=intent.amount if isinstance(intent, ReturnSplit) else draw(base.small),
        memo=intent.memo if isinstance(intent, ReturnSplit) else draw(texts),
        state=state,
        created_at=draw(base.instants),
        ended_at=_ended(draw, state),
    )


@st.composite
def payout_views(
    draw: st.DrawFn, manifest: Manifest, asked: Any, states: tuple[MovementState, ...] = tuple(MovementState)
) -> PayOutView:
    """A payout that fits what was asked: an intent, or a line of a batch."""
    state = draw(st.sampled_from(states))
    batch_no = getattr(asked, "batch_no", "") or (draw(base.numbers) if getattr(asked, "batch_id", "") else "")
    return PayOutView(
        merchant=manifest.merchant_example,
        payout_no=getattr(asked, "payout_no", "") or draw(base.numbers),
        payout_id=getattr(asked, "payout_id", "") or draw(base.digits),
        batch_no=batch_no,
        payee=getattr(asked, "payee", Payee()),
        amount=getattr(asked, "amount", None) or draw(base.small),
        state=state,
        memo=getattr(asked, "memo", ""),
        code="PAYEE_NAME_MISMATCH" if state is MovementState.FAILED else "",
        created_at=draw(base.instants),
        ended_at=draw(base.instants),
        batch=draw(batch_heads(asked)) if batch_no and isinstance(asked, QueryPayOut) else None,
    )


@st.composite
def batch_heads(
    draw: st.DrawFn, asked: Any, stages: tuple[BatchStage, ...] = tuple(BatchStage), count: int = 3
) -> BatchHead:
    """A batch as a whole that fits what was asked, with sums that fit each other."""
    paid, failed = draw(st.integers(0, count)), 0
    paid_sum, failed_sum = Money(paid * 1_000), Money(0)
    stage = draw(st.sampled_from(stages))
    if stage in (BatchStage.DONE, BatchStage.CLOSED):
        failed, failed_sum = count - paid, Money((count - paid) * 10)
    return BatchHead(
        batch_id=getattr(asked, "batch_id", "") or draw(base.digits),
        stage=stage,
        total=paid_sum + failed_sum + Money(0 if failed else count),
        count=count,
        paid=paid_sum,
        paid_count=paid,
        failed=failed_sum,
        failed_count=failed,
        name=getattr(asked, "name", "") or draw(base.names),
        memo=getattr(asked, "memo", "") or draw(base.names),
        created_at=draw(base.instants),
        changed_at=draw(base.instants),
        echo={"appid": "wxd930ea5d5a258f4f"},
    )


def check_found_batch(asked: BatchView, told: BatchView) -> None:
    """The same lines in the same states, and the same sums."""
    assert [(line.payout_no, line.state) for line in told.payouts] == [
        (line.payout_no, line.state) for line in asked.payouts
    ]
    assert lost(asked, told) == ""
    assert told.head is not None
    for word in ("stage", "total", "count", "paid", "paid_count", "failed", "failed_count"):
        assert getattr(told.head, word) == getattr(asked.head, word)


KINDS = {"trade": ("payment", "refund"), "account": ("payment", "refund", "fee", "payout", "settlement", "adjustment")}
INCOME = frozenset(("payment", "settlement"))


@st.composite
def bill_lines(draw: st.DrawFn, kind: str, since: Instant, until: Instant) -> tuple[BillLine, ...]:
    """Lines of a bill, oldest first, each with one of income and outcome, and a balance that follows from them."""
    lines: list[BillLine] = []
    balance = Money(10_000_000_000)
    for number in range(draw(st.integers(0, 4))):
        what = draw(st.sampled_from(KINDS[kind]))
        amount = draw(base.small)
        income, outcome = (amount, Money(0)) if what in INCOME else (Money(0), amount)
        balance += income - outcome
        belongs = what in ("payment", "refund", "fee")
        moment = draw(st.integers(since // 1_000, until // 1_000)) * 1_000
        lines.append(
            BillLine(
                kind=what,
                at=Instant(moment),
                income=income,
                outcome=outcome,
                fee=Money(0),
                out_trade_no=draw(base.numbers) if belongs else "",
                trade_no=draw(base.digits) if belongs else "",
                refund_no=draw(base.numbers) if what == "refund" else "",
                refund_id=draw(base.digits) if what == "refund" else "",
                amount=amount + draw(base.small) if what == "refund" else amount if belongs else None,
                balance=balance if kind == "account" else None,
                serial=f"{2_015_040_100_001 + number}",
                subject=draw(texts) if belongs else "",
                buyer=Party("2088000000000099", "buyer@example.com") if belongs else Party(),
                state="success",
                created_at=Instant(moment),
                memo=draw(texts),
            )
        )
    return tuple(sorted(lines, key=lambda line: line.at))


@st.composite
def outcomes(draw: st.DrawFn, manifest: Manifest, intent: Intent) -> Outcome:
    """What the platform may answer to a request by server; refusals are another law's."""
    begun = (MovementState.ACCEPTED, MovementState.SUCCEEDED)
    if isinstance(intent, CreateTrade) and intent.presentation is not Presentation.BARCODE:
        code = draw(st.text("0123456789abcdefXYZ", min_size=24, max_size=32))
        return TradeOpened(draw(base.digits), f"http://127.0.0.1:8080/cashier/{code}", code)
    if isinstance(intent, CreateTrade | RefundTrade):
        view = replace(draw(base.views(manifest)), state=TradeState.PAID, paid_at=NOW)
        number = intent.out_trade_no or view.out_trade_no
        if isinstance(intent, CreateTrade):
            return TradeFound(replace(view, out_trade_no=number, amount=intent.amount, refunded=None))
        refund = draw(refund_views(manifest, intent, begun))
        trade = replace(view, out_trade_no=refund.out_trade_no, trade_no=refund.trade_no, amount=refund.total)
        return RefundFound((refund,), replace(trade, refunded=refund.refunded), changed=draw(st.booleans()))
    if isinstance(intent, QueryRefund):
        count = 1 if intent.refund_no or intent.refund_id else draw(st.integers(1, 3))
        found = [draw(refund_views(manifest, intent, tuple(MovementState))) for _ in range(count)]
        one = found[0]
        same = [
            replace(view, trade_no=one.trade_no, out_trade_no=one.out_trade_no, total=Money(9_999_999_999))
            for view in found
        ]
        return RefundFound(tuple(same), total=count)
    if isinstance(intent, RecoverRefund):
        return RefundFound((draw(refund_views(manifest, intent, ENDED)),), total=1)
    if isinstance(intent, RefundBatch):
        return BatchTaken(intent.batch_no)
    if isinstance(intent, PayOutBatch):
        # no answer that takes a batch on counts its lines, and 0 would be a count
        head = replace(draw(batch_heads(intent)), count=0, paid_count=0, failed_count=0)
        return BatchTaken(intent.batch_no, head=head)
    if isinstance(intent, QueryPayOutBatch):
        number, head = intent.batch_no or draw(base.numbers), draw(batch_heads(intent))
        line = QueryPayOut(merchant="", batch_no=number)
        asked = tuple(draw(payout_views(manifest, line, ENDED[:2])) for _ in range(2 if intent.lines else 0))
        return BatchFound(BatchView(batch_no=number, payouts=asked, merchant=manifest.merchant_example, head=head))
    if isinstance(intent, CancelTrade):
        action = draw(st.sampled_from(("close", "refund", "")))
        return Cancelled(intent.trade_no or draw(base.digits), intent.out_trade_no or draw(base.numbers), action)
    if isinstance(intent, SplitTrade | QuerySplit):
        shares = intent.splits if isinstance(intent, SplitTrade) else ()
        return SplitFound(draw(_split_views(manifest, intent, shares)))
    if isinstance(intent, ReturnSplit | QuerySplitReturn):
        return SplitReturnFound(draw(_return_views(manifest, intent)))
    if isinstance(intent, QueryUnsplit):
        return UnsplitFound(intent.trade_no, Money(draw(st.integers(0, 10**10))))
    if isinstance(intent, PayOut | QueryPayOut):
        # an answer that says no state is given to what was paid; until then, the request's outcome is unknown
        known = begun[1:] if isinstance(intent, PayOut) and ("PayOut", "state") in manifest.unsaid else begun
        return PayOutFound((draw(payout_views(manifest, intent, known)),))
    if isinstance(intent, QueryBalance):
        return BalanceFound(draw(base.small), draw(base.small))
    if isinstance(intent, QueryMovements):
        since = intent.since or NOW
        lines = draw(bill_lines("account", since, intent.until or later(since, DAY - 1_000)))
        whole = intent.page_size > 5_000
        return MovementsFound(lines, intent.page, intent.page_size or 5_000, not whole and draw(st.booleans()))
    if isinstance(intent, RequestBill):
        return FollowUp("http://127.0.0.1:8080/bill/20150331?token=0123456789abcdef")
    if isinstance(intent, FetchBill):
        zipped = draw(st.booleans())
        plain = draw(st.binary(min_size=1, max_size=40))
        return BillOpened((zlib.compress(plain, wbits=31) if zipped else plain,), zipped)
    if isinstance(intent, FetchCertificates):
        return CertificatesFound(intent.serial)
    if isinstance(intent, ExchangeCode):
        return IdentityFound(Party("2088000000000099"), "a" * 32, "b" * 32, 3_600, 7_200)
    raise AssertionError(f"no outcome for {type(intent).__name__}")


@st.composite
def after_notices(draw: st.DrawFn, manifest: Manifest, batches: list[Intent]) -> Notification:
    """What a folder tells of: refunds and payouts where its manifest says so, the end of every batch it takes."""
    kinds = [kind for kind in ("refund", "payout") if getattr(manifest, f"notifies_{kind}")]
    told = draw(st.sampled_from([*kinds, *batches]))
    name = draw(base.ids)
    if told == "refund":
        refund = draw(refund_views(manifest, RefundTrade(merchant="", refund_no=""), ENDED[:1]))
        view = replace(
            draw(base.views(manifest)),
            state=TradeState.PAID,
            trade_no=refund.trade_no,
            out_trade_no=refund.out_trade_no,
            amount=refund.total,
            paid_at=NOW,
            ended_at=None,
            refunded=refund.refunded,
            refunded_at=refund.ended_at,
            refund_state="success",
        )
        return Notification(id=name, at=None, trade=view, refund=refund)
    if told == "payout":
        asked = PayOut(merchant="", payout_no=draw(base.numbers), payee=Payee(), amount=draw(base.small))
        return Notification(id=name, at=None, payout=draw(payout_views(manifest, asked, ENDED[:2])))
    batch = redrawn(draw, told)
    ended = ENDED[:2]
    if isinstance(batch, PayOutBatch):
        payouts = tuple(draw(payout_views(manifest, item, ended)) for item in batch.items)
        payer = Party(manifest.merchant_example)
        head = draw(batch_heads(batch, (BatchStage.DONE, BatchStage.CLOSED), len(payouts)))
        view_ = BatchView(batch_no=batch.batch_no, payouts=payouts, payer=payer, payer_name="示例公司", head=head)
        return Notification(id=name, at=None, batch=view_)
    refunds = tuple(draw(refund_views(manifest, item, ended)) for item in batch.items)
    return Notification(id=name, at=None, batch=BatchView(batch_no=batch.batch_no, refunds=refunds))


heads = st.builds(BillHead, merchant=st.just(""), day=days, kind=st.sampled_from(tuple(KINDS)))


def batch_events(pair: Pair) -> Iterator[Notification]:
    """Batches of refunds and of payouts that ended, one line well and one not, in folders that take batches."""
    ends = ((MovementState.SUCCEEDED, ""), (MovementState.FAILED, "SYSTEM"))
    for sample in simple_intents(pair.manifest.name, pair.algorithm):
        told = pair.ask(sample)[0][2].intent if isinstance(sample, RefundBatch | PayOutBatch) else None
        if isinstance(told, RefundBatch):
            refunds = tuple(
                RefundView(trade_no=item.trade_no, amount=item.amount, state=state, code=code)
                for item, (state, code) in zip(told.items, ends, strict=True)
            )
            view = BatchView(batch_no=told.batch_no, refunds=refunds, echo=told.echo)
        elif isinstance(told, PayOutBatch):
            payouts = tuple(
                PayOutView(
                    payout_no=item.payout_no,
                    payee=item.payee,
                    amount=item.amount,
                    state=state,
                    code=code,
                    payout_id="200810248427067",
                    ended_at=NOW,
                )
                for item, (state, code) in zip(told.items, ends, strict=True)
            )
            payer = Party(pair.manifest.merchant_example)
            head = BatchHead(
                batch_id="200810248427000",
                stage=BatchStage.DONE,
                total=told.total,
                count=told.count,
                paid=told.items[0].amount,
                paid_count=1,
                failed=told.items[1].amount,
                failed_count=1,
                changed_at=NOW,
            )
            view = BatchView(
                batch_no=told.batch_no, payouts=payouts, payer=payer, payer_name="示例公司", echo=told.echo, head=head
            )
        else:
            continue
        yield Notification(id="637b04133cbb1b5c5f1b3f3d2c9a8e71", at=None, batch=view)
