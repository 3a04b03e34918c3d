"""The two ports every room may be handed: what time it is, and bytes nobody can guess."""

from __future__ import annotations

from typing import Protocol

from tongbao.kernel.time import Instant


class Clock(Protocol):
    """Two readings of the clock. ``business`` may be advanced; ``wire`` never moves outside the simulation."""

    def business(self) -> Instant: ...

    def wire(self) -> Instant: ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for measuring how long something took."""
        ...


class Entropy(Protocol):
    """Unpredictable bytes; seeded in the sandbox and the simulation, the operating system's in production (T86)."""

    def token(self, length: int) -> bytes: ...
