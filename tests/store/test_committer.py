"""The committer alone, with toy rules: natural batches, who bears which trouble, lanes, lost connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from tests.store.toy import RULES, Add, make_committer, submit_all, totals
from tests.support.platform import Stage
from tests.support.proxy import Proxy
from tests.support.world import HandClock
from tongbao.kernel.error import BrokenInvariant, OutcomeUnknown, Refused
from tongbao.store.committer import BATCH_MAX, SHORTFALLS_MAX, TRIES_MAX, Committer, Stopped
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.step import Commit, Conflict, ConnectionLost, Fenced, Load, Step, Write


def run(stage: Stage, scene: Callable[[Committer], Awaitable[Any]]) -> Any:
    """A scene with one running committer."""

    async def whole() -> Any:
        async with stage.open_database() as database:
            committer = make_committer(database)
            await committer.start()
            try:
                return await scene(committer)
            finally:
                await committer.stop()

    return asyncio.run(whole())


def test_the_crowd_that_gathers_during_a_commit_is_one_batch(sqlite_stage: Stage) -> None:
    """Natural batching: whatever arrives while one commit runs is the next batch, without a timer."""
    inside, go = threading.Event(), threading.Event()
    armed: list[bool] = []

    def observe(moment: str, step: Step) -> None:
        if armed and moment == "before" and isinstance(step, Commit):
            armed.clear()
            inside.set()
            go.wait(30)

    async def whole() -> tuple[int, int, list[Any]]:
        async with sqlite_stage.open_database(observe) as database:
            committer = make_committer(database)
            await committer.start()
            armed.append(True)
            first = asyncio.create_task(committer.submit(Add("first")))
            await asyncio.to_thread(inside.wait, 30)
            crowd = [asyncio.create_task(committer.submit(Add("hot"))) for _ in range(100)]
            await asyncio.sleep(0)
            go.set()
            outcomes = await asyncio.gather(first, *crowd)
            await committer.stop()
            return committer.batches, committer.commands, outcomes

    assert asyncio.run(whole()) == (2, 101, [1, *range(1, 101)])
    assert totals(sqlite_stage) == {"first": 1, "hot": 100}


def test_a_batch_is_decided_in_the_order_of_arrival(stage: Stage) -> None:
    """Each command sees what the one before it did, in one commit, and all are answered after it."""

    async def scene(committer: Committer) -> list[Any]:
        return await submit_all(committer, [Add("a"), Add("b", 5), Add("a", 10), Add("a", 100)])

    assert run(stage, scene) == [1, 5, 11, 111]
    assert totals(stage) == {"a": 111, "b": 5}


def test_heavy_commands_share_a_batch_by_weight(sqlite_stage: Stage) -> None:
    """A batch is capped by weight; a command above the cap goes alone."""

    async def scene(committer: Committer) -> int:
        weights = [BATCH_MAX // 2, BATCH_MAX // 2, 1, 5 * BATCH_MAX, 1]
        await submit_all(committer, [Add("a", weight=weight) for weight in weights])
        return committer.batches

    assert run(sqlite_stage, scene) == 4


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("refused", Refused),
        ("broken", BrokenInvariant),
        ("error", ZeroDivisionError),
        ("needs", ZeroDivisionError),
        ("unlooked", int),
    ],
)
def test_a_bad_command_spoils_nobody(trouble: str, kind: type, stage: Stage) -> None:
    """Whatever goes wrong in one command of a crowd is its own trouble; the others are decided as without it."""
    commands = [Add("a", trouble=trouble if n == 7 else "") for n in range(20)]

    async def scene(committer: Committer) -> list[Any]:
        return await submit_all(committer, commands)

    outcomes = run(stage, scene)
    assert isinstance(outcomes.pop(7), (kind, BrokenInvariant) if trouble == "unlooked" else kind)
    assert outcomes == list(range(1, 20))
    assert totals(stage)["a"] == 19


def test_two_bad_commands_are_both_found(sqlite_stage: Stage) -> None:
    """The splitting goes on until each of them stands alone."""
    commands = [Add("a", trouble="error" if n in (0, 15) else "") for n in range(16)]

    async def scene(committer: Committer) -> list[Any]:
        return await submit_all(committer, commands)

    kinds = [type(outcome) for outcome in run(sqlite_stage, scene)]
    assert kinds == [ZeroDivisionError, *[int] * 14, ZeroDivisionError]


def test_a_refusal_keeps_its_kept_rows(stage: Stage) -> None:
    """A refusal that is raised leaves nothing; a refusal that is an outcome leaves what it was decided to leave."""

    async def scene(committer: Committer) -> list[Any]:
        return await submit_all(committer, [Add("a", trouble="refused"), Add("b", trouble="kept"), Add("b")])

    raised, kept, after = run(stage, scene)
    assert (raised.code, kept.code, after) == ("STATE_CONFLICT", "PASSWORD_WRONG", 2)
    assert totals(stage) == {"b": 2}


def test_F45_a_caller_who_goes_away_changes_nothing(stage: Stage) -> None:
    """A cancelled caller's command is decided all the same, and the committer serves the next one."""

    async def scene(committer: Committer) -> int:
        gone = [asyncio.create_task(committer.submit(Add("a"))) for _ in range(10)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        last: int = await committer.submit(Add("a"))
        return last

    assert run(stage, scene) == 11
    assert totals(stage) == {"a": 11}


def test_stop_drains_the_queue(stage: Stage) -> None:
    """Whoever was in the queue before the stop is answered; whoever comes after it is told so."""

    async def scene(committer: Committer) -> list[Any]:
        early = [asyncio.create_task(committer.submit(Add("a"))) for _ in range(5)]
        await asyncio.sleep(0)
        await committer.stop()
        late = await submit_all(committer, [Add("a")])
        return [*await asyncio.gather(*early), type(late[0])]

    assert run(stage, scene) == [1, 2, 3, 4, 5, Stopped]
    assert totals(stage) == {"a": 5}


def test_F40_another_holder_fences_the_first(stage: Stage) -> None:
    """Who wakes up after his lane was taken writes nothing, tells his callers, and takes no more."""

    async def whole() -> list[Any]:
        async with stage.open_database() as database:
            old, new = make_committer(database, holder="old"), make_committer(database, holder="new")
            await old.start()
            await old.submit(Add("a"))
            await new.start()
            fenced = await submit_all(old, [Add("a", 10), Add("b", 10)])
            later = await submit_all(old, [Add("a", 100)])
            fresh = await new.submit(Add("a"))
            await old.stop()
            await new.stop()
            return [*map(type, fenced), *map(type, later), fresh]

    assert asyncio.run(whole()) == [Stopped, Stopped, Stopped, 2]
    assert totals(stage) == {"a": 2}


def test_F41_a_living_holder_keeps_his_lane(stage: Stage) -> None:
    """Without force a second process is refused while the first one's lease runs, and welcome afterwards."""

    async def whole() -> None:
        async with stage.open_database() as database:
            first = make_committer(database, holder="first")
            await first.start()
            second = make_committer(database, holder="second", by_force=False)
            with pytest.raises(Fenced, match="held by first"):
                await second.start()
            clock = HandClock()
            clock.pass_wire(31_000)
            third = Committer(database, RULES, clock, 0, "third", by_force=False)
            await third.start()
            assert await third.submit(Add("a")) == 1
            await first.stop()
            await third.stop()

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [Conflict, ConnectionLost])
def test_F09_a_conflict_is_decided_again(trouble: type[Exception], stage: Stage) -> None:
    """What the database gave up is run again as a whole; once it gives up too often the caller is told to come back."""
    left = [0]

    def observe(moment: str, step: Step) -> None:
        if left[0] and moment == "after" and isinstance(step, Write):
            left[0] -= 1
            raise trouble("injected")

    async def whole() -> list[Any]:
        async with stage.open_database(observe) as database:
            committer = make_committer(database)
            await committer.start()
            left[0] = TRIES_MAX - 1
            first = await submit_all(committer, [Add("a"), Add("a")])
            left[0] = TRIES_MAX
            second = await submit_all(committer, [Add("a"), Add("a")])
            third = await submit_all(committer, [Add("a")])
            await committer.stop()
            return [*first, *[getattr(answer, "code", answer) for answer in second], *third]

    assert asyncio.run(whole()) == [1, 2, "SYSTEM", "SYSTEM", 3]
    assert totals(stage) == {"a": 3}


