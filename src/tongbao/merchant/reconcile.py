"""A bill against the merchant's own orders: what agrees, what is missing on which side, what differs, what waits.

The bill comes in any protocol's format or in ours; the orders from the order book's table or from a CSV. Lines that
stand alone near midnight wait in a pool file for the next day's bill, which decides (cut-off).
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tongbao.kernel.error import ConfigurationError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, MINUTE, Instant, parse_china
from tongbao.merchant.book import MappedOrderBook, OrderTable
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.match import MEMORY, Class, Difference, Frame, Line, Match, Matcher, Side
from tongbao.merchant.order import PAID_ORDER_STATES
from tongbao.wire.bill import CHUNK, PLAIN, BillShape, exact_time, guard, read_rows
from tongbao.wire.contract import BillEnd
from tongbao.wire.loader import load_driver, load_protocol
from tongbao.wire.movement import BillLine

CUTOFF: Final = 60 * MINUTE
"""How near to midnight a lone line waits for the next day."""

PAGE: Final = 5_000
"""Orders that are read from a table at once."""

RATIO_MAX: Final = 200
"""How many times longer than its file an unpacked bill may be (T69)."""

DONE_WORDS: Final = frozenset({"paid", "shipped", "finished", "refunded", "succeeded", "success"})
"""Words for ``state`` in an order CSV that say that the money moved; no word at all says so too."""

NAMES: Final = {
    "order_no": "order_no",
    "out_trade_no": "order_no",
    "refund_no": "refund_no",
    "kind": "kind",
    "amount": "amount",
    "state": "state",
    "paid_at": "at",
    "at": "at",
    "currency": "currency",
}
"""Headings of an order CSV and what they mean; others are ignored."""

_KINDS: Final = ("payment", "refund")
_POOL: Final = ("side", "kind", "key", "amount", "currency", "state", "done", "at", "since", "closed")


@dataclass(frozen=True, slots=True)
class Pool:
    """Lines that wait, in a CSV file of ours. ``path`` None: nothing waits, everything is decided at once."""

    path: Path | None = None
    cutoff: int = CUTOFF

    def load(self, day: date) -> list[dict[str, str]]:
        """Every row of the file. Raises RemoteProtocolError where it is not ours."""
        if self.path is None or not self.path.exists():
            return []
        with self.path.open("rb") as file:
            rows = [row for _, row in read_rows(iter(partial(file.read, CHUNK), b""))]
        if not rows or tuple(rows[0]) != _POOL or any(len(row) != len(_POOL) for row in rows):
            raise RemoteProtocolError("pool", "the file is not a pool of waiting lines")
        return [dict(zip(_POOL, row, strict=True)) for row in rows[1:]]

    def waiting(self, day: date, side: Side) -> Iterator[Line]:
        """What waits on one side since an earlier day, and was not decided before this one."""
        for row in self.load(day):
            if row["side"] == side and row["since"] < f"{day}" and row["closed"] in ("", f"{day}"):
                at = Instant(int(row["at"])) if row["at"] else None
                yield Line(
                    kind=row["kind"], key=row["key"][1:], amount=int(row["amount"]), currency=row["currency"],
                    state=row["state"], done=row["done"] == "1", at=at,
                )  # fmt: skip

    def save(self, day: date, waits: Iterable[Difference]) -> None:
        """Close what an earlier day left, and add what waits now. The file is whole or as it was (F05)."""
        if self.path is None:
            return
        rows = [row for row in self.load(day) if row["since"] != f"{day}"]
        for row in rows:
            if row["since"] < f"{day}" and not row["closed"]:
                row["closed"] = f"{day}"
        for one in waits:
            here = one.here_lines > 0
            rows.append(
                {
                    "side": str(Side.HERE_WAITING if here else Side.THERE_WAITING),
                    "kind": one.kind,
                    "key": f"'{one.key}",
                    "amount": str(one.here_amount if here else one.there_amount),
                    "currency": one.currency,
                    "state": one.state,
                    "done": str(int(one.done)),
                    "at": str(one.at),
                    "since": f"{day}",
                    "closed": "",
                }
            )
        fresh = self.path.with_name(f".{self.path.name}.new")
        with fresh.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_POOL)
            writer.writerows([row[name] for name in _POOL] for row in rows)
        fresh.replace(self.path)


# --- the bill
# ----------------------------------------------------------------------------------------------------------


def bill_of(protocol: str) -> BillEnd:
    """A protocol's bill, ours for ''. Raises ConfigurationError where it has none."""
    if not protocol:
        return PLAIN
    found = load_protocol(protocol).bill
    if found is None:
        raise ConfigurationError("protocol", f"{protocol} has no bill")
    return found


