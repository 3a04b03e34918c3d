"""Settlement's commands: gather a chunk of lines, make the last one available, release a reserve, add a day.

A line is what a trade has left on *pending*. It is added up outside, from the postings, and is as good as the trade's
row was then: the row is compared here, under its lock, with the row that was seen before the adding, so a refund or a
split in between makes the chunk be added up again.
"""

from __future__ import annotations

from collections.abc import Iterable

from tongbao.kernel.error import Refused, ensure
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import (
    Account,
    merchant_available,
    merchant_pending,
    merchant_reserve,
    merchant_settling,
    platform_fee,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import (
    ACCOUNT,
    CALENDAR_DAY,
    MERCHANT,
    SETTLEMENT,
    SETTLEMENT_DAY,
    SETTLEMENT_LINE,
    SHARE,
    TRADE,
)
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.agreement import read_agreement
from tongbao.trade.calendar import CalendarDay, read_day
from tongbao.trade.party import Merchant
from tongbao.trade.record import Trade
from tongbao.trade.settlement import (
    Settlement,
    SettlementDay,
    SettlementLine,
    Share,
    new_share,
    reserve_end,
    split_total,
)


@record
class Sums:
    """What moved on *pending* for one trade, in minor units, and the trade's rows as they were before the adding."""

    trade: Trade
    share: Share | None
    gross: int
    charged: int
    refunded: int
    shared: int

    @property
    def left(self) -> int:
        """What is or was the merchant's of it."""
        return self.gross - self.charged - self.refunded - self.shared


@record
class Gathered:
    """``again``: a trade moved meanwhile, nothing was done. ``state`` and ``amount`` are the batch's afterwards;
    ``chunks`` and ``cursor`` where it goes on."""

    again: bool
    state: str = ""
    amount: int = 0
    chunks: int = 0
    cursor: str = ""


@record
class SettleChunk:
    """The next lines of one batch. ``chunk`` counts from 1, so that a repeat is seen; ``last`` ends the batch.

    ``patient``: a trade that moved meanwhile makes the whole chunk be added up again; else it waits for the next batch.
    """

    merchant_id: str
    settlement_no: str
    kind: str
    day: int
    chunk: int
    sums: tuple[Sums, ...]
    cursor: str
    last: bool
    patient: bool = True
    currency: str = "CNY"

    @property
    def weight(self) -> int:
        """So many commands' place it takes in a batch."""
        return max(1, len(self.sums))

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield SETTLEMENT, (self.merchant_id, self.settlement_no)
        for one in self.sums:
            yield TRADE, (self.merchant_id, one.trade.out_trade_no)
            yield SHARE, (self.merchant_id, one.trade.out_trade_no)
        for name in (merchant_pending, merchant_settling, merchant_available, merchant_reserve):
            yield ACCOUNT, (name(self.merchant_id, self.currency),)
        yield ACCOUNT, (platform_fee(lane, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if merchant is None or merchant.status != "approved":
            raise Refused("MERCHANT_DISABLED", "nothing is settled to this merchant now")
        known: Settlement | None = sheet.get(SETTLEMENT, self.merchant_id, self.settlement_no)
        if known is not None and (known.state == "done" or known.chunks != self.chunk - 1):
            return Decision(_said(known))
        if known is None:
            if self.chunk != 1:
                raise Refused("STATE_CONFLICT", "the batch has not begun")
            # what is not agreed is not begun either: half a batch would stand in the way of every later one
            split_total(0, self.kind, read_agreement(merchant.settings))
        if self.patient and any(self._moved(sheet, one) for one in self.sums):
            return Decision(Gathered(True))
        rows, lines = self._take(sheet)
        before = known or self._open(now.business)
        amount = sum(line.amount for line in lines)
        pending: Account | None = sheet.get(ACCOUNT, merchant_pending(self.merchant_id, self.currency))
        if not 0 <= amount <= (pending.balance if pending is not None else 0):
            raise Refused("MERCHANT_FUNDS", "more was taken back than there is to settle")
        after = replace(
            before,
            chunks=self.chunk,
            cursor=self.cursor,
            lines=before.lines + len(lines),
            amount=before.amount + amount,
        )
        if not after.lines and self.last and known is None:
            # a batch of nothing is none; what it passed by is written down
            return Decision(_said(after), rows)
        entries, done = self._post(after, before.amount, amount, merchant, now.business, lane)
        rows.append((SETTLEMENT, done))
        rows += [(SETTLEMENT_LINE, line) for line in lines]
        return Decision(_said(done), rows, entries)

    def _moved(self, sheet: Sheet, one: Sums) -> bool:
        key = (self.merchant_id, one.trade.out_trade_no)
        return bool((sheet.get(TRADE, *key), sheet.get(SHARE, *key)) != (one.trade, one.share))

    def _open(self, now: Instant) -> Settlement:
        return Settlement(
            self.merchant_id,
            self.settlement_no,
            self.kind,
            self.day,
            "open",
            0,
            "",
            0,
            0,
            0,
            0,
            None,
            self.currency,
            now,
            None,
        )

    def _take(self, sheet: Sheet) -> tuple[list[tuple[Table, Row]], list[SettlementLine]]:
        """The lines of this chunk, and each trade's share after it: settled, or passed by."""
        rows: list[tuple[Table, Row]] = []
        lines: list[SettlementLine] = []
        for one in self.sums:
            number = one.trade.out_trade_no
            known: Share | None = sheet.get(SHARE, self.merchant_id, number)
            share = known or new_share(self.merchant_id, number)
            amount = one.left - share.settled
            waits = share.waiting or (share.later and not share.finished)
            # what was taken back comes off the first chunk, which was made large enough for it
            late = amount < 0 and self.chunk > 1
            held = bool(amount) and (waits or late or self._moved(sheet, one))
            if amount and not held:
                lines.append(
                    SettlementLine(
                        self.merchant_id,
                        self.settlement_no,
                        number,
                        one.gross,
                        one.charged,
                        one.refunded,
                        one.shared,
                        share.settled,
                        amount,
                    )
                )
                rows.append((SHARE, replace(share, settled=share.settled + amount, held=False)))
            elif held != share.held:
                rows.append((SHARE, replace(share, held=held)))
        return rows, lines

    def _post(
        self, batch: Settlement, gathered: int, amount: int, merchant: Merchant, now: Instant, lane: int
    ) -> tuple[list[Entry], Settlement]:
        pending = merchant_pending(self.merchant_id, self.currency)
        settling = merchant_settling(self.merchant_id, self.currency)
        if not self.last:
            if not amount:
                return [], batch
            key = f"settle:{batch.settlement_no}:{self.merchant_id}:{self.chunk}"
            return [Entry(key, "settle_part", self.merchant_id, "", (Posting(pending, settling, amount),))], batch
        available = merchant_available(self.merchant_id, self.currency)
        agreement = read_agreement(merchant.settings)
        fee, reserve = split_total(batch.amount, self.kind, agreement)
        moves = (
            (pending, available, amount),
            (settling, available, gathered),
            (available, platform_fee(lane, self.currency), fee),
            (available, merchant_reserve(self.merchant_id, self.currency), reserve),
        )
        ensure(gathered + amount == batch.amount, "a batch is what its chunks gathered")
        done = replace(batch, state="done", fee=fee, reserve=reserve, ended_at=now)
        if not batch.amount:
            return [], done
        entry = Entry(
            f"settle:{batch.settlement_no}:{self.merchant_id}",
            "settle",
            self.merchant_id,
            "",
            tuple(Posting(debit, credit, moved) for debit, credit, moved in moves if moved),
        )
        until = reserve_end(agreement, now) if reserve else None
        return [entry], replace(done, reserve_until=until)


def _said(batch: Settlement) -> Gathered:
    return Gathered(False, batch.state, batch.amount, batch.chunks, batch.cursor)


@record
class ReleaseReserve:
    """The days of a reserve are over: what refunds left of it is the merchant's to spend. Outcome: the sum."""

    merchant_id: str
    settlement_no: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SETTLEMENT, (self.merchant_id, self.settlement_no)
        yield ACCOUNT, (merchant_reserve(self.merchant_id, self.currency),)
        yield ACCOUNT, (merchant_available(self.merchant_id, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        batch: Settlement | None = sheet.get(SETTLEMENT, self.merchant_id, self.settlement_no)
        if batch is None:
            raise Refused("BATCH_NOT_FOUND", "no such settlement")
        if batch.reserve_until is None or batch.reserve_until > now.business:
            return Decision(0)
        reserve = merchant_reserve(self.merchant_id, self.currency)
        account: Account | None = sheet.get(ACCOUNT, reserve)
        amount = min(batch.reserve, account.balance if account is not None else 0)
        rows = [(SETTLEMENT, replace(batch, reserve_until=None))]
        if not amount:
            return Decision(0, rows)
        posting = Posting(reserve, merchant_available(self.merchant_id, self.currency), amount)
        key = f"reserve:{self.settlement_no}:{self.merchant_id}"
        return Decision(amount, rows, [Entry(key, "reserve_release", self.merchant_id, "", (posting,))])


@record
class MarkSettlementDay:
    """Settlement of a business date over all merchants has begun, or has ended. Outcome: its state afterwards."""

    day: int
    ended: bool
    merchants: int = 0
    amount: int = 0

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SETTLEMENT_DAY, (self.day,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: SettlementDay | None = sheet.get(SETTLEMENT_DAY, self.day)
        if known is None:
            known = SettlementDay(self.day, "running", 0, 0, now.business, None)
        elif known.state == "done" or not self.ended:
            return Decision(known.state)
        if self.ended:
            known = replace(known, state="done", merchants=self.merchants, amount=self.amount, ended_at=now.business)
        return Decision(known.state, [(SETTLEMENT_DAY, known)])


@record
class PutCalendarDays:
    """An operator adds days off or working days that the tables do not know. Outcome: how many."""

    days: tuple[int, ...]
    working: bool
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        for day in self.days:
            yield CALENDAR_DAY, (day,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        days = _real_days(self.days)
        made = [CalendarDay(day, self.working, self.actor, self.reason, now.business) for day in days]
        act = "calendar.on" if self.working else "calendar.off"
        drafts = [AuditDraft(self.actor, act, str(day), self.reason) for day in days]
        return Decision(len(made), [(CALENDAR_DAY, row) for row in made], audits=drafts)


def _real_days(days: Iterable[int]) -> list[int]:
    found = sorted(set(days))
    for day in found:
        try:
            read_day(day)
        except ValueError as error:
            raise Refused("FIELD_INVALID", f"{day} is no day") from error
    return found
