"""Payouts: a merchant's money goes to a balance or a card once, or comes back whole; persons, limits, silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, House, Stage, make_buyer, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, MINUTE, business_date
from tongbao.ledger.account import buyer_balance, merchant_available, merchant_payout, merchant_receivable
from tongbao.service.chargeback import TakeChargeback, recover_debts
from tongbao.service.party import ChangeMerchant
from tongbao.service.payout import ThrowSwitch
from tongbao.service.payout_act import (
    batch_view,
    decide_payout,
    find_payout,
    find_payout_batch,
    run_batches,
    waiting_payouts,
)
from tongbao.service.payout_batch import StartBatch
from tongbao.service.settlement import settle_day
from tongbao.store.schema import INSTRUCTION
from tongbao.trade.calendar import write_day
from tongbao.wire.movement import (
    BalanceFound,
    MovementState,
    PayOut,
    PayOutBatch,
    PayOutFound,
    PayOutItem,
    QueryBalance,
    QueryPayOut,
)
from tongbao.wire.party import Party, Payee

FEE = 25
TERMS = json.dumps({"payout": {"minimum": FEE, "most": 50_000, "day": 100_000, "check": 20_000}})
PAYEE = "2088000000000055"
HIM = Payee(Party("", f"{PAYEE}@buyer.example"), "王 小明")
CARD = Payee(Party(), "王小明", "ICBC", "6200000000000018")
EARNED = 99_400
OWED = merchant_receivable(MERCHANT, "CNY")


async def earn(house: House, amount: int = 100_000, **changes: Any) -> None:
    """A merchant with ``EARNED`` available, and somebody to be paid."""
    await house.furnish(merchant=make_merchant(settings=TERMS, **changes))
    await house.add_buyer(make_buyer(PAYEE, name="王小明"), 0)
    await house.open("A", amount=amount)
    await house.pay("A")
    day = write_day(business_date(house.clock.now))
    house.clock.advance(DAY)
    await settle_day(house.platform, day)


async def stand(house: House) -> tuple[int, int, int]:
    """What is available, what is set aside, what the payee has."""
    codes = (merchant_available(MERCHANT, "CNY"), merchant_payout(MERCHANT, "CNY"), buyer_balance(PAYEE, "CNY"))
    available, aside, his = [await house.platform.balance(code) for code in codes]
    return available, aside, his


def pay(number: str, payee: Payee, amount: int = 1_000) -> PayOut:
    return PayOut(merchant=MERCHANT, payout_no=number, payee=payee, amount=Money(amount))


async def outcome(house: House, number: str, batch: str = "") -> tuple[str, str]:
    payout = await find_payout(house.platform, MERCHANT, batch, number)
    return payout.state, payout.code


async def number_of(house: House, number: str, batch: str = "") -> str:
    """The number under which a bank is asked for a payout."""
    return (await find_payout(house.platform, MERCHANT, batch, number)).payout_id + "O"


def test_a_balance_is_paid_at_once_and_once(stage: Stage) -> None:
    """Sum and fee leave the merchant; the same number again is the same payout, with another sum it is refused."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        first = await house.ask(pay("p1", HIM))
        second = await house.ask(pay("p1", HIM))
        assert isinstance(first, PayOutFound)
        assert isinstance(second, PayOutFound)
        balance = await house.ask(QueryBalance(merchant=MERCHANT))
        found = await house.ask(QueryPayOut(merchant=MERCHANT, payout_id=first.payouts[0].payout_id))
        assert found == await house.ask(QueryPayOut(merchant=MERCHANT, payout_no="p1", to_card=False))
        to_card = QueryPayOut(merchant=MERCHANT, payout_no="p1", to_card=True)
        assert await refusal(house.ask(to_card)) == "PAYOUT_NOT_FOUND"
        return [
            first == second == found,
            first.payouts[0].state,
            first.payouts[0].payee == HIM,
            await stand(house),
            balance == BalanceFound(Money(EARNED - 1_025), Money(0)),
            await refusal(house.ask(pay("p1", HIM, 1_001))),
            await refusal(house.ask(pay("p1", CARD))),
        ]

    expected = [True, MovementState.SUCCEEDED, True, (EARNED - 1_025, 0, 1_000), True, *["PAYOUT_MISMATCH"] * 2]
    assert stage.play(scene, furnished=False) == expected


