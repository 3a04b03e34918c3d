"""The simulated banks against the platform: every kind of card, notices, inquiries, refunds, outlets, both books."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from tests.web.branch import BALANCE, CARDS, LATE, PASSWORD, Branch, play
from tests.web.house import BASE, MERCHANT, ask
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.time import DAY, HOUR, MINUTE, SECOND, business_date, business_day
from tongbao.service import checkout
from tongbao.service.channel import MAC_HEADER, mac
from tongbao.service.create import Asker
from tongbao.service.reconcile import reconcile_bank
from tongbao.service.refund import RequestRefund
from tongbao.store.bankbook import BankBook
from tongbao.store.fragment import expand
from tongbao.store.migrate import split_statements
from tongbao.store.schema import TRADE_RETURN
from tongbao.web.bank.bank import Bank
from tongbao.wire.http import post
from tongbao.wire.vocabulary import Expiry

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("method", "card"), [("debit", "ok"), ("credit", "credit")])
def test_a_good_card_pays_at_once(tmp_path: Path, method: str, card: str) -> None:
    """The bank takes the money, its notice captures the payment, and both books agree (I45)."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1", method)
        order = await here.bank.pay_directly(handover.url, CARDS[card], PASSWORD)
        assert order.state == "succeeded"
        assert (await here.trade("A1")).state == "paid"
        assert await here.payment_states("A1") == ["captured"]
        before = BALANCE if method == "debit" else 0
        assert await here.bank.balance(CARDS[card]) == before - 1_000
        lines = await here.bank.statement("ICBC", business_day(here.home.now))
        assert [(line.kind, line.amount) for line in lines][-1] == ("pay", 1_000)
        assert (await here.instruction(handover.instruction_no)).bank_ref == order.bank_ref
        await here.check_books()

    play(tmp_path, test)


def test_a_chargeback_is_in_the_statement(tmp_path: Path) -> None:
    """A bank that takes a part of a payment back says so in its statement, and both books agree after it was read. It
    takes no payment back twice, none for more than was paid, and refunds no more than what it left."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, CARDS["ok"], PASSWORD)
        with pytest.raises(Refused, match="order_over"):
            await here.bank.charge_back(handover.instruction_no, 1_001)
        await here.bank.charge_back(handover.instruction_no, 400)
        for number, code in ((handover.instruction_no, "order_over"), ("nobody's", "order_unknown")):
            with pytest.raises(Refused, match=code):
                await here.bank.charge_back(number, 1)
        asked = {"instruction_no": "X", "amount": 601, "currency": "CNY", "pays": handover.instruction_no}
        assert (await call(here, "ICBC", "refund", **asked))[1]["reason"] == "more_than_paid"
        assert await here.bank.balance(CARDS["ok"]) == BALANCE - 600
        day = business_date(here.home.now)
        here.home.clock.advance(DAY)
        assert [one.waits for one in (await reconcile_bank(here.home.platform, "ICBC", day)).findings] == [True]
        (taken,) = await here.home.platform.database.load(TRADE_RETURN, [(MERCHANT, "A1")])
        assert taken.charged_back == 400
        await here.check_books()

    play(tmp_path, test)


def test_insufficient_funds_fail_for_good(tmp_path: Path) -> None:
    """The payment fails, nothing moves, and the trade can be paid with another card."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        order = await here.bank.pay_directly(handover.url, CARDS["insufficient"])
        assert (order.state, order.reason) == ("failed", "insufficient_funds")
        assert (await here.trade("A1")).state == "unpaid"
        assert await here.payment_states("A1") == ["failed"]
        trade, guest = await here.trade("A1"), await checkout.guest(here.home.platform, "13800138000")
        again = await checkout.start_payment(here.home.platform, trade, "debit", "ICBC", guest, "i2", f"{BASE}/x")
        await here.bank.pay_directly(again.url, CARDS["ok"])
        assert await here.payment_states("A1") == ["failed", "captured"]
        await here.check_books()

    play(tmp_path, test)


