"""The shop's process that is killed: the real acceptance over the shop's own database, behind a small server.

``POST /order`` writes an order down and says so after the commit, ``POST /refund`` gives money of it back and says so
when the platform has taken that on; ``POST /notify`` is the acceptance's.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from tests.web.house import MERCHANT, SECRET
from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.merchant.book import OrderTable
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import statements
from tongbao.wire.http import Request
from tongbao.wire.world import NotSent

PRICE = 1_000


def _connector(where: str) -> tuple[Dialect, Callable[[], Any]]:
    if where.startswith("postgresql:"):
        return Dialect.POSTGRESQL, lambda: psycopg.connect(where)
    return Dialect.SQLITE, lambda: sqlite3.connect(where, timeout=30)


class Shop:
    """A shop over its database. What its hook saw stands in a table of its own, which would take an order twice."""

    def __init__(self, where: str, gateway: str) -> None:
        dialect, connect = _connector(where)
        configuration = MerchantConfiguration(
            protocol="alipay_mapi",
            credentials={"partner": MERCHANT, "key": SECRET, "sign_type": "MD5"},
            environment="sandbox",
            gateway=gateway,
            notify_url="http://127.0.0.1/notify",
            return_url="http://127.0.0.1/return",
        )
        self.database = Database(dialect, connect)
        self.receiver = Receiver(
            [Endpoint(name="shop", configuration=configuration)], OrderTable(), self.database, apply=self
        )

    def furnish(self) -> None:
        """Its tables."""

        def work(transaction: Transaction) -> None:
            for statement in statements(self.database.dialect, orders=True):
                transaction.execute(statement)
            transaction.execute("CREATE TABLE sent_out (order_no TEXT)")

        self.database.run(work)

    def __call__(self, transaction: Transaction, order: Order, payment: object) -> None:
        transaction.execute("INSERT INTO sent_out VALUES (:number)", {"number": order.order_no})

    def take_order(self, number: str) -> None:
        """Store the order if it is new."""

        def work(transaction: Transaction) -> None:
            if OrderTable().find(transaction, number) is None:
                order = Order(order_no=number, amount=Money(PRICE), endpoint="shop", environment="sandbox")
                OrderTable().add(transaction, order, self.receiver.clock.business())

        self.database.run(work)

    def give_back(self, number: str, batch_no: str, fen: int) -> int:
        """Refund: 200 taken on, 409 not known to be paid yet (it is asked about), 503 ask again. Raises Refused for
        whatever else the platform says no to."""
        try:
            movement = self.receiver.refund(number, batch_no, Money(fen))
        except (OutcomeUnknown, NotSent):
            return 503
        except Refused as refusal:
            if refusal.code != "TRADE_STATE":
                raise
            self.receiver.confirm_by_query(number)
            return 409
        assert movement.state in ("accepted", "succeeded"), movement
        return 200

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Plain SQL."""
        return self.database.read(lambda transaction: transaction.rows(query))

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and text for one POST."""
        if path == "/order":
            self.take_order(body.decode("ascii"))
            return 200, b"TAKEN"
        if path == "/refund":
            number, batch_no, fen = body.decode("ascii").split(" ")
            return self.give_back(number, batch_no, int(fen)), b""
        request = Request("POST", "http", "127.0.0.1", b"/notify", b"", (), body)
        answer = self.receiver.accept_notification(request).response
        return answer.status, answer.body


def count_told(shop: Shop) -> int:
    """How many orders a notification told of."""
    return len(shop.rows("SELECT DISTINCT order_no FROM payment_inbox WHERE evidence = 'NOTIFY'"))


def check_returns(shop: Shop, returned: set[str]) -> None:
    """Every refund that was said to be taken on is in the shop's books, once, and has ended well: the worker is waited
    for, a minute at most."""
    for _ in range(600):
        shop.receiver.poll_movements(older_than=-1, limit=1_000)
        if not shop.rows("SELECT number FROM payment_movement WHERE state <> 'succeeded'"):
            break
        time.sleep(0.1)
    rows = shop.rows("SELECT batch_no, state FROM payment_movement")
    assert sorted((row["batch_no"], row["state"]) for row in rows) == sorted((no, "succeeded") for no in returned)


def check_shop(shop: Shop, wanted: list[str]) -> int:
    """Whatever was ordered is there, what was paid was sent out once, and whoever was not told has asked. Returns how
    many were told."""
    told = count_told(shop)
    while shop.receiver.poll(older_than=-1, limit=1_000):
        pass
    sent = [row["order_no"] for row in shop.rows("SELECT order_no FROM sent_out")]
    assert len(sent) == len(set(sent))
    assert set(sent) == set(wanted)
    assert shop.rows("SELECT order_no FROM orders WHERE state = 'pending'") == []
    return told


def main(where: str, port: int, gateway: str) -> None:
    """Serve until killed."""
    shop = Shop(where, gateway)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, said = shop.answer(self.path, body)
            except Exception as error:  # noqa: BLE001 - the client sees 500, which the load does not allow
                status, said = 500, repr(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: Any) -> None:
            """Nothing: the test's output stays readable."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, address: Any) -> None:
            """A platform that was killed while it listened is no failure of the shop's."""

    server = Quiet(("127.0.0.1", port), Handler)
    sys.stdout.write("ready shop\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