@pytest.mark.parametrize(
    ("payee", "amount", "code"),
    [
        (Payee(Party("", "nobody@buyer.example")), 1_000, "PAYEE_UNKNOWN"),
        (Payee(Party(MERCHANT)), 1_000, "PAYEE_UNKNOWN"),
        (Payee(Party(PAYEE), "李四"), 1_000, "PAYEE_NAME_MISMATCH"),
        (Payee(Party(PAYEE, "other@buyer.example")), 1_000, "PAYEE_UNKNOWN"),
        (Payee(), 1_000, "FIELD_MISSING"),
        (Payee(Party(), "王小明", "NOBANK", "6200000000000018"), 1_000, "BANK_UNKNOWN"),
        (Payee(Party(), "王小明", "ICBC", "6200 0000 0000 0018"), 1_000, "FIELD_INVALID"),
        (Payee(Party(), "", "ICBC", "6200000000000018"), 1_000, "FIELD_MISSING"),
        (HIM, 0, "AMOUNT_NOT_POSITIVE"),
        (HIM, -5, "AMOUNT_NOT_POSITIVE"),
        (HIM, 50_001, "LIMIT_EXCEEDED"),
    ],
)
def test_T38_what_is_wrong_is_refused(payee: Payee, amount: int, code: str, sqlite_stage: Stage) -> None:
    """Nothing moves for a payee who is not there, not he, or for a sum that may not be."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        return [await refusal(house.ask(pay("p1", payee, amount))), await stand(house)]

    assert sqlite_stage.play(scene, furnished=False) == [code, (EARNED, 0, 0)]


def test_I33_limits_of_the_day_and_of_the_purse(stage: Stage) -> None:
    """The day's limit counts fees too and begins anew on the next day; nobody pays out what he has not."""

    async def scene(house: House) -> list[str]:
        await earn(house, 400_000)
        said = [await refusal(house.ask(pay(f"p{n}", HIM, 19_000))) for n in range(6)]
        house.clock.advance(DAY)
        said += [await refusal(house.ask(pay(f"q{n}", HIM, 19_000))) for n in range(5)]
        house.clock.advance(DAY)
        return [*said, *[await refusal(house.ask(pay(f"r{n}", HIM, 19_000))) for n in range(6)]]

    held = [""] * 5 + ["LIMIT_EXCEEDED"] + [""] * 5 + [""] * 5 + ["LIMIT_EXCEEDED"]
    assert stage.play(scene, furnished=False) == held


def test_T40_more_than_there_is(stage: Stage) -> None:
    """The purse is the limit: the last payout that does not fit is refused and changes nothing."""

    async def scene(house: House) -> list[Any]:
        await earn(house, 10_000)
        said = [await refusal(house.ask(pay(f"p{n}", HIM, 3_000))) for n in range(4)]
        return [said, await stand(house)]

    assert stage.play(scene, furnished=False) == [["", "", "", "MERCHANT_FUNDS"], (9_940 - 3 * 3_025, 0, 9_000)]


@pytest.mark.slow
def test_T40_what_is_owed_is_not_paid_out(sqlite_stage: Stage) -> None:
    """What is settled to a merchant in debt pays the debt before it is his to pay out."""

    async def scene(house: House) -> list[Any]:
        await earn(house, 10_000)
        await house.open("B", amount=10_000)
        await house.say(await house.start("B"), amount=10_000)
        await house.ask(pay("p1", HIM, 9_900))
        number = f"{(await house.payments('B'))[0].payment_no}P"
        await house.submit(TakeChargeback("ICBC", "cb1", number, MERCHANT, "B", 10_000, "olga", "otto", "denied"))
        await house.open("C", amount=100)
        await house.pay("C")
        day = write_day(business_date(house.clock.now))
        house.clock.advance(DAY)
        await settle_day(house.platform, day)
        owed, available = [await house.platform.balance(code) for code in (OWED, merchant_available(MERCHANT, "CNY"))]
        assert -owed < available
        seen = [await refusal(house.ask(pay("p2", HIM, available - FEE)))]
        seen.append(await refusal(house.ask(pay("p3", HIM, available + owed - FEE))))
        await recover_debts(house.platform)
        return [*seen, await house.platform.balance(OWED), (await stand(house))[0]]

    assert sqlite_stage.play(scene, furnished=False) == ["MERCHANT_FUNDS", "", 0, 0]


