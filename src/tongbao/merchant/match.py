"""Two lists of payments matched with each other, millions of lines in memory for thousands: DuckDB does the work.

*Here* is our own list, *there* the other party's. Each line has a kind, a key that names it within its kind, and a sum.
Both lists are read once, straight from their files, and grouped together in one pass that spills to disk; only lines
that do not match ever become Python objects. A file in GBK is read byte for byte, and only the keys that are shown are
decoded.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tongbao.kernel.error import RemoteProtocolError, ensure
from tongbao.kernel.money import EXPONENT
from tongbao.kernel.time import HOUR, Instant
from tongbao.wire.bill import BillShape
from tongbao.wire.loader import load_driver

MEMORY: Final = "1GB"
"""What the engine may keep in memory before it spills to disk."""

CHINA_OFFSET: Final = 8 * HOUR


class Side(StrEnum):
    """Whose list a line is on; what waits from the day before is kept apart."""

    HERE = "here"
    THERE = "there"
    HERE_WAITING = "here_waiting"
    THERE_WAITING = "there_waiting"


class Class(StrEnum):
    """What a line, or a pair of lines, came to."""

    MATCHED = "matched"
    MISSING_HERE = "missing_here"
    """They have it, we do not: an order was lost, or is none of ours."""
    MISSING_THERE = "missing_there"
    """We have it, they do not."""
    AMOUNT_DIFFERS = "amount_differs"
    STATE_DIFFERS = "state_differs"
    """Both have it, and here it is not done."""
    DUPLICATE = "duplicate"
    """One of the two has it more than once."""
    WAITING = "waiting"
    """On one side only, so near to the day's end that the next day's bill decides."""
    IDLE = "idle"
    """Ours, not done or of another day: rightly not in their list."""
    OTHER = "other"
    """Of a kind that is not compared."""


DIFFERENCES: Final = (
    Class.MISSING_HERE,
    Class.MISSING_THERE,
    Class.AMOUNT_DIFFERS,
    Class.STATE_DIFFERS,
    Class.DUPLICATE,
)
_SIDES: Final = {side: number for number, side in enumerate(Side)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of either list. ``amount`` in minor units, without a sign: the kind says the direction."""

    kind: str
    key: str
    amount: int
    currency: str = "CNY"
    state: str = ""
    done: bool = True
    at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What does not agree, or waits. Sums in minor units, None on the side that has no such line; ``here_lines`` and
    ``there_lines`` count them. ``state`` is ours."""

    what: Class
    kind: str
    key: str
    here_lines: int
    there_lines: int
    here_amount: int | None
    there_amount: int | None
    currency: str
    state: str
    here_at: Instant | None
    there_at: Instant | None
    done: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """How often something came out, and the sums of both sides in minor units."""

    what: Class
    kind: str
    many: int
    here_lines: int
    there_lines: int
    here_sum: int
    there_sum: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Which lines of ours are expected over there: those done from ``low`` up to ``high``. A line that stands alone
    and is within ``cutoff`` milliseconds of either end waits for the next day."""

    low: Instant
    high: Instant
    cutoff: int