def add_bill(matcher: Matcher, path: Path, end: BillEnd) -> None:
    """Hand a bill to the engine: the file itself where its shape is known and what was read of it is what its own end
    says; else line by line, by the folder's own reader, which says what is wrong. Raises RemoteProtocolError."""
    packed = _is_packed(path)
    shape: BillShape | None = getattr(end, "shape", None)
    if shape is not None and add_whole(matcher, path, shape, packed=packed):
        return
    lines = end.read(unpack(path) if packed else chunks_of(path))
    matcher.add_lines(Side.THERE, map(bill_line, lines))


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def add_whole(matcher: Matcher, path: Path, shape: BillShape, *, packed: bool) -> bool:
    """Read a file as it stands; False, and nothing of it is kept, where that is not what it says of itself (F51)."""
    try:
        matcher.add_file(Side.THERE, path, shape)
        if shape.total is None or shape.total(_tail(path, packed=packed)) == matcher.read(Side.THERE):
            return True
    except RemoteProtocolError:
        # the folder's own reader knows more of its format, and names the line that is wrong
        pass
    matcher.clear(Side.THERE)
    return False


def _tail(path: Path, *, packed: bool) -> bytes:
    if packed:
        tail = b""
        for chunk in unpack(path):
            tail = (tail + chunk)[-CHUNK:]
        return tail
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - CHUNK, 0))
        return file.read()


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        yield from iter(partial(file.read, CHUNK), b"")


def unpack(path: Path) -> Iterator[bytes]:
    """A gzip file's content in pieces. Raises RemoteProtocolError where it is damaged or grows beyond all measure."""
    most, got = path.stat().st_size * RATIO_MAX + CHUNK, 0
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                got += len(chunk)
                if got > most:
                    raise RemoteProtocolError("", "the file is too long when it is unpacked", "TOO_LARGE")
                yield chunk
    except (OSError, EOFError) as error:
        raise RemoteProtocolError("", "the file is damaged") from error


def bill_line(line: BillLine) -> Line:
    """A bill's line as the engine compares it: a refund by its own number, everything else by the order's."""
    key = (line.refund_no or line.refund_id or line.out_trade_no) if line.kind == "refund" else line.out_trade_no
    return Line(
        kind=line.kind,
        key=key,
        amount=abs((line.income - line.outcome).minor),
        currency=line.income.currency,
        at=line.at,
    )


# --- our own list
# --------------------------------------------------------------------------------------------------------


def add_orders(matcher: Matcher, source: str, endpoint: str = "") -> None:
    """Hand our own list to the engine: a CSV's path, or the address of the database with the order table, of which
    ``endpoint`` takes those orders only that were paid there.

    Raises ConfigurationError naming the source, RemoteProtocolError for a CSV without the columns that are needed.
    """
    if "://" in source:
        matcher.add_lines(Side.HERE, order_lines(open_database(source), OrderTable(), endpoint))
        return
    path = Path(source)
    if not path.is_file():
        raise ConfigurationError("orders", f"{source} is no file and no database's address")
    matcher.add_file(Side.HERE, path, order_shape(path))


def order_shape(path: Path) -> BillShape:
    """How an order CSV is laid out, by its heading. Raises RemoteProtocolError."""
    with path.open("rb") as file:
        head = next(read_rows([file.read(CHUNK).partition(b"\n")[0]]), (0, []))[1]
    names = tuple(NAMES.get(name.strip().lower(), f"_{place}") for place, name in enumerate(head))
    if not {"order_no", "amount"} <= set(names):
        raise RemoteProtocolError(
            "orders", "the heading lacks order_no or amount (others: state, paid_at, kind, currency)"
        )
    return BillShape(
        columns=names,
        kinds={kind: kind for kind in _KINDS},
        strip=" \t",
        guarded=True,
        words=frozenset() if "state" not in names else DONE_WORDS,
    )


def order_lines(database: Database, book: MappedOrderBook, endpoint: str = "") -> Iterator[Line]:
    """Every order of a table (of one endpoint, where it is said), in pages. Orders tell payments only; refunds are
    compared from a CSV."""
    after = ""
    while True:
        orders = database.read(lambda transaction, after=after: book.page(transaction, after, PAGE))  # type: ignore[misc]
        for order in orders:
            if endpoint and order.endpoint not in (endpoint, f"{endpoint}-gbk", f"{endpoint}-utf-8"):
                continue
            yield Line(
                kind="payment", key=order.order_no, amount=order.amount.minor, currency=order.amount.currency,
                state=str(order.state), done=order.state in PAID_ORDER_STATES, at=order.paid_at,
            )  # fmt: skip
        if len(orders) < PAGE:
            return
        after = orders[-1].order_no


