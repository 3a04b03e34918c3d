"""Corrections, chargebacks and debts: every one by two persons or a bank's own reference, and never below zero."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.platform import (
    BUYER,
    MERCHANT,
    OTHER,
    PLENTY,
    House,
    Stage,
    make_buyer,
    make_merchant,
    refusal,
)
from tongbao.kernel.time import SECOND, Instant
from tongbao.ledger.account import buyer_balance, merchant_available, merchant_pending, platform_fee
from tongbao.service.chargeback import RecoverReceivable, TakeChargeback, recover_debts
from tongbao.service.correction import (
    CloseCase,
    DecideCorrection,
    OpenCase,
    ProposeCorrection,
    ProposeLate,
    TakeCase,
    propose_write_off,
)
from tongbao.service.party import RegisterOperator
from tongbao.store.record import Case
from tongbao.store.schema import CASE
from tongbao.trade.party import Operator

SHOP = make_merchant(refund_days=30)
FEE = platform_fee(0, "CNY")
HIS = buyer_balance(BUYER, "CNY")


async def open_case(house: House, number: str = "c1") -> None:
    """Somebody has seen something."""
    await house.submit(OpenCase(number, "complaint", "the fee was taken twice", "olga"))


def propose(**changes: Any) -> ProposeCorrection:
    """Give a buyer three fen of the platform's fees."""
    values = {"correction_id": "x1", "case_id": "c1", "debit": FEE, "credit": HIS, "amount": 3, "actor": "olga"}
    return ProposeCorrection(**{**values, "reason": "our mistake", **changes})


async def cases(house: House) -> list[str]:
    """Open cases."""
    return [row[0] for row in await house.platform.database.read("case.open", {"most": 9})]


def test_T67_a_correction_takes_two_and_a_case(stage: Stage) -> None:
    """Proposed by one and posted by another it moves once, closes its case, and is in the log; refused, it never
    moves."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=SHOP)
        await house.open("A")
        await house.pay("A")
        codes = [await refusal(house.submit(propose()))]
        await open_case(house)
        codes.append(await refusal(house.submit(OpenCase("c1", "again", "x", "olga"))))
        await house.submit(propose())
        codes.append(await refusal(house.submit(propose())))
        codes.append(await refusal(house.submit(DecideCorrection("x1", True, "olga"))))
        await house.submit(propose(correction_id="x2"))
        said = [await house.submit(DecideCorrection("x2", False, "otto", "no"))]
        said.append(await house.submit(DecideCorrection("x1", True, "otto")))
        codes.append(await refusal(house.submit(DecideCorrection("x1", True, "otto"))))
        codes.append(await refusal(house.submit(DecideCorrection("x9", True, "otto"))))
        codes.append(await refusal(house.submit(propose(correction_id="x3"))))
        balances = await house.balances()
        return [codes, said, await cases(house), balances["buyer"], balances["fee"]]

    assert stage.play(scene, furnished=False) == [
        [
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "ALREADY_EXISTS",
            "MAKER_IS_CHECKER",
            "STATE_CONFLICT",
            "NOT_FOUND",
            "NOT_FOUND",
        ],
        ["refused", "posted"],
        [],
        PLENTY - 1_000 + 3,
        3,
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"debit": "platform:0:suspense:CNY"}, "FIELD_INVALID"),
        ({"debit": f"merchant:{MERCHANT}:escrow:CNY", "merchant_id": MERCHANT}, "FIELD_INVALID"),
        ({"debit": merchant_pending(MERCHANT, "CNY"), "merchant_id": MERCHANT}, "FIELD_INVALID"),
        ({"debit": merchant_available(OTHER, "CNY"), "merchant_id": MERCHANT}, "FIELD_INVALID"),
        ({"debit": "bank:ICBC:0:CNY"}, "FIELD_INVALID"),
        ({"credit": FEE}, "FIELD_INVALID"),
        ({"amount": 0}, "AMOUNT_NOT_POSITIVE"),
        ({"amount": -5}, "AMOUNT_NOT_POSITIVE"),
        ({"reason": ""}, "FIELD_MISSING"),
        ({"out_trade_no": "none"}, "TRADE_NOT_FOUND"),
    ],
)
def test_T38_what_cannot_be_corrected(changes: dict[str, Any], code: str, sqlite_stage: Stage) -> None:
    """Accounts that other rules measure are out of reach, and so is another merchant's."""

    async def scene(house: House) -> str:
        await open_case(house)
        return await refusal(house.submit(propose(**changes)))

    assert sqlite_stage.play(scene) == code


@pytest.mark.slow
def test_T67_a_case_is_not_closed_by_a_strangers_correction(sqlite_stage: Stage) -> None:
    """What is posted for a case is about its merchant and its trade, where it has one."""

    async def scene(house: House) -> list[str]:
        for number in ("A", "B"):
            await house.open(number)
        await house.submit(OpenCase("c1", "complaint", "the fee was taken twice", "olga", MERCHANT, "A"))
        seen = []
        for merchant, changes in ((OTHER, {}), (MERCHANT, {"out_trade_no": "B"}), (MERCHANT, {"out_trade_no": "A"})):
            account = merchant_available(merchant, "CNY")
            seen.append(await refusal(house.submit(propose(credit=account, merchant_id=merchant, **changes))))
        return seen

    assert sqlite_stage.play(scene) == ["FIELD_INVALID", "FIELD_INVALID", ""]


