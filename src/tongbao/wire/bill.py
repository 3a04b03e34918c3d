"""Bills as files: our own format, the rule that keeps formulas out of every spreadsheet, and shapes for engines.

Our format is UTF-8 with a byte order mark, comma separated, quoted as in RFC 4180, lines ended by CR LF: one heading,
one line per movement, and one ``total`` line per currency, without which a file is cut (F51). Sums are in major units.

**No cell is a formula** (T64): a text cell that does not begin with a letter gets one apostrophe in front, and the
reader takes one away. So ``=1+1``, ``-5``, ``＠x``, a tab, and long numbers that a spreadsheet would round are all kept
as text, and what was written is read back exactly. Sums and times are written by us from typed values and need no
apostrophe.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import EXPONENT, Money
from tongbao.kernel.time import Instant, china_text, parse_china
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

KINDS: Final = (
    "payment",
    "refund",
    "fee",
    "fee_return",
    "split",
    "payout",
    "payout_return",
    "settlement",
    "adjustment",
    "chargeback",
)
"""What a line may be (``BillLine.kind``)."""

COLUMNS: Final = (
    "kind",
    "at",
    "income",
    "outcome",
    "fee",
    "balance",
    "amount",
    "currency",
    "out_trade_no",
    "trade_no",
    "refund_no",
    "refund_id",
    "serial",
    "subject",
    "buyer_id",
    "buyer_login",
    "method",
    "bank",
    "state",
    "created_at",
    "rate",
    "memo",
)
"""The heading of our format."""

TOTAL: Final = "total"
CELL_MAX: Final = 4_096
"""Characters one cell may have."""

CHUNK: Final = 65_536
_BOM: Final = "\ufeff"
_TEXTS: Final = (
    "out_trade_no",
    "trade_no",
    "refund_no",
    "refund_id",
    "serial",
    "subject",
    "buyer_id",
    "buyer_login",
    "method",
    "bank",
    "state",
    "memo",
)
_PLACE: Final = {name: index for index, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BillShape:
    """How an engine reads a kind of bill without going through its ``read``: a delimited file, a line per movement.

    ``columns`` names the file's columns by position; the names that count are ``kind``, ``order_no``, ``refund_no``,
    ``income``, ``outcome``, ``amount`` (where a file has one sum without a direction), ``currency``, ``at``; any other
    name is a column nobody reads. ``kinds`` gives the file's words for ``kind`` -> ours; a line with another word is
    no movement (totals, notes) and is left out. ``strip``: characters that stand around cells. ``charset`` must keep
    delimiter and quote apart from its letters (GBK does). ``minor``: sums are whole minor units. ``guarded``: text
    cells are as ``guard`` writes them. ``ragged``: lines that are no movements may have fewer cells. ``words`` of
    ``state`` mean done; empty where every line is done. ``total``: what the end of the file (its last 64 KiB) says of
    all its lines, as their number and the sum of incomes and outcomes in minor units; None where it says nothing. A
    reading that does not agree with it is thrown away.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    charset: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    skip: int = 1
    strip: str = ""
    minor: bool = False
    guarded: bool = False
    ragged: bool = False
    words: frozenset[str] = frozenset()
    total: Callable[[bytes], tuple[int, int] | None] | None = None


def guard(text: str) -> str:
    """``text`` as a cell that no spreadsheet takes for a formula or a number."""
    return text if not text or text[0].isalpha() else f"'{text}"


def unguard(cell: str) -> str:
    """The text behind a cell made by ``guard``. Raises ValueError for a cell that ``guard`` would not have written."""
    if not cell or cell[0].isalpha():
        return cell
    if cell[0] != "'":
        raise ValueError("begins neither with a letter nor with an apostrophe")
    return cell[1:]


class Collect(list[str]):
    """What ``csv.writer`` writes to: the lines in memory until they are taken."""

    write = list.append

    def take(self, charset: str = "utf-8") -> bytes:
        """Everything written since the last time, encoded. Raises LocalProtocolError for what the charset lacks."""
        text = "".join(self)
        self.clear()
        try:
            return text.encode(charset)
        except UnicodeEncodeError as error:
            letter = error.object[error.start]
            raise LocalProtocolError("", f"{charset} has no letter U+{ord(letter):04X}") from error


