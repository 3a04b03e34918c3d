"""A bank's word that cannot be: one case, nothing moves, and the bank is asked again only when a person has looked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.service.test_payout import CARD, earn, number_of, pay
from tests.support.platform import MERCHANT, House, Stage, refusal
from tongbao.kernel.time import DAY
from tongbao.service.correction import CloseCase, DecideCorrection, ProposeCorrection
from tongbao.service.payout import ThrowSwitch
from tongbao.store.schema import CASE, INSTRUCTION

USED = "used before"


async def a_payment(house: House) -> tuple[str, int]:
    """A payment under way, and its sum; another has the reference ``USED``."""
    await house.open("B")
    await house.say(await house.start("B"), ref=USED)
    await house.open("C")
    return await house.start("C"), 1_000


async def a_refund(house: House) -> tuple[str, int]:
    """A refund out of escrow under way; another has the reference ``USED``."""
    numbers = []
    for name in ("B", "C"):
        await house.open(name, "escrow")
        number = await house.start(name)
        await house.say(number)
        await house.refund(name, 600)
        numbers.append(f"{number[:-1]}R0001")
    await house.say(numbers[0], amount=600, ref=USED)
    return numbers[1], 600


async def a_payout(house: House) -> tuple[str, int]:
    """A payout under way; another has the reference ``USED``."""
    for number in ("p1", "p2"):
        await house.ask(pay(number, CARD))
    await house.inquire(await number_of(house, "p1"), {"result": "succeeded", "bank_ref": USED})
    return await number_of(house, "p2"), 1_000


Make = Callable[[House], Awaitable[tuple[str, int]]]
EACH = pytest.mark.parametrize(("make", "ended"), [(a_payment, "captured"), (a_refund, "returned"), (a_payout, "paid")])


async def due(house: House, number: str) -> bool:
    """Whether the next rounds of a year would ask the bank about it."""
    later = {"now": house.clock.now + 365 * DAY, "most": 99}
    return (number,) in [tuple(row) for row in await house.platform.database.read("instruction.due", later)]


async def looks(house: House, number: str) -> list[str]:
    """The states of the instruction and of its case."""
    (row,) = await house.platform.database.load(INSTRUCTION, [(number,)])
    cases = await house.platform.database.load(CASE, [(f"amount:{number}",)])
    return [row.state, *[case.state for case in cases]]


@EACH
@pytest.mark.slow
def test_I11_a_reference_that_another_has_holds_the_instruction(make: Make, ended: str, stage: Stage) -> None:
    """One case, however often the bank says it and whoever brings it; no round asks any more, no silence puts it among
    what is asked about. A person closes the case: the bank is asked once, and holds it again or ends it."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        number, amount = await make(house)
        word = {"result": "succeeded", "bank_ref": USED, "amount": amount}
        said = [(await house.inquire(number, word)).what for _ in range(2)]
        said += [(await house.say(number, amount=amount, ref=USED)).what]
        said += [(await house.inquire(number, answer)).what for answer in ("silence", {"result": "pending"})]
        seen: list[Any] = [said, await looks(house, number), await due(house, number)]
        close = CloseCase(f"amount:{number}", "otto", "the bank has mended it, it says")
        await house.submit(close)
        seen += [await looks(house, number), await due(house, number), await refusal(house.submit(close))]
        seen += [(await house.inquire(number, word)).what, await looks(house, number), await due(house, number)]
        await house.submit(close)
        last = await house.inquire(number, {**word, "bank_ref": "its own"})
        return [*seen, last.what, await looks(house, number), await due(house, number)]

    held, asked = ["unknown", "open"], ["unknown", "closed"]
    assert stage.play(scene, furnished=False) == [
        [*["disputed"] * 3, "waiting", "waiting"],
        *(held, False),
        *(asked, True, "STATE_CONFLICT"),
        *("disputed", held, False),
        *(ended, ["succeeded", "closed"], False),
    ]


@EACH
@pytest.mark.slow
def test_T27_another_sum_holds_the_instruction(make: Make, ended: str, sqlite_stage: Stage) -> None:
    """The same for a sum that is not the instruction's own; a correction that is posted for the case ends it, too."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        number, amount = await make(house)
        word = {"result": "succeeded", "bank_ref": "its own", "amount": amount + 1}
        seen: list[Any] = [(await house.inquire(number, word)).what, await due(house, number)]
        fee, available = "platform:0:fee:CNY", f"merchant:{MERCHANT}:available:CNY"
        await house.submit(ProposeCorrection("k", f"amount:{number}", fee, available, 1, "maria", "lost", MERCHANT))
        await house.submit(DecideCorrection("k", True, "carla"))
        seen += [await looks(house, number), await due(house, number)]
        return [*seen, (await house.inquire(number, {**word, "amount": amount})).what]

    expected = ["disputed", False, ["unknown", "closed"], True, ended]
    assert sqlite_stage.play(scene, furnished=False) == expected


@EACH
@pytest.mark.parametrize("word", [{"amount": 999}, {"ref": USED}])
@pytest.mark.slow
def test_T27_a_no_after_a_yes_that_could_not_be_is_held(
    make: Make, ended: str, word: dict[str, Any], sqlite_stage: Stage
) -> None:
    """Nothing is given back on it, whoever brings it; when a person has closed the case, the bank's no ends it."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        number, amount = await make(house)
        await house.say(number, **{"amount": amount, "ref": "its own", **word})
        before = await house.balances()
        said = [(await house.say(number, "failed")).what, (await house.inquire(number, {"result": "failed"})).what]
        seen: list[Any] = [said, await house.balances() == before, await looks(house, number)]
        await house.submit(CloseCase(f"amount:{number}", "otto", "it has not paid"))
        last = await house.inquire(number, {"result": "failed"})
        return [*seen, last.what, await looks(house, number)]

    expected = [["disputed"] * 2, True, ["unknown", "open"], "failed", ["failed", "closed"]]
    assert sqlite_stage.play(scene, furnished=False) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("word", "what"), [("succeeded", "paid"), ("failed", "failed")])
def test_a_stopped_payout_is_asked_about_and_never_sent_again(word: str, what: str, stage: Stage) -> None:
    """A bank that did not answer and does not know the payout hears of it again when payouts go on, under the same
    number, and not before; what it knows it may end also while they are stopped."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        for number in ("p1", "p2"):
            await house.ask(pay(number, CARD))
        first, second = await number_of(house, "p1"), await number_of(house, "p2")
        seen: list[Any] = [(await house.inquire(number, "silence")).what for number in (first, second)]
        await house.submit(ThrowSwitch(True, "olga", "something is wrong"))
        seen += [(await house.inquire(first, {"result": "not_found"})).what for _ in range(2)]
        seen += [await due(house, first), (await house.inquire(second, {"result": word, "bank_ref": "r2"})).what]
        sent = [request.raw_path.rsplit(b"/", 1)[1].decode() for request in house.bank.requests]
        await house.submit(ThrowSwitch(False, "olga", "found"))
        seen.append((await house.inquire(first)).what)
        again = [request.raw_path.rsplit(b"/", 1)[1].decode() for request in house.bank.requests[len(sent) :]]
        return [*seen, sent, again]

    sent = ["payout"] * 2 + ["inquiry"] * 3
    expected = [*["waiting"] * 4, True, what, "waiting", sent, ["inquiry", "payout"]]
    assert stage.play(scene, furnished=False) == expected