def test_T38_a_correction_cannot_take_what_is_not_there(sqlite_stage: Stage) -> None:
    """Posting looks at the balance of that moment."""

    async def scene(house: House) -> str:
        await open_case(house)
        await house.submit(propose(debit=HIS, credit=FEE, amount=PLENTY + 1))
        return await refusal(house.submit(DecideCorrection("x1", True, "otto")))

    assert sqlite_stage.play(scene) == "MERCHANT_FUNDS"


def test_T67_what_is_mended_is_not_mended_again(sqlite_stage: Stage) -> None:
    """Two proposals for one case: the first that is posted closes it, the other can only be refused. So it is after
    somebody has closed the case by hand."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=SHOP)
        await house.open("A")
        await house.pay("A")
        await open_case(house)
        await house.submit(propose())
        await house.submit(propose(correction_id="x2", actor="oscar"))
        seen = [await house.submit(DecideCorrection("x1", True, "otto"))]
        seen.append(await refusal(house.submit(DecideCorrection("x2", True, "otto"))))
        seen.append(await house.submit(DecideCorrection("x2", False, "otto")))
        await open_case(house, "c2")
        await house.submit(propose(correction_id="x3", case_id="c2"))
        await house.submit(CloseCase("c2", "otto", "nothing was wrong"))
        seen.append(await refusal(house.submit(DecideCorrection("x3", True, "otto"))))
        return [*seen, (await house.balances())["fee"]]

    expected = ["posted", "STATE_CONFLICT", "refused", "STATE_CONFLICT", 3]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_T67_a_case_has_an_owner_from_its_first_moment(sqlite_stage: Stage) -> None:
    """Who opened it; then who takes it, an active operator; nobody once it is closed."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=SHOP)
        await open_case(house)
        await house.submit(
            RegisterOperator(Operator("anna", "both", "active", make_buyer().login_hash, "anna", Instant(0)), 0)
        )
        opened: list[Case] = await house.platform.database.load(CASE, [("c1",)])
        seen = [opened[0].owner, await house.submit(TakeCase("c1", "anna", "otto", "knows the bank"))]
        taken: list[Case] = await house.platform.database.load(CASE, [("c1",)])
        seen += [taken[0].owner, taken[0].state]
        seen.append(await refusal(house.submit(TakeCase("c1", "nobody", "otto", "on leave"))))
        seen.append(await refusal(house.submit(TakeCase("c9", "anna", "otto", "on leave"))))
        seen.append(await refusal(house.submit(TakeCase("c1", "anna", "otto", ""))))
        await house.submit(CloseCase("c1", "otto", "nothing was wrong"))
        return [*seen, await refusal(house.submit(TakeCase("c1", "anna", "otto", "again")))]

    refused = ["NOT_FOUND", "NOT_FOUND", "FIELD_MISSING", "STATE_CONFLICT"]
    assert sqlite_stage.play(scene, furnished=False) == ["olga", "anna", "anna", "open", *refused]


async def charged_back(house: House, spent: int) -> str:
    """A merchant who gave ``spent`` of another trade's 1,000 fen back, and whose bank takes one payment back."""
    await house.furnish(merchant=SHOP)
    await house.open("B")
    await house.say(await house.start("B"))
    if spent:
        await house.refund("B", spent, "r")
        payment = (await house.payments("B"))[0].payment_no
        await house.say(f"{payment}R0001", amount=spent)
    return f"{(await house.payments('B'))[0].payment_no}P"


def take(number: str, **changes: Any) -> TakeChargeback:
    """The bank takes it back."""
    values = {"bank": "ICBC", "bank_ref": "cb1", "amount": 1_000, "actor": "olga", "checker": "otto"}
    values["reason"] = "the holder denies it"
    return TakeChargeback(
        **{**values, "instruction_no": number, "merchant_id": MERCHANT, "out_trade_no": "B", **changes}
    )