def test_a_credit_limit_is_a_limit(tmp_path: Path) -> None:
    """A credit card owes at most its limit: the sum that would pass it is declined."""

    async def test(here: Branch) -> None:
        await here.bank.add_card("ICBC", "credit", "6200000000000075", PASSWORD, "王小明", 1_500)
        for number, state in (("A1", "succeeded"), ("A2", "failed")):
            handover = await here.start(number, "credit")
            assert (await here.bank.pay_directly(handover.url, "6200000000000075")).state == state
        assert await here.bank.balance("6200000000000075") == -1_000
        await here.check_books()

    play(tmp_path, test)


def test_wrong_passwords_lock_the_card(tmp_path: Path) -> None:
    """Five wrong passwords: the sixth try is not looked at, not even a right one; other cards still pay (T46, T59)."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        keys = []
        for password in ("000000",) * 5 + (PASSWORD,):
            with pytest.raises(Refused) as refusal:
                await here.bank.pay_directly(handover.url, CARDS["ok"], password)
            keys.append(refusal.value.code)
        assert keys == ["PASSWORD_WRONG"] * 5 + ["PASSWORD_LOCKED"]
        assert (await here.bank.pay_directly(handover.url, CARDS["slow"], PASSWORD)).state == "accepted"

    play(tmp_path, test)


def test_a_right_password_forgets_the_wrong_ones(tmp_path: Path) -> None:
    """Wrong tries count in a row only."""

    async def test(here: Branch) -> None:
        for number in ("A1", "A2", "A3"):
            handover = await here.start(number)
            for _ in range(4):
                with pytest.raises(Refused, match="password_wrong"):
                    await here.bank.pay_directly(handover.url, CARDS["ok"], "000000")
            assert (await here.bank.pay_directly(handover.url, CARDS["ok"], PASSWORD)).state == "succeeded"

    play(tmp_path, test)


def test_a_slow_bank_is_waited_for(tmp_path: Path) -> None:
    """Pending while the bank works; captured by its notice when business time has passed."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        assert (await here.bank.pay_directly(handover.url, CARDS["slow"])).state == "accepted"
        await here.advance(30 * SECOND)
        assert await here.payment_states("A1") == ["pending"]
        assert here.notices() == []
        due = await here.bank.next_due()
        assert due is not None
        await here.advance(due - here.home.now)
        assert await here.payment_states("A1") == ["captured"]
        assert len(here.notices()) == 1
        assert await here.bank.next_due() is None
        await here.check_books()

    play(tmp_path, test)


def test_F28_a_lost_answer_is_found_by_inquiry(tmp_path: Path) -> None:
    """The money has moved and nobody was told: the payment waits until the platform asks."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, CARDS["lost"])
        assert await here.bank.platform_balance("ICBC") == 1_001_000
        assert await here.payment_states("A1") == ["pending"]
        await here.advance(10 * SECOND)
        assert here.notices() == []
        assert await here.payment_states("A1") == ["captured"]
        await here.check_books()

    play(tmp_path, test)


def test_T42_a_late_success_goes_back(tmp_path: Path) -> None:
    """Success after the trade has closed: money rests in suspense, a case opens, the inquiry duty sends the refund, the
    bank gives it back, the case closes, suspense is empty and the card has its money again."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1", expiry=Expiry(3_600))
        await here.bank.pay_directly(handover.url, CARDS["late"])
        await here.advance(2 * HOUR)
        assert (await here.trade("A1")).state == "closed"
        assert await here.payment_states("A1") == ["pending"]
        here.home.clock.advance(LATE)
        assert await here.bank.run_due() >= 1
        assert await here.payment_states("A1") == ["late"]
        assert await here.cases("A1") == [("late_payment", "open")]
        assert await here.bank.balance(CARDS["late"]) == BALANCE - 1_000
        await here.advance(0)
        assert await here.payment_states("A1") == ["returned"]
        assert await here.cases("A1") == [("late_payment", "closed")]
        assert await here.bank.balance(CARDS["late"]) == BALANCE
        assert (await here.trade("A1")).state == "closed"
        await here.check_books()

    play(tmp_path, test)


def test_a_late_card_without_money_fails_late(tmp_path: Path) -> None:
    """What was accepted is executed only if the money is still there."""

    async def test(here: Branch) -> None:
        await here.bank.add_card("ICBC", "debit", "6200000000000083", PASSWORD, "王", 900, "late", 60)
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, "6200000000000083")
        await here.advance(MINUTE)
        assert (await here.instruction(handover.instruction_no)).reason == "insufficient_funds"
        assert await here.payment_states("A1") == ["failed"]

    play(tmp_path, test)


