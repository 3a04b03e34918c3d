"""Shares given back, asked for by both of the shop's clients over real HTTP."""

from __future__ import annotations

import asyncio

import pytest

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown
from tongbao.kernel.money import Money
from tongbao.merchant.client import AsyncClient, Client
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.movement import MovementState, Split, SplitReturnView
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
NAME = "wechatpay_v3"
HEARER = "http://127.0.0.1:9/notify"


def receiver(box: LocalSandbox) -> str:
    """The number of another merchant, who is given the share."""
    return str(box.credentials["merchant"]["sub_ids"][NAME])


def share(box: LocalSandbox, number: str) -> tuple[str, SplitReturnView]:
    """A paid order of 10 yuan, 3 of it shared and 1 of these given back; the platform's number of the order."""
    with Client(box.configuration(NAME)) as client:
        client.create(
            number, Money(1_000), "测试商品", notify_url=HEARER, presentation=Presentation.QR, split_later=True
        )
        box.pay(number)
        paid = client.query(number).trade_no
        part = Split(receiver=Party(receiver(box)), amount=Money(300), memo="分给商户", kind="MERCHANT_ID")
        client.split(f"{number}S", [part], trade_no=paid)
        before = client.query_unsplit(trade_no=paid)
        back = client.return_split(f"{number}B", receiver(box), Money(100), split_no=f"{number}S", memo="退回")
        assert client.query_split_return(f"{number}B", f"{number}S") == back
        assert client.query_unsplit(trade_no=paid) == before + Money(100)
        with pytest.raises(OutcomeUnknown, match="INVALID_REQUEST"):
            client.return_split(f"{number}C", receiver(box), Money(201), split_no=f"{number}S", memo="退回")
        with pytest.raises(LocalProtocolError) as missing:
            client.return_split(f"{number}D", receiver(box), Money(1), memo="退回")
        assert missing.value.field == "out_order_no"
    return paid, back


def test_a_share_comes_back_to_the_shop(box: LocalSandbox) -> None:
    """Returned once under its number, told of again, and no more than there was."""
    _, back = share(box, "S1000001")
    assert (back.state, back.amount, back.giver_id) == (MovementState.SUCCEEDED, Money(100), receiver(box))
    assert box.audit() == "clean"


def test_T41_the_asynchronous_client_asks_the_same(box: LocalSandbox) -> None:
    """The same number again is the same return, also for the other client and by the platform's number of the split."""
    paid, back = share(box, "S1000002")

    async def again() -> tuple[SplitReturnView, SplitReturnView, Money]:
        async with AsyncClient(box.configuration(NAME)) as client:
            options = {"split_id": back.split_id, "memo": "退回"}
            same = await client.return_split(back.return_no, back.giver_id, Money(100), **options)
            asked = await client.query_split_return(back.return_no, back.split_no)
            return same, asked, await client.query_unsplit(trade_no=paid)

    same, asked, left = asyncio.run(again())
    assert same == asked == back
    with Client(box.configuration(NAME)) as client:
        client.split("S1000002F", [], trade_no=paid, finish=True)
        assert (left > Money(0), client.query_unsplit(trade_no=paid)) == (True, Money(0))