def test_a_chargeback_falls_on_the_merchant(stage: Stage) -> None:
    """What he has is taken, the rest he owes; the same reference again is the same; later income pays it back."""

    async def scene(house: House) -> list[Any]:
        number = await charged_back(house, 300)
        first = await house.submit(take(number))
        again = await house.submit(take(number))
        codes = [
            await refusal(house.submit(take(number, amount=5))),
            await refusal(house.submit(take(number, bank_ref="cb2", amount=1_001))),
            await refusal(house.submit(take(number, bank_ref="cb3", bank="CCB"))),
            await refusal(house.submit(take("none", bank_ref="cb4"))),
            *[await refusal(house.submit(take(number, bank_ref="cb5", checker=who))) for who in ("", "olga")],
        ]
        codes.append(await refusal(house.refund("B", 1)))
        balances = await house.balances()
        return [first == again, first.short, codes, balances, await cases(house)]

    codes = ["IDEMPOTENCY_CONFLICT", "AMOUNT_INVALID", "PAYMENT_NOT_FOUND", "PAYMENT_NOT_FOUND"]
    codes += [*["MAKER_IS_CHECKER"] * 2, "REFUND_EXCEEDS"]
    # 994 came, 300 went and 2 of the fee came back: 696 are there, 304 are owed
    left = {"bank ICBC": -PLENTY + 300, "buyer": PLENTY, "receivable": -304, "fee": 4}
    assert stage.play(scene, furnished=False) == [True, 304, codes, left, ["chargeback:ICBC:cb1"]]


def test_a_payment_is_charged_back_once(sqlite_stage: Stage) -> None:
    """Two references take no more than was paid together, the fee stays the platform's, and nothing is left that could
    be refunded; money that came late was never the merchant's."""

    async def scene(house: House) -> list[Any]:
        number = await charged_back(house, 0)
        await house.submit(take(number, amount=600))
        codes = [await refusal(house.submit(take(number, bank_ref="cb2", amount=401)))]
        await house.submit(take(number, bank_ref="cb3", amount=400))
        codes.append(await refusal(house.submit(take(number, bank_ref="cb4", amount=1))))
        codes.append(await refusal(house.refund("B")))
        balances = await house.balances()
        await house.open("L")
        late = await house.start("L")
        await house.close("L")
        await house.say(late)
        codes.append(await refusal(house.submit(take(late, bank_ref="cb5", out_trade_no="L"))))
        return [codes, balances]

    codes = ["AMOUNT_INVALID", "AMOUNT_INVALID", "REFUND_EXCEEDS", "STATE_CONFLICT"]
    expected = [codes, {"bank ICBC": -PLENTY, "buyer": PLENTY, "fee": 6, "receivable": -6}]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_debts_are_paid_back_or_written_off(stage: Stage) -> None:
    """Settled money pays a debt first, by a duty; what is left two operators may bear, and no more than that."""

    async def scene(house: House) -> list[Any]:
        number = await charged_back(house, 300)
        await house.submit(take(number))
        seen: list[Any] = [await recover_debts(house.platform)]
        await open_case(house)
        await house.submit(
            propose(debit=HIS, credit=merchant_available(MERCHANT, "CNY"), merchant_id=MERCHANT, amount=100)
        )
        await house.submit(DecideCorrection("x1", True, "otto"))
        house.clock.advance(SECOND)
        seen += [await recover_debts(house.platform), await recover_debts(house.platform)]
        seen.append(await house.submit(RecoverReceivable(OTHER)))
        case = "chargeback:ICBC:cb1"
        for amount, correction in ((205, "w1"), (204, "w2")):
            await house.submit(propose_write_off(correction, case, MERCHANT, amount, "olga", "he is gone"))
        seen.append(await refusal(house.submit(DecideCorrection("w1", True, "otto"))))
        seen.append(await house.submit(DecideCorrection("w2", True, "otto")))
        balances = await house.balances()
        return [*seen, balances.get("receivable"), balances["loss"], await cases(house)]

    expected = [0, 1, 0, 0, "LIMIT_EXCEEDED", "posted", None, -204, []]
    assert stage.play(scene, furnished=False) == expected


def test_late_money_that_its_bank_does_not_take(stage: Stage) -> None:
    """Two operators send it to the buyer's balance; both cases close, and suspense is empty."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        number = await house.start("A")
        await house.close("A")
        await house.say(number)
        refund = f"{number[:-1]}R"
        late = ProposeLate("l1", refund, MERCHANT, "A", 1, "olga", "the card is closed")
        codes = [await refusal(house.submit(late))]
        await house.say(refund, "failed")
        seen: list[Any] = [sorted(case.partition(":")[0] for case in await cases(house))]
        await house.submit(late)
        codes.append(await refusal(house.submit(DecideCorrection("l1", True, "olga"))))
        await house.submit(DecideCorrection("l1", True, "otto"))
        balances = await house.balances()
        payment = (await house.payments("A"))[0]
        return [codes, *seen, await cases(house), balances["buyer"], balances.get("suspense"), payment.state]

    assert stage.play(scene) == [
        ["STATE_CONFLICT", "MAKER_IS_CHECKER"],
        ["late", "refused"],
        [],
        PLENTY + 1_000,
        None,
        "returned",
    ]


def test_I11_one_reference_for_two_payments_is_a_case(stage: Stage) -> None:
    """The bank is asked again, a person must look, and nothing moves."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        await house.open("B")
        first, second = await house.start("A"), await house.start("B")
        said = [(await house.say(number, ref="same")).what for number in (first, second, second)]
        trade = await house.trade("B")
        return [said, trade.state, [case.partition(":")[0] for case in await cases(house)]]

    assert stage.play(scene) == [["captured", "disputed", "disputed"], "unpaid", ["amount"]]
