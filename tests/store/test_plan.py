"""How PostgreSQL finds what writing connections ask for: never by reading a large table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.platform import Stage
from tongbao.kernel.time import Instant
from tongbao.store.commit import LEASE
from tongbao.store.schema import ANSWER, EVENT
from tongbao.store.step import Commit, Load, Query, Script, Together

EVENTS = """
INSERT INTO event
SELECT 'm' || n % 50, 't' || n, 1, '', 'paid', 'c' || n, n, '{}', 'http://a/', 'delivered', 1, 0, NULL, 0, NULL
FROM generate_series(1, 60000) AS n
"""
DUE = "UPDATE event SET notify_state = 'pending', next_at = 5 WHERE at % 600 = 0"
WORDS = "INSERT INTO seen_word SELECT encode(sha256(n::text::bytea), 'hex'), n FROM generate_series(1, 60000) AS n"
SCANS = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('event', 'seen_word', 'answer')"
TURNS = 8
"""More than the five after which PostgreSQL would begin to think of a plan for all times."""


def _claim() -> Script[Any]:
    rows = yield Query("outbox.claim", {"now": 10, "now_wire": 10, "until": Instant(10 + LEASE), "most": 100})
    yield Commit()
    return rows


def _forget() -> Script[Any]:
    rows = yield Query("once.forget", {"now_wire": 40, "most": 20})
    yield Commit()
    return rows


def _load() -> Script[Any]:
    loaded = yield Together([Load(ANSWER, [("s", "k")]), Load(EVENT, [("m1", "t1", 1), ("m2", "t2", 1)])])
    yield Commit()
    return loaded[1]


@pytest.mark.slow
def test_F12_no_writing_connection_reads_a_large_table(postgresql_stage: Stage) -> None:
    """Statements whose plan was made while the tables were empty, and queries that look for no key."""
    stage = postgresql_stage

    async def play() -> tuple[list[int], dict[str, int]]:
        async with stage.open_database() as database:
            for _ in range(TURNS):
                await database.run(_load)
                await database.run(_claim)
                await database.run(_forget)
            await asyncio.sleep(1.5)  # a backend tells its counts once a second
            await database.run(_load)
            stage.execute(EVENTS, DUE, WORDS)
            await asyncio.sleep(1.5)
            before = scans()
            # no statistics were gathered yet where statements by key are tried first
            found = [len(await database.run(_load)) for _ in range(TURNS)]
            stage.execute("ANALYZE")
            found += [len(await database.run(_claim)), len(await database.run(_forget))]
            for _ in range(TURNS):
                await database.run(_load)
                await database.run(_claim)
                await database.run(_forget)
            await asyncio.sleep(1.5)
            await database.run(_load)
        await asyncio.sleep(0.5)
        after = scans()
        return found, {name: after[name] - before[name] for name in after}

    def scans() -> dict[str, int]:
        return {str(name): int(count) for name, count in stage.execute(SCANS)}

    found, more = asyncio.run(play())
    assert found == [2] * TURNS + [100, 20]
    assert more == {"event": 0, "seen_word": 0, "answer": 0}