def read_rows(chunks: Iterable[bytes], charset: str = "utf-8", delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of a delimited file. Raises RemoteProtocolError on bytes that are not ``charset``, a quote
    that is never closed, or a cell longer than ``CELL_MAX``. A byte order mark at the start is dropped."""
    reader = csv.reader(_lines(chunks, charset), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RemoteProtocolError(f"line {reader.line_num}", "is not delimited as it should be") from error
        if any(len(cell) > CELL_MAX for cell in row):
            raise RemoteProtocolError(f"line {reader.line_num}", "has a cell that is too long", "TOO_LARGE")
        yield reader.line_num, row


def _lines(chunks: Iterable[bytes], charset: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(charset)("strict")
    rest, first = "", True
    for chunk in _with_end(chunks):
        try:
            text = decoder.decode(chunk or b"", final=chunk is None)
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("", f"bytes are not {charset}", "BAD_CHARSET") from error
        if first and text:
            text, first = text.removeprefix(_BOM), False
        rest += text
        *lines, rest = rest.split("\n")
        yield from (f"{line}\n" for line in lines)
        if len(rest) > CELL_MAX * 64:
            raise RemoteProtocolError("", "has a line without end", "TOO_LARGE")
    if rest:
        yield rest


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from chunks
    yield None


def exact_time(at: Instant | None) -> str:
    """``yyyy-MM-dd HH:mm:ss.mmm`` in China, '' for None."""
    return "" if at is None else f"{china_text(at)}.{at % 1_000:03d}"


def read_time(text: str) -> Instant:
    """The instant that ``exact_time`` wrote. Raises ValueError."""
    head, _, thousandths = text.partition(".")
    if not (len(thousandths) == 3 and thousandths.isascii() and thousandths.isdigit()):
        raise ValueError("not yyyy-MM-dd HH:mm:ss.mmm")
    return Instant(parse_china(head) + int(thousandths))


def read_sum(text: str, currency: str) -> Money:
    """A sum in major units with exactly the currency's decimals, negative or not. Raises ValueError."""
    digits = EXPONENT[currency]
    whole, _, part = text.removeprefix("-").partition(".")
    plain = whole.isascii() and whole.isdigit() and (part.isdigit() and part.isascii() if digits else not part)
    if not plain or len(part) != digits or len(whole) > 16:
        raise ValueError("not a sum in major units")
    minor = int(whole + part)
    return Money(-minor if text.startswith("-") else minor, currency)


@dataclass(slots=True)
class Tally:
    """Lines and sums of a bill as they pass by; what its last lines say is compared with it. Minor units by
    currency."""

    lines: dict[str, int] = field(default_factory=dict)
    income: dict[str, int] = field(default_factory=dict)
    outcome: dict[str, int] = field(default_factory=dict)
    fee: dict[str, int] = field(default_factory=dict)

    def add(self, line: BillLine) -> None:
        """One more line."""
        currency = line.income.currency
        for sums, value in (
            (self.lines, 1),
            (self.income, line.income.minor),
            (self.outcome, line.outcome.minor),
            (self.fee, line.fee.minor),
        ):
            sums[currency] = sums.get(currency, 0) + value

    def rows(self) -> list[tuple[str, int, int, int, int]]:
        """(currency, lines, income, outcome, fee), by currency."""
        return [
            (name, self.lines[name], self.income[name], self.outcome[name], self.fee[name])
            for name in sorted(self.lines)
        ]


def read_total(tail: bytes) -> tuple[int, int] | None:
    """Number of lines and sum of incomes and outcomes, as the end of a file of ours says; None where it is cut."""
    lines = amount = found = 0
    for row in tail.split(b"\r\n"):
        cells = row.decode("utf-8", "replace").split(",")
        if cells[0] != TOTAL or len(cells) != len(COLUMNS):
            continue
        try:
            lines += int(unguard(cells[_PLACE["serial"]]))
            amount += sum(read_sum(cells[place], cells[_PLACE["currency"]]).minor for place in (2, 3))
        except (ValueError, KeyError):
            return None
        found += 1
    return (lines, amount) if found else None


class PlainBill:
    """Our own format, for merchants of any protocol and for keeping. See the module's words."""

    shape: Final = BillShape(
        columns=tuple("order_no" if name == "out_trade_no" else name for name in COLUMNS),
        kinds={kind: kind for kind in KINDS},
        guarded=True,
        total=read_total,
    )

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        """The file in pieces of about 64 KiB."""
        out, tally = Collect(), Tally()
        writer = csv.writer(out)
        out.append(_BOM)
        writer.writerow(COLUMNS)
        for line in lines:
            tally.add(line)
            writer.writerow(_cells(line))
            if len(out) >= 256:
                yield out.take()
        for currency, count, income, outcome, fee in tally.rows() or [("CNY", 0, 0, 0, 0)]:
            sums = (Money(income, currency).text(), Money(outcome, currency).text(), Money(fee, currency).text())
            row = [TOTAL, "", *sums, "", "", currency, *[""] * (len(COLUMNS) - 8)]
            row[_PLACE["serial"]] = guard(str(count))
            writer.writerow(row)
        yield out.take()

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        """The lines. Raises RemoteProtocolError naming line and column; also where a total is wrong or missing."""
        rows, tally, totals = read_rows(chunks), Tally(), 0
        if tuple(next(rows, (0, []))[1]) != COLUMNS:
            raise RemoteProtocolError("line 1", "is not the heading of a bill")
        for number, cells in rows:
            if len(cells) != len(COLUMNS):
                raise RemoteProtocolError(f"line {number}", f"has {len(cells)} cells instead of {len(COLUMNS)}")
            if cells[0] == TOTAL:
                _check_total(tally, cells, number)
                totals += 1
            elif totals:
                raise RemoteProtocolError(f"line {number}", "follows the total")
            else:
                line = _line(cells, number)
                tally.add(line)
                yield line
        if totals != max(len(tally.lines), 1):
            raise RemoteProtocolError("", "the file is cut: its total is missing")

    def file_name(self, head: BillHead) -> str:
        """``tongbao-MERCHANT-20260131-trade.csv``."""
        return f"tongbao-{head.merchant}-{day_text(head)}-{head.kind}.csv"


def day_text(head: BillHead) -> str:
    """``20260131``, or ``202601`` for a month."""
    return f"{head.day:%Y%m}" if head.monthly else f"{head.day:%Y%m%d}"


def parse_day(text: str) -> date:
    """``20260131`` or ``2026-01-31`` as a date. Raises ValueError."""
    plain = text.replace("-", "")
    if not (
        len(plain) == 8
        and plain.isascii()
        and plain.isdigit()
        and text in (plain, f"{plain[:4]}-{plain[4:6]}-{plain[6:]}")
    ):
        raise ValueError("not a day: 20260131 or 2026-01-31")
    return date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))


