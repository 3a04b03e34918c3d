"""A shop rehearses what WeChat Pay calls an abnormal refund: the buyer's card was closed after it paid."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.merchant.server import serve
from tongbao.kernel.error import OutcomeUnknown
from tongbao.kernel.money import Money
from tongbao.kernel.time import china_text
from tongbao.merchant.client import AsyncClient, Client
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.http import Response
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.vocabulary import Presentation

pytestmark = [pytest.mark.xdist_group("sandbox"), pytest.mark.slow]

CLOSED = "6200000000000075"
ORDER = "STUCK-1"
NOTIFY = "http://127.0.0.1:9/notify"


def stick(box: LocalSandbox, name: str, notify_url: str = NOTIFY) -> RefundView:
    """An order that the card pays, and of which a part is given back."""
    with Client(box.configuration(name, notify_url=notify_url)) as client:
        client.create(ORDER, Money(1_000), "茶", presentation=Presentation.QR)
        assert box.pay(ORDER, "debit", card=CLOSED)["state"] == "paid"
        client.refund("R1", Money(400), order_no=ORDER, total=Money(1_000))
        box.advance(1)
        return client.query_refund("R1")[0]


@pytest.mark.parametrize("name", ["wechatpay_v2", "wechatpay_v3"])
def test_a_closed_card_makes_a_refund_abnormal(box: LocalSandbox, name: str) -> None:
    """It has not ended: one case is open, its money waits, and the books are clean."""
    stuck = stick(box, name)
    assert (stuck.state, stuck.stuck, stuck.ended_at) == (MovementState.ACCEPTED, True, None)
    assert [(case["kind"], case["state"]) for case in box.control("GET", f"story/{ORDER}")["cases"]] == [
        ("refund_stuck", "open")
    ]
    assert box.trade(ORDER)["refunded"] == 400
    assert box.audit() == "clean"


def test_the_shop_takes_its_money_back(box: LocalSandbox) -> None:
    """From an event loop or without: asked twice it is the same, and the order has given nothing back."""
    name = "wechatpay_v3"
    stuck = stick(box, name)

    async def recover() -> RefundView:
        async with AsyncClient(box.configuration(name)) as client:
            return await client.recover_refund(stuck.refund_id, "R1")

    with Client(box.configuration(name)) as client:
        with pytest.raises(OutcomeUnknown, match="RESOURCE_NOT_EXISTS"):
            client.recover_refund(stuck.refund_id, "R2")
        first = client.recover_refund(stuck.refund_id, "R1")
        again = asyncio.run(recover())
        assert (first.state, first.stuck, first.refund_id) == (MovementState.CLOSED, False, stuck.refund_id)
        assert again == first
        assert [one.state for one in client.query_refund("R1")] == [MovementState.CLOSED]
    assert [case["state"] for case in box.control("GET", f"story/{ORDER}")["cases"]] == ["closed"]
    assert (box.trade(ORDER)["state"], box.trade(ORDER)["refunded"]) == ("paid", 0)
    assert box.audit() == "clean"


def test_F24_a_stuck_refund_is_told_alike_at_every_repeat(box: LocalSandbox) -> None:
    """The message has the time of what happened, not that of its delivery, which the wire's clock tells."""
    box.advance(2 * 86_400)
    with serve(lambda _: Response(500)) as hearer:
        stuck = stick(box, "wechatpay_v3", f"{hearer.url}/notify")
        box.advance(3_600)
        told = [json.loads(request.body) for request in hearer.seen]
        repeats = [said for said in told if said["event_type"] == "REFUND.ABNORMAL"]
        assert len(repeats) > 1
        assert repeats == repeats[:1] * len(repeats)
        assert stuck.created_at is not None
        assert repeats[0]["create_time"][:10] == china_text(stuck.created_at)[:10]
