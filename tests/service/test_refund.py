"""Refunds: back to where the money came from, never more than was paid, once for each number, and exact to the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.platform import BUYER, FEE_RATE, MERCHANT, PLENTY, House, Stage, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import merchant_available
from tongbao.service.act import act
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.claim import BuyerAskRefund
from tongbao.service.refund_act import refunds_of
from tongbao.trade.claim import ANSWER_TIME
from tongbao.trade.refund import REFUNDS_OF_MERCHANT
from tongbao.wire.contract import Verified
from tongbao.wire.movement import Cancelled, CancelTrade, QueryRefund, RefundFound, RefundTrade
from tongbao.wire.vocabulary import QueryTrade

SHOP = make_merchant(refund_days=30)
FEE = 1_000 * FEE_RATE // 10_000


async def shop(house: House, *numbers: str, product: str = "instant") -> None:
    """A merchant with a refund term, and trades that were paid from a balance."""
    await house.furnish(merchant=SHOP)
    for number in numbers:
        await house.open(number, product)
        await house.pay(number)


async def bank_trade(house: House, number: str = "B", bank: str = "ICBC", method: str = "debit") -> str:
    """A trade paid through a bank; returns its payment's number."""
    await house.open(number)
    await house.say(await house.start(number, method, bank))
    return (await house.payments(number))[-1].payment_no


async def stand(house: House, number: str) -> tuple[str, int, str]:
    """How a trade stands."""
    trade = await house.trade(number)
    return trade.state, trade.refunded, trade.refund_state


def test_T41_a_balance_has_its_money_at_once(stage: Stage) -> None:
    """Two partial refunds and the rest: buyer and merchant are where they were, the fee came back, the trade closes."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A")
        seen = []
        for amount in (300, 1, None):
            given = await house.refund("A", amount, f"r{amount}")
            seen.append((given.refund.amount, given.refund.fee, given.refund.state, *await stand(house, "A")))
        return [seen, await house.balances()]

    assert stage.play(scene, furnished=False) == [
        [
            (300, 2, "succeeded", "paid", 300, "success"),
            (1, 0, "succeeded", "paid", 301, "success"),
            (699, 4, "succeeded", "closed", 1_000, "success"),
        ],
        {"buyer": PLENTY, "bank ICBC": -PLENTY},
    ]


def test_T41_one_number_is_one_refund(stage: Stage) -> None:
    """Again is the same; another sum or trade under the number is refused by name; without a number each is new."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A", "B")
        first = await house.refund("A", 300, "r")
        again = [await house.refund("A", 300, "r"), await house.refund("A", None, "r")]
        codes = [await refusal(house.refund("A", 301, "r")), await refusal(house.refund("B", 300, "r"))]
        own = await house.refund("B", 300, "r", of_trade=True)
        await house.refund("A", 300)
        await house.refund("A", 300)
        assert all(one.refund == first.refund and not one.changed for one in again)
        return [codes, own.changed, *await stand(house, "A")]

    assert stage.play(scene, furnished=False) == [["REFUND_MISMATCH"] * 2, True, "paid", 900, "success"]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        ({"amount": 1_001}, "REFUND_EXCEEDS"),
        ({"amount": 0}, "AMOUNT_NOT_POSITIVE"),
        ({"amount": -1}, "AMOUNT_NOT_POSITIVE"),
        ({"amount": 5, "total": 999}, "TRADE_AMOUNT_MISMATCH"),
        ({"amount": 5, "currency": "USD"}, "CURRENCY_NOT_ALLOWED"),
        ({"number": "none"}, "TRADE_NOT_FOUND"),
        ({"number": "unpaid"}, "TRADE_STATE"),
        ({"number": "closed"}, "TRADE_STATE"),
        ({"late": 30}, "REFUND_EXPIRED"),
        ({"late": 31, "tick": True}, "REFUND_EXPIRED"),
        ({"spent": True}, "MERCHANT_FUNDS"),
    ],
)
def test_T38_what_cannot_be_given_back(ask: dict[str, Any], code: str, sqlite_stage: Stage) -> None:
    """Each refusal has its name, and leaves the number free for a right request."""

    async def scene(house: House) -> str:
        await shop(house, "A")
        await house.open("unpaid")
        await house.open("closed")
        await house.close("closed")
        house.clock.advance(ask.pop("late", 0) * DAY)
        if ask.pop("tick", False):
            await house.tick("A")
        if ask.pop("spent", False):
            await house.refund("A", 10, "x")
            pending = f"merchant:{MERCHANT}:pending:CNY"
            available = merchant_available(MERCHANT, "CNY")
            sqlite_stage.execute(
                f"UPDATE account SET balance = 500 WHERE code = '{pending}'",
                f"INSERT INTO account SELECT '{available}', currency, 480, 0, 0, opened_at FROM account LIMIT 1",
            )
        number = ask.pop("number", "A")
        return await refusal(house.refund(number, ask.pop("amount", None), "r", **ask))

    assert sqlite_stage.play(scene, furnished=False, audited=False) == code


