"""All simulated banks and the outlets' operator, as one object: what its pages, its HTTP calls and a sandbox use."""

from __future__ import annotations

import json
from typing import Final

from tongbao.kernel.error import ConfigurationError, RemoteProtocolError
from tongbao.kernel.time import SECOND, Instant
from tongbao.service.channel import MAC_HEADER, BankWord, StatementLine, bank_secret, dump_word, mac, read_query
from tongbao.service.password import check_password, hash_password
from tongbao.store.bankbook import BankBook, Card, Desk, Line, Order
from tongbao.web.bank import rule
from tongbao.web.bank.lie import Lies, statement_lines
from tongbao.web.bank.rule import Asked, BankRefused
from tongbao.wire.bank import BANKS
from tongbao.wire.http import post, split_url
from tongbao.wire.world import Limits, NoAnswer, NotSent, World

STATEMENT_PAGE: Final = 2_000
"""Lines of a statement in one answer."""

PASSWORD_COST: Final = 10
"""log2 of scrypt's N. Small: the cards are fictitious, and the page prints their passwords."""

NOTICE_LIMITS: Final = Limits(connect_seconds=3, first_byte_seconds=5, total_seconds=8)


class Bank:
    """``root_secret`` is ``Secrets.bank`` of the platform: each bank shares a secret of its own derived from it.

    Raises ConfigurationError in a production environment.
    """

    def __init__(self, world: World, book: BankBook, root_secret: bytes) -> None:
        if world.environment == "production":
            raise ConfigurationError("environment", "a simulated bank may not run in production")
        self.world = world
        self.book = book
        self._root = root_secret
        self._sending: set[str] = set()
        self.lies = Lies()

    def secret(self, bank: str) -> bytes:
        """What one bank shares with the platform."""
        return bank_secret(self._root, bank)

    # --- cards ----------------------------------------------------------------------------------------------------

    async def add_card(
        self,
        bank: str,
        kind: str,
        number: str,
        password: str,
        holder: str,
        balance: int,
        outcome: str = "ok",
        delay_seconds: int | None = None,
        *,
        show: bool = True,
    ) -> Card:
        """Issue a card, or renew one (which unlocks it and leaves its money alone).

        ``kind``: ``debit`` (``balance`` fen are on it) or ``credit`` (``balance`` is its limit). ``outcome``: see
        ``rule.OUTCOMES``; ``delay_seconds`` of business time for slow and late. ``show``: print number and password on
        the bank's page. Raises ConfigurationError naming the field.
        """
        if bank not in BANKS:
            raise ConfigurationError("bank", f"no bank {bank!r} in the directory")
        if kind not in ("debit", "credit"):
            raise ConfigurationError("kind", "is debit or credit")
        if outcome not in rule.OUTCOMES:
            raise ConfigurationError("outcome", f"is one of {', '.join(rule.OUTCOMES)}")
        if not (number.startswith(rule.TEST_BIN) and number.isascii() and number.isdigit() and 16 <= len(number) <= 19):
            raise ConfigurationError("number", f"has 16 to 19 digits and begins with {rule.TEST_BIN}: no real cards")
        if not (len(password) == 6 and password.isascii() and password.isdigit()):
            raise ConfigurationError("password", "has six digits")
        salt = self.world.entropy.token(16)
        stored = await self.world.compute(lambda: hash_password(password, salt, PASSWORD_COST))
        delay = rule.DELAYS.get(outcome, 0) if delay_seconds is None else delay_seconds * SECOND
        now = self.world.clock.business()
        hint = password if show else ""
        card = Card(number, bank, kind, holder, stored, hint, outcome, delay, 0, Instant(0), now)
        await self.book.transact(lambda desk: rule.issue(desk, card, balance))
        return card

    async def cards_of(self, bank: str = "") -> list[Card]:
        """A bank's cards (all cards for ''), debit first."""
        return await self.book.transact(lambda desk: desk.cards(bank))

    async def balance(self, number: str) -> int:
        """What a card has, in minor units; below zero is what a credit card owes."""
        return await self.book.transact(lambda desk: desk.balance(rule.card_account(number)))

    # --- what a buyer does ----------------------------------------------------------------------------------------

    def read_page(self, bank: str, raw_query: bytes) -> Asked:
        """The platform's signed address. Raises InvalidSignature, RemoteProtocolError."""
        if bank not in BANKS:
            raise RemoteProtocolError("bank", "no such bank", "BANK_UNKNOWN")
        fields = read_query(self.secret(bank), raw_query)
        try:
            asked = Asked(
                bank,
                fields["instruction_no"],
                fields["method"],
                int(fields["amount"]),
                fields["currency"],
                fields["subject"],
                fields["back_url"],
                fields["notice_url"],
            )
            split_url(asked.back_url)
        except (KeyError, ValueError) as error:
            raise RemoteProtocolError("", "the address lacks something") from error
        return asked

    async def visit(self, asked: Asked) -> Order:
        """The buyer's browser has come to the page. Raises BankRefused."""
        now = self.world.clock.business()

        def act(desk: Desk) -> Order:
            order = rule.open_order(desk, asked, now)
            rule.act_on(desk, order.instruction_no, now)
            return desk.order(order.instruction_no) or order

        order = await self.book.transact(act)
        await self.deliver(order.instruction_no)
        return order

    async def pay(self, instruction_no: str, number: str, password: str) -> Order:
        """The buyer agrees with his card's password; the notice was tried once on return. Raises BankRefused."""
        wire = self.world.clock.wire()
        card = await self.book.transact(lambda desk: rule.reserve_try(desk, instruction_no, number, wire))
        right = await self.world.compute(lambda: check_password(password, card.password_hash))
        if not right:
            raise BankRefused("password_wrong")
        await self.book.transact(lambda desk: rule.forget_tries(desk, number))
        return await self._settle(instruction_no, number)

    async def _settle(self, instruction_no: str, number: str) -> Order:
        now = self.world.clock.business()
        order = await self.book.transact(lambda desk: rule.settle(desk, instruction_no, number, now))
        await self.deliver(instruction_no)
        return order

    async def give_up(self, instruction_no: str, reason: str = "cancelled") -> Order:
        """The buyer leaves without paying: the bank says so for good. Raises BankRefused."""
        now = self.world.clock.business()
        order = await self.book.transact(lambda desk: rule.decline(desk, instruction_no, reason, now))
        await self.deliver(instruction_no)
        return order

    async def pay_directly(self, url: str, number: str, password: str = "") -> Order:
        """What a buyer does on the page at ``url``: with ``password`` where it is given, else with the right one.
        Without enough money he gives up. The order afterwards. Raises BankRefused (a Refused), RemoteProtocolError."""
        _, _, path, query = split_url(url)
        asked = self.read_page(path.decode("latin-1").rsplit("/", 2)[-2], query)
        await self.visit(asked)
        try:
            if password:
                return await self.pay(asked.instruction_no, number, password)
            return await self._settle(asked.instruction_no, number)
        except BankRefused as refused:
            if refused.key != "insufficient_funds":
                raise
        return await self.give_up(asked.instruction_no, "insufficient_funds")

    async def take_cash(self, code: str) -> Order:
        """A clerk at a counter takes the cash for a code. Raises BankRefused."""
        now = self.world.clock.business()
        order = await self.book.transact(lambda desk: rule.take_cash(desk, code, now))
        await self.deliver(order.instruction_no)
        return order

    async def order_of(self, instruction_no: str) -> Order | None:
        """An order by the platform's number."""
        return await self.book.transact(lambda desk: desk.order(instruction_no))

    async def order_by_code(self, code: str) -> Order | None:
        """An order by its cash code."""
        return await self.book.transact(lambda desk: desk.order_by_code(code))

    # --- what the platform asks -----------------------------------------------------------------------------------

    async def answer_inquiry(self, bank: str, instruction_no: str) -> BankWord:
        """What became of an instruction."""
        now = self.world.clock.business()

        def act(desk: Desk) -> Order | None:
            rule.act_on(desk, instruction_no, now)
            return desk.order(instruction_no)

        order = await self.book.transact(act)
        return rule.word_of(order if order is not None and order.bank == bank else None, instruction_no)

    async def take_refund(self, bank: str, number: str, pays: str, amount: int, currency: str) -> BankWord:
        """Money back, once per number. Raises BankRefused."""
        now = self.world.clock.business()
        order = await self.book.transact(lambda desk: rule.take_refund(desk, bank, number, pays, amount, currency, now))
        return rule.word_of(order, number)

    async def take_payout(
        self, bank: str, number: str, card: str, name: str, amount: int, currency: str
    ) -> BankWord | None:
        """Money to a card, once per number; None where the card is one whose first answer is lost. Raises
        BankRefused."""
        now = self.world.clock.business()

        def act(desk: Desk) -> tuple[Order, bool]:
            known = desk.order(number)
            order = rule.take_payout(desk, bank, number, card, name, amount, currency, now)
            if known is not None:
                rule.act_on(desk, number, now)
            return desk.order(number) or order, known is None and rule.is_silent(desk, card)

        order, silent = await self.book.transact(act)
        return None if silent else rule.word_of(order, number)

    async def charge_back(self, number: str, amount: int | None) -> tuple[str, int]:
        """Take ``amount`` minor units of a payment back (None: all that is left of it), which the day's statement says:
        the bank's reference and how much it was. Raises BankRefused."""
        now = self.world.clock.business()
        return await self.book.transact(lambda desk: rule.charge_back(desk, number, amount, now))

    async def chargebacks(self) -> list[Line]:
        """What every bank has ever taken back."""
        return await self.book.transact(lambda desk: desk.entries_of("chargeback"))

    async def open_code(self, asked: Asked, code: str) -> BankWord:
        """The outlets take cash for ``code`` from now on. Raises BankRefused."""
        now = self.world.clock.business()
        order = await self.book.transact(lambda desk: rule.open_order(desk, asked, now, code))
        return rule.word_of(order, asked.instruction_no)

    # --- duties ---------------------------------------------------------------------------------------------------

    async def next_due(self) -> Instant | None:
        """When (business time) something is next to be done, or None."""
        return await self.book.transact(lambda desk: desk.next_due())

    async def run_due(self) -> int:
        """Do what is due: execute accepted orders, end abandoned ones, send notices. How many things were done."""
        now = self.world.clock.business()

        def act(desk: Desk) -> int:
            numbers = desk.due_orders(now)
            for number in numbers:
                rule.act_on(desk, number, now)
            return len(numbers)

        done = await self.book.transact(act)
        notices = await self.book.transact(lambda desk: desk.due_notices(now))
        for number in notices:
            await self.deliver(number)
        return done + len(notices)

    async def deliver(self, instruction_no: str) -> None:
        """Send the notice of one result if it is due; two at once send one."""
        if instruction_no in self._sending:
            return
        self._sending.add(instruction_no)
        try:
            now = self.world.clock.business()
            order = await self.book.transact(
                lambda desk: desk.order(instruction_no) if instruction_no in desk.due_notices(now) else None
            )
            if order is not None:
                answered = await self._send(order)
                await self.book.transact(lambda desk: rule.finish_notice(desk, instruction_no, answered, now))
        finally:
            self._sending.discard(instruction_no)

    async def _send(self, order: Order) -> str:
        body, headers = self.sign(order.bank, rule.word_of(order, order.instruction_no))
        try:
            request = post(order.notice_url, body, "application/json", headers)
            return str((await self.world.send(request, NOTICE_LIMITS)).status)
        except (NotSent, NoAnswer, ValueError) as error:
            self.world.log("bank.notice_failed", bank=order.bank, instruction=order.instruction_no, reason=str(error))
            return getattr(error, "reason", "ADDRESS")

    def sign(self, bank: str, word: BankWord) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """A word as a JSON body, and its MAC header."""
        body = json.dumps({"bank": bank, **dump_word(word)}, ensure_ascii=False).encode()
        return body, ((MAC_HEADER, mac(self.secret(bank), body).encode("ascii")),)

    # --- the book -------------------------------------------------------------------------------------------------

    async def fund_platform(self, bank: str, amount: int, key: str) -> None:
        """Money reaches the platform's account here from outside, once per ``key``: a sandbox calls it beside each
        top-up it enters in the platform's books, so that both books stay equal (I45)."""
        now = self.world.clock.business()
        await self.book.transact(lambda desk: rule.fund_platform(desk, bank, amount, key, now))

    async def platform_balance(self, bank: str) -> int:
        """What the platform has at one bank, by the bank's book (I45). Minor units."""
        return await self.book.transact(lambda desk: desk.balance(rule.platform_account(bank)))

    async def statement(self, bank: str, day: int) -> list[Line]:
        """A bank's entries of a business day, ``20260131``."""
        return await self.book.transact(lambda desk: desk.statement(bank, day))

    async def answer_statement(self, bank: str, day: int, after: str) -> tuple[list[StatementLine], bool]:
        """A page of what the bank tells of a day: what its book says, unless lies were planted."""
        lines = self.lies.tell(bank, day, statement_lines(bank, await self.statement(bank, day)))
        place = next((place for place, line in enumerate(lines, 1) if line.ref == after), 0) if after else 0
        return lines[place : place + STATEMENT_PAGE], len(lines) > place + STATEMENT_PAGE

    async def plant(self, bank: str, day: int, each: int) -> dict[str, list[str]]:
        """Let the bank's statement of a day be wrong, ``each`` times in every way, for a team to rehearse: the numbers
        of the lines by class of difference, as a reconciliation must find them."""
        return self.lies.plant(bank, day, statement_lines(bank, await self.statement(bank, day)), each)

    async def book_is_balanced(self) -> bool:
        """Whether every balance follows from the entries and all together are zero."""
        return not await self.book.transact(lambda desk: desk.imbalance())