def test_an_abandoned_page_ends(tmp_path: Path) -> None:
    """A buyer who looked and went away: pending, then failed for good by the bank's own word."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        await here.visit(handover.url)
        assert (await checkout.inquire(here.home.platform, handover.instruction_no)).what == "waiting"
        await here.advance(HOUR)
        assert (await here.instruction(handover.instruction_no)).reason == "abandoned"
        with pytest.raises(Refused, match="order_over"):
            await here.bank.pay_directly(handover.url, CARDS["ok"])

    play(tmp_path, test)


def test_an_outlet_takes_cash_hours_later(tmp_path: Path) -> None:
    """The code is told to the counters; a day later a clerk takes the cash, once; both books agree."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1", "outlet")
        assert len(handover.code) == 12
        await here.advance(24 * HOUR)
        assert await here.payment_states("A1") == ["pending"]
        order = await here.bank.take_cash(handover.code)
        assert (order.state, (await here.trade("A1")).state) == ("succeeded", "paid")
        for code in (handover.code, "000000000000"):
            with pytest.raises(Refused):
                await here.bank.take_cash(code)
        await here.check_books("OUTLET")

    play(tmp_path, test)


def test_cash_for_a_closed_trade_goes_back(tmp_path: Path) -> None:
    """The customer comes too late: the cash is taken, found late, and given back by the outlets."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1", "outlet", Expiry(3_600))
        await here.advance(2 * HOUR)
        assert (await here.trade("A1")).state == "closed"
        await here.bank.take_cash(handover.code)
        assert await here.payment_states("A1") == ["late"]
        await here.advance(SECOND)
        assert await here.payment_states("A1") == ["returned"]
        await here.check_books("OUTLET")

    play(tmp_path, test)


async def call(here: Branch, bank: str, act: str, **fields: object) -> tuple[int, dict[str, object]]:
    """A signed call of the platform's."""
    body = json.dumps(fields).encode()
    stamp = mac(here.bank.secret(bank), body).encode()
    request = post(f"http://bank.test/bank/{bank}/{act}", body, "application/json", ((MAC_HEADER, stamp),))
    answer = await ask(here.app, request)
    return answer.status, json.loads(answer.body)


