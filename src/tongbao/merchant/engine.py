"""The statements of a comparison, as DuckDB reads them. Pure text: ``match`` runs them.

A line in the engine is (kind, key, value, flags, moment): a kind and its currency as one small number, the key as text,
the sum in minor units, ``DONE | DUE | WAITED`` and the state's number above them, and the time where anybody needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import EXPONENT
from tongbao.kernel.time import HOUR, Instant
from tongbao.wire.bill import KINDS, BillShape

CHINA_OFFSET: Final = 8 * HOUR

DONE: Final = 1
DUE: Final = 2
WAITED: Final = 4
STATE_SHIFT: Final = 3

UNREADABLE: Final = -(2**62)
"""Stands for a sum that cannot be read, or is of a currency that nobody knows: it makes every sum over it negative."""

STATES_MAX: Final = 4_000
_CURRENCIES: Final = tuple(EXPONENT)
_FLAT: Final = tuple(name for name, digits in EXPONENT.items() if digits == 0)
_READ: Final = frozenset({"kind", "order_no", "refund_no", "income", "outcome", "amount", "currency", "at", "state"})


class Words:
    """Kinds, currencies and states as small numbers. ``compared``: the kinds whose lines are matched."""

    def __init__(self, compared: tuple[str, ...]) -> None:
        self.compared = compared
        self.kinds = [*compared, *(kind for kind in KINDS if kind not in compared)]
        self.states = [""]

    @property
    def border(self) -> int:
        """Codes below it are of kinds that are compared."""
        return len(self.compared) * len(_CURRENCIES)

    def code(self, kind: str, currency: str) -> int:
        """A kind in a currency. Raises RemoteProtocolError for a currency that nobody knows."""
        if currency not in _CURRENCIES:
            raise RemoteProtocolError("currency", f"no currency {currency!r}")
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind) * len(_CURRENCIES) + _CURRENCIES.index(currency)

    def kind(self, code: int) -> str:
        """The kind behind a code."""
        return self.kinds[code // len(_CURRENCIES)]

    def currency(self, code: int) -> str:
        """The currency behind a code."""
        return _CURRENCIES[code % len(_CURRENCIES)]

    def state(self, word: str) -> int:
        """A state's number; where there are too many, the rest stay without a word."""
        if word not in self.states:
            if len(self.states) >= STATES_MAX:
                return 0
            self.states.append(word)
        return self.states.index(word)


MAKE: Final = "CREATE TABLE {side} (kind SMALLINT, key VARCHAR, value BIGINT, flags USMALLINT, moment BIGINT)"
"""One side's lines. In a database file: what does not fit in memory stays on disk."""

READ: Final = "SELECT COUNT(*), COALESCE(SUM(value), 0) FROM {side}"
"""What was read of one side."""

WAITED_HERE: Final = (
    f"UPDATE here SET flags = flags | {DUE | WAITED} WHERE (kind, key) IN (SELECT kind, key FROM here_waiting)",
    (
        f"INSERT INTO here SELECT kind, key, value, flags | {DUE | WAITED}, moment FROM here_waiting "
        "WHERE (kind, key) NOT IN (SELECT kind, key FROM here WHERE key IS NOT NULL)"
    ),
)
"""What waited on our side is expected now; most of it stands in our list again."""

WAITED_THERE: Final = (f"INSERT INTO there SELECT kind, key, value, flags | {WAITED}, moment FROM there_waiting",)
"""What waited on the other side is a line of theirs like any other, which does not wait again."""

JUDGE: Final = """
CREATE OR REPLACE TABLE result AS
WITH pair AS (
  SELECT COALESCE(h.kind, t.kind) AS kind, COALESCE(h.key, t.key) AS key,
    CAST(h.value IS NOT NULL AS TINYINT) AS hn, CAST(t.value IS NOT NULL AS TINYINT) AS tn,
    h.value AS hs, t.value AS ts, COALESCE(h.flags, t.flags) AS flags, COALESCE(h.moment, t.moment) AS moment
  FROM here h FULL OUTER JOIN there t ON h.key = t.key AND h.kind = t.kind
),
judged AS (
  SELECT *, CASE
    WHEN key IS NULL THEN 'other'
    WHEN tn = 0 AND flags & 3 <> 3 THEN 'idle'
    WHEN hn + tn = 1 AND flags & 4 = 0 AND {near} THEN 'waiting'
    WHEN hn = 0 THEN 'missing_here'
    WHEN tn = 0 THEN 'missing_there'
    WHEN hs <> ts THEN 'amount_differs'
    WHEN flags & 1 = 0 THEN 'state_differs'
    ELSE 'matched' END AS class
  FROM pair
)
SELECT class, kind, CASE WHEN class IN ('matched', 'idle', 'other') THEN NULL ELSE key END AS key, COUNT(*) AS many,
  SUM(hn) AS hn, SUM(tn) AS tn, COALESCE(SUM(hs), 0) AS hs, COALESCE(SUM(ts), 0) AS ts,
  MAX(flags) AS flags, MAX(moment) AS moment
FROM judged GROUP BY class, kind, CASE WHEN class IN ('matched', 'idle', 'other') THEN NULL ELSE key END
"""

