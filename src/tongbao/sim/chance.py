"""Chance that repeats itself: bytes for numbers and tokens, and a clock with an error of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from tongbao.kernel.time import Instant
from tongbao.sim.loop import Life

START: Final = Instant(1_772_323_199_000)
"""2026-03-01 07:59:59 in China: one second before midnight in UTC."""


class SeededBytes:
    """An ``Entropy``: BLAKE2b of a counter, keyed by the seed and the process's incarnation."""

    def __init__(self, *parts: object) -> None:
        self._key = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=32).digest()
        self._drawn = 0

    def token(self, length: int) -> bytes:
        self._drawn += 1
        stream = b""
        block = 0
        while len(stream) < length:
            counter = self._drawn.to_bytes(8) + block.to_bytes(4)
            stream += hashlib.blake2b(counter, key=self._key, digest_size=64).digest()
            block += 1
        return stream[:length]


class VirtualClock:
    """A ``Clock`` of one process: both hands follow virtual time, wrong by the process's offset."""

    def __init__(self, now: Callable[[], float], life: Life) -> None:
        self._now = now
        self._life = life

    def business(self) -> Instant:
        return Instant(START + int(self._now() * 1000) + self._life.offset)

    def wire(self) -> Instant:
        return Instant(START + int(self._now() * 1000) + self._life.offset)

    def monotonic(self) -> float:
        return self._now()
