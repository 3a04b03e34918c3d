"""Tables as descriptors over record types, and the three statements each of them needs, for both databases.

The statements are named ``TABLE.load``, ``TABLE.insert`` and ``TABLE.update``. PostgreSQL takes one array per column
(UNNEST; a JSON parameter is a quarter as fast), SQLite runs the same statement once per row inside the writer.
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


@dataclass(frozen=True, slots=True)
class Column:
    """``kind`` is ``text``, ``bigint`` or ``boolean``, as PostgreSQL calls them."""

    name: str
    kind: str


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
        self.postgresql = {"load": self._load_pg(), "insert": self._insert_pg(), "update": self._update_pg()}
        self.sqlite = {"load": self._load_lite(), "insert": self._insert_lite(), "update": self._update_lite()}

    def __repr__(self) -> str:
        return f"Table({self.name})"

    def _names(self) -> str:
        return ", ".join(column.name for column in self.columns)

    def _load_pg(self) -> str:
        order = ", ".join(self.key)
        if len(self.key) == 1:
            where = f"{self.key[0]} = ANY($1::{self.key_columns[0].kind}[])"
        else:
            arrays = ", ".join(f"${n}::{column.kind}[]" for n, column in enumerate(self.key_columns, 1))
            where = f"({order}) IN (SELECT * FROM UNNEST({arrays}))"
        lock = " FOR UPDATE" if self.locked else ""
        return f"SELECT {self._names()} FROM {self.name} WHERE {where} ORDER BY {order}{lock}"

    def _insert_pg(self) -> str:
        arrays = ", ".join(f"${n}::{column.kind}[]" for n, column in enumerate(self.columns, 1))
        return f"INSERT INTO {self.name} ({self._names()}) SELECT * FROM UNNEST({arrays}) ON CONFLICT DO NOTHING"

    def _update_pg(self) -> str:
        order = (*self.mutable, *self.key_columns)
        arrays = ", ".join(f"${n}::{column.kind}[]" for n, column in enumerate(order, 1))
        names = ", ".join(f"{column.name}" for column in order)
        sets = ", ".join(f"{column.name} = fresh.{column.name}" for column in self.mutable)
        where = " AND ".join(f"old.{part} = fresh.{part}" for part in self.key)
        return f"UPDATE {self.name} AS old SET {sets} FROM UNNEST({arrays}) AS fresh ({names}) WHERE {where}"

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
    return tuple(Column(field.name, _kind(hints[field.name])) for field in dataclasses.fields(record))


def _kind(hint: Any) -> str:
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    base = options[0] if options else hint
    base = getattr(base, "__supertype__", base)
    return _KINDS[base]


def _tuple_getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        single = attrgetter(names[0])
        return lambda row: (single(row),)
    return attrgetter(*names)