def test_a_slow_card_gets_its_refund_later(tmp_path: Path) -> None:
    """Accepted now, final when the bank has executed it: asked again under one number, never refunded twice."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, CARDS["slow"])
        await here.advance(MINUTE)
        trade = await here.trade("A1")
        seller = Asker(trade.merchant_id, trade.protocol)
        given = await here.home.platform.submit(RequestRefund(seller, "A1", "r1", 400))
        assert given.refund.state == "accepted"
        await here.advance(30 * SECOND)
        assert (await here.trade("A1")).refund_state == "paying_back"
        assert await here.bank.balance(CARDS["slow"]) == BALANCE - 1_000
        await here.advance(5 * MINUTE)
        assert (await here.trade("A1")).refund_state == "success"
        assert await here.bank.balance(CARDS["slow"]) == BALANCE - 600
        await here.check_books()

    play(tmp_path, test)


def test_a_closed_card_pays_and_takes_nothing_back(tmp_path: Path) -> None:
    """Its bank refuses for good, each time; where the protocol has no other word, the refund has failed."""

    async def test(here: Branch) -> None:
        number = "6200000000000075"
        await here.bank.add_card("ICBC", "debit", number, PASSWORD, "王小明", BALANCE, "closed")
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, number)
        trade = await here.trade("A1")
        given = await here.home.platform.submit(
            RequestRefund(Asker(trade.merchant_id, trade.protocol), "A1", "r1", 400)
        )
        await here.advance(MINUTE)
        asked = {"amount": 400, "currency": "CNY", "pays": handover.instruction_no}
        for refused in (f"{handover.instruction_no[:-1]}R{given.refund.n:04d}", "X", "X"):
            said = (await call(here, "ICBC", "refund", instruction_no=refused, **asked))[1]
            assert (said["result"], said["reason"]) == ("failed", "card_closed")
        trade = await here.trade("A1")
        assert (trade.state, trade.refunded, trade.refund_state) == ("paid", 0, "closed")
        assert await here.bank.balance(number) == BALANCE - 1_000
        await here.check_books()

    play(tmp_path, test)


def test_refunds_are_idempotent_and_bounded(tmp_path: Path) -> None:
    """The same number gives one refund; another sum under it is refused; more than was paid fails for good."""

    async def test(here: Branch) -> None:
        unpaid = (await here.start("A1")).instruction_no
        asked = {"instruction_no": "X", "amount": 600, "currency": "CNY", "pays": unpaid}
        assert (await call(here, "ICBC", "refund", **asked))[1]["reason"] == "not_paid"
        other, paid = await here.start("A2"), await here.start("A3")
        for handover in (other, paid):  # the account holds more than one payment's money
            await here.bank.pay_directly(handover.url, CARDS["ok"])
        asked |= {"instruction_no": "Y", "pays": paid.instruction_no}
        assert (await call(here, "CCB", "refund", **{**asked, "instruction_no": "V"}))[1]["reason"] == "not_paid"
        first = await call(here, "ICBC", "refund", **asked)
        assert (first[0], first[1]["result"], first[1]["amount"]) == (200, "succeeded", 600)
        assert await call(here, "ICBC", "refund", **asked) == first
        assert (await call(here, "ICBC", "refund", **{**asked, "amount": 500}))[0] == 409
        more = await call(here, "ICBC", "refund", **{**asked, "instruction_no": "Z", "amount": 401})
        assert (more[1]["result"], more[1]["reason"]) == ("failed", "more_than_paid")
        assert await here.bank.balance(CARDS["ok"]) == BALANCE - 1_400
        assert await here.bank.book_is_balanced()

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("inquiry", {}, 400),
        ("inquiry", {"instruction_no": 5}, 400),
        ("refund", {"instruction_no": "1", "amount": "5", "currency": "CNY", "pays": "2"}, 400),
        ("refund", {"instruction_no": "1", "amount": -5, "currency": "CNY", "pays": "2"}, 400),
        ("refund", {"instruction_no": "1", "amount": True, "currency": "CNY", "pays": "2"}, 400),
        ("open", {"instruction_no": "1", "amount": 5, "currency": "CNY", "code": "1", "subject": "s"}, 400),
    ],
)
def test_malformed_calls_are_named(tmp_path: Path, act: str, fields: dict[str, object], status: int) -> None:
    """A call that lacks something or has another type is a 400 that names it."""

    async def test(here: Branch) -> None:
        assert (await call(here, "ICBC", act, **fields))[0] == status

    play(tmp_path, test)


def test_calls_without_the_right_mac_are_refused(tmp_path: Path) -> None:
    """Nobody but the platform may ask or refund; an unknown number is ``not_found``, and another bank's too."""

    async def test(here: Branch) -> None:
        number = (await here.start("A1")).instruction_no
        await here.bank.pay_directly((await here.start("A2")).url, CARDS["ok"])
        body = json.dumps({"instruction_no": number}).encode()
        for headers in ((), ((MAC_HEADER, mac(here.bank.secret("CCB"), body).encode()),)):
            request = post("http://bank.test/bank/ICBC/inquiry", body, "application/json", headers)
            assert (await ask(here.app, request)).status == 401
        assert (await call(here, "ICBC", "inquiry", instruction_no="nothing"))[1]["result"] == "not_found"
        paid = (await here.trade("A2")).trade_no + "01P"
        assert (await call(here, "ICBC", "inquiry", instruction_no=paid))[1]["result"] == "succeeded"
        assert (await call(here, "CCB", "inquiry", instruction_no=paid))[1]["result"] == "not_found"

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("bank", {"bank": "NOBANK"}),
        ("kind", {"kind": "prepaid"}),
        ("outcome", {"outcome": "sometimes"}),
        ("number", {"number": "6222020000000000"}),
        ("number", {"number": "62000000"}),
        ("password", {"password": "12345"}),
    ],
)
def test_only_fictitious_cards_are_issued(tmp_path: Path, field: str, change: dict[str, str]) -> None:
    """A wrong setting is named; a number outside the test range is never issued."""
    right = {"bank": "ICBC", "kind": "debit", "number": "6200000000000091", "password": PASSWORD, "outcome": "ok"}

    async def test(here: Branch) -> None:
        with pytest.raises(ConfigurationError) as error:
            await here.bank.add_card(holder="王", balance=1, **{**right, **change})  # type: ignore[arg-type]
        assert error.value.field == field

    play(tmp_path, test)


