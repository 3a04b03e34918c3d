"""A shop sells its own goods and another merchant's in one payment, over real HTTP on both sides: opened, paid in the
wallet, told, believed; and as that merchant's service provider."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.merchant.conftest import connect_sqlite, create
from tests.merchant.server import serve
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Order
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.system import SystemClock
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.http import Request, Response
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CombinedPart, Presentation, TradeState

pytestmark = pytest.mark.slow
PROTOCOL = "wechatpay_v3"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(seed=11) as running:
        yield running


class Shop:
    """A shop's server, its orders, and what it answered."""

    def __init__(self, folder: Path) -> None:
        self.verdicts: list[str] = []
        self.receiver: Receiver | None = None
        path = folder / "shop.sqlite"
        self.database = Database(Dialect.SQLITE, connect_sqlite(path))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        create(self.database)

    def answer(self, message: Request) -> Response:
        assert self.receiver is not None
        accepted = self.receiver.accept_notification(message)
        self.verdicts.append(f"{accepted.verdict.kind}:{accepted.verdict.reason}")
        return accepted.response

    def open(self, configuration: MerchantConfiguration) -> None:
        self.receiver = Receiver([Endpoint(name="shop", configuration=configuration)], OrderTable(), self.database)

    def order(self, number: str, fen: int, seller: str = "") -> None:
        order = Order(order_no=number, amount=Money(fen), endpoint="shop", environment="sandbox", subject="茶")
        order = replace(order, seller=Party(seller))
        self.database.run(lambda rows: OrderTable().add(rows, order, SystemClock().business()))

    def states(self, *numbers: str) -> list[str]:
        found = self.database.read(lambda rows: [OrderTable().find(rows, number) for number in numbers])
        return [str(order.state) for order in found if order is not None]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def pay_in_the_wallet(sandbox: LocalSandbox, code: str) -> tuple[str, str]:
    """What the buyer sees before he agrees, and after."""
    buyer = sandbox.credentials["buyers"][0]
    with httpx.Client(base_url=sandbox.base_url, trust_env=False, follow_redirects=True) as browser:
        page = f"/wallet/trades/{code}"

        def fields(text: str, action: str) -> dict[str, str]:
            form = next(form for form in re.findall(r"<form.*?</form>", text, re.DOTALL) if action in form)
            return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))

        login = browser.get(page).text
        said = {**fields(login, "/wallet/login"), "login": buyer["login"], "password": buyer["password"]}
        shown = browser.post("/wallet/login", data=said).text
        agreed = {**fields(shown, page), "pay_password": buyer["pay_password"]}
        return shown, browser.post(page, data=agreed).text


def test_a_combined_order_is_paid_and_believed(sandbox: LocalSandbox, shop: Shop) -> None:
    """The wallet shows both orders and the sum; one agreement pays both, one message marks both."""
    sandbox.reset()
    sub = sandbox.credentials["merchant"]["sub_ids"][PROTOCOL]
    with serve(shop.answer) as server:
        configuration = sandbox.configuration(PROTOCOL, notify_url=f"{server.url}/notify")
        shop.open(configuration)
        shop.order("TEA", 1_000)
        shop.order("POT", 25_000, sub)
        parts = (
            CombinedPart(out_trade_no="TEA", subject="龙井", amount=Money(1_000), passback="a"),
            CombinedPart(out_trade_no="POT", subject="茶壶", amount=Money(25_000), merchant=sub, passback="b"),
        )
        with Client(configuration) as client:
            opened = client.create_combined("WHOLE", parts)
            assert [part.state for part in client.query_combined("WHOLE").parts] == [TradeState.UNPAID] * 2
            before, after = pay_in_the_wallet(sandbox, opened.code)
            assert all(word in before for word in ("龙井", "茶壶", "260.00", "10.00", "250.00", "TEA", "POT"))
            assert "龙井" in after
            assert "pay_password" not in after
            sandbox.advance(1)
            found = client.query_combined("WHOLE")
            assert [part.merchant for part in found.parts] == [configuration.merchant, sub]
            assert [part.state for part in found.parts] == [TradeState.PAID] * 2
            with pytest.raises(Refused):
                client.close_combined("WHOLE", parts)
    assert shop.verdicts == ["applied:"]
    assert shop.states("TEA", "POT") == ["paid", "paid"]
    assert sandbox.audit() == "clean"


def test_every_way_leads_to_the_whole(sandbox: LocalSandbox) -> None:
    """The link of H5 opens the wallet, and so does the code of any other presentation: never a part alone."""
    sandbox.reset()
    configuration = sandbox.configuration(PROTOCOL, notify_url="http://127.0.0.1:9/notify")
    part = CombinedPart(out_trade_no="TEA", subject="龙井", amount=Money(1_000), passback="a")
    with Client(configuration) as client:
        h5 = client.create_combined("H5", [part], presentation=Presentation.H5, client_ip="192.0.2.7")
        other = replace(part, out_trade_no="POT")
        app = client.create_combined("APP", [other], presentation=Presentation.APP)
    for link in (h5.cashier_url, f"{sandbox.base_url}/wallet/trades/{app.code}"):
        page = httpx.get(link, trust_env=False)
        assert (page.status_code, "/wallet/login" in page.text) == (200, True)


def test_T25_another_merchants_order_must_name_him(sandbox: LocalSandbox, shop: Shop) -> None:
    """An order that names no seller, or another one, is not marked by another merchant's money; the answer is no."""
    sandbox.reset()
    sub = sandbox.credentials["merchant"]["sub_ids"][PROTOCOL]
    with serve(shop.answer) as server:
        configuration = sandbox.configuration(PROTOCOL, notify_url=f"{server.url}/notify")
        shop.open(configuration)
        shop.order("POT1", 100)
        shop.order("POT2", 100, "1900000199")
        with Client(configuration) as client:
            for number in ("POT1", "POT2"):
                part = CombinedPart(out_trade_no=number, subject="茶壶", amount=Money(100), merchant=sub, passback="b")
                client.create_combined(f"W{number}", [part])
                sandbox.pay(number)
    assert shop.verdicts == ["refused:SELLER_MISMATCH"] * 2
    assert shop.states("POT1", "POT2") == ["pending", "pending"]


def test_a_service_provider_sells_for_another(sandbox: LocalSandbox, shop: Shop) -> None:
    """With ``sub_mchid`` among the credentials everything a shop does is done in that merchant's name."""
    sandbox.reset()
    sub = sandbox.credentials["merchant"]["sub_ids"][PROTOCOL]
    with serve(shop.answer) as server:
        own = sandbox.configuration(PROTOCOL, notify_url=f"{server.url}/notify")
        credentials = {**own.credentials, "sub_mchid": sub}
        configuration = replace(own, credentials=credentials)
        shop.open(configuration)
        shop.order("TEA001", 1_000)
        with Client(configuration) as client:
            client.create("TEA001", Money(1_000), "龙井", presentation=Presentation.QR)
            sandbox.pay("TEA001")
            found = client.query("TEA001")
            assert (found.merchant, found.state) == (sub, TradeState.PAID)
            refunded = client.refund("R1", Money(400), total=Money(1_000), order_no="TEA001")
            assert refunded.amount == Money(400)
        with Client(own) as stranger, pytest.raises(Refused):
            stranger.query("TEA001")
    assert shop.verdicts[0] == "applied:"
    assert shop.states("TEA001") == ["paid"]
    assert sandbox.audit() == "clean"
