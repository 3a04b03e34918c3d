"""The loop of the simulation: virtual time, seeded order, processes that die and sleep."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tongbao.sim.loop import Deadlock, Life, Livelock, SimLoop, pause, turn


def test_time_jumps_to_the_next_timer_and_nobody_waits() -> None:
    """A day is over at once."""
    loop = SimLoop(Random(1), 1_000)
    try:
        loop.run_until_complete(pause(86_400))
        assert loop.time() == 86_400
    finally:
        loop.dispose()


def test_the_order_of_ready_tasks_follows_the_seed() -> None:
    """Other seeds, other orders; the same seed, the same order."""

    def order(seed: int) -> list[int]:
        loop, seen = SimLoop(Random(seed), 1_000), list[int]()

        async def say(number: int) -> None:
            seen.append(number)

        async def main() -> None:
            await asyncio.gather(*(say(number) for number in range(6)))

        try:
            loop.run_until_complete(main())
        finally:
            loop.dispose()
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1


def test_a_world_that_waits_for_ever_is_a_deadlock() -> None:
    """Nothing ready, no timer."""
    loop = SimLoop(Random(1), 1_000)

    async def wait() -> None:
        await loop.create_future()

    try:
        with pytest.raises(Deadlock):
            loop.run_until_complete(wait())
    finally:
        loop.dispose()


def test_a_world_that_never_rests_is_a_livelock() -> None:
    """The budget ends it."""
    loop = SimLoop(Random(1), 100)

    async def spin() -> None:
        while True:
            await turn()

    try:
        with pytest.raises(Livelock):
            loop.run_until_complete(spin())
    finally:
        loop.dispose()


def test_a_dead_process_takes_no_step_and_cleans_nothing_up() -> None:
    """Its tasks are dropped, ``finally`` and all."""
    loop, life, seen = SimLoop(Random(1), 1_000), Life("victim", 1), list[str]()

    async def work() -> None:
        try:
            seen.append("began")
            await pause(10)
            seen.append("went on")
        finally:
            if not over:
                seen.append("cleaned up")

    over: list[bool] = []

    async def main() -> None:
        loop.create_task(work(), context=life.context)
        await pause(5)
        life.dead = True
        await pause(100)

    try:
        loop.run_until_complete(main())
        assert seen == ["began"]
    finally:
        over.append(True)
        loop.dispose()


def test_a_paused_process_goes_on_where_it_stood() -> None:
    """Its timers fire while it sleeps, and are heard when it wakes."""
    loop, life, seen = SimLoop(Random(1), 1_000), Life("sleeper", 1), list[float]()

    async def work() -> None:
        await pause(10)
        seen.append(loop.time())

    async def main() -> None:
        loop.create_task(work(), context=life.context)
        await pause(5)
        life.paused = True
        await pause(95)
        loop.wake(life)
        await pause(1)

    try:
        loop.run_until_complete(main())
        assert seen == [100]
    finally:
        loop.dispose()
