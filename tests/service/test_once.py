"""T44, I30: idempotency keys: the first answer again, or a refusal by name."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.platform import BUYER, PLENTY, House, Stage, make_buyer
from tongbao.kernel.error import Refused
from tongbao.service.command import Once
from tongbao.service.party import RegisterBuyer, TopUp

COMMAND = TopUp(BUYER, 700, "CNY", "ICBC", "cause", "teller")
REFUSED = TopUp("2088000000000066", 700, "CNY", "ICBC", "cause", "teller")


async def said(house: House, command: Any) -> Any:
    """The outcome, or the refusal as text."""
    try:
        return await house.submit(command)
    except Refused as refused:
        return str(refused)


@pytest.mark.parametrize(
    ("second", "answer", "effects"),
    [
        (Once("a", "k", COMMAND), 700, 1),
        (Once("a", "k", replace(COMMAND, amount=701)), "IDEMPOTENCY_CONFLICT", 1),
        (Once("a", "k", replace(COMMAND, key="other")), "IDEMPOTENCY_CONFLICT", 1),
        (Once("a", "k", replace(COMMAND, actor="other")), "IDEMPOTENCY_CONFLICT", 1),
        (Once("a", "k", RegisterBuyer(make_buyer("2088000000000067"))), "IDEMPOTENCY_CONFLICT", 1),
        (Once("a", "k2", replace(COMMAND, key="other")), 700, 2),
        (Once("b", "k", replace(COMMAND, key="other")), 700, 2),
        (Once("", "ak", replace(COMMAND, key="other")), 700, 2),
    ],
)
def test_T44_a_key_used_again(second: Once, answer: Any, effects: int, stage: Stage) -> None:
    """Same key and command: the first answer; another command: a conflict; another scope or key: a new act."""

    async def scene(house: House) -> list[Any]:
        first = await said(house, Once("a", "k", COMMAND))
        again = await said(house, second)
        if isinstance(again, str):
            again = again.split(":")[0]
        return [first, again, (await house.balances())["buyer"] - PLENTY]

    assert stage.play(scene) == [700, answer, 700 * effects]


def test_T44_a_refusal_is_an_answer_too(stage: Stage) -> None:
    """A refused command is refused again in the same words, even when it would succeed by now."""

    async def scene(house: House) -> list[Any]:
        first = await said(house, Once("a", "k", REFUSED))
        await house.add_buyer(make_buyer("2088000000000066"), 0)
        return [first, await said(house, Once("a", "k", REFUSED)), await said(house, REFUSED)]

    first, second, without = stage.play(scene)
    assert first == second
    assert (first.split(":")[0], without) == ("BUYER_UNKNOWN", 700)


@pytest.mark.parametrize("crowd", [2, 64])
def test_T44_one_key_at_once(crowd: int, stage: Stage) -> None:
    """Many senders of one key in one moment: one effect, one answer for all."""

    async def scene(house: House) -> list[Any]:
        answers = await asyncio.gather(*[said(house, Once("a", "k", COMMAND)) for _ in range(crowd)])
        return [set(answers), (await house.balances())["buyer"] - PLENTY]

    assert stage.play(scene) == [{700}, 700]


@pytest.mark.slow
def test_T44_one_key_on_two_nodes(postgresql_stage: Stage) -> None:
    """The same over two committers of one database."""

    async def whole() -> list[Any]:
        async with postgresql_stage.open_house() as left, postgresql_stage.open_house(lane=1) as right:
            await left.furnish()
            keys = [f"k{number}" for number in range(10)]
            answers = await asyncio.gather(
                *[
                    said(house, Once("a", key, replace(COMMAND, key=key)))
                    for key in keys
                    for house in (left, right, left, right)
                ]
            )
            assert await left.audit() == []
            return [set(answers), (await left.balances())["buyer"] - PLENTY]

    assert asyncio.run(whole()) == [{700}, 7_000]