@pytest.mark.parametrize(
    ("word", "end", "left"),
    [
        ({"result": "succeeded", "bank_ref": "r1"}, ("succeeded", ""), (EARNED - 1_025, 0, 0)),
        ({"result": "failed", "reason": "account_unknown"}, ("failed", "PAYEE_UNKNOWN"), (EARNED, 0, 0)),
        ({"result": "failed", "reason": "name_mismatch"}, ("failed", "PAYEE_NAME_MISMATCH"), (EARNED, 0, 0)),
        ({"result": "pending"}, ("sent", ""), (EARNED - 1_025, 1_025, 0)),
        ("silence", ("sent", ""), (EARNED - 1_025, 1_025, 0)),
        ("unreachable", ("sent", ""), (EARNED - 1_025, 1_025, 0)),
    ],
)
def test_a_bank_says_what_becomes_of_it(word: Any, end: Any, left: Any, stage: Stage) -> None:
    """Success sends the money out, a no gives sum and fee back, anything else leaves them aside."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(pay("p1", CARD))
        await house.inquire(await number_of(house, "p1"), word)
        return [await outcome(house, "p1"), await stand(house)]

    assert stage.play(scene, furnished=False) == [end, left]


def test_F28_silence_is_inquired_never_repeated_under_a_new_number(stage: Stage) -> None:
    """After a lost answer the bank is asked what became of it; only if it knows nothing is the same number sent again;
    a second word that contradicts the first is a case and moves nothing."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(pay("p1", CARD))
        number = await number_of(house, "p1")
        said = [(await house.inquire(number, "silence")).what]
        (row,) = await house.platform.database.load(INSTRUCTION, [(number,)])
        said += [row.state, (await house.inquire(number, {"result": "not_found"})).what]
        house.clock.advance(20 * MINUTE)
        said.append((await house.inquire(number, {"result": "pending"})).what)
        cases = len(await house.platform.database.read("case.open", {"most": 9}))
        said.append((await house.inquire(number, {"result": "succeeded", "bank_ref": "r1"})).what)
        said.append((await house.say(number, "failed", ref="r1")).what)
        paths = [request.raw_path.rsplit(b"/", 1)[1].decode() for request in house.bank.requests]
        numbers = {json.loads(request.body)["instruction_no"] for request in house.bank.requests}
        return [said, cases, paths, numbers == {number}, await stand(house)]

    said = ["waiting", "unknown", "waiting", "waiting", "paid", "disputed"]
    asked = ["payout", "inquiry", "payout", "inquiry", "inquiry"]
    assert stage.play(scene, furnished=False) == [said, 1, asked, True, (EARNED - 1_025, 0, 0)]


