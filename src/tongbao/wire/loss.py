"""What a message fails to carry: the check by which an encoder proves that the other end will read all it was told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any


def find_loss(asked: Any, read: Any, ignored: Collection[str] = ("echo",)) -> str:
    """The first member in which ``asked`` says something and ``read`` says another thing; '' if there is none.

    Both are dataclass values of one type; members that are None, '' or () say nothing.
    """
    for member in fields(asked):
        if member.name in ignored:
            continue
        mine, theirs = getattr(asked, member.name), getattr(read, member.name)
        if mine == theirs or mine is None or mine in ("", ()):
            continue
        if _covers(mine, theirs, ignored):
            continue
        return member.name
    return ""


def _covers(mine: Any, theirs: Any, ignored: Collection[str]) -> bool:
    """Whether ``theirs`` says all that ``mine`` says: a value, or a list of values in the same order."""
    if isinstance(mine, tuple) and isinstance(theirs, tuple):
        pairs = zip(mine, theirs, strict=False)
        return len(mine) == len(theirs) and all(one == two or _covers(one, two, ignored) for one, two in pairs)
    return is_dataclass(mine) and type(mine) is type(theirs) and not find_loss(mine, theirs, ignored)
