"""The shop of these tests: a real database of each kind, one endpoint, and the platform it talks to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.merchant.trial import TRIAL, Platform
from tests.support.clock import Hands
from tests.support.mariadb import MariaDB
from tongbao.kernel.money import Money
from tongbao.merchant.book import OrderTable
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import statements

KEY = "Kq7Zp2vX9mLw4TnB8sRd"


def configure(**more: Any) -> MerchantConfiguration:
    """A configuration of the trial protocol."""
    settings = {
        "protocol": "trial",
        "given": TRIAL,
        "credentials": {"mid": "m1", "key": KEY},
        "environment": "sandbox",
        "gateway": "http://127.0.0.1:1/gate",
        "notify_url": "http://shop.example/notify",
        "return_url": "http://shop.example/return",
    }
    return MerchantConfiguration(**{**settings, **more})


def connect_sqlite(path: Path) -> Callable[[], sqlite3.Connection]:
    return lambda: sqlite3.connect(path, timeout=30)


def create(database: Database, *, orders: bool = True) -> Database:
    """Run the schema script in a database."""
    with closing(database.connect()) as connection:
        for statement in statements(database.dialect, orders=orders):
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()
        connection.commit()
    return database


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Database:
    """A shop's SQLite file with our tables."""
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return create(Database(Dialect.SQLITE, connect_sqlite(path)))


@pytest.fixture
def postgresql_database(postgresql_dsn: str) -> Database:
    """A shop's PostgreSQL database with our tables."""
    return create(Database(Dialect.POSTGRESQL, lambda: psycopg.connect(postgresql_dsn)))


@pytest.fixture
def mysql_database(mariadb: MariaDB) -> Database:
    """A shop's MariaDB database with our tables."""
    return create(Database(Dialect.MYSQL, mariadb.connect))


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each kind of database in turn."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@dataclass
class Shop:
    """A shop with one endpoint. ``applied`` counts what the hook saw, in the shop's own table."""

    database: Database
    platform: Platform
    endpoint: Endpoint
    clock: Hands = field(default_factory=Hands)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hooks = {"apply": self.apply, "clock": self.clock, "send": self.platform, **self.more}
        self.receiver = Receiver([self.endpoint], OrderTable(), self.database, **hooks)

    def apply(self, transaction: Any, order: Order, payment: Any) -> None:
        """The shop's own work, on its own connection, in the acceptance transaction."""
        cursor = transaction.connection.cursor()
        cursor.execute("INSERT INTO stock_taken (order_no) VALUES ('%s')" % order.order_no.replace("'", ""))  # noqa: UP031
        cursor.close()

    def order(self, number: str = "A1", fen: int = 1000, **more: Any) -> Order:
        """A pending order in the book."""
        fields = {"endpoint": "trial", "environment": "sandbox", "subject": "tea", "email": "buyer@example.com"}
        order = Order(order_no=number, amount=Money(fen), **{**fields, **more})
        self.database.run(lambda transaction: OrderTable().add(transaction, order, self.clock.now))
        return order

    def stored(self, number: str = "A1") -> Order:
        order = self.database.read(lambda transaction: OrderTable().find(transaction, number))
        assert order is not None
        return order

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self.database.read(lambda transaction: transaction.rows(query))

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT COUNT(*) AS n FROM {table}")[0]["n"])


def make_shop(database: Database, **more: Any) -> Shop:
    """A shop over one database, with its own table for what its hook does."""
    database.run(lambda transaction: transaction.execute("CREATE TABLE stock_taken (order_no varchar(64))"))
    policy = {name: more.pop(name) for name in ("confirm", "query", "freshness_seconds") if name in more}
    endpoint = Endpoint(name="trial", configuration=more.pop("configuration", None) or configure(), **policy)
    return Shop(database, Platform(KEY.encode()), endpoint, more=more)


@pytest.fixture
def shop(sqlite_database: Database) -> Shop:
    """A shop on SQLite."""
    return make_shop(sqlite_database)


@pytest.fixture
def any_shop(database: Database) -> Shop:
    """A shop on each kind of database."""
    return make_shop(database)
