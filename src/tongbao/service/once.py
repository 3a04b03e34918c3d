"""Words that may be seen once within a window: the nonces of signed requests (T24), as one process remembers them.

It is asked first, costs nothing and is gone after a restart; ``seen`` remembers for all processes what may change
something.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 1_220
"""As long as a signed time is fresh, ten minutes either way in the interface that allows most, and a little more."""

WORDS_MAX: Final = 1_000_000


class Onces:
    """Which words were seen within the window; the oldest is forgotten first, also when there are too many."""

    def __init__(self, window_seconds: int = WINDOW_SECONDS, most: int = WORDS_MAX) -> None:
        self._window = window_seconds
        self._most = most
        self._seen: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()

    def take(self, word: str, monotonic: float) -> bool:
        """Whether ``word`` is seen for the first time; ``monotonic`` is the clock's reading in seconds."""
        while self._order and (self._order[0][0] <= monotonic - self._window or len(self._order) >= self._most):
            self._seen.discard(self._order.popleft()[1])
        if word in self._seen:
            return False
        self._seen.add(word)
        self._order.append((monotonic, word))
        return True