def test_T67_above_the_limit_two_persons_agree_to_what_a_key_entered(stage: Stage) -> None:
    """Nothing moves before, not by one person twice, not by the key once more; what was refused stays so."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        for name in ("p1", "p2"):
            await house.ask(pay(name, HIM, 20_001))
        seen: list[Any] = [await outcome(house, "p1"), await stand(house)]
        maker = (await find_payout(house.platform, MERCHANT, "", "p1")).maker
        seen.append(await refusal(decide_payout(house.platform, MERCHANT, "p1", maker, 20_001)))
        seen.append(await refusal(decide_payout(house.platform, MERCHANT, "p1", "carla", 20_002)))
        seen.append(
            [(one.payout_no, one.amount, payee.name) for one, payee in await waiting_payouts(house.platform, MERCHANT)]
        )
        seen.append((await decide_payout(house.platform, MERCHANT, "p1", "carla", 20_001, reason="seen")).state)
        seen.append(await refusal(decide_payout(house.platform, MERCHANT, "p1", "carla", 20_001, reason="again")))
        await house.ask(pay("p1", HIM, 20_001))
        seen += [await outcome(house, "p1"), await stand(house)]
        seen.append((await decide_payout(house.platform, MERCHANT, "p1", "otto", 20_001, reason="seen")).state)
        await decide_payout(house.platform, MERCHANT, "p2", "carla", 20_001, reason="seen")
        seen.append((await decide_payout(house.platform, MERCHANT, "p2", "carla", agrees=False)).state)
        seen.append(await refusal(decide_payout(house.platform, MERCHANT, "p2", "carla")))
        return [*seen, await stand(house)]

    assert stage.play(scene, furnished=False) == [
        ("proposed", ""),
        (EARNED, 0, 0),
        "MAKER_IS_CHECKER",
        "REVIEW_AGAIN",
        [("p1", 20_001, "王 小明"), ("p2", 20_001, "王 小明")],
        "proposed",
        "MAKER_IS_CHECKER",
        ("proposed", ""),
        (EARNED, 0, 0),
        "succeeded",
        "closed",
        "STATE_CONFLICT",
        (EARNED - 20_026, 0, 20_001),
    ]


def batch(*lines: tuple[str, Payee, int], number: str = "b1", total: int = 0, **changes: Any) -> PayOutBatch:
    values: dict[str, Any] = {
        "merchant": MERCHANT,
        "batch_no": number,
        "items": tuple(PayOutItem(payout_no=no, payee=payee, amount=Money(amount)) for no, payee, amount in lines),
        "total": Money(total or sum(amount for _, _, amount in lines)),
        "count": len(lines),
    }
    return PayOutBatch(**{**values, **changes})


MIXED = (
    ("1", HIM, 1_000),
    ("2", Payee(Party("", "nobody@buyer.example"), "谁"), 2_000),
    ("3", CARD, 3_000),
    ("4", Payee(Party(PAYEE), "李四"), 4_000),
    ("5", Payee(Party(), "李四", "CCB", "6200000000000034"), 5_000),
)


def test_a_batch_line_by_line(stage: Stage) -> None:
    """The whole sum is set aside at once; each line ends by itself; what fails comes back with its fee."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(batch(*MIXED))
        seen: list[Any] = [await stand(house), await run_batches(house.platform), await run_batches(house.platform)]
        seen.append(await stand(house))
        await house.inquire(await number_of(house, "3", "b1"), {"result": "succeeded", "bank_ref": "r3"})
        seen.append((await find_payout_batch(house.platform, MERCHANT, "b1")).state)
        await house.inquire(await number_of(house, "5", "b1"), {"result": "failed", "reason": "name_mismatch"})
        row = await find_payout_batch(house.platform, MERCHANT, "b1")
        view = await batch_view(house.platform, MERCHANT, "b1")
        lines = [(one.payout_no, str(one.state), one.code) for one in view.payouts]
        return [*seen, (row.state, row.ended, row.failed, row.paid), lines, await stand(house)]

    assert stage.play(scene, furnished=False) == [
        (EARNED - 15_125, 15_125, 0),
        5,
        0,
        (EARNED - 15_125 + 6_050, 8_050, 1_000),
        "running",
        ("done", 5, 3, 4_000),
        [
            ("1", "succeeded", ""),
            ("2", "failed", "PAYEE_UNKNOWN"),
            ("3", "succeeded", ""),
            ("4", "failed", "PAYEE_NAME_MISMATCH"),
            ("5", "failed", "PAYEE_NAME_MISMATCH"),
        ],
        (EARNED - 4_050, 0, 1_000),
    ]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (batch(("1", HIM, 100), total=101), "BATCH_INVALID"),
        (batch(("1", HIM, 100), count=2), "BATCH_INVALID"),
        (batch(("1", HIM, 100), ("1", HIM, 200)), "BATCH_INVALID"),
        (batch(("1", HIM, 100), ("2", HIM, 0)), "AMOUNT_NOT_POSITIVE"),
        (batch(("1", HIM, 50_001)), "LIMIT_EXCEEDED"),
        (batch(("1", Payee(), 100)), "FIELD_MISSING"),
        (batch(("1", HIM, 19_000), payer=Party("someone")), "SELLER_UNKNOWN"),
    ],
)
def test_a_wrong_batch_moves_nothing(wrong: PayOutBatch, code: str, sqlite_stage: Stage) -> None:
    """One wrong line, and nobody is paid."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        return [await refusal(house.ask(wrong)), await run_batches(house.platform), await stand(house)]

    assert sqlite_stage.play(scene, furnished=False) == [code, 0, (EARNED, 0, 0)]


def test_a_batch_is_one_however_often_it_comes(stage: Stage) -> None:
    """The same batch again changes nothing; another one under its number is refused; above the limit two persons."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        small, large = batch(("1", HIM, 1_000)), batch(("1", HIM, 20_001), number="b2")
        for _ in range(2):
            await house.ask(small)
            await run_batches(house.platform)
        await house.ask(large)
        seen = [
            await refusal(house.ask(batch(("1", HIM, 2_000)))),
            (await find_payout_batch(house.platform, MERCHANT, "b2")).state,
            await refusal(house.submit(StartBatch(MERCHANT, "b2"))),
            (await house.submit(StartBatch(MERCHANT, "b2", "carla", "seen"))).missing,
            await refusal(house.submit(StartBatch(MERCHANT, "b2", "carla", "seen"))),
            await refusal(house.submit(StartBatch(MERCHANT, "b2"))),
            (await house.submit(StartBatch(MERCHANT, "b2", "clara", "seen"))).state,
        ]
        await run_batches(house.platform)
        return [*seen, await stand(house)]

    refused = "MAKER_IS_CHECKER"
    expected = ["PAYOUT_MISMATCH", "proposed", refused, 1, refused, refused, "running", (EARNED - 21_051, 0, 21_001)]
    assert stage.play(scene, furnished=False) == expected


