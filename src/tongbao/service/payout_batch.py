"""Payouts by the batch: a header announces count and total, lines are loaded in chunks, as many persons agree as are
due, the whole sum is set aside at once, and chunks of lines run from it (T47, T67).

Every command says where in the batch it belongs, so that a repeat changes nothing and a stop is gone on from.
"""

from __future__ import annotations

from collections.abc import Sequence

from tongbao.kernel.error import Refused, ensure
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import merchant_available, merchant_payout, platform_fee
from tongbao.ledger.entry import Entry
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.ended import batch_event
from tongbao.service.merchant_operator import AGREE_PAYOUTS, REFUSE_PAYOUTS, check_person, person_maker, person_needs
from tongbao.service.payout import (
    COUNTED,
    Origin,
    ask_bank,
    check_checker,
    check_funds,
    check_payee,
    check_running,
    check_sum,
    count,
    is_stopped,
    make_payout,
    merchant_needs,
    needs_checker,
    pay_line,
    payee_needs,
    postings,
)
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import ACCOUNT, INSTRUCTION, MERCHANT, PAYOUT, PAYOUT_BATCH, SWITCH
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.agreement import Agreement, read_agreement
from tongbao.trade.party import Merchant
from tongbao.trade.payout import (
    BATCH_MAX,
    BatchState,
    Line,
    Payout,
    PayoutBatch,
    PayoutState,
    agreements_needed,
    move_batch,
    move_payout,
)


@record
class BatchSaid:
    """Where a batch stands: its state, how many lines are loaded and ended, how many persons must still agree."""

    batch_id: str
    state: str
    loaded: int
    ended: int
    missing: int = 0


def _said(batch: PayoutBatch, merchant: Merchant) -> BatchSaid:
    missing = 0
    if batch.state in (BatchState.LOADING, BatchState.PROPOSED):
        missing = max(0, persons_for(batch, read_agreement(merchant.settings)) - bool(batch.first))
    return BatchSaid(batch.batch_id, batch.state, batch.loaded, batch.ended, missing)


def persons_for(batch: PayoutBatch, agreement: Agreement) -> int:
    """How many persons must agree to a batch in all, whoever entered it left out."""
    return agreements_needed(batch.source, asks=batch.asks, above=needs_checker(batch.total, agreement))


