"""The rivals: pgbench on the same server, and SQLite with one transaction per payment."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks import house, machine
from benchmarks.server import authorisation_of
from tests.support.postgresql import Server
from tongbao.kernel.port import Clock
from tongbao.service.command import RULES
from tongbao.service.pay import PayFromBalance
from tongbao.store.commit import Now, commit_batch, take_lane
from tongbao.store.record import Lane
from tongbao.store.sqlite import connect, run_script
from tongbao.store.step import Step, one_by_one


class Pgbench:
    """TPC-B-like, as PostgreSQL brings it: ``-M prepared -c 8 -j 2``."""

    def __init__(self, server: Server, scale: int) -> None:
        if server.bin is None:
            raise LookupError("no pgbench: the server is not ours")
        self.program = server.bin / "pgbench"
        self.scale = scale
        server.execute("CREATE DATABASE pgbench")
        parts = urlsplit(server.dsn)
        self.where: list[str | Path] = [
            "-h",
            str(parts.hostname),
            "-p",
            str(parts.port),
            "-U",
            str(parts.username),
            "pgbench",
        ]
        with psycopg.connect(server.dsn) as connection:
            found = connection.execute("SHOW data_directory").fetchone()
        self.postmaster = int(Path(str(found[0]) if found else "", "postmaster.pid").read_text("ascii").split()[0])
        prepare: list[str | Path] = [self.program, "-i", "-q", "-s", str(scale), *self.where]
        subprocess.run(prepare, check=True, capture_output=True)

    def place(self, *, pinned: bool) -> None:
        """The database on the core it has beside the measured process, or on all."""
        machine.pin(self.postmaster, *((machine.THEIRS,) if pinned else machine.CORES))

    def rate(self, seconds: float, *, pinned: bool) -> float:
        """Transactions a second."""
        self.place(pinned=pinned)
        command: list[str | Path] = [
            self.program,
            "-M",
            "prepared",
            "-c",
            "8",
            "-j",
            "2",
            "-n",
            "-T",
            str(max(1, round(seconds))),
        ]
        process = subprocess.Popen([*command, *self.where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if pinned:
            machine.pin(process.pid, machine.OURS)
        said, wrong = process.communicate()
        found = re.search(r"tps = ([0-9.]+)", said)
        if process.returncode or found is None:
            raise RuntimeError(f"pgbench: {wrong}")
        return float(found[1])


@dataclass(slots=True)
class _Timed:
    """A connection whose time inside SQLite is counted."""

    connection: sqlite3.Connection
    seconds: float = 0.0

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        begun = time.perf_counter()
        try:
            return self.connection.execute(*arguments)
        finally:
            self.seconds += time.perf_counter() - begun

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        begun = time.perf_counter()
        try:
            return self.connection.executemany(*arguments)
        finally:
            self.seconds += time.perf_counter() - begun

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction


def pay_one_by_one(path: str, clock: Clock, prefix: str, count: int, seconds: float) -> tuple[float, float, int]:
    """Payments a second with the same statements and one transaction each: (whole, only inside SQLite, how many).

    No HTTP and no queue. Has a lane of its own; checkpoints every 1,000 pages as SQLite does by itself.
    """
    connection = connect(path)
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    timed: Any = _Timed(connection)
    lane: Lane = run_script(timed, one_by_one(take_lane(9, "rival", _now(clock), by_force=True)), _ignore)
    timed.seconds, begun, number = 0.0, time.perf_counter(), 0
    while number < count and time.perf_counter() - begun < seconds:
        trade = f"{prefix}{number:08d}"
        command = PayFromBalance(
            house.merchant_id(number % house.MERCHANTS),
            trade,
            house.buyer_id(number % house.BUYERS),
            authorisation_of(trade),
        )
        script = one_by_one(commit_batch([command], RULES, 9, lane.token, _now(clock), lambda batch: None))
        done = run_script(timed, script, _ignore)
        if isinstance(done.outcomes[0], Exception):
            raise done.outcomes[0]
        number += 1
    whole = time.perf_counter() - begun
    connection.close()
    return number / whole, number / timed.seconds, number


def _now(clock: Clock) -> Now:
    return Now(clock.business(), clock.wire())


def _ignore(moment: str, step: Step) -> None:
    """Nobody observes."""