def _cells(line: BillLine) -> list[str]:
    return [
        line.kind,
        exact_time(line.at),
        line.income.text(),
        line.outcome.text(),
        line.fee.text(),
        line.balance.text() if line.balance is not None else "",
        line.amount.text() if line.amount is not None else "",
        line.income.currency,
        guard(line.out_trade_no),
        guard(line.trade_no),
        guard(line.refund_no),
        guard(line.refund_id),
        guard(line.serial),
        guard(line.subject),
        guard(line.buyer.id),
        guard(line.buyer.login),
        guard(line.method),
        guard(line.bank),
        guard(line.state),
        exact_time(line.created_at),
        "" if line.rate is None else str(line.rate),
        guard(line.memo),
    ]


def _line(cells: list[str], number: int) -> BillLine:
    column = ""
    try:
        said = dict(zip(COLUMNS, cells, strict=True))
        column = "kind"
        if said["kind"] not in KINDS:
            raise ValueError("no such kind")
        column = "currency"
        currency = said["currency"]
        if currency not in EXPONENT:
            raise ValueError("no such currency")
        sums: dict[str, Money | None] = {}
        for column in ("income", "outcome", "fee", "balance", "amount"):
            sums[column] = (
                read_sum(said[column], currency) if said[column] or column in ("income", "outcome", "fee") else None
            )
        texts = {}
        for column in _TEXTS:
            texts[column] = unguard(said[column])
        column = "at"
        at = read_time(said["at"])
        column = "created_at"
        created_at = read_time(said["created_at"]) if said["created_at"] else None
        column = "rate"
        if said["rate"] and not (said["rate"].isascii() and said["rate"].isdigit()):
            raise ValueError("not a whole number")
    except ValueError as error:
        raise RemoteProtocolError(f"line {number} {column}", str(error)) from error
    nothing = Money(0, currency)
    return BillLine(
        kind=said["kind"],
        at=at,
        income=sums["income"] or nothing,
        outcome=sums["outcome"] or nothing,
        fee=sums["fee"] or nothing,
        balance=sums["balance"],
        amount=sums["amount"],
        buyer=Party(texts.pop("buyer_id"), texts.pop("buyer_login")),
        created_at=created_at,
        asked_at=None,
        echo={},
        rate=int(said["rate"]) if said["rate"] else None,
        **texts,
    )


def _check_total(tally: Tally, cells: list[str], number: int) -> None:
    currency = cells[_PLACE["currency"]]
    found = {row[0]: row[1:] for row in tally.rows()}.get(currency, (0, 0, 0, 0))
    wanted = (
        (guard(str(found[0])), *(Money(value, currency).text() for value in found[1:])) if currency in EXPONENT else ()
    )
    said = (cells[_PLACE["serial"]], cells[2], cells[3], cells[4])
    if said != wanted:
        raise RemoteProtocolError(
            f"line {number}", "the total is not the sum of the lines: the file is cut or was changed"
        )


PLAIN: Final = PlainBill()
"""The one of our own format."""
