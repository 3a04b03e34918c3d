"""Rules of a toy, for trying the committer alone: rows of the answer table, set by commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.support.platform import Stage
from tests.support.world import HandClock
from tongbao.kernel.error import BrokenInvariant, Refused
from tongbao.store.commit import Decision, Now, Rules
from tongbao.store.committer import Committer
from tongbao.store.record import Answer
from tongbao.store.schema import ANSWER
from tongbao.store.sheet import Sheet
from tongbao.store.step import Database
from tongbao.store.table import Key, Table


@dataclass(frozen=True)
class Add:
    """Add ``amount`` to the number under ``key``. ``trouble`` names what goes wrong in deciding it."""

    key: str
    amount: int = 1
    trouble: str = ""
    weight: int = 1


def needs(command: Add, sheet: Sheet, lane: int) -> Iterable[tuple[Table, Key]]:
    if command.trouble == "needs":
        raise ZeroDivisionError("bad needs")
    yield ANSWER, ("toy", command.key)


def decide(command: Add, sheet: Sheet, now: Now, lane: int) -> Decision:
    row: Answer | None = sheet.get(ANSWER, "toy", command.key)
    total = command.amount + (int(row.outcome) if row else 0)
    fresh = Answer("toy", command.key, "x" * 64, str(total), now.business)
    if command.trouble == "refused":
        raise Refused("STATE_CONFLICT", "toy")
    if command.trouble == "kept":
        return Decision(Refused("PASSWORD_WRONG", "toy"), [(ANSWER, fresh)])
    if command.trouble == "broken":
        raise BrokenInvariant("toy")
    if command.trouble == "error":
        raise ZeroDivisionError("toy")
    if command.trouble == "unlooked":
        return Decision(total, [(ANSWER, Answer("toy", "elsewhere", "x" * 64, "1", now.business))])
    return Decision(total, [(ANSWER, fresh)])


RULES = Rules(needs, decide)


def make_committer(database: Database, lane: int = 0, holder: str = "toy", *, by_force: bool = True) -> Committer:
    """A committer of toy commands."""
    return Committer(
        database, RULES, HandClock(), lane, holder, by_force=by_force, weigh=lambda command: int(command.weight)
    )


def totals(stage: Stage) -> dict[str, int]:
    """The numbers as they are in the database."""
    return {key: json.loads(said) for key, said in stage.execute("SELECT key, outcome FROM answer ORDER BY key")}


async def submit_all(committer: Committer, commands: Iterable[Add]) -> list[Any]:
    """Outcomes and exceptions of commands submitted at once, in their order."""
    return await asyncio.gather(*[committer.submit(command) for command in commands], return_exceptions=True)
