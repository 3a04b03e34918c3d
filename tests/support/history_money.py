"""The day after: money that was paid is settled, paid out and shared, with every kind of end."""

from __future__ import annotations

import json
from typing import Final

from tests.support.platform import BUYER, OTHER, House, make_merchant
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.service.merchant_operator import ApproveMerchantOperator
from tongbao.service.merchant_operator_act import decide_payouts, decide_refunds, put_operator
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.payout import ThrowSwitch
from tongbao.service.payout_act import decide_payout, find_payout, find_payout_batch, run_batch, run_batches
from tongbao.service.payout_card import SetStanding, VerifyPayoutCard, put_card
from tongbao.service.refund_act import find_batch, lines_of
from tongbao.service.seen import TakeWord
from tongbao.service.settle import PutCalendarDays
from tongbao.service.settlement import settle_day, settle_early
from tongbao.service.split_act import run_splits
from tongbao.wire.movement import (
    PayOut,
    PayOutBatch,
    PayOutItem,
    RefundBatch,
    RefundItem,
    RefundTrade,
    ReturnSplit,
    Split,
    SplitTrade,
)
from tongbao.wire.party import Party, Payee

PAYER: Final = "2088000000000003"
TERMS: Final = {
    "rates": [{"method": "balance", "rate": 100, "minimum": 1, "cap": 0}],
    "reserve": {"rate": 1000, "days": 7},
    "early": {"rate": 50, "minimum": 3, "cap": 0},
    "payout": {"rate": 0, "minimum": 2, "cap": 0, "most": 5_000, "day": 50_000, "check": 500},
}
HIM: Final = Payee(Party(BUYER), "Test Buyer")
CARD: Final = Payee(Party(), "王小明", "ICBC", "6200000000000018")


async def move_money(house: House) -> None:
    """Make the day after. The audit is clean afterwards."""
    await house.submit(
        RegisterMerchant(make_merchant(PAYER, notify_url="", refund_days=30, settings=json.dumps(TERMS)), "maker")
    )
    await house.submit(ChangeMerchant(PAYER, "approved", "checker", ""))
    for number in ("S1", "S2", "S3"):
        await house.open(number, amount=2_000, merchant=PAYER, notify_url="")
        await house.pay(number, merchant=PAYER)
    await settle_early(house.platform, PAYER, "first")
    await house.submit(PutCalendarDays((20270101,), False, "olga", "New Year"))
    house.clock.advance(DAY)
    await settle_day(house.platform, 20260301)
    for stopped in (True, False):
        await house.submit(ThrowSwitch(stopped, "olga", "a rehearsal"))
    await house.submit(TakeWord("5e" * 32))
    await _pay_out(house)
    await _pay_batch(house)
    await _agree(house)
    await _share(house)
    version = await put_card(house.platform, PAYER, CARD, "maria", "papers")
    await house.submit(VerifyPayoutCard(PAYER, version, "carla", "seen"))
    await house.submit(SetStanding(PAYER, "daily", 0, 100, "maria", "carla"))


async def _ask(house: House, number: str, payee: Payee, amount: int) -> None:
    await house.ask(PayOut(merchant=PAYER, payout_no=number, payee=payee, amount=Money(amount)))


async def _pay_out(house: House) -> None:
    await _ask(house, "p1", HIM, 100)
    await _ask(house, "p2", Payee(Party(OTHER)), 100)
    for number, word in (("p3", "succeeded"), ("p4", "failed"), ("p5", "silence")):
        await _ask(house, number, CARD, 100)
        asked = (await find_payout(house.platform, PAYER, "", number)).payout_id + "O"
        await house.inquire(asked, word if word == "silence" else {"result": word, "bank_ref": f"ref {number}"})
    for number in ("p6", "p7"):
        await _ask(house, number, HIM, 501)
    for number, who in (("p6", "carla"), ("p6", "otto"), ("p7", "carla")):
        await decide_payout(house.platform, PAYER, number, who, 501, agrees=number == "p6", reason="seen")


async def _share(house: House) -> None:
    """Shares at the payment, after it, and back with a refund; a trade that waits for more of them."""
    him, other = Split(receiver=Party(BUYER), amount=Money(100)), Split(receiver=Party(OTHER), rate=500)
    await house.open("S4", amount=1_000, merchant=PAYER, notify_url="", splits=(him, other), split_later=True)
    await house.pay("S4", merchant=PAYER)
    await run_splits(house.platform)
    await house.ask(SplitTrade(merchant=PAYER, split_no="s1", splits=(other,), out_trade_no="S4"))
    await house.ask(ReturnSplit(merchant=PAYER, return_no="sb1", split_no="s1", giver_id=OTHER, amount=Money(10)))
    back = (Split(receiver=Party(OTHER), amount=Money(60)),)
    asked = RefundTrade(merchant=PAYER, refund_no="sr1", out_trade_no="S4", amount=Money(200), splits=back)
    await house.ask(asked)


async def _pay_batch(house: House) -> None:
    lines = ((HIM, 10), (Payee(Party("", "nobody@buyer.example")), 20), (CARD, 30))
    items = tuple(
        PayOutItem(payout_no=f"{n}", payee=payee, amount=Money(amount)) for n, (payee, amount) in enumerate(lines, 1)
    )
    for number in ("b1", "b2"):
        await house.ask(PayOutBatch(merchant=PAYER, batch_no=number, items=items, total=Money(60), count=3))
        if number == "b1":
            await run_batches(house.platform)
            asked = (await find_payout(house.platform, PAYER, "b1", "3")).payout_id + "O"
            await house.inquire(asked, {"result": "succeeded", "bank_ref": "ref b1"})


async def _agree(house: House) -> None:
    """Batches that a browser carried: one above the limit agreed to by two of the merchant's people, two sent away."""
    for name in ("li", "wang"):
        version = await put_operator(house.platform, PAYER, name, f"{name}-pays-7", "maria", "papers")
        await house.submit(ApproveMerchantOperator(PAYER, name, version, "carla", "called back"))
    for number, amount in (("b3", 501), ("b4", 5)):
        items = (PayOutItem(payout_no="1", payee=HIM, amount=Money(amount)),)
        asked = PayOutBatch(
            merchant=PAYER, batch_no=number, items=items, total=Money(amount), count=1, asks_password=True
        )
        await house.ask(asked)
    for number, name in (("b3", "li"), ("b3", "wang"), ("b4", "li")):
        batch = await find_payout_batch(house.platform, PAYER, number)
        await decide_payouts(house.platform, batch, name, f"{name}-pays-7", agrees=number == "b3", reason="seen")
    await run_batch(house.platform, PAYER, "b3")
    trade = await house.trade("S1", PAYER)
    item = RefundItem(trade_no=trade.trade_no, amount=Money(5), reason="late")
    await house.ask(RefundBatch(merchant=PAYER, batch_no="rb2", items=(item,), asks_password=True))
    refunds = await find_batch(house.platform, PAYER, "rb2")
    lines = await lines_of(house.platform, refunds)
    await decide_refunds(house.platform, refunds, lines, "wang", "wang-pays-7", agrees=False, reason="an error")