ALONE_TWICE: Final = "UPDATE result SET class = 'duplicate', many = 1 WHERE key IS NOT NULL AND (hn > 1 OR tn > 1)"
"""Keys that stand more than once on one side and not at all on the other."""

COUNTS: Final = (
    "SELECT (SELECT COUNT(*) FROM here), (SELECT COUNT(*) FROM there), (SELECT SUM(many) FROM result), "
    "(SELECT SUM(many) FROM result WHERE class IN ('matched', 'amount_differs', 'state_differs'))"
)
"""Lines here, lines there, rows of the join, and how many of them are pairs. A key that stands a times here and b times
there makes a * b pairs: rows are lines less pairs exactly when no pair has a key that stands twice."""

MAKE_TWICE: Final = (
    "CREATE TABLE twice (kind SMALLINT, key VARCHAR, hn BIGINT, tn BIGINT, hs HUGEINT, ts HUGEINT, flags USMALLINT, "
    "moment BIGINT)"
)

FIND_TWICE: Final = """
INSERT INTO twice SELECT kind, key, SUM(hn), SUM(tn), SUM(hs), SUM(ts), MAX(flags), MAX(moment) FROM (
  SELECT kind, key, 1 AS hn, 0 AS tn, value AS hs, 0 AS ts, flags, moment FROM here WHERE hash(key) % {parts} = {part}
  UNION ALL
  SELECT kind, key, 0, 1, 0, value, NULL, moment FROM there WHERE hash(key) % {parts} = {part}
) GROUP BY kind, key HAVING key IS NOT NULL AND (SUM(hn) > 1 OR SUM(tn) > 1)
"""
"""Keys that stand more than once on a side, one part of all keys at a time."""

TAKE_TWICE: Final = (
    "DELETE FROM here WHERE (kind, key) IN (SELECT kind, key FROM twice)",
    "DELETE FROM there WHERE (kind, key) IN (SELECT kind, key FROM twice)",
)

ADD_TWICE: Final = "INSERT INTO result SELECT 'duplicate', kind, key, 1, hn, tn, hs, ts, flags, moment FROM twice"

Stretch = tuple[Instant, Instant] | None


def judge(near: Stretch) -> str:
    """The join that says what became of every line; a lone one outside of ``near`` waits."""
    if near is None:
        return JUDGE.format(near="FALSE")
    return JUDGE.format(near=f"(moment < {near[0]} OR moment >= {near[1]})")


def literal(text: str) -> str:
    """A text in a statement."""
    return "'" + text.replace("'", "''") + "'"


def texts(words: Iterable[str]) -> str:
    """Texts in a statement's list; of none, one that nothing equals."""
    return ", ".join(literal(word) for word in words) or "NULL"


def table(path: Path, columns: Iterable[str], shape: BillShape) -> str:
    """A table function over a file, every column as text."""
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    encoding = "utf-8" if shape.charset == "utf-8" else "latin-1"
    quote = literal(shape.quote)
    return (
        f"read_csv({literal(str(path))}, header = false, auto_detect = false, skip = {shape.skip}, "
        f"delim = {literal(shape.delimiter)}, quote = {quote}, escape = {quote}, encoding = '{encoding}', "
        f"{'null_padding = true, ' if shape.ragged else ''}columns = {{{types}}})"
    )


def due(stretch: Stretch, at: str) -> str:
    """The flag that says whether a line of ours is expected in the other list."""
    if stretch is None:
        return str(DUE)
    return f"CASE WHEN {at} IS NULL OR ({at} >= {stretch[0]} AND {at} < {stretch[1]}) THEN {DUE} ELSE 0 END"


def fill_lines(side: str, path: Path, stretch: Stretch) -> str:
    """Lines that were written one by one, into their table."""
    return (
        f"INSERT INTO {side} SELECT CAST(kind AS SMALLINT), NULLIF(key, ''), CAST(value AS BIGINT), "
        f"CAST(flags AS USMALLINT) | {due(stretch, 'TRY_CAST(moment AS BIGINT)')}, TRY_CAST(moment AS BIGINT) "
        f"FROM {table(path, ('kind', 'key', 'value', 'flags', 'moment'), BillShape(columns=(), skip=0))}"
    )


