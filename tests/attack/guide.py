"""What makes an attack coverage-guided: which steps from line to line a message took through our code for the first
time."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

WATCHED: Final = ("/tongbao/protocols/", "/tongbao/wire/", "/tongbao/merchant/", "/tongbao/web/faces/")
"""The code that reads messages; what it calls is not followed."""


class Guide:
    """Remembers every step from one line to the next within a function."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int, int]] = set()
        self._before = 0
        self._watched: dict[CodeType, bool] = {}

    def __enter__(self) -> Guide:
        self._before = len(self.seen)
        sys.settrace(self._call)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.settrace(None)

    @property
    def walked(self) -> bool:
        """Whether what was done last in ``with`` went where nobody was before."""
        return len(self.seen) > self._before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        watched = self._watched.get(code)
        if watched is None:
            path = code.co_filename.replace("\\", "/")
            watched = self._watched[code] = any(part in path for part in WATCHED)
        return _Line(self.seen, code).step if watched else None


class _Line:
    """The steps of one call."""

    __slots__ = ("_code", "_last", "_seen")

    def __init__(self, seen: set[tuple[CodeType, int, int]], code: CodeType) -> None:
        self._seen = seen
        self._code = code
        self._last = 0

    def step(self, frame: FrameType, event: str, argument: Any) -> Any:
        """One line."""
        if event == "line":
            self._seen.add((self._code, self._last, frame.f_lineno))
            self._last = frame.f_lineno
        return self.step
