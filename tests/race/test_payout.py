"""Races for a merchant's money, on both databases: payouts, batches and settlement at once."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.service.test_payout import EARNED, FEE, HIM, batch, earn, pay, stand
from tests.support.platform import House, Stage, refusal
from tongbao.service.payout_act import run_batches

CROWD = 64


def test_T40_payouts_take_no_more_than_there_is(stage: Stage) -> None:
    """64 payouts and the same ones again at once, out of a purse for some of them: each is made once or refused."""

    async def scene(house: House) -> tuple[Counter[str], tuple[int, int, int]]:
        await earn(house, 30_000)
        asked = [pay(f"p{n}", HIM, 1_000) for n in range(CROWD)] * 2
        codes = Counter(await asyncio.gather(*[refusal(house.ask(one)) for one in asked]))
        return codes, await stand(house)

    made = 29_820 // (1_000 + FEE)
    codes, left = stage.play(scene, furnished=False)
    assert codes == {"": 2 * made, "MERCHANT_FUNDS": 2 * (CROWD - made)}
    assert left == (29_820 - made * (1_000 + FEE), 0, made * 1_000)


def test_T47_a_batch_asked_for_many_times_runs_once(stage: Stage) -> None:
    """The same batch from eight sides, and three workers at once: every line is paid once."""

    async def scene(house: House) -> tuple[int, int, int]:
        await earn(house)
        wanted = batch(*[(f"{n}", HIM, 100) for n in range(20)])
        assert set(await asyncio.gather(*[refusal(house.ask(wanted)) for _ in range(8)])) == {""}
        await asyncio.gather(*[run_batches(house.platform) for _ in range(3)])
        return await stand(house)

    assert stage.play(scene, furnished=False) == (EARNED - 20 * (100 + FEE), 0, 2_000)
