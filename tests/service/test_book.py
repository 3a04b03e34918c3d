"""Books as tables: who does what, the state the trade is in afterwards, and every balance that is not zero."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.support.platform import MERCHANT, PLENTY, House, Stage, make_merchant, refusal
from tongbao.kernel.time import DAY
from tongbao.service import checkout

TOP_UP: Final = {"bank ICBC": -PLENTY}
Row = tuple[str, str, dict[str, int]]


async def perform(house: House, act: str) -> None:
    """One act by its name, over trade A."""
    bank = house.notes.get("bank", "")
    if act.startswith("open"):
        await house.open("A", act.split()[1])
    elif act in ("pay", "pay instant", "pay escrow"):
        await house.pay("A", act.removeprefix("pay").strip())
    elif act.startswith("start"):
        method = act.split()[1]
        house.notes["bank"] = await house.start("A", method, "" if method == "outlet" else "ICBC")
    elif act.startswith("bank"):
        await house.say(bank, act.split()[1])
    elif act == "returned":
        await house.say(bank[:-1] + "R")
    elif act.startswith("wait"):
        house.clock.advance(int(act.split()[1]) * DAY)
        await house.tick("A")
    else:
        await getattr(house, act)("A")


ESCROW: Final[list[Row]] = [
    ("open escrow", "unpaid", {"buyer": PLENTY}),
    ("pay", "escrowed", {"buyer": PLENTY - 1_000, "escrow": 1_000}),
    ("ship", "shipped", {"buyer": PLENTY - 1_000, "escrow": 1_000}),
]
PAID: Final = {"buyer": PLENTY - 1_000, "pending": 994, "fee": 6}
BY_BANK: Final = {"bank ICBC": -PLENTY - 1_000, "buyer": PLENTY}
BY_OUTLET: Final = {"bank OUTLET": -1_000, "buyer": PLENTY}

BOOKS: Final[dict[str, list[Row]]] = {
    "instant, balance": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("pay", "finished", PAID),
        ("wait 30", "finished", PAID),
    ],
    "instant, debit": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
        ("bank succeeded", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
    ],
    "instant, credit": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start credit", "unpaid", {"buyer": PLENTY}),
        ("bank failed", "unpaid", {"buyer": PLENTY}),
        ("start credit", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
    ],
    "instant, outlet": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start outlet", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "finished", {**BY_OUTLET, "pending": 994, "fee": 6}),
    ],
    "escrow, balance, confirmed": [*ESCROW, ("confirm", "finished", PAID)],
    "escrow, balance, released by the clock": [
        *ESCROW,
        ("wait 9", "shipped", ESCROW[2][2]),
        ("wait 1", "finished", PAID),
    ],
    "escrow, balance, shipped twice": [*ESCROW, ("ship", "shipped", ESCROW[2][2]), ("confirm", "finished", PAID)],
    "escrow, debit": [
        ("open escrow", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "escrowed", {**BY_BANK, "escrow": 1_000}),
        ("ship", "shipped", {**BY_BANK, "escrow": 1_000}),
        ("confirm", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
    ],
    "escrow, outlet": [
        ("open escrow", "unpaid", {"buyer": PLENTY}),
        ("start outlet", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "escrowed", {**BY_OUTLET, "escrow": 1_000}),
    ],
    "dual, as instant": [("open dual", "unpaid", {"buyer": PLENTY}), ("pay instant", "finished", PAID)],
    "dual, as escrow": [
        ("open dual", "unpaid", {"buyer": PLENTY}),
        ("pay escrow", "escrowed", ESCROW[1][2]),
        ("ship", "shipped", ESCROW[1][2]),
        ("confirm", "finished", PAID),
    ],
    "dual, debit as escrow": [
        ("open dual", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "escrowed", {**BY_BANK, "escrow": 1_000}),
    ],
    "closed by the merchant": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("close", "closed", {"buyer": PLENTY}),
        ("wait 30", "closed", {"buyer": PLENTY}),
    ],
    "expired": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("wait 14", "unpaid", {"buyer": PLENTY}),
        ("wait 1", "closed", {"buyer": PLENTY}),
    ],
    "success after close": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("close", "closed", {"buyer": PLENTY}),
        ("bank succeeded", "closed", {**BY_BANK, "suspense": 1_000}),
        ("bank succeeded", "closed", {**BY_BANK, "suspense": 1_000}),
        ("returned", "closed", {"buyer": PLENTY}),
        ("returned", "closed", {"buyer": PLENTY}),
    ],
    "success after expiry": [
        ("open escrow", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("wait 15", "closed", {"buyer": PLENTY}),
        ("bank succeeded", "closed", {**BY_BANK, "suspense": 1_000}),
        ("returned", "closed", {"buyer": PLENTY}),
    ],
    "success after failure": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("bank failed", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "unpaid", {**BY_BANK, "suspense": 1_000}),
        ("pay", "finished", {**BY_BANK, "suspense": 1_000, **PAID}),
        ("returned", "finished", PAID),
    ],
    "a success is final": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("bank succeeded", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
        ("bank failed", "finished", {**BY_BANK, "pending": 994, "fee": 6}),
    ],
    "paid twice": [
        ("open instant", "unpaid", {"buyer": PLENTY}),
        ("start debit", "unpaid", {"buyer": PLENTY}),
        ("pay", "finished", PAID),
        ("bank succeeded", "finished", {**PAID, "bank ICBC": -PLENTY - 1_000, "suspense": 1_000}),
        ("returned", "finished", PAID),
    ],
}


@pytest.mark.parametrize("name", BOOKS)
def test_the_books(name: str, stage: Stage) -> None:
    """After every act the state and all balances are as in the table, and the audit is clean."""

    async def scene(house: House) -> list[Row]:
        seen = []
        for act, _, _ in BOOKS[name]:
            await perform(house, act)
            assert await house.audit() == []
            seen.append((act, (await house.trade("A")).state, await house.balances()))
        return seen

    assert stage.play(scene) == [(act, state, {**TOP_UP, **balances}) for act, state, balances in BOOKS[name]]


def test_a_refund_contract_keeps_an_instant_trade_open(stage: Stage) -> None:
    """With refund days a paid instant trade is finished by the clock, at the end of its term and not before."""

    async def scene(house: House) -> list[str]:
        await house.furnish(merchant=make_merchant(refund_days=3))
        await house.open("A")
        states = []
        for act in ("pay", "wait 2", "wait 1"):
            await perform(house, act)
            states.append((await house.trade("A")).state)
        return states

    assert stage.play(scene, furnished=False) == ["paid", "paid", "finished"]


def test_two_banks_succeed_and_the_second_goes_back(stage: Stage) -> None:
    """Two payments in flight: the first success pays the trade, the second rests in suspense until it is returned."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        first, second = await house.start("A", bank="ICBC"), await house.start("A", bank="CCB")
        said = [(await house.say(number)).what for number in (second, first)]
        resting = await house.balances()
        refund = f"{first[:-1]}R"
        said.append((await house.inquire(refund, "silence")).what)
        said.append((await house.inquire(refund, {"result": "succeeded", "bank_ref": "back"})).what)
        states = [payment.state for payment in await house.payments("A")]
        cases = await house.platform.database.read("case.open", {"most": 9})
        return [said, resting["suspense"], states, cases, await house.balances()]

    end = {"bank ICBC": -PLENTY, "bank CCB": -1_000, "buyer": PLENTY, "pending": 994, "fee": 6}
    said = ["captured", "late", "waiting", "returned"]
    assert stage.play(scene) == [said, 1_000, ["returned", "captured"], [], end]


