"""A month of trade on one platform: payments, refunds, shares, payouts, settlement, and the audit each day."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.support.platform import BUYER, MERCHANT, House, make_buyer, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, HOUR, Instant, business_date
from tongbao.ledger.account import (
    buyer_balance,
    merchant_available,
    merchant_payout,
    merchant_pending,
    merchant_refunding,
    merchant_reserve,
)
from tongbao.service.payout_card import SetStanding, VerifyPayoutCard, put_card
from tongbao.trade.calendar import is_working
from tongbao.wire.movement import PayOut, PayOutBatch, PayOutItem, RefundTrade, Split, SplitTrade
from tongbao.wire.party import Party, Payee
from tongbao.worker.duty import Worker

AGENT: Final = "2088000000000044"
HIM: Final = Payee(Party(AGENT), "代理")
CARD: Final = Payee(Party(), "王小明", "CMB", "6200000000000117")
TERMS: Final = {
    "rates": [{"method": "debit", "rate": 80, "minimum": 5, "cap": 300}],
    "reserve": {"rate": 500, "days": 3},
    "payout": {"minimum": 20},
}


class Words(dict[str, Any]):
    """What the banks say without being told: most payouts and refunds succeed, some are refused, some answers get lost
    once."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._lost: set[str] = set()

    def get(self, number: str, default: Any = None) -> Any:
        if number in self:
            return self[number]
        if self._chance.random() < 0.2 and number not in self._lost:
            self._lost.add(number)
            return "silence"
        if number.endswith("O") and self._chance.random() < 0.2:
            self[number] = {"result": "failed", "reason": "account_unknown"}
        else:
            self[number] = {"result": "succeeded", "bank_ref": f"ref {number}"}
        return self[number]


@dataclass
class Month:
    """A month over ``house``. ``run`` plays it; what came of it is in the counters."""

    house: House
    chance: Random = field(default_factory=lambda: Random(20260301))
    paid: list[str] = field(default_factory=list)
    number: int = 0
    days: int = 0
    audited: int = 0
    found: list[Any] = field(default_factory=list)

    async def run(self, working_days: int) -> None:
        """So many working days, and the days off between them."""
        house = self.house
        await house.furnish(
            merchant=make_merchant(notify_url="", refund_days=30, settings=json.dumps(TERMS)), money=10**9
        )
        await house.add_buyer(make_buyer(AGENT, name="代理"), 0)
        house.bank.words = Words(self.chance)
        version = await put_card(house.platform, MERCHANT, CARD, "maria", "papers")
        await house.submit(VerifyPayoutCard(MERCHANT, version, "carla", "seen"))
        await house.submit(SetStanding(MERCHANT, "above", 30_000, 10_000, "maria", "carla"))
        worker = Worker(house.platform)
        while self.days < working_days:
            if is_working(business_date(house.clock.now)):
                self.days += 1
            midnight = self._midnight()
            await self._day()
            for hour in (12, 24 + 6, 24 + 9, 24 + 10):
                await self._pass(worker, Instant(midnight + hour * HOUR))
            self.found += await house.audit()
            self.audited += 1

    def _midnight(self) -> int:
        return (self.house.clock.now + 8 * HOUR) // DAY * DAY - 8 * HOUR

    async def _pass(self, worker: Worker, target: Instant) -> None:
        """Time goes on to ``target``; everything due on the way is done."""
        clock = self.house.clock
        while True:
            await worker.settle()
            due = await worker.next_due()
            if due is None or due >= target:
                break
            clock.now = Instant(max(due, clock.now + 1_000))
        clock.now = Instant(max(target, clock.now))
        await worker.settle()

    async def _day(self) -> None:
        chance = self.chance
        for _ in range(chance.randint(3, 6)):
            await self._buy()
        for number in chance.sample(self.paid[-12:], min(2, len(self.paid))):
            await self._refund(number)
        await self._pay_out()

    async def _buy(self) -> None:
        chance = self.chance
        self.number += 1
        name, amount = f"M{self.number:04d}", chance.randint(1_000, 9_000)
        splits: tuple[Split, ...] = ()
        later = chance.random() < 0.2
        if chance.random() < 0.3:
            splits = (Split(receiver=Party(AGENT), rate=chance.randint(1, 3_000)),)
        await self.house.open(name, amount=amount, notify_url="", splits=splits, split_later=later)
        if chance.random() < 0.5:
            await self.house.pay(name)
        else:
            await self.house.say(await self.house.start(name), "succeeded", amount)
        self.paid.append(name)
        if later and not splits:
            part = Split(receiver=Party(AGENT), amount=Money(chance.randint(1, 100)))
            finish = chance.random() < 0.8
            asked = SplitTrade(merchant=MERCHANT, split_no=f"s{name}", splits=(part,), out_trade_no=name, finish=finish)
            await self._try(asked)

    async def _refund(self, number: str) -> None:
        trade = await self.house.trade(number)
        left = trade.amount - trade.refunded
        amount = left if self.chance.random() < 0.3 else self.chance.randint(1, max(left, 1))
        await self._try(
            RefundTrade(
                merchant=MERCHANT, refund_no=f"r{number}{trade.version}", out_trade_no=number, amount=Money(amount)
            )
        )

    async def _pay_out(self) -> None:
        chance = self.chance
        for payee in (HIM, CARD):
            self.number += 1
            amount = Money(chance.randint(1, 2_000))
            await self._try(PayOut(merchant=MERCHANT, payout_no=f"p{self.number}", payee=payee, amount=amount))
        lines = [(payee, chance.randint(1, 500)) for payee in (HIM, CARD, Payee(Party("", "nobody@x.example")))]
        items = tuple(
            PayOutItem(payout_no=f"{n}", payee=payee, amount=Money(amount)) for n, (payee, amount) in enumerate(lines)
        )
        total = Money(sum(amount for _, amount in lines))
        await self._try(
            PayOutBatch(merchant=MERCHANT, batch_no=f"b{self.number}", items=items, total=total, count=len(items))
        )

    async def _try(self, intent: Any) -> None:
        """Ask; what the rules refuse changes nothing."""
        await refusal(self.house.ask(intent))

    async def worth(self) -> dict[str, int]:
        """Everybody's money in the end, by name."""
        codes = {
            "buyer": buyer_balance(BUYER, "CNY"),
            "agent": buyer_balance(AGENT, "CNY"),
            "pending": merchant_pending(MERCHANT, "CNY"),
            "available": merchant_available(MERCHANT, "CNY"),
            "reserve": merchant_reserve(MERCHANT, "CNY"),
            "payout": merchant_payout(MERCHANT, "CNY"),
            "refunding": merchant_refunding(MERCHANT, "CNY"),
        }
        return {name: await self.house.platform.balance(code) for name, code in codes.items()}
