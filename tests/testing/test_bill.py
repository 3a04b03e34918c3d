"""Every protocol that has a bill gives it to the merchant's client over real HTTP, and it says what was paid."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, Instant, business_date
from tongbao.merchant.client import Client
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import FetchBill, RequestBill
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
NUMBER = "201504011203"

WITH_BILL = [
    name
    for name in protocol_names()
    if {RequestBill, FetchBill} & set(load_protocol(name).operations.values()) and load_protocol(name).bill is not None
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(seed=5) as running:
        yield running


def open_trade(client: Client, number: str) -> None:
    """A trade in the way in which this protocol opens one first: on a page, or between servers for a QR code."""
    presentation = client.configuration.manifest.presentations[0]
    if presentation is not Presentation.PAGE:
        client.create(number, Money(1_000), "茶", presentation=presentation, client_ip="192.0.2.7")
        return
    call = client.payment(number, Money(1_000), "茶", client_ip="192.0.2.7")
    answered = httpx.get(call.link(), trust_env=False)
    assert answered.status_code in (200, 302), answered.text


@pytest.mark.parametrize("protocol", WITH_BILL)
def test_the_bill_of_a_day(sandbox: LocalSandbox, protocol: str) -> None:
    """The day after, the file is there; its digest is the announced one; its one payment is the trade's."""
    sandbox.reset()
    configuration = sandbox.configuration(protocol, notify_url="http://127.0.0.1:9/notify")
    with Client(configuration) as client:
        day = business_date(Instant(sandbox.control("GET", "clock")["business"]))
        with pytest.raises(Refused):
            client.bill(day)
        open_trade(client, NUMBER)
        sandbox.pay(NUMBER)
        sandbox.advance(2 * DAY // 1_000)
        raw = client.bill(day)
        bill = configuration.manifest.bill
        assert bill is not None
        lines = [line for line in bill.read([raw]) if line.out_trade_no == NUMBER]
        assert [(line.kind, line.income) for line in lines] == [("payment", Money(1_000))]
