"""Two nodes on one PostgreSQL: the bank test and the twin that must fail, a lane's takeover, one shop at both."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg
import pytest

from tests.kill.load import CLIENTS, Book, Child, Load, furnish, judge
from tests.support.platform import (
    BUYER,
    MERCHANT,
    PAY_PASSWORD,
    PLENTY,
    House,
    Stage,
    ignore,
    make_buyer,
    refusal,
)
from tongbao.kernel.error import Refused
from tongbao.ledger.account import Account
from tongbao.service import checkout
from tongbao.service.party import TopUp
from tongbao.service.pay import PayFromBalance
from tongbao.store.commit import LEASE
from tongbao.store.committer import Stopped
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.step import Fenced, Observer, Step, Together
from tongbao.store.step import Load as LoadStep
from tongbao.store.table import Table

BUYERS = [f"208800000000080{n}" for n in range(6)]
MONEY = 3_000

UNLOCKED = Table("account", Account, ("code",), rank=13, stage=4, frozen=("currency", "opened_at"), locked=False)
"""The accounts as a careless node would read them."""


class UnlockedDatabase(PostgresqlDatabase):
    """A driver that has lost the lock on accounts: the twin that must fail."""

    async def _execute(self, connection: Any, step: Step) -> Any:
        if isinstance(step, Together):
            step = Together([unlock(single) for single in step.steps])
        return await super()._execute(connection, unlock(step))


def unlock(step: Any) -> Any:
    """A load of accounts without its locks."""
    if isinstance(step, LoadStep) and step.table.name == "account":
        return LoadStep(UNLOCKED, step.keys)
    return step


class UnlockedStage(Stage):
    """A stage whose nodes all use it."""

    def database(self, observe: Observer = ignore) -> PostgresqlDatabase:
        return UnlockedDatabase(self.where, observe=observe)


@dataclass
class Reader:
    """Takes whole snapshots of all accounts while others write: the sum is nothing, nobody is below zero, nobody is
    missing."""

    dsn: str
    stopping: threading.Event = field(default_factory=threading.Event)
    snapshots: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        least = 0
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            while not self.stopping.is_set():
                row = connection.execute(
                    "SELECT COALESCE(SUM(balance), 0), COUNT(*),"
                    " COUNT(*) FILTER (WHERE balance < 0 AND code LIKE 'buyer:%') FROM account"
                ).fetchone()
                assert row is not None
                total, many, poor = row
                self.snapshots += 1
                if total or poor or many < least:
                    self.wrong.append(f"sum {total}, accounts {many} after {least}, below zero {poor}")
                least = many


def in_own_loop(scene: Callable[[], Awaitable[None]], failures: list[BaseException]) -> threading.Thread:
    """A node of its own: a thread with its own loop and its own connections."""

    async def whole() -> None:
        await scene()

    def work() -> None:
        try:
            asyncio.run(whole())
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


async def storm(
    house: House, node: int, seed: int, acts: int, buyers: list[str], start: threading.Barrier
) -> Counter[str]:
    """Random payments and top-ups of ``buyers``, many at once, all to one merchant; how they ended."""
    chance = Random(seed * 10 + node)
    ends: Counter[str] = Counter()
    words = []
    for number in range(acts):
        buyer = chance.choice(buyers)
        name = f"N{node}-{number}"
        trade = await house.open(name, amount=chance.randrange(1, 900))
        words.append((name, buyer, await checkout.authorise(house.platform, buyer, "pay", trade, PAY_PASSWORD)))
    todo: list[Any] = [PayFromBalance(MERCHANT, name, buyer, word) for name, buyer, word in words]
    todo += [
        TopUp(chance.choice(buyers), chance.randrange(1, 300), "CNY", "ICBC", f"more {node}-{number}", "teller")
        for number in range(acts // 2)
    ]
    chance.shuffle(todo)
    await asyncio.to_thread(start.wait)
    for first in range(0, len(todo), 10):
        codes = await asyncio.gather(*[refusal(house.submit(one)) for one in todo[first : first + 10]])
        ends.update(code or "done" for code in codes)
    return ends


def play_bank(stage: Stage, seed: int, acts: int, *, apart: bool = False) -> tuple[Counter[str], Reader, list[str]]:
    """Furnish, let two nodes storm under a reader's eyes; the ends, the reader, and what the audit finds. ``apart``:
    each node has buyers of its own, so that they meet on the merchant's account alone."""

    async def prepare() -> None:
        async with stage.open_house(lane=2) as house:
            await house.furnish()
            for buyer in BUYERS:
                await house.add_buyer(make_buyer(buyer), MONEY)

    asyncio.run(prepare())
    ends: Counter[str] = Counter()
    failures: list[BaseException] = []
    barrier = threading.Barrier(2, timeout=60)
    reader = Reader(stage.where)
    watching = threading.Thread(target=reader.run)
    watching.start()

    def node(lane: int) -> threading.Thread:
        async def scene() -> None:
            async with stage.open_house(lane=lane, seed=seed) as house:
                buyers = BUYERS[lane::2] if apart else BUYERS
                ends.update(await storm(house, lane, seed, acts, buyers, barrier))

        return in_own_loop(scene, failures)

    threads = [node(0), node(1)]
    for thread in threads:
        thread.join()
    reader.stopping.set()
    watching.join()

    async def check() -> list[str]:
        async with stage.open_house(lane=2) as house:
            return [finding.id for finding in await house.audit()]

    return ends, reader, (failures and [repr(failures[0])]) or asyncio.run(check())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 22))])
