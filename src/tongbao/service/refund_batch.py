"""Batches of refunds: taken on at once, carried out line by line by a duty, told of when every line has ended.

Each line is a refund like any other, decided by the same rule; a line that is refused keeps the code and stops nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import MINOR_MAX
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.service.command import Needs
from tongbao.service.create import Asker, check_address
from tongbao.service.ended import ended_event
from tongbao.service.merchant_operator import AGREE_REFUNDS, REFUSE_REFUNDS, check_person, person_needs
from tongbao.service.refund import Given, RequestRefund, refund_needs
from tongbao.service.split import Back
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import EVENT, REFUND, REFUND_BATCH, REFUND_LINE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.refund import Refund, RefundBatch, RefundLine

LINES_MAX: Final = 1_000
"""Lines of one batch, as the classic interface has it."""

EVENTS: Final = "refunds:"
"""What the number of a batch's event begins with; no trade's number does."""


@record
class Item:
    """One line as it is asked for. ``amount`` in minor units of ``currency``; ``splits`` is JSON."""

    trade_no: str
    amount: int
    currency: str
    reason: str
    splits: str = "[]"


@record
class TakeRefundBatch:
    """Take a batch on, once for each number. ``asks``: the merchant must agree on a page first. ``batch_id`` is used
    if it is new. Outcome: the ``RefundBatch``."""

    asker: Asker
    batch_no: str
    batch_id: str
    items: tuple[Item, ...]
    notify_url: str
    asks: bool
    echo: str = "{}"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield REFUND_BATCH, (self.asker.merchant_id, self.batch_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant = self.asker.check(sheet)
        check_address("notify_url", self.notify_url, merchant)
        if not self.batch_no:
            raise Refused("BATCH_INVALID", "a batch has a number")
        known: RefundBatch | None = sheet.get(REFUND_BATCH, merchant.merchant_id, self.batch_no)
        if known is not None:
            if not hmac.compare_digest(known.digest, self._digest()):
                raise Refused("REFUND_MISMATCH", "this number was used for another batch")
            return Decision(known)
        if not 0 < len(self.items) <= LINES_MAX:
            raise Refused("BATCH_INVALID", f"a batch has between 1 and {LINES_MAX} lines")
        if any(item.amount <= 0 for item in self.items):
            raise Refused("AMOUNT_NOT_POSITIVE", "a refund is above zero")
        if sum(item.amount for item in self.items) > MINOR_MAX:
            raise Refused("AMOUNT_INVALID", "the lines are more than any sum may be")
        batch = RefundBatch(
            merchant_id=merchant.merchant_id,
            batch_no=self.batch_no,
            batch_id=self.batch_id,
            protocol=self.asker.protocol,
            state="asked" if self.asks else "running",
            lines=len(self.items),
            ended=0,
            digest=self._digest(),
            notify_url=self.notify_url,
            echo=self.echo,
            agreed_by="",
            created_at=now.business,
            ended_at=None,
        )
        lines = [
            RefundLine(
                merchant_id=merchant.merchant_id,
                batch_no=self.batch_no,
                n=n,
                trade_no=item.trade_no,
                amount=item.amount,
                currency=item.currency,
                reason=item.reason,
                splits=item.splits,
                state="waiting",
                code="",
                out_trade_no="",
                refund_n=0,
                ended_at=None,
            )
            for n, item in enumerate(self.items, 1)
        ]
        return Decision(batch, [(REFUND_BATCH, batch), *((REFUND_LINE, line) for line in lines)])

    def _digest(self) -> str:
        rows = [[item.trade_no, item.amount, item.currency, item.reason, item.splits] for item in self.items]
        return hashlib.sha256(json.dumps([rows, self.notify_url]).encode()).hexdigest()


@record
class ConfirmRefundBatch:
    """Somebody agrees to a batch that the merchant's browser carried, or sends it away: ``actor``, with the ``word`` of
    a merchant's operator, or without one an operator of the platform. One person suffices: it all goes back to who
    paid. Outcome: the ``RefundBatch``."""

    merchant_id: str
    batch_no: str
    actor: str
    agrees: bool = True
    word: str = ""
    reason: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield REFUND_BATCH, (self.merchant_id, self.batch_no)
        yield from person_needs(self.merchant_id, self.actor, self.word)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch: RefundBatch | None = sheet.get(REFUND_BATCH, self.merchant_id, self.batch_no)
        if batch is None:
            raise Refused("BATCH_NOT_FOUND", "no such batch")
        if batch.state != "asked":
            raise Refused("STATE_CONFLICT", f"the batch is {batch.state}")
        granted = AGREE_REFUNDS if self.agrees else REFUSE_REFUNDS
        actor, used = check_person(sheet, self.merchant_id, self.actor, self.word, granted, self.batch_no, now)
        if not actor:
            raise Refused("FIELD_MISSING", "a decision has a person")
        agreed = replace(
            batch,
            state="running" if self.agrees else "closed",
            agreed_by=actor,
            ended_at=None if self.agrees else now.business,
        )
        act = "refund_batch.agree" if self.agrees else "refund_batch.close"
        subject = f"{self.merchant_id}/{self.batch_no}"
        draft = AuditDraft(actor, act, subject, self.reason, batch.state, agreed.state)
        return Decision(agreed, [(REFUND_BATCH, agreed), *used], audits=[draft])


@record
class RunRefundLine:
    """A line's turn: it is refunded by the rule for all refunds, or keeps the code why not. ``out_trade_no`` is that of
    the line's trade, '' where there is none; ``back`` what receivers of shares give back, ``refusal`` why they cannot.
    Outcome: the ``RefundLine``."""

    merchant_id: str
    batch_no: str
    n: int
    protocol: str
    out_trade_no: str
    currency: str = "CNY"
    back: Back | None = None
    refusal: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield REFUND_BATCH, (self.merchant_id, self.batch_no)
        yield REFUND_LINE, (self.merchant_id, self.batch_no, self.n)
        if self.out_trade_no:
            yield from self._request(None, "", "[]").needs(sheet, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch: RefundBatch = sheet.get(REFUND_BATCH, self.merchant_id, self.batch_no)
        line: RefundLine = sheet.get(REFUND_LINE, self.merchant_id, self.batch_no, self.n)
        if batch.state != "running" or line.state != "waiting":
            return Decision(line)
        try:
            if not self.out_trade_no:
                raise Refused("TRADE_NOT_FOUND", "no such trade")
            if self.refusal:
                raise Refused(self.refusal, "shares cannot be given back as asked")
            if line.currency != self.currency:
                raise Refused("CURRENCY_NOT_ALLOWED", line.currency)
            made = self._request(line.amount, line.reason, line.splits).decide(sheet, now, lane)
        except Refused as refusal:
            failed = replace(line, state="failed", code=refusal.code, ended_at=now.business)
            return Decision(failed, _count(batch, [failed], now.business))
        given: Given = made.outcome
        done = replace(
            line,
            state=given.refund.state,
            out_trade_no=self.out_trade_no,
            refund_n=given.refund.n,
            ended_at=given.refund.ended_at,
        )
        return Decision(done, [*made.rows, *_count(batch, [done], now.business)], made.entries)

    def _request(self, amount: int | None, reason: str, splits: str) -> RequestRefund:
        return RequestRefund(
            Asker(self.merchant_id, self.protocol),
            self.out_trade_no,
            f"{self.batch_no}-{self.n}",
            amount,
            self.currency,
            reason=reason,
            batch_no=self.batch_no,
            of_trade=True,
            back=self.back,
            splits=splits,
        )


@record
class EndRefundLine:
    """A line's refund has had its bank's last word. Outcome: the ``RefundLine``."""

    merchant_id: str
    batch_no: str
    n: int
    out_trade_no: str
    refund_n: int
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield REFUND_BATCH, (self.merchant_id, self.batch_no)
        yield REFUND_LINE, (self.merchant_id, self.batch_no, self.n)
        yield from refund_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)
        yield REFUND, (self.merchant_id, self.out_trade_no, self.refund_n)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch: RefundBatch = sheet.get(REFUND_BATCH, self.merchant_id, self.batch_no)
        line: RefundLine = sheet.get(REFUND_LINE, self.merchant_id, self.batch_no, self.n)
        refund: Refund = sheet.get(REFUND, self.merchant_id, self.out_trade_no, self.refund_n)
        if line.state != "accepted" or refund.state == "accepted":
            return Decision(line)
        ended = replace(line, state=refund.state, code=refund.code, ended_at=refund.ended_at)
        return Decision(ended, _count(batch, [ended], now.business))


def _count(batch: RefundBatch, lines: Iterable[RefundLine], now: Instant) -> list[tuple[Table, Row]]:
    """The rows of lines that moved, and of their header, which ends with the last of them."""
    moved = list(lines)
    ended = batch.ended + sum(line.ended_at is not None for line in moved)
    rows: list[tuple[Table, Row]] = [(REFUND_LINE, line) for line in moved]
    if ended == batch.lines:
        done = replace(batch, ended=ended, state="done", ended_at=now)
        return [*rows, (REFUND_BATCH, done), *_event(done, now)]
    return [*rows, (REFUND_BATCH, replace(batch, ended=ended))]


def _event(batch: RefundBatch, now: Instant) -> list[tuple[Table, Row]]:
    """The event of a batch that has ended, where the merchant is to be told."""
    if not batch.notify_url:
        return []
    said = {"kind": "refunds", "number": batch.batch_no, "id": batch.batch_id, "protocol": batch.protocol}
    number = EVENTS + batch.batch_no
    return [(EVENT, ended_event(batch.merchant_id, number, batch.state, batch.notify_url, said, now))]
