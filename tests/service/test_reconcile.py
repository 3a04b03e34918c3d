"""The books against banks' statements: I29, F51, F52. Nothing that does not agree is absorbed in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.platform import BUYER, MERCHANT, House, Stage, make_merchant, refusal
from tests.support.world import START
from tongbao.kernel.error import OutcomeUnknown
from tongbao.kernel.time import DAY, HOUR, Instant, business_date, business_day, later
from tongbao.service.channel import StatementLine
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.correction import CloseCase, DecideCorrection, ProposeCorrection
from tongbao.service.movement import bounds
from tongbao.service.reconcile import Reconciler, reconcile_bank
from tongbao.store.schema import CASE, TRADE_RETURN
from tongbao.trade.refund import TradeReturn

TODAY = business_date(START)
NUMBER = business_day(START)
TOMORROW = business_date(later(START, DAY))
FUND = StatementLine("f", "fund", f"first {BUYER}", 1_000_000, "CNY", True, START)


async def three(house: House) -> list[StatementLine]:
    """Three payments by card, and the statement that is true."""
    lines = [FUND]
    for name in ("A", "B", "C"):
        await house.open(name)
        number = await house.start(name)
        await house.say(number)
        lines.append(StatementLine(f"r{name}", "pay", number, 1_000, "CNY", True, house.clock.now))
    return lines


def put(house: House, lines: list[StatementLine], day: int = NUMBER) -> None:
    """What the bank will tell of a day."""
    house.bank.statements["ICBC", day] = lines


async def compare(house: House, day: Any = TODAY) -> list[Any]:
    """Compare a day; (matched, [(what, side, number's last letter, money)])."""
    compared = await reconcile_bank(house.platform, "ICBC", day)
    found = [(one.what, one.side, one.number, one.money) for one in compared.findings]
    return [compared.statement.matched, found]


def test_I29_a_true_statement_agrees(stage: Stage) -> None:
    """Every line of both sides matches; the day is compared once, and another statement of it is refused."""

    async def scene(house: House) -> list[Any]:
        lines = await three(house)
        put(house, lines)
        early = await refusal(reconcile_bank(house.platform, "ICBC", TODAY))
        house.clock.advance(DAY)
        said = [early, await compare(house), await compare(house)]
        put(house, lines[:-1])
        return [*said, await refusal(reconcile_bank(house.platform, "ICBC", TODAY))]

    assert stage.play(scene) == ["BILL_NOT_READY", [4, []], [4, []], "STATE_CONFLICT"]


def test_F52_every_difference_is_a_case_and_its_money_in_suspense(stage: Stage) -> None:
    """Planted: one dropped, one with another sum, one doubled, one of a stranger; what the bank has on top rests in
    suspense until two operators have said where it belongs, and then the case is closed."""

    async def scene(house: House) -> list[Any]:
        fund, first, second, third = await three(house)
        stranger = replace(third, ref="rS", number="S", amount=70)
        put(house, [fund, replace(second, amount=1_005), third, replace(third, ref="rD"), stranger])
        house.clock.advance(DAY)
        _, found = await compare(house)
        names = {first.number: "A", second.number: "B", third.number: "C", "S": "S"}
        said = [(what, side, names[number], money) for what, side, number, money in found]
        resting = (await house.balances())["suspense"]
        case = f"statement:ICBC:{NUMBER}:pay:S"
        ends = ("platform:0:suspense:CNY", "platform:0:fee:CNY")
        await house.submit(ProposeCorrection("C1", case, *ends, 70, "maker", "a gift"))
        own = await refusal(house.submit(DecideCorrection("C1", True, "maker")))
        await house.submit(DecideCorrection("C1", True, "checker"))
        cases = await house.platform.database.load(CASE, [(case,)])
        return [said, resting, own, (await house.balances())["suspense"], cases[0].state]

    assert stage.play(scene) == [
        [
            ("amount_differs", "here", "B", 5),
            ("duplicate", "here", "C", 1_000),
            ("missing_here", "there", "S", 70),
            ("missing_there", "here", "A", 0),
        ],
        1_075,
        "MAKER_IS_CHECKER",
        1_005,
        "closed",
    ]


def back(ref: str, number: str, amount: int, at: Instant) -> StatementLine:
    """The bank has taken a payment back."""
    return StatementLine(ref, "chargeback", number, amount, "CNY", False, at)


@pytest.mark.slow
def test_I29_a_statement_enters_its_chargebacks(stage: Stage) -> None:
    """The merchant bears what the bank says it took back, in parts too, once for each reference, and cannot refund it
    again; the next day's comparison finds both sides. What names no payment, or exceeds it, rests in suspense."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        lines = await three(house)
        first, second = lines[1].number, lines[2].number
        lines += [back("b1", first, 300, house.clock.now), back("b2", first, 100, house.clock.now)]
        lines += [back("b3", second, 1_001, house.clock.now), back("b4", "nobody's", 70, house.clock.now)]
        put(house, lines)
        house.clock.advance(DAY)
        seen = await compare(house)
        put(house, [*lines, back("b5", first, 200, house.clock.now)])
        assert await refusal(reconcile_bank(house.platform, "ICBC", TODAY)) == "STATE_CONFLICT"
        returns: list[TradeReturn] = await house.platform.database.load(TRADE_RETURN, [(MERCHANT, "A")])
        seen += [returns[0].charged_back, await refusal(house.refund("A", 601)), (await house.balances())["suspense"]]
        house.clock.advance(DAY)
        put(house, [], business_day(later(START, DAY)))
        return [*seen, await compare(house, TOMORROW)]

    assert stage.play(scene, furnished=False) == [
        4,
        [
            ("waiting", "there", "b1", 0),
            ("waiting", "there", "b2", 0),
            ("missing_here", "there", "b3", -1_001),
            ("missing_here", "there", "b4", -70),
        ],
        400,
        "REFUND_EXCEEDS",
        -1_071,
        [2, []],
    ]


@pytest.mark.slow
def test_I29_a_chargeback_that_people_entered_agrees_with_its_statement(sqlite_stage: Stage) -> None:
    """Also where the merchant bears it out of several accounts; it is not entered twice."""

    async def scene(house: House) -> list[Any]:
        lines = await three(house)
        for line, name in zip(lines[1:4], "ABC", strict=True):
            of = (line.number, MERCHANT, name, 1_000)
            await house.submit(TakeChargeback("ICBC", f"b{name}", *of, "olga", "otto", "denied"))
            lines.append(back(f"b{name}", line.number, 1_000, house.clock.now))
        put(house, lines)
        house.clock.advance(DAY)
        return [*await compare(house), (await house.balances())["receivable"]]

    assert sqlite_stage.play(scene) == [7, [], -18]


@pytest.mark.parametrize("more", [True, False])
def test_F52_money_in_suspense_is_explained_until_all_of_it_has_left(more: bool, sqlite_stage: Stage) -> None:
    """A case that money rests for is not closed by hand, nor by an entry of a part or between other accounts."""

    async def scene(house: House) -> list[Any]:
        lines = await three(house)
        stranger = replace(lines[-1], ref="rS", number="S", amount=70, kind="pay" if more else "refund", income=more)
        put(house, [*lines, stranger])
        house.clock.advance(DAY)
        await compare(house)
        case = f"statement:ICBC:{NUMBER}:{stranger.kind}:S"
        rest, other = "platform:0:suspense:CNY", "platform:0:loss:CNY"
        debit, credit = (rest, other) if more else (other, rest)
        said = [await refusal(house.submit(CloseCase(case, "checker", "looked at it")))]
        wrong = ((debit, credit, 69), (debit, credit, 71), (credit, debit, 70), (other, "platform:0:fee:CNY", 70))
        said += [await refusal(house.submit(ProposeCorrection("C1", case, *move, "maker", "why"))) for move in wrong]
        await house.submit(ProposeCorrection("C1", case, debit, credit, 70, "maker", "nobody's"))
        await house.submit(DecideCorrection("C1", True, "checker"))
        return [*said, (await house.balances()).get("suspense", 0)]

    assert sqlite_stage.play(scene) == ["STATE_CONFLICT", *["FIELD_INVALID"] * 4, 0]


def test_F32_what_stands_near_midnight_waits_for_the_next_statement(stage: Stage) -> None:
    """A payment of ours that the bank enters a day later, and one of the bank's that we heard of a day later, agree on
    the second day; a lone line that never comes is a case then."""

    async def scene(house: House) -> list[Any]:
        _, midnight = bounds(TODAY)
        await house.open("early")
        early = await house.start("early")
        house.clock.advance(midnight - house.clock.business() - HOUR)
        lines, numbers = [FUND], {early: "early"}
        for name in ("late", "never"):
            await house.open(name)
            number = await house.start(name)
            await house.say(number)
            numbers[number] = name
        late = StatementLine(
            "r2", "pay", next(n for n in numbers if numbers[n] == "late"), 1_000, "CNY", True, midnight
        )
        put(house, [*lines, StatementLine("r1", "pay", early, 1_000, "CNY", True, house.clock.now)])
        house.clock.advance(2 * HOUR)
        first = await compare(house)
        paid = (await house.trade("early")).state
        put(house, [late], business_day(midnight))
        house.clock.advance(DAY)
        second = await compare(house, TOMORROW)
        return [
            first[0],
            sorted((what, side, numbers[number], money) for what, side, number, money in first[1]),
            paid,
            second[0],
            [(what, side, numbers[number], money) for what, side, number, money in second[1]],
        ]

    assert stage.play(scene) == [
        1,
        [("waiting", "here", "late", 0), ("waiting", "here", "never", 0), ("waiting", "there", "early", 0)],
        "finished",
        2,
        [("missing_there", "here", "never", 0)],
    ]


def test_F51_the_duty_compares_every_day_once(stage: Stage) -> None:
    """Oldest first, from the day a bank first owed us something; a bank that is silent is asked again an hour later."""

    async def scene(house: House) -> list[Any]:
        lines = await three(house)
        duty = Reconciler(house.platform)
        said: list[Any] = [await duty.round()]
        house.clock.advance(DAY)
        due = await duty.next_due()
        said += [await duty.round(), await duty.next_due() == later(house.clock.business(), HOUR)]
        put(house, lines)
        said.append(await duty.round())
        house.clock.advance(HOUR)
        said.append(await duty.round())
        rows = await house.platform.database.read("statement.all", {"most": 10})
        return [
            due == later(Instant(bounds(TODAY)[1]), 30_000),
            *said,
            [(row[0], row[1], row[3], row[6]) for row in rows],
        ]

    assert stage.play(scene) == [True, 0, 0, True, 0, 1, [("ICBC", NUMBER, 4, 4)]]


def test_I45_a_bank_that_never_owed_us_anything_is_asked_as_well(stage: Stage) -> None:
    """It took a payment and told of another sum, which was not believed: only its statement says what it has."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        number = await house.start("A", bank="CMB")
        await house.say(number, amount=999)
        put(house, [FUND])
        house.bank.statements["CMB", NUMBER] = [
            StatementLine("r1", "pay", number, 1_000, "CNY", True, house.clock.now),
        ]
        house.clock.advance(DAY)
        done = await Reconciler(house.platform).round()
        balances = await house.balances()
        return [done, balances["bank CMB"], balances["pending"], (await house.trade("A")).state]

    assert stage.play(scene) == [2, -1_000, 994, "finished"]


def test_F51_a_silent_bank_changes_nothing(stage: Stage) -> None:
    """No statement is no statement: the outcome is unknown, and nothing is written."""

    async def scene(house: House) -> list[Any]:
        await three(house)
        house.clock.advance(DAY)
        try:
            await reconcile_bank(house.platform, "ICBC", TODAY)
        except OutcomeUnknown:
            return await house.platform.database.read("statement.all", {"most": 10})
        return ["it spoke"]

    assert stage.play(scene) == []
