"""Chance: the operating system's for everything that must not be guessed, and seeded streams for the sandbox."""

from __future__ import annotations

import hmac
import random
import secrets
import threading
from collections.abc import Callable

from tongbao.wire.world import Randomness


class SystemEntropy:
    """An ``Entropy`` from the operating system (T86)."""

    def token(self, length: int) -> bytes:
        return secrets.token_bytes(length)


class SeededEntropy:
    """An ``Entropy`` that repeats itself for the same seed: HMAC-SHA256 of a counter, keyed by the seed.

    For the sandbox's numbers and tokens, never for keys. ``position`` says how much was drawn; given to the
    constructor again the stream goes on there, so that a restart does not hand out the same numbers twice."""

    def __init__(self, seed: int, position: int = 0) -> None:
        self._key = hmac.digest(b"tongbao seeded entropy", str(seed).encode("ascii"), "sha256")
        self._position = position
        self._lock = threading.Lock()

    @property
    def position(self) -> int:
        """How many tokens were drawn so far."""
        return self._position

    def token(self, length: int) -> bytes:
        with self._lock:
            number = self._position
            self._position += 1
        blocks = (length + 31) // 32
        stream = b"".join(
            hmac.digest(self._key, number.to_bytes(8) + block.to_bytes(4), "sha256") for block in range(blocks)
        )
        return stream[:length]


def random_source(seed: int | None) -> Callable[[str], Randomness]:
    """``World.random``: a source per name, for jitter and chaos; the same for the same seed and name. Without a
    seed each is started from the operating system's entropy."""

    def source(name: str) -> Randomness:
        return random.Random(secrets.token_hex(16) if seed is None else f"{seed}:{name}")  # never keys or tokens

    return source
