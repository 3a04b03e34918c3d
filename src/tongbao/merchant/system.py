"""The real clock for shops that have no World: both readings are the operating system's time."""

from __future__ import annotations

import time

from tongbao.kernel.time import Instant


class SystemClock:
    """A ``tongbao.kernel.port.Clock``. Whoever has a World hands over its clock instead."""

    def business(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000)

    def wire(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()
