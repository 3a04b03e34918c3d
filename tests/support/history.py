"""One eventful day on the platform: every product, state and kind of trouble that the books know so far."""

from __future__ import annotations

from dataclasses import replace

from tests.support.history_money import move_money
from tests.support.platform import BUYER, COST, MERCHANT, OTHER, PROTOCOL, House, make_buyer, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, SECOND, Instant
from tongbao.ledger.account import buyer_balance, platform_fee
from tongbao.service.bill import KeepBill
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.claim import BuyerAskRefund, OpenDispute, SellerAnswer
from tongbao.service.command import Once
from tongbao.service.correction import DecideCorrection, OpenCase, ProposeCorrection
from tongbao.service.create import Asker
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.outbox import Claimed, Delivered, claim, finish, resend
from tongbao.service.party import (
    ApproveOperator,
    ChangeMerchant,
    PutKey,
    RecordRefusal,
    RegisterMerchant,
    RegisterOperator,
    TopUp,
)
from tongbao.service.password import hash_password
from tongbao.service.reconcile import Finding, RecordFindings, RecordStatement
from tongbao.service.refund_act import run_refund_lines
from tongbao.service.refund_batch import Item, TakeRefundBatch
from tongbao.service.visit import OpenSession, OpenVisit
from tongbao.store.record import Refusal
from tongbao.trade.party import MerchantKey, Operator
from tongbao.trade.reconcile import Bill, Statement
from tongbao.wire.vocabulary import CombinedPart, CreateCombined


async def live(house: House) -> None:
    """Make the history. Afterwards the audit is clean, with a worker or without."""
    await house.furnish()
    await _serve_another_merchant(house)
    for number, product in (("A", "instant"), ("B", "escrow"), ("C", "escrow"), ("D", "escrow"), ("M", "dual")):
        await house.open(number, product)
        await house.pay(number)
    for number in ("B", "D"):
        await house.ship(number)
    await house.confirm("B")
    await house.open("E")
    await house.open("F", product="escrow")
    await house.close("F")
    await _pay_together(house)
    await _pay_at_banks(house)
    await _give_back(house)
    await house.submit(Once("topup", "k1", TopUp(BUYER, 5, "CNY", "CCB", "k1", "teller")))
    await house.submit(
        RecordRefusal(Refusal("r1", Instant(0), "face", "pay", "SIGN_INVALID", "", MERCHANT, "", "", ""))
    )
    await refusal(house.pay("E", password="000000"))
    word = hash_password("operator", b"s" * 16, COST)
    for name in ("olga", "otto", "ole", "oda"):
        others = len(await house.platform.database.read("operator.all"))
        await house.submit(RegisterOperator(Operator(name, "both", "", word, "olga", Instant(0)), others))
        house.clock.advance(SECOND)
    await house.submit(ApproveOperator("ole", "otto", "called back"))
    await house.submit(OpenVisit("link", "browser", MERCHANT, "E"))
    await house.submit(OpenSession("cookie", "buyer", BUYER))
    await _deliver(house)
    await move_money(house)
    await _compare(house)


async def _compare(house: House) -> None:
    """The day before, on which nothing moved: a bill, and a statement with a line that waits."""
    day = 20260228
    await house.submit(KeepBill(Bill(MERCHANT, day, "trade", "CNY", 0, 0, 0, 0, 0, Instant(0))))
    waiting = Finding("waiting", "pay", "nobody's", "there", 70, "CNY", Instant(0), 0, waits=True)
    await house.submit(RecordFindings("ICBC", day, (waiting,)))
    await house.submit(RecordStatement(Statement("ICBC", day, "digest", 1, 70, 0, 0, 1, 0, Instant(0))))


async def _serve_another_merchant(house: House) -> None:
    other = replace(make_merchant(OTHER), refund_days=3, fee_rate=100)
    await house.submit(RegisterMerchant(other, "maker"))
    await house.submit(ChangeMerchant(OTHER, "approved", "checker", ""))
    await house.add_buyer(make_buyer("2088000000000098"), 0)
    secret = house.platform.vault.close(b"0123456789abcdef", MERCHANT, PROTOCOL, "k")
    key = MerchantKey(MERCHANT, PROTOCOL, "k", 0, "MD5", "both", secret, "active", Instant(0), Instant(0))
    await house.submit(PutKey(key, "maker"))
    await house.open("K", merchant=OTHER)
    await house.say(await house.start("K", merchant=OTHER))


