"""A clock for tests that need one hand only; ``tests.support.world`` has one with two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tongbao.kernel.time import Instant

NOW: Final = Instant(1_700_000_000_000)


@dataclass
class Hands:
    """A ``Clock`` whose hands stand together and still until they are moved."""

    now: Instant = NOW

    def business(self) -> Instant:
        return self.now

    def wire(self) -> Instant:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1_000