class Matcher:
    """One comparison. ``folder`` is where it may write; ``memory`` bounds the engine. Use it as a context manager."""

    def __init__(
        self, folder: Path, *, memory: str = MEMORY, threads: int = 0, kinds: tuple[str, ...] = ("payment", "refund")
    ):
        self._folder = folder
        self._kinds = kinds
        self._charset = "utf-8"
        self._sources: list[str] = []
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads:
            settings["threads"] = threads
        self._engine = load_driver("duckdb").connect(config=settings)

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def add_file(self, side: Side, path: Path, shape: BillShape, *, frame: Frame | None = None) -> None:
        """A list as its file stands. Raises RemoteProtocolError where no column of it names an order."""
        if not {"order_no"} <= set(shape.columns):
            raise RemoteProtocolError("", "the file has no column with the order's number")
        # a name of ours leads to it: whatever stands in the given one is no pattern to the engine
        name = self._folder / f"list{len(self._sources)}{'.gz' if path.suffix == '.gz' else '.csv'}"
        name.symlink_to(path.resolve())
        if shape.charset != "utf-8":
            self._charset = shape.charset
        self._sources.append(_select(side, name, shape, self._kinds, frame))

    def add_lines(self, side: Side, lines: Iterable[Line], *, frame: Frame | None = None) -> int:
        """A list line by line; returns how many there were."""
        path, count = self._folder / f"lines{len(self._sources)}.csv", 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for line in lines:
                at = "" if line.at is None else line.at
                writer.writerow((line.kind, line.key, line.amount, line.currency, line.state, int(line.done), at))
                count += 1
        compared, names = _texts(self._kinds), ("kind", "key", "amount", "currency", "state", "done", "moment")
        table = _csv(path, names, BillShape(columns=(), skip=0))
        inner = f"SELECT * EXCLUDE (moment), TRY_CAST(moment AS BIGINT) AS moment FROM {table}"
        self._sources.append(
            f"SELECT {_SIDES[side]} AS side, kind, CASE WHEN kind IN ({compared}) THEN NULLIF(key, '') END AS key, "
            f"CAST(amount AS BIGINT) AS amount, currency, state, done = '1' AS done, moment, "
            f"{_due(frame, 'moment')} AS due "
            f"FROM ({inner})"
        )
        return count

    def match(self, frame: Frame | None = None) -> Match:
        """Compare. The engine stays open for the answer's differences."""
        ensure(bool(self._sources), "there is something to compare")
        lines = " UNION ALL ".join(self._sources)
        self._engine.execute(_MATCH.format(lines=lines, here_near=_near(frame, "hat"), there_near=_near(frame, "tat")))
        return Match(self._engine, self._charset)


class Match:
    """What a comparison came to. Lives as long as its Matcher."""

    def __init__(self, engine: Any, charset: str) -> None:
        self._engine = engine
        self._charset = charset
        rows = engine.execute(
            "SELECT class, kind, SUM(many), SUM(hn), SUM(tn), SUM(sh), SUM(st), SUM(bad) FROM result "
            "GROUP BY class, kind ORDER BY class, kind"
        ).fetchall()
        if any(row[7] for row in rows):
            raise RemoteProtocolError("", f"{sum(row[7] for row in rows)} lines have a sum that cannot be read")
        self.counts = [
            Count(Class(what), self._text(kind), int(many), int(hn), int(tn), int(ha or 0), int(ta or 0))
            for what, kind, many, hn, tn, ha, ta, _ in rows
        ]

    @property
    def is_clean(self) -> bool:
        """Whether there is no difference; what waits is none yet."""
        return not any(count.what in DIFFERENCES for count in self.counts)

    def many(self, what: Class) -> int:
        """How often something came out, over all kinds."""
        return sum(count.many for count in self.counts if count.what == what)

    def lines(self, side: Side) -> tuple[int, int]:
        """(lines, sum in minor units) that were read of one side, whatever became of them."""
        here = side in (Side.HERE, Side.HERE_WAITING)
        return (
            sum(count.here_lines if here else count.there_lines for count in self.counts),
            sum(count.here_sum if here else count.there_sum for count in self.counts),
        )

    def differences(self, *what: Class) -> Iterator[Difference]:
        """Line by line, in order of class, kind and key; all differences where none is named."""
        wanted = _texts(tuple(str(one) for one in what or DIFFERENCES))
        cursor = self._engine.cursor()
        cursor.execute(
            "SELECT class, kind, key, hn, tn, ha, ta, currency, state, hat, tat, done FROM result "
            f"WHERE class IN ({wanted}) ORDER BY class, kind, key"
        )
        while rows := cursor.fetchmany(1_000):
            for one, kind, key, hn, tn, ha, ta, currency, state, hat, tat, done in rows:
                yield Difference(
                    Class(one), kind, self._text(key), int(hn), int(tn), _whole(ha), _whole(ta),
                    currency or "", self._text(state or ""), _instant(hat), _instant(tat), bool(done),
                )  # fmt: skip

    def _text(self, text: str) -> str:
        """A text that was read byte for byte, in its own charset."""
        if self._charset == "utf-8":
            return text
        return text.encode("latin-1", "replace").decode(self._charset, "replace")