def fill_file(side: str, path: Path, shape: BillShape, words: Words, stretch: Stretch, *, timed: bool) -> str:
    """The lines of a file as it stands, into their table. A word is compared as its bytes stand in the file. ``timed``:
    somebody needs the lines' times."""
    file = File(shape)
    moment = "NULL"
    if "at" in shape.columns and timed:
        moment = f"epoch_ms(TRY_CAST({file.cell('at')} AS TIMESTAMP)) - {CHINA_OFFSET}"
    flags = str(DONE)
    if shape.words:
        numbered = ((word, DONE | words.state(word) << STATE_SHIFT) for word in sorted(shape.words))
        cases = " ".join(f"WHEN {file.raw(word)} THEN {number}" for word, number in numbered)
        flags = f"CASE {file.cell('state')} {cases} ELSE 0 END"
    key = "CASE WHEN starts_with(name, '''') THEN substr(name, 2) ELSE name END" if shape.guarded else "name"
    cells = f"SELECT {file.bare()} FROM {table(path, file.names, shape)}"
    return (
        f"INSERT INTO {side} SELECT code, CASE WHEN code < {words.border} THEN NULLIF({key}, '') END, "
        f"{file.value()}, {flags} | {due(stretch, 'moment')}, moment FROM "
        f"(SELECT *, {file.name()} AS name, {file.code(words)} AS code, CAST({moment} AS BIGINT) AS moment "
        f"FROM ({cells})) WHERE code IS NOT NULL"
    )


class File:
    """A file's columns as expressions over ``bare``, in which every cell stands once, without what is around it."""

    def __init__(self, shape: BillShape) -> None:
        self._shape = shape
        self.names = [f"c_{name}" if name in _READ else f"_{place}" for place, name in enumerate(shape.columns)]

    def raw(self, word: str) -> str:
        """A word as it looks in a file that is read byte for byte."""
        if self._shape.charset == "utf-8":
            return literal(word)
        return literal(word.encode(self._shape.charset).decode("latin-1"))

    def bare(self) -> str:
        """The columns that somebody reads, without what is around their cells. A mark that is no space stands in no
        number, so it is taken out wherever it is: that is ten times as quick as looking at both ends."""
        cells = []
        for name in self._shape.columns:
            if name in _READ:
                cell = f"COALESCE(c_{name}, '')"
                for mark in self._shape.strip:
                    cell = f"trim({cell})" if mark == " " else f"replace({cell}, {literal(mark)}, '')"
                cells.append(f"{cell} AS c_{name}")
        return ", ".join(cells)

    def cell(self, name: str) -> str:
        """A cell's text, '' where it is empty or there is no such column."""
        return f"c_{name}" if name in self._shape.columns else "''"

    def name(self) -> str:
        """What names a line, as it stands in the file: a refund's own number, else the order's."""
        if "refund_no" not in self._shape.columns or "kind" not in self._shape.columns:
            return self.cell("order_no")
        words = ", ".join(self.raw(word) for word, kind in self._shape.kinds.items() if kind == "refund") or "NULL"
        return f"CASE WHEN c_kind IN ({words}) AND c_refund_no <> '' THEN c_refund_no ELSE c_order_no END"

    def code(self, words: Words) -> str:
        """The number of a line's kind and currency; NULL where the line is no movement."""
        kind = str(words.code("payment", "CNY"))
        if "kind" in self._shape.columns:
            numbers = ((word, words.code(ours, _CURRENCIES[0])) for word, ours in self._shape.kinds.items())
            kind = f"CASE c_kind {' '.join(f'WHEN {self.raw(word)} THEN {number}' for word, number in numbers)} END"
        if "currency" not in self._shape.columns:
            return kind
        numbered = " ".join(f"WHEN {literal(name)} THEN {place}" for place, name in enumerate(_CURRENCIES))
        return f"{kind} + CASE c_currency {numbered} ELSE 0 END"

    def value(self) -> str:
        """A line's sum in whole minor units, ``UNREADABLE`` where it is none. Nothing is rounded."""
        names = ("income", "outcome") if "income" in self._shape.columns else ("amount",)
        sums = f"abs({' - '.join(self._sum(name) for name in names)})"
        if "currency" in self._shape.columns:
            sums = f"CASE WHEN c_currency IN ({texts(_CURRENCIES)}) THEN {sums} END"
        return f"COALESCE({sums}, {UNREADABLE})"

    def _sum(self, name: str) -> str:
        cell = f"c_{name}"
        if self._shape.minor:
            return f"(CASE WHEN {cell} = '' THEN 0 ELSE TRY_CAST({cell} AS BIGINT) END)"
        value = f"CAST(TRY_CAST({cell} AS DECIMAL(13, 2)) * 100 AS BIGINT)"
        if "currency" in self._shape.columns:
            value = f"CASE WHEN c_currency IN ({texts(_FLAT)}) THEN {value} // 100 ELSE {value} END"
        # more than two decimals would be rounded: such a sum is none
        whole = f"(strpos({cell}, '.') = 0 OR strpos({cell}, '.') >= strlen({cell}) - 2)"
        return f"(CASE WHEN {cell} = '' THEN 0 WHEN {whole} THEN {value} END)"