def test_T41_a_crowd_gives_back_what_was_paid_and_no_more(stage: Stage) -> None:
    """64 requests at once for parts of one payment: the sum is what was paid, each number counts once."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A")
        asked = [house.refund("A", 7 + n % 23, f"r{n % 60}") for n in range(64)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        made = [one for one in done if not isinstance(one, BaseException) and one.changed]
        codes = {getattr(one, "code", "") for one in done if isinstance(one, BaseException)}
        refunded = (await house.trade("A")).refunded
        assert sum(one.refund.amount for one in made) == refunded
        rest = await refusal(house.refund("A", 1_001 - refunded, "over"))
        await house.refund("A", None, "rest")
        return [codes <= {"REFUND_EXCEEDS", "REFUND_MISMATCH"}, rest, await stand(house, "A"), await house.balances()]

    expected = {"buyer": PLENTY, "bank ICBC": -PLENTY}
    assert stage.play(scene, furnished=False) == [True, "REFUND_EXCEEDS", ("closed", 1_000, "success"), expected]


@pytest.mark.slow
def test_a_merchant_does_not_use_up_the_numbers(sqlite_stage: Stage) -> None:
    """After 290 refunds of a fen each the buyer's claim still has a number to be paid under."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A", product="escrow")
        for _ in range(REFUNDS_OF_MERCHANT):
            await house.refund("A", 1)
        code = await refusal(house.refund("A", 1))
        await house.submit(BuyerAskRefund(MERCHANT, "A", BUYER))
        house.clock.advance(ANSWER_TIME)
        await house.tick("A")
        return [code, await stand(house, "A")]

    assert sqlite_stage.play(scene, furnished=False) == ["LIMIT_EXCEEDED", ("closed", 1_000, "success")]


def test_a_bank_is_asked_and_may_take_its_time(stage: Stage) -> None:
    """Accepted now, final later: the money is aside, the bank is inquired under one number, then the trade closes."""

    async def scene(house: House) -> list[Any]:
        await shop(house)
        payment = await bank_trade(house)
        given = [await house.refund("B", amount, f"r{amount}") for amount in (400, None)]
        seen: list[Any] = [[one.refund.state for one in given], await stand(house, "B"), await house.balances()]
        first, second = f"{payment}R0001", f"{payment}R0002"
        words = ("silence", {"result": "pending"}, {"result": "succeeded", "bank_ref": "x1"})
        seen += [(await house.inquire(first, word)).what for word in words]
        acts = [request.raw_path.rsplit(b"/", 1)[1] for request in house.bank.requests]
        assert acts == [b"refund", b"inquiry", b"inquiry"]
        seen.append(await stand(house, "B"))
        seen.append((await house.say(second, amount=600)).what)
        return [*seen, await stand(house, "B"), await house.balances()]

    assert stage.play(scene, furnished=False) == [
        ["accepted", "accepted"],
        ("paid", 1_000, "paying_back"),
        {"buyer": PLENTY, "bank ICBC": -PLENTY - 1_000, "refunding": 1_000},
        "waiting",
        "waiting",
        "returned",
        ("paid", 1_000, "paying_back"),
        "returned",
        ("closed", 1_000, "success"),
        {"buyer": PLENTY, "bank ICBC": -PLENTY},
    ]


def test_a_refund_that_its_bank_refuses(stage: Stage) -> None:
    """The merchant has his money and the platform its fee again, a case is open, and another refund may follow; a bank
    that changes its mind opens a case, and moves nothing."""

    async def scene(house: House) -> list[Any]:
        await shop(house)
        payment = await bank_trade(house)
        await house.refund("B", 400, "r1")
        before = await house.balances()
        said = [(await house.say(f"{payment}R0001", "failed", 400)).what]
        seen: list[Any] = [before["refunding"], await stand(house, "B"), await house.balances()]
        said.append((await house.say(f"{payment}R0001", "failed", 400)).what)
        said.append((await house.say(f"{payment}R0001", "succeeded", 400)).what)
        cases = await house.platform.database.read("case.open", {"most": 9})
        failed = (await refunds_of(house.platform, await house.trade("B")))[0]
        await house.refund("B", None, "r2")
        await house.say(f"{payment}R0002")
        return [*seen, said, len(cases), (failed.state, failed.back_to, failed.code), await stand(house, "B")]

    assert stage.play(scene, furnished=False) == [
        400,
        ("paid", 0, "closed"),
        {"buyer": PLENTY, "bank ICBC": -PLENTY - 1_000, "pending": 1_000 - FEE, "fee": FEE},
        ["failed", "repeated", "disputed"],
        2,
        ("failed", "merchant", "PAYMENT_STATE"),
        ("closed", 1_000, "success"),
    ]


