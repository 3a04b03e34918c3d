"""What happened: the last hundred actions for a reader, and a digest of all of them."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

SHOWN: Final = 100
"""Actions kept for whoever reads a failure."""


class Trace:
    """``note`` takes one action; the digest covers all of them, with their virtual times."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hash = hashlib.blake2b(digest_size=16)
        self._last: deque[str] = deque(maxlen=SHOWN)
        self.counts: Counter[str] = Counter()
        self.muted = False

    def note(self, kind: str, *words: object) -> None:
        """One action: a kind, and what there is to say about it."""
        if self.muted:
            return
        line = f"{self._now():12.3f} {kind} {' '.join(str(word) for word in words)}"
        self._hash.update(line.encode("utf-8", "replace"))
        self._last.append(line)
        self.counts[kind] += 1

    @property
    def last(self) -> list[str]:
        """The last actions, oldest first."""
        return list(self._last)

    @property
    def digest(self) -> str:
        """Hex over everything noted so far."""
        return self._hash.hexdigest()