async def _pay_together(house: House) -> None:
    """A combined order that was paid, and one that waits."""
    for number, names in (("CO", ("CO1", "CO2")), ("CP", ("CP1", "CP2"))):
        parts = tuple(CombinedPart(out_trade_no=name, subject="茶", amount=Money(700)) for name in names)
        await house.ask(CreateCombined(merchant=MERCHANT, out_trade_no=number, parts=parts))
    await house.pay("CO1")


async def _pay_at_banks(house: House) -> None:
    await house.open("G")
    first, second, third = [await house.start("G", bank=bank) for bank in ("ICBC", "CCB", "ABC")]
    await house.say(second)
    await house.say(first)
    await house.say(third)
    await house.say(first[:-1] + "R")
    await house.open("J")
    unknown = await house.start("J", "credit")
    await house.inquire(unknown, "silence")
    refused = await house.start("J")
    await house.say(refused, "failed")
    outlet = await house.start("J", "outlet", "")
    await house.inquire(outlet, {"result": "pending"})


async def _give_back(house: House) -> None:
    """Refunds of every kind: at once, out of escrow, by a bank that says yes, no and nothing yet; one trade to its
    end."""
    for number in ("P", "V"):
        await house.open(number, merchant=OTHER)
        await house.pay(number, merchant=OTHER)
    await house.refund("P", 300, "r1", OTHER)
    await house.refund("V", 999, "r2", OTHER)
    await house.refund("V", None, "r3", OTHER)
    for amount in (100, 50, 200):
        await house.refund("K", amount, f"k{amount}", OTHER)
    payment = (await house.platform.payments_of(await house.trade("K", OTHER)))[0].payment_no
    await house.say(f"{payment}R0001", "succeeded", 100)
    await house.say(f"{payment}R0002", "failed", 50)
    await house.refund("C", 400, "c1")
    await _quarrel(house)
    await _correct(house, payment)


async def _quarrel(house: House) -> None:
    """A claim that waits, and a dispute that two operators divided."""
    for number in ("W", "Y"):
        await house.open(number, "escrow")
        await house.pay(number)
        await house.ship(number)
        await house.submit(BuyerAskRefund(MERCHANT, number, BUYER, 500, reason="scratched"))
    await house.submit(SellerAnswer(Asker(MERCHANT, PROTOCOL), "W", False, "it is new"))
    await house.submit(OpenDispute(MERCHANT, "W", BUYER))
    await house.submit(ProposeDecision(MERCHANT, "W", 400, "olga", "half the goods"))
    await house.submit(DecideDispute(MERCHANT, "W", 400, True, "otto"))


async def _correct(house: House, payment: str) -> None:
    """A batch of refunds, a correction by two, a proposal that waits, and a bank that takes a payment back."""
    line = Item((await house.trade("P", OTHER)).trade_no, 100, "CNY", "late")
    asker = Asker(OTHER, PROTOCOL)
    address = "http://shop.example/batch"
    for number in ("rb1", "rb2"):
        again = (line, replace(line, trade_no="9" * 28))
        await house.submit(TakeRefundBatch(asker, number, house.platform.new_trade_no(), again, address, asks=False))
    await run_refund_lines(house.platform, 3)
    await house.submit(OpenCase("c2", "complaint", "the fee was taken twice", "olga"))
    for number, amount in (("x1", 3), ("x2", 4)):
        sides = (platform_fee(0, "CNY"), buyer_balance(BUYER, "CNY"))
        await house.submit(ProposeCorrection(number, "c2", *sides, amount, "olga", "our mistake"))
    await house.submit(DecideCorrection("x1", True, "otto"))
    taken = ("ICBC", "cb1", f"{payment}P", OTHER, "K")
    await house.submit(TakeChargeback(*taken, 150, "olga", "otto", "the holder denies it"))


async def _deliver(house: House) -> None:
    """The shop answers at the second try; one event is given up; one is asked for again."""
    clock = house.clock
    for answer in ("NETWORK_ERROR", "SUCCESS"):
        await finish(house.platform, [_done(claimed, answer, clock.now) for claimed in await claim(house.platform)])
        clock.advance(5 * MINUTE)
    await resend(house.platform, MERCHANT, "A", 1)
    await finish(house.platform, [_done(claimed, "SUCCESS", clock.now) for claimed in await claim(house.platform)])
    await resend(house.platform, MERCHANT, "F", 2)
    await finish(
        house.platform, [_done(claimed, "BLOCKED_ADDRESS", clock.now) for claimed in await claim(house.platform)]
    )
    clock.advance(SECOND)


def _done(claimed: Claimed, answer: str, at: Instant) -> Delivered:
    status = 200 if answer == "SUCCESS" else 0
    return Delivered(claimed, answer, status, answer.lower(), 7, at)