@record
class OpenBatch:
    """Announce a batch. The same number again is the same batch, and asks for a person if it did the first time.
    ``digest`` is over all its lines, '' where they are not known yet."""

    asker: Asker
    batch_no: str
    batch_id: str
    name: str
    count: int
    total: int
    digest: str
    origin: Origin
    echo: str = "{}"
    currency: str = "CNY"
    asks: bool = False

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield PAYOUT_BATCH, (self.asker.merchant_id, self.batch_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant = self.asker.check(sheet)
        known: PayoutBatch | None = sheet.get(PAYOUT_BATCH, merchant.merchant_id, self.batch_no)
        if known is not None:
            if (known.count, known.total, known.digest) != (self.count, self.total, self.digest):
                raise Refused("PAYOUT_MISMATCH", "this batch number was used for another batch")
            return Decision(_said(known, merchant))
        if not self.batch_no or not 1 <= self.count <= BATCH_MAX:
            raise Refused("BATCH_INVALID", f"a batch has a number and 1 to {BATCH_MAX} lines")
        if self.total <= 0:
            raise Refused("AMOUNT_NOT_POSITIVE", "a batch's total is above zero")
        batch = PayoutBatch(
            merchant_id=merchant.merchant_id,
            batch_no=self.batch_no,
            batch_id=self.batch_id,
            name=self.name,
            state=move_batch("", BatchState.LOADING),
            count=self.count,
            total=self.total,
            fee=0,
            currency=self.currency,
            loaded=0,
            loaded_sum=0,
            ended=0,
            failed=0,
            paid=0,
            digest=self.digest,
            source=self.origin.source,
            protocol=self.origin.protocol,
            notify_url=self.origin.notify_url,
            echo=self.echo,
            maker=self.origin.maker,
            checker="",
            created_at=now.business,
            started_at=None,
            ended_at=None,
            asks=self.asks,
        )
        return Decision(_said(batch, merchant), [(PAYOUT_BATCH, batch)])


@record
class LoadLines:
    """The next lines of a batch, ``start`` of them being loaded before. A wrong one refuses the whole chunk by name;
    nothing has moved yet."""

    merchant_id: str
    batch_no: str
    start: int
    lines: tuple[Line, ...]

    @property
    def weight(self) -> int:
        """So many commands' place it takes in a batch."""
        return max(1, len(self.lines))

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT_BATCH, (self.merchant_id, self.batch_no)
        for line in self.lines:
            yield PAYOUT, (self.merchant_id, self.batch_no, line.payout_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch = find_batch(sheet, self.merchant_id, self.batch_no)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        if batch.state != BatchState.LOADING or batch.loaded > self.start:
            return Decision(_said(batch, merchant))
        if batch.loaded < self.start or batch.loaded + len(self.lines) > batch.count:
            raise Refused("BATCH_INVALID", f"{batch.loaded} of {batch.count} lines are loaded")
        agreement = read_agreement(merchant.settings)
        origin = Origin(batch.source, batch.protocol, "", batch.maker)
        rows: list[tuple[Table, Row]] = []
        seen: set[str] = set()
        for n, line in enumerate(self.lines, self.start + 1):
            if line.payout_no in seen or sheet.get(PAYOUT, self.merchant_id, self.batch_no, line.payout_no) is not None:
                raise Refused("BATCH_INVALID", f"line {n}: the number {line.payout_no} is in the batch already")
            seen.add(line.payout_no)
            try:
                check_sum(line, agreement)
            except Refused as refusal:
                raise Refused(refusal.code, f"line {n}: {refusal.detail}") from refusal
            fee = agreement.payout.of(line.amount)
            rows.append((PAYOUT, make_payout(self.merchant_id, self.batch_no, n, line, fee, origin, now.business)))
        loaded = replace(
            batch,
            loaded=batch.loaded + len(rows),
            loaded_sum=batch.loaded_sum + sum(row.amount for _, row in rows),
            fee=batch.fee + sum(row.fee for _, row in rows),
        )
        if loaded.loaded_sum > loaded.total:
            raise Refused("BATCH_INVALID", "the lines are more than the total")
        if loaded.loaded == loaded.count:
            if loaded.loaded_sum != loaded.total:
                raise Refused("BATCH_INVALID", "the lines are less than the total")
            loaded = replace(loaded, state=move_batch(loaded.state, BatchState.PROPOSED))
        return Decision(_said(loaded, merchant), [(PAYOUT_BATCH, loaded), *rows])


@record
class StartBatch:
    """``checker`` agrees to a complete batch, '' where nobody must; with the last of those who must, its whole sum is
    set aside and it runs. No two of them are one person, nor is one who entered it (T67); a merchant's person and the
    platform's operator who entered him count as one, since that one may know his password. ``word`` is that of a
    merchant's operator, see ``service.merchant_operator``; without it ``checker`` is an operator of the platform."""

    merchant_id: str
    batch_no: str
    checker: str = ""
    reason: str = ""
    currency: str = "CNY"
    word: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT_BATCH, (self.merchant_id, self.batch_no)
        yield from person_needs(self.merchant_id, self.checker, self.word)
        yield from merchant_needs(self.merchant_id, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch = find_batch(sheet, self.merchant_id, self.batch_no)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        if batch.state in (BatchState.RUNNING, BatchState.DONE):
            return Decision(_said(batch, merchant))
        if merchant.status != "approved":
            raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
        check_running(sheet)
        agreement = read_agreement(merchant.settings)
        checker, used = check_person(
            sheet, self.merchant_id, self.checker, self.word, AGREE_PAYOUTS, self.batch_no, now
        )
        wanted = persons_for(batch, agreement)
        if checker or wanted > bool(batch.first):
            check_checker(batch.maker, checker)
        maker = person_maker(sheet, self.merchant_id, self.checker, self.word)
        _check_others(batch, checker, maker)
        state = move_batch(batch.state, BatchState.RUNNING)
        drafts = [AuditDraft(checker, "payout.approve", batch.batch_id, self.reason)] if checker else []
        if bool(batch.first) + bool(checker) < wanted:
            half = replace(batch, first=checker, first_maker=maker)
            return Decision(_said(half, merchant), [(PAYOUT_BATCH, half), *used], audits=drafts)
        running = replace(batch, state=state, checker=checker, checker_maker=maker, due=wanted, started_at=now.business)
        whole = batch.total + batch.fee
        check_funds(sheet, self.merchant_id, self.currency, whole)
        counted = count(sheet, self.merchant_id, whole, agreement, now.business)
        aside = (
            merchant_available(self.merchant_id, self.currency),
            merchant_payout(self.merchant_id, self.currency),
            whole,
        )
        entry = Entry(f"payout_hold:{batch.batch_id}", "payout_hold", self.merchant_id, "", postings(aside))
        return Decision(_said(running, merchant), [(PAYOUT_BATCH, running), counted, *used], [entry], drafts)


def _check_others(batch: PayoutBatch, checker: str, maker: str) -> None:
    """``checker``, whom ``maker`` has entered where he is the merchant's, is another than who entered the batch and who
    agreed before, and nobody of them entered another. Raises Refused MAKER_IS_CHECKER."""
    if checker and checker == batch.first:
        raise Refused("MAKER_IS_CHECKER", "agreed already: now it is another person's turn")
    if (maker and maker in (batch.maker, batch.first)) or (checker and checker == batch.first_maker):
        raise Refused("MAKER_IS_CHECKER", "who entered a person counts as one with him: it is somebody else's turn")


@record
class CloseBatch:
    """Withdraw a batch before any of its money moved; its lines are closed with it as they are looked at. ``actor`` and
    ``word`` as ``checker`` and ``word`` of ``StartBatch``; ``tells``: its protocol has a message for that."""

    merchant_id: str
    batch_no: str
    actor: str
    reason: str
    tells: bool = False
    word: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT_BATCH, (self.merchant_id, self.batch_no)
        yield from person_needs(self.merchant_id, self.actor, self.word)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch = find_batch(sheet, self.merchant_id, self.batch_no)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        actor, used = check_person(sheet, self.merchant_id, self.actor, self.word, REFUSE_PAYOUTS, self.batch_no, now)
        closed = replace(batch, state=move_batch(batch.state, BatchState.CLOSED), ended_at=now.business)
        draft = AuditDraft(actor, "payout.refuse", batch.batch_id, self.reason)
        told = batch_event(closed, now.business) if self.tells else []
        return Decision(_said(closed, merchant), [(PAYOUT_BATCH, closed), *told, *used], audits=[draft])


@record
class RunLines:
    """Act on lines of a running batch: a balance is paid or refused at once, a bank is asked later. Lines are as they
    were looked up again; one that has been acted on is left alone. Outcome: how many were acted on."""

    merchant_id: str
    batch_no: str
    lines: tuple[Line, ...]
    currency: str = "CNY"

    @property
    def weight(self) -> int:
        """So many commands' place it takes in a batch."""
        return max(1, len(self.lines))

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield SWITCH, (COUNTED,)
        yield PAYOUT_BATCH, (self.merchant_id, self.batch_no)
        yield ACCOUNT, (merchant_available(self.merchant_id, self.currency),)
        yield ACCOUNT, (merchant_payout(self.merchant_id, self.currency),)
        yield ACCOUNT, (platform_fee(lane, self.currency),)
        for line in self.lines:
            yield PAYOUT, (self.merchant_id, self.batch_no, line.payout_no)
            yield from payee_needs(line.kind, line.payee_id, self.currency)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch = find_batch(sheet, self.merchant_id, self.batch_no)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        if batch.state != BatchState.RUNNING or merchant.status != "approved" or is_stopped(sheet):
            # somebody else came first; or the merchant is frozen, or all payouts are stopped: then it waits
            return Decision(0)
        aside = merchant_payout(self.merchant_id, self.currency)
        rows: list[tuple[Table, Row]] = []
        entries: list[Entry] = []
        ended: list[Payout] = []
        acted = 0
        for line in self.lines:
            payout: Payout | None = sheet.get(PAYOUT, self.merchant_id, self.batch_no, line.payout_no)
            if payout is None or payout.state != PayoutState.PROPOSED:
                continue
            payout, acted = replace(payout, payee_id=line.payee_id, kind=line.kind), acted + 1
            try:
                check_payee(sheet, self.merchant_id, line)
            except Refused as refusal:
                failed = _fail(payout, refusal.code, now.business)
                rows.append((PAYOUT, failed))
                ended.append(failed)
                entries.append(_return(failed, aside, self.currency))
                continue
            if payout.kind == "card":
                sent = replace(payout, state=move_payout(payout.state, PayoutState.SENT))
                rows += [(PAYOUT, sent), (INSTRUCTION, ask_bank(sent, now.business))]
                continue
            done, more, entry = pay_line(payout, aside, now.business, lane)
            rows += more
            entries.append(entry)
            ended.append(done)
        rows += count_ended(sheet, self.merchant_id, self.batch_no, ended, now.business)
        return Decision(acted, rows, entries)


def _fail(payout: Payout, code: str, now: Instant) -> Payout:
    return replace(payout, state=move_payout(payout.state, PayoutState.FAILED), code=code, ended_at=now)


def _return(payout: Payout, aside: str, currency: str) -> Entry:
    moves = postings((aside, merchant_available(payout.merchant_id, currency), payout.amount + payout.fee))
    return Entry(f"payout_return:{payout.payout_id}", "payout_return", payout.merchant_id, "", moves)


def find_batch(sheet: Sheet, merchant_id: str, batch_no: str) -> PayoutBatch:
    """A merchant's batch. Raises Refused BATCH_NOT_FOUND."""
    batch: PayoutBatch | None = sheet.get(PAYOUT_BATCH, merchant_id, batch_no)
    if batch is None:
        raise Refused("BATCH_NOT_FOUND", "no such batch")
    return batch


def count_ended(
    sheet: Sheet, merchant_id: str, batch_no: str, ended: Sequence[Payout], now: Instant
) -> list[tuple[Table, Row]]:
    """The header after these lines have ended, and the event where they were the last; nothing for a single payout."""
    if not batch_no or not ended:
        return []
    batch = find_batch(sheet, merchant_id, batch_no)
    after = replace(
        batch,
        ended=batch.ended + len(ended),
        failed=batch.failed + sum(1 for one in ended if one.state == PayoutState.FAILED),
        paid=batch.paid + sum(one.amount for one in ended if one.state == PayoutState.SUCCEEDED),
    )
    ensure(after.ended <= after.count, "a batch ends with its last line")
    if after.ended < after.count:
        return [(PAYOUT_BATCH, after)]
    done = replace(after, state=move_batch(after.state, BatchState.DONE), ended_at=now)
    return [(PAYOUT_BATCH, done), *batch_event(done, now)]
