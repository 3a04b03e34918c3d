"""The crash walk: a process that dies at one step of the flow after another, and one that finds the books afterwards.

Run as ``python -m tests.crash.walk TEMPLATE FOLDER STRIDE``; forks from a process without threads, so that each death
costs no start of an interpreter. Prints one JSON object: how many steps there are, and what was wrong after which.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.flow import COMMANDS, ENDS, End, look, run
from tests.support.platform import Stage
from tongbao.store.schema import LANE
from tongbao.store.step import Step

KILLED = 137


class Reaper:
    """An observer that ends the process at the ``limit``-th step: no clean-up, no reply, nothing flushed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen = 0

    def __call__(self, moment: str, step: Step) -> None:
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


def die(books: Path, limit: int) -> None:
    """The flow, until the reaper comes; each answer is written down before the next command is sent."""
    notes = os.open(books.with_suffix(".notes"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def acknowledge(place: int) -> None:
        os.write(notes, b"%d\n" % place)

    async def whole() -> None:
        async with Stage("sqlite", str(books)).open_house(observe=Reaper(limit)) as house:
            await run(house, acknowledge)

    asyncio.run(whole())


def find(books: Path) -> None:
    """Start again after the death: what was acknowledged is there; the same commands again end as if nothing was."""

    async def whole() -> dict[str, Any]:
        async with Stage("sqlite", str(books)).open_house() as house:
            house.clock.pass_wire(200_000)  # leases of the dead are out, agreements are not yet
            before = [str(finding) for finding in await house.audit()]
            (lane,) = await house.platform.database.load(LANE, [(0,)])
            await run(house, lambda place: None)
            end = await look(house)
            after = [str(finding) for finding in await house.audit()]
            return {"committed": lane.batch, "before": before, "after": after, "end": vars(end)}

    books.with_suffix(".found").write_text(json.dumps(asyncio.run(whole())))


def judge(books: Path, expected: End) -> list[str]:
    """What is wrong after one death; an empty list if nothing is."""
    found = json.loads(books.with_suffix(".found").read_text())
    notes = books.with_suffix(".notes")
    told = len(notes.read_text().splitlines()) if notes.exists() else 0
    wrong = [*found["before"], *found["after"]]
    if found["committed"] < told:
        wrong.append(f"{told} commands were acknowledged, {found['committed']} commits are there")
    if found["end"] != json.loads(json.dumps(vars(expected))):
        wrong.append(f"the end is {found['end']}")
    return wrong


def main(template: Path, folder: Path, stride: int) -> dict[str, Any]:
    """Walk over every ``stride``-th step."""
    books = _fresh(template, folder, 0)
    if in_child(lambda: die(books, 0)) or in_child(lambda: find(books)):
        return {"steps": 0, "wrong": {"0": ["the flow does not work without a crash"]}}
    first = json.loads(books.with_suffix(".found").read_text())
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
        for left in folder.glob(f"{limit}.*"):
            left.unlink()
        limit += stride
    return {"steps": walked, "commands": len(COMMANDS), "status": status, "wrong": wrong}


def _fresh(template: Path, folder: Path, number: int) -> Path:
    books = folder / f"{number}.sqlite"
    shutil.copy(template, books)
    return books


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
