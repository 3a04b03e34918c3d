"""A mail system that keeps what it is given: the sandbox's and the demonstration's mailbox."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.port import Clock
from tongbao.kernel.time import Instant
from tongbao.wire.world import Mail

KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """A mail and when it came (wire time)."""

    at: Instant
    mail: Mail


class Mailbox:
    """A ``Mailer`` that delivers into memory; the oldest mails go first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mails: deque[Kept] = deque(maxlen=KEPT)

    async def __call__(self, mail: Mail) -> None:
        self._mails.append(Kept(self._clock.wire(), mail))

    def mails(self) -> list[Kept]:
        """Newest first."""
        return list(reversed(self._mails))

    def clear(self) -> None:
        """Empty the box."""
        self._mails.clear()
