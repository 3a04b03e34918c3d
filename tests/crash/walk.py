"""The crash walk: a process that dies at one step of the flow after another, and one that finds the books afterwards.

Run as ``python -m tests.crash.walk TEMPLATE FOLDER STRIDE``; forks from a process without threads, so that each death
costs no start of an interpreter. Prints one JSON object: how many steps there are, and what was wrong after which.

``TEMPLATE`` is a migrated SQLite file, or the address of a migrated PostgreSQL database: there the deaths are around
the commits alone, for what came before one is the server's to forget.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.crash.flow import COMMANDS, ENDS, End, look, run
from tests.support.platform import Stage
from tongbao.store.schema import LANE
from tongbao.store.step import Commit, Step

KILLED = 137


class Reaper:
    """An observer that ends the process at the ``limit``-th step: no clean-up, no reply, nothing flushed."""

    def __init__(self, limit: int, *, commits: bool) -> None:
        self.limit = limit
        self.commits = commits
        self.seen = 0

    def __call__(self, moment: str, step: Step) -> None:
        if self.commits and not isinstance(step, Commit):
            return
        self.seen += 1
        if self.seen == self.limit:
            os._exit(KILLED)


def in_child(work: Callable[[], Any]) -> int:
    """Run ``work`` in a forked process; its exit status. What it wrote to a file is all that is left of it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # noqa: BLE001 - a child must never return into the parent's code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@dataclass(frozen=True)
class Books:
    """One fresh database, and the files beside it that outlive the dead."""

    stage: Stage
    notes: Path
    found: Path


def die(books: Books, limit: int) -> None:
    """The flow, until the reaper comes; each answer is written down before the next command is sent."""
    notes = os.open(books.notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def acknowledge(place: int) -> None:
        os.write(notes, b"%d\n" % place)

    async def whole() -> None:
        reaper = Reaper(limit, commits=books.stage.dialect == "postgresql")
        async with books.stage.open_house(observe=reaper) as house:
            await run(house, acknowledge)

    asyncio.run(whole())


def find(books: Books) -> None:
    """Start again after the death: what was acknowledged is there; the same commands again end as if nothing was."""

    async def whole() -> dict[str, Any]:
        async with books.stage.open_house() as house:
            house.clock.pass_wire(200_000)  # leases of the dead are out, agreements are not yet
            before = [str(finding) for finding in await house.audit()]
            (lane,) = await house.platform.database.load(LANE, [(0,)])
            await run(house, lambda place: None)
            end = await look(house)
            after = [str(finding) for finding in await house.audit()]
            return {"committed": lane.batch, "before": before, "after": after, "end": vars(end)}

    books.found.write_text(json.dumps(asyncio.run(whole())))


def judge(books: Books, expected: End) -> list[str]:
    """What is wrong after one death; an empty list if nothing is."""
    found = json.loads(books.found.read_text())
    told = len(books.notes.read_text().splitlines()) if books.notes.exists() else 0
    wrong = [*found["before"], *found["after"]]
    if found["committed"] < told:
        wrong.append(f"{told} commands were acknowledged, {found['committed']} commits are there")
    if found["end"] != json.loads(json.dumps(vars(expected))):
        wrong.append(f"the end is {found['end']}")
    return wrong


def main(template: str, folder: Path, stride: int) -> dict[str, Any]:
    """Walk over every ``stride``-th step."""
    books = _fresh(template, folder, 0)
    if in_child(lambda: die(books, 0)) or in_child(lambda: find(books)):
        return {"steps": 0, "wrong": {"0": ["the flow does not work without a crash"]}}
    first = json.loads(books.found.read_text())
    expected = End(**first["end"])
    wrong: dict[str, list[str]] = {}
    if expected.states != ENDS or first["before"] or expected.pending:
        wrong["0"] = [str(first)]
    limit, walked = 1, 0
    while True:
        books = _fresh(template, folder, limit)
        status = in_child(lambda here=books, at=limit: die(here, at))  # type: ignore[misc]
        if status != KILLED:
            break
        walked += 1
        if in_child(lambda here=books: find(here)):  # type: ignore[misc]
            wrong[str(limit)] = ["the platform does not start again"]
        elif trouble := judge(books, expected):
            wrong[str(limit)] = trouble
        _drop(template, books, folder, limit)
        limit += stride
    return {"steps": walked, "commands": len(COMMANDS), "status": status, "wrong": wrong}


def _fresh(template: str, folder: Path, number: int) -> Books:
    notes, found = folder / f"{number}.notes", folder / f"{number}.found"
    if not template.startswith("postgresql:"):
        shutil.copy(template, folder / f"{number}.sqlite")
        return Books(Stage("sqlite", str(folder / f"{number}.sqlite")), notes, found)
    server, _, name = template.rpartition("/")
    copy = f"{name}_{number}"
    _administrate(server, f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
    return Books(Stage("postgresql", f"{server}/{copy}"), notes, found)


def _drop(template: str, books: Books, folder: Path, number: int) -> None:
    for left in folder.glob(f"{number}.*"):
        left.unlink()
    if books.stage.dialect == "postgresql":
        server, _, name = books.stage.where.rpartition("/")
        _administrate(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administrate(server: str, statement: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(statement.encode())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
