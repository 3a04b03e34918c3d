"""Signed strings without borders (T10): the strict shape of every field, and all ways in which a string can be cut.

Where values are glued with nothing between, a digit may move from one field into its neighbour under one signature.
A reader therefore asks: is there a second legal way to cut this very string? If there is, the message proves nothing.
A mark between values shows borders, unless a value holds it; who leaves out what is empty leaves doubt all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import RemoteProtocolError

WORK_MAX: Final = 100_000
"""Cuts tried on one string; what needs more is as good as ambiguous."""

Split = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one field may hold: a pattern for the whole value and the longest length; ``optional`` may be empty."""

    name: str
    pattern: re.Pattern[str]
    longest: int
    optional: bool = False

    def fits(self, value: str) -> bool:
        return self.optional if not value else len(value) <= self.longest and bool(self.pattern.fullmatch(value))


def shape(name: str, pattern: str, longest: int, *, optional: bool = False) -> Shape:
    """A shape by a pattern of ASCII classes; a dot stands for any character."""
    return Shape(name, re.compile(pattern, re.ASCII | re.DOTALL), longest, optional)


def word(name: str, *words: str) -> Shape:
    """A field that says one of a few words; an empty one among them makes it optional."""
    said = [text for text in words if text]
    longest = max((len(text) for text in said), default=0)
    return shape(name, "|".join([re.escape(text) for text in said]) or "(?!)", longest, optional="" in words)


def sample_pattern(sample: str) -> str:
    """The pattern of all numbers of a sample's shape: digits for digits, letters for letters, marks for themselves."""
    classes = {"0": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
    kinds = ["0" if sign.isdigit() else "A" if sign.isupper() else "a" if sign.islower() else sign for sign in sample]
    return "".join([classes.get(kind, re.escape(kind)) for kind in kinds])


class _Walk:
    """One search. ``dead`` remembers from where no way leads on, so that the work is bounded by length and shapes."""

    def __init__(self, text: str, shapes: Sequence[Shape], mark: str) -> None:
        self.text, self.shapes, self.mark = text, shapes, mark
        self.dead: set[tuple[int, int]] = set()
        self.work = 0

    def walk(self, index: int, start: int) -> Iterator[Split]:
        if index == len(self.shapes):
            if start == len(self.text):
                yield ()
            return
        if (index, start) in self.dead:
            return
        alive = False
        for value, stop in self.values(self.shapes[index], start):
            for rest in self.walk(index + 1, stop):
                alive = True
                yield (value, *rest)
        if not alive:
            self.dead.add((index, start))

    def values(self, one: Shape, start: int) -> Iterator[tuple[str, int]]:
        if one.optional:
            yield "", start
        begin = start
        if self.mark and start:
            if self.text[start : start + 1] != self.mark:
                return
            begin = start + 1
        for stop in range(begin + 1, min(len(self.text), begin + one.longest) + 1):
            if self.mark and self.text[stop : stop + 1] not in ("", self.mark):
                continue
            self.work += 1
            if self.work > WORK_MAX:
                raise RemoteProtocolError(one.name, "has too many readings", "AMBIGUOUS_SPLIT")
            if one.pattern.fullmatch(self.text, begin, stop):
                yield self.text[begin:stop], stop


def list_splits(text: str, shapes: Sequence[Shape], mark: str = "") -> Iterator[Split]:
    """Every legal cut of ``text``, each once; with a ``mark``, of values that are not empty, joined by it.

    Raises RemoteProtocolError AMBIGUOUS_SPLIT where they are too many.
    """
    yield from _Walk(text, shapes, mark).walk(0, 0)


def check_shapes(values: Sequence[str], shapes: Sequence[Shape]) -> None:
    """Refuse values that have not their shape. Raises RemoteProtocolError naming the field."""
    for value, one in zip(values, shapes, strict=True):
        if not value and not one.optional:
            raise RemoteProtocolError(one.name, "is missing", "FIELD_MISSING")
        if not one.fits(value):
            raise RemoteProtocolError(one.name, "has not the shape of this field", "FIELD_INVALID")


def check_alone(own: Split, splits: Iterable[Split], shapes: Sequence[Shape]) -> None:
    """Refuse values beside which ``splits`` has others. Raises RemoteProtocolError AMBIGUOUS_SPLIT, which names the
    first field whose border is in doubt."""
    for other in splits:
        if other != own:
            moved = [one.name for one, mine, theirs in zip(shapes, own, other, strict=True) if mine != theirs]
            reason = f"the same signature covers another {', '.join(moved)}"
            raise RemoteProtocolError(moved[0], reason, "AMBIGUOUS_SPLIT")


def check_split(values: Sequence[str], shapes: Sequence[Shape]) -> None:
    """Refuse values that have not their shape, and those whose glued string can be cut in a second way.

    Raises RemoteProtocolError; with code AMBIGUOUS_SPLIT it names the first field whose border is in doubt.
    """
    own = tuple(values)
    check_shapes(own, shapes)
    check_alone(own, list_splits("".join(own), shapes), shapes)