def open_database(address: str) -> Database:
    """``sqlite:///FILE``, ``postgresql://...`` or ``mysql://user:password@host:port/name``. Raises
    ConfigurationError."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        path = unquote(parts.path)[1:]
        if not Path(path).is_file():
            raise ConfigurationError("orders", "no such database file")
        return Database(Dialect.SQLITE, partial(load_driver("sqlite3").connect, path))
    if parts.scheme in ("postgresql", "postgres"):
        return Database(Dialect.POSTGRESQL, partial(load_driver("psycopg").connect, address))
    if parts.scheme in ("mysql", "mariadb"):
        return Database(
            Dialect.MYSQL,
            partial(
                load_driver("pymysql").connect,
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=parts.path[1:],
                charset="utf8mb4",
            ),
        )
    raise ConfigurationError("orders", "is a CSV file, or begins with sqlite:, postgresql: or mysql:")


# --- together ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """What one reconciliation came to; its differences are read while it is open (``reconciling``)."""

    match: Match
    day: date | None
    summary: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether there is no difference; what waits for tomorrow is none yet."""
        return self.match.is_clean

    @property
    def open(self) -> list[tuple[str, str]]:
        """(class, number) of every difference."""
        return [(str(one.what), one.key) for one in self.match.differences()]

    def document(self, most: int = 1_000) -> dict[str, Any]:
        """The whole as JSON values; at most ``most`` differences are listed, all are counted."""
        there, here = self.match.read[Side.THERE], self.match.read[Side.HERE]
        listed = [dump_difference(one) for one, _ in zip(self.match.differences(), range(most), strict=False)]
        return {
            "clean": self.is_clean,
            "day": None if self.day is None else f"{self.day}",
            "bill": {"lines": there[0], "amount": there[1]},
            "orders": {"lines": here[0], "amount": here[1]},
            "classes": dict(self.summary),
            "differences": listed,
        }


@contextmanager
def reconciling(
    bill: Path,
    orders: str,
    *,
    protocol: str = "",
    day: date | None = None,
    pool: Pool | None = None,
    kinds: tuple[str, ...] = (),
    memory: str = MEMORY,
    endpoint: str = "",
) -> Iterator[Report]:
    """Compare a bill with our orders and keep the answer open. ``day`` is the bill's business date: with it, our
    orders paid on other days are not expected in the bill, and a ``pool`` decides what yesterday left open. ``kinds``:
    payments and refunds, or payments only where the orders come from a table; ``endpoint`` says which of its orders.

    Raises RemoteProtocolError for a file that is not what it should be, ConfigurationError for a missing source.
    """
    if not bill.is_file():
        raise ConfigurationError("bill", f"{bill} is no file")
    pool = pool or Pool()
    frame = None if day is None else frame_of(day, pool.cutoff)
    compared = kinds or (("payment",) if "://" in orders else _KINDS)
    with (
        tempfile.TemporaryDirectory(prefix="tongbao-match-") as folder,
        Matcher(Path(folder), memory=memory, kinds=compared, frame=frame, may_wait=pool.path is not None) as matcher,
    ):
        add_bill(matcher, bill, bill_of(protocol))
        add_orders(matcher, orders, endpoint)
        if day is not None and pool.path is not None:
            for side in (Side.HERE_WAITING, Side.THERE_WAITING):
                matcher.add_lines(side, pool.waiting(day, side))
        match = matcher.match()
        if day is not None:
            pool.save(day, match.differences(Class.WAITING))
        yield Report(match, day, {str(what): match.many(what) for what in Class})


def frame_of(day: date, cutoff: int = CUTOFF) -> Frame:
    """A business date in China."""
    low = parse_china(f"{day:%Y-%m-%d} 00:00:00")
    return Frame(low, Instant(low + DAY), cutoff)


def dump_difference(one: Difference) -> dict[str, Any]:
    """A difference as JSON values."""
    return {
        "class": str(one.what),
        "kind": one.kind,
        "number": one.key,
        "here": one.here_amount,
        "there": one.there_amount,
        "here_lines": one.here_lines,
        "there_lines": one.there_lines,
        "currency": one.currency,
        "state": one.state,
        "at": exact_time(one.at) or None,
    }


def write_differences(path: Path, differences: Iterable[Difference]) -> int:
    """All differences as a CSV that no spreadsheet takes for formulas; returns how many there were."""
    count = 0
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("class", "kind", "number", "here", "there", "currency", "state", "at"))
        for one in differences:
            here, there = (
                "" if value is None else Money(value, one.currency or "CNY").text()
                for value in (one.here_amount, one.there_amount)
            )
            writer.writerow(
                (one.what, one.kind, guard(one.key), here, there, one.currency, guard(one.state), exact_time(one.at))
            )
            count += 1
    fresh.replace(path)
    return count


def dump_document(document: Mapping[str, Any]) -> str:
    """The report as one JSON text."""
    return json.dumps(document, ensure_ascii=False, indent=2)
