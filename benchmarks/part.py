"""CPU microseconds of a request by part, inside one process: no socket, no database, the quickest of many rounds.

``face``: bytes in to bytes out, with the committer's work left out. ``decide``: asking for needs, deciding and folding.
``rows``: what the driver makes of loads and writes, up to the parameters of the statements.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from benchmarks import house
from benchmarks.fill import fill, grant
from benchmarks.house import Books
from benchmarks.load import Creates, Job
from benchmarks.payment import Plan
from benchmarks.report import table
from benchmarks.server import authorisation_of
from tongbao.kernel.port import Clock
from tongbao.runtime.connection import Connection, ServerLimits, Shared
from tongbao.runtime.server import run
from tongbao.service.command import RULES
from tongbao.service.create import Opened
from tongbao.service.pay import PayFromBalance
from tongbao.service.platform import Platform
from tongbao.store.commit import Now, commit_batch
from tongbao.store.record import Lane
from tongbao.store.schema import LANE, POSTING
from tongbao.store.step import Ahead, Load, Together, Write
from tongbao.store.table import Key, Row, Table, join_columns
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.web.guard import Limits, Rate
from tongbao.wire.asgi import Application

BATCH: Final = 32
ROUNDS: Final = 200


class Pipe:
    """A transport that goes nowhere."""

    answers = 0

    def get_extra_info(self, name: str) -> Any:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name)

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.answers += data.startswith(b"HTTP/1.1 302 ")

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""


class Holding:
    """Takes commands in the committer's place and answers when told."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, asyncio.Future[Any]]] = []

    async def submit(self, command: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.held.append((command, answer))
        return await answer


class Memory:
    """Rows in memory behind a batch's script, and the driver's work but for the statement itself."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.rows: dict[tuple[Table, Key], tuple[Any, ...]] = {}
        self.written = 0
        self.seconds = 0.0
        self.before: list[Any] = []

    def answer(self, step: Any) -> Any:
        if not isinstance(step, Together | Ahead):
            return None
        begun = time.thread_time()
        said = [self._load(one) if isinstance(one, Load) else self._write(one) for one in step.steps]
        self.seconds += time.thread_time() - begun
        if isinstance(step, Ahead):
            said, self.before = self.before, said
        return said

    def _load(self, load: Load) -> list[Row]:
        if load.table is LANE:
            return [self.lane]
        join_columns(load.table.key_columns, load.keys)
        found = [self.rows.get((load.table, key)) for key in load.keys]
        return load.table.rows([row for row in found if row is not None])

    def _write(self, write: Write) -> int:
        values_of = write.table.update_of if write.kind == "update" else write.table.values_of
        join_columns(write.table.write_columns[write.kind], [values_of(row) for row in write.rows])
        self.written += len(write.rows)
        return len(write.rows)

    def keep(self, written: Sequence[Write]) -> None:
        for write in written:
            for row in write.rows:
                self.rows[write.table, write.table.key_of(row)] = write.table.values_of(row)


def _decide(memory: Memory, commands: Sequence[Any], now: Now, *, keep: bool) -> list[Any]:
    script = commit_batch(commands, RULES, memory.lane.lane, memory.lane.token, now, lambda batch: None)
    answer, writes = None, []
    try:
        while True:
            step = script.send(answer)
            if keep and isinstance(step, Together | Ahead):
                writes += [one for one in step.steps if isinstance(one, Write)]
            answer = memory.answer(step)
    except StopIteration as end:
        memory.keep(writes)
        outcomes: list[Any] = end.value.outcomes
        return outcomes


async def _face(platform: Platform, application: Application, holding: Holding) -> tuple[float, list[list[Any]]]:
    """Microseconds of one request, and the commands that came of them, batch by batch."""
    job = Job("create", "127.0.0.1", 1, "p", house.MERCHANTS, BATCH * (ROUNDS + 5), 1, BATCH, 9)
    creates = Creates(job)
    loop = asyncio.get_running_loop()
    shared = Shared(application, ServerLimits(), platform.world.log, loop, b"Sat, 01 Jan 2000 00:00:00 GMT")
    pipes = [Pipe() for _ in range(BATCH)]
    connections = [Connection(shared) for _ in pipes]
    for connection, pipe in zip(connections, pipes, strict=True):
        connection.connection_made(pipe)  # type: ignore[arg-type]
    best, batches = 1e9, []
    for turn in range(ROUNDS + 5):
        requests = [creates.make(turn * BATCH + n) for n in range(BATCH)]
        begun = time.thread_time()
        for connection, request in zip(connections, requests, strict=True):
            connection.data_received(request)
        while len(holding.held) < BATCH:  # noqa: ASYNC110 - counts what the loop does
            await asyncio.sleep(0)
        for command, answer in holding.held:
            answer.set_result(Opened(command.trade_no, True))
        while sum(pipe.answers for pipe in pipes) < BATCH * (turn + 1):  # noqa: ASYNC110
            await asyncio.sleep(0)
        best = min(best, (time.thread_time() - begun) / BATCH)
        batches.append([command for command, _ in holding.held])
        holding.held.clear()
    return best * 1e6, batches


def _measure_batches(memory: Memory, batches: Sequence[Sequence[Any]], clock: Clock) -> tuple[float, float]:
    """(deciding, rows) in microseconds of one command."""
    best, rows = 1e9, 1e9
    for batch in batches:
        memory.seconds, begun = 0.0, time.thread_time()
        _decide(memory, batch, Now(clock.business(), clock.wire()), keep=False)
        best = min(best, (time.thread_time() - begun - memory.seconds) / len(batch))
        rows = min(rows, memory.seconds / len(batch))
    return best * 1e6, rows * 1e6


async def _parts(folder: Path) -> list[list[str]]:
    books = Books(str(folder / "books.sqlite"))
    await fill(books, 0)
    await grant(books, "p", house.MERCHANTS, BATCH * (ROUNDS + 5))
    world, database = house.make_world(), await books.open()
    platform = house.make_platform(world, database)
    holding: Any = Holding()
    platform.committer = holding
    never = Rate(1e9, 1e9)
    limits = Limits(**{field.name: never for field in fields(Limits)})
    web = build_web(platform, PlainPages(), protocols=(house.PROTOCOL,), limits=limits)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    face, creates = await _face(platform, web.main, holding)
    lane: Lane = (await database.load(LANE, [(0,)]))[0]
    memory = Memory(lane)
    pays = [
        [
            PayFromBalance(
                one.intent.merchant,
                one.intent.out_trade_no,
                house.buyer_id(int(one.intent.out_trade_no[1:]) % house.BUYERS),
                authorisation_of(one.intent.out_trade_no),
            )
            for one in batch
        ]
        for batch in creates
    ]
    for batch in [*creates, *pays]:
        await _fetch(platform, memory, batch)
    create = _measure_batches(memory, creates, world.clock)
    for batch in creates:
        _decide(memory, batch, Now(world.clock.business(), world.clock.wire()), keep=True)
    memory.written = 0
    pay = _measure_batches(memory, pays, world.clock)
    written = (memory.written - len(pays)) / sum(map(len, pays))
    await database.close()
    await world.close()
    return [
        ["signed create: bytes to bytes, committer left out", f"{face:.0f}", ""],
        ["create: decide", f"{create[0]:.0f}", ""],
        ["create: rows to parameters and back", f"{create[1]:.0f}", ""],
        ["pay: decide", f"{pay[0]:.0f}", ""],
        ["pay: rows to parameters and back", f"{pay[1]:.0f}", f"{written:.1f}"],
    ]


async def _fetch(platform: Platform, memory: Memory, batch: Sequence[Any]) -> None:
    """Whatever these commands need that is in the books."""
    wanted: dict[Table, set[Key]] = {}
    sheet: Any = _Blank()
    for command in batch:
        for of, key in command.needs(sheet, memory.lane.lane):
            if of is not POSTING and (of, key) not in memory.rows:
                wanted.setdefault(of, set()).add(key)
    for of, keys in wanted.items():
        for row in await platform.database.load(of, sorted(keys)):
            memory.rows[of, of.key_of(row)] = of.values_of(row)


class _Blank:
    """A sheet on which nothing was loaded."""

    peeked = False

    def peek(self, *what: object) -> None:
        self.peeked = True


def on_parts(plan: Plan, say: Callable[[str], None]) -> str:
    """The table."""
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        rows = run(_parts(Path(folder)))
    say(f"parts: done at {time.strftime('%H:%M:%S')}, load average {os.getloadavg()[0]:.1f}")
    return table(f"CPU by part, batches of {BATCH}", ("", "us", "rows written"), rows)
