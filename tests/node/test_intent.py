"""The intent test on two nodes: what clients wanted, what they were told, and what became of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

import pytest

from tests.support.platform import BUYER, House, Stage
from tongbao.kernel.error import Refused
from tongbao.service.party import TopUp

CLIENTS: Final = 12
WISHES: Final = 10
TRIES: Final = 6


class Client:
    """Sends each wish to either node, walks away from half of the answers, and asks again until it knows. ``name``
    gives the key for the n-th try of a wish."""

    def __init__(self, number: int, seed: int, nodes: list[House], name: Callable[[str, int], str]) -> None:
        self.chance = Random(f"{seed} {number}")
        self.nodes = nodes
        self.name = name
        self.told = {f"wish {number} {place}": "" for place in range(WISHES)}
        self.left: list[asyncio.Task[Any]] = []

    async def live(self) -> None:
        """One wish after another."""
        for wish in self.told:
            for place in range(TRIES):
                self.told[wish] = await self._ask(self.name(wish, place))
                if self.told[wish] != "unknown":
                    break
        await asyncio.gather(*self.left, return_exceptions=True)

    async def _ask(self, key: str) -> str:
        command = TopUp(BUYER, 1, "CNY", "ICBC", key, "teller")
        task = asyncio.ensure_future(self.chance.choice(self.nodes).submit(command))
        patience = self.chance.choice((0, 0.002, 0.01, 30, 30))
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            self.left.append(task)
            return "unknown"
        try:
            await task
        except Refused as refusal:
            return "done" if refusal.code == "ALREADY_EXISTS" else "refused"
        return "done"


def play(stage: Stage, seed: int, name: Callable[[str, int], str]) -> tuple[dict[str, str], Counter[str]]:
    """The wishes with what was told last, and how often each had an effect."""

    async def scene() -> dict[str, str]:
        async with stage.open_house(lane=0) as first, stage.open_house(lane=1, seed=2) as second:
            await first.furnish()
            clients = [Client(number, seed, [first, second], name) for number in range(CLIENTS)]
            await asyncio.gather(*(client.live() for client in clients))
            assert await first.audit() == []
            return {wish: told for client in clients for wish, told in client.told.items()}

    told = asyncio.run(scene())
    effects = Counter[str]()
    for (key,) in stage.execute("SELECT key FROM entry WHERE kind = 'topup'"):
        with suppress(StopIteration):
            effects[next(wish for wish in told if f"{key}|".startswith((f"topup:{wish}|", f"topup:{wish} again")))] += 1
    return told, effects


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 22))])
def test_T40_F07_the_intent_test_on_two_nodes(postgresql_stage: Stage, seed: int) -> None:
    """Told yes: one effect. Told nothing: one at most. Nobody is refused: whoever repeats himself under one key has
    done it before, at whichever node."""
    told, effects = play(postgresql_stage, seed, lambda wish, place: wish)
    assert "refused" not in told.values()
    assert [wish for wish, word in told.items() if word == "done" and effects[wish] != 1] == []
    assert [wish for wish in told if effects[wish] > 1] == []
    assert sum(word == "done" for word in told.values()) > CLIENTS


@pytest.mark.slow
def test_T40_the_intent_test_fails_with_a_new_key_for_every_try(postgresql_stage: Stage) -> None:
    """The twin that must fail: the books are in balance, and money has moved twice."""
    told, effects = play(postgresql_stage, 1, lambda wish, place: f"{wish} again {place}" if place else wish)
    assert [wish for wish in told if effects[wish] > 1] != []
