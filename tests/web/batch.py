"""Batches that a merchant's browser carries, his money, and his people, for the tests of the page under ``/agree``."""

from __future__ import annotations

import json

from tests.web.house import BASE, BUYER, MERCHANT, NOTIFY, PROTOCOL, House
from tests.web.surfer import open_trade
from tongbao.kernel.money import Money
from tongbao.ledger.account import merchant_available
from tongbao.service.act import act
from tongbao.service.agree import ChangeAgreement
from tongbao.service.checkout import pay_from_balance
from tongbao.service.merchant_operator import ApproveMerchantOperator
from tongbao.service.merchant_operator_act import put_operator
from tongbao.service.settlement import settle_early
from tongbao.wire.contract import Verified
from tongbao.wire.movement import BatchTaken, PayOutBatch, PayOutItem, RefundBatch, RefundItem
from tongbao.wire.party import Party, Payee

OPERATORS = {"li": "li-pays-4711", "wang": "wang-pays-0815"}
LIMIT = 10_000
"""Fen above which two must agree."""


async def staff(home: House) -> None:
    """The merchant's people, his agreement, and 994 yuan available to him."""
    terms = {"early": {"rate": 0}, "payout": {"minimum": 50, "check": LIMIT}}
    await home.platform.submit(ChangeAgreement(MERCHANT, json.dumps(terms), "op1", "op2", "contract"))
    for name, password in OPERATORS.items():
        version = await put_operator(home.platform, MERCHANT, name, password, "op1", "papers")
        await home.platform.submit(ApproveMerchantOperator(MERCHANT, name, version, "op2", "called back"))
    trade, _ = await open_trade(home, "EARNED", amount=100_000)
    await pay_from_balance(home.platform, trade, await home.platform.buyer(BUYER), "741852")
    await settle_early(home.platform, MERCHANT, "first")


async def available(home: House) -> int:
    """What the merchant could pay out, in fen."""
    return await home.platform.balance(merchant_available(MERCHANT, "CNY"))


async def payouts(home: House, number: str, *amounts: int) -> str:
    """A batch of payouts of so many fen each, left to a person to agree to; the path of its page."""
    payee = Payee(Party("", "buyer@example.com"), "买家")
    items = tuple(
        PayOutItem(payout_no=f"{n:04d}", payee=payee, amount=Money(amount), memo="四月佣金")
        for n, amount in enumerate(amounts, 1)
    )
    intent = PayOutBatch(
        merchant=MERCHANT,
        batch_no=number,
        items=items,
        total=Money(sum(amounts)),
        count=len(items),
        notify_url=NOTIFY,
        asks_password=True,
    )
    return await _path(home, intent)


async def refunds(home: House, number: str, amount: int) -> str:
    """A batch with one refund of the merchant's trade; the path of its page."""
    trade = await home.platform.find_trade(MERCHANT, "EARNED")
    items = (RefundItem(trade_no=trade.trade_no, amount=Money(amount), reason="七天无理由退货"),)
    return await _path(
        home, RefundBatch(merchant=MERCHANT, batch_no=number, items=items, notify_url=NOTIFY, asks_password=True)
    )


async def _path(home: House, intent: PayOutBatch | RefundBatch) -> str:
    taken = await act(home.platform, PROTOCOL, Verified(intent, None))
    assert isinstance(taken, BatchTaken)
    return taken.confirm_url.removeprefix(BASE).removeprefix(home.platform.settings.base_url)
