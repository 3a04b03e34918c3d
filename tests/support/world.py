"""A small world for tests of the platform: a clock with two hands, seeded chance, a bank that says what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.kernel.time import DAY, Instant
from tongbao.runtime.entropy import SeededEntropy, random_source
from tongbao.service.channel import MAC_HEADER, StatementLine, bank_secret, dump_line, mac
from tongbao.wire.http import Request, Response
from tongbao.wire.world import CALL_LIMITS, Limits, Mail, NoAnswer, NotSent, World

START: Final = Instant(1_772_323_199_000)
"""2026-03-01 07:59:59 in China: one second before midnight in UTC, an ordinary Sunday."""


@dataclass
class HandClock:
    """A ``Clock`` whose two hands stand still until they are moved."""

    now: Instant = START
    wire_now: Instant = START
    ticks: float = 0.0

    def business(self) -> Instant:
        return self.now

    def wire(self) -> Instant:
        return self.wire_now

    def monotonic(self) -> float:
        self.ticks += 0.001
        return self.ticks

    def advance(self, milliseconds: int) -> Instant:
        """Move business time (backwards too: clocks do that)."""
        self.now = Instant(self.now + milliseconds)
        return self.now

    def pass_wire(self, milliseconds: int) -> Instant:
        """Let wire time pass."""
        self.wire_now = Instant(self.wire_now + milliseconds)
        return self.wire_now


@dataclass
class ToldBank:
    """All banks and the outlets behind one ``send``: each inquiry gets the answer that was laid ready for its number.

    ``words`` maps an instruction's number to what the bank says of it (see ``BankWord``) or to ``"silence"`` (the
    request leaves and no answer comes) or ``"unreachable"``. What was not laid ready is not found.
    """

    root: bytes
    words: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    statements: dict[tuple[str, int], list[StatementLine]] = field(default_factory=dict)
    """By bank and business date; two lines go on a page."""

    def _tell(self, bank: str, asked: dict[str, Any]) -> Response:
        if (bank, asked["day"]) not in self.statements:
            raise NotSent("CONNECT")
        lines = self.statements[bank, asked["day"]]
        place = next((n for n, line in enumerate(lines, 1) if line.ref == asked["after"]), 0) if asked["after"] else 0
        told = [dump_line(line) for line in lines[place : place + 2]]
        body = json.dumps({"bank": bank, "lines": told, "more": len(lines) > place + 2}).encode()
        return Response(200, ((MAC_HEADER, mac(bank_secret(self.root, bank), body).encode()),), body)

    async def __call__(self, request: Request, limits: Limits = CALL_LIMITS) -> Response:
        self.requests.append(request)
        asked = json.loads(request.body)
        if request.raw_path.endswith(b"/statement"):
            return self._tell(request.raw_path.split(b"/")[2].decode(), asked)
        number = asked["instruction_no"]
        word = self.words.get(number, {"result": "not_found"})
        if word == "silence":
            raise NoAnswer("TIMEOUT")
        if word == "unreachable":
            raise NotSent("CONNECT")
        bank = request.raw_path.split(b"/")[2].decode()
        said = {"bank": bank, "instruction_no": number, "amount": asked["amount"], "currency": "CNY", **word}
        body = json.dumps(said).encode()
        return Response(200, ((MAC_HEADER, mac(bank_secret(self.root, bank), body).encode()),), body)


@dataclass
class Journal:
    """What was logged and mailed."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)

    def log(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    async def mail(self, mail: Mail) -> None:
        self.mails.append(mail)


async def compute_inline(function: Callable[[], Any]) -> Any:
    """``World.compute`` without a thread."""
    return function()


async def compute_in_thread(function: Callable[[], Any]) -> Any:
    """``World.compute`` with one."""
    return await asyncio.to_thread(function)


async def sleep_never(seconds: float) -> None:
    """``World.sleep`` for duties that only tests drive."""
    await asyncio.sleep(0)


def make_world(seed: int, bank: ToldBank, clock: HandClock, journal: Journal, *, threads: bool = False) -> World:
    """A world of its own for one test."""
    return World(
        clock=clock,
        entropy=SeededEntropy(seed),
        send=bank,
        mail=journal.mail,
        log=journal.log,
        random=random_source(seed),
        compute=compute_in_thread if threads else compute_inline,
        sleep=sleep_never,
        spawn=lambda coroutine, name: asyncio.create_task(coroutine, name=name),
        environment="test",
    )


def days(number: int) -> int:
    """So many days in milliseconds."""
    return number * DAY
