"""The platform's books against every bank's statement, day by day (I29, F51, F52).

Both lists are matched by our instruction's number within its kind. What stands on one side only and may still come
waits for the next day's statement; what does not agree becomes a case. Money that the bank has and we never asked for,
and money that it took, rests in suspense until two operators have said where it belongs; nothing is absorbed in
silence.
"""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import HOUR, Instant, business_date, business_day, later
from tongbao.ledger.account import bank_clearing, platform_suspense
from tongbao.ledger.entry import Entry, Posting
from tongbao.merchant.match import Class, Difference, Frame, Line, Matcher, Side
from tongbao.service.bill import is_over
from tongbao.service.channel import BankWord, StatementLine
from tongbao.service.chargeback import KIND as CHARGEBACK_LINE
from tongbao.service.chargeback import take_lines
from tongbao.service.checkout import take_word
from tongbao.service.command import Needs
from tongbao.service.movement import Move, bounds, walk
from tongbao.service.platform import Platform
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Case, CaseKind
from tongbao.store.schema import ACCOUNT, CASE, CHARGEBACK, GAP, STATEMENT
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.claim import Chargeback
from tongbao.trade.reconcile import CHUNK, Gap, Statement
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent

CUTOFF: Final = 3 * HOUR
"""How near to midnight a payment of ours may be that the bank enters in its next day's statement."""

AFTER: Final = 30_000
"""How long after midnight a day is compared, in milliseconds of business time."""

PAGE: Final = 2_000
KINDS: Final = ("pay", "refund", "payout", "fund", "chargeback")
_INCOME: Final = frozenset({"pay", "fund"})
_BY_ENTRY: Final = {"topup": "fund", "chargeback": "chargeback"}
"""Entries on a bank's account that no instruction stands behind, and the bank's word for them."""


@record
class Finding:
    """One difference as it is written down. ``what``: a ``Class``; ``money`` is what rests in suspense for it, in minor
    units, below zero where the bank took it; 0 where nothing does."""

    what: str
    kind: str
    number: str
    side: str
    amount: int
    currency: str
    at: Instant
    money: int
    waits: bool


@record
class Compared:
    """What a statement came to."""

    statement: Statement
    findings: tuple[Finding, ...]


