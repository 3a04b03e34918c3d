"""The demonstration's second act: what happens to money once an order is paid. Refunds, a dispute, payouts, settlement.

Whatever a merchant can ask over his protocol is asked by the shop's own client over real HTTP; buyers and operators act
through the platform's commands, each under a name of his own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tongbao.cli.browser import Browser, Form, PageSurprise
from tongbao.cli.host import Hosted
from tongbao.cli.walk import DAY_SECONDS, Walk
from tongbao.kernel.error import LocalProtocolError, TongbaoError
from tongbao.kernel.money import Money
from tongbao.kernel.time import business_date, china_compact
from tongbao.merchant.desk import RefundOptions
from tongbao.merchant.movement import MovementKind, MovementTable, list_movements
from tongbao.sandbox.population import BUYERS, CHECK, OPERATORS, SHOP_NAME
from tongbao.service.claim import BuyerAskRefund, OpenDispute, SellerAnswer
from tongbao.service.create import Asker
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.payout_act import batch_view, find_payout_batch
from tongbao.service.payout_batch import StartBatch
from tongbao.service.payout_file import Uploaded, upload
from tongbao.service.refund_act import refunds_of
from tongbao.service.settlement import settlements_of_day
from tongbao.shop.shop import Shop
from tongbao.trade.record import Trade
from tongbao.wire.movement import MovementState, PayOutItem, RefundBatch, RefundTrade, RefundView
from tongbao.wire.party import Party, Payee

PART: Final = 30
"""Hundredths of an order that the first refund gives back; the second gives the rest."""

SETTLE_DAYS: Final = 14
"""Days that are let pass, so that every pending sum has met a business day (the longest holidays have nine days)."""

NOBODYS_CARD: Final = "6200000000009993"

MAKER, CHECKER = "operator-maker", "operator-checker"


@dataclass
class Told:
    """What really happened; ``wrong`` lists what did not end as it should."""

    refunds: int = 0
    disputes: int = 0
    payouts: int = 0
    settlements: int = 0
    wrong: list[str] = field(default_factory=list)


def stand_of(refund: RefundView) -> str:
    """How the answer to a request for a refund says that it stands. Where it says no end, the money is on its way."""
    return "on its way" if refund.state in (None, MovementState.ACCEPTED) else str(refund.state)


class Sequel:
    """Goes on with orders that a ``Walker`` has walked."""

    def __init__(self, hosted: Hosted, shop: Shop, say: Callable[[str], None]) -> None:
        self._hosted = hosted
        self._shop = shop
        self._say = say
        self.told = Told()

    @property
    def _platform(self) -> Any:
        return self._hosted.sandbox.house.platform

    async def run(self, walks: list[Walk], disputed: Walk | None) -> Told:
        """Refunds of one order a protocol, the dispute, settlement, payouts. What surprises is written down."""
        if disputed is not None:
            await self._try("dispute", self._dispute(disputed))
        await self._try("settlement", self._settle())
        for walk in _refundable(walks):
            if self._refunds(walk.protocol):
                await self._try(f"refund over {walk.protocol}", self._refund(walk))
        payer = next((walk for walk in walks if not walk.wrong), None)
        if payer is not None:
            await self._try("payouts", self._pay_out(self._hosted.state.parties[payer.protocol].merchant_id))
        for walk in _refundable(walks):
            if self._platform.protocol(walk.protocol).batches_by_browser:
                await self._try(f"payouts agreed to over {walk.protocol}", self._agree(walk.protocol))
        return self.told

    async def _try(self, what: str, act: Any) -> None:
        self._say(f"── {what}")
        try:
            await act
        except (TongbaoError, PageSurprise) as error:
            self.told.wrong.append(f"{what}: {error}")
            self._say(f"   WRONG: {error}")

    def _refunds(self, protocol: str) -> bool:
        offered = set(self._platform.protocol(protocol).operations.values())
        return bool(offered & {RefundTrade, RefundBatch})

    async def _trade(self, walk: Walk) -> Trade:
        party = self._hosted.state.parties[walk.protocol]
        trade: Trade = await self._platform.find_trade(party.merchant_id, walk.number)
        return trade

    async def _refund(self, walk: Walk) -> None:
        """A part, then the rest, each asked by the shop and confirmed by the platform's books."""
        trade = await self._trade(walk)
        part = Money(max(1, trade.amount * PART // 100), trade.currency)
        day = china_compact(self._hosted.world.clock.wire())
        for n, sum_ in enumerate((part, Money(trade.amount, trade.currency) - part), 1):
            said = await self._ask(walk, trade, f"{day}{n:03d}", sum_)
            await self._hosted.sandbox.house.worker.settle()
            self._say(f"   the shop asked for {sum_.text()} of {walk.number} back: {stand_of(said)}")
        trade = await self._trade(walk)
        made = await refunds_of(self._platform, trade)
        ended = [refund for refund in made if refund.state == MovementState.SUCCEEDED]
        if len(ended) != 2 or trade.refunded != trade.amount:
            raise PageSurprise(f"refunded {trade.refunded} of {trade.amount} in {len(ended)} of {len(made)} refunds")
        self.told.refunds += len(ended)
        self._say(f"   back to {ended[0].method}: {Money(trade.refunded).text()}, fees {sum(r.fee for r in ended)} fen")

    async def _ask(self, walk: Walk, trade: Trade, number: str, sum_: Money) -> RefundView:
        """The shop's request, with a reason where the protocol has a word for one."""
        client = self._shop.ways[walk.protocol].client
        said = RefundOptions(order_no=walk.number, trade_no=trade.trade_no, total=Money(trade.amount, trade.currency))
        explained = RefundOptions(**said)
        explained["reason"] = "七天无理由退货"
        try:
            return await client.refund(number, sum_, **explained)
        except LocalProtocolError:
            return await client.refund(number, sum_, **said)

    async def _dispute(self, walk: Walk) -> None:
        """Held money is asked back; the seller refuses; operators divide it, one proposing and another agreeing."""
        trade = await self._trade(walk)
        platform, ends = self._platform, (trade.merchant_id, trade.out_trade_no)
        buyer_id = BUYERS[0].buyer_id
        await platform.submit(BuyerAskRefund(*ends, buyer_id, reason="茶盖有裂纹"))
        asker = Asker(trade.merchant_id, trade.protocol)
        await platform.submit(SellerAnswer(asker, trade.out_trade_no, agrees=False, answer="出库时完好"))
        await platform.submit(OpenDispute(*ends, buyer_id, reason="有照片为证"))
        to_buyer = trade.amount * 40 // 100
        await platform.submit(ProposeDecision(*ends, to_buyer, MAKER, "双方各担一部分"))
        await platform.submit(DecideDispute(*ends, to_buyer, True, CHECKER))
        await self._hosted.sandbox.house.worker.settle()
        trade = await self._trade(walk)
        if (trade.state, trade.refunded) != ("finished", to_buyer):
            raise PageSurprise(f"the trade is {trade.state} with {trade.refunded} given back")
        self.told.disputes += 1
        self._say(
            f"   {walk.number}: asked, refused, disputed; {MAKER} proposed and {CHECKER} agreed: "
            f"{Money(to_buyer).text()} to the buyer, {Money(trade.amount - to_buyer).text()} to the seller"
        )

    async def _settle(self) -> None:
        """Days go by; each business day what is pending becomes available."""
        clock = self._hosted.world.clock
        first = business_date(clock.business())
        await self._hosted.sandbox.advance(SETTLE_DAYS * DAY_SECONDS)
        for n in range(SETTLE_DAYS + 1):
            for batch in await settlements_of_day(self._platform, int(f"{first + timedelta(days=n):%Y%m%d}")):
                self.told.settlements += batch.state == "done"
        if not self.told.settlements:
            raise PageSurprise("nothing was settled in a fortnight")
        self._say(f"   {self.told.settlements} batches settled in {SETTLE_DAYS} days")

    async def _upload(self, merchant_id: str, number: str, rows: list[str]) -> Uploaded:
        raw = "\r\n".join(rows).encode("gbk")
        return await upload(self._platform, merchant_id, raw, MAKER, batch_no=number, name="四月佣金")

    async def _pay_out(self, merchant_id: str) -> None:
        """A file of three lines, of which the bank refuses one: entered by one, agreed by another."""
        good, other = BUYERS[1], BUYERS[0]
        rows = [
            "payout_no,payee,name,bank,card,amount,memo",
            f"1,{good.login},{good.name},,,1.00,佣金",
            "2,nobody@tongbao.example,无名氏,,,1.00,佣金",
            f"3,,{other.name},{other.cards[0].bank},{other.cards[0].number},2.50,佣金",
        ]
        number = f"demo-{china_compact(self._hosted.world.clock.business())}"
        taken = await self._upload(merchant_id, number, rows)
        if not taken.faults:
            raise PageSurprise("a line that names nobody was entered")
        self._say(f"   line {taken.faults[0].line} refused before anything moved: {taken.faults[0].reason}")
        # mended: now it names a card, which only the bank can say is nobody's
        rows[2] = f"2,,{other.name},{other.cards[0].bank},{NOBODYS_CARD},1.00,佣金"
        taken = await self._upload(merchant_id, number, rows)
        if taken.said is None:
            raise PageSurprise(f"the file was refused: {taken.faults[0].reason}")
        await self._platform.submit(StartBatch(merchant_id, taken.batch_no, CHECKER))
        await self._hosted.sandbox.house.worker.settle()
        view = await batch_view(self._platform, merchant_id, taken.batch_no)
        states = [str(payout.state) for payout in view.payouts]
        self._say(f"   batch {taken.batch_no}: {', '.join(states)}")
        if sorted(states) != ["failed", "succeeded", "succeeded"]:
            raise PageSurprise(f"the lines ended {states}")
        self.told.payouts += len(states)

    async def _agree(self, protocol: str) -> None:
        """A batch above the limit, which the shop writes down and its browser carries: two of its people agree to it,
        each in a browser of his own."""
        way, party = self._shop.ways[protocol], self._hosted.state.parties[protocol]
        number = f"{china_compact(self._hosted.world.clock.business())}AGREE"
        payee = Payee(Party("", BUYERS[1].login), BUYERS[1].name)
        item = PayOutItem(payout_no="1", payee=payee, amount=Money(CHECK + 1), memo="五月佣金")
        said: dict[str, Any] = {"payer": Party("", party.login), "payer_name": SHOP_NAME}
        intent = way.client.payout_batch_intent(number, [item], said, asks_password=True)
        rows = list_movements(way.endpoint, intent, self._hosted.world.clock.business())
        await self._shop.run(lambda transaction: MovementTable().add(transaction, rows))
        for person in OPERATORS:
            call = way.client.payout_batch_page(number, [item], **said)
            browser = Browser(self._hosted.world.send)
            page = await browser.submit(Form(call.action(), call.method, call.charset, dict(call.fields)))
            form = page.form("/agree/payouts/")
            await browser.submit(form, button=("answer", "yes"), operator=person.name, pay_password=person.pay_password)
            batch = await find_payout_batch(self._platform, party.merchant_id, number)
            self._say(f"   {person.name} agreed with his payment password: the batch is {batch.state}")
        await self._hosted.sandbox.house.worker.settle()
        kind = MovementKind.PAYOUT
        kept = await self._shop.run(
            lambda transaction: MovementTable().of_batch(transaction, way.endpoint.name, kind, number)
        )
        states = [str(row.state) for row in kept]
        if states != ["succeeded"]:
            raise PageSurprise(f"the shop's rows say {states}")
        self.told.payouts += len(states)


def _refundable(walks: list[Walk]) -> list[Walk]:
    """Of each protocol one good order that was paid at once."""
    found: dict[str, Walk] = {}
    for walk in walks:
        if not walk.wrong and walk.product == "instant" and not walk.unreachable and walk.method != "outlet":
            found[walk.protocol] = walk
    return list(found.values())
