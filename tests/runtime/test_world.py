"""Clock, chance, settings, lock, and the World they are put into."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.runtime.harness import Collected
from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SeededEntropy, SystemEntropy, random_source
from tongbao.runtime.environment import read_settings
from tongbao.runtime.lock import hold_lock
from tongbao.runtime.world import RealWorld, Threads, build_world
from tongbao.wire.address import AddressPolicy
from tongbao.wire.world import Mail

SANDBOX = AddressPolicy.sandbox()
PRODUCTION = AddressPolicy.production()


async def no_mail(mail: Mail) -> None:
    raise OSError("no mail here")


# -- clock and chance -------------------------------------------------------------------------------------------------


def test_business_time_moves_and_wire_time_does_not() -> None:
    """Advancing changes one reading; the offset survives a restart."""
    clock = RealClock(offset=5_000)
    before = clock.wire()
    assert clock.business() - before >= 5_000
    clock.advance(3_600_000)
    assert clock.offset == 3_605_000
    assert clock.wire() - before < 3_600_000
    assert RealClock(clock.offset).business() >= before + 3_605_000
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    assert clock.monotonic() <= clock.monotonic()


def test_seeded_tokens_repeat_and_go_on() -> None:
    """Same seed, same stream; another seed, another; a stored position goes on where it stopped."""
    first, again, other = SeededEntropy(7), SeededEntropy(7), SeededEntropy(8)
    stream = [first.token(length) for length in (16, 0, 33, 100)]
    assert [again.token(length) for length in (16, 0, 33, 100)] == stream
    assert [len(token) for token in stream] == [16, 0, 33, 100]
    assert other.token(16) != stream[0]
    assert first.position == 4
    assert SeededEntropy(7, first.position).token(16) == again.token(16)
    assert len({first.token(8) for _ in range(1_000)}) == 1_000


def test_the_stream_of_a_seed_is_fixed() -> None:
    """Numbers in manuals and stored states stay valid over releases."""
    assert SeededEntropy(1).token(8).hex() == "5428f4748f2c48ed"


def test_T86_system_tokens_differ() -> None:
    """The operating system's entropy, of the length asked for."""
    assert len({SystemEntropy().token(16) for _ in range(1_000)}) == 1_000


def test_random_sources_are_by_seed_and_name() -> None:
    """Chaos can be repeated; two uses do not share a stream."""
    one = [random_source(1)("faults").random() for _ in range(2)]
    assert one[0] == one[1]
    assert random_source(1)("jitter").random() != one[0]
    assert random_source(2)("faults").random() != one[0]
    assert random_source(None)("faults").random() != random_source(None)("faults").random()
    assert random_source(1)("faults").choice("abc") in "abc"
    assert random_source(1)("faults").randrange(1) == 0


# -- world ------------------------------------------------------------------------------------------------------------


def world(log: Collected, environment: str = "sandbox", seed: int | None = 1) -> RealWorld:
    return build_world(environment, policy=SANDBOX, mail=no_mail, log=log, seed=seed, settings={"a": "b"})


def test_production_refuses_what_is_for_the_sandbox() -> None:
    """Seeds, moved clocks, inside addresses, unknown environments (T30, T71)."""
    log = Collected()
    build_world("production", policy=PRODUCTION, mail=no_mail, log=log)
    with pytest.raises(ConfigurationError, match="seed"):
        build_world("production", policy=PRODUCTION, mail=no_mail, log=log, seed=1)
    with pytest.raises(ConfigurationError, match="offset"):
        build_world("production", policy=PRODUCTION, mail=no_mail, log=log, offset=1)
    with pytest.raises(ConfigurationError, match="offset"):
        build_world("production", policy=PRODUCTION, mail=no_mail, log=log, clock=RealClock(1))
    with pytest.raises(ConfigurationError, match="policy"):
        build_world("production", policy=SANDBOX, mail=no_mail, log=log)
    with pytest.raises(ConfigurationError, match="environment"):
        build_world("staging", policy=PRODUCTION, mail=no_mail, log=log)