@pytest.mark.slow
def test_a_cancelled_trade_whose_bank_refuses(sqlite_stage: Stage) -> None:
    """Asked again while the bank has not spoken, nothing is done twice; after its no all is given back under another
    number; after the third no the merchant is told that it cannot be done, and has his money, his trade and cases."""

    async def scene(house: House) -> list[Any]:
        await shop(house)
        payment = await bank_trade(house)
        cancel = CancelTrade(merchant=MERCHANT, out_trade_no="B")
        seen: list[Any] = []
        for n in (1, 2, 3):
            said = [await house.ask(cancel), await house.ask(cancel)]
            assert said == [Cancelled((await house.trade("B")).trade_no, "B", "refund")] * 2
            seen.append([one.state for one in await refunds_of(house.platform, await house.trade("B"))])
            await house.inquire(f"{payment}R{n:04d}", "silence")
            await house.ask(cancel)
            await house.inquire(f"{payment}R{n:04d}", {"result": "failed"})
        seen += [await refusal(house.ask(cancel)) for _ in range(2)]
        cases = await house.platform.database.read("case.open", {"most": 9})
        return [*seen, len(cases), await stand(house, "B"), (await house.balances())["pending"]]

    assert sqlite_stage.play(scene, furnished=False) == [
        ["accepted"],
        ["failed", "accepted"],
        ["failed", "failed", "accepted"],
        *["STATE_CONFLICT"] * 2,
        3,
        ("paid", 0, "closed"),
        1_000 - FEE,
    ]


@pytest.mark.slow
def test_T38_a_cancelled_trade_gives_all_back_whatever_numbers_its_merchant_used(sqlite_stage: Stage) -> None:
    """Refunds of a part under the trade's own number do not stand for its cancelling."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A")
        trade = await house.trade("A")
        for number in (trade.trade_no, f"{trade.trade_no}-2", f"{trade.trade_no}-3"):
            await house.refund("A", 1, number, of_trade=True)
        said = [await house.ask(CancelTrade(merchant=MERCHANT, out_trade_no="A")) for _ in range(2)]
        assert said == [Cancelled(trade.trade_no, "A", "refund")] * 2
        found: Any = await house.ask(QueryRefund(merchant=MERCHANT, refund_no=trade.trade_no))
        assert [one.amount for one in found.refunds] == [Money(1)]
        return [await stand(house, "A"), (await house.balances())["buyer"]]

    assert sqlite_stage.play(scene, furnished=False) == [("closed", 1_000, "success"), PLENTY]


@pytest.mark.slow
def test_T38_a_cancelled_trade_gives_back_what_an_earlier_refund_did_not(sqlite_stage: Stage) -> None:
    """A refund of a part is under way at its bank when all the rest is cancelled, and fails: cancelling again gives
    that part back. What a bank has charged back needs no cancelling."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A")
        cancel = CancelTrade(merchant=MERCHANT, out_trade_no="B")
        payment = await bank_trade(house)
        taken = TakeChargeback("ICBC", "cb1", f"{payment}P", MERCHANT, "B", 100, "olga", "otto", "denied")
        await house.refund("B", 400, "r1")
        await house.submit(taken)
        await house.ask(cancel)
        await house.say(f"{payment}R0001", "failed", 400)
        for _ in range(2):
            await house.ask(cancel)
        return [(one.state, one.amount) for one in await refunds_of(house.platform, await house.trade("B"))]

    expected = [("failed", 400), ("accepted", 500), ("accepted", 400)]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_cash_goes_to_the_balance_of_who_paid_it(stage: Stage) -> None:
    """An outlet gives no cash back: the buyer who went there has it on his balance, at once."""

    async def scene(house: House) -> list[Any]:
        await shop(house)
        await bank_trade(house, method="outlet", bank="")
        given = await house.refund("B", None, "r")
        return [given.refund.method, given.refund.buyer_id, given.refund.state, (await house.balances())["buyer"]]

    assert stage.play(scene, furnished=False) == ["balance", BUYER, "succeeded", PLENTY + 1_000]


