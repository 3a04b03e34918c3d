"""The demonstration's third act: bills, reconciliation on both sides, and differences that are planted and found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tongbao.cli.host import Hosted
from tongbao.cli.walk import DAY_SECONDS, Walk
from tongbao.kernel.error import TongbaoError
from tongbao.kernel.money import Money
from tongbao.kernel.time import business_date, business_day
from tongbao.merchant.match import Class
from tongbao.merchant.reconcile import reconciling
from tongbao.merchant.rehearse import agree, plant
from tongbao.sandbox.population import BUYERS
from tongbao.service.act import act
from tongbao.service.audit import audit
from tongbao.service.bill_act import make_bill
from tongbao.wire.bill import PLAIN
from tongbao.wire.contract import Verified
from tongbao.wire.loader import load_protocol
from tongbao.wire.movement import BillHead
from tongbao.wire.vocabulary import CreateTrade, Product

PLANTED: Final = 1
"""Differences of each class."""


@dataclass
class Reckoned:
    """What really happened; ``wrong`` lists what did not end as it should."""

    bills: int = 0
    planted: int = 0
    found: int = 0
    wrong: list[str] = field(default_factory=list)


class Reckoning:
    """Goes on with the orders of a ``Walker``, once their days are over."""

    def __init__(self, hosted: Hosted, say: Callable[[str], None]) -> None:
        self._hosted = hosted
        self._say = say
        self.told = Reckoned()

    async def run(self, walks: list[Walk]) -> Reckoned:
        """Bills of every merchant against the shop's orders, banks' statements against the books, and both with planted
        differences."""
        for protocol in sorted({walk.protocol for walk in walks}):
            await self._try(f"bill of {protocol}", self._bill(protocol))
        await self._try("banks' statements", self._statements())
        await self._try("planted in a bank's statement", self._plant_at_bank(walks[0].protocol))
        return self.told

    async def _try(self, what: str, act: Any) -> None:
        self._say(f"── {what}")
        try:
            await act
        except TongbaoError as error:
            self._wrong(f"{what}: {error}")

    def _wrong(self, what: str) -> None:
        self.told.wrong.append(what)
        self._say(f"   WRONG: {what}")

    @property
    def _platform(self) -> Any:
        return self._hosted.sandbox.house.platform

    async def _days(self, merchant_id: str) -> list[date]:
        """Business dates on which a merchant's trades were paid, and that are over."""
        today = business_date(self._hosted.world.clock.business())
        rows = await self._platform.database.read("trade.recent", {"most": 10_000})
        days = set()
        for owner, number in rows:
            if owner == merchant_id:
                trade = await self._platform.find_trade(owner, number)
                if trade.paid_at is not None and business_date(trade.paid_at) < today:
                    days.add(business_date(trade.paid_at))
        return sorted(days)

    async def _bill(self, protocol: str) -> None:
        """Every day's bill is clean against the shop's orders; one, made wrong, tells exactly what was planted."""
        party = self._hosted.state.parties[protocol]
        orders = f"sqlite:///{self._hosted.sandbox.directory / 'shop.sqlite'}"
        rehearsed = False
        for day in await self._days(party.merchant_id):
            head = BillHead(merchant=party.merchant_id, day=day)
            made = await make_bill(self._platform, "", head)
            self.told.bills += 1
            with reconciling(made.path, orders, day=day, endpoint=protocol) as report:
                self._say(f"   {day}: {report.summary['matched']} lines agree, {len(report.open)} do not")
                if not report.is_clean:
                    self._wrong(f"the bill of {protocol} of {day}: {report.open}")
            lines = list(PLAIN.read(made.chunks()))
            if not rehearsed and sum(line.kind == "payment" for line in lines) >= 3 * PLANTED:
                rehearsed = True
                self._rehearse(head, lines, orders, protocol)

    def _rehearse(self, head: BillHead, lines: list[Any], orders: str, protocol: str) -> None:
        planted = plant(lines, PLANTED)
        with TemporaryDirectory(prefix="tongbao-demo-") as folder:
            wrong = Path(folder) / PLAIN.file_name(head)
            wrong.write_bytes(b"".join(PLAIN.write(head, planted.lines)))
            with reconciling(wrong, orders, day=head.day, endpoint=protocol) as report:
                found = report.open
        self._count(len(planted.found), found, right=agree(planted, found), where=f"the bill of {protocol}")

    def _count(self, planted: int, found: list[tuple[str, str]], *, right: bool, where: str) -> None:
        self.told.planted += planted
        self.told.found += len(found)
        self._say(f"   planted {planted} differences in {where}: found {len(found)}")
        if not right:
            self._wrong(f"other differences were found in {where} than were planted: {found}")

    async def _statements(self) -> None:
        rows = await self._platform.database.read("statement.all", {"most": 10_000})
        self._say(
            f"   {len(rows)} statements, {sum(row[3] for row in rows)} lines, {sum(row[8] for row in rows)} differ"
        )
        for row in rows:
            if row[8]:
                self._wrong(f"{row[0]}'s statement of {row[1]} differs {row[8]} times")

    async def _plant_at_bank(self, protocol: str) -> None:
        """Three payments by card today, a statement that lies about each in its way and has a stranger's, and a case
        for every lie tomorrow."""
        house, platform, bank = self._hosted.sandbox.house, self._platform, BUYERS[0].cards[0].bank
        merchant_id = self._hosted.state.parties[protocol].merchant_id
        product = Product(min(load_protocol(protocol).products))
        for number in ("REHEARSE1", "REHEARSE2", "REHEARSE3"):
            wish = CreateTrade(
                merchant=merchant_id, out_trade_no=number, product=product, subject="对账演练", amount=Money(1_000)
            )
            await act(platform, protocol, Verified(wish, None))
            await house.hand.pay(await platform.find_trade(merchant_id, number), "debit", BUYERS[0].login)
        await house.worker.settle()
        day = business_day(self._hosted.world.clock.business())
        planted = await house.bank.plant(bank, day, PLANTED)
        await self._hosted.sandbox.advance(DAY_SECONDS)
        rows = await platform.database.read("case.open", {"most": 10_000})
        cases = [row[0] for row in rows if row[0].startswith(f"statement:{bank}:{day}:")]
        wanted = sorted(number for some in planted.values() for number in some)
        found = [(str(Class.OTHER), case) for case in cases]
        right = sorted(case.rpartition(":")[2] for case in cases) == wanted
        self._count(len(wanted), found, right=right, where=f"{bank}'s statement")
        broken = await audit(platform)
        if broken:
            self._wrong(f"the audit afterwards: {[one.id for one in broken]}")
