"""What a command is: a frozen value with two pure halves, and how an idempotency key wraps it (T44, I30).

``needs`` names rows as far as it can tell from what is loaded; it is asked once per stage. ``decide`` is the rule; it
may raise Refused. Neither awaits, reads a clock or runs SQL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tongbao.kernel.error import Refused
from tongbao.store.commit import Decision, Now, Rules
from tongbao.store.record import Answer
from tongbao.store.schema import ANSWER
from tongbao.store.sheet import Sheet
from tongbao.store.table import Key, Table

Needs = Iterable[tuple[Table, Key]]


class Command(Protocol):
    """One use case. See the modules beside this one."""

    def needs(self, sheet: Sheet, lane: int) -> Needs: ...

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Once:
    """``command`` under an idempotency key: the same key and command get the first answer again; the same key with
    another command is refused by name. Outcomes of keyed commands are mappings of JSON values."""

    scope: str
    key: str
    command: Any

    def _hash(self) -> str:
        body = json.dumps([type(self.command).__name__, asdict(self.command)], sort_keys=True, default=str)
        return hashlib.sha256(body.encode()).hexdigest()

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield ANSWER, (self.scope, self.key)
        yield from self.command.needs(sheet, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        first: Answer | None = sheet.get(ANSWER, self.scope, self.key)
        if first is not None:
            return Decision(self._repeat(first))
        try:
            made: Decision = self.command.decide(sheet, now, lane)
        except Refused as refusal:
            made = Decision(refusal)
        said = made.outcome
        text = json.dumps([said.code, said.detail, said.state] if isinstance(said, Refused) else said)
        answer = Answer(self.scope, self.key, self._hash(), text, now.business)
        return Decision(said, (*made.rows, (ANSWER, answer)), made.entries, made.audits)

    def _repeat(self, first: Answer) -> Any:
        if first.request_hash != self._hash():
            raise Refused("IDEMPOTENCY_CONFLICT", "this key was used for another request")
        said = json.loads(first.outcome)
        return Refused(*said) if isinstance(said, list) else said


def _needs(command: Command, sheet: Sheet, lane: int) -> Needs:
    return command.needs(sheet, lane)


def _decide(command: Command, sheet: Sheet, now: Now, lane: int) -> Decision:
    return command.decide(sheet, now, lane)


RULES = Rules(_needs, _decide)
"""What the committer is given: every command carries its own rule."""