@pytest.mark.slow
def test_a_row_of_another_node_is_seen_at_the_second_look(postgresql_stage: Stage) -> None:
    """Two nodes insert one key: the slower one falls short, rolls back, looks again and decides over the new row."""
    looked = asyncio.Event()
    writes = [0]

    async def whole() -> tuple[Any, int]:
        def observe(moment: str, step: Step) -> None:
            if moment == "before" and isinstance(step, Write) and step.kind == "insert":
                writes[0] += 1
                looked.set()

        async with postgresql_stage.open_database(observe) as database:
            committer = make_committer(database)
            await committer.start()
            looked.clear()
            writes[0] = 0
            with psycopg.connect(postgresql_stage.where) as rival:
                rival.execute("INSERT INTO answer VALUES ('toy', 'a', 'x', '40', 0)")
                answer = asyncio.create_task(committer.submit(Add("a", 2)))
                await looked.wait()
                await asyncio.to_thread(_wait_for_waiter, postgresql_stage.where)
                rival.commit()
            outcome = await answer
            await committer.stop()
            return outcome, writes[0]

    assert asyncio.run(whole()) == (42, 1)
    assert totals(postgresql_stage) == {"a": 42}


def _wait_for_waiter(dsn: str) -> None:
    """Until somebody waits for a lock in this database."""
    query = b"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(100_000):
            if connection.execute(query).fetchall()[0][0]:
                return
    raise AssertionError("nobody waits")


