"""Cases, disputes, corrections and chargebacks from the command line: each act by its person."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.test_payout import Desk, desk
from tests.service.test_refund_stuck import stick
from tests.support.platform import BUYER, MERCHANT, PROTOCOL, Stage, make_merchant
from tongbao.service.claim import BuyerAskRefund, OpenDispute, SellerAnswer
from tongbao.service.create import Asker

__all__ = ["desk"]


async def quarrel(folder: Path) -> str:
    """A disputed escrow trade, and one paid by a card: that payment's number at its bank."""
    async with Stage("sqlite", str(folder / "books.sqlite")).open_house() as house:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await house.open("A", "escrow")
        await house.pay("A")
        await house.submit(BuyerAskRefund(MERCHANT, "A", BUYER, reason="broken"))
        await house.submit(SellerAnswer(Asker(MERCHANT, PROTOCOL), "A", False, "it is new"))
        await house.submit(OpenDispute(MERCHANT, "A", BUYER))
        await house.open("B")
        number = await house.start("B")
        await house.say(number)
    return number


@pytest.mark.slow
def test_T67_what_two_persons_decide(desk: Desk) -> None:
    """A dispute is divided, a chargeback taken, a fee given back: proposed by one, posted by another."""
    number = asyncio.run(quarrel(desk.folder))
    olga, otto, why = ("--as", "olga"), ("--as", "otto"), ("--reason", "papers seen")
    (open_one,) = desk.do("dispute", "list")
    assert (open_one["held"], open_one["asked"], open_one["answer"]) == ("10.00", "10.00", "it is new")
    share = ("A", "--merchant", MERCHANT, "--to-buyer", "4")
    desk.do("dispute", "propose", *share, *why, *olga)
    assert "MAKER_IS_CHECKER" in desk.do("dispute", "decide", *share, *why, *olga, code=1)
    desk.do("dispute", "decide", *share, *why, *otto, "--send-back")
    desk.do("dispute", "propose", *share, *why, *olga)
    assert desk.do("dispute", "decide", *share, *why, *otto)["state"] == "finished"
    back = ("chargeback", "take", number, "--ref", "cb1", "--amount", "10", *why, *olga)
    assert "MAKER_IS_CHECKER" in desk.do(*back, "--checker", "olga", code=1)
    assert desk.do(*back, "--checker", "otto")["owed"] == "0.00"
    assert [(case["kind"], case["owner"]) for case in desk.do("case", "list")] == [("chargeback", "operations")]
    assert desk.do("case", "take", "chargeback:ICBC:cb1", *why, *olga)["owner"] == "olga"
    assert desk.do("case", "take", "chargeback:ICBC:cb1", "--owner", "otto", *why, *olga)["owner"] == "otto"
    assert [case["owner"] for case in desk.do("case", "list")] == ["otto"]
    about = ("--note", "fee twice", "--amount", "0.03", "--merchant", MERCHANT, "--order", "A")
    made = desk.do("case", "open", *about, *olga)
    accounts = ("--debit", "platform:0:fee:CNY", "--credit", f"buyer:{BUYER}:balance:CNY", "--amount", "0.03")
    said = desk.do("correction", "propose", "--case", made["case"], *accounts, *why, *olga)
    assert [one["correction"] for one in desk.do("correction", "list")] == [said["correction"]]
    assert desk.do("correction", "decide", said["correction"], *otto)["state"] == "posted"
    owed = ("correction", "write-off", "--case", "chargeback:ICBC:cb1", "--merchant", MERCHANT, "--amount", "1")
    debt = desk.do(*owed, *why, *olga)
    assert "LIMIT_EXCEEDED" in desk.do("correction", "decide", debt["correction"], *otto, code=1)
    desk.do("correction", "decide", debt["correction"], "--refuse", *otto)
    desk.do("case", "close", "chargeback:ICBC:cb1", *why, *otto)
    assert desk.do("case", "list") == []
    assert "TRADE_STATE" in desk.do("trade", "close", "A", "--merchant", MERCHANT, *why, *otto, code=1)
    assert "yuan" in desk.do("dispute", "propose", "A", "--merchant", MERCHANT, "--to-buyer", "x", *why, *olga, code=2)


@pytest.mark.slow
def test_T67_a_stuck_refund_goes_to_the_buyer(desk: Desk) -> None:
    """By its own number: proposed by one, posted by another; once."""

    async def scene() -> str:
        async with Stage("sqlite", str(desk.folder / "books.sqlite")).open_house() as house:
            return (await stick(house)).refund_id

    number = asyncio.run(scene())
    olga, otto, why = ("--as", "olga"), ("--as", "otto"), ("--reason", "the card is closed")
    assert [case["case"] for case in desk.do("case", "list")] == [f"stuck:{number}"]
    asked = ("correction", "stuck", number, "--merchant", MERCHANT, *why, *olga)
    said = desk.do(*asked)
    assert "MAKER_IS_CHECKER" in desk.do("correction", "decide", said["correction"], *olga, code=1)
    assert desk.do("correction", "decide", said["correction"], *otto)["state"] == "posted"
    assert desk.do("case", "list") == []
    assert "STATE_CONFLICT" in desk.do(*asked, code=1)
