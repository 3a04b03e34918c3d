"""The real clock, with a business reading that the sandbox can move forward."""

from __future__ import annotations

import threading
import time

from tongbao.kernel.time import Instant


class RealClock:
    """A ``Clock``. ``wire`` is the machine's wall clock; ``business`` is that plus ``offset`` milliseconds."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._lock = threading.Lock()

    @property
    def offset(self) -> int:
        """Milliseconds that business time is ahead: to be stored, and given to the constructor after a restart."""
        return self._offset

    def advance(self, milliseconds: int) -> Instant:
        """Move business time forward and return its new reading. Raises ValueError for a step backwards.

        Running the duties that have become due is the caller's part."""
        if milliseconds < 0:
            raise ValueError("business time only moves forward")
        with self._lock:
            self._offset += milliseconds
        return self.business()

    def business(self) -> Instant:
        return Instant(self.wire() + self._offset)

    def wire(self) -> Instant:
        return Instant(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()