def test_T43_refunds_out_of_escrow(stage: Stage) -> None:
    """Before the release a refund comes out of what is held, without a fee; the release pays the rest, less the fee on
    it; afterwards refunds come from the merchant, and at the end everything is where it was."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A", "C", product="escrow")
        seen: list[Any] = []
        await house.refund("A", 400, "r1")
        seen.append(await house.balances())
        await house.ship("A")
        await house.confirm("A")
        seen.append(await house.balances())
        await house.refund("A", 100, "r2")
        await house.refund("A", None, "r3")
        seen += [await stand(house, "A"), await house.balances()]
        await house.ship("C")
        await house.refund("C", None, "r4")
        seen += [await stand(house, "C"), await refusal(house.confirm("C")), await refusal(house.refund("C", 1))]
        return seen

    assert stage.play(scene, furnished=False) == [
        {"buyer": PLENTY - 1_600, "bank ICBC": -PLENTY, "escrow": 1_600},
        {"buyer": PLENTY - 1_600, "bank ICBC": -PLENTY, "escrow": 1_000, "pending": 596, "fee": 4},
        ("finished", 1_000, "success"),
        {"buyer": PLENTY - 1_000, "bank ICBC": -PLENTY, "escrow": 1_000},
        ("closed", 1_000, "success"),
        "TRADE_STATE",
        "REFUND_EXCEEDS",
    ]


def test_the_words_of_a_protocol_reach_the_rules(stage: Stage) -> None:
    """A request, its repetition, queries by each number, of the trade, and cancelling, as a face asks them."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A", "C")
        await house.open("D")
        said: Any = await house.ask(
            RefundTrade(merchant=MERCHANT, refund_no="r", out_trade_no="A", amount=Money(400), total=Money(1_000))
        )
        again = await house.ask(RefundTrade(merchant=MERCHANT, refund_no="r", trade_no=said.refunds[0].trade_no))
        assert isinstance(again, RefundFound)
        assert again.refunds == said.refunds
        for query in (
            QueryRefund(merchant=MERCHANT, refund_no="r"),
            QueryRefund(merchant=MERCHANT, refund_id=said.refunds[0].refund_id),
            QueryRefund(merchant=MERCHANT, out_trade_no="A"),
        ):
            found: Any = await house.ask(query)
            assert (found.refunds, found.changed, found.total) == (said.refunds, False, 1)
        view = said.refunds[0]
        told: Any = await house.ask(QueryTrade(merchant=MERCHANT, out_trade_no="A"))
        assert (told.trade.refunded, told.trade.refunded_at) == (Money(400), view.ended_at)
        seen: list[Any] = [said.changed, again.changed, view.amount, view.total, view.refunded, view.fee, view.method]
        for number in ("A", "C", "C", "D", "D"):
            done: Any = await house.ask(CancelTrade(merchant=MERCHANT, out_trade_no=number))
            assert isinstance(done, Cancelled)
            seen.append(done.action)
        unknown = (QueryRefund(merchant=MERCHANT, refund_no="x"), QueryRefund(merchant=MERCHANT, out_trade_no="D"))
        return seen + [await refusal(house.ask(query)) for query in unknown]

    expected = [True, False, Money(400), Money(1_000), Money(400), Money(2), "balance"]
    expected += ["refund", "refund", "refund", "close", "close", "REFUND_NOT_FOUND", "REFUND_NOT_FOUND"]
    assert stage.play(scene, furnished=False) == expected


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["wechatpay_v2", "wechatpay_v3"])
def test_some_interfaces_refund_an_order_fifty_times(protocol: str, sqlite_stage: Stage) -> None:
    """The next one is refused, unless it is one of the fifty again; everybody else refunds as often as the platform
    lets him."""

    async def scene(house: House) -> list[Any]:
        await shop(house, "A")

        async def refund(n: int) -> str:
            wish = RefundTrade(merchant=MERCHANT, refund_no=f"r{n}", out_trade_no="A", amount=Money(1))
            return await refusal(act(house.platform, protocol, Verified(wish, None)))

        codes = {await refund(n) for n in range(50)}
        codes |= {await refund(49), await refusal(house.refund("A", 1, "other"))}
        return [codes, await refund(50), await stand(house, "A")]

    assert sqlite_stage.play(scene, furnished=False) == [{""}, "LIMIT_EXCEEDED", ("paid", 51, "success")]
