"""The load: clients who create, pay and want money back, who write down what they wanted and what they were told, and
ask again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.attack.town import create
from tests.support.platform import MERCHANT, Stage, make_buyer, make_merchant
from tests.support.process import find_port
from tests.web.house import SECRET, put_key
from tongbao.kernel.time import MINUTE, Instant, business_date, later
from tongbao.service.refund_act import refunds_of
from tongbao.wire.http import Request

ROOT = Path(__file__).resolve().parents[2]
MONEY = 10**10
FEN = 1_000
BACK: Final[tuple[tuple[int, ...], ...]] = ((), (FEN,), (400, 600), (1,))
"""What buyers want back of their payments, in turn: nothing, all of it, all of it in two parts, a part."""
CLIENTS = 8
WAIT = 60


def now() -> Instant:
    """The clock on the wall, as the killed process reads it."""
    return Instant(time.time_ns() // 1_000_000)


async def furnish(stage: Stage) -> None:
    """A merchant with a key, and a buyer who can pay for all of it."""
    stage.clock.now = stage.clock.wire_now = now()
    async with stage.open_house() as house:
        await house.furnish(merchant=make_merchant(refund_days=90))
        for name in range(CLIENTS):
            await house.add_buyer(make_buyer(shopper(name)), MONEY)
        await put_key(house.platform, "md5-1", "MD5", "both", SECRET.encode())


def _open(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def shopper(name: object) -> str:
    """Each client pays from an account of his own: whoever tries his password five times at once is locked out."""
    return f"208800000000090{name}"


@dataclass
class Child:
    """A process of the platform, which can be killed and started again at the same address."""

    where: str
    lane: int = 0
    role: str = "both"
    port: int = field(default_factory=find_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What is started, besides the interpreter."""
        return ["tests.kill.server", self.where, str(self.port), str(self.lane), self.role]

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = process = await asyncio.to_thread(_open, [sys.executable, "-m", *self.command()])
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), WAIT)
        assert line.startswith(b"ready"), line

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    async def ask(self, path: str, body: bytes) -> int:
        """The status of one POST; 0 where no whole answer came."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return 0
        try:
            writer.write(head.encode() + body)
            answer = await asyncio.wait_for(reader.read(), WAIT)
        except OSError:
            return 0
        finally:
            writer.close()
        whole = answer.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in answer
        return int(answer[9:12]) if whole else 0


@dataclass
class ShopChild(Child):
    """A shop's process: it takes orders and notifications. ``where`` is its own database."""

    gateway: str = ""

    def command(self) -> list[str]:
        return ["tests.kill.shop", self.where, str(self.port), self.gateway]


@dataclass(frozen=True)
class Return:
    """One refund that is wanted."""

    order_no: str
    fen: int


@dataclass
class Book:
    """What the clients wanted and what they were told. ``told`` holds acknowledged payments; nothing leaves it."""

    wanted: list[str] = field(default_factory=list)
    ordered: set[str] = field(default_factory=set)
    """What the shop said it has written down."""
    opened: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    already: set[str] = field(default_factory=set)
    """Payments that were found done when they were asked for again."""
    returns: dict[str, Return] = field(default_factory=dict)
    """What is wanted back, by the number of the shop's batch."""
    returned: set[str] = field(default_factory=set)
    """Those of them that the shop said the platform has taken on."""
    repeats: int = 0

    @property
    def waiting(self) -> list[str]:
        return [number for number in self.wanted if number not in self.told and number not in self.already]