def test_a_number_that_stays_taken_is_refused_by_name(stage: Stage) -> None:
    """A shortfall that nobody else's commit explains is a taken number: one command bears it, by name."""
    falls = [0]

    async def whole() -> list[Any]:
        async with stage.open_database() as database:
            committer = Committer(database, _Clashing(falls).rules, HandClock(), 0, "toy", by_force=True)
            await committer.start()
            outcomes = await submit_all(committer, [Add("a"), Add("clash"), Add("b")])
            await committer.stop()
            return [getattr(outcome, "code", outcome) for outcome in outcomes]

    stage.execute("INSERT INTO answer VALUES ('toy', 'hidden', 'x', '1', 0)")
    assert asyncio.run(whole()) == [1, "ALREADY_EXISTS", 1]
    assert falls[0] >= SHORTFALLS_MAX


class _Clashing:
    """Toy rules that write a row under a key they did not look for: the table allows it, the database does not."""

    def __init__(self, falls: list[int]) -> None:
        from_rules = RULES

        def decide(command: Any, sheet: Any, now: Any, lane: int) -> Any:
            made = from_rules.decide(command, sheet, now, lane)
            if command.key != "clash":
                return made
            falls[0] += 1
            (table, row), *_ = made.rows
            sheet.fill(table, [("toy", "hidden")], [])
            hidden = type(row)("toy", "hidden", row.request_hash, row.outcome, row.at)
            return type(made)(made.outcome, [(table, hidden)])

        self.rules = type(from_rules)(from_rules.needs, decide)


