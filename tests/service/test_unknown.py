"""F28, F29, I17: an outcome that nobody knows is asked for again and again, and never taken for a failure too soon."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.platform import House, Stage
from tongbao.kernel.time import DAY, HOUR, MINUTE, SECOND
from tongbao.service.bank import HORIZON, INQUIRE_GAPS
from tongbao.store.schema import INSTRUCTION


async def instruction(house: House, number: str) -> Any:
    """The instruction as it stands."""
    return (await house.platform.database.load(INSTRUCTION, [(number,)]))[0]


def test_F28_silence_is_unknown_and_asked_again_at_growing_intervals(stage: Stage) -> None:
    """Nothing fails by silence; the gaps grow and then stay; after 15 minutes there is a case, which success closes."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        number = await house.start("A")
        gaps, cases = [], []
        for _ in range(7):
            await house.inquire(number, "silence")
            row = await instruction(house, number)
            assert row.state == "unknown"
            gaps.append(row.inquire_at - house.clock.now)
            house.clock.now = row.inquire_at
            cases.append(len(await house.platform.database.read("case.open", {"most": 9})))
        said = await house.inquire(number, {"result": "succeeded", "bank_ref": "r"})
        return [gaps, cases, said.what, await house.platform.database.read("case.open", {"most": 9})]

    expected = [*INQUIRE_GAPS, INQUIRE_GAPS[-1], INQUIRE_GAPS[-1]]
    assert stage.play(scene) == [expected, [0, 0, 0, 0, 0, 1, 1], "captured", []]


@pytest.mark.parametrize(("waited", "what"), [(HORIZON - SECOND, "waiting"), (HORIZON, "failed"), (DAY, "failed")])
def test_F29_not_found_is_failure_only_after_the_horizon(waited: int, what: str, stage: Stage) -> None:
    """A bank that does not know of it yet may know of it later."""

    async def scene(house: House) -> list[str]:
        await house.open("A")
        number = await house.start("A")
        house.clock.advance(waited)
        said = await house.inquire(number, {"result": "not_found"})
        late = await house.say(number)
        return [said.what, late.what]

    assert stage.play(scene) == [what, "captured" if what == "waiting" else "late"]


@pytest.mark.parametrize("closed", [True, False])
def test_F29_an_outlet_waits_for_the_end_of_the_trade(closed: bool, stage: Stage) -> None:
    """Cash may come hours later: "not found" is failure once the trade has ended."""

    async def scene(house: House) -> str:
        await house.open("A")
        number = await house.start("A", "outlet", "")
        house.clock.advance(9 * HOUR)
        if closed:
            await house.close("A")
        return (await house.inquire(number, {"result": "not_found"})).what

    assert stage.play(scene) == ("failed" if closed else "waiting")


def test_F28_an_answer_about_something_else_is_no_answer(stage: Stage) -> None:
    """A bank that speaks of another instruction has not spoken."""

    async def scene(house: House) -> list[str]:
        await house.open("A")
        number = await house.start("A")
        said = await house.inquire(number, {"result": "succeeded", "instruction_no": "other"})
        return [said.what, (await instruction(house, number)).state]

    assert stage.play(scene) == ["waiting", "unknown"]


def test_F28_a_refund_is_asked_about_and_repeated_only_where_it_is_not_known(stage: Stage) -> None:
    """Late money goes back under one number: sent, asked about, and sent again where the bank never heard of it; a bank
    that says no leaves the case open, and opens another for somebody to act on."""

    async def scene(house: House) -> list[Any]:
        await house.open("A")
        number = await house.start("A")
        await house.close("A")
        await house.say(number)
        refund = f"{number[:-1]}R"
        said = [
            (await house.inquire(refund, word)).what
            for word in ("silence", {"result": "pending"}, {"result": "not_found"})
        ]
        said.append((await house.inquire(refund, {"result": "failed"})).what)
        said.append((await house.inquire(refund, {"result": "succeeded"})).what)
        cases = await house.platform.database.read("case.open", {"most": 9})
        acts = [request.raw_path.rsplit(b"/", 1)[1].decode() for request in house.bank.requests]
        return [said, len(cases), (await house.balances())["suspense"], acts]

    acts = ["refund", "inquiry", "inquiry", "refund", "inquiry"]
    assert stage.play(scene) == [["waiting", "waiting", "waiting", "failed", "repeated"], 2, 1_000, acts]


def test_F30_books_never_go_back_in_time(stage: Stage) -> None:
    """The clock is set back between two payments: the later entry is not earlier (I40), and nothing expires twice."""

    async def scene(house: House) -> list[int]:
        await house.open("A")
        await house.open("B")
        house.clock.advance(HOUR)
        await house.pay("A")
        house.clock.advance(-DAY)
        await house.pay("B")
        stage_rows = await house.platform.database.read("audit.lanes")
        assert len(stage_rows) == 1
        first, second = (await house.trade("A")).paid_at, (await house.trade("B")).paid_at
        house.clock.advance(DAY + MINUTE)
        assert first is not None
        assert second is not None
        return [second - first]

    assert stage.play(scene) == [0]
