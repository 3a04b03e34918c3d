"""The real clock for shops that have no World: both readings are the operating system's time."""

from __future__ import annotations

import secrets
import time

from tongbao.kernel.time import Instant


class SystemEntropy:
    """A ``tongbao.kernel.port.Entropy`` from the operating system, for the nonces of signed requests (T86)."""

    def token(self, length: int) -> bytes:
        return secrets.token_bytes(length)


class SystemClock:
    """A ``tongbao.kernel.port.Clock``. Whoever has a World hands over its clock instead."""

    def business(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000)

    def wire(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()