@record
class RecordFindings:
    """Some differences of one statement: waiting lines, cases, and money into suspense. Harmless when repeated."""

    bank: str
    day: int
    findings: tuple[Finding, ...]
    settled: tuple[tuple[str, str, str], ...] = ()
    """(kind, number, side) of lines that waited and whose other side came."""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        for kind, number, side in (*((one.kind, one.number, one.side) for one in self.findings), *self.settled):
            yield GAP, (self.bank, kind, number, side)
        for one in self.findings:
            yield CASE, (case_number(self.bank, self.day, one),)
        for currency in {one.currency for one in self.findings if one.money}:
            yield ACCOUNT, (bank_clearing(self.bank, lane, currency),)
            yield ACCOUNT, (platform_suspense(lane, currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        rows: list[tuple[Table, Row]] = []
        entries: list[Entry] = []
        for kind, number, side in self.settled:
            known: Gap | None = sheet.get(GAP, self.bank, kind, number, side)
            if known is not None and known.state == "waiting":
                rows.append((GAP, replace(known, state="settled", closed_day=self.day)))
        for one in self.findings:
            number = case_number(self.bank, self.day, one)
            gap: Gap | None = sheet.get(GAP, self.bank, one.kind, one.number, one.side)
            if sheet.get(CASE, number) is not None or (gap is not None and gap.closed_day == self.day):
                continue
            if one.waits:
                if gap is None:
                    rows.append((GAP, self._gap(one, "waiting", "")))
                continue
            rows.append(
                (
                    GAP,
                    replace(gap, state="case", case_id=number, closed_day=self.day)
                    if gap
                    else self._gap(one, "case", number),
                )
            )
            rows.append((CASE, self._case(one, number, now.business)))
            if one.money:
                entries.append(self._entry(one, number, lane))
        return Decision(len(rows), rows, entries)

    def _gap(self, one: Finding, state: str, case_id: str) -> Gap:
        closed = 0 if state == "waiting" else self.day
        return Gap(
            self.bank,
            one.kind,
            one.number,
            one.side,
            self.day,
            one.amount,
            one.currency,
            one.at,
            state,
            case_id,
            closed,
        )

    def _case(self, one: Finding, number: str, now: Instant) -> Case:
        kind: CaseKind = "statement"
        if one.money:
            kind = "statement_credit" if one.money > 0 else "statement_debit"
        return Case(
            case_id=number,
            kind=kind,
            merchant_id="",
            out_trade_no="",
            subject=f"{self.bank} {one.kind} {one.number}",
            amount=abs(one.money) or one.amount,
            currency=one.currency,
            state="open",
            note=f"{_WORDS[one.what]}; operations ask {self.bank} for the cause and propose the entry that closes it",
            opened_at=now,
            closed_at=None,
        )

    def _entry(self, one: Finding, number: str, lane: int) -> Entry:
        bank, rest = bank_clearing(self.bank, lane, one.currency), platform_suspense(lane, one.currency)
        ends = (bank, rest) if one.money > 0 else (rest, bank)
        return Entry(number, "statement", "", "", (Posting(*ends, abs(one.money)),))


_WORDS: Final = {
    str(Class.MISSING_HERE): "the bank has entered what we never asked for",
    str(Class.MISSING_THERE): "the bank has not entered what it told us",
    str(Class.AMOUNT_DIFFERS): "the bank has entered another sum",
    str(Class.DUPLICATE): "the bank has entered it more than once",
}


def case_number(bank: str, day: int, one: Finding) -> str:
    """The number of a difference's case, and the key of its entry."""
    return f"statement:{bank}:{day}:{one.kind}:{one.number}"


@record
class RecordStatement:
    """The statement of a day is compared. Outcome: whether it was not before."""

    statement: Statement

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield STATEMENT, (self.statement.bank, self.statement.day)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(STATEMENT, self.statement.bank, self.statement.day) is not None:
            return Decision(False)
        return Decision(True, [(STATEMENT, replace(self.statement, at=now.business))])


# --- the two lists -------------------------------------------------------------------------------------------------


async def statement_pages(platform: Platform, bank: str, day: int) -> AsyncIterator[tuple[StatementLine, ...]]:
    """A bank's statement of a day, page by page. Raises OutcomeUnknown where the bank does not answer."""
    channel, after = platform.channel(bank), ""
    while True:
        request = channel.statement(bank, day, after)
        try:
            page = channel.read_statement(await platform.world.send(request, CALL_LIMITS))
        except (NotSent, NoAnswer, RemoteProtocolError) as error:
            raise OutcomeUnknown(f"{bank} gives no statement: {error}") from error
        if page.lines:
            yield page.lines
        if not page.more or not page.lines:
            return
        after = page.lines[-1].ref


async def own_lines(platform: Platform, bank: str, low: Instant, high: Instant) -> AsyncIterator[Line]:
    """What the books say the bank did between two instants."""
    after, number = later(low, -1), ""
    while True:
        where = {"bank": bank, "since": low, "until": high, "moved_after": after, "number_after": number, "most": PAGE}
        rows = await platform.database.read("statement.own", where)
        for instruction_no, kind, amount, currency, moved_at in rows:
            yield Line(kind=kind, key=instruction_no, amount=amount, currency=currency, at=Instant(moved_at))
        if len(rows) < PAGE:
            break
        number, after = rows[-1][0], rows[-1][4]
    last: Line | None = None
    async for move in walk(platform.database, low, high, f"bank:{bank}:"):
        if move.kind not in _BY_ENTRY:
            continue
        kind, key, amount = _BY_ENTRY[move.kind], _reference(move), move.amount
        if last is not None and (last.kind, last.key) == (kind, key):
            # a merchant bore it out of several accounts: postings of one entry follow one another
            amount += last.amount
        elif last is not None:
            yield last
        last = Line(kind=kind, key=key, amount=amount, currency=_currency(move), at=move.at)
    if last is not None:
        yield last


def _reference(move: Move) -> str:
    return move.key.rpartition(":")[2] if move.kind == "chargeback" else move.key.partition(":")[2]


def _currency(move: Move) -> str:
    return move.debit.rpartition(":")[2]


@dataclass(slots=True)
class _Known:
    """What the books know of the numbers that stand on the bank's side only. ``closed``: (kind, number) of those that
    an earlier statement had already, whose other side has long come."""

    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    closed: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    async def load(cls, platform: Platform, bank: str, day: int, differences: Sequence[Difference]) -> _Known:
        found = cls()
        alone = [one for one in differences if not one.here_lines]
        for place in range(0, len(alone), CHUNK):
            part = alone[place : place + CHUNK]
            rows = await platform.database.read("statement.instructions", {"numbers": [one.key for one in part]})
            found.states.update({row[0]: (row[4], row[2]) for row in rows})
            refs = sorted((bank, one.key) for one in part if one.kind == CHARGEBACK_LINE)
            backs: list[Chargeback] = await platform.database.load(CHARGEBACK, refs) if refs else []
            found.states.update({back.bank_ref: ("succeeded", back.amount) for back in backs})
            keys = sorted((bank, one.kind, one.key, "there") for one in part)
            gaps: list[Gap] = await platform.database.load(GAP, keys)
            found.closed.update((gap.kind, gap.number) for gap in gaps if 0 < gap.closed_day < day)
        return found


# --- together ------------------------------------------------------------------------------------------------------


async def reconcile_bank(platform: Platform, bank: str, day: date) -> Compared:
    """Compare one bank's statement of a day that is over with the books, and write down what does not agree.

    Raises Refused BILL_NOT_READY before the day is over, STATE_CONFLICT when the day was compared with another
    statement, OutcomeUnknown when the bank does not answer.
    """
    low, high = bounds(day)
    if not await is_over(platform, high):
        raise Refused("BILL_NOT_READY", "a statement is compared when its day is over")
    number = business_day(low)
    waited = await platform.database.read("gap.waiting", {"bank": bank, "day": number})
    with tempfile.TemporaryDirectory(prefix="tongbao-match-") as folder, _Table(platform, Path(folder)) as both:
        done: list[Statement] = await platform.database.load(STATEMENT, [(bank, number)])
        told = await both.read_statement(bank, number, entering=not done)
        if done:
            if not hmac.compare_digest(done[0].digest, told.digest):
                raise Refused("STATE_CONFLICT", "this day was compared with another statement of the bank")
            return Compared(done[0], ())
        await both.read_books(bank, low, high)
        matched, differences = await both.match(waited, Frame(low, high, CUTOFF))
    findings = _findings(differences, await _Known.load(platform, bank, number, differences), waited, high)
    still = {(one.kind, one.number, one.side) for one in findings}
    settled = [(kind, name, side) for kind, name, side, *_ in waited if (kind, name, side) not in still]
    for place in range(0, max(len(findings), len(settled)), CHUNK):
        chunk = tuple(findings[place : place + CHUNK]), tuple(settled[place : place + CHUNK])
        await platform.submit(RecordFindings(bank, number, *chunk))
    waits = sum(one.waits for one in findings)
    statement = replace(told, matched=matched, waiting=waits, differences=len(findings) - waits)
    await platform.submit(RecordStatement(statement))
    return Compared(statement, tuple(findings))


class _Table:
    """Both lists on their way into the engine, which is started when there is something to match."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder
        self._matcher: Matcher | None = None

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        if self._matcher is not None:
            self._matcher.__exit__()

    async def read_statement(self, bank: str, day: int, *, entering: bool) -> Statement:
        """Read what the bank says, believe its words about what we did not know the end of, and lay the lines down.
        Chargebacks are entered while the day is not compared: afterwards a line that was not has its case."""
        digest = hashlib.sha256()
        lines = income = outcome = 0
        async for page in statement_pages(self._platform, bank, day):
            await _take_words(self._platform, bank, page)
            if entering:
                await take_lines(self._platform, bank, day, page)
            for line in page:
                digest.update(f"{line}\n".encode())
                lines += 1
                income += line.amount if line.income else 0
                outcome += 0 if line.income else line.amount
            await self._add(Side.THERE, [_there(line) for line in page])
        return Statement(bank, day, digest.hexdigest(), lines, income, outcome, 0, 0, 0, Instant(0))

    async def read_books(self, bank: str, low: Instant, high: Instant) -> None:
        """Lay down what we say."""
        batch: list[Line] = []
        async for line in own_lines(self._platform, bank, low, high):
            batch.append(line)
            if len(batch) >= PAGE:
                await self._add(Side.HERE, batch)
                batch = []
        await self._add(Side.HERE, batch)

    async def _add(self, side: Side, lines: list[Line]) -> None:
        if lines:
            await self._platform.world.compute(lambda: self._engine().add_lines(side, lines))

    def _engine(self) -> Matcher:
        if self._matcher is None:
            self._matcher = Matcher(self._folder, kinds=KINDS, threads=1)
        return self._matcher

    async def match(self, waited: Sequence[tuple[Any, ...]], frame: Frame) -> tuple[int, list[Difference]]:
        """How many lines agree, and everything else."""
        for side, name in ((Side.HERE_WAITING, "here"), (Side.THERE_WAITING, "there")):
            rows = [row for row in waited if row[2] == name]
            await self._add(
                side,
                [Line(kind=row[0], key=row[1], amount=row[3], currency=row[4], at=Instant(row[5])) for row in rows],
            )
        if self._matcher is None:
            return 0, []
        matcher = self._matcher
        match = await self._platform.world.compute(lambda: matcher.match(frame))
        wanted = (Class.MISSING_HERE, Class.MISSING_THERE, Class.AMOUNT_DIFFERS, Class.DUPLICATE, Class.WAITING)
        return match.many(Class.MATCHED), list(match.differences(*wanted))


async def _take_words(platform: Platform, bank: str, lines: Sequence[StatementLine]) -> None:
    """A statement is a bank's word: what we did not know the end of has ended (an unknown outcome is resolved by
    inquiry, statement or person)."""
    wanted = {line.number: line for line in lines if line.kind in ("pay", "refund", "payout")}
    numbers = list(wanted)
    for place in range(0, len(numbers), CHUNK):
        rows = await platform.database.read("statement.instructions", {"numbers": numbers[place : place + CHUNK]})
        for number, kind, amount, currency, state in rows:
            line = wanted[number]
            if state != "succeeded" and (line.kind, line.amount, line.currency) == (kind, amount, currency):
                await take_word(platform, BankWord(number, "succeeded", amount, currency, line.ref))


def _there(line: StatementLine) -> Line:
    """Kinds that we do not know are compared as money from outside, under the bank's own reference. A chargeback has
    its own, too: one payment may be taken back in parts."""
    if line.kind == CHARGEBACK_LINE and not line.income:
        return Line(kind=line.kind, key=line.ref, amount=line.amount, currency=line.currency, at=line.at)
    kind = line.kind if line.kind in KINDS and line.kind != CHARGEBACK_LINE else "fund"
    return Line(kind=kind, key=line.number or line.ref, amount=line.amount, currency=line.currency, at=line.at)


def _findings(
    differences: Sequence[Difference], known: _Known, waited: Sequence[tuple[Any, ...]], high: Instant
) -> list[Finding]:
    waiting = {tuple(row[:3]) for row in waited}
    return [_finding(one, known, waiting, high) for one in differences]


def _finding(one: Difference, known: _Known, waiting: set[tuple[Any, ...]], high: Instant) -> Finding:
    side = "here" if one.here_lines else "there"
    here, there = one.here_amount or 0, one.there_amount or 0
    waits = one.what is Class.WAITING
    money = 0
    if side == "there" and (one.kind, one.key, side) not in waiting:
        state, amount = known.states.get(one.key, ("", 0))
        # ours, and entered on another day: that day's statement has no line for it, and so it waits for ours
        waits = state == "succeeded" and amount == there and (one.kind, one.key) not in known.closed
    what = one.what
    if waits:
        what = Class.WAITING
    elif side == "there":
        again = one.there_lines > 1 or (one.kind, one.key) in known.closed
        money, what = there * one.there_lines, Class.DUPLICATE if again else Class.MISSING_HERE
    elif one.what is Class.WAITING or not one.there_lines:
        what = Class.MISSING_THERE
    elif one.what is Class.AMOUNT_DIFFERS:
        money = there - here
    else:
        money = there * one.there_lines - here * one.here_lines
    sign = 1 if one.kind in _INCOME else -1
    return Finding(
        what=str(what),
        kind=one.kind,
        number=one.key,
        side=side,
        amount=here or there,
        currency=one.currency,
        at=one.at if one.at is not None else high,
        money=sign * money,
        waits=waits,
    )


# --- the duty ------------------------------------------------------------------------------------------------------


class Reconciler:
    """The daily duty: every bank's statement of every day that is over and not compared yet, oldest first."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._silent: dict[str, Instant] = {}
        self._next: Instant | None = None

    async def round(self) -> int:
        """Compare what is due; returns how many statements that were."""
        done, now = 0, self._platform.world.clock.business()
        if self._next is not None and now < self._next:
            return 0
        for bank, day in await self._open():
            if now < self._due(bank, day):
                continue
            try:
                compared = await reconcile_bank(self._platform, bank, day)
            except (OutcomeUnknown, Refused) as error:
                self._silent[bank] = later(now, HOUR)
                self._platform.world.log("reconcile.failed", bank=bank, day=f"{day}", reason=str(error))
                continue
            done += 1
            if compared.statement.differences:
                many = compared.statement.differences
                self._platform.world.log("reconcile.differences", bank=bank, day=f"{day}", many=many)
        # a bank that we first deal with today has its first statement after midnight
        midnight = later(bounds(business_date(now))[1], AFTER)
        self._next = min(await self.next_due() or midnight, midnight)
        return done

    def _due(self, bank: str, day: date) -> Instant:
        return max(later(bounds(day)[1], AFTER), self._silent.get(bank, Instant(0)))

    async def next_due(self) -> Instant | None:
        """When the next statement is due (business time), or None where no bank was ever asked."""
        return min((self._due(bank, day) for bank, day in await self._open()), default=None)

    async def _open(self) -> list[tuple[str, date]]:
        """The next day to compare of each bank that owes or owed us anything, or was ever asked for something."""
        database = self._platform.database
        last: dict[str, int] = {row[0]: row[1] for row in await database.read("statement.last")}
        first: dict[str, Instant] = {}
        for code, opened_at in await database.read("statement.banks"):
            bank = code.split(":")[1]
            first[bank] = min(first.get(bank, opened_at), opened_at)
        found = []
        for bank, opened_at in sorted(first.items()):
            day = business_date(opened_at)
            if bank in last:
                past = date(last[bank] // 10_000, last[bank] // 100 % 100, last[bank] % 100)
                day = date.fromordinal(past.toordinal() + 1)
            found.append((bank, day))
        return found
