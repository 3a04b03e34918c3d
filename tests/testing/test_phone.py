"""A shop's page on a phone, over real HTTP on both sides: prepared, entered, paid, told."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.merchant.conftest import connect_sqlite, create
from tests.merchant.server import serve
from tongbao.kernel.money import Money
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import Client
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.system import SystemClock
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.http import Request, Response
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow


def test_a_prepared_trade_is_entered_and_paid(tmp_path: Path) -> None:
    """The token leads to the cashier once signed, to an error page else; the notification is believed."""
    database = create(Database(Dialect.SQLITE, connect_sqlite(tmp_path / "shop.sqlite")))
    receivers: list[Receiver] = []
    verdicts: list[str] = []

    def answer(message: Request) -> Response:
        accepted = receivers[0].accept_notification(message)
        verdicts.append(f"{accepted.verdict.kind}:{accepted.verdict.reason}")
        return accepted.response

    with LocalSandbox(seed=11) as sandbox, serve(answer) as server:
        urls = {"notify_url": f"{server.url}/notify", "return_url": f"{server.url}/back"}
        configuration = sandbox.configuration("alipay_wap", **urls)
        receivers.append(Receiver([Endpoint(name="shop", configuration=configuration)], OrderTable(), database))
        order = Order(order_no="W1", amount=Money(100), endpoint="shop", environment="sandbox", subject="茶")
        database.run(lambda rows: OrderTable().add(rows, order, SystemClock().business()))
        with Client(configuration) as client:
            opened = client.create("W1", Money(100), "茶", presentation=Presentation.H5)
            page = httpx.get(opened.cashier_url, trust_env=False)
            assert (page.status_code, "/cashier/" in page.headers["location"]) == (302, True)
            assert httpx.get(opened.cashier_url + "0", trust_env=False).status_code == 403
            sandbox.pay("W1")
            found = receivers[0].database.read(lambda rows: OrderTable().find(rows, "W1"))
            assert found is not None
            assert (found.state, verdicts) == (OrderState.PAID, ["applied:"])
            assert client.query("W1").is_paid
        receivers[0].close()
        assert sandbox.audit() == "clean"