@pytest.mark.slow
class TestLostConnection:
    """F07 and F08 on a real server behind a relay that cuts connections."""

    @staticmethod
    def play(stage: Stage, scene: Callable[[Proxy, Committer], Awaitable[Any]]) -> Any:
        """A scene with a committer whose connections go through the relay."""

        async def whole() -> Any:
            async with Proxy(stage.where).serve() as proxy:
                database = PostgresqlDatabase(proxy.dsn)
                await database.open()
                committer = make_committer(database)
                await committer.start()
                try:
                    return await scene(proxy, committer)
                finally:
                    proxy.refusing = False
                    proxy.release.set()
                    await committer.stop()
                    await database.close()

        return asyncio.run(whole())

    @pytest.mark.parametrize("word", ["cut_before", "cut_after"])
    def test_F07_a_commit_whose_reply_is_lost_is_resolved(self, word: str, postgresql_stage: Stage) -> None:
        """Whether it happened is looked up; nothing is doubled, nothing is lost, everybody gets the right answer."""

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            proxy.script = [word]
            lost = await submit_all(committer, [Add("a"), Add("a"), Add("b", trouble="refused")])
            return [*lost[:2], lost[2].code, await committer.submit(Add("a"))]

        assert self.play(postgresql_stage, scene) == [1, 2, "STATE_CONFLICT", 3]
        assert totals(postgresql_stage) == {"a": 3}

    def test_F07_a_commit_still_under_way_is_waited_for(self, postgresql_stage: Stage) -> None:
        """The request to commit is slow and the client is cut off: who looks at once must not see "it did not"."""

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            proxy.script = ["hold"]
            answer = asyncio.create_task(committer.submit(Add("a")))
            await asyncio.to_thread(_wait_for_waiter, postgresql_stage.where)
            proxy.release.set()
            return [await answer, await committer.submit(Add("a"))]

        assert self.play(postgresql_stage, scene) == [1, 2]
        assert totals(postgresql_stage) == {"a": 2}

    def test_F07_cut_again_and_again(self, postgresql_stage: Stage) -> None:
        """Commits break before and after the server's answer in turn; the count is right in the end."""

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            proxy.script = ["cut_after", "pass", "cut_before", "cut_before", "cut_after", "cut_after", "pass"] * 2
            return [await committer.submit(Add("a")) for _ in range(8)]

        assert self.play(postgresql_stage, scene) == list(range(1, 9))
        assert totals(postgresql_stage) == {"a": 8}

    def test_F07_a_database_that_does_not_come_back_leaves_the_outcome_unknown(self, postgresql_stage: Stage) -> None:
        """Then the caller hears exactly that, never "failed"; and a later batch is not taken for the lost one."""

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            proxy.script = ["vanish"]
            lost = await submit_all(committer, [Add("a")])
            proxy.refusing = False
            proxy.script = ["cut_before"]
            return [type(lost[0]), await committer.submit(Add("a", 10)), await committer.submit(Add("a", 100))]

        assert self.play(postgresql_stage, scene) == [OutcomeUnknown, 10, 110]
        assert totals(postgresql_stage) == {"a": 110}

    @pytest.mark.parametrize("word", ["pass", "cut_before", "cut_after"])
    def test_F07_what_waits_is_begun_with_the_commit_before_it(self, word: str, postgresql_stage: Stage) -> None:
        """Whatever becomes of that commit; and where nothing waits, no transaction is left open."""
        busy = b"SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            proxy.script = [word]
            del proxy.chained[:]
            first = asyncio.create_task(committer.submit(Add("a")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the committer has taken it
            others = await submit_all(committer, [Add("a"), Add("a")])
            assert proxy.chained[0]
            assert not proxy.chained[-1]
            with psycopg.connect(postgresql_stage.where, autocommit=True) as connection:
                assert connection.execute(busy).fetchall() == []
            return [await first, *others, await committer.submit(Add("a"))]

        assert self.play(postgresql_stage, scene) == [1, 2, 3, 4]
        assert totals(postgresql_stage) == {"a": 4}

    def test_F07_a_commit_that_is_cancelled_is_told_as_what_became_of_it(self, postgresql_stage: Stage) -> None:
        """Somebody cancels statements while a commit is made durable, which takes a tenth of a second here: what
        happened is not decided over again."""
        cancel = (
            b"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            b" AND query LIKE 'COMMIT%' AND state = 'active'"
        )

        async def whole() -> list[Any]:
            slow = {"commit_delay": "100000", "commit_siblings": "0"}
            database = PostgresqlDatabase(postgresql_stage.where, session=slow)
            await database.open()
            committer = make_committer(database)
            await committer.start()
            waiting = [asyncio.create_task(committer.submit(Add("a")))]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting += [asyncio.create_task(committer.submit(Add("a"))) for _ in range(3)]
            with psycopg.connect(postgresql_stage.where, autocommit=True) as connection:
                while not all(one.done() for one in waiting):
                    await asyncio.sleep(0.01)
                    connection.execute(cancel)
            await committer.stop()
            await database.close()
            return [one.result() for one in waiting]

        assert asyncio.run(whole()) == [1, 2, 3, 4]
        assert totals(postgresql_stage) == {"a": 4}

    def test_F08_a_connection_lost_before_the_commit_is_replaced(self, postgresql_stage: Stage) -> None:
        """The server throws all idle sessions out; the pool's dead sockets are not the caller's trouble."""
        throw_out = (
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            b" WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        async def scene(proxy: Proxy, committer: Committer) -> list[Any]:
            first = await committer.submit(Add("a"))
            with psycopg.connect(postgresql_stage.where, autocommit=True) as connection:
                connection.execute(throw_out)
            return [first, await committer.submit(Add("a")), await committer.submit(Add("a"))]

        assert self.play(postgresql_stage, scene) == [1, 2, 3]
        assert totals(postgresql_stage) == {"a": 3}


@pytest.mark.slow
def test_F10_a_lock_is_not_waited_for_without_end(postgresql_stage: Stage) -> None:
    """Somebody holds a row; the committer's statement is given up by its own limit, and run again when he is gone."""

    async def whole() -> list[Any]:
        loads, again = [0], asyncio.Event()

        def observe(moment: str, step: Step) -> None:
            loads[0] += moment == "before" and isinstance(step, Load)
            if loads[0] == 4:  # the second turn has got as far: lane, answer, lane, answer
                again.set()

        async with postgresql_stage.open_database(observe) as database:
            committer = make_committer(database)
            await committer.start()
            await committer.submit(Add("a"))
            loads[0] = 0
            again.clear()
            with psycopg.connect(postgresql_stage.where) as rival:
                rival.execute("SELECT * FROM answer WHERE key = 'a' FOR UPDATE")
                answer = asyncio.create_task(committer.submit(Add("a")))
                await again.wait()
            outcome = await answer
            await committer.stop()
            return [outcome, loads[0]]

    assert asyncio.run(whole()) == [2, 4]
