"""The pool: connections are used again, never by two at once, and broken ones are replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.merchant.conftest import create, make_shop
from tests.support.clock import NOW
from tests.support.mariadb import MariaDB
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.pool import ConnectionPool
from tongbao.merchant.verdict import VerdictKind


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Dialect, ConnectionPool]]:
    """A pool over each kind of database."""
    if request.param == "sqlite":
        path = tmp_path / "shop.sqlite"
        made = ConnectionPool(lambda: sqlite3.connect(path, timeout=30, check_same_thread=False))
    elif request.param == "postgresql":
        dsn: str = request.getfixturevalue("postgresql_dsn")
        made = ConnectionPool(lambda: psycopg.connect(dsn))
    else:
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        made = ConnectionPool(mariadb.connect)
    yield Dialect(request.param), made
    made.close()


def test_notifications_through_a_pool(pool: tuple[Dialect, ConnectionPool]) -> None:
    """Forty notifications by sixteen threads, twice each: every order is paid once."""
    database = Database(pool[0], pool[1].take, pool[1].give)
    setup = Database(pool[0], pool[1].take)
    create(setup)
    shop = make_shop(database)
    numbers = [f"P{index}" for index in range(40)]
    for number in numbers:
        shop.order(number)
        shop.platform.trade(number)
    messages = [shop.platform.notify(number, at=NOW) for number in numbers] * 2
    with ThreadPoolExecutor(16) as workers:
        verdicts = [answer.verdict for answer in workers.map(shop.receiver.accept_notification, messages)]
    assert sum(verdict.kind is VerdictKind.APPLIED for verdict in verdicts) == 40
    assert (shop.count("payment_effect"), shop.count("stock_taken")) == (40, 40)


def test_a_connection_is_used_again_and_replaced_when_it_broke(pool: tuple[Dialect, ConnectionPool]) -> None:
    """The most recent idle one comes back; one that was closed behind our back does not."""
    first = pool[1].take()
    pool[1].give(first)
    assert pool[1].take() is first
    if pool[0] is not Dialect.SQLITE:
        first.close()
        pool[1].give(first)
        second = pool[1].take()
        assert second is not first
        pool[1].give(second)
    else:
        pool[1].give(first)


def test_a_transaction_that_failed_leaves_a_clean_connection(pool: tuple[Dialect, ConnectionPool]) -> None:
    """What a failed transaction wrote is gone when the connection is used again."""
    database = Database(pool[0], pool[1].take, pool[1].give)
    database.run(lambda transaction: transaction.execute("CREATE TABLE t (a integer)"))

    def fail(transaction: Any) -> None:
        transaction.execute("INSERT INTO t (a) VALUES (1)")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        database.run(fail)
    assert database.read(lambda transaction: transaction.rows("SELECT a FROM t")) == []


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    """The rest are closed."""
    pool = ConnectionPool(lambda: sqlite3.connect(tmp_path / "a.sqlite"), keep=1)
    one, two = pool.take(), pool.take()
    pool.give(one)
    pool.give(two)
    one.execute("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError):
        two.execute("SELECT 1")
    pool.close()
