"""Tables as descriptors over record types, and the statements each of them needs, for both databases.

The statements are named ``load``, ``insert``, ``keep`` (an insert of what is not there yet) and ``update``. PostgreSQL
takes one array per column (UNNEST; a JSON parameter is a quarter as fast), SQLite runs the same statement once per row
inside the writer.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

Row = Any
Key = tuple[Any, ...]

_KINDS: Final = {str: "text", int: "bigint", bool: "boolean"}
MARK: Final = "\x1f"
"""Between the values of a column that travels as one text; a value that holds it makes the column an array again."""
NOTHING: Final = "-"
"""A number or boolean that is absent, in such a column."""


@dataclass(frozen=True, slots=True)
class Column:
    """``kind`` is ``text``, ``bigint`` or ``boolean``, as PostgreSQL calls them."""

    name: str
    kind: str
    nullable: bool = False


Array = Callable[[int, Column], str]


def plain_array(number: int, column: Column) -> str:
    """A parameter that is an array."""
    return f"${number}::{column.kind}[]"


def joined_array(number: int, column: Column) -> str:
    """A parameter that is one text with a mark between the values. asyncpg looks at every element of an array in
    Python, which costs more than the whole insert does; joining and splitting are done in C at both ends. An empty text
    is one empty value, not none."""
    if column.kind == "text":
        return f"COALESCE(NULLIF(STRING_TO_ARRAY(${number}::text, E'\\x1f'), '{{}}'), '{{\"\"}}')"
    return f"STRING_TO_ARRAY(${number}::text, E'\\x1f', '{NOTHING}')::{column.kind}[]"


def join_columns(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> list[str] | None:
    """The columns of these rows as ``joined_array`` reads them; None where a value cannot travel so."""
    marks = len(rows) - 1
    joined = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        if column.kind == "text":
            if column.nullable:
                return None
            text = MARK.join(values)
            if text.count(MARK) != marks:
                return None
        elif column.nullable:
            text = MARK.join([NOTHING if value is None else str(value) for value in values])
        else:
            text = MARK.join(map(str, values))
        joined.append(text)
    return joined


class Table:
    """One table: its record type, key, and place in the order of locks.

    ``rank`` orders loads and locks over all processes; ``stage`` is the round in which the committer loads it;
    ``locked`` tables are read FOR UPDATE; ``frozen`` columns are never updated; rows of ``blind`` tables may be
    inserted
    without having been looked for, because a row that is locked anyway guards their key (a trade its payments).
    """

    def __init__(
        self,
        name: str,
        record: type[Any],
        key: tuple[str, ...],
        *,
        rank: int,
        stage: int,
        locked: bool = True,
        frozen: tuple[str, ...] = (),
        blind: bool = False,
    ) -> None:
        self.name = name
        self.record = record
        self.key = key
        self.rank = rank
        self.stage = stage
        self.locked = locked
        self.blind = blind
        self.columns = _columns(record)
        names = [column.name for column in self.columns]
        self.mutable = tuple(column for column in self.columns if column.name not in (*key, *frozen))
        self.key_columns = tuple(next(column for column in self.columns if column.name == part) for part in key)
        self.key_of: Callable[[Row], Key] = _tuple_getter(key)
        self.values_of: Callable[[Row], tuple[Any, ...]] = _tuple_getter(tuple(names))
        self.update_of: Callable[[Row], tuple[Any, ...]] = _tuple_getter(
            tuple(column.name for column in self.mutable) + key
        )
        self._booleans = [index for index, column in enumerate(self.columns) if column.kind == "boolean"]
        self.postgresql = {
            "load": self._load_pg(),
            "insert": self._insert_pg(),
            "keep": self._keep_pg(),
            "update": self._update_pg(),
        }
        self._many: dict[tuple[str, int], str] = {}
        self.write_columns = {
            "insert": self.columns,
            "keep": self.columns,
            "update": (*self.mutable, *self.key_columns),
        }
        insert = self._insert_lite()
        self.sqlite = {"load": self._load_lite(), "insert": insert, "keep": insert, "update": self._update_lite()}

    def __repr__(self) -> str:
        return f"Table({self.name})"

    def _names(self) -> str:
        return ", ".join(column.name for column in self.columns)

    def _load_pg(self, array: Array = plain_array, before: int = 0) -> str:
        """``array`` writes one column's parameter, ``before`` counts the parameters that stand before this
        statement's."""
        order = ", ".join(self.key)
        arrays = [array(n, column) for n, column in enumerate(self.key_columns, before + 1)]
        if len(self.key) == 1:
            where = f"{self.key[0]} = ANY({arrays[0]})"
        else:
            where = f"({order}) IN (SELECT * FROM UNNEST({', '.join(arrays)}))"
        lock = " FOR UPDATE" if self.locked else ""
        return f"SELECT {self._names()} FROM {self.name} WHERE {where} ORDER BY {order}{lock}"

    def _insert_pg(self, array: Array = plain_array, before: int = 0) -> str:
        arrays = ", ".join(array(n, column) for n, column in enumerate(self.columns, before + 1))
        return f"INSERT INTO {self.name} ({self._names()}) SELECT * FROM UNNEST({arrays})"

    def _keep_pg(self, array: Array = plain_array, before: int = 0) -> str:
        return f"{self._insert_pg(array, before)} ON CONFLICT DO NOTHING"

    def _update_pg(self, array: Array = plain_array, before: int = 0) -> str:
        order = (*self.mutable, *self.key_columns)
        arrays = ", ".join(array(n, column) for n, column in enumerate(order, before + 1))
        names = ", ".join(f"{column.name}" for column in order)
        sets = ", ".join(f"{column.name} = fresh.{column.name}" for column in self.mutable)
        where = " AND ".join(f"old.{part} = fresh.{part}" for part in self.key)
        return f"UPDATE {self.name} AS old SET {sets} FROM UNNEST({arrays}) AS fresh ({names}) WHERE {where}"

    def load_joined(self, before: int) -> str:
        """The load whose keys travel as ``join_columns`` writes them, from parameter ``before`` + 1 on; its answer is
        one column of rows."""
        return f"SELECT ROW({self._names()}) FROM ({self._load_pg(joined_array, before)}) AS {self.name}_rows"

    def write_joined(self, kind: str, before: int) -> str:
        """A write of that kind, which answers with one row for each that took effect."""
        make = {"insert": self._insert_pg, "keep": self._keep_pg, "update": self._update_pg}
        return f"{make[kind](joined_array, before)} RETURNING 1"

    def _load_lite(self) -> str:
        where = " AND ".join(f"{part} = ?" for part in self.key)
        return f"SELECT {self._names()} FROM {self.name} WHERE {where}"

    def _insert_lite(self) -> str:
        marks = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {self.name} ({self._names()}) VALUES ({marks}) ON CONFLICT DO NOTHING"

    def _update_lite(self) -> str:
        sets = ", ".join(f"{column.name} = ?" for column in self.mutable)
        where = " AND ".join(f"{part} = ?" for part in self.key)
        return f"UPDATE {self.name} SET {sets} WHERE {where}"

    def many_lite(self, kind: str, size: int) -> str:
        """The statement of that kind for ``size`` rows or keys at once, their parameters one after another."""
        known = self._many.get((kind, size))
        if known is None:
            known = self._many[kind, size] = self._make_many_lite(kind, size)
        return known

    def _make_many_lite(self, kind: str, size: int) -> str:
        if kind == "load":
            rows = ", ".join([f"({', '.join('?' for _ in self.key)})"] * size)
            names = ", ".join(f"{self.name}.{column.name}" for column in self.columns)
            where = " AND ".join(f"{self.name}.{part} = wanted.column{n}" for n, part in enumerate(self.key, 1))
            return f"SELECT {names} FROM (VALUES {rows}) AS wanted CROSS JOIN {self.name} ON {where}"
        columns = self.write_columns[kind]
        row = ", ".join("?" for _ in columns)
        rows = ", ".join(f"({row})" for _ in range(size))
        if kind != "update":
            return f"INSERT INTO {self.name} ({self._names()}) VALUES {rows} ON CONFLICT DO NOTHING"
        mutable = len(self.mutable)
        sets = ", ".join(f"{column.name} = fresh.column{n}" for n, column in enumerate(self.mutable, 1))
        where = " AND ".join(f"{self.name}.{part} = fresh.column{mutable + n}" for n, part in enumerate(self.key, 1))
        return f"UPDATE {self.name} SET {sets} FROM (VALUES {rows}) AS fresh WHERE {where}"

    def rows(self, raw: Sequence[Sequence[Any]]) -> list[Row]:
        """Records from database rows. SQLite keeps booleans as 0 and 1; they come back as bool."""
        if not self._booleans:
            return [self.record(*values) for values in raw]
        rows = []
        for values in raw:
            fields = list(values)
            for index in self._booleans:
                fields[index] = bool(fields[index])
            rows.append(self.record(*fields))
        return rows


def _columns(record: type[Any]) -> tuple[Column, ...]:
    hints = typing.get_type_hints(record)
    return tuple(_column(field.name, hints[field.name]) for field in dataclasses.fields(record))


def _column(name: str, hint: Any) -> Column:
    if typing.get_origin(hint) is typing.Literal:
        hint = str
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    base = options[0] if options else hint
    base = getattr(base, "__supertype__", base)
    return Column(name, _KINDS[base], nullable=bool(options))


def _tuple_getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        single = attrgetter(names[0])
        return lambda row: (single(row),)
    return attrgetter(*names)
