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

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.time import Instant, later
from tongbao.merchant import engine
from tongbao.merchant.engine import Words
from tongbao.wire.bill import BillShape
from tongbao.wire.loader import load_driver

MEMORY: Final = "400MB"
"""What the engine may keep in memory before it spills to disk."""

PART: Final = 2_000_000
"""Lines whose keys are counted at once, where keys stand twice."""


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
    ``there_lines`` count them. ``state`` is ours; ``at`` is known of what waits."""

    what: Class
    kind: str
    key: str
    here_lines: int
    there_lines: int
    here_amount: int | None
    there_amount: int | None
    currency: str
    state: str
    at: Instant | None
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
    """One comparison. ``folder`` is where it may write; ``memory`` bounds the engine; ``kinds`` are compared, lines of
    other kinds only counted; with a ``frame`` our lines of other days are not expected over there, and where lines
    ``may_wait`` lone ones near the frame's ends do. Use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        memory: str = MEMORY,
        threads: int = 0,
        kinds: tuple[str, ...] = ("payment", "refund"),
        frame: Frame | None = None,
        may_wait: bool = False,
    ) -> None:
        self._folder = folder
        self._words = Words(kinds)
        self._charset = "utf-8"
        self._frame = frame
        self._may_wait = may_wait and frame is not None
        self._many = 0
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads:
            settings["threads"] = threads
        self._engine = load_driver("duckdb").connect(str(folder / "match.duckdb"), config=settings)
        for side in Side:
            self._engine.execute(engine.MAKE.format(side=side))

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def add_file(self, side: Side, path: Path, shape: BillShape) -> None:
        """A list as its file stands. Raises RemoteProtocolError where no column of it names an order, or the file is
        not delimited as its shape says."""
        if "order_no" not in shape.columns:
            raise RemoteProtocolError("", "the file has no column with the order's number")
        # a name of ours leads to it: whatever stands in the given one is no pattern to the engine
        name = self._place(".csv.gz" if path.suffix == ".gz" else ".csv")
        name.symlink_to(path.resolve())
        if shape.charset != "utf-8":
            self._charset = shape.charset
        stretch = self._stretch(side)
        timed = self._frame is not None and (self._may_wait or side is Side.HERE)
        try:
            self._engine.execute(engine.fill_file(side, name, shape, self._words, stretch, timed=timed))
        except load_driver("duckdb").Error as error:
            raise RemoteProtocolError("", f"the file is not what it should be: {str(error).splitlines()[0]}") from error

    def read(self, side: Side) -> tuple[int, int]:
        """(lines, sum in minor units) of one side so far."""
        lines, amount = self._engine.execute(engine.READ.format(side=side)).fetchone()
        return int(lines), int(amount)

    def clear(self, side: Side) -> None:
        """Forget what was read of one side."""
        self._engine.execute(f"DELETE FROM {side}")

    def add_lines(self, side: Side, lines: Iterable[Line]) -> int:
        """A list line by line; returns how many there were."""
        path, count, words = self._place(".csv"), 0, self._words
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for line in lines:
                key = line.key if line.kind in words.compared else ""
                flags = int(line.done) | words.state(line.state) << engine.STATE_SHIFT
                at = "" if line.at is None else line.at
                writer.writerow((words.code(line.kind, line.currency), key, line.amount, flags, at))
                count += 1
        if count:
            self._engine.execute(engine.fill_lines(side, path, self._stretch(side)))
        path.unlink()
        return count

    def match(self, waits: Frame | None = None) -> Match:
        """Compare. The engine stays open for the differences. ``waits``: lone lines near this frame's ends wait, though
        ours of other days are not told apart."""
        if waits is not None:
            self._frame, self._may_wait = waits, True
        read = {side: self.read(side) for side in Side}
        for statement in (*engine.WAITED_HERE, *engine.WAITED_THERE) if self._may_wait else ():
            self._engine.execute(statement)
        near = None
        if self._may_wait and self._frame is not None:
            near = (later(self._frame.low, self._frame.cutoff), later(self._frame.high, -self._frame.cutoff))
        self._engine.execute(engine.judge(near))
        here, there, rows, pairs = self._engine.execute(engine.COUNTS).fetchone()
        if (rows or 0) != here + there - (pairs or 0):
            self._take_twice(here + there, near)
        self._engine.execute(engine.ALONE_TWICE)
        return Match(self._engine, self._charset, self._words, read)

    def _take_twice(self, lines: int, near: engine.Stretch) -> None:
        """Keys that stand twice have made pairs of strangers: take them out, and join the others again."""
        self._engine.execute(engine.MAKE_TWICE)
        parts = lines // PART + 1
        for part in range(parts):
            self._engine.execute(engine.FIND_TWICE.format(parts=parts, part=part))
        for statement in (*engine.TAKE_TWICE, engine.judge(near), engine.ADD_TWICE):
            self._engine.execute(statement)

    def _stretch(self, side: Side) -> engine.Stretch:
        """When a line must be done to be expected over there: every line of theirs is, and what waited."""
        return (self._frame.low, self._frame.high) if self._frame is not None and side is Side.HERE else None

    def _place(self, ending: str) -> Path:
        self._many += 1
        return self._folder / f"list{self._many}{ending}"