def test_a_wrong_amount_from_a_bank_is_a_case(stage: Stage) -> None:
    """A success over another sum captures nothing; a person looks at it, once; the right word still counts."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        bank = await house.start("A")
        said = [(await house.say(bank, amount=amount)).what for amount in (999, 100_000, 1_000)]
        cases = await house.platform.database.read("case.open", {"most": 9})
        return [said, len(cases), (await house.trade("A")).state]

    assert stage.play(scene) == [["disputed", "disputed", "captured"], 1, "finished"]


def test_T28_the_same_form_starts_one_payment(stage: Stage) -> None:
    """A form sent twice is one attempt under one number, whichever bank it names the second time (I31)."""

    async def scene(house: House) -> list[Any]:
        trade = await house.open("A")
        handed = [
            await checkout.start_payment(
                house.platform, trade, "debit", bank, "2088000000000099", "one form", "http://back.example/"
            )
            for bank in ("ICBC", "CCB")
        ]
        return [handed[0].instruction_no == handed[1].instruction_no, len(await house.payments("A"))]

    assert stage.play(scene) == [True, 1]


def test_the_merchant_is_who_the_trade_names(stage: Stage) -> None:
    """Fees, pending money and events are the trade's own merchant's."""

    async def scene(house: House) -> Any:
        await house.open("A")
        await house.pay("A")
        return await house.platform.database.read("event.recent", {"most": 9})

    assert [tuple(row) for row in stage.play(scene)] == [(MERCHANT, "A", 1)]


def test_an_instant_trade_releases_no_escrow(stage: Stage) -> None:
    """Confirming a paid instant trade must not pay the merchant out of what another trade holds in escrow (I15)."""

    async def scene(house: House) -> list[str]:
        await house.furnish(merchant=make_merchant(refund_days=3))
        await house.open("E", "escrow")
        await house.pay("E")
        await house.open("A")
        await house.pay("A")
        return [await refusal(house.confirm("A")), await refusal(house.confirm("E"))]

    assert stage.play(scene, furnished=False) == ["TRADE_STATE", "TRADE_STATE"]
