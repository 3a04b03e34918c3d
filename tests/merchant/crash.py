"""The child of the crash tests: accepts one notification and dies at the named place.

``python -m tests.merchant.crash DATABASE POINT`` reads a message's body from standard input.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.merchant.conftest import KEY, configure, connect_sqlite
from tests.merchant.trial import Platform
from tests.support.clock import Hands
from tongbao.merchant.book import OrderTable
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order, Payment
from tongbao.merchant.receiver import Receiver
from tongbao.wire.http import FORM, post

KILLED = 137


def apply(transaction: Transaction, order: Order, payment: Payment) -> None:
    """The shop's own work."""
    transaction.execute("INSERT INTO stock_taken (order_no) VALUES (:order_no)", {"order_no": order.order_no})


def main() -> None:
    """Accept, and leave without a word at the crash point."""
    path, point = sys.argv[1:]

    def crash(name: str) -> None:
        if name == point:
            os._exit(KILLED)

    platform = Platform(KEY.encode())
    platform.trade("A1")
    platform.fields("A1", at=Hands().now)
    receiver = Receiver(
        [Endpoint(name="trial", configuration=configure())],
        OrderTable(),
        Database(Dialect.SQLITE, connect_sqlite(Path(path))),
        apply=apply,
        clock=Hands(),
        crashpoint=crash,
        send=platform,
    )
    body = sys.stdin.buffer.read()
    accepted = receiver.accept_notification(post("http://shop.example/notify", body, FORM))
    sys.stdout.buffer.write(accepted.response.body)


if __name__ == "__main__":
    main()