def _whole(value: int | None) -> int | None:
    return None if value is None else int(value)


def _instant(value: int | None) -> Instant | None:
    return None if value is None else Instant(int(value))


# --- statements ------------------------------------------------------------------------------------------------------

_MATCH: Final = """
CREATE OR REPLACE TABLE result AS
WITH line AS ({lines}),
pair AS (
  SELECT kind, key,
    COUNT(*) FILTER (side = 0) AS hn, COUNT(*) FILTER (side = 1) AS tn,
    COUNT(*) FILTER (side = 2) AS hp, COUNT(*) FILTER (side = 3) AS tp,
    SUM(amount) FILTER (side = 0) AS sh, SUM(amount) FILTER (side = 1) AS st,
    MAX(amount) FILTER (side IN (0, 2)) AS ha, MAX(amount) FILTER (side IN (1, 3)) AS ta,
    MAX(currency) FILTER (side IN (0, 2)) AS hc, MAX(currency) FILTER (side IN (1, 3)) AS tc,
    MAX(moment) FILTER (side IN (0, 2)) AS hat, MAX(moment) FILTER (side IN (1, 3)) AS tat,
    MAX(state) FILTER (side IN (0, 2)) AS state,
    COALESCE(BOOL_OR(done) FILTER (side IN (0, 2)), TRUE) AS done,
    COALESCE(BOOL_OR(due) FILTER (side IN (0, 2)), FALSE) AS due,
    COUNT(*) FILTER (amount IS NULL) AS bad
  FROM line GROUP BY kind, key
),
judged AS (
  SELECT *, CASE
    WHEN key IS NULL THEN 'other'
    WHEN hn > 1 OR tn + tp > 1 THEN 'duplicate'
    WHEN hn + hp = 0 AND tp = 0 AND {there_near} THEN 'waiting'
    WHEN hn + hp = 0 THEN 'missing_here'
    WHEN tn + tp = 0 AND NOT (done AND (due OR hp > 0)) THEN 'idle'
    WHEN tn + tp = 0 AND hp = 0 AND {here_near} THEN 'waiting'
    WHEN tn + tp = 0 THEN 'missing_there'
    WHEN ha IS DISTINCT FROM ta OR hc <> tc THEN 'amount_differs'
    WHEN NOT done THEN 'state_differs'
    ELSE 'matched' END AS class
  FROM pair
)
SELECT class, kind, CASE WHEN class IN ('matched', 'idle', 'other') THEN NULL ELSE key END AS key,
  COUNT(*) AS many, SUM(hn) AS hn, SUM(tn) AS tn, MAX(ha) AS ha, MAX(ta) AS ta, SUM(sh) AS sh, SUM(st) AS st,
  MAX(COALESCE(tc, hc)) AS currency, MAX(state) AS state, MAX(hat) AS hat, MAX(tat) AS tat, BOOL_AND(done) AS done,
  SUM(bad) AS bad
FROM judged GROUP BY class, kind, CASE WHEN class IN ('matched', 'idle', 'other') THEN NULL ELSE key END
"""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _texts(words: Iterable[str]) -> str:
    return ", ".join(_literal(word) for word in words) or "NULL"


def _csv(path: Path, columns: Iterable[str], shape: BillShape) -> str:
    """A table function over a file, every column as text."""
    types = ", ".join(f"{_literal(column)}: 'VARCHAR'" for column in columns)
    encoding = "utf-8" if shape.charset == "utf-8" else "latin-1"
    quote = _literal(shape.quote)
    return (
        f"read_csv({_literal(str(path))}, header = false, auto_detect = false, skip = {shape.skip}, "
        f"delim = {_literal(shape.delimiter)}, quote = {quote}, escape = {quote}, encoding = '{encoding}', "
        f"{'null_padding = true, ' if shape.ragged else ''}columns = {{{types}}})"
    )