def test_world_computes_on_threads_and_sleeps() -> None:
    """compute runs beside the loop and hands on results and errors."""

    async def main() -> None:
        made = world(Collected())
        assert await made.compute(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await made.compute(lambda: 1 // 0)
        await made.sleep(0)
        assert made.settings == {"a": "b"}
        assert made.real_clock is made.clock
        assert made.entropy.token(4) == SeededEntropy(1).token(4)
        await made.close()

    asyncio.run(main())


def test_every_computation_comes_back() -> None:
    """More callers than threads, work of no length: none is forgotten, results are not mixed up, errors hit their own
    caller."""

    async def main() -> None:
        threads = Threads(2)

        async def caller(name: int) -> None:
            for turn in range(50):
                number = name * 100 + turn
                if number % 7:
                    assert await threads.run(partial(int, number)) == number
                else:
                    with pytest.raises(ValueError, match=f"^{number}$"):
                        await threads.run(partial(_fail, number))

        await asyncio.gather(*[caller(name) for name in range(32)])
        await asyncio.to_thread(threads.close)

    asyncio.run(asyncio.wait_for(main(), 60))


def _fail(number: int) -> int:
    raise ValueError(str(number))


def test_who_no_longer_waits_is_not_computed_for() -> None:
    """A cancelled caller's work is left out where it has not begun; what waits at the end is cancelled."""

    async def main() -> None:
        threads, gate, done = Threads(1), threading.Event(), []
        first = asyncio.create_task(threads.run(gate.wait))
        second = asyncio.create_task(threads.run(lambda: done.append("second")))
        third = asyncio.create_task(threads.run(lambda: done.append("third")))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        await asyncio.gather(first, third)
        assert done == ["third"]
        gate.clear()
        held = asyncio.create_task(threads.run(gate.wait))
        late = asyncio.create_task(threads.run(lambda: done.append("late")))
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(asyncio.to_thread(threads.close))
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(held, closing)
        with pytest.raises(asyncio.CancelledError):
            await late
        assert done == ["third"]

    asyncio.run(asyncio.wait_for(main(), 60))


def test_failed_tasks_are_logged_and_the_rest_cancelled() -> None:
    """A background failure never passes in silence; closing ends what still runs."""
    log = Collected()
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("on purpose")

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        made = world(log)
        made.spawn(forever(), "forever")
        failed = made.spawn(fail(), "duty")
        await asyncio.wait((failed,))
        await asyncio.sleep(0)
        await made.close()

    asyncio.run(main())
    assert [(event, fields["task"]) for event, fields in log.events] == [("task.failed", "duty")]
    assert ended == ["cancelled"]


def test_the_simulation_does_not_need_this_room() -> None:
    """Importing the ports loads nothing of the runtime."""
    code = "import sys, tongbao.wire.world, tongbao.wire.asgi, tongbao.wire.address; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in modules if name.startswith("tongbao.runtime") or name in ("httptools", "asyncio")]


# -- settings ---------------------------------------------------------------------------------------------------------


def test_settings_from_file_and_environment(tmp_path: Path) -> None:
    """Tables are flattened, the environment wins, secrets may stand in files of their own."""
    file = tmp_path / "tongbao.toml"
    file.write_text(
        'port = 8000\ndebug = false\nhosts = ["a", "b"]\n[database]\nurl = "sqlite:x"\n[smtp]\nuser = "名"\n'
    )
    secret = tmp_path / "secret"
    secret.write_text("p4ss \n")
    environ = {"TONGBAO_PORT": "9000", "TONGBAO_SMTP_PASSWORD_FILE": str(secret), "PATH": "/bin", "TONGBAO_": "x"}
    assert read_settings(file, environ) == {
        "port": "9000",
        "debug": "false",
        "hosts": "a,b",
        "database_url": "sqlite:x",
        "smtp_user": "名",
        "smtp_password": "p4ss ",
    }
    assert read_settings(None, {"TONGBAO_EMPTY": ""}) == {"empty": ""}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"a = 1.5", "a: is neither"),
        (b"a = 2026-01-01", "a: is neither"),
        (b'a = ["x,y"]', "a: holds a comma"),
        (b"[a]\nb = 1\n[A]\nb = 2", "a_b: is given twice"),
        (b"a = ", "config: "),
        (b"\xff", "config: .* is not UTF-8"),
        (b"a" * 1_048_577, "config: .* longer than 1 MiB"),
    ],
)
def test_malformed_files_name_the_setting(tmp_path: Path, content: bytes, named: str) -> None:
    """The operator reads what to change."""
    file = tmp_path / "tongbao.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=named):
        read_settings(file, {})


def test_missing_and_doubled_settings_are_named(tmp_path: Path) -> None:
    """A file that is not there; a secret given twice."""
    with pytest.raises(ConfigurationError, match=r"config: .*cannot be read"):
        read_settings(tmp_path / "none.toml", {})
    with pytest.raises(ConfigurationError, match=r"key_file: .*cannot be read"):
        read_settings(None, {"TONGBAO_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigurationError, match="key: is given twice"):
        read_settings(None, {"TONGBAO_KEY_FILE": "x", "TONGBAO_KEY": "y"})


# -- lock -------------------------------------------------------------------------------------------------------------


def _hold(path: Path, held: threading.Event, leave: threading.Event) -> None:
    with hold_lock(path):
        held.set()
        leave.wait(60)


def test_a_second_writer_is_told_who_is_first(tmp_path: Path) -> None:
    """The message names the process; when it is killed the lock is free again."""
    context = multiprocessing.get_context("spawn")
    held, leave = context.Event(), context.Event()
    database = tmp_path / "tongbao.db"
    holder = context.Process(target=_hold, args=(database, held, leave))
    holder.start()
    try:
        assert held.wait(60)
        with pytest.raises(ConfigurationError, match=f"written by process {holder.pid}$"), hold_lock(database):
            pass
    finally:
        holder.kill()
        holder.join(60)
    with hold_lock(database):
        with pytest.raises(ConfigurationError, match="database"), hold_lock(database):
            pass
        with hold_lock(tmp_path / "another.db"):
            pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A folder that is not there."""
    with pytest.raises(ConfigurationError, match="cannot be opened"), hold_lock(tmp_path / "none" / "tongbao.db"):
        pass