@pytest.mark.parametrize("apart", [False, True])
def test_T40_the_bank_test_on_two_nodes(postgresql_stage: Stage, seed: int, *, apart: bool) -> None:
    """Whatever the two do to the same accounts: every snapshot balances, nobody is below zero, no deadlock, a clean
    audit."""
    ends, reader, found = play_bank(postgresql_stage, seed, 60, apart=apart)
    assert found == []
    assert reader.wrong == []
    assert reader.snapshots > 10
    assert set(ends) <= {"done", "INSUFFICIENT_FUNDS"}
    assert ends["INSUFFICIENT_FUNDS"] > 0
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert postgresql_stage.execute(deadlocks) == [(0,)]


@pytest.mark.slow
def test_T40_the_bank_test_fails_without_the_lock(postgresql_stage: Stage) -> None:
    """The twin that must fail: with accounts read unlocked the same storm loses money, and audit or reader see it."""
    stage = UnlockedStage("postgresql", postgresql_stage.where)
    _, reader, found = play_bank(stage, 1, 120, apart=True)
    assert "I03" in found
    assert reader.wrong


def top_up(number: str, amount: int = 1) -> TopUp:
    return TopUp(BUYER, amount, "CNY", "ICBC", number, "teller")


def test_F40_a_lane_in_use_is_not_taken_without_force(postgresql_stage: Stage) -> None:
    """The second node is refused while the lease runs, and may take the lane when it has run out."""

    async def main() -> None:
        async with postgresql_stage.open_house(holder="first", embedded=False) as first:
            await first.furnish()
            with pytest.raises(Fenced):
                async with postgresql_stage.open_house(holder="second", embedded=False):
                    pass
            postgresql_stage.clock.pass_wire(LEASE + 1)
            async with postgresql_stage.open_house(holder="second", embedded=False) as second:
                await second.submit(top_up("second"))
                with pytest.raises(Stopped):
                    await first.submit(top_up("first"))
                with pytest.raises(Fenced):
                    await first.platform.committer.ended()
                assert (await second.balances())["buyer"] == PLENTY + 1
                assert await second.audit() == []

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_F40_T47_a_lane_is_taken_over_in_the_middle_of_a_storm(postgresql_stage: Stage, seed: int) -> None:
    """What the old node acknowledged stands, what it did not never happened, and both chains are one."""
    chance = Random(seed)

    async def main() -> None:
        told = Counter[str]()

        async def pour(house: House, name: str) -> None:
            for number in range(1_000):
                try:
                    await house.submit(top_up(f"{name} {number}"))
                except (Stopped, Refused):
                    told["refused"] += 1
                    return
                told[name[:3]] += 1

        async with postgresql_stage.open_house(holder="old") as old:
            await old.furnish()
            pourers = [asyncio.create_task(pour(old, f"old {number}")) for number in range(8)]
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            async with postgresql_stage.open_house(holder="new", seed=2) as new:
                await asyncio.gather(*[new.submit(top_up(f"new {number}")) for number in range(50)])
                await asyncio.gather(*pourers)
                assert told["refused"] == 8
                assert told["old"] > 0
                assert (await new.balances())["buyer"] == PLENTY + told["old"] + 50
                assert await new.audit() == []

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_T40_T24_one_shop_at_two_processes(postgresql_stage: Stage) -> None:
    """Every order is created and paid at both processes at once: one trade, one payment, whoever was faster."""
    nodes = [Child(postgresql_stage.where, lane) for lane in (0, 1)]
    book = Book()

    async def main() -> None:
        await furnish(postgresql_stage)
        loads = [Load(node, "http://127.0.0.1:9/notify", others=(400,)) for node in nodes]
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            for turn in range(12):
                numbers = [f"K{client}-{turn}" for client in range(CLIENTS)]
                book.wanted += numbers
                await asyncio.gather(*(load.buy(number) for number in numbers for load in loads))
        finally:
            for node in nodes:
                node.kill()
        left, right = (load.book for load in loads)
        assert left.told & right.told == set()
        assert left.told | right.told == set(book.wanted)
        book.told = left.told | right.told
        await judge(postgresql_stage, book)

    asyncio.run(main())