def test_a_frozen_merchants_batch_waits(sqlite_stage: Stage) -> None:
    """No line moves while he is frozen; afterwards it goes on."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(batch(("1", HIM, 1_000)))
        await house.submit(ChangeMerchant(MERCHANT, "frozen", "checker", "doubts"))
        seen: list[Any] = [await run_batches(house.platform), await refusal(house.ask(pay("p1", HIM)))]
        await house.submit(ChangeMerchant(MERCHANT, "approved", "checker", "none left"))
        return [*seen, await run_batches(house.platform), await stand(house)]

    assert sqlite_stage.play(scene, furnished=False) == [0, "MERCHANT_DISABLED", 1, (EARNED - 1_025, 0, 1_000)]


def test_payouts_are_stopped_for_everybody_at_once(stage: Stage) -> None:
    """Nothing begins, no bank hears of what is aside, running batches wait; afterwards all of it goes on."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(batch(("1", HIM, 1_000)))
        await house.ask(pay("p1", CARD))
        await house.submit(ThrowSwitch(True, "olga", "something is wrong"))
        seen: list[Any] = [await run_batches(house.platform), await refusal(house.ask(pay("p2", HIM)))]
        seen.append((await house.inquire(await number_of(house, "p1"))).what)
        seen += [len(house.bank.requests), await refusal(house.ask(batch(("1", HIM, 1_000), number="b2")))]
        await house.submit(ThrowSwitch(False, "olga", "found"))
        await house.ask(batch(("1", HIM, 1_000), number="b2"))
        seen.append(await run_batches(house.platform))
        word = {"result": "succeeded", "bank_ref": "r1"}
        return [*seen, (await house.inquire(await number_of(house, "p1"), word)).what, await stand(house)]

    expected = [0, "SYSTEM", "waiting", 0, "SYSTEM", 2, "paid", (EARNED - 3 * 1_025, 0, 2_000)]
    assert stage.play(scene, furnished=False) == expected


def test_a_merchant_pays_another_account_of_his_own_kind(sqlite_stage: Stage) -> None:
    """A merchant can be paid too: it is available to him at once. The buyer of the house is another payee."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(pay("p1", Payee(Party(BUYER), "Test Buyer"), 10))
        return [await outcome(house, "p1")]

    assert sqlite_stage.play(scene, furnished=False) == [("succeeded", "")]
