"""A platform and its simulated banks, joined by the test's network only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.web.house import BASE, MERCHANT, NOTIFY, PROTOCOL, House, ask, house, run
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import bank_clearing, platform_suspense
from tongbao.service import checkout
from tongbao.service.act import act
from tongbao.service.escrow import TimerDue
from tongbao.store.bankbook import BankBook
from tongbao.store.schema import CASE, INSTRUCTION
from tongbao.trade.record import Instruction, Trade
from tongbao.web.app import Web, build_web
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.page import bank_app
from tongbao.web.faces.page import PlainPages
from tongbao.web.guard import Guard, strip
from tongbao.wire.asgi import Application
from tongbao.wire.contract import Verified
from tongbao.wire.http import FORM, Request, Response, get, post
from tongbao.wire.vocabulary import CreateTrade, Expiry, Product

CARDS = {
    "ok": "6200000000000018",
    "insufficient": "6200000000000026",
    "slow": "6200000000000034",
    "lost": "6200000000000042",
    "late": "6200000000000059",
    "credit": "6200000000000067",
}
PASSWORD = "135790"
BALANCE = 100_000
BACK = f"{BASE}/cashier/x/back"


@dataclass
class Branch:
    """Everything a test of the banks touches."""

    home: House
    bank: Bank
    web: Web
    app: Application

    async def start(self, number: str, method: str = "debit", expiry: Expiry | None = None) -> checkout.Handover:
        """A trade of ten yuan, handed to ICBC (or to the outlets)."""
        intent = CreateTrade(
            merchant=MERCHANT,
            out_trade_no=number,
            product=Product.INSTANT,
            subject="青花瓷 <b>",
            amount=Money(1_000),
            notify_url=NOTIFY,
            expiry=expiry,
        )
        await act(self.home.platform, PROTOCOL, Verified(intent, None))
        trade = await self.trade(number)
        guest = await checkout.guest(self.home.platform, "13800138000")
        bank = "" if method == "outlet" else "ICBC"
        return await checkout.start_payment(self.home.platform, trade, method, bank, guest, f"i{number}", BACK)

    async def trade(self, number: str) -> Trade:
        return await self.home.platform.find_trade(MERCHANT, number)

    async def payment_states(self, number: str) -> list[str]:
        return [payment.state for payment in await self.home.platform.payments_of(await self.trade(number))]

    async def instruction(self, number: str) -> Instruction:
        found: list[Instruction] = await self.home.platform.database.load(INSTRUCTION, [(number,)])
        return found[0]

    async def cases(self, number: str) -> list[tuple[str, str]]:
        """(kind, state) of a trade's cases."""
        keys = await self.home.platform.database.read(
            "case.of_trade", {"merchant_id": MERCHANT, "out_trade_no": number}
        )
        return [(case.kind, case.state) for case in await self.home.platform.database.load(CASE, keys)]

    async def advance(self, milliseconds: int) -> None:
        """Move business time, then let everybody do what is due, at most ten rounds."""
        self.home.clock.advance(milliseconds)
        platform = self.home.platform
        for _ in range(10):
            now = {"now": platform.world.clock.business(), "most": 100}
            done = await self.bank.run_due()
            for merchant_id, out_trade_no, _at in await platform.database.read("trade.due", now):
                await platform.submit(TimerDue(merchant_id, out_trade_no))
                done += 1
            for (number,) in await platform.database.read("instruction.due", now):
                await checkout.inquire(platform, number)
                done += 1
            if not done:
                break

    def notices(self) -> list[Request]:
        """What the banks have sent to the platform."""
        return [request for request in self.home.net.sent if request.raw_path.endswith(b"/notice")]

    async def visit(self, url: str, language: str = "") -> Response:
        """GET a bank page."""
        return await ask(self.app, get(f"{url}&lang={language}" if language else url))

    async def fill(self, url: str, **fields: str) -> Response:
        """POST a bank page's form."""
        body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        return await ask(self.app, post(url, body, FORM))

    async def check_books(self, bank: str = "ICBC") -> None:
        """I45: the bank's book is zero-sum, and what it holds for the platform is what the platform's books say."""
        assert await self.bank.book_is_balanced()
        theirs = await self.bank.platform_balance(bank)
        assert theirs == -await self.home.platform.balance(bank_clearing(bank, 0, "CNY"))
        assert await self.home.platform.balance(platform_suspense(0, "CNY")) == 0


@asynccontextmanager
async def branch(folder: Path) -> AsyncIterator[Branch]:
    """A house with banks: every kind of card at ICBC, ten thousand yuan topped up through it."""
    async with house(folder) as home:
        book = BankBook(str(folder / "bank.sqlite"))
        bank = Bank(home.world, book, home.platform.secrets.bank)
        try:
            for outcome, number in CARDS.items():
                kind, fate = ("credit", "ok") if outcome == "credit" else ("debit", outcome)
                await bank.add_card("ICBC", kind, number, PASSWORD, "王小明", BALANCE, fate)
            await bank.fund_platform("ICBC", 1_000_000, "t1")
            await bank.fund_platform("ICBC", 1_000_000, "t1")
            web = build_web(home.platform, PlainPages())
            app = Guard(strip(bank_app(bank), "bank"))
            home.net.apps = {"platform.test:8000": web.main, "bank.test": app}
            yield Branch(home, bank, web, app)
        finally:
            await book.close()


LATE = 17 * DAY


def play(folder: Path, test: Callable[[Branch], Awaitable[None]]) -> None:
    """Run ``test`` with a platform and its banks."""

    async def main() -> None:
        async with branch(folder) as here:
            await test(here)

    run(main)
