"""``kill -9`` under load, and a database that stops at once: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kill.load import Child, Load, furnish, judge, strike
from tests.support.missing import missing
from tests.support.platform import Stage
from tests.support.postgresql import Server, find_installation, start
from tests.support.process import Process, find_account
from tests.web.house import MERCHANT, SECRET
from tongbao.kernel.money import Money
from tongbao.merchant.book import OrderTable
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import statements
from tongbao.store.migrate import migrate_postgresql
from tongbao.wire.http import Request

KILLS = [pytest.param(10, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.soak)]


class Shop:
    """A shop with the real acceptance. ``applied`` counts what its hook saw, order by order, in its own table."""

    def __init__(self, path: Path, gateway: str) -> None:
        self.path = path
        with self._connect() as connection:
            for statement in statements(Dialect.SQLITE, orders=True):
                connection.execute(statement)
            connection.execute("CREATE TABLE sent_out (order_no TEXT)")
        connection.close()
        configuration = MerchantConfiguration(
            protocol="alipay_mapi",
            credentials={"partner": MERCHANT, "key": SECRET, "sign_type": "MD5"},
            environment="sandbox",
            gateway=gateway,
            notify_url="http://127.0.0.1/notify",
            return_url="http://127.0.0.1/return",
        )
        database = Database(Dialect.SQLITE, self._connect)
        self.receiver = Receiver(
            [Endpoint(name="shop", configuration=configuration)], OrderTable(), database, apply=self
        )
        self.database = database
        self.clock = self.receiver.clock

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30)

    def __call__(self, transaction: Transaction, order: Order, payment: object) -> None:
        transaction.execute("INSERT INTO sent_out VALUES (:number)", {"number": order.order_no})

    def take_order(self, number: str) -> None:
        """Store the order if it is new."""

        def work(transaction: Transaction) -> None:
            if OrderTable().find(transaction, number) is None:
                order = Order(order_no=number, amount=Money(1_000), endpoint="shop", environment="sandbox")
                OrderTable().add(transaction, order, self.clock.business())

        self.database.run(work)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self.database.read(lambda transaction: transaction.rows(query))


@contextmanager
def listening(shop: Shop) -> Iterator[str]:
    """The shop's notification address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            number = body.partition(b"out_trade_no=")[2].partition(b"&")[0].decode()
            shop.take_order(number)
            answer = shop.receiver.accept_notification(Request("POST", "http", "127.0.0.1", b"/notify", b"", (), body))
            self.send_response(answer.response.status)
            self.send_header("Content-Length", str(len(answer.response.body)))
            self.end_headers()
            self.wfile.write(answer.response.body)

        def log_message(self, *args: Any) -> None:
            """Nothing: the test's output stays readable."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, address: Any) -> None:
            """A platform that was killed while it listened is no failure of the shop's."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/notify"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        shop.receiver.close()


def check_shop(shop: Shop, wanted: list[str]) -> None:
    """No order was sent out twice; those the shop knows as paid were asked for; and whoever was not told can ask."""
    for number in wanted:
        shop.take_order(number)
    while shop.receiver.poll(older_than=-1, limit=1_000):
        pass
    sent = [row["order_no"] for row in shop.rows("SELECT order_no FROM sent_out")]
    assert len(sent) == len(set(sent))
    assert set(sent) == set(wanted)
    assert shop.rows("SELECT order_no FROM orders WHERE state = 'pending'") == []


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kills", KILLS)
def test_F01_F02_F03_kill_9_under_load(stage: Stage, tmp_path: Path, kills: int) -> None:
    """The platform with its worker is killed at random moments; the shop beside it sends each order out once."""
    child = Child(stage.where)
    shop = Shop(tmp_path / "shop.sqlite", f"http://127.0.0.1:{child.port}/alipay_mapi/gateway.do")

    async def main(notify_url: str) -> Load:
        await furnish(stage)
        await child.start()
        load = Load(child, notify_url)

        async def blow() -> None:
            child.kill()
            await child.start()

        try:
            await strike(load, kills, kills, blow)
            await asyncio.to_thread(check_shop, shop, load.book.wanted)
        finally:
            child.kill()
        await judge(stage, load.book)
        return load

    with listening(shop) as notify_url:
        load = asyncio.run(main(notify_url))
    assert len(load.book.told) > kills
    assert load.book.repeats > 0


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

        try:
            await strike(load, stops, stops, blow)
        finally:
            child.kill()
        await judge(stage, load.book)
        return load

    load = asyncio.run(main())
    assert len(load.book.told) > stops
    assert load.book.repeats > 0
