"""What the console is handed from outside: recorded requests, mails, and a way to tamper in a demonstration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tongbao.kernel.time import Instant
from tongbao.web.faces.recorder import Recorded
from tongbao.wire.http import Request
from tongbao.wire.world import Mail


class Records(Protocol):
    """The recorder's reading side."""

    def of(self, merchant: str, out_trade_no: str) -> Sequence[Recorded]:
        """What was recorded for one trade, oldest first."""
        ...


class KeptMail(Protocol):
    """A mail and when it came (wire time)."""

    @property
    def at(self) -> Instant: ...

    @property
    def mail(self) -> Mail: ...


class Tampered(Protocol):
    """A message that was changed and sent: the request, the field's value before, and what the shop answered."""

    @property
    def request(self) -> Request: ...

    @property
    def before(self) -> str: ...

    @property
    def status(self) -> int: ...

    @property
    def answer(self) -> str: ...


Mails = Callable[[], Sequence[KeptMail]]

Tamper = Callable[[str, str, int, str, str], Awaitable[Tampered]]
"""``await tamper(merchant_id, out_trade_no, seq, field, value)``: send one event's notification with ``field`` changed
under its old signature. Raises Refused, NotSent, NoAnswer."""


class NoRecords:
    """Nothing was recorded."""

    def of(self, merchant: str, out_trade_no: str) -> Sequence[Recorded]:
        return ()


def no_mails() -> Sequence[KeptMail]:
    """There is no mailbox."""
    return ()
