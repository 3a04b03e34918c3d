"""Notifications: signed POSTs a second from one process, claimed, sent, acknowledged and written down.

To one process that answers at once: over plain HTTP and over TLS, to few and to many hosts.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import house, machine
from benchmarks.fill import PAST, Writer, fill
from benchmarks.house import Books
from benchmarks.payment import SETTINGS, Plan, Result
from benchmarks.process import ROOT
from benchmarks.report import number, table
from tests.support.postgresql import start

WAYS: Final = (("plain", 200), ("tls", 200))
EVENTS_MAX: Final = 60_000


@contextmanager
def receiving(hosts: int, *, tls: bool) -> Iterator[dict[str, Any]]:
    """The merchants' server, on the other core."""
    command = [machine.python(), "-m", "benchmarks.receiver", str(hosts), *(["--tls"] if tls else [])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        machine.pin(process.pid, machine.THEIRS)
        said: dict[str, Any] = json.loads(process.stdout.readline() if process.stdout else "{}")
        yield said
    finally:
        process.terminate()
        process.wait(60)


async def make_due(books: Books, count: int, scheme: str, port: int, hosts: int) -> None:
    """The first ``count`` past trades' notifications are due now."""
    at = house.make_world().clock.business()
    rows = []
    for n in range(count):
        target = house.notify_url(n, port, hosts).replace("http", scheme, 1)
        rows.append((target, at, house.merchant_id(n % house.MERCHANTS), f"{PAST}{n:08d}"))
    change = "UPDATE event SET notify_state = 'pending', attempts = 0, target = {}, next_at = {} WHERE "
    where = "merchant_id = {} AND out_trade_no = {} AND seq = 1"
    async with Writer(books) as writer:
        if writer.lite is not None:
            writer.lite.execute("BEGIN IMMEDIATE")
            writer.lite.execute("DELETE FROM attempt")
            writer.lite.executemany((change + where).format("?", "?", "?", "?"), rows)
            writer.lite.execute("COMMIT")
        else:
            await writer.pg.execute("DELETE FROM attempt")
            await writer.pg.executemany((change + where).format("$1", "$2", "$3", "$4"), rows)
        await writer.tidy()


def _deliver(books: Books, authority: str) -> dict[str, Any]:
    command = [machine.python(), "-m", "benchmarks.deliverer"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    machine.pin(process.pid, machine.OURS)
    said, _ = process.communicate(json.dumps({"where": books.where, "authority": authority}))
    if process.returncode:
        raise RuntimeError("the deliverer failed")
    found: dict[str, Any] = json.loads(said)
    return found


def _measure(books: Books, plan: Plan, count: int, result: Result, base: str, say: Callable[[str], None]) -> None:
    for scheme, hosts in WAYS:
        name = f"{base}, {'HTTPS' if scheme == 'tls' else 'HTTP'}, {hosts} hosts"
        with receiving(hosts, tls=scheme == "tls") as receiver:
            for _ in range(plan.rounds):
                asyncio.run(make_due(books, count, "https" if scheme == "tls" else "http", receiver["port"], hosts))
                found = _deliver(books, receiver["authority"])
                if found["sent"] < count:
                    raise RuntimeError(f"{found['sent']} of {count} were sent")
                result[name].add(found["sent"] / found["seconds"])
                result[f"{name}: cpu"].add(found["cpu"] * 1e6 / found["sent"])
                say(f"  {name}: {number(result[name].values[-1])}/s")


def on_notifications(plan: Plan, say: Callable[[str], None]) -> str:
    """The table of both databases."""
    result = Result()
    count = round(min(plan.seconds * 4_000, EVENTS_MAX, plan.trades))
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder, start(SETTINGS) as postgresql:
        postgresql.execute("CREATE DATABASE books")
        machine.pin(int(_postmaster(postgresql.dsn)), machine.THEIRS)
        for base, books in (
            ("PostgreSQL", Books(postgresql.name("books"))),
            ("SQLite", Books(str(Path(folder) / "books.sqlite"))),
        ):
            asyncio.run(fill(books, max(count, min(plan.trades, 200_000))))
            say(f"{base}: {count:,} notifications a round, at {time.strftime('%H:%M:%S')}")
            _measure(books, plan, count, result, base, say)
    rows = [
        [name, number(series.median), series.spread, number(result[f"{name}: cpu"].median)]
        for name, series in result.items()
        if not name.endswith(": cpu")
    ]
    return table("Notifications, MD5", ("", "median/s", "spread", "CPU us"), rows)


def _postmaster(dsn: str) -> str:
    return Path(asyncio.run(_data_folder(dsn)), "postmaster.pid").read_text("ascii").split()[0]


async def _data_folder(dsn: str) -> str:
    async with Writer(Books(dsn)) as writer:
        found: str = await writer.pg.fetchval("SHOW data_directory")
    return found
