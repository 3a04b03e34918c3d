"""``kill -9`` under load, and a database that stops at once: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.kill.load import Child, Load, furnish, judge, strike
from tests.kill.siege import besiege
from tests.support.missing import missing
from tests.support.platform import Stage
from tests.support.postgresql import Server, find_installation, start
from tests.support.process import Process, find_account
from tongbao.store.migrate import migrate_postgresql


@pytest.fixture
def shop_where(stage: Stage, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of a fresh, empty database for the shop, of the same kind as the platform's."""
    if stage.dialect == "sqlite":
        return str(tmp_path / "shop.sqlite")
    dsn: str = request.getfixturevalue("postgresql_dsn")
    return dsn


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_F01_F02_F03_kill_9_under_load(stage: Stage, shop_where: str) -> None:
    """Web, worker and shop are killed at random moments: no acknowledged order, payment or refund is lost, none is done
    twice, each order is sent out once, the audit is clean. ``make soak`` kills two hundred times."""
    siege = besiege(stage, shop_where, 10, 10)
    assert siege.kills.total() == 10
    assert siege.told > 10
    assert siege.returned > 10
    assert siege.repeats > 0
    assert siege.notified > 0


class Crashing:
    """A PostgreSQL of our own that can be stopped without a checkpoint and started again from its own files."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.dsn = server.dsn
        self._mine: Process | None = None
        with psycopg.connect(server.dsn) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        self._data = Path(row[0])

    def crash(self) -> None:
        """The immediate stop, and the start that recovers."""
        command = shlex.split((self._data / "postmaster.opts").read_text())
        number = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(number, signal.SIGQUIT)
        wait_for(lambda: not is_running(number))
        if self._mine is not None:
            mine = self._mine
            wait_for(lambda: not mine.running)
            mine.stop()
        self._mine = Process(command, find_account(), self._data.parent, "INT")
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self._mine is not None:
            self._mine.stop()


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(question: Callable[[], bool]) -> None:
    """Ask until the answer is yes, for a minute."""
    for _ in range(1_200):
        if question():
            return
        time.sleep(0.05)
    raise AssertionError("waited a minute in vain")


@pytest.fixture
def crashing() -> Iterator[Crashing]:
    """A server that nobody else uses."""
    if find_installation() is None:
        missing("PostgreSQL")
    with start() as server:
        found = Crashing(server)
        try:
            yield found
        finally:
            found.stop()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("stops", [pytest.param(3, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.soak)])
def test_F07_F11_the_database_stops_at_once_and_recovers(crashing: Crashing, stops: int) -> None:
    """The platform lives on while its database crashes and comes back: the same account, the same promises."""
    asyncio.run(migrate_postgresql(crashing.dsn))
    stage = Stage("postgresql", crashing.dsn)
    child = Child(stage.where)

    async def main() -> Load:
        await furnish(stage)
        await child.start()
        load = Load(child, "http://127.0.0.1:9/notify")

        async def blow() -> None:
            await asyncio.to_thread(crashing.crash)
            told = len(load.book.told)
            for _ in range(1_200):
                if len(load.book.told) > told:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("nothing was paid in the minute after the database was back")

        try:
            await strike(load, stops, stops, blow)
        finally:
            child.kill()
        await judge(stage, load.book)
        return load

    load = asyncio.run(main())
    assert len(load.book.told) > stops
