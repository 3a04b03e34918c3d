"""A shop refunds in the sandbox, over real HTTP on both sides: asked for, carried out, told, and believed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.merchant.conftest import connect_sqlite, create
from tests.merchant.server import serve
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, business_date, later
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import Client
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.movement import Movement, MovementTable, list_movements
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.system import SystemClock
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.contract import Call
from tongbao.wire.http import Request, Response, text
from tongbao.wire.movement import MovementState, PayOutItem, RefundItem
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Presentation, Product, TradeState

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(seed=7) as running:
        yield running


@dataclass
class Shop:
    """A shop with one endpoint and one order that the buyer has paid."""

    receiver: Receiver
    client: Client
    ended: list[Movement]
    trade_no: str
    verdicts: list[str]

    def stored(self) -> Order:
        order = self.receiver.database.read(lambda rows: self.receiver.book.find(rows, "A1"))
        assert order is not None
        return order


@pytest.fixture(params=["alipay_mapi", "yeepay"])
def shop(request: pytest.FixtureRequest, sandbox: LocalSandbox, tmp_path: Path) -> Iterator[Shop]:
    """The order A1 over 10 yuan, paid at the cashier and accepted by the shop's own server."""
    sandbox.reset()
    database = Database(Dialect.SQLITE, connect_sqlite(tmp_path / "shop.sqlite"))
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    create(database)
    receivers: list[Receiver] = []
    verdicts: list[str] = []

    def answer(message: Request) -> Response:
        if message.raw_path == b"/back":
            return text("thank you")
        accepted = receivers[0].accept_notification(message)
        verdicts.append(f"{accepted.verdict.kind}:{accepted.verdict.reason}")
        return accepted.response

    with serve(answer) as server:
        urls = {"notify_url": f"{server.url}/notify", "return_url": f"{server.url}/back"}
        configuration = sandbox.configuration(request.param, **urls)
        ended: list[Movement] = []
        endpoint = Endpoint(name="shop", configuration=configuration)
        receiver = Receiver([endpoint], OrderTable(), database, ended=lambda _, movement: ended.append(movement))
        receivers.append(receiver)
        order = Order(order_no="A1", amount=Money(1_000), endpoint="shop", environment="sandbox", subject="茶")
        database.run(lambda rows: OrderTable().add(rows, order, SystemClock().business()))
        with Client(configuration) as client:
            page = client.payment("A1", Money(1_000), "茶")
            httpx.get(page.link(), trust_env=False)
            sandbox.pay("A1")
            made = Shop(receiver, client, ended, "", verdicts)
            assert made.stored().state is OrderState.PAID, verdicts
            made.trade_no = made.stored().trade_no
            yield made
        receiver.close()


def number_of(shop: Shop, serial: str) -> str:
    """A refund's number as the protocol wants it."""
    day = business_date(SystemClock().business())
    return f"{day:%Y%m%d}{serial}" if shop.client.configuration.protocol == "alipay_mapi" else f"RF{serial}"


def test_a_shop_refunds_in_parts(shop: Shop, sandbox: LocalSandbox) -> None:
    """Two parts make the whole, each ends once at the shop, the books are clean, and nothing more is given back."""
    first = shop.receiver.refund("A1", number_of(shop, "001"), Money(350), reason="退一件", notify_url=notify(shop))
    assert first.state == "accepted"
    sandbox.advance(60)
    shop.receiver.poll_movements(-60)
    shop.receiver.refund("A1", number_of(shop, "002"), Money(650), notify_url=notify(shop))
    sandbox.advance(60)
    shop.receiver.poll_movements(-60)
    assert [(movement.amount, movement.state) for movement in shop.ended] == [
        (Money(350), MovementState.SUCCEEDED),
        (Money(650), MovementState.SUCCEEDED),
    ]
    assert not [verdict for verdict in shop.verdicts if verdict.startswith(("refused", "failed", "case"))]
    assert shop.client.query("A1").refunded == Money(1_000)
    assert sandbox.audit() == "clean"


def notify(shop: Shop) -> str:
    """Where a batch's result goes; the other protocol tells nothing and has no word for it."""
    configuration = shop.client.configuration
    return configuration.notify_url if configuration.protocol == "alipay_mapi" else ""