@dataclass
class Load:
    """Eight clients against one platform, through one shop where there is one."""

    child: Child
    notify_url: str
    book: Book = field(default_factory=Book)
    shop: ShopChild | None = None
    stopping: bool = False
    others: tuple[int, ...] = ()
    """What else a creation may be answered with: 400, where somebody else may have paid the trade already."""

    def _creation(self, number: str) -> Request:
        return create(number, notify_url=self.notify_url)

    async def buy(self, number: str, *, patient: bool = True) -> None:
        """Order, create and pay one trade, asking again until there is an answer."""
        while self.shop is not None and number not in self.book.ordered:
            status = await self.shop.ask("/order", number.encode())
            assert status in (0, 200), status
            if status == 200:
                self.book.ordered.add(number)
            elif not await self._again(patient):
                return
        while number not in self.book.opened:
            request = self._creation(number)
            status = await self.child.ask("/alipay_mapi/gateway.do", request.body)
            assert status in (0, 302, 500, 503, *self.others), status
            if status in (302, *self.others):
                self.book.opened.add(number)
            elif not await self._again(patient):
                return
        while True:
            status = await self.child.ask("/hand/pay", f"{number} {shopper(number[1])}".encode())
            assert status in (0, 200, 409, 500, 503), status
            if status in (200, 409):
                (self.book.told if status == 200 else self.book.already).add(number)
                return
            if not await self._again(patient):
                return

    async def give_back(self, batch_no: str, *, patient: bool = True) -> None:
        """Have the shop refund, asking again until it says that the platform has taken the refund on."""
        wanted = self.book.returns[batch_no]
        while self.shop is not None and batch_no not in self.book.returned:
            status = await self.shop.ask("/refund", f"{wanted.order_no} {batch_no} {wanted.fen}".encode())
            assert status in (0, 200, 409, 503), status
            if status == 200:
                self.book.returned.add(batch_no)
            elif not await self._again(patient):
                return

    async def _again(self, patient: bool) -> bool:
        self.book.repeats += 1
        await asyncio.sleep(0.02)
        return patient and not self.stopping

    async def client(self, name: int) -> None:
        """One shopper after another, until stopped."""
        turn = 0
        while not self.stopping:
            turn += 1
            number = f"K{name}-{turn}"
            self.book.wanted.append(number)
            await self.buy(number)
            today = business_date(now())
            # a batch's number is of its day: none is begun that might be asked for again after midnight
            if self.shop is not None and business_date(later(now(), 2 * MINUTE)) == today:
                for n, fen in enumerate(BACK[turn % len(BACK)]):
                    batch_no = f"{today:%Y%m%d}K{name}T{turn}N{n}"
                    self.book.returns[batch_no] = Return(number, fen)
                    await self.give_back(batch_no)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The clients at work; in the end every unanswered wish is asked for again."""
        clients = [asyncio.create_task(self.client(name)) for name in range(CLIENTS)]
        try:
            yield
        finally:
            self.stopping = True
            await asyncio.gather(*clients)
        self.stopping = False
        await asyncio.gather(*(self.buy(number) for number in self.book.waiting))
        await asyncio.gather(*(self.give_back(batch_no) for batch_no in self.book.returns))


async def strike(load: Load, seed: int, blows: int, blow: Callable[[], Awaitable[None]]) -> None:
    """``blow`` at random moments under load."""
    chance = Random(seed)
    async with load.running():
        for _ in range(blows):
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            await blow()
            await asyncio.sleep(0.05)


async def judge(stage: Stage, book: Book) -> None:
    """Every acknowledged payment and refund stands, none is doubled, the buyer paid for exactly what was paid and not
    given back, the audit is clean."""
    stage.clock.now = stage.clock.wire_now = now()
    async with stage.open_house() as house:
        paid = 0
        for number in book.wanted:
            trade = await house.trade(number, MERCHANT)
            captured = [one for one in await house.payments(number) if one.state == "captured"]
            back = sorted(one.fen for one in book.returns.values() if one.order_no == number)
            refunds = await refunds_of(house.platform, trade)
            assert trade.state in (("closed",) if sum(back) == trade.amount else ("paid", "finished")), (number, trade)
            assert len(captured) == 1, number
            assert sorted(one.amount for one in refunds) == back, number
            assert {one.state for one in refunds} <= {"succeeded"}, number
            paid += trade.amount - sum(back)
        assert set(book.wanted) == book.told | book.already
        assert set(book.returns) == book.returned
        left = [await house.platform.balance(f"buyer:{shopper(name)}:balance:CNY") for name in range(CLIENTS)]
        assert sum(left) == CLIENTS * MONEY - paid
        assert await house.audit() == []