def _select(side: Side, path: Path, shape: BillShape, kinds: tuple[str, ...], frame: Frame | None) -> str:
    """The lines of a file in the engine's own columns. A word is compared as its bytes stand in the file."""

    def raw(word: str) -> str:
        if shape.charset == "utf-8":
            return _literal(word)
        return _literal(word.encode(shape.charset).decode("latin-1"))

    def cell(name: str) -> str:
        if name not in shape.columns:
            return "''"
        text = f"COALESCE(trim(c_{name}, {_literal(shape.strip)}), '')" if shape.strip else f"COALESCE(c_{name}, '')"
        if not shape.guarded:
            return text
        return f"(CASE WHEN starts_with({text}, '''') THEN substr({text}, 2) ELSE {text} END)"

    kind = "'payment'"
    if "kind" in shape.columns:
        cases = " ".join(f"WHEN {raw(word)} THEN {_literal(ours)}" for word, ours in shape.kinds.items())
        kind = f"CASE {cell('kind')} {cases} ELSE '' END" if cases else cell("kind")
    done = f"{cell('state')} IN ({', '.join(raw(word) for word in sorted(shape.words))})" if shape.words else "TRUE"
    at = f"epoch_ms(TRY_CAST({cell('at')} AS TIMESTAMP)) - {CHINA_OFFSET}" if "at" in shape.columns else "NULL"
    named = [f"c_{name}" if name in _READ else f"_{place}" for place, name in enumerate(shape.columns)]
    inner = (
        f"SELECT {kind} AS kind, {cell('order_no')} AS order_no, {cell('refund_no')} AS refund_no, "
        f"{_amount(shape, cell)} AS amount, {cell('currency') if 'currency' in shape.columns else _literal('CNY')} "
        f"AS currency, {cell('state')} AS state, {done} AS done, CAST({at} AS BIGINT) AS moment "
        f"FROM {_csv(path, named, shape)}"
    )
    key = "NULLIF(CASE WHEN kind = 'refund' AND refund_no <> '' THEN refund_no ELSE order_no END, '')"
    return (
        f"SELECT {_SIDES[side]} AS side, kind, CASE WHEN kind IN ({_texts(kinds)}) THEN {key} END AS key, "
        f"amount, currency, state, done, moment, {_due(frame, 'moment')} AS due FROM ({inner}) WHERE kind <> ''"
    )


_READ: Final = frozenset({"kind", "order_no", "refund_no", "income", "outcome", "amount", "currency", "at", "state"})


def _amount(shape: BillShape, cell: Any) -> str:
    """A line's sum in whole minor units, NULL where it is none. Nothing is rounded."""
    names = ("income", "outcome") if "income" in shape.columns else ("amount",)
    parts = []
    for name in names:
        text = cell(name)
        if shape.minor:
            parts.append(f"CASE WHEN {text} = '' THEN 0 ELSE TRY_CAST({text} AS BIGINT) END")
            continue
        # four decimals are kept to see whether there are more than the two that money has
        fine = f"CAST(TRY_CAST({text} AS DECIMAL(20, 4)) * 10000 AS BIGINT)"
        parts.append(f"CASE WHEN {text} = '' THEN 0 WHEN {fine} % 100 = 0 THEN {fine} // 100 END")
    amount = f"abs({' - '.join(f'({part})' for part in parts)})"
    flat = [name for name, digits in EXPONENT.items() if digits == 0]
    if not shape.minor and "currency" in shape.columns:
        return f"CASE WHEN {cell('currency')} IN ({_texts(flat)}) THEN {amount} // 100 ELSE {amount} END"
    return amount


def _due(frame: Frame | None, at: str) -> str:
    return "TRUE" if frame is None else f"({at} IS NULL OR ({at} >= {frame.low} AND {at} < {frame.high}))"


def _near(frame: Frame | None, at: str) -> str:
    if frame is None:
        return "FALSE"
    low, high = frame.low + frame.cutoff, frame.high - frame.cutoff
    return f"({at} IS NOT NULL AND ({at} < {low} OR {at} >= {high}))"
