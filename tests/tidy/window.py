"""The windows to the outside, which only ``runtime`` may open, and what to use instead of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.tidy.source import Finding, Source


@dataclass(frozen=True, slots=True)
class Ban:
    """A name that is not to be used, what to use instead, and the rooms that are excepted besides ``runtime``."""

    name: str
    instead: str
    rooms: frozenset[str] = frozenset()


_CLOCK: Final = "World.clock (business or wire, and say which)"
_CHANCE: Final = "World.random(seed) for chance, World.entropy for what nobody may guess"
_ENTROPY: Final = "World.entropy.token(length)"
_NETWORK: Final = "World.send (or World.mail)"
_SETTING: Final = "a mapping that the caller passes in, or World.settings"
_DRIVER: Final = frozenset({"store", "merchant"})

BANS: Final = (
    Ban("time", _CLOCK),
    Ban("datetime.datetime.now", _CLOCK),
    Ban("datetime.datetime.today", _CLOCK),
    Ban("datetime.datetime.utcnow", _CLOCK),
    Ban("datetime.date.today", _CLOCK),
    Ban("random", _CHANCE, frozenset({"sim"})),
    Ban("secrets", f"{_ENTROPY}; hmac.compare_digest to compare"),
    Ban("uuid.uuid1", _ENTROPY),
    Ban("uuid.uuid4", _ENTROPY),
    Ban("os.urandom", _ENTROPY),
    Ban("os.getrandom", _ENTROPY),
    Ban("os.environ", _SETTING),
    Ban("os.getenv", _SETTING),
    Ban("os.getpid", "World.entropy, or a name given by the caller"),
    Ban("socket", _NETWORK),
    Ban("socketserver", _NETWORK),
    Ban("ssl", _NETWORK),
    Ban("smtplib", "World.mail"),
    Ban("http.client", _NETWORK),
    Ban("http.server", "tongbao.runtime's server, started by cli or testing"),
    Ban("urllib.request", _NETWORK),
    Ban("httpx", _NETWORK),
    Ban("aiohttp", _NETWORK),
    Ban("uvicorn", "tongbao.runtime's server, started by cli or testing"),
    Ban("asyncio.sleep", "World.sleep", frozenset({"store"})),
    Ban("asyncio.open_connection", _NETWORK),
    Ban("asyncio.start_server", _NETWORK),
    Ban("asyncio.run", "an async function that cli or testing runs", frozenset({"cli", "testing"})),
    Ban("subprocess", "nothing: no room but testing starts programs", frozenset({"testing"})),
    Ban("logging", "World.log(event, field=...)"),
    Ban("sqlite3", "the store, or the merchant's order book", _DRIVER),
    Ban("asyncpg", "the store", _DRIVER),
    Ban("psycopg", "the merchant's order book", _DRIVER),
    Ban("pymysql", "the merchant's order book", _DRIVER),
)


OWN_WORLD: Final = frozenset(f"src/tongbao/merchant/{name}.py" for name in ("mail", "system", "transport"))
"""A shop has no World of the platform: these files are its real clock, HTTP client and mailer, and nothing else."""


def find_window(source: Source) -> Iterator[Finding]:
    """Clocks, chance, the environment, the network and the databases outside the rooms they belong to."""
    if source.room == "runtime" or source.path in OWN_WORLD:
        return
    bans = [ban for ban in BANS if source.room not in ban.rooms]
    for node in source.nodes:
        for name in _used_names(source, node):
            ban = next((ban for ban in bans if f"{name}.".startswith(f"{ban.name}.")), None)
            if ban:
                yield source.finding(node, f"{name} belongs to runtime: use {ban.instead}")


def _used_names(source: Source, node: ast.AST) -> tuple[str, ...]:
    """Full names that this node imports or reaches by an attribute."""
    if isinstance(node, ast.Import):
        return tuple(alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        return tuple(f"{node.module}.{alias.name}" for alias in node.names)
    if isinstance(node, ast.Attribute):
        return (source.dotted(node),)
    return ()
