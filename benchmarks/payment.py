"""Creating and paying over HTTP against pgbench, and against SQLite with one transaction per payment.

A round is: the rivals, then empty answers (the limit of one process that speaks HTTP), then create and pay over all
merchants, then create and pay at one merchant. What a create run opened is what the pay run after it pays;
authorisations are granted in between, outside the measured time.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import house, machine
from benchmarks.fill import Writer, fill, grant
from benchmarks.house import Books
from benchmarks.load import Job
from benchmarks.process import Measured, drive, serving
from benchmarks.report import Series, number, table
from benchmarks.rival import Pgbench, pay_one_by_one
from tests.support.postgresql import start
from tongbao.service.audit import audit
from tongbao.wire.world import World

SETTINGS = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "1GB", "max_wal_size": "4GB"}
WAYS = (
    ("nothing", house.MERCHANTS),
    ("create", house.MERCHANTS),
    ("pay", house.MERCHANTS),
    ("create", 1),
    ("pay", 1),
)
RATE_MAX = 30_000
"""Requests a second that are made ready for a run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often, how full, how many at once."""

    seconds: float
    rounds: int
    trades: int
    callers: int
    scale: int
    audit: bool = True
    lines: int = 0
    """Lines of a bill, where bills are compared."""
    times: int = 200
    """Signatures of each kind in a turn, where signatures are measured."""


class Result(defaultdict[str, Series]):
    """Series by name."""

    def __init__(self) -> None:
        super().__init__(Series)


def way_name(kind: str, merchants: int) -> str:
    if kind == "nothing":
        return "an empty answer"
    return f"{kind}, {'one hot merchant' if merchants == 1 else f'{merchants:,} merchants'}"


def run_ways(
    server: Measured,
    books: Books,
    plan: Plan,
    turn: str,
    result: Result,
    say: Callable[[str], None],
    postmaster: int | None = None,
) -> str:
    """One round of our own; the prefix of the trades that were opened last over all merchants and not all paid."""
    opened = 0
    for kind, merchants in WAYS:
        prefix = f"{turn}{'h' if merchants == 1 else 'm'}"
        count = opened if kind == "pay" else round(plan.seconds * RATE_MAX)
        if kind == "pay":
            asyncio.run(grant(books, prefix, merchants, opened))
        job = Job(kind, server.host, server.port, prefix, merchants, count, plan.seconds, plan.callers, 9)
        cpu, (batches, commands) = machine.cpu_seconds(server.pid), server.stats()
        database = machine.tree_cpu_seconds(postmaster) if postmaster else 0.0
        found = drive(job)
        database = machine.tree_cpu_seconds(postmaster) - database if postmaster else 0.0
        cpu = machine.cpu_seconds(server.pid) - cpu
        after = server.stats()
        opened = int(found["numbers"])
        name = way_name(kind, merchants)
        result[name].add(found["rate"])
        for part in ("p50", "p99", "worst"):
            result[f"{name}: {part}"].add(found[part])
        result[f"{name}: cpu"].add(cpu * 1e6 / found["answers"])
        result[f"{name}: db"].add(database * 1e6 / found["answers"])
        result[f"{name}: batch"].add((after[1] - commands) / max(1, after[0] - batches))
        result[f"{name}: load"].add(found["cpu"] / found["seconds"])
        say(
            f"  {name}: {number(found['rate'])}/s, p99 {found['p99']:.1f} ms, "
            f"CPU {cpu * 1e6 / found['answers']:.0f} + {database * 1e6 / found['answers']:.0f} us"
        )
    return f"{turn}m"


def on_postgresql(plan: Plan, say: Callable[[str], None]) -> str:
    """The table for PostgreSQL."""
    result = Result()
    with start(SETTINGS) as postgresql:
        bench = Pgbench(postgresql, plan.scale)
        postgresql.execute("CREATE DATABASE books")
        books = Books(postgresql.name("books"))
        begun = time.perf_counter()
        asyncio.run(fill(books, plan.trades))
        say(f"PostgreSQL: filled with {plan.trades:,} trades in {time.perf_counter() - begun:.0f} s")
        with serving(books.where) as server:
            for turn in range(plan.rounds):
                for pinned in (False, True):
                    name = "pgbench, pinned" if pinned else "pgbench, all cores"
                    cpu = machine.tree_cpu_seconds(bench.postmaster)
                    result[name].add(bench.rate(plan.seconds, pinned=pinned))
                    cpu = machine.tree_cpu_seconds(bench.postmaster) - cpu
                    result[f"{name}: db"].add(cpu * 1e6 / (result[name].values[-1] * plan.seconds))
                    say(f"  {name}: {number(result[name].values[-1])}/s")
                bench.place(pinned=True)
                run_ways(server, books, plan, f"r{turn}", result, say, bench.postmaster)
            memory = machine.resident_mib(server.pid)
        bench.place(pinned=False)
        verdict = asyncio.run(check(books)) if plan.audit else "left out"
        with_rival = max(result["pgbench, all cores"].median, result["pgbench, pinned"].median)
    settings = ", ".join(f"{key}={value}" for key, value in SETTINGS.items())
    title = (
        f"PostgreSQL ({settings}; pgbench scale {plan.scale}, -M prepared -c 8 -j 2)\n"
        f"server process {memory:.0f} MiB, audit {verdict}"
    )
    return _table(title, result, with_rival, ("pgbench, all cores", "pgbench, pinned"))


def on_sqlite(plan: Plan, say: Callable[[str], None]) -> str:
    """The table for SQLite with synchronous=FULL."""
    result = Result()
    clock = house.make_world().clock
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        books = Books(str(Path(folder) / "books.sqlite"))
        begun = time.perf_counter()
        asyncio.run(fill(books, plan.trades))
        say(f"SQLite: filled with {plan.trades:,} trades in {time.perf_counter() - begun:.0f} s")
        with serving(books.where) as server:
            for turn in range(plan.rounds):
                prefix = f"x{turn}"
                count = round(min(plan.seconds * 6_000, 60_000))
                job = Job("create", server.host, server.port, prefix, house.MERCHANTS, count, 60, plan.callers, 9)
                opened = int(drive(job)["numbers"])
                asyncio.run(grant(books, prefix, house.MERCHANTS, opened))
                whole, inside, _ = pay_one_by_one(books.where, clock, prefix, opened, plan.seconds)
                result["one each, whole"].add(whole)
                result["one each, in SQLite only"].add(inside)
                say(f"  one transaction each: {number(whole)}/s, {number(inside)}/s counting only SQLite")
                run_ways(server, books, plan, f"r{turn}", result, say)
            memory = machine.resident_mib(server.pid)
        verdict = asyncio.run(check(books)) if plan.audit else "left out"
    title = f"SQLite (synchronous=FULL, WAL)\nserver process {memory:.0f} MiB, audit {verdict}"
    rivals = ("one each, whole", "one each, in SQLite only")
    return _table(title, result, result["one each, in SQLite only"].median, rivals)


async def check(books: Books) -> str:
    """``clean``, or the ids that were found. Notifications are not sent meanwhile, so that I21 is left out."""
    async with Writer(books) as writer:
        await writer.tidy()
    database = await books.open({"statement_timeout": "0"})
    world: World = house.make_world()
    found = await audit(database, world.clock.business(), environment="test")
    await database.close()
    wrong = [f"{finding.id} {finding.rows[:2]}" for finding in found if finding.id != "I21"]
    return "clean (unsent notifications aside)" if not wrong else "; ".join(wrong)


def _table(title: str, result: Result, rival: float, rivals: tuple[str, ...]) -> str:
    head = ("", "ratio", "median/s", "spread", "p50 ms", "p99 ms", "worst ms", "CPU us", "DB us", "batch", "load core")
    rows: list[list[str]] = []
    for name in rivals:
        series = result[name]
        database = number(result[f"{name}: db"].median) if f"{name}: db" in result else ""
        blank = [*[""] * 4, database, *[""] * 2]
        rows.append([name, f"{series.median / rival:.2f}", number(series.median), series.spread, *blank])
    for name in (way_name(*way) for way in WAYS):
        series = result[name]
        parts = ("p50", "p99", "worst", "cpu", "db", "batch")
        more: list[Any] = [number(result[f"{name}: {part}"].median) for part in parts]
        share = f"{result[f'{name}: load'].median:.0%}"
        rows.append([name, f"{series.median / rival:.2f}", number(series.median), series.spread, *more, share])
    return table(title, head, rows)
