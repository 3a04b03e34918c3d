"""The closed list of SQL fragments, and the two databases' ways of writing them. Nothing else differs between them.

=================  ==============================  ===========================================
fragment           PostgreSQL                      SQLite
=================  ==============================  ===========================================
{bigint} {bool}    bigint, boolean                 INTEGER
{strict}           (nothing)                       STRICT
{lock} {skip}      FOR UPDATE [SKIP LOCKED]        (nothing: one writer)
{in x}             = ANY(:x)                       IN (SELECT value FROM json_each(:x))
{append_only t}    a trigger refusing changes      two triggers refusing changes
=================  ==============================  ===========================================

Parameters are written ``:name`` in both; PostgreSQL gets ``$1`` and so on, in order of first use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_FRAGMENT = re.compile(r"\{([a-z_]+)(?: ([a-z_]+))?\}")
_PARAMETER = re.compile(r"--[^\n]*|'[^']*'|(?<![:\w]):([a-z_]+)")  # not in a comment, not in a text
_NAME = re.compile(r"^-- name: ([a-z_.]+)\s*$", re.MULTILINE)

_PLAIN: Final = {
    "postgresql": {
        "bigint": "bigint",
        "bool": "boolean",
        "strict": "",
        "lock": "FOR UPDATE",
        "skip": "FOR UPDATE SKIP LOCKED",
    },
    "sqlite": {"bigint": "INTEGER", "bool": "INTEGER", "strict": "STRICT", "lock": "", "skip": ""},
}

_APPEND_ONLY: Final = {
    "postgresql": (
        "CREATE FUNCTION {0}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '{0} is append-only'; END $$;\n"
        "CREATE TRIGGER {0}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {0} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {0}_append_only();"
    ),
    "sqlite": (
        "CREATE TRIGGER {0}_no_update BEFORE UPDATE ON {0} BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END;\n"
        "CREATE TRIGGER {0}_no_delete BEFORE DELETE ON {0} BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END;"
    ),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One named query for one database: its text and the names of its parameters in order (``lists`` are arrays)."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    lists: frozenset[str]


def expand(sql: str, dialect: str) -> tuple[str, frozenset[str]]:
    """Replace every fragment; returns the text and the names of list parameters. Raises KeyError on an unknown one."""
    lists: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        word, argument = match[1], match[2]
        if word == "in" and argument:
            lists.add(argument)
            return (
                f"= ANY(:{argument})" if dialect == "postgresql" else f"IN (SELECT value FROM json_each(:{argument}))"
            )
        if word == "append_only" and argument:
            return _APPEND_ONLY[dialect].format(argument)
        return _PLAIN[dialect][word]

    return _FRAGMENT.sub(replace, sql), frozenset(lists)


def compile_statement(name: str, sql: str, dialect: str) -> Statement:
    """A named query ready for its driver."""
    text, lists = expand(sql, dialect)
    order = tuple(dict.fromkeys(name for name in _PARAMETER.findall(text) if name))
    if dialect == "postgresql":
        text = _PARAMETER.sub(lambda match: f"${order.index(match[1]) + 1}" if match[1] else match[0], text)
    return Statement(name, text.strip().rstrip(";"), order, lists)


@cache
def named_queries() -> dict[str, str]:
    """All hand-written queries by name, from ``query/*.sql``; a name is used once."""
    found: dict[str, str] = {}
    for file in sorted(resources.files("tongbao.store").joinpath("query").iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _NAME.split(file.read_text("utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise KeyError(f"query {name} is written twice")
            found[name] = text
    return found


@cache
def statements(dialect: str) -> dict[str, Statement]:
    """Every hand-written query, compiled for one database."""
    return {name: compile_statement(name, sql, dialect) for name, sql in named_queries().items()}
