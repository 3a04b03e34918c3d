"""Very many kills under load, in pieces, each on a fresh database."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from tests.kill.siege import Siege, besiege
from tests.soak.journal import Journal
from tests.support.platform import Stage
from tests.support.postgresql import start
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite

DIALECTS: Final = ("sqlite", "postgresql")
PIECE: Final = 20


@contextmanager
def fresh(dialect: str) -> Iterator[tuple[Stage, str]]:
    """A fresh database for the platform, and one for the shop."""
    if dialect == "sqlite":
        with tempfile.TemporaryDirectory(prefix="tongbao-kill-") as folder:
            books = str(Path(folder) / "books.sqlite")
            migrate_sqlite(books)
            yield Stage("sqlite", books), str(Path(folder) / "shop.sqlite")
        return
    with start() as server, server.database() as books, server.database() as shop:
        asyncio.run(migrate_postgresql(books))
        yield Stage("postgresql", books), shop


def run(dialect: str, kills: int, journal: Journal, say: Callable[[str], None]) -> bool:
    """Kill what of ``kills`` was not killed yet. Whatever is lost or done twice raises AssertionError."""
    done = {piece["seed"] for piece in journal.pieces() if piece["dialect"] == dialect}
    for seed in range(0, kills, PIECE):
        if seed in done:
            continue
        began = time.monotonic()
        try:
            with fresh(dialect) as (stage, shop):
                siege = besiege(stage, shop, seed, min(PIECE, kills - seed))
        except AssertionError as wrong:
            say(f"kills on {dialect}, seed {seed}: BROKEN: {wrong!r}")
            return False
        figures = {name.name: getattr(siege, name.name) for name in fields(siege)}
        journal.add({"dialect": dialect, "seed": seed, "seconds": round(time.monotonic() - began, 1), **figures})
    total: dict[str, Any] = {}
    for piece in journal.pieces():
        if piece["dialect"] == dialect:
            for name in fields(Siege):
                value = Counter(piece["kills"]) if name.name == "kills" else piece[name.name]
                total[name.name] = total[name.name] + value if name.name in total else value
    say(f"kills on {dialect}: {Siege(**total)}; nothing lost, nothing done twice, audit clean")
    return True