def test_more_than_was_paid_is_refused_by_the_platform_too(shop: Shop, sandbox: LocalSandbox) -> None:
    """A shop that keeps no book of refunds is stopped by the platform."""
    number, more = number_of(shop, "003"), {"trade_no": shop.trade_no}
    if shop.client.configuration.protocol == "alipay_mapi":
        shop.client.refund(number, Money(1_001), **more, notify_url=notify(shop))  # type: ignore[arg-type]
        sandbox.advance(60)
        [told] = shop.client.query_refund(batch_no=number, **more)
        assert (told.state, told.code) == (MovementState.FAILED, "REFUND_EXCEEDS")
    else:
        with pytest.raises(Exception, match="REFUND_EXCEEDS"):
            shop.client.refund(number, Money(1_001), **more)  # type: ignore[arg-type]
    assert sandbox.audit() == "clean"


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_a_batch_of_two_lines_and_the_account(sandbox: LocalSandbox, shop: Shop) -> None:
    """A batch with a line of nobody's trade ends line by line; the account's lines tell payment and refund."""
    number = number_of(shop, "004")
    items = [
        RefundItem(trade_no=shop.trade_no, amount=Money(100), reason="x"),
        RefundItem(
            trade_no=shop.trade_no[:-1] + ("1" if shop.trade_no[-1] != "1" else "2"), amount=Money(1), reason="y"
        ),
    ]
    shop.client.refund_batch(number, items)
    sandbox.advance(60)
    found = {view.trade_no: view for view in shop.client.query_refund(batch_no=number)}
    assert [found[item.trade_no].state for item in items] == [MovementState.SUCCEEDED, MovementState.FAILED]
    assert found[items[1].trade_no].code == "TRADE_NOT_FOUND"
    clock = SystemClock().business()
    now = later(clock, -(clock % 1_000))
    page = shop.client.movements(later(now, -DAY // 2), later(now, DAY // 2), page_size=100)
    kinds = {line.kind: (line.income, line.outcome) for line in page.lines}
    assert kinds["payment"][0].minor >= 990
    assert kinds["refund"][1] == Money(100)
    whole: Any = shop.client.movements(later(now, -DAY // 2), later(now, DAY // 2), page_size=100_000)
    assert [line.kind for line in whole.lines] == [line.kind for line in page.lines]


def walk(sandbox: LocalSandbox, call: Call, answer: str) -> str:
    """What the merchant's browser does: carry the request, look at the page, and say yes or no in the name of one of
    his operators, first without the password."""
    person = sandbox.credentials["merchant"]["operators"][0]
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        page = browser.post(call.action(), data=dict(call.fields))
        assert page.status_code == 200, page.text
        assert "3.50" in page.text
        token = re.search(r'name="(\w+)" value="([^"]+)"', page.text)
        assert token is not None
        form = {token[1]: token[2], "answer": answer, "operator": person["name"]}
        origin = {"Origin": sandbox.base_url}
        assert browser.post(str(page.url), data={**form, "pay_password": "x"}, headers=origin).status_code == 422
        said = browser.post(str(page.url), data={**form, "pay_password": person["pay_password"]}, headers=origin)
        assert said.status_code == 200, said.text
        other = httpx.get(str(page.url), trust_env=False)
        assert other.status_code >= 400
        return said.text


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_a_batch_by_password_waits_for_the_merchants_yes(sandbox: LocalSandbox, shop: Shop) -> None:
    """The browser carries the request; nothing moves before the yes, nothing after a no; other browsers see nothing."""
    number, refused = number_of(shop, "005"), number_of(shop, "006")
    items = [RefundItem(trade_no=shop.trade_no, amount=Money(350), reason="x")]
    walk(sandbox, shop.client.refund_batch_page(refused, items, notify(shop)), "no")
    walk(sandbox, shop.client.refund_batch_page(number, items, notify(shop)), "yes")
    sandbox.advance(60)
    assert shop.client.query_refund(batch_no=number)[0].state is MovementState.SUCCEEDED
    assert shop.client.query_refund(batch_no=refused)[0].state is not MovementState.SUCCEEDED
    assert shop.client.query("A1").refunded == Money(350)
    assert sandbox.audit() == "clean"


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_payouts_by_password_are_told_line_by_line(sandbox: LocalSandbox, shop: Shop) -> None:
    """One goes to a buyer's balance, one to nobody; both are written down before, and end by notification."""
    buyer = sandbox.credentials["buyers"][0]
    number = number_of(shop, "007")
    sandbox.advance(12 * 86_400)  # what was paid is the merchant's by then: no holiday is longer
    items = [
        PayOutItem(
            payout_no="0001", payee=Payee(Party("", buyer["login"]), buyer["name"]), amount=Money(300), memo="a"
        ),
        PayOutItem(payout_no="0002", payee=Payee(Party("", "nobody@example.com"), "张三"), amount=Money(50), memo="b"),
    ]
    entry = sandbox.credentials["protocols"]["alipay_mapi"]
    said: dict[str, Any] = {"payer": Party(entry["partner"]), "payer_name": "示例商户", "notify_url": notify(shop)}
    asked = shop.client.payout_batch_intent(number, items, said, asks_password=True)
    endpoint = shop.receiver.endpoints.names["shop"]
    rows = list_movements(endpoint, asked, SystemClock().business())
    shop.receiver.database.run(lambda transaction: MovementTable().add(transaction, rows))
    walk(sandbox, shop.client.payout_batch_page(number, items, **said), "yes")
    sandbox.advance(3_600)
    assert sorted((movement.number, movement.state) for movement in shop.ended) == [
        ("0001", "succeeded"),
        ("0002", "failed"),
    ], shop.verdicts
    assert sandbox.audit() == "clean"


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_a_trade_at_a_counter_is_scanned_and_paid(sandbox: LocalSandbox, shop: Shop) -> None:
    """The shop gets the address for its QR code from the platform, and the trade behind it can be paid."""
    opened = shop.client.create("C1", Money(200), "茶", presentation=Presentation.QR)
    assert opened.cashier_url == f"{sandbox.base_url}/qr/{opened.code}"
    sandbox.pay("C1")
    assert shop.client.query("C1").is_paid
    with pytest.raises(Refused, match=r"TRADE_AMOUNT_MISMATCH|TRADE_NOT_PAYABLE"):
        shop.client.create("C1", Money(300), "茶", presentation=Presentation.QR)


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_an_escrow_trade_given_back_whole_is_told_as_closed(sandbox: LocalSandbox, shop: Shop) -> None:
    """The trade's own notification says how the refund stands; the shop records it, and refuses nothing."""
    order = Order(order_no="E1", amount=Money(500), endpoint="shop", environment="sandbox", subject="茶")
    database = shop.receiver.database
    database.run(lambda rows: OrderTable().add(rows, order, SystemClock().business()))
    page = shop.client.payment("E1", Money(500), "茶", product=Product.ESCROW, price=Money(500), quantity=1)
    httpx.get(page.link(), trust_env=False)
    sandbox.pay("E1")
    assert database.read(lambda rows: OrderTable().find(rows, "E1")).state is OrderState.PAID  # type: ignore[union-attr]
    shop.receiver.refund("E1", number_of(shop, "008"), Money(500))
    sandbox.advance(60)
    assert [(movement.order_no, movement.state) for movement in shop.ended] == [("E1", "succeeded")]
    found = shop.client.query("E1")
    assert (found.state, found.refund_state, found.refunded) == (TradeState.CLOSED, "success", Money(500))
    assert not [verdict for verdict in shop.verdicts if verdict.startswith(("refused", "failed", "case"))], (
        shop.verdicts
    )
    assert sandbox.audit() == "clean"


@pytest.mark.parametrize("shop", ["alipay_mapi"], indirect=True)
def test_a_wallets_code_is_scanned_once(sandbox: LocalSandbox, shop: Shop) -> None:
    """The code of a wallet pays one trade; shown again it pays nothing; above the cap the buyer must agree."""
    login = sandbox.credentials["buyers"][0]["login"]
    code = sandbox.control("POST", f"buyers/{login}/code", {"protocol": "alipay_openapi"})["code"]
    paid = shop.client.scan("S1", Money(200), "茶", code)
    assert (paid.state, paid.amount) == (TradeState.PAID, Money(200))
    with pytest.raises(Refused):
        shop.client.scan("S2", Money(200), "茶", code)
    another = sandbox.control("POST", f"buyers/{login}/code", {"protocol": "alipay_openapi"})["code"]
    with pytest.raises(Refused, match="BUYER_PAYING"):
        shop.client.scan("S3", Money(200_000), "茶", another)
    assert shop.client.query("S3").state is TradeState.UNPAID
    assert sandbox.audit() == "clean"