class Match:
    """What a comparison came to. Lives as long as its Matcher."""

    def __init__(self, engine: Any, charset: str, words: Words, read: dict[Side, tuple[int, int]]) -> None:
        self.read = read
        """(lines, sum in minor units) of each side as it was given, whatever became of them."""
        self._engine = engine
        self._charset = charset
        self._words = words
        rows = engine.execute(
            "SELECT class, kind, SUM(many), SUM(hn), SUM(tn), SUM(hs), SUM(ts) FROM result "
            "GROUP BY class, kind ORDER BY class, kind"
        ).fetchall()
        if any(row[5] < 0 or row[6] < 0 for row in rows):
            raise RemoteProtocolError("amount", "a line has a sum that cannot be read")
        self.counts = [
            Count(Class(what), words.kind(code), int(many), int(hn), int(tn), int(hs), int(ts))
            for what, code, many, hn, tn, hs, ts in rows
        ]

    @property
    def is_clean(self) -> bool:
        """Whether there is no difference; what waits is none yet."""
        return not any(count.what in DIFFERENCES for count in self.counts)

    def many(self, what: Class) -> int:
        """How often something came out, over all kinds."""
        return sum(count.many for count in self.counts if count.what == what)

    def differences(self, *what: Class) -> Iterator[Difference]:
        """Line by line, in order of class, kind and key; all differences where none is named."""
        wanted = engine.texts(tuple(str(one) for one in what or DIFFERENCES))
        cursor = self._engine.cursor()
        cursor.execute(
            "SELECT class, kind, key, hn, tn, CASE WHEN hn > 0 THEN hs // hn END, CASE WHEN tn > 0 THEN ts // tn END, "
            f"flags, moment FROM result WHERE class IN ({wanted}) ORDER BY class, kind, key"
        )
        while rows := cursor.fetchmany(1_000):
            for one, code, key, hn, tn, ha, ta, flags, moment in rows:
                yield Difference(
                    what=Class(one),
                    kind=self._words.kind(code),
                    key=self._text(key),
                    here_lines=int(hn),
                    there_lines=int(tn),
                    here_amount=None if ha is None else int(ha),
                    there_amount=None if ta is None else int(ta),
                    currency=self._words.currency(code),
                    state=self._words.states[(flags or 0) >> engine.STATE_SHIFT],
                    at=None if moment is None else Instant(int(moment)),
                    done=flags is None or bool(flags & engine.DONE),
                )

    def _text(self, text: str) -> str:
        """A text that was read byte for byte, in its own charset."""
        if self._charset == "utf-8":
            return text
        try:
            return text.encode("latin-1").decode(self._charset, "replace")
        except UnicodeEncodeError:
            return text  # ours, and of more than one byte: it was not read from that file