def test_a_book_in_a_file_outlives_its_process(tmp_path: Path) -> None:
    """Cards, money and orders are there again; issuing a card again renews it and leaves its money."""

    async def test(here: Branch) -> None:
        await here.bank.pay_directly((await here.start("A1")).url, CARDS["ok"])
        again = BankBook(str(tmp_path / "bank.sqlite"))
        try:
            bank = Bank(here.home.world, again, here.home.platform.secrets.bank)
            await bank.add_card("ICBC", "debit", CARDS["ok"], "111111", "王小明", BALANCE)
            assert await bank.balance(CARDS["ok"]) == BALANCE - 1_000
            assert len(await bank.cards_of("ICBC")) == len(CARDS)
            assert next(iter(await bank.cards_of())).kind == "debit"
            assert await bank.book_is_balanced()
        finally:
            await again.close()

    play(tmp_path, test)


def test_a_book_of_the_first_version_keeps_its_cards(tmp_path: Path) -> None:
    """It is brought up to date with what is in it, and takes cards of the newer kind."""

    async def test(here: Branch) -> None:
        path = str(tmp_path / "old.sqlite")
        with sqlite3.connect(path) as old:
            first = resources.files("tongbao.store").joinpath("bank_migration", "0001_start.sql").read_text("utf-8")
            for statement in split_statements(expand(first, "sqlite")[0]):
                old.execute(statement)
            old.execute(
                "INSERT INTO bank_card VALUES ('6200000000000018', 'ICBC', 'debit', 'x', 'h', '', 'late', 5, 0, 0, 7)"
            )
            old.execute("PRAGMA user_version = 1")
        old.close()
        book = BankBook(path)
        try:
            bank = Bank(here.home.world, book, here.home.platform.secrets.bank)
            await bank.add_card("ICBC", "debit", "6200000000000075", PASSWORD, "王小明", BALANCE, "closed")
            assert [(card.outcome, card.delay) for card in await bank.cards_of("ICBC")] == [("late", 5), ("closed", 0)]
        finally:
            await book.close()

    play(tmp_path, test)


def test_a_book_in_memory_is_its_own(tmp_path: Path) -> None:
    """Two books in memory share nothing; a file of a newer version is refused."""

    async def test(here: Branch) -> None:
        one, other = BankBook(), BankBook()
        bank = Bank(here.home.world, one, b"x" * 32)
        await bank.add_card("ICBC", "debit", CARDS["ok"], PASSWORD, "王", 500)
        assert await bank.balance(CARDS["ok"]) == 500
        assert await Bank(here.home.world, other, b"x" * 32).cards_of() == []
        await one.close()
        await other.close()
        newer = tmp_path / "newer.sqlite"
        connection = sqlite3.connect(newer)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(ConfigurationError, match="newer"):
            BankBook(str(newer))

    play(tmp_path, test)


def test_T71_no_bank_is_simulated_in_production(tmp_path: Path) -> None:
    """A simulator refuses to start where money is real."""

    async def test(here: Branch) -> None:
        with pytest.raises(ConfigurationError, match="production"):
            Bank(replace(here.home.world, environment="production"), here.bank.book, b"x" * 32)

    play(tmp_path, test)


def test_the_books_entries_cannot_be_changed(tmp_path: Path) -> None:
    """The bank's entries are append-only, and an account never falls below its lowest balance (I45)."""

    async def test(here: Branch) -> None:
        def spoil(sql: str) -> Callable[..., None]:
            return lambda desk: desk._connection.execute(sql)

        for sql, word in (
            ("UPDATE bank_entry SET amount = 1", "append-only"),
            ("DELETE FROM bank_entry", "append-only"),
            (f"UPDATE bank_account SET balance = -1 WHERE code = 'card:{CARDS['ok']}'", "CHECK"),
        ):
            with pytest.raises(Exception, match=word):
                await here.bank.book.transact(spoil(sql))
        assert await here.bank.book_is_balanced()

    play(tmp_path, test)
