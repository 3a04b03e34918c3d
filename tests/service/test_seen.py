"""Repeats of signed requests: refused by every process over the books, after a restart too; forgotten in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.test_payout import EARNED, FEE, HIM, earn, pay, stand
from tests.support.platform import MERCHANT, PROTOCOL, House, Stage
from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.time import SECOND
from tongbao.service.act import act
from tongbao.service.once import WINDOW_SECONDS
from tongbao.service.payout import ThrowSwitch
from tongbao.service.seen import FORGET_MOST, TakeWord
from tongbao.wire.contract import Verified
from tongbao.wire.movement import QueryBalance
from tongbao.worker.duty import Worker

pytestmark = pytest.mark.slow

PAID = (EARNED - 1_000 - FEE, 0, 1_000)


async def ask(house: House, intent: Any, word: str) -> str:
    """What a verified request with this nonce comes to: ``done``, or why not."""
    try:
        await act(house.platform, PROTOCOL, Verified(intent, None, word))
    except (Refused, RemoteProtocolError) as error:
        return error.code
    return "done"


def test_T24_a_refused_request_is_not_carried_out_when_it_is_repeated(stage: Stage) -> None:
    """It left no number behind, and what it was refused for is over. Yet its repeat is one, also for another process
    that began later, and moves nothing; the merchant's own new request is none."""
    request = pay("p1", HIM)

    async def scene() -> list[Any]:
        async with stage.open_house() as first:
            await earn(first)
            await first.submit(ThrowSwitch(True, "olga", "a rehearsal"))
            seen: list[Any] = [await ask(first, request, "1:a"), await ask(first, request, "1:a")]
            await first.submit(ThrowSwitch(False, "olga", "it is over"))
        async with stage.open_house(seed=2) as second:
            seen += [await ask(second, request, "1:a"), await stand(second)]
            seen += [await ask(second, request, "1:b"), await stand(second)]
            seen += [await ask(second, request, "1:b"), await stand(second), await second.audit()]
        return seen

    nothing = (EARNED, 0, 0)
    assert asyncio.run(scene()) == ["SYSTEM", "STALE", "STALE", nothing, "done", PAID, "STALE", PAID, []]


def test_T24_many_repeats_at_two_processes_have_one_effect(postgresql_stage: Stage) -> None:
    """Sixty-four at a time, half of them at either: one is carried out. A look is let through once at each."""

    async def scene() -> list[Any]:
        async with (
            postgresql_stage.open_house() as left,
            postgresql_stage.open_house(lane=1, seed=2, holder="right", embedded=False) as right,
        ):
            await earn(left)
            both = [left, right] * 32
            said = await asyncio.gather(*[ask(house, pay("p1", HIM), "2:a") for house in both])
            looks = await asyncio.gather(*[ask(house, QueryBalance(merchant=MERCHANT), "2:b") for house in both])
            counts = [(answers.count("done"), answers.count("STALE")) for answers in (said, looks)]
            return [*counts, await stand(left), await left.audit()]

    assert asyncio.run(scene()) == [(1, 63), (2, 62), PAID, []]


def test_words_are_forgotten_when_nobody_can_send_them_again(stage: Stage) -> None:
    """The worker takes them away after the window and not before, however many there are."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        taken = await asyncio.gather(*[house.submit(TakeWord(f"{n:064}")) for n in range(FORGET_MOST + 1)])
        assert all(taken)
        worker = Worker(house.platform)
        seen = [await worker.run_words(), await house.submit(TakeWord("0" * 64))]
        house.clock.pass_wire((WINDOW_SECONDS + 1) * SECOND)
        later = Worker(house.platform)
        seen += [await later.run_words(), await later.run_words(), await later.run_words()]
        return [*seen, await house.submit(TakeWord("0" * 64))]

    assert stage.play(scene, furnished=False) == [0, False, FORGET_MOST, 1, 0, True]
