"""The banks' process: the real simulated banks over a book of their own, and the pages' forms as plain ASGI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.time import MINUTE, Instant
from tongbao.service.channel import BankWord
from tongbao.sim.loop import Life, pause, turn
from tongbao.sim.platform import BANK_HOST, SECRETS
from tongbao.sim.till import answer_json
from tongbao.sim.universe import Process, Universe
from tongbao.store.bankbook import MEMORY, BankBook, Card, Desk, Order
from tongbao.web.bank import rule
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.endpoint import ACTS, answer_call
from tongbao.wire.asgi import Application, plain
from tongbao.wire.http import Request, Response
from tongbao.wire.sign import equal
from tongbao.wire.world import World

T = TypeVar("T")

BANK: Final = "ICBC"
CARD_MONEY: Final = 1_000_000
LATE: Final = 150 * MINUTE
SLOW: Final = 90_000
OUTCOMES: Final = ("ok", "slow", "lost", "late", "insufficient")


class Liar(Bank):
    """The real banks, which now and then say what is not so: another sum, another number, nothing known, no JSON.

    A lie about the end of a payment is left out: without statements to compare, it could only be believed.
    """

    def __init__(self, universe: Universe, world: World, book: BankBook, root: bytes) -> None:
        super().__init__(world, book, root)
        self._universe = universe

    def sign(self, bank: str, word: BankWord) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        if not self._universe.dice.strikes("bank_lies"):
            return super().sign(bank, word)
        random = self._universe.dice.random
        lie = random.choice(("amount", "number", "unknown", "waiting", "broken"))
        self._universe.note("lie", lie, word.instruction_no)
        if lie == "broken":
            body, headers = super().sign(bank, word)
            return body[: len(body) // 2], headers
        changes: dict[str, Any] = {
            "amount": {"amount": word.amount + random.choice((-1, 1, 100))},
            "number": {"instruction_no": word.instruction_no[:-2] + "9P"},
            "unknown": {"result": "not_found"},
            "waiting": {"result": "pending"},
        }
        return super().sign(bank, replace(word, **changes[lie]))


MakeBank = Callable[[Universe, World, BankBook, bytes], Bank]


class _Blank(BankBook):
    """A book that is only opened, for its tables."""

    def __init__(self) -> None:
        self.connection = self._open(MEMORY)


def _make_book() -> Any:
    return _Blank().connection


class SimBook(BankBook):
    """The book without its thread: each transaction is one step between two yields."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.changes = 0

    async def transact(self, act: Callable[[Desk], T]) -> T:
        await turn()
        before = self._connection.total_changes
        result = self._transact(act)
        self.changes += self._connection.total_changes != before
        await turn()
        return result

    async def close(self) -> None:
        await turn()


def card_number(buyer: int, outcome: str) -> str:
    """The card of a buyer with a fate."""
    return f"62000000{buyer:04d}{OUTCOMES.index(outcome):04d}"


def card_password(card: str) -> str:
    """What its holder alone knows: another card's number in his form pays nothing."""
    return hashlib.sha256(f"holder of {card}".encode()).hexdigest()[:12]


class Branch:
    """All banks in one process."""

    def __init__(self, universe: Universe, make: MakeBank) -> None:
        self.universe = universe
        self._make = make
        self.connection = universe.disk.book(_make_book)
        self.bank: Bank | None = None
        self.process: Process = universe.add("bank", self._boot, BANK_HOST)

    async def _boot(self, life: Life) -> Application:
        world = self.universe.make_world(life)
        book = SimBook(self.connection)
        bank = self._make(self.universe, world, book, SECRETS.bank)
        self.bank = bank
        self.universe.spawn(life, self._duties(bank, book))

        async def handle(request: Request, peer: str) -> Response:
            if self.universe.dice.strikes("bank_slow"):
                await pause(self.universe.random.uniform(5, 120))
            return await _answer(bank, request)

        return plain(handle)

    async def _duties(self, bank: Bank, book: SimBook) -> None:
        while True:
            if await bank.run_due():
                await pause(0.2)
                continue
            due = await bank.next_due()
            wait = 30.0 if self.universe.healed else 1.0
            await self.universe.rest(bank.world.clock.business, due, wait, book, book.changes)

    async def furnish(self, buyers: int) -> None:
        """Cards of every fate for every buyer."""
        bank = self.bank
        if bank is None:
            return

        def issue(desk: Desk) -> None:
            for buyer in range(buyers):
                for outcome in OUTCOMES:
                    number = card_number(buyer, outcome)
                    delay = {"late": LATE, "slow": SLOW}.get(outcome, 0)
                    card = Card(number, BANK, "debit", "x", "", "", outcome, delay, 0, Instant(0), Instant(0))
                    rule.issue(desk, card, CARD_MONEY)

        await bank.book.transact(issue)


async def _answer(bank: Bank, request: Request) -> Response:
    """``/CODE/inquiry|refund|open`` is for the platform, ``/CODE/pay`` and ``/CODE/cash`` are the buyer's forms."""
    _, code, act = request.raw_path.decode("latin-1").split("/")
    if act in ACTS:
        return await answer_call(bank, code, act, request)
    said = json.loads(request.body)
    if act == "pay" and not equal(said["password"], card_password(said["card"])):
        return answer_json(409, code="CARD_PASSWORD")
    try:
        order: Order = await (
            bank.take_cash(said["code"]) if act == "cash" else bank.pay_directly(request.url, said["card"])
        )
    except (Refused, RemoteProtocolError) as error:
        return answer_json(409, code=str(error))
    return answer_json(200, state=order.state)
